/**
 * Devices of the machine by the Container Device Interface: specifications that vendors install (`readDevices`), and which devices a
 * name stands for (`DeviceCatalog`). What the edits do to a step is decided by who runs it.
 */
export { DeviceCatalog } from './catalog.ts';
export { defaultSpecDirs, readDevices } from './read-specs.ts';
export type { ContainerEdits, DeviceNode, DeviceSpec, HostMount, RegisteredDevice } from './types.ts';
