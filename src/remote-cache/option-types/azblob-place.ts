import type { ObjectStoreRequest } from '../../object-store/index.ts';
import type { CacheAttributes } from './attributes.ts';
import { keyPrefixes, PREFIX_KEYS, variables } from './bucket-attributes.ts';

/** Attributes of `type=azblob` that are about the container, by BuildKit's names; `account_key` is the other name of its key. */
export const AZBLOB_KEYS: readonly string[] = [
  'account_url',
  'account_name',
  'container',
  ...PREFIX_KEYS,
  'secret_access_key',
  'account_key',
];

type AzblobOptions = Extract<ObjectStoreRequest, { kind: 'azblob' }>['options'];

/** The container that attributes name; what they leave out is in the environment, as for BuildKit and Azure's own tools. */
export function azblobPlace(attributes: CacheAttributes): ObjectStoreRequest {
  const env = variables(attributes, 'AZURE_STORAGE_', 'BUILDKIT_AZURE_STORAGE_');
  const given = attributes.text('account_url') || env['BUILDKIT_AZURE_STORAGE_ACCOUNT_URL'];
  if (!given)
    throw attributes.fail(
      '"account_url" is required',
      'for example: account_url=https://account.blob.core.windows.net',
    );
  // A token is given out as part of an address.
  const [accountUrl = '', token] = given.split('?', 2);
  const account = attributes.text('account_name') || env['AZURE_STORAGE_ACCOUNT'] || accountOf(accountUrl);
  const container = attributes.text('container') || env['BUILDKIT_AZURE_STORAGE_CONTAINER'] || 'buildkit-cache';
  return {
    kind: 'azblob',
    options: { accountUrl, container, ...keyPrefixes(attributes), ...accessOf(attributes, env, account, token) },
  };
}

function accessOf(
  attributes: CacheAttributes,
  env: Readonly<Record<string, string>>,
  account: string,
  token: string | undefined,
): Pick<AzblobOptions, 'access' | 'accessFrom'> {
  const keys = ['secret_access_key', 'account_key'].filter((key) => attributes.text(key));
  if (keys.length > 1) throw attributes.fail('"secret_access_key" and "account_key" are the same thing');
  const [attribute] = keys;
  if (attribute !== undefined)
    return {
      access: { kind: 'key', account, key: attributes.required(attribute) },
      accessFrom: `the attribute ${attribute}`,
    };
  if (token) return { access: { kind: 'token', token }, accessFrom: 'account_url' };
  const [key, sas] = [env['AZURE_STORAGE_KEY'], env['AZURE_STORAGE_SAS_TOKEN']];
  if (key) return { access: { kind: 'key', account, key }, accessFrom: 'AZURE_STORAGE_KEY' };
  if (sas) return { access: { kind: 'token', token: sas }, accessFrom: 'AZURE_STORAGE_SAS_TOKEN' };
  throw attributes.fail(
    'there is no key for the storage account',
    'give account_key=, an account_url with a shared access token, or set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN',
  );
}

/** The account that an address is of: its first label, or its path where it is an emulator's. */
function accountOf(accountUrl: string): string {
  if (!URL.canParse(accountUrl)) return '';
  const { hostname, pathname } = new URL(accountUrl);
  const [, inPath = ''] = pathname.split('/');
  return inPath === '' ? (hostname.split('.')[0] ?? '') : inPath;
}
