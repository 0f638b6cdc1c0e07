import { once } from 'node:events';
import { TsbuildError } from '../util/index.ts';
import type { BuildNetworkOptions } from './build-network.ts';
import { networkArguments, nameServiceOf } from './network-arguments.ts';
import { isJoinable, type JoinableNetwork, startNetwork } from './start-network.ts';

/** Where a proxy is found in a network that has nothing else. */
export interface ProxyPlace {
  /** Of the network's loopback interface; at least 1024. */
  readonly port: number;
  /** A unix socket, absolute, that the proxy listens at outside. */
  readonly socket: string;
}

/** A network of one step. Disposed, all that is in it loses its connections. */
export interface ProxiedNetwork extends JoinableNetwork, AsyncDisposable {}

let count = 0;

/**
 * Makes a network that leads nowhere but to a proxy, within some 3 ms. Nothing of the machine is needed for it but network namespaces.
 * @throws TsbuildError `TSB_SANDBOX` where there can be none
 */
export async function proxiedNetwork(options: BuildNetworkOptions, proxy: ProxyPlace): Promise<ProxiedNetwork> {
  const { helperPath, plan, directory } = options;
  const path = `${directory}/proxied-${++count}`;
  const { resolvConf } = nameServiceOf(undefined);
  const { child, made } = startNetwork({
    helperPath,
    arguments: networkArguments({ at: path, parentPid: process.pid, plan, proxy }),
    path,
    resolvConf,
    refusal: (reason) => ({ reason, fix: 'see "tsbuild doctor"' }),
  });
  const network = await made;
  if (!isJoinable(network))
    throw new TsbuildError('TSB_SANDBOX', `Cannot make a network with a proxy for a step: ${network.reason}`, {
      hint: 'recorded networks need network namespaces; "tsbuild doctor" tells what this machine has',
    });
  return {
    ...network,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
