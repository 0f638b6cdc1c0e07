import fs from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest } from '../util/index.ts';
import { emptyGarbage, removeEmptyLayers } from './garbage.ts';
import { imageBlobs } from './image-graph.ts';
import { discard } from './layers.ts';
import { sameStamp } from './stamp.ts';
import type { Store } from './store.ts';
import type { CheckOptions, CheckProblem, CheckReport, Layer } from './types.ts';

type Report = (
  problem: Omit<CheckProblem, 'repaired' | 'harmless'> & { harmless?: boolean },
  repair?: () => void,
) => void;

/**
 * Compares everything in the store with what it should be: the index with itself, each blob with its digest, rows with
 * files, images with their blobs. With `repair`, what is damaged is removed so that it is fetched or built again.
 */
export async function check(store: Store, options: CheckOptions = {}): Promise<CheckReport> {
  await using _lock = await store.lock('gc', {
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.onWait ? { onWait: options.onWait } : {}),
  });
  store.layers.flush();
  const problems: CheckProblem[] = [];
  const report: Report = (problem, repair) => {
    const repaired = options.repair === true && repair !== undefined;
    if (repaired) repair();
    problems.push({ harmless: false, ...problem, repaired });
  };

  const integrity = store.database().integrity();
  if (integrity.length > 0) {
    report({ kind: 'index-damaged', subject: store.database().path, message: integrity.join('; ') }, () =>
      store.database().rebuild(),
    );
  }
  store.containers.enterMissing();
  checkRows(store, report, options.repair === true);
  const blobs = await checkBlobs(store, options, report);
  await checkDirectories(store, options, report);
  const before = problems.length;
  // In one transaction, so that no other process changes things between a row and its file.
  const layers = store.database().transaction(() => {
    problems.length = before;
    checkLayers(store, report, blobs.damaged);
    checkRecords(store, report);
    checkImages(store, report);
    checkOrphans(store, report);
    if (options.repair) removeEmptyLayers(store);
    return store.layers.list().length;
  });
  if (options.repair && options.removeTrees) await emptyGarbage(store, options.removeTrees);
  return { problems, blobs: blobs.count, layers, bytes: blobs.bytes };
}

/** Rows that are not what was written into them. Before all else, since the other checks believe what they read. */
function checkRows(store: Store, report: Report, repair: boolean): void {
  const { layers, blobs } = store.layers.damaged();
  const count = (table: string, number: number): void => {
    if (number > 0)
      report(
        {
          kind: 'index-row-damaged',
          subject: table,
          message: `${number} ${number === 1 ? 'row' : 'rows'} of the index (${table}) ${number === 1 ? 'is' : 'are'} not what was written`,
        },
        () => undefined,
      );
  };
  count('layers', layers.length);
  count('layer_blobs', blobs.length);
  if (repair) {
    for (const id of layers) store.layers.forget(id);
    for (const [id, digest] of blobs) store.layers.dropBlob(id, digest);
  }
  count('stacks', store.stacks.damaged(repair));
  count('records, links', store.records.damaged(repair));
  count('facts', store.facts.damaged(repair));
  count('accounts', store.accounts.damaged(repair));
}

/** Directories that are not what they were when they were complete, by what `lstat` tells of everything in them. */
async function checkDirectories(store: Store, options: CheckOptions, report: Report): Promise<void> {
  if (!options.measure) return;
  const layers = store.layers.list().filter(({ id, fs: has }) => has && isDirectory(store.layers.paths(id).fs));
  const stamps = await options.measure(layers.map(({ id }) => store.layers.paths(id).fs));
  for (const [index, { id, stamp, description }] of layers.entries()) {
    const now = stamps[index];
    // One without a stamp is being measured by a build that is running.
    if (stamp === undefined || now === undefined || sameStamp(stamp, now)) continue;
    report(
      {
        kind: 'layer-directory-changed',
        subject: id,
        message: `The directory of layer "${id}" (${description}) was changed after it was made`,
      },
      () => store.layers.dropFs(id),
    );
  }
}

interface BlobCheck {
  readonly count: number;
  readonly bytes: number;
  readonly problems: number;
  /** Found damaged, removed or not. */
  readonly damaged: ReadonlySet<string>;
}

/** Reads and hashes every blob. */
async function checkBlobs(store: Store, options: CheckOptions, report: Report): Promise<BlobCheck> {
  const names = fs.readdirSync(store.layout.blobs).sort();
  const damaged = new Set<string>();
  let problems = 0;
  let bytes = 0;
  for (const [position, name] of names.entries()) {
    options.signal?.throwIfAborted();
    options.onProgress?.(position, names.length);
    const path = join(store.layout.blobs, name);
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (!stat) continue;
    bytes += stat.size;
    const isName = /^[0-9a-f]{64}$/.test(name);
    const digest: Digest = `sha256:${name}`;
    if (!isName) {
      problems++;
      report({ kind: 'blob-name', subject: path, message: `"${path}" is not a blob` }, () =>
        fs.rmSync(path, { recursive: true, force: true }),
      );
    } else if (!stat.isFile() || (!store.blobs.verify(digest) && fs.existsSync(path))) {
      problems++;
      damaged.add(digest);
      report(
        { kind: 'blob-digest', subject: digest, message: `The bytes of blob "${digest}" are not what they were` },
        () => store.blobs.remove(digest),
      );
    }
    await nextTurn();
  }
  options.onProgress?.(names.length, names.length);
  return { count: names.length, bytes, problems, damaged };
}

