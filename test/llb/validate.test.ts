import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  carriesOutput,
  type ExecOp,
  type FileAction,
  loadGraph,
  type Mount,
  type Op,
  encodeOp,
  validateContainer,
} from '../../src/llb/index.ts';
import { outputCount, validateOp } from '../../src/llb/validate.ts';
import { sha256 } from '../../src/util/index.ts';
import { refusal } from './support.ts';

const ID = sha256(Buffer.from('op'));
const mount = (more: Partial<Mount> = {}): Mount => ({
  type: 'bind',
  input: -1,
  selector: '',
  dest: '/',
  output: -1,
  readonly: false,
  resultId: '',
  contentCache: 'default',
  ...more,
});
const exec = (
  mounts: readonly Mount[],
  meta: Partial<ExecOp['meta']> = {},
  more: Partial<ExecOp> = {},
): ExecOp & { kind: 'exec' } => ({
  kind: 'exec',
  meta: {
    args: ['x'],
    env: [],
    cwd: '/',
    user: '',
    extraHosts: [],
    hostname: '',
    ulimits: [],
    cgroupParent: '',
    removeMountStubsRecursive: true,
    validExitCodes: [],
    ...meta,
  },
  mounts,
  network: 'sandbox',
  security: 'sandbox',
  secretEnv: [],
  cdiDevices: [],
  ...more,
});
const mkdir = (more: object = {}): FileAction => ({
  kind: 'mkdir',
  path: '/a',
  mode: 0o755,
  makeParents: false,
  timestamp: -1n,
  input: -1,
  secondaryInput: -1,
  output: 0,
  ...more,
});
const of = (body: Op['body'], inputs = 0): Op => ({
  inputs: Array.from({ length: inputs }, (_, index) => ({ digest: ID, index })),
  ...(body === undefined ? {} : { body }),
});
const told = (op: Op): string => refusal(() => validateOp(op, ID)).replace(`Cannot read LLB: op ${ID} `, '');

