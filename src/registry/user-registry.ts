import { type CertificateDir, certificateDirs } from './http/certificates.ts';
import { createRegistry } from './client.ts';
import { type CredentialSources, userCredentials } from './credentials/credentials.ts';
import { proxiesOf } from './http/proxies.ts';
import { emptyRegistriesConfig, loadRegistriesConf } from './registries-conf.ts';
import type { Credential, Registry, RegistryOptions } from './types.ts';

/** What a command knows of its user and environment that concerns registries. */
export interface UserRegistryOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The user's home directory. */
  readonly home: string;
  readonly onWarning: (message: string) => void;
  /** Path of a registries.conf that replaces the usual ones. */
  readonly registriesConf?: string;
  /** Where credentials for registries are. Default: nowhere. */
  readonly credentialSources?: CredentialSources;
  /** Credentials for one registry that were typed, instead of those of the sources. */
  readonly credentials?: { readonly host: string; readonly credential: Credential };
  /** Proxy variables of the environment. */
  readonly proxies?: Readonly<Record<string, string>>;
  /** Registries whose certificates are not verified in this command, and that may be spoken to without TLS. */
  readonly insecureHosts?: ReadonlySet<string>;
  /** Registries whose certificates are verified in this command, whatever is configured. */
  readonly secureHosts?: ReadonlySet<string>;
  /** Directories with certificates of registries, instead of the usual ones. */
  readonly certificateDirs?: readonly CertificateDir[];
  /** How often a request to a registry is tried, and how long the first wait between two tries is, in ms. Default 3, 1000. */
  readonly registryTries?: { readonly attempts: number; readonly backoffMs?: number };
}

/**
 * The registry client of a command, with the configuration and the credentials of its user.
 * @throws TsbuildError `TSB_USAGE` when the configuration cannot be used
 */
export async function createUserRegistry(options: UserRegistryOptions): Promise<Registry> {
  return createRegistry(await commandRegistryOptions(options));
}

/** What a registry client of a command needs, with the credentials of its user. @throws TsbuildError `TSB_USAGE` */
export async function commandRegistryOptions(options: UserRegistryOptions): Promise<RegistryOptions> {
  const { credentials, credentialSources = { files: [] }, onWarning } = options;
  const own = await userRegistryOptions(options);
  const { credentialHelpers } = own.config ?? emptyRegistriesConfig;
  const stored = userCredentials({ credentialHelpers, ...credentialSources }, onWarning);
  return {
    ...own,
    credentials: {
      get: (task, host, path) =>
        credentials?.host === host ? Promise.resolve(credentials.credential) : stored.get(task, host, path),
    },
  };
}

/** The same for whoever has credentials of its own. @throws TsbuildError `TSB_USAGE` when the configuration cannot be used */
export async function userRegistryOptions(options: UserRegistryOptions): Promise<Omit<RegistryOptions, 'credentials'>> {
  const { now, home, onWarning, registriesConf, insecureHosts, secureHosts, registryTries, proxies = {} } = options;
  const config = await loadRegistriesConf({
    ...(registriesConf === undefined ? {} : { explicit: registriesConf }),
    home,
  });
  return {
    config: {
      ...config,
      ...(insecureHosts === undefined ? {} : { insecureHosts }),
      ...(secureHosts === undefined ? {} : { secureHosts }),
    },
    certificateDirs: options.certificateDirs ?? certificateDirs(home),
    ...(registryTries === undefined ? {} : { limits: registryTries }),
    now,
    onWarning,
    proxy: proxiesOf(proxies),
  };
}
