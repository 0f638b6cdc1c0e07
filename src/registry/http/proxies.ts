import type { RegistryOptions } from '../types.ts';

/** The proxies that variables of the environment name. Names in lower case win, as in curl. */
export function proxiesOf(env: Readonly<Record<string, string>>): NonNullable<RegistryOptions['proxy']> {
  const http = env['http_proxy'] ?? env['HTTP_PROXY'];
  const https = env['https_proxy'] ?? env['HTTPS_PROXY'];
  const no = env['no_proxy'] ?? env['NO_PROXY'];
  return {
    ...(http === undefined ? {} : { http }),
    ...(https === undefined ? {} : { https }),
    ...(no === undefined ? {} : { no }),
  };
}
