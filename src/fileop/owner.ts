import type { ChownOptions, UserOption } from '../llb/index.ts';
import { type ReadableTree, resolvePath, toText } from '../tree/index.ts';
import { readSync } from 'node:fs';
import { TsbuildError } from '../util/index.ts';

/** Ids as the image has them. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The largest id that USER takes, too. What is beyond came from a negative number, or is none that a file could have. */
const MAX_ID = 2 ** 31 - 1;

/** passwd and group files beyond this are refused (bytes). */
const MAX_BYTES = 10 << 20;

/**
 * Owner that an action asks for: names are looked up in /etc/passwd and /etc/group of the input that the name refers to.
 * A user without a group gets its primary group, a number its own; a name that is not found becomes 0, with a warning, as BuildKit has it;
 * where there is no image to look into, it is refused, as by BuildKit.
 * A number that is no id and no name either must not become root's.
 * @throws TsbuildError `TSB_DOCKERFILE`
 * @param treeOf the tree of an input, undefined where it has none
 */
export function resolveOwner(
  owner: ChownOptions | undefined,
  treeOf: (input: number) => ReadableTree<unknown> | undefined,
  warn: (message: string) => void,
): Owner | undefined {
  if (!owner) return undefined;
  let uid = 0;
  let gid = 0;
  if (owner.user?.kind === 'byId') uid = gid = owner.user.id;
  else if (owner.user) {
    const fields = find(owner.user, '/etc/passwd', treeOf);
    uid = parseId(fields?.[2]);
    gid = parseId(fields?.[3]);
    if (!fields) refuseNumber(owner.user.name);
    if (!fields) warn(`User "${owner.user.name}" is not in /etc/passwd of the image: 0 is used`);
  }
  if (owner.group?.kind === 'byId') gid = owner.group.id;
  else if (owner.group) {
    const fields = find(owner.group, '/etc/group', treeOf);
    if (!fields) refuseNumber(owner.group.name);
    if (fields) gid = parseId(fields[2]);
    else warn(`Group "${owner.group.name}" is not in /etc/group of the image: ${gid} is used`);
  }
  for (const id of [uid, gid]) if (id > MAX_ID) throw noId(String(id));
  return { uid, gid };
}

/** Ids reach the graph as names only where they are beyond what an id can be. */
function refuseNumber(name: string): void {
  if (/^[+-]?\d+$/.test(name)) throw noId(name);
}

const noId = (text: string): TsbuildError =>
  new TsbuildError('TSB_DOCKERFILE', `Cannot use owner "${text}": it is not an id from 0 to ${MAX_ID}`);

const noNames = (name: string): TsbuildError =>
  new TsbuildError('TSB_DOCKERFILE', `Cannot look up owner "${name}": what is built on scratch has no /etc/passwd`, {
    hint: 'name the owner by its ids, such as 1000:1000',
  });

function find(
  option: Extract<UserOption, { kind: 'byName' }>,
  path: string,
  treeOf: (input: number) => ReadableTree<unknown> | undefined,
): readonly string[] | undefined {
  if (option.input < 0) throw noNames(option.name);
  const tree = treeOf(option.input);
  const text = tree ? readSmall(tree, path) : undefined;
  for (const line of text?.split('\n') ?? []) {
    const fields = line.trim().split(':');
    if (fields[0] === option.name && fields.length >= 3) return fields;
  }
  return undefined;
}

function parseId(text: string | undefined): number {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : 0;
}

/** A regular file's text, or undefined when there is no such file. */
function readSmall<D>(tree: ReadableTree<D>, path: string): string | undefined {
  const located = resolvePath(tree, path, { followLast: true });
  try {
    const { node, name, parent } = located;
    if (!node) return undefined;
    if (node.type !== 'file') {
      throw new TsbuildError('TSB_IMAGE', `Cannot look up a user in "${path}" of the image: it is not a regular file`);
    }
    if (node.size > MAX_BYTES) {
      throw new TsbuildError('TSB_IMAGE', `Cannot look up a user in "${path}" of the image: it is larger than 10 MiB`);
    }
    const bytes = Buffer.alloc(node.size);
    const fd = tree.open(parent, name, node);
    let length = 0;
    try {
      for (let count = 1; count > 0 && length < bytes.length; length += count) {
        count = readSync(fd, bytes, length, bytes.length - length, null);
      }
    } finally {
      tree.close(fd, parent, name, node);
    }
    return toText(bytes.toString('latin1', 0, length));
  } finally {
    located.release();
  }
}
