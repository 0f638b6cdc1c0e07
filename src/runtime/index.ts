/** `tsbuild run`: an image as a process in the foreground, by the rules of docker run. */
export { type ContainerEnd, endOf } from './container-end.ts';
export { argumentsOf, environmentOf, type ProcessRequest } from './container-process.ts';
export { parseEnvFile } from './env-file.ts';
export { containerSpec, containerStreams, runContainer, type RunContainerOptions } from './run-container.ts';
export { parseVolume } from './volume.ts';
