import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, fromErrno, TsbuildError } from '../../util/index.ts';

/** What TLS to one host needs beside what every host gets, as PEM. */
export interface HostCertificates {
  /** Authorities that are trusted for this host, besides the usual ones. */
  readonly ca: readonly string[];
  /** What we show of ourselves, each with its key. */
  readonly own: readonly { readonly cert: string; readonly key: string }[];
}

/** A directory with a folder for each host, or the folder of one host. */
export type CertificateDir = string | { readonly host: string; readonly dir: string };

/**
 * Where certificates of registries are, as podman and docker look for them (containers-certs.d(5)): the user's directories, then the
 * system's.
 * @param home the user's home directory
 */
export function certificateDirs(home: string): readonly string[] {
  return [
    join(home, '.config/containers/certs.d'),
    join(home, '.config/docker/certs.d'),
    '/etc/containers/certs.d',
    '/etc/docker/certs.d',
  ];
}

/**
 * The certificates for a host: `*.crt` are authorities, `NAME.cert` with `NAME.key` is a certificate of our own. The first directory that
 * has a folder for the host counts, as in containers/image.
 * @param host `host[:port]` as in a URL; one without a port is also looked for with `:443`
 * @throws TsbuildError `TSB_REGISTRY` when one cannot be read, or a certificate lacks its key
 */
export function readCertificates(dirs: readonly CertificateDir[], host: string): HostCertificates | undefined {
  const names = /:\d+$/.test(host) ? [host] : [host, `${host}:443`];
  const folders = dirs.flatMap((one) => {
    if (typeof one === 'string') return names.map((name) => join(one, name));
    return names.includes(one.host) ? [one.dir] : [];
  });
  for (const dir of folders) {
    const files = list(dir);
    if (files === undefined) continue;
    const own = files
      .filter((file) => file.endsWith('.cert'))
      .map((file) => {
        const keyFile = `${file.slice(0, -'.cert'.length)}.key`;
        if (!files.includes(keyFile))
          throw unusable(join(dir, file), `there is no ${JSON.stringify(keyFile)} beside it`);
        return { cert: read(join(dir, file)), key: read(join(dir, keyFile)) };
      });
    const lonely = files.find(
      (file) => file.endsWith('.key') && !files.includes(`${file.slice(0, -'.key'.length)}.cert`),
    );
    if (lonely !== undefined)
      throw unusable(
        join(dir, lonely),
        'there is no certificate for this key beside it, in a file that ends in ".cert"',
      );
    return { ca: files.filter((file) => file.endsWith('.crt')).map((file) => read(join(dir, file))), own };
  }
  return undefined;
}

function list(dir: string): readonly string[] | undefined {
  try {
    return readdirSync(dir).sort();
  } catch (error) {
    // As containers/image has it: what one may not look into is another user's affair.
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) return undefined;
    throw fromErrno(error, `Cannot read certificates of ${JSON.stringify(dir)}`, 'TSB_REGISTRY');
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw fromErrno(error, `Cannot read certificate ${JSON.stringify(path)}`, 'TSB_REGISTRY');
  }
}

function unusable(path: string, why: string): TsbuildError {
  return new TsbuildError('TSB_REGISTRY', `Cannot use certificate ${JSON.stringify(path)}: ${why}`, {
    hint: 'authorities end in ".crt", own certificates in ".cert", each with a ".key" of the same name',
  });
}

/** Failures that the authorities of the machine, where a company has its own, may cure. */
const UNKNOWN_AUTHORITY = new Set([
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
]);

/** Whether a connection failed because nobody we trust vouches for the host. */
export function isUnknownAuthority(error: unknown): boolean {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  return errors.some((one) => UNKNOWN_AUTHORITY.has(errnoOf(one) ?? ''));
}

/**
 * The authorities that Node comes with and those of `$NODE_EXTRA_CA_CERTS`.
 * @param system those of the machine as well; reading them takes some 100 ms
 */
export async function defaultAuthorities(system: boolean): Promise<readonly string[]> {
  // Most commands speak to nobody over TLS.
  const { getCACertificates } = await import('node:tls');
  return [...getCACertificates('default'), ...(system ? getCACertificates('system') : [])];
}
