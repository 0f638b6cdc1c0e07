import fs from 'node:fs';
import { join } from 'node:path';
import { errnoOf, makeDirectories, randomHex, TsbuildError } from '../util/index.ts';
import { storeError } from './write-error.ts';

/** Version of the store's directory layout. Another number is refused, never converted silently. The index has its own version. */
export const FORMAT = 1;

/** The names of everything in a store. */
export interface StoreLayout {
  readonly root: string;
  /** `blobs/sha256`, as in an OCI image layout. */
  readonly blobs: string;
  /** `ingest/<session>/<random>`: blobs that are being written. */
  readonly ingest: string;
  readonly snapshots: string;
  readonly mounts: string;
  readonly images: string;
  readonly locks: string;
  /** One file per process that uses the store, locked by the kernel while the process lives. */
  readonly sessions: string;
  readonly statcache: string;
  /** Directories that are out of use and wait to be deleted. */
  readonly garbage: string;
  /** Output of failed steps. */
  readonly logs: string;
  /** What is remembered of the last builds. */
  readonly reports: string;
  /** `containers/<id>/`: what containers are, and what they have written; `containers/by-name/`: their names. */
  readonly containers: string;
  /** `volumes/<name>/`: directories that containers share and leave behind. */
  readonly volumes: string;
  /** `networks/<name>/`: networks that containers share. */
  readonly networks: string;
  /** Space that is kept back for a full disk. */
  readonly reserve: string;
  /** `{"format":1,"index":"index.sqlite"}` */
  readonly header: string;
}

/** Where everything is in a store, whether it is there or not. */
export function storeLayout(root: string): StoreLayout {
  return {
    root,
    blobs: join(root, 'blobs', 'sha256'),
    ingest: join(root, 'ingest'),
    snapshots: join(root, 'snapshots'),
    mounts: join(root, 'mounts'),
    images: join(root, 'images'),
    locks: join(root, 'locks'),
    sessions: join(root, 'sessions'),
    statcache: join(root, 'statcache'),
    garbage: join(root, 'garbage'),
    logs: join(root, 'logs'),
    reports: join(root, 'reports'),
    containers: join(root, 'containers'),
    volumes: join(root, 'volumes'),
    networks: join(root, 'networks'),
    reserve: join(root, 'reserve'),
    header: join(root, 'store.json'),
  };
}

/** 128 random bits in hex: names for temporary files, sessions and layers (pids repeat across containers). */
export function randomId(): string {
  return randomHex(16);
}

/** What `store.json` says. */
export interface StoreHeader {
  /** File name of the index in the root. */
  readonly index: string;
}

/**
 * Makes sure that `root` is a store that only this user can write to, and creates it when there is none.
 * @throws TsbuildError `TSB_STORE` when it belongs to somebody else, others can write to it, it is a symlink, it holds
 * something else, or its format is unknown
 */
export function openLayout(layout: StoreLayout): StoreHeader {
  const { root } = layout;
  try {
    if (!checkRoot(root)) makeDirectories(root, 0o700);
    const header = readHeader(layout);
    if (header) return header;
    return createLayout(layout);
  } catch (error) {
    throw storeError(error, `Cannot use store ${JSON.stringify(root)}`, root);
  }
}

/**
 * Where the parts of a store are, for who only looks at files in it. It need not be there; if it is, nobody else can write to it.
 * @throws TsbuildError `TSB_STORE` as `openLayout`
 */
export function trustedLayout(root: string): StoreLayout {
  try {
    checkRoot(root);
    return storeLayout(root);
  } catch (error) {
    throw storeError(error, `Cannot use store ${JSON.stringify(root)}`, root);
  }
}

function checkRoot(root: string): boolean {
  const stat = fs.lstatSync(root, { throwIfNoEntry: false });
  if (!stat) return false;
  const refuse = (why: string, hint: string): TsbuildError =>
    new TsbuildError('TSB_STORE', `Cannot use store ${JSON.stringify(root)}: ${why}`, { hint });
  if (stat.isSymbolicLink())
    throw refuse('it is a symbolic link', 'set TSBUILD_ROOT to the directory that it points at');
  if (!stat.isDirectory()) throw refuse('it is not a directory', 'set TSBUILD_ROOT to another path');
  const uid = process.getuid?.();
  if (uid !== undefined && stat.uid !== uid)
    throw refuse(`it belongs to user ${stat.uid}, not to you`, 'set TSBUILD_ROOT to a directory of your own');
  if (stat.mode & 0o022) throw refuse('other users can write to it', `if you trust its content: chmod 700 ${root}`);
  // Layers hold setuid files of images: others must not reach them (CVE-2021-41091).
  if (stat.mode & 0o055) fs.chmodSync(root, 0o700);
  return true;
}

