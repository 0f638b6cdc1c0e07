import { cleanPath } from '../patterns/index.ts';
import { joinPath } from './go-path.ts';
import {
  type AnyOutput,
  InputList,
  type MarshalContext,
  makeOp,
  Node,
  type OpOptions,
  type Output,
  resolveOutput,
} from './node.ts';
import type { ChownOptions, FileAction, FileActionBody, Op, UserOption } from './ops.ts';

/** Owner of what an action makes: names are looked up in the tree that the action changes. */
export interface Owner {
  readonly user?: string | number;
  readonly group?: string | number;
}

/** How files are copied. What is left out is protobuf's default: false or empty. */
export interface CopyOptions {
  readonly owner?: Owner;
  /** Permission bits, or a symbolic mode such as `u+x`. */
  readonly mode?: number | string;
  readonly followSymlinks?: boolean;
  readonly copyDirContentsOnly?: boolean;
  readonly attemptUnpack?: boolean;
  readonly createDestPath?: boolean;
  readonly allowWildcard?: boolean;
  readonly allowEmptyWildcard?: boolean;
  readonly alwaysReplaceExistingDestPaths?: boolean;
  readonly includePatterns?: readonly string[];
  readonly excludePatterns?: readonly string[];
  readonly requiredPaths?: readonly string[];
  /** Nanoseconds since the epoch. */
  readonly createdTime?: bigint | undefined;
}

/** What a new file, directory or link gets. */
export interface CreateOptions {
  readonly owner?: Owner;
  /** Nanoseconds since the epoch. */
  readonly createdTime?: bigint | undefined;
}

/** An action before it is bound to the tree that it changes. Relative paths start at the state's directory. */
export type PendingAction =
  | {
      readonly kind: 'copy';
      readonly from: CopySource;
      readonly src: string;
      readonly dest: string;
      readonly options: CopyOptions;
    }
  | {
      readonly kind: 'mkfile';
      readonly path: string;
      readonly mode: number;
      readonly data: Uint8Array;
      readonly options: CreateOptions;
    }
  | {
      readonly kind: 'mkdir';
      readonly path: string;
      readonly mode: number;
      readonly makeParents: boolean;
      readonly options: CreateOptions;
    }
  | { readonly kind: 'rm'; readonly path: string; readonly allowNotFound: boolean; readonly allowWildcard: boolean }
  | { readonly kind: 'symlink'; readonly oldPath: string; readonly newPath: string; readonly options: CreateOptions };

/** The tree that a copy reads. */
export interface CopySource {
  /** Undefined is scratch. */
  readonly output: AnyOutput | undefined;
  /** Where relative source paths start. */
  readonly dir: string;
}

/** A file op under construction: actions one after the other on one tree. */
export class FileNode extends Node {
  readonly #base: AnyOutput | undefined;
  readonly #dir: string;
  readonly #actions: readonly PendingAction[];

  constructor(base: AnyOutput | undefined, dir: string, actions: readonly PendingAction[], options: OpOptions) {
    super(options);
    this.#base = base;
    this.#dir = dir;
    this.#actions = actions;
  }

  inputs(): readonly (Output | undefined)[] {
    const sources = this.#actions.flatMap((action) => (action.kind === 'copy' ? [action.from.output] : []));
    return [this.#base, ...sources.reverse()].map(resolveOutput);
  }

  toOp(context: MarshalContext): Op {
    const inputs = new InputList();
    const base = inputs.add(context.input(resolveOutput(this.#base)));
    const secondary = this.#actions.map((action) =>
      action.kind === 'copy' ? inputs.add(context.input(resolveOutput(action.from.output))) : -1,
    );
    const actions = this.#actions.map((action, index): FileAction => ({
      input: index === 0 ? base : inputs.list.length + index - 1,
      secondaryInput: secondary[index] ?? -1,
      output: index === this.#actions.length - 1 ? 0 : -1,
      ...this.#body(action, base),
    }));
    return makeOp({ kind: 'file', actions }, inputs.list);
  }

  /** There are names for options of actions, too: BuildKit's client looks for them before it has any action, and so finds none. */
  caps(): readonly string[] {
    return ['file.base'];
  }

