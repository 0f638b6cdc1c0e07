/** Containers with a life of their own: where they are in the store, their supervisors, their logs. */
export { askMember, attachmentsOf, joinText, writeAttachments } from './attachments.ts';
export { BridgeLink } from './bridge.ts';
export { Connection, type ConnectionEnd, type Listener } from './connection.ts';
export { request, stopContainer } from './control.ts';
export { joinNamespaces, sharesProcesses } from './join-namespaces.ts';
export {
  type JoinedNetworks,
  joinNetworks,
  mendNetworks,
  type NetworkMaker,
  openNetworks,
  ownerOf,
} from './join-networks.ts';
export { isIn, Networks, type NewNetwork } from './networks.ts';
export { type Attachment, DEFAULT_NETWORK, type Network, type NetworkMember } from './network-types.ts';
export { type ContainerEvent, EventReader } from './events.ts';
export { LogReader, type LogEntry, selectEntries } from './log-reader.ts';
export { type ContainerProcess, processesOf } from './processes.ts';
export { ContainerLookup } from './lookup.ts';
export { readPorts } from './port-file.ts';
export { parseSignal, stopSignalOf } from './signals.ts';
export { isLive, isSupervised, readState } from './state.ts';
export {
  LOG_LIMITS,
  type StartedSupervisor,
  startSupervisor,
  stepToHold,
  type SupervisorOptions,
} from './supervisor.ts';
export { Containers } from './table.ts';
export { type ContainerUpdate, updateRunning } from './update.ts';
export { isVolumeName, usersOf, type Volume, Volumes } from './volumes.ts';
export type {
  Container,
  ContainerRecord,
  ContainerState,
  ContainerStatus,
  ContainerStep,
  HealthCheck,
  RestartPolicy,
} from './types.ts';
