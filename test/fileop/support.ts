import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  runFileActions,
  writeFileOpDirectory,
  type FileInput,
  type FileOpHost,
  type FileOpParams,
} from '../../src/fileop/index.ts';
import type { CopyAction, FileAction, FileActionBody } from '../../src/llb/index.ts';
import { type LayerSink, TarReader } from '../../src/layer/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { mountOverlay, umount } from '../../src/sys/index.ts';
import {
  ContextTree,
  type ContextOptions,
  LayersTree,
  encodeContext,
  type ReadableTree,
  toText,
  walkTree,
} from '../../src/tree/index.ts';

/** A directory tree to make: text is a file, `->x` a symlink, null an empty directory, numbers before a colon a mode. */
export type Spec = { readonly [name: string]: string | Buffer | null | Spec | SpecFile };

export interface SpecFile {
  readonly file: string | Buffer;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly link?: string;
}

export class Scratch {
  readonly root: string = fs.mkdtempSync(join(tmpdir(), 'tsbuild-fileop-'));
  #count = 0;
  readonly mounts: string[] = [];

  dir(name = 'd'): string {
    const path = join(this.root, `${name}${this.#count++}`);
    fs.mkdirSync(path, { recursive: true });
    return path;
  }

  tree(spec: Spec): string {
    const path = this.dir('tree');
    fs.chmodSync(path, 0o755);
    writeSpec(path, spec);
    fs.utimesSync(path, TIME, TIME);
    return path;
  }

  [Symbol.dispose](): void {
    for (const mount of this.mounts.toReversed()) umount(mount);
    fs.rmSync(this.root, { recursive: true, force: true });
  }
}

const TIME = 1_700_000_000;

export function writeSpec(dir: string, spec: Spec): void {
  for (const [name, value] of Object.entries(spec)) {
    const path = join(dir, name);
    if (value === null) fs.mkdirSync(path);
    else if (typeof value === 'string' && value.startsWith('->')) fs.symlinkSync(value.slice(2), path);
    else if (typeof value === 'string' || Buffer.isBuffer(value)) fs.writeFileSync(path, value);
    else if (isFile(value)) {
      if (value.link === undefined) fs.writeFileSync(path, value.file);
      else fs.linkSync(join(dir, value.link), path);
      if (value.uid !== undefined) fs.chownSync(path, value.uid, value.gid ?? value.uid);
      if (value.mode !== undefined) fs.chmodSync(path, value.mode);
    } else {
      fs.mkdirSync(path);
      writeSpec(path, value);
    }
    if (value !== null && !(typeof value === 'string' && value.startsWith('->')) && !Buffer.isBuffer(value)) {
      const time = typeof value === 'object' && isFile(value) ? (value.mtime ?? TIME) : TIME;
      fs.utimesSync(path, time, time);
    } else fs.lutimesSync(path, TIME, TIME);
  }
}

function isFile(value: Spec | SpecFile): value is SpecFile {
  return typeof value['file'] === 'string' || Buffer.isBuffer(value['file']);
}

export function context(path: string, options: ContextOptions = {}): FileInput {
  const tree = ContextTree.open(path, options);
  const touched = tree.record(() => walkTree(tree, tree.root, undefined, () => {}));
  return { kind: 'context', context: encodeContext(tree, touched) };
}

export function layers(...dirs: string[]): FileInput {
  return { kind: 'layers', layers: dirs };
}

/** A host that mounts overlays, or uses a plain directory on scratch. */
export function overlayHost(scratch: Scratch): FileOpHost {
  return {
    createRoot: (lowers) => {
      const layer = scratch.dir('upper');
      if (lowers.length === 0) return { path: layer, layer, freeze: () => {}, discard: () => {} };
      const path = scratch.dir('mount');
      mountOverlay(path, { lowers, upper: layer, work: scratch.dir('work') });
      scratch.mounts.push(path);
      const unmount = (): void => {
        umount(path);
        scratch.mounts.splice(scratch.mounts.indexOf(path), 1);
      };
      return { path, layer, freeze: unmount, discard: unmount };
    },
  };
}

export const NOW: bigint = 1_750_000_000_000_000_000n;

const task = { signal: new AbortController().signal };

export const copyDefaults: CopyAction = {
  kind: 'copy',
  src: '/',
  dest: '/',
  mode: -1,
  followSymlink: true,
  dirCopyContents: true,
  attemptUnpack: false,
  createDestPath: true,
  allowWildcard: true,
  allowEmptyWildcard: true,
  timestamp: -1n,
  includePatterns: [],
  excludePatterns: [],
  alwaysReplaceExistingDestPaths: false,
  modeStr: '',
  requiredPaths: [],
};

