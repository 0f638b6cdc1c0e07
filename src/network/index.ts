/** Networks of steps and containers: what connects them with the machine's, how they are made and joined. */
export {
  type Address,
  contains,
  formatAddress,
  formatSubnet,
  parseAddress,
  parseSubnet,
  type Subnet,
} from './address.ts';
export { BuildNetwork, type BuildNetworkOptions } from './build-network.ts';
export { type LoneNetwork, loneNetwork } from './lone-network.ts';
export { parseMac } from './mac.ts';
export { memberNetwork, memberResolvConf, networkOfProcess } from './member-network.ts';
export { askedPort, exposedPorts, isChosen, parsePublish, portName, type PublishedPort } from './ports.ts';
export { checkRange, checkSubnet, defaultGateway, freeSubnet, localSubnet, routedSubnets } from './subnet-pool.ts';
export { proxiedNetwork, type ProxiedNetwork, type ProxyPlace } from './proxied-network.ts';
export { isJoinable, type JoinableNetwork } from './start-network.ts';
export { findUserNetworks, type NoUserNetwork, type UserNetwork } from './user-network.ts';
