import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TreeStat } from '../../src/gateway/file-tree.ts';
import type { GatewayHost, SolvedTree } from '../../src/gateway/host.ts';
import { LlbBridge } from '../../src/gateway/bridge.ts';
import { GrpcServer } from '../../src/gateway/grpc-server.ts';
import { type GatewayLimits, gatewayLimits } from '../../src/gateway/limits.ts';
import { encodeDefinition, loadGraph, marshal, scratch, type State } from '../../src/llb/index.ts';
import { type GatewayClient, gatewayClient, type Message } from '../support/gateway-client.ts';

export const PROTO: string = fileURLToPath(new URL('../../testdata/gateway/gateway.proto', import.meta.url));
export const AMD64 = { os: 'linux', architecture: 'amd64' } as const;

/** A tree of files in memory: names to texts. */
export function treeOf(files: Readonly<Record<string, string>>, log: string[] = []): SolvedTree {
  const stat = (name: string, text: string): TreeStat => ({
    name,
    type: 'file',
    mode: 0o4755,
    uid: 1,
    gid: 2,
    size: text.length,
    mtimeNs: 1_600_000_000_000_000_001n,
  });
  return {
    evaluate: async () => void log.push('evaluated'),
    stat: async (path) => (files[path] === undefined ? undefined : stat(path, files[path])),
    list: async (path) => (path === '/' ? Object.entries(files).map(([name, text]) => stat(name, text)) : undefined),
    read: async (path, limit) => (files[path] === undefined ? undefined : Buffer.from(files[path]).subarray(0, limit)),
  };
}

/** A host whose definitions are loaded for real, and come to `files`. */
export function hostOf(
  files: Readonly<Record<string, string>>,
  more: Partial<GatewayHost> = {},
): GatewayHost & { readonly log: string[] } {
  const log: string[] = [];
  const nothing = (): never => {
    throw new Error('Nobody should ask for this');
  };
  return {
    log,
    platforms: [AMD64],
    inputs: new Map(),
    load: (definition) => {
      log.push(`loaded ${loadGraph(definition).vertices.length}`);
      return { definition, tree: treeOf(files, log) };
    },
    frontend: async () => nothing(),
    resolveImage: async () => nothing(),
    policed: ({ identifier, attrs }) => ({ kind: 'source', identifier, attrs }),
    resolveSource: async () => nothing(),
    conceal: (message) => message.replaceAll('/home/me', '<context>'),
    warn: ({ message }) => void log.push(`warning ${message}`),
    ...more,
  };
}

/** The bytes of a small definition: one file. */
export function definitionBytes(text = 'x'): Uint8Array {
  return encodeDefinition(marshal(fileState(text), { platform: AMD64 }));
}

function fileState(text: string): State {
  return scratch().file([{ kind: 'mkfile', path: '/f', mode: 0o644, data: Buffer.from(text), options: {} }]);
}

/** A bridge behind a real server that a real client talks to, over a socket. */
export interface Served extends AsyncDisposable {
  readonly client: GatewayClient;
  readonly bridge: LlbBridge;
  readonly server: Promise<GrpcServer>;
  /** The status that a call ends with. */
  status(method: string, request?: Message): Promise<{ readonly code: number; readonly details: string }>;
}

export async function serve(host: GatewayHost, limits: Partial<GatewayLimits> = {}): Promise<Served> {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-gateway-'));
  const all = { ...gatewayLimits, ...limits };
  const bridge = new LlbBridge(host, all);
  const begun = Promise.withResolvers<GrpcServer>();
  const listener = createServer((socket) =>
    begun.resolve(new GrpcServer(socket, { ...all, handlers: bridge.handlers, streams: bridge.streams })),
  );
  const path = join(dir, 'socket');
  await new Promise<void>((resolve) => listener.listen(path, resolve));
  const client = gatewayClient(PROTO, `unix:${path}`);
  return {
    client,
    bridge,
    server: begun.promise,
    status: (method, request) =>
      client.call(method, request).then(
        () => ({ code: 0, details: '' }),
        (error: { code: number; details: string }) => ({ code: error.code, details: error.details }),
      ),
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await bridge[Symbol.asyncDispose]();
      listener.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
