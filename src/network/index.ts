/** Networks of steps and containers: what connects them with the machine's, how they are made and joined. */
export { BuildNetwork, type BuildNetworkOptions, isJoinable, type JoinableNetwork } from './build-network.ts';
export { type LoneNetwork, loneNetwork } from './lone-network.ts';
export { exposedPorts, parsePublish, portName, type PublishedPort } from './ports.ts';
export { findUserNetworks, type NoUserNetwork, type UserNetwork } from './user-network.ts';