  #body(action: PendingAction, base: number): FileActionBody {
    switch (action.kind) {
      case 'copy':
        return copyBody(action, this.#dir, base);
      case 'mkfile':
        return {
          kind: 'mkfile',
          path: anchored(this.#dir, action.path),
          mode: action.mode & 0o777,
          data: new Uint8Array(action.data),
          ...owner(action.options.owner, base),
          timestamp: action.options.createdTime ?? -1n,
        };
      case 'mkdir':
        return {
          kind: 'mkdir',
          path: anchored(this.#dir, action.path),
          mode: action.mode & 0o777,
          makeParents: action.makeParents,
          ...owner(action.options.owner, base),
          timestamp: action.options.createdTime ?? -1n,
        };
      case 'rm': {
        const { allowNotFound, allowWildcard } = action;
        return { kind: 'rm', path: anchored(this.#dir, action.path), allowNotFound, allowWildcard };
      }
      case 'symlink':
        return {
          kind: 'symlink',
          oldPath: action.oldPath,
          newPath: action.newPath,
          ...owner(action.options.owner, base),
          timestamp: action.options.createdTime ?? -1n,
        };
      default:
        return action satisfies never;
    }
  }
}

function copyBody(action: Extract<PendingAction, { kind: 'copy' }>, dir: string, base: number): FileActionBody {
  const { options } = action;
  const src = cleanPath(action.src);
  return {
    kind: 'copy',
    src: src.startsWith('/') ? src : joinPath(action.from.dir, src),
    dest: withTrailing(action.dest, anchored(dir, action.dest)),
    ...owner(options.owner, base),
    mode: options.mode === undefined ? -1 : typeof options.mode === 'number' ? options.mode : 0,
    modeStr: typeof options.mode === 'string' ? options.mode : '',
    followSymlink: options.followSymlinks ?? false,
    dirCopyContents: options.copyDirContentsOnly ?? false,
    attemptUnpack: options.attemptUnpack ?? false,
    createDestPath: options.createDestPath ?? false,
    allowWildcard: options.allowWildcard ?? false,
    allowEmptyWildcard: options.allowEmptyWildcard ?? false,
    timestamp: options.createdTime ?? -1n,
    includePatterns: options.includePatterns ?? [],
    excludePatterns: options.excludePatterns ?? [],
    alwaysReplaceExistingDestPaths: options.alwaysReplaceExistingDestPaths ?? false,
    requiredPaths: options.requiredPaths ?? [],
  };
}

function anchored(dir: string, path: string): string {
  const clean = cleanPath(path);
  return clean.startsWith('/') ? clean : joinPath('/', dir, clean);
}

/** A copy's destination keeps `/` and `/.` at its end: they say that it is a directory. */
function withTrailing(original: string, path: string): string {
  if (original.endsWith('/') && !path.endsWith('/')) return `${path}/`;
  if (original.endsWith('/.')) return path === '/' ? '/.' : `${path}/.`;
  return path;
}

function owner(value: Owner | undefined, base: number): { readonly owner?: ChownOptions } {
  if (value === undefined) return {};
  const user = userOption(value.user, base);
  const group = userOption(value.group, base);
  return { owner: { ...(user === undefined ? {} : { user }), ...(group === undefined ? {} : { group }) } };
}

function userOption(value: string | number | undefined, base: number): UserOption | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '') return { kind: 'byName', name: value, input: base };
  return { kind: 'byId', id: typeof value === 'number' ? value >>> 0 : 0 };
}

/** Parses `user[:group]`; `root` and numbers become ids, as BuildKit's client has it. */
export function parseOwner(text: string): Owner {
  const colon = text.indexOf(':');
  const user = parseId(colon < 0 ? text : text.slice(0, colon));
  return colon < 0 ? { user } : { user, group: parseId(text.slice(colon + 1)) };
}

function parseId(text: string): string | number {
  if (text === 'root') return 0;
  if (!/^[+-]?\d+$/.test(text)) return text;
  const id = Number(text);
  return id >= -(2 ** 31) && id < 2 ** 31 ? id : text;
}
