import type { Digest } from '../util/index.ts';
import type { ChownOptions, ExecOp, FileAction, FileOp, Mount, Op, SourceOp, UserOption } from './ops.ts';
import { malformed } from './wire.ts';

/**
 * Checks what an op means beyond its form: every index lies within its range, paths hold no NUL, options fit their mount.
 * @throws TsbuildError `TSB_LLB` naming the op
 */
export function validateOp(op: Op, digest: Digest): void {
  const { body } = op;
  const fail = (problem: string): never => {
    throw malformed(`op ${digest} ${problem}`);
  };
  const checkIndex = (index: number, count: number, what: string): void => {
    if (!Number.isInteger(index) || index < -1 || index >= count) fail(`has ${what} ${index}, of ${count}`);
  };
  switch (body?.kind) {
    case 'exec':
      return validateExec(body, op.inputs.length, fail, checkIndex);
    case 'source':
      if (op.inputs.length > 0) fail('is a source and has inputs');
      return validateSource(body, fail);
    case 'file':
      return validateFile(body, op.inputs.length, fail, checkIndex);
    case 'merge':
      if (body.inputs.length < 2) fail('merges fewer than two inputs');
      for (const { input } of body.inputs) {
        checkIndex(input, op.inputs.length, 'merge input');
        if (input < 0) fail('merges scratch');
      }
      return undefined;
    case 'diff':
      if (body.lower === undefined || body.upper === undefined) return fail('is a diff without lower or upper');
      checkIndex(body.lower.input, op.inputs.length, 'lower input');
      return checkIndex(body.upper.input, op.inputs.length, 'upper input');
    case 'passthrough':
      if (body.id === '' || body.outputs.length === 0) fail('is a passthrough without id or outputs');
      for (const output of body.outputs)
        if (output < 0 || output >= op.inputs.length) fail(`passes on input ${output}`);
      return undefined;
    case 'build':
      for (const { input } of body.inputs.values()) checkIndex(input, op.inputs.length, 'build input');
      return undefined;
    case undefined:
      return fail('has no body');
    default:
      return body satisfies never;
  }
}

/**
 * Checks an exec op that is no part of a graph: a container of a frontend, or a program in it.
 * @param inputs how many inputs it has
 * @throws TsbuildError `TSB_LLB`
 */
export function validateContainer(exec: ExecOp, inputs: number): void {
  const fail = (problem: string): never => {
    throw malformed(`the container ${problem}`);
  };
  validateExec(exec, inputs, fail, (index, count, what) => {
    if (index < -1 || index >= count) fail(`has ${what} ${index}, of ${count}`);
  });
}

/** How many outputs the op has. */
export function outputCount(op: Op): number {
  const { body } = op;
  switch (body?.kind) {
    case 'exec':
      return body.mounts.filter((mount) => carriesOutput(mount)).length;
    case 'file':
      return body.actions.filter((action) => action.output >= 0).length;
    case 'passthrough':
      return body.outputs.length;
    default:
      return 1;
  }
}

/** Whether the mount becomes an output of its op. Secret and ssh mounts never do, though their `output` is 0 on the wire. */
export function carriesOutput(mount: Mount): boolean {
  return mount.output >= 0 && (mount.type === 'bind' || mount.type === 'cache' || mount.type === 'tmpfs');
}

type Fail = (problem: string) => never;
type CheckIndex = (index: number, count: number, what: string) => void;

/** A step needs one root, and its outputs must be numbered without gaps. */
function validateExec(exec: ExecOp, inputs: number, fail: Fail, checkIndex: CheckIndex): void {
  // An absent message decodes to undefined, whatever the type of a complete op says.
  const meta = exec.meta as ExecOp['meta'] | undefined;
  if (meta === undefined) return fail('runs a process without saying which');
  if (meta.args.length === 0) fail('runs a process without arguments');
  if (!meta.cwd.startsWith('/')) fail(`has the working directory ${JSON.stringify(meta.cwd)}, which is not absolute`);
  for (const text of [...meta.args, ...meta.env, meta.cwd, meta.user, meta.hostname]) noNul(text, fail);
  if (meta.env.some((entry) => !entry.includes('='))) fail('has an environment entry without "="');
  if (exec.mounts.filter((mount) => mount.dest === '/').length !== 1) fail('does not have exactly one root mount');
  const outputs = new Set<number>();
  for (const mount of exec.mounts) {
    validateMount(mount, inputs, fail, checkIndex);
    if (!carriesOutput(mount)) continue;
    if (outputs.has(mount.output)) fail(`makes output ${mount.output} twice`);
    outputs.add(mount.output);
  }
  for (let index = 0; index < outputs.size; index++) if (!outputs.has(index)) fail(`does not make output ${index}`);
  for (const secret of exec.secretEnv) {
    if (secret.id === '' || !/^[^=\0]+$/.test(secret.name)) fail('has a secret without id or variable');
  }
  if (meta.validExitCodes.some((code) => code < 0 || code > 255)) fail('accepts exit codes outside 0 to 255');
}

