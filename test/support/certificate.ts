import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Files of an authority, and of a certificate that it vouches for. */
export interface TestCertificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes an authority and a certificate of it for this machine by its names and addresses, in a directory.
 * @param name of the files, and of who they are for
 */
export function makeCertificates(dir: string, name = 'server'): TestCertificates {
  const at = (file: string): string => join(dir, file);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...ec,
    '-subj',
    `/CN=${name} authority`,
    '-days',
    '30',
    '-keyout',
    at(`${name}-ca.key`),
    '-out',
    at(`${name}-ca.crt`),
  );
  openssl('req', ...ec, '-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`),
    '-addext', 'subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,DNS:registry.test'); // oxfmt-ignore
  openssl('x509', '-req', '-in', at(`${name}.csr`), '-CA', at(`${name}-ca.crt`), '-CAkey', at(`${name}-ca.key`), '-CAcreateserial',
    '-days', '30', '-copy_extensions', 'copy', '-out', at(`${name}.crt`)); // oxfmt-ignore
  return { ca: at(`${name}-ca.crt`), cert: at(`${name}.crt`), key: at(`${name}.key`) };
}
