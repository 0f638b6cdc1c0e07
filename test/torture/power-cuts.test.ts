import { execFileSync } from 'node:child_process';
import { lchownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { check } from '../../src/store/index.ts';
import { openStore } from '../store/support.ts';
import type { Bench } from '../support/bench.ts';
import { DiskModel, type DiskFaults } from '../support/disk-model.ts';
import { type DiskOp, readTrace, tracing } from '../support/disk-trace.ts';
import { useBench } from '../support/e2e.ts';
import { identities, type Identity } from '../support/identity.ts';
import { removeTree } from '../support/remove-tree.ts';
import { sameParts } from '../support/slow-build.ts';
import { readOciArchive } from '../support/tree.ts';
import { numberOf, seed, timeOf } from './support/options.ts';
import { below } from './support/order.ts';
import { Random } from './support/random.ts';

const [root] = await identities();

/** For an ordinary user strace would take newuidmap its rights. */
const canTrace = ((): boolean => {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' });
    return root?.name === 'root';
  } catch {
    return false;
  }
})();

/** Of so many cuts one is followed by a whole build, the others by opening and checking the store. */
const CUTS_FOR_A_BUILD = 15;

describe.runIf(canTrace && root !== undefined)('the power goes at any moment of an import, builds and a prune', () => {
  const use = useBench(root as Identity, { base: false });
  const held: { ops: readonly DiskOp[]; reference: unknown } = { ops: [], reference: undefined };

  test('which are written down', { timeout: 120_000 }, async () => {
    const { bench } = use;
    bench.write('context', contextOf('first'));
    // What is imported comes from a file, since a trace has the commands as they are.
    await bench.importBase('base:1', { store: bench.path('other') });
    await bench.ok(['save', 'base:1', '-o', 'base.tar'], { store: bench.path('other') });
    const ops = [...(await record(bench, ['import', 'base.tar', '-t', 'base:1'])), ...(await record(bench, BUILD))];
    held.reference = sameParts(await readOciArchive(bench.path('out.tar')));
    bench.write('context', contextOf('second'));
    ops.push(...(await record(bench, BUILD)), ...(await record(bench, ['rmi', 'cut:1'])));
    ops.push(...(await record(bench, ['prune', '--all', '--force'])));
    bench.write('context', contextOf('first'));
    held.ops = ops;
    // It is the whole story: without a cut the store is as it is on disk.
    const whole = new DiskModel();
    for (const op of ops) whole.apply(op);
    const store = rootFor(bench);
    whole.materialize(store, (limit) => (limit === 4 ? 1 : limit - 1));
    for (const dir of ['blobs/sha256', 'images', 'ingest'])
      expect(readdirSync(join(store, dir)), dir).toEqual(readdirSync(join(bench.store, dir)));
    expect(readFileSync(join(store, 'index.sqlite')).equals(readFileSync(join(bench.store, 'index.sqlite')))).toBe(
      true,
    );
  });

  test(
    'and the store opens by itself, names nothing that is not there, and costs time only (REL-05)',
    async () => {
      const { bench } = use;
      const failures: string[] = [];
      await eachCut(held.ops, numberOf('TORTURE_CUTS'), {}, async (model, at, random, cut) => {
        const store = rootFor(bench);
        model.materialize(store, (limit) => random.below(limit));
        const wrong = await wrongWith(store);
        if (wrong.length === 0 && at % CUTS_FOR_A_BUILD === 0) {
          await afterReboot(bench, store, ['import', 'base.tar', '-t', 'base:1']);
          await afterReboot(bench, store, BUILD);
          expect(sameParts(await readOciArchive(bench.path('out.tar'))), `cut ${cut}`).toEqual(held.reference);
        }
        if (wrong.length > 0) failures.push(`cut ${cut} of ${held.ops.length}: ${wrong.join('; ')}`);
        await removeTree(store);
      });
      expect(failures, `seed ${seed}`).toEqual([]);
    },
    timeOf('TORTURE_CUTS'),
  );

  test.each<[string, DiskFaults]>([
    ['a directory', { directorySync: true }],
    ['a file', { fileSync: true }],
  ])('and it would be seen if nobody waited for %s', { timeout: 120_000 }, async (_, faults) => {
    const { bench } = use;
    let seen = 0;
    await eachCut(held.ops, 60, faults, async (model, _at, random) => {
      if (seen > 0) return;
      const store = rootFor(bench);
      model.materialize(store, (limit) => random.below(limit));
      seen += (await wrongWith(store)).length;
      rmSync(store, { recursive: true });
    });
    expect(seen).toBeGreaterThan(0);
  });
});

const BUILD = ['build', '-t', 'cut:1', '-o', 'type=oci,dest=out.tar', '-o', 'type=image', 'context'];

const contextOf = (text: string): Record<string, string> => ({
  Dockerfile:
    'FROM base:1\nCOPY file /file\nRUN cat /file > /read && mkdir /d && echo $((1 + 1)) > /d/two\nCOPY many /many\n',
  file: text,
  ...Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`many/${at}`, `${at}\n`.repeat(40)])),
});

/** Runs a command and gives what it did to the store. */
async function record(bench: Bench, args: readonly string[]): Promise<readonly DiskOp[]> {
  const file = bench.path('trace');
  const command = [...tracing(file), ...bench.who.prefix, ...bench.command(args)];
  const { code, err } = await bench.start(command, { asSelf: true, timeoutMs: 60_000 }).ended;
  expect(code, err).toBe(0);
  return readTrace(readFileSync(file, 'latin1'), bench.store);
}

/** Goes through the story once, and stops so many times. */
async function eachCut(
  ops: readonly DiskOp[],
  count: number,
  faults: DiskFaults,
  look: (model: DiskModel, at: number, random: Random, cut: number) => Promise<void>,
): Promise<void> {
  expect(ops.length).toBeGreaterThan(200);
  const model = new DiskModel(faults);
  let done = 0;
  for (let at = 0; at < count; at++) {
    const random = new Random(seed * 7919 + at);
    const cut = Math.floor(((at + random.below(1000) / 1000) * ops.length) / count);
    while (done < cut) model.apply(ops[done++] as DiskOp);
    await look(model, at, random, cut);
  }
}

/** What is wrong with a store that a power cut left. */
async function wrongWith(root: string): Promise<readonly string[]> {
  try {
    using opened = openStore(root, { bootId: 'the next', now: Date.now() });
    const { problems } = await check(opened.store);
    return [...opened.warnings, ...problems.filter(({ harmless }) => !harmless)].map(({ message }) => message);
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** Runs a command that takes this for the next boot: directories that were not flushed are worth nothing then. */
async function afterReboot(bench: Bench, root: string, args: readonly string[]): Promise<void> {
  const { uid, gid, prefix } = bench.who;
  for (const path of [root, ...below(root)]) lchownSync(path, uid, gid);
  const boot = bench.path('boot');
  writeFileSync(boot, '00000000-0000-4000-8000-000000000000\n');
  const inside = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';
  const command = ['unshare', '--mount', 'sh', '-c', inside, boot, ...prefix, ...bench.command(args)];
  const { code, err } = await bench.start(command, { asSelf: true, store: root }).ended;
  expect(code, err).toBe(0);
}

let roots = 0;

/** An empty store directory of the bench's identity. */
function rootFor(bench: Bench): string {
  const root = bench.path(`cut-${roots++}`);
  mkdirSync(root, { mode: 0o700 });
  return root;
}
