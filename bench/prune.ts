/**
 * Prints how long `tsbuild prune --all` takes in a store of 2,000 records, and how large its index is: `node bench/prune.ts [ROUNDS [STEPS]]`.
 * `node bench/prune.ts fill DIR` only makes the store, for the row of the table.
 * The store is made through the same calls as by builds: chains of STEPS (20) steps on each other, each with a directory, a
 * record and a link of the key graph.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Another checkout may be named, to compare with. */
const root = process.env['TSBUILD_CHECKOUT'] ?? fileURLToPath(new URL('..', import.meta.url));
const load = async (file: string): Promise<unknown> => import(pathToFileURL(join(root, file)).href);
const { Store } = (await load('src/store/index.ts')) as typeof import('../src/store/index.ts');
const { createIndexCache } = (await load('src/cache/index.ts')) as typeof import('../src/cache/index.ts');
const { sha256 } = (await load('src/util/index.ts')) as typeof import('../src/util/index.ts');

const only = process.argv[2] === 'fill' ? process.argv[3] : undefined;
const rounds = Number(process.argv[2] ?? 5);
const STEPS = only === undefined ? Number(process.argv[3] ?? 20) : 20;
const CHAINS = Math.round(2000 / STEPS);

function fill(path: string): void {
  using store = Store.open(path, { now: Date.now });
  using lease = store.leases.create();
  const cache = createIndexCache<readonly string[]>(store, {
    lease,
    codec: {
      encode: (layers) => ({ layers }),
      decode: () => [],
    },
  });
  for (let chain = 0; chain < CHAINS; chain++) {
    const layers: string[] = [];
    for (let step = 0; step < STEPS; step++) {
      const name = `${chain} ${step}`;
      const id = store.layers.create({ parents: [...layers], description: `RUN echo ${name}` }, lease);
      const paths = store.layers.prepareDirectory(id);
      mkdirSync(join(paths.fs, 'etc'));
      for (let file = 0; file < 3; file++) writeFileSync(join(paths.fs, 'etc', `f${file}`), name);
      // Measured, as a build leaves it: one without a stamp would be worth nothing now, and be collected as a killed build's.
      store.layers.setFs(id, { bytes: 3 * name.length, inodes: 5, synced: true, stamp: `${chain}.${step}` });
      layers.push(id);
      cache.link(`node ${name}`, [
        { from: step === 0 ? '' : `node ${chain} ${step - 1}`, op: sha256(name), input: 0, output: 0 },
      ]);
      cache.save(`node ${name}`, [...layers]);
    }
  }
}

if (only === undefined) measurePrune();
else fill(only);

function measurePrune(): void {
  const work = mkdtempSync(join(tmpdir(), 'tsbuild-bench-prune-'));
  const times: number[] = [];
  let size = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      const path = join(work, `store${round}`);
      fill(path);
      size = statSync(join(path, 'index.sqlite')).size;
      spawnSync('sync');
      const start = performance.now();
      const done = spawnSync(join(root, 'bin/tsbuild'), ['prune', '--all', '--force'], {
        env: { ...process.env, TSBUILD_ROOT: path },
        encoding: 'utf8',
      });
      if (done.status !== 0) throw new Error(done.stderr);
      times.push(performance.now() - start);
      rmSync(path, { recursive: true, force: true });
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  times.sort((a, b) => a - b);
  const middle = times[Math.floor(times.length / 2)] ?? Number.NaN;
  process.stdout.write(
    `prune of ${CHAINS * STEPS} records: ${middle.toFixed(0)} ms (median of ${rounds}), index ${(size / 1e6).toFixed(1)} MB\n`,
  );
}
