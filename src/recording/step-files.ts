import type { FileMount, StepSpec } from '../sandbox/index.ts';

/** The port of a step's loopback interface at which its proxy is: none that servers choose, nor one that is given to whoever asks for any. */
const PROXY_PORT = 61_080;

/** Where a step finds the certificate of the authority: in its /dev, which is in no layer. */
const CERTIFICATE_PATH = '/dev/tsbuild-ca.crt';

/** What programs look for authorities in where no variable names them: files of Debian, Fedora and Alpine. */
const SYSTEM_BUNDLES: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
];

/** Variables that name a file with authorities, by the programs that read them. */
const TRUST = [
  'SSL_CERT_FILE', // OpenSSL, Go, Rust's native certificates
  'NODE_EXTRA_CA_CERTS',
  'NPM_CONFIG_CAFILE',
  'npm_config_cafile',
  'PIP_CERT',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'CARGO_HTTP_CAINFO',
  'AWS_CA_BUNDLE',
];

/** Whom a program asks itself: its own servers. */
const LOCAL = 'localhost,127.0.0.1,::1';

const VARIABLES: ReadonlyMap<string, string> = new Map([
  ...['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'].map(
    (name) => [name, `http://127.0.0.1:${PROXY_PORT}`] as const,
  ),
  ...['no_proxy', 'NO_PROXY'].map((name) => [name, LOCAL] as const),
  ...TRUST.map((name) => [name, CERTIFICATE_PATH] as const),
]);
/** Nothing but this proxy can be reached. */
const WITHOUT: readonly string[] = ['ftp_proxy', 'FTP_PROXY', 'all_proxy', 'ALL_PROXY'];

/** The environment of a step with the proxy in the place of all others, and the authority. */
function environmentWithProxy(env: readonly string[]): readonly string[] {
  const others = env.filter((entry) => {
    const name = entry.split('=', 1)[0] ?? '';
    return !VARIABLES.has(name) && !WITHOUT.includes(name);
  });
  return [...others, ...[...VARIABLES].map(([name, value]) => `${name}=${value}`)];
}

/** Larger bundles are none. */
const MAX_BUNDLE = 4 << 20;

/**
 * A step in a network that has nothing but a proxy, with what its programs need to find and believe that. None of it gets into a layer, or
 * is a part of the step's key.
 * @param socket at which the proxy listens
 * @param certificate of the authority, PEM
 * @param read a file of the step's root, undefined where there is none
 */
export async function recordedSpec(
  spec: StepSpec,
  { socket, certificate }: { readonly socket: string; readonly certificate: string },
  read: (path: string, maxBytes: number) => Promise<Uint8Array | undefined>,
): Promise<StepSpec> {
  const mounts = spec.mounts ?? [];
  const bundles = await Promise.all(
    SYSTEM_BUNDLES.map(async (target): Promise<readonly FileMount[]> => {
      // What the Dockerfile mounts there is its own affair.
      if (mounts.some((mount) => target.startsWith(`${mount.target.replace(/\/+$/, '')}/`) || mount.target === target))
        return [];
      const own = await read(target, MAX_BUNDLE);
      return own === undefined ? [] : [file(target, Buffer.concat([own, Buffer.from(`\n${certificate}`)]))];
    }),
  );
  return {
    ...spec,
    network: 'proxied',
    proxy: { port: PROXY_PORT, socket },
    env: environmentWithProxy(spec.env),
    mounts: [...mounts, file(CERTIFICATE_PATH, Buffer.from(certificate)), ...bundles.flat()],
  };
}

function file(target: string, data: Uint8Array): FileMount {
  return { type: 'file', target, data, mode: 0o444 };
}
