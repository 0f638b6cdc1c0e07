/** The local image store as a registry, by the OCI distribution spec 1.1. */
export { isLoopback, openAccess } from './access.ts';
export { startServer } from './server.ts';