describe('an op that means something', () => {
  test.each<[string, Op, string]>([
    ['nothing', of(undefined), 'has no body'],
    // Steps.
    ['a step', of(exec([mount()])), 'accepted'],
    ['a step without arguments', of(exec([mount()], { args: [] })), 'runs a process without arguments'],
    ['a step at a relative place', of(exec([mount()], { cwd: 'a' })), 'has the working directory "a", which is not absolute'],
    ['a step nowhere', of(exec([mount()], { cwd: '' })), 'has the working directory "", which is not absolute'],
    ['NUL in an argument', of(exec([mount()], { args: ['a\0'] })), 'has a NUL character in a string'],
    ['NUL in a variable', of(exec([mount()], { env: ['a=\0'] })), 'has a NUL character in a string'],
    ['NUL in a user', of(exec([mount()], { user: '\0' })), 'has a NUL character in a string'],
    ['NUL in a host name', of(exec([mount()], { hostname: 'a\0b' })), 'has a NUL character in a string'],
    ['a variable without value', of(exec([mount()], { env: ['a'] })), 'has an environment entry without "="'],
    ['exit codes', of(exec([mount()], { validExitCodes: [0, 255] })), 'accepted'],
    ['exit code 256', of(exec([mount()], { validExitCodes: [256] })), 'accepts exit codes outside 0 to 255'],
    ['exit code -1', of(exec([mount()], { validExitCodes: [-1] })), 'accepts exit codes outside 0 to 255'],
    ['a secret without name', of(exec([mount()], {}, { secretEnv: [{ id: 'a', name: '', optional: false }] })), 'has a secret without id or variable'],
    ['a secret without id', of(exec([mount()], {}, { secretEnv: [{ id: '', name: 'A', optional: false }] })), 'has a secret without id or variable'],
    ['a secret that is two variables', of(exec([mount()], {}, { secretEnv: [{ id: 'a', name: 'A=B', optional: false }] })), 'has a secret without id or variable'],
    // Mounts.
    ['no root', of(exec([mount({ dest: '/a' })])), 'does not have exactly one root mount'],
    ['a root in memory', of(exec([mount({ type: 'tmpfs' })])), 'has a root of type tmpfs'],
    ['a mount without place', of(exec([mount(), mount({ dest: '' })])), 'has a mount without destination'],
    ['NUL in a place', of(exec([mount(), mount({ dest: '/a\0' })])), 'has a NUL character in a string'],
    ['NUL in a part', of(exec([mount(), mount({ dest: '/a', selector: '\0' })])), 'has a NUL character in a string'],
    ['an input that is not there', of(exec([mount({ input: 1 })]), 1), 'has input of mount "/" 1, of 1'],
    ['the last input', of(exec([mount({ input: 1 })]), 2), 'accepted'],
    ['outputs in any order', of(exec([mount({ output: 1 }), mount({ dest: '/a', output: 0 })])), 'accepted'],
    ['an output twice', of(exec([mount({ output: 0 }), mount({ dest: '/a', output: 0 })])), 'makes output 0 twice'],
    ['a gap between outputs', of(exec([mount({ output: 0 }), mount({ dest: '/a', output: 2 })])), 'does not make output 1'],
    ['an output below none', of(exec([mount({ output: -2 })])), 'has output -2 at mount "/"'],
    ['a cache without id', of(exec([mount(), mount({ dest: '/c', type: 'cache', cache: { id: '', sharing: 'shared' } })])), 'has a cache mount without id'],
    ['a cache without options', of(exec([mount(), mount({ dest: '/c', type: 'cache' })])), 'has a cache mount without id'],
    ['NUL in the id of a cache', of(exec([mount(), mount({ dest: '/c', type: 'cache', cache: { id: '\0', sharing: 'shared' } })])), 'has a NUL character in a string'],
    ['a secret mount without id', of(exec([mount(), mount({ dest: '/s', type: 'secret' })])), 'has a secret mount without id'],
    ['an agent without options', of(exec([mount(), mount({ dest: '/s', type: 'ssh' })])), 'has a ssh mount without id'],
    ['less than no memory', of(exec([mount(), mount({ dest: '/t', type: 'tmpfs', tmpfs: { size: -1 } })])), 'has a tmpfs mount with a negative size'],
    // Files.
    ['no actions', of({ kind: 'file', actions: [] }), 'has no file actions'],
    ['an action', of({ kind: 'file', actions: [mkdir()] }), 'accepted'],
    ['no output', of({ kind: 'file', actions: [mkdir({ output: -1 })] }), 'has no output'],
    ['an output twice', of({ kind: 'file', actions: [mkdir(), mkdir()] }), 'makes output 0 twice'],
    ['an action on the one before', of({ kind: 'file', actions: [mkdir({ output: -1 }), mkdir({ input: 0 })] }), 'accepted'],
    ['an action on itself', of({ kind: 'file', actions: [mkdir({ input: 0 })] }), 'has action input 0, of 0'],
    ['an action on the one behind', of({ kind: 'file', actions: [mkdir({ output: -1, input: 1 }), mkdir()] }), 'has action input 1, of 0'],
    ['an empty path', of({ kind: 'file', actions: [mkdir({ path: '' })] }), 'has a mkdir action with an empty path'],
    ['NUL in a path', of({ kind: 'file', actions: [mkdir({ path: 'a\0b' })] }), 'has a NUL character in a string'],
    ['a mode of a device', of({ kind: 'file', actions: [mkdir({ mode: 0o60000 })] }), 'has the mode 24576'],
    ['all of a mode', of({ kind: 'file', actions: [mkdir({ mode: 0o7777 })] }), 'accepted'],
    ['an owner of no input', of({ kind: 'file', actions: [mkdir({ owner: { user: { kind: 'byName', name: 'a', input: 0 } } })] }), 'has input for owner names 0, of 0'],
    ['an owner of scratch', of({ kind: 'file', actions: [mkdir({ owner: { user: { kind: 'byName', name: 'a', input: -1 } } })] }), 'accepted'],
    ['NUL in an owner', of({ kind: 'file', actions: [mkdir({ owner: { group: { kind: 'byName', name: '\0', input: -1 } } })] }), 'has a NUL character in a string'],
    ['an owner that is none', of({ kind: 'file', actions: [mkdir({ owner: { group: {} } })] }), 'names an owner without name or id'],
    // Sources.
    ['a source with inputs', of({ kind: 'source', identifier: 'local://a', attrs: new Map() }, 1), 'is a source and has inputs'],
    ['a source without scheme', of({ kind: 'source', identifier: 'a', attrs: new Map() }), 'is a source with the identifier "a"'],
    ['a source of nothing', of({ kind: 'source', identifier: 'local://', attrs: new Map() }), 'is a source with the identifier "local://"'],
    ['a scheme in capitals', of({ kind: 'source', identifier: 'HTTP://a', attrs: new Map() }), 'is a source with the identifier "HTTP://a"'],
    ['NUL in an attribute', of({ kind: 'source', identifier: 'local://a', attrs: new Map([['x', '\0']]) }), 'has a NUL character in a string'],
    // Merging, comparing, passing on.
    ['a merge of one', of({ kind: 'merge', inputs: [{ input: 0 }] }, 1), 'merges fewer than two inputs'],
    ['a merge with scratch', of({ kind: 'merge', inputs: [{ input: 0 }, { input: -1 }] }, 1), 'merges scratch'],
    ['a merge with itself', of({ kind: 'merge', inputs: [{ input: 0 }, { input: 0 }] }, 1), 'accepted'],
    ['a merge beyond its inputs', of({ kind: 'merge', inputs: [{ input: 0 }, { input: 1 }] }, 1), 'has merge input 1, of 1'],
    ['a difference to scratch', of({ kind: 'diff', lower: { input: -1 }, upper: { input: -1 } }), 'accepted'],
    ['half a difference', of({ kind: 'diff', lower: { input: -1 } } as never), 'is a diff without lower or upper'],
    ['a difference beyond its inputs', of({ kind: 'diff', lower: { input: -1 }, upper: { input: 0 } }), 'has upper input 0, of 0'],
    ['what passes nothing on', of({ kind: 'passthrough', id: 'a', outputs: [] }), 'is a passthrough without id or outputs'],
    ['what passes scratch on', of({ kind: 'passthrough', id: 'a', outputs: [-1] }, 1), 'passes on input -1'],
  ])('%s', (_name, op, message) => {
    expect(told(op)).toBe(message);
  }); // oxfmt-ignore

  test('a container of a frontend is checked as a step is, and called so', () => {
    expect(refusal(() => validateContainer(exec([mount({ input: 0 })]), 1))).toBe('accepted');
    expect(refusal(() => validateContainer(exec([mount({ input: 1 })]), 1))).toBe(
      'Cannot read LLB: the container has input of mount "/" 1, of 1',
    );
    expect(refusal(() => validateContainer(exec([]), 1))).toBe(
      'Cannot read LLB: the container does not have exactly one root mount',
    );
  });
});

