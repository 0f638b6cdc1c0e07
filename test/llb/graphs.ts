import * as fc from 'fast-check';
import {
  diff,
  git,
  http,
  image,
  local,
  merge,
  type MountOptions,
  type PendingAction,
  scratch,
  type State,
} from '../../src/llb/index.ts';

/** How a graph is made: each instruction makes one more state out of those before, which it names by number. */
export type Instruction =
  | { readonly kind: 'image' | 'local' | 'http' | 'git'; readonly name: string }
  | {
      readonly kind: 'run';
      readonly on: number;
      readonly args: readonly string[];
      readonly env: readonly (readonly [string, string])[];
      readonly mounts: readonly ({ readonly dest: string } & Omit<MountOptions, 'source' | 'dest'> & {
          readonly from: number | undefined;
        })[];
      readonly network: 'sandbox' | 'none' | 'host';
      readonly user: string;
      readonly isFresh: boolean;
      /** Number of the writable mount whose content is what counts; undefined: the root. */
      readonly takes?: number | undefined;
    }
  | { readonly kind: 'file'; readonly on: number; readonly actions: readonly FileStep[] }
  | { readonly kind: 'merge'; readonly of: readonly number[] }
  | { readonly kind: 'diff'; readonly lower: number; readonly upper: number };

type FileStep =
  | {
      readonly kind: 'copy';
      readonly from: number;
      readonly src: string;
      readonly dest: string;
      readonly mode?: number;
    }
  | { readonly kind: 'mkdir' | 'rm'; readonly path: string }
  | { readonly kind: 'mkfile'; readonly path: string; readonly data: Uint8Array }
  | { readonly kind: 'symlink'; readonly oldPath: string; readonly newPath: string };

const text = fc.oneof(
  fc.stringMatching(/^[a-z/]{1,12}$/),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((one) => one.isWellFormed()),
);
const path = fc.stringMatching(/^\/[a-z]{1,6}(\/[a-z]{1,4})?$/);
const name = fc.stringMatching(/^[a-z]{1,8}$/);
const at = fc.nat(1000);

const mount = fc
  .record({
    dest: path,
    from: fc.option(at, { nil: undefined }),
    readonly: fc.boolean(),
    selector: fc.constantFrom('', '/sub'),
    kind: fc.constantFrom('bind', 'cache', 'tmpfs'),
    id: name,
    size: fc.nat(),
    sharing: fc.constantFrom<'shared' | 'private' | 'locked'>('shared', 'private', 'locked'),
  })
  .map(({ kind, id, size, sharing, ...rest }) => ({
    ...rest,
    ...(kind === 'cache' ? { cache: { id, sharing } } : {}),
    ...(kind === 'tmpfs' ? { tmpfs: { size }, from: undefined, selector: '' } : {}),
  }));

const fileStep: fc.Arbitrary<FileStep> = fc.oneof(
  fc.record({
    kind: fc.constant('copy' as const),
    from: at,
    src: path,
    dest: path,
    mode: fc.nat(0o7777),
  }),
  fc.record({ kind: fc.constantFrom('mkdir' as const, 'rm' as const), path }),
  fc.record({ kind: fc.constant('mkfile' as const), path, data: fc.uint8Array({ maxLength: 20 }) }),
  fc.record({ kind: fc.constant('symlink' as const), oldPath: text, newPath: path }),
);

export const instructions: fc.Arbitrary<readonly Instruction[]> = fc.array(
  fc.oneof<fc.Arbitrary<Instruction>[]>(
    fc.record({ kind: fc.constantFrom('image' as const, 'local' as const, 'http' as const, 'git' as const), name }),
    fc.record({
      kind: fc.constant('run' as const),
      on: at,
      args: fc.array(text, { minLength: 1, maxLength: 3 }),
      env: fc.array(fc.tuple(fc.stringMatching(/^[A-Z]{1,4}$/), text), { maxLength: 3 }),
      mounts: fc.uniqueArray(mount, { maxLength: 3, selector: ({ dest }) => dest }),
      network: fc.constantFrom('sandbox', 'none', 'host'),
      user: fc.constantFrom('', 'alice', '7:8'),
      isFresh: fc.boolean(),
      takes: fc.option(at, { nil: undefined }),
    }),
    fc.record({
      kind: fc.constant('file' as const),
      on: at,
      actions: fc.array(fileStep, { minLength: 1, maxLength: 4 }),
    }),
    fc.record({ kind: fc.constant('merge' as const), of: fc.array(at, { minLength: 1, maxLength: 4 }) }),
    fc.record({ kind: fc.constant('diff' as const), lower: at, upper: at }),
  ),
  { minLength: 1, maxLength: 12 },
);

/** The states that instructions make, the last of which the graph results in. Numbers wrap around; before the first there is scratch. */
export function statesOf(program: readonly Instruction[]): State {
  const states: State[] = [];
  const pick = (number: number): State => states[number % Math.max(states.length, 1)] ?? scratch();
  for (const instruction of program) states.push(stateOf(instruction, pick));
  return states.at(-1) ?? scratch();
}

function stateOf(instruction: Instruction, pick: (number: number) => State): State {
  switch (instruction.kind) {
    case 'image':
      return image(`docker.io/library/${instruction.name}:latest`);
    case 'local':
      return local(instruction.name, { includePatterns: [instruction.name] });
    case 'http':
      return http(`https://example.com/${instruction.name}`);
    case 'git':
      return git(
        {
          url: `https://example.com/${instruction.name}.git`,
          host: 'example.com',
          path: `/${instruction.name}.git`,
          ssh: false,
        },
        { ref: 'main' },
      );
    case 'run': {
      const { on, args, env, mounts, network, user, isFresh, takes } = instruction;
      const state = env.reduce((before, [key, value]) => before.addEnv(key, value), pick(on));
      const options = mounts.map(({ from, ...rest }) => ({
        ...rest,
        ...(from === undefined ? {} : { source: pick(from).output }),
      }));
      const step = state.exec({ args, mounts: options, meta: { network, user }, ignoreCache: isFresh });
      const writable = options.filter((one) => !one.readonly && !('cache' in one) && !('tmpfs' in one));
      const taken = takes === undefined ? undefined : writable[takes % Math.max(writable.length, 1)];
      return state.withOutput(taken ? step.mountOutput(taken) : step.rootOutput());
    }
    case 'file':
      return pick(instruction.on).file(instruction.actions.map((action) => pending(action, pick)));
    case 'merge':
      return merge(instruction.of.map(pick));
    case 'diff':
      return diff(pick(instruction.lower), pick(instruction.upper));
    default:
      return instruction satisfies never;
  }
}

function pending(action: FileStep, pick: (number: number) => State): PendingAction {
  switch (action.kind) {
    case 'copy': {
      const { from, src, dest, mode } = action;
      return {
        kind: 'copy',
        from: { output: pick(from).output, dir: '/' },
        src,
        dest,
        options: mode === undefined ? {} : { mode },
      };
    }
    case 'mkdir':
      return { kind: 'mkdir', path: action.path, mode: 0o755, makeParents: true, options: {} };
    case 'rm':
      return { kind: 'rm', path: action.path, allowNotFound: true, allowWildcard: false };
    case 'mkfile':
      return { kind: 'mkfile', path: action.path, mode: 0o644, data: action.data, options: {} };
    case 'symlink':
      return { kind: 'symlink', oldPath: action.oldPath, newPath: action.newPath, options: {} };
    default:
      return action satisfies never;
  }
}
