/**
 * A frontend of the tests' own: it reads JSON that says what to build, or how to misbehave, and speaks to its gateway by @grpc/grpc-js over
 * its standard input and output. Bundled with all that it needs, it is the only file of its image beside Node.
 */
import { existsSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import {
  encodeDefinition,
  image,
  local,
  marshal,
  scratch,
  type State,
  stateOf,
  decodeDefinition,
} from '../../../src/llb/index.ts';
import { gatewayClient, type Message } from '../../support/gateway-client.ts';
import { type Containing, contain } from './containing.ts';

const SOCKET = '/tmp/gateway.sock';
const AMD64 = { os: 'linux', architecture: 'amd64' } as const;
const SOLVE = { allowResultReturn: true, allowResultArrayRef: true };

/** What a file of this frontend's language says. */
interface Recipe {
  readonly base?: string;
  readonly run?: readonly string[];
  /** Names of files of the context. */
  readonly copy?: readonly string[];
  /** A local directory to look into, by the name that the gateway knows it by. */
  readonly look?: string;
  readonly network?: 'host' | 'none';
  /** Id of a secret that steps get. */
  readonly secret?: string;
  readonly cmd?: readonly string[];
  readonly platforms?: readonly string[];
  readonly dockerfile?: string;
  readonly tell?: boolean;
  /** A port of the machine's loopback interface to connect to. */
  readonly reach?: number;
  readonly attest?: boolean;
  /** A container to run programs in. */
  readonly contain?: Containing;
  readonly behave?: 'exit' | 'silent' | 'noise' | 'hang' | 'linger' | 'complain' | 'solves' | 'dirty';
}

const options = new Map(
  Object.entries(process.env).flatMap(([name, value = '']): [string, string][] => {
    if (!name.startsWith('BUILDKIT_FRONTEND_OPT_')) return [];
    const at = value.indexOf('=');
    return [[value.slice(0, at), value.slice(at + 1)]];
  }),
);

const bytesOf = (state: State): Uint8Array => encodeDefinition(marshal(state, { platform: AMD64 }));

const listener = createServer((socket) => {
  socket.pipe(process.stdout);
  process.stdin.pipe(socket);
  socket.on('error', () => undefined);
});

/** `yes`, or why not. */
function reach(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve('yes'));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

async function main(): Promise<void> {
  await new Promise<void>((resolve) => listener.listen(SOCKET, resolve));
  using client = gatewayClient('/gateway.proto', `unix:${SOCKET}`);
  const { call } = client;
  await call('Ping');
  const solve = async (request: Message): Promise<Message> =>
    (await call('Solve', { ...SOLVE, ...request }))['result'] as Message;
  const refOf = async (state: State, more: Message = {}): Promise<string> => {
    const { ref } = await solve({ Definition: bytesOf(state), ...more });
    return (ref as Message)['id'] as string;
  };

  const inputs = (await call('Inputs'))['Definitions'] as Record<string, Uint8Array>;
  const { context: input } = inputs;

  /** The file that is built, from the context or an input. */
  const recipe = async (): Promise<Recipe> => {
    const filename = options.get('filename') ?? '';
    const state = input ? stateOf(decodeDefinition(input)) : local('dockerfile', { followPaths: [filename] });
    const { Data } = await call('ReadFile', { Ref: await refOf(state), FilePath: filename });
    const text = (Data as Buffer).toString().replace(/^#.*\n/, '');
    return JSON.parse(text) as Recipe;
  };

  const build = async (
    what: Recipe,
    architecture: string,
  ): Promise<{ readonly id: string; readonly config: object }> => {
    let state = scratch();
    let config: Message = { architecture, os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [] } };
    if (what.base !== undefined) {
      const platform = { OS: 'linux', Architecture: architecture };
      const resolved = await call('ResolveImageConfig', { Ref: what.base, Platform: platform });
      config = JSON.parse((resolved['Config'] as Buffer).toString()) as Message;
      state = image(`${resolved['Ref'] as string}@${resolved['Digest'] as string}`, {
        platform: { os: 'linux', architecture },
      });
    }
    if (what.copy !== undefined) {
      const source = (input ? stateOf(decodeDefinition(input)) : local('context', { followPaths: what.copy })).output;
      state = state.file(
        what.copy.map((name) => ({
          kind: 'copy',
          from: { output: source, dir: '/' },
          src: `/${name}`,
          dest: `/${name}`,
          options: {},
        })),
      );
    }
    const secret = { id: what.secret ?? '', env: 'SECRET', uid: 0, gid: 0, mode: 0o400, optional: false };
    const secrets = what.secret === undefined ? {} : { secrets: [secret] };
    for (const command of what.run ?? [])
      state = state.run({
        args: ['/bin/sh', '-c', command],
        ...(what.network ? { meta: { network: what.network } } : {}),
        ...secrets,
      });
    const own = { ...(config['config'] as Message), ...(what.cmd ? { Cmd: what.cmd } : {}), Labels: { by: 'test' } };
    return { id: await refOf(state), config: { ...config, config: own } };
  };

  const question = options.get('requestid');
  if (question !== undefined) {
    const names = [
      ...(await call('ReadDir', { Ref: await refOf(local('context')), DirPath: '/' }))['entries'],
    ] as Message[];
    const answer = { question, caps: options.get('frontend.caps'), target: options.get('target'), files: names.length };
    const metadata: Record<string, Uint8Array> = { 'result.json': Buffer.from(JSON.stringify(answer)) };
    if (question === 'frontend.strict') metadata['result.statuscode'] = Buffer.from('3');
    if (question !== 'frontend.other') metadata['result.txt'] = Buffer.from(`asked for ${question}\u001b[31m\n`);
    await call('Return', { result: { ref: { id: '' }, metadata: question === 'frontend.unheard' ? {} : metadata } });
    return;
  }
  const what = await recipe().catch(async (error: Error) => {
    await call('Return', { error: { code: 3, message: `cannot read the recipe: ${error.message}` } });
    throw error;
  });
  switch (what.behave) {
    case 'exit':
      process.stderr.write('the recipe is too hard\n');
      process.exit(3);
      break;
    case 'silent':
      process.exit(0);
      break;
    case 'noise':
      process.stdout.write('Usage: frontend [options]\n'.repeat(50));
      await new Promise(() => setInterval(() => undefined, 1000));
      break;
    case 'hang':
      await new Promise(() => setInterval(() => undefined, 1000));
      break;
    case 'complain': {
      const source = {
        info: { filename: options.get('filename') },
        ranges: [{ start: { line: 2 }, end: { line: 2 } }],
      };
      const details = [
        { typeUrl: 'github.com/moby/buildkit/errdefs.Source+json', value: Buffer.from(JSON.stringify(source)) },
      ];
      await call('Return', { error: { code: 3, message: 'recipes with this are not cooked', details } });
      return;
    }
    default:
  }
  if (what.tell) {
    const seen = {
      interfaces: Object.keys(networkInterfaces()),
      uid: process.getuid?.(),
      metadata: existsSync('/run/config/buildkit/metadata/frontend.bin'),
      product: process.env['BUILDKIT_EXPORTEDPRODUCT'],
      workers: JSON.parse(process.env['BUILDKIT_WORKERS'] ?? '') as unknown,
      session: (process.env['BUILDKIT_SESSION_ID'] ?? '').length > 0,
      own: process.env['OF_THE_IMAGE'],
      names: [...options.keys()].toSorted(),
      first: readFileSync('/proc/1/cmdline', 'utf8').split('\0')[0],
    };
    await call('Return', { error: { code: 2, message: JSON.stringify(seen) } });
    return;
  }
  if (what.reach !== undefined) {
    const reached = await reach(what.reach);
    await call('Return', { error: { code: 2, message: JSON.stringify({ reached }) } });
    return;
  }
  if (what.contain !== undefined) {
    const base =
      what.base === undefined
        ? ''
        : (await build({ base: what.base, copy: what.copy ?? [], run: what.run ?? [] }, 'amd64')).id;
    const seen = await contain(client, what.contain, base).catch((error: Error) => ({ failed: error.message }));
    await call('Return', { error: { code: 2, message: JSON.stringify(seen) } });
    return;
  }
  if (what.look !== undefined) {
    const Ref = await refOf(local(what.look));
    const { entries } = await call('ReadDir', { Ref, DirPath: '/' });
    await call('Return', {
      error: { code: 2, message: (entries as Message[]).map((entry) => entry['path'] as string).join(' ') },
    });
    return;
  }
  if (what.dockerfile !== undefined) {
    const file = scratch().file([
      { kind: 'mkfile', path: '/Dockerfile', mode: 0o644, data: Buffer.from(what.dockerfile), options: {} },
    ]);
    const result = await solve({
      Frontend: 'dockerfile.v0',
      FrontendOpt: { target: 'last' },
      FrontendInputs: { dockerfile: bytesOf(file) },
    }).catch(async (error: Error) => {
      // As BuildKit's clients pass on what they were told.
      await call('Return', { error: { code: 3, message: `failed to solve: ${error.message}` } });
      return undefined;
    });
    if (result !== undefined) await call('Return', { result });
    return;
  }
  await call('Warn', {
    short: Buffer.from('TooMuchSalt: less would do (line 2)'),
    info: { filename: options.get('filename') },
    ranges: [{ start: { line: 2 } }],
  });
  if (what.platforms !== undefined) {
    const made = await Promise.all(
      what.platforms.map(async (name) => [name, await build(what, name.split('/')[1] ?? '')] as const),
    );
    const platforms = what.platforms.map((ID) => ({ ID, Platform: { os: 'linux', architecture: ID.split('/')[1] } }));
    await call('Return', {
      result: {
        refs: { refs: Object.fromEntries(made.map(([name, { id }]) => [name, { id }])) },
        metadata: {
          'refs.platforms': Buffer.from(JSON.stringify({ Platforms: platforms })),
          ...Object.fromEntries(
            made.map(([name, { config }]) => [`containerimage.config/${name}`, Buffer.from(JSON.stringify(config))]),
          ),
        },
      },
    });
    return;
  }
  const { id, config } = await build(what, 'amd64');
  const result = {
    ref: { id },
    metadata: { 'containerimage.config': Buffer.from(JSON.stringify(config)) },
    ...(what.attest ? { attestations: { 'linux/amd64': { attestation: [Buffer.of(0)] } } } : {}),
  };
  await call('Return', { result });
  if (what.behave === 'linger') await new Promise(() => setInterval(() => undefined, 1000));
  if (what.behave === 'dirty') process.exit(7);
}

main().then(
  () => process.exit(0),
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  },
);