describe('outputs', () => {
  test('are those of mounts that are files of the build', () => {
    const types = (['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const).map((type) =>
      carriesOutput(mount({ type, output: 0 })),
    );
    expect(types).toEqual([true, true, true, false, false]);
    expect(carriesOutput(mount({ output: -1 }))).toBe(false);
    expect(
      outputCount(
        of(exec([mount({ output: 0 }), mount({ type: 'secret', output: 0 }), mount({ dest: '/a', output: 1 })])),
      ),
    ).toBe(2);
    expect(
      outputCount(of({ kind: 'file', actions: [mkdir({ output: -1 }), mkdir({ output: 1 }), mkdir({ output: 0 })] })),
    ).toBe(2);
    expect(outputCount(of({ kind: 'passthrough', id: 'a', outputs: [0, 0, 0] }, 1))).toBe(3);
    expect(outputCount(of({ kind: 'diff', lower: { input: -1 }, upper: { input: -1 } }))).toBe(1);
    expect(outputCount(of(undefined))).toBe(1);
  });

  test('of a step that is accepted are numbered from 0 on, and no other can be read', () => {
    const outputs = fc.array(fc.integer({ min: -1, max: 4 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(outputs, (list) => {
        const mounts = list.map((output, index) => mount({ dest: index === 0 ? '/' : `/${index}`, output }));
        const op = of(exec(mounts));
        const present = list.filter((output) => output >= 0).toSorted((a, b) => a - b);
        const isSound = present.every((output, index) => output === index);
        expect(told(op) === 'accepted').toBe(isSound);
        if (!isSound) return;
        const bytes = encodeOp(op);
        for (const index of [-1, 0, 1, 5]) {
          const def = [bytes, encodeOp({ inputs: [{ digest: sha256(bytes), index }] })];
          const found = refusal(() => loadGraph({ def, metadata: new Map() }));
          expect(found === 'accepted').toBe(index >= 0 && index < present.length);
        }
      }),
    );
  });
});
