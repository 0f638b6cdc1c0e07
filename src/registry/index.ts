/**
 * The client of the OCI distribution API (pull and push), with the configuration of registries.conf and the credentials of
 * auth files.
 */
export { authFileName, authFilePaths } from './credentials/auth-file.ts';
export { certificateDirs } from './http/certificates.ts';
export { createRegistry } from './client.ts';
export { registryContent } from './content.ts';
export { type CredentialPlaces, credentialPlaces } from './credentials/credential-sources.ts';
export {
  CredentialFinder,
  type CredentialSources,
  type FoundCredential,
  userCredentials,
} from './credentials/credentials.ts';
export { ManifestRemover } from './delete-manifest.ts';
export type { Endpoint } from './http/endpoint.ts';
export { type HttpAnswer, HttpClient, type HttpClientOptions, type HttpRequest, throwIfCanceled } from './http/http.ts';
export { checkLogin, type LoginTarget, parseLoginTarget } from './credentials/login.ts';
export {
  emptyRegistriesConfig,
  endpointsFor,
  loadRegistriesConf,
  type MirrorConfig,
  parseRegistriesConf,
  type RegistriesConfig,
  type RegistriesConfPaths,
  type RegistryConfig,
} from './registries-conf.ts';
export { type BlobOutcome, RepositoryWriter, type UploadListener } from './push/repository-writer.ts';
export { RepositoryWriters } from './push/repository-writers.ts';
export { isPassing, isPassingStatus, networkError, parseRetryAfter, waitForRetry } from './http/retry.ts';
export { isAcceptableRedirect } from './http/realm.ts';
export { listTags, searchRegistry, type SearchResult } from './search.ts';
export { type LoginPlace, removeAllLogins, removeLogin, storeLogin } from './credentials/stored-logins.ts';
export { describeSent, type ImageToSend, sendImage, type SentImage } from './push/send-image.ts';
export type {
  Credential,
  Credentials,
  FetchedManifest,
  PasswordCredential,
  PushBlob,
  PushOptions,
  Registry,
  RegistryLimits,
  RegistryOptions,
} from './types.ts';
export {
  commandRegistryOptions,
  createUserRegistry,
  userRegistryOptions,
  type UserRegistryOptions,
} from './user-registry.ts';
export { type AddressKind, addressKind, plainAddress } from './http/private-address.ts';
export { proxiesOf } from './http/proxies.ts';
export { proxyVariables } from './http/proxy-variables.ts';
export { resolveAlias } from './short-names.ts';