function readHeader(layout: StoreLayout): StoreHeader | undefined {
  let text: string;
  try {
    text = fs.readFileSync(layout.header, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (errnoOf(error) === 'EACCES' && makeReadable(layout.header)) return readHeader(layout);
    if (errnoOf(error) !== 'EISDIR') throw error;
    fs.rmSync(layout.header, { recursive: true, force: true });
    return undefined;
  }
  const header = parseHeader(text);
  if (header?.format === FORMAT && typeof header.index === 'string' && /^index[-0-9]*\.sqlite$/.test(header.index))
    return { index: header.index };
  // Damaged: it says no more than where the index is, which is found again.
  if (typeof header?.format !== 'number' || header.format === FORMAT) return undefined;
  throw new TsbuildError(
    'TSB_STORE',
    `Cannot use store ${JSON.stringify(layout.root)}: it has format ${header.format}, this version of tsbuild knows format ${FORMAT}`,
    {
      hint: `use the version of tsbuild that made it, or set TSBUILD_ROOT to another directory; if no other version was used, delete ${layout.header}`,
    },
  );
}

/** Lets the owner read and write a file again. @returns whether that was what was missing, and could be given */
export function makeReadable(path: string): boolean {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile() || stat.uid !== process.getuid?.() || (stat.mode & 0o600) === 0o600) return false;
  fs.chmodSync(path, 0o600);
  return true;
}

function parseHeader(text: string): { format?: unknown; index?: unknown } | null | undefined {
  try {
    return JSON.parse(text) as { format?: unknown; index?: unknown } | null;
  } catch {
    return undefined;
  }
}

function createLayout(layout: StoreLayout): StoreHeader {
  const { root, header: _header, blobs, reserve, ...rest } = layout;
  // In `private` the worker has files that no other process sees.
  const known = new Set([...Object.values(rest), reserve, join(root, 'blobs'), join(root, 'private')]);
  const foreign = fs
    .readdirSync(root)
    .find((name) => !known.has(join(root, name)) && !/^(index|store\.json)/.test(name) && name !== 'lost+found');
  if (foreign !== undefined) {
    throw new TsbuildError(
      'TSB_STORE',
      `Cannot make a store in ${JSON.stringify(root)}: it holds other files, for example ${JSON.stringify(foreign)}`,
      { hint: 'set TSBUILD_ROOT to an empty directory' },
    );
  }
  for (const dir of [blobs, ...Object.values(rest)]) fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  const index = newestIndex(root);
  writeHeader(layout, { index });
  return { index };
}

/** An index that was given up for a new one has a lower number. */
function newestIndex(root: string): string {
  const numberOf = (name: string): number => Number(/\d+/.exec(name)?.[0] ?? 0);
  const names = fs.readdirSync(root).filter((name) => /^index[-0-9]*\.sqlite$/.test(name));
  return names.sort((a, b) => numberOf(b) - numberOf(a))[0] ?? 'index.sqlite';
}

/** Replaces `store.json` durably. */
export function writeHeader(layout: StoreLayout, header: StoreHeader): void {
  writeFileDurably(layout.header, `${JSON.stringify({ format: FORMAT, index: header.index })}\n`, layout.root);
}

/** Writes a small file so that after any crash it is there in full, or the one before is. */
export function writeFileDurably(path: string, content: string, temporaryDir: string): void {
  const temporary = join(temporaryDir, `index-${randomId()}.tmp`);
  try {
    const fd = fs.openSync(temporary, 'wx', 0o600);
    try {
      // Not `writeSync`, which may write a part only.
      fs.writeFileSync(fd, content);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectory(join(path, '..'));
}

/** `fsync` by libuv's pool. */
export function fsync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fsync(fd, (error) => (error ? reject(error) : resolve()));
  });
}

/** {@link syncDirectory} without waiting in this thread. */
export async function syncDirectoryBeside(path: string): Promise<void> {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    await fsync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Makes renames within a directory durable. */
export function syncDirectory(path: string): void {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