/** A copy with the options of COPY, from input 1. */
export function copy(src: string, dest: string, options: Partial<CopyAction> = {}): CopyAction {
  return { ...copyDefaults, src, dest, ...options };
}

/** A chain of actions on input 0 that reads input 1. */
export function chain(bodies: readonly FileActionBody[], inputs = 2): FileAction[] {
  return bodies.map((body, index) => ({
    ...body,
    input: index === 0 ? 0 : inputs + index - 1,
    secondaryInput: body.kind === 'copy' ? 1 : -1,
    output: index === bodies.length - 1 ? 0 : -1,
  }));
}

/** Mode, owner and content of everything in a tree, by path. Times of `NOW` and later are `now`. */
export function describeTree<D>(tree: ReadableTree<D>): Record<string, string> {
  const found: Record<string, string> = {};
  const links = new Map<string, string>();
  walkTree(tree, tree.root, undefined, ({ dir, name, node, path }) => {
    let content = node.linkname === '' ? '' : ` -> ${toText(node.linkname)}`;
    if (node.type === 'file') {
      const fd = tree.open(dir, name, node);
      content = ` ${JSON.stringify(fs.readFileSync(fd, 'latin1'))}`;
      tree.close(fd, dir, name, node);
    }
    const first = node.hardlink === undefined ? undefined : links.get(node.hardlink);
    if (node.hardlink !== undefined && first === undefined) links.set(node.hardlink, path);
    const time = node.mtimeNs >= NOW ? 'now' : String(node.mtimeNs / 1_000_000_000n);
    const mode = node.type === 'symlink' ? '' : node.mode.toString(8);
    const xattrs = tree.xattrs(dir, name, node).map((x) => ` ${x.name}=${Buffer.from(x.value).toString('latin1')}`);
    found[toText(path)] =
      `${node.type} ${mode} ${node.uid}:${node.gid} ${time}${content}${first === undefined ? '' : ` = ${toText(first)}`}${xattrs.join('')}`;
  });
  return found;
}

/** Runs the actions on a mount and returns the merged result. */
export async function runOnMount(
  scratch: Scratch,
  actions: readonly FileAction[],
  inputs: readonly FileInput[],
  options: Partial<FileOpParams> = {},
): Promise<{ readonly tree: LayersTree; readonly warnings: readonly string[]; readonly layer: string }> {
  const params = { actions, inputs, idShift: 0, now: NOW, ...options };
  const { outputs, warnings } = await runFileActions(params, overlayHost(scratch), task);
  const [output] = outputs;
  if (!output) throw new Error('no output');
  const tree = new LayersTree([...output.lowers, output.root.layer], { idShift: params.idShift });
  return { tree, warnings, layer: output.root.layer };
}

/** Runs the actions in memory, and writes the entries into a layer directory. */
export async function runInMemory(
  scratch: Scratch,
  actions: readonly FileAction[],
  inputs: readonly FileInput[],
  options: Partial<FileOpParams> = {},
): Promise<LayersTree> {
  const params = { actions, inputs, idShift: 0, now: NOW, ...options };
  const layer = scratch.dir('written');
  const made = await writeFileOpDirectory(params, layer, task);
  if (!made) throw new Error('not possible in memory');
  return new LayersTree([...made.lowers, layer], { idShift: params.idShift });
}

/** A layer blob kept in memory. */
export class MemorySink implements LayerSink {
  readonly #chunks: Buffer[] = [];

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  write(chunk: Uint8Array): void {
    this.#chunks.push(Buffer.from(chunk));
  }

  commit(): { readonly digest: Digest; readonly size: number } {
    return { digest: sha256(this.bytes), size: this.bytes.length };
  }

  abort(): void {
    this.#chunks.length = 0;
  }
}

/** The entries of a plain tar archive with their contents, one line each. Times of `NOW` and later are `now`. */
export function entriesOf(tar: Buffer): string[] {
  const lines: string[] = [];
  let content = '';
  const reader = new TarReader({
    entry: () => {
      content = '';
    },
    data: (chunk) => {
      content += chunk.toString('latin1');
    },
    end: ({ path, type, mode, uid, gid, mtime, linkPath, xattrs }) => {
      const time = BigInt(mtime.sec) * 1_000_000_000n >= NOW ? 'now' : mtime.sec;
      lines.push(
        JSON.stringify([path, type, mode.toString(8), uid, gid, time, linkPath, content, [...(xattrs ?? [])]]),
      );
    },
  });
  reader.push(tar);
  reader.finish();
  return lines;
}