function validateMount(mount: Mount, inputs: number, fail: Fail, checkIndex: CheckIndex): void {
  const { dest, selector, type } = mount;
  noNul(dest, fail);
  noNul(selector, fail);
  if (dest === '') fail('has a mount without destination');
  checkIndex(mount.input, inputs, `input of mount ${JSON.stringify(dest)}`);
  if (mount.output < -1) fail(`has output ${mount.output} at mount ${JSON.stringify(dest)}`);
  if (type === 'cache' && !mount.cache?.id) fail('has a cache mount without id');
  if (type === 'cache') noNul(mount.cache?.id ?? '', fail);
  if ((type === 'secret' && !mount.secret?.id) || (type === 'ssh' && mount.ssh === undefined)) {
    fail(`has a ${type} mount without id`);
  }
  if (type === 'tmpfs' && (mount.tmpfs?.size ?? 0) < 0) fail('has a tmpfs mount with a negative size');
  if (dest === '/' && type !== 'bind') fail(`has a root of type ${type}`);
}

function validateSource(source: SourceOp, fail: Fail): void {
  if (!/^[a-z][a-z0-9+-]*:\/\/./.test(source.identifier)) {
    fail(`is a source with the identifier ${JSON.stringify(source.identifier.slice(0, 100))}`);
  }
  noNul(source.identifier, fail);
  for (const value of source.attrs.values()) noNul(value, fail);
}

function validateFile(file: FileOp, inputs: number, fail: Fail, checkIndex: CheckIndex): void {
  if (file.actions.length === 0) fail('has no file actions');
  const outputs = new Set<number>();
  for (const [index, action] of file.actions.entries()) {
    // An action reads inputs of the op and results of earlier actions only, so there can be no cycle.
    checkIndex(action.input, inputs + index, 'action input');
    checkIndex(action.secondaryInput, inputs + index, 'secondary action input');
    if (action.output < -1) fail(`has action output ${action.output}`);
    if (action.output >= 0) {
      if (outputs.has(action.output)) fail(`makes output ${action.output} twice`);
      outputs.add(action.output);
    }
    validateAction(action, inputs, fail, checkIndex);
  }
  if (outputs.size === 0) fail('has no output');
  for (let index = 0; index < outputs.size; index++) if (!outputs.has(index)) fail(`does not make output ${index}`);
}

function validateAction(action: FileAction, inputs: number, fail: Fail, checkIndex: CheckIndex): void {
  const kind = action.kind as FileAction['kind'] | undefined;
  if (kind === undefined) return fail('has an empty file action');
  for (const path of actionPaths(action)) {
    noNul(path, fail);
    if (path === '') fail(`has a ${kind} action with an empty path`);
  }
  if ('mode' in action && (action.mode < -1 || action.mode > 0o7777)) fail(`has the mode ${action.mode}`);
  if ('owner' in action && action.owner) validateOwner(action.owner, inputs, fail, checkIndex);
  if (action.kind === 'symlink') noNul(action.oldPath, fail);
  return undefined;
}

function actionPaths(action: FileAction): readonly string[] {
  if (action.kind === 'copy') return [action.src, action.dest];
  return [action.kind === 'symlink' ? action.newPath : action.path];
}

function validateOwner(owner: ChownOptions, inputs: number, fail: Fail, checkIndex: CheckIndex): void {
  for (const option of [owner.user, owner.group]) {
    if (option === undefined) continue;
    const kind = option.kind as UserOption['kind'] | undefined;
    if (kind === undefined) fail('names an owner without name or id');
    if (option.kind === 'byName') {
      checkIndex(option.input, inputs, 'input for owner names');
      noNul(option.name, fail);
    }
  }
}

/** Paths and names end at a NUL for the kernel, and would mean something else there. */
function noNul(text: string, fail: Fail): void {
  if (text.includes('\0')) fail('has a NUL character in a string');
}