/** Compares rows with directories and blobs. */
function checkLayers(store: Store, report: Report, damaged: ReadonlySet<string>): void {
  const held = store.leases.names('layer');
  for (const row of store.database().prepare('SELECT * FROM layers').all()) {
    const layer = store.layers.get(String(row['id']));
    if (!layer) continue;
    const staleness = store.layers.staleness(row);
    if (staleness !== undefined && !held.has(layer.id)) {
      const why =
        staleness === 'unsynced'
          ? 'was not on disk when the machine went down'
          : 'was just made when its build was killed';
      report(
        {
          kind: `layer-${staleness}`,
          subject: layer.id,
          message: `Layer "${layer.id}" ${why}, its directory is not used`,
          harmless: true,
        },
        () => store.layers.dropFs(layer.id),
      );
    }
    // Whoever reads owners the way they are in it can use it.
    let hasFs = row['fs'] !== 0 && staleness === undefined;
    if (hasFs && !isDirectory(store.layers.paths(layer.id).fs)) {
      hasFs = false;
      report(
        { kind: 'layer-directory-missing', subject: layer.id, message: `The directory of layer "${layer.id}" is gone` },
        () => store.layers.dropFs(layer.id),
      );
    }
    const usableBlobs = checkLayerBlobs(store, layer, report, damaged);
    if (!hasFs && usableBlobs === 0 && !isRemote(layer) && !held.has(layer.id)) {
      report(
        {
          kind: 'layer-empty',
          subject: layer.id,
          message: `Layer "${layer.id}" has neither directory nor blob`,
          harmless: layer.blobs.length === 0 && (row['fs'] === 0 || staleness !== undefined),
        },
        () => store.layers.forget(layer.id),
      );
    }
  }
}

function isDirectory(path: string): boolean {
  try {
    return fs.lstatSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Layers of images are fetched when they are needed: one without content is no fault. */
function isRemote(layer: Layer): boolean {
  return layer.type === 'source.image' && layer.blobs.length > 0;
}

/** @returns how many of its blobs can be used */
function checkLayerBlobs(store: Store, layer: Layer, report: Report, damaged: ReadonlySet<string>): number {
  let usable = 0;
  for (const { descriptor } of layer.blobs) {
    if (store.blobs.has(descriptor.digest, descriptor.size) && !damaged.has(descriptor.digest)) {
      usable++;
      continue;
    }
    if (isRemote(layer) && !damaged.has(descriptor.digest)) continue;
    report(
      {
        kind: 'layer-blob-missing',
        subject: descriptor.digest,
        message: `Blob "${descriptor.digest}" of layer "${layer.id}" is gone or damaged`,
      },
      () => (isRemote(layer) ? undefined : store.layers.dropBlob(layer.id, descriptor.digest)),
    );
  }
  return usable;
}

/** Finds records that name what is gone. */
function checkRecords(store: Store, report: Report): void {
  for (const record of store.records.dangling((digest) => store.blobs.has(digest))) {
    report(
      { kind: 'record-dangling', subject: record, message: `Cache record "${record}" names something that is gone` },
      () => store.records.remove(record),
    );
  }
}

/** Finds images that lack something. */
function checkImages(store: Store, report: Report): void {
  for (const path of store.images.files()) {
    const image = store.images.parse(path);
    if (!image) {
      report({ kind: 'image-malformed', subject: path, message: `Image file "${path}" is damaged` }, () =>
        fs.rmSync(path, { recursive: true, force: true }),
      );
      continue;
    }
    const { missing, malformed } = imageBlobs(store.blobs, image.descriptor);
    const lost = [...missing, ...malformed];
    if (lost.length === 0) continue;
    report(
      {
        kind: 'image-blob-missing',
        subject: image.name,
        message: `Image "${image.name}" lacks ${lost.length} of its blobs, for example "${lost[0] ?? ''}"`,
      },
      () => store.images.remove(image.name),
    );
  }
}

/** Finds what no row stands for: it costs space only. */
function checkOrphans(store: Store, report: Report): void {
  const held = store.leases.names('layer');
  for (const name of fs.readdirSync(store.layout.snapshots)) {
    if (held.has(name)) continue;
    const row = store.database().prepare('SELECT fs FROM layers WHERE id = ?').get(name);
    if (row !== undefined && row['fs'] !== 0) continue;
    const path = join(store.layout.snapshots, name);
    report({ kind: 'orphan-directory', subject: path, message: `"${path}" belongs to no layer`, harmless: true }, () =>
      discard(store.layout, path),
    );
  }
  for (const name of fs.readdirSync(store.layout.ingest)) {
    const path = join(store.layout.ingest, name);
    // Asked after the directory was seen: a session that ends just now has removed it.
    if (store.sessions.isAlive(name) || !fs.existsSync(path)) continue;
    report(
      { kind: 'orphan-ingest', subject: path, message: `"${path}" was left by a killed build`, harmless: true },
      () => fs.rmSync(path, { recursive: true, force: true }),
    );
  }
}
