import { spawn } from 'node:child_process';
import fs from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { findUserNetworks, parseSubnet } from '../network/index.ts';
import { enterArguments, type NamespacePlan, readLines } from '../sandbox/index.ts';
import { TsbuildError } from '../util/index.ts';
import { connectIn } from './frame-socket.ts';
import { FrameReader } from './frames.ts';
import type { Network, NetworkMember } from './network-types.ts';

/** What a network's process is started with. */
export interface BridgeOptions {
  readonly network: Network;
  readonly helperPath: string;
  readonly plan: NamespacePlan;
  /** Directories with sockets of processes whose user namespace it is to share: {@link EnterOptions.beside}. */
  readonly beside: readonly string[];
}

/** What errors of the process go to, within the network's directory. */
const OWN_LOG = 'bridge.log';
const SOCKET = 'socket';
const GREETING_MS = 5000;

/** A connection to the process of a network, which goes on as long as somebody is connected. */
export class BridgeLink implements Disposable {
  /** Who is there, as it was last told. */
  members: readonly NetworkMember[] = [];
  /** Whether it leads outside. */
  hasOutside = false;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** @returns undefined when the network has no process */
  static async open({ directory }: Pick<Network, 'directory'>): Promise<BridgeLink | undefined> {
    const socket = await connectIn(directory, SOCKET);
    if (socket === undefined) return undefined;
    const link = new BridgeLink(socket);
    const told = Promise.withResolvers<boolean>();
    const reader = new FrameReader();
    socket.on('data', (piece: Buffer) => {
      for (const { kind, data } of reader.take(piece)) {
        if (kind !== 't') continue;
        link.#take(data.toString('utf8'));
        told.resolve(true);
      }
    });
    // One that was about to end does not greet.
    socket.once('close', () => told.resolve(false));
    socket.setTimeout(GREETING_MS, () => told.resolve(false));
    if (!(await told.promise)) {
      socket.destroy();
      return undefined;
    }
    socket.setTimeout(0);
    return link;
  }

  #take(table: string): void {
    const lines = table.split('\n').map((line) => line.split(' '));
    this.hasOutside = lines.some(([kind, , outside]) => kind === 'network' && outside === '1');
    const macs = new Map(lines.flatMap(([kind, id = '', mac = '']) => (kind === 'mac' ? [[id, mac]] : [])));
    this.members = lines.flatMap(([kind, id = '', name = '', ip = '-', ip6 = '-', ...aliases]) =>
      kind === 'at'
        ? [
            {
              id,
              name,
              ip: ip === '-' ? undefined : ip,
              ip6: ip6 === '-' ? undefined : ip6,
              mac: macs.get(id) ?? '',
              aliases,
            },
          ]
        : [],
    );
  }

  /** Waits until all of them are there, but not for ever. */
  async await(ids: readonly string[], ms = 3000): Promise<void> {
    for (const end = performance.now() + ms; performance.now() < end; await sleep(10))
      if (ids.every((id) => this.members.some((member) => member.id === id))) return;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

/**
 * Starts the process of a network (native/src/bridge.c), which ends soon after the last who is connected to it. The caller has the lock of
 * networks.
 * @throws TsbuildError `TSB_SANDBOX`
 */
export async function startBridge(options: BridgeOptions): Promise<BridgeLink> {
  const { network, helperPath, plan, beside } = options;
  const log = join(network.directory, OWN_LOG);
  const ownLog = fs.openSync(log, 'w', 0o600);
  const command = [helperPath, ...bridgeArguments(options)];
  const child = spawn(helperPath, enterArguments({ plan, parentPid: process.pid, detached: true, beside }, command), {
    env: {},
    cwd: '/',
    detached: true,
    stdio: ['ignore', ownLog, ownLog, 'ignore', 'pipe'],
  });
  fs.closeSync(ownLog);
  child.unref();
  const told = child.stdio[4] as Readable;
  const lines: string[] = [];
  const isReady = await new Promise<boolean>((resolve) => {
    readLines(told, (line) => {
      lines.push(line);
      if (line === 'ready') resolve(true);
    });
    told.once('close', () => resolve(false));
    child.once('error', () => resolve(false));
  });
  told.destroy();
  const link = isReady ? await BridgeLink.open(network) : undefined;
  if (link !== undefined) return link;
  const said = lines
    .find((line) => line.startsWith('error '))
    ?.split(' ')
    .slice(3)
    .join(' ');
  throw new TsbuildError(
    'TSB_SANDBOX',
    `Cannot start network ${network.name}: ${said ?? (lastLine(log) || 'its process ended without a word')}`,
    { hint: '"tsbuild doctor" says what this machine allows' },
  );
}

function bridgeArguments({ network: { name, directory, record }, plan }: BridgeOptions): readonly string[] {
  const found = record.internal ? undefined : findUserNetworks();
  const outside = found === undefined || 'reason' in found ? undefined : found[0];
  return [
    'bridge',
    '--directory',
    directory,
    '--name',
    name,
    ...(outside?.anybody === false ? [] : ['--root', String(plan.idShift)]),
    ...record.subnets.flatMap(({ subnet, gateway, range }) => {
      const family = parseSubnet(subnet).family === 4 ? '' : '6';
      return [
        `--subnet${family}`,
        subnet,
        `--gateway${family}`,
        gateway,
        ...(range === undefined ? [] : [`--range${family}`, range]),
      ];
    }),
    ...(record.internal ? ['--internal', '1'] : []),
    ...(outside === undefined ? [] : [`--${outside.kind}`, outside.program]),
  ];
}

function lastLine(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8').trimEnd().split('\n').at(-1) ?? '';
  } catch {
    return '';
  }
}
