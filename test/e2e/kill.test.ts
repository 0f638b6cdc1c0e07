import { createHash } from 'node:crypto';
import {
  chmodSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { sameParts, writeSlowContext } from '../support/slow-build.ts';
import { expectNoDebris } from '../support/sound.ts';
import { readOciArchive } from '../support/tree.ts';

const BUILD = ['build', '--progress=plain', '-o', 'type=oci,dest=out.tar'];

describeAsEveryone('a killed build', (who) => {
  const use = useBench(who);

  test('costs time only, whenever it is killed (REL-01, REL-04)', async () => {
    const { bench } = use;
    const context = writeSlowContext(bench);
    const clean = await bench.ok([...BUILD, '--no-cache', context]);
    const reference = sameParts(await readOciArchive(bench.path('out.tar')));
    const moments = 12;
    for (let at = 0; at < moments; at++) {
      const store = bench.path(`store-${at % 3}`);
      if (at < 3) await bench.importBase('base:1', { store });
      writeFileSync(bench.path('out.tar'), 'old');
      const running = bench.tsbuildStart([...BUILD, ...(at < 3 ? [] : ['--no-cache']), context], { store });
      await sleep((clean.ms * 1.05 * (at + 0.5)) / moments);
      running.child.kill('SIGKILL');
      await running.ended;
      expect(await bench.leftovers(), `killed at ${at} of ${moments}`).toEqual([]);
      expect(bench.mounts()).toEqual([]);
      // What was there stays, until all of the new is there.
      const written = readFileSync(bench.path('out.tar'));
      if (written.length !== 3) expect(sameParts(await readOciArchive(written))).toEqual(reference);
      if (at < 6) continue;
      if (at >= 10) expect(await bench.damage(store)).toEqual([]);
      await bench.ok([...BUILD, context], { store });
      expect(sameParts(await readOciArchive(bench.path('out.tar')))).toEqual(reference);
    }
    for (const store of [0, 1, 2].map((at) => bench.path(`store-${at}`))) {
      expect(await bench.damage(store)).toEqual([]);
      await expectNoDebris(bench, store);
    }
  }, 120_000);

  test('an import and a run that are killed too', async () => {
    const { bench } = use;
    await bench.ok(['save', 'base:1', '-o', 'base.tar']);
    for (const delay of [60, 90, 120, 150, 180]) {
      const running = bench.tsbuildStart(['import', 'base.tar', '-t', `copy:${delay}`]);
      await sleep(delay);
      running.child.kill('SIGKILL');
      await running.ended;
    }
    for (const delay of [150, 250, 350, 500]) {
      const running = bench.tsbuildStart([
        'run',
        '-e',
        `MARK=${bench.mark}`,
        'base:1',
        'sh',
        '-c',
        '(setsid sleep 31 &); sleep 32',
      ]);
      await sleep(delay);
      running.child.kill('SIGKILL');
      await running.ended;
      expect(await bench.leftovers()).toEqual([]);
      expect(bench.mounts()).toEqual([]);
    }
    expect(await bench.damage()).toEqual([]);
    await expectNoDebris(bench);
  });

  test('leaves nothing beside its output, and no half of a file', async () => {
    const { bench } = use;
    const text = '0123456789abcdef'.repeat(1 << 20);
    const files = { one: text, two: `${text}2`, three: `${text}3` };
    const context = bench.context('FROM scratch\nCOPY . /\n', {
      ...files,
      '.dockerignore': 'Dockerfile\n.dockerignore',
    });
    await bench.ok(['build', '-t', 'large', context]);
    const out = bench.path('out');
    mkdirSync(out, { mode: 0o777 });
    chmodSync(out, 0o777);
    const outputs: readonly (readonly string[])[] = [
      ['save', 'large', '-o', 'out/saved.tar'],
      ['build', '-o', 'type=oci,compression=uncompressed,force-compression=true,dest=out/a.tar', context],
      ['build', '-o', 'type=oci,compression=uncompressed,force-compression=true,tar=false,dest=out/layout', context],
      ['build', '-o', 'type=local,dest=out/tree', context],
      ['build', '-o', 'type=tar,dest=out/tree.tar', context],
    ];
    for (const args of outputs) {
      await killWhileWriting(bench, args, out);
      const inside = readdirSync(out, { recursive: true, encoding: 'utf8' });
      expect(inside.filter((path) => /\.tmp$|\.tsbuild-/.test(path))).toEqual([]);
      for (const path of inside.filter((one) => statSync(join(out, one)).isFile())) {
        const bytes = readFileSync(join(out, path));
        const name = basename(path);
        if (/^[0-9a-f]{64}$/.test(name)) expect(createHash('sha256').update(bytes).digest('hex')).toBe(name);
        else if (name in files) expect(bytes.equals(Buffer.from(files[name as keyof typeof files]))).toBe(true);
      }
      expect(inside.filter((path) => path.endsWith('.tar'))).toEqual([]);
    }
    expect(await bench.leftovers()).toEqual([]);
  });
});

/** Starts a command, and kills it while it has a file open to write below a directory. */
async function killWhileWriting(bench: Bench, args: readonly string[], below: string): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    const running = bench.tsbuildStart(args);
    const { child } = running;
    // Its own processes alone: to look at all of a busy machine's takes longer than writing does.
    while (child.exitCode === null && child.signalCode === null && !isWritten(below, familyOf(child.pid ?? 0)))
      await sleep(0);
    child.kill('SIGKILL');
    const { signal, err } = await running.ended;
    // What was started by it goes on for a moment: the kernel kills it.
    while (isWritten(below)) await sleep(1);
    if (signal === 'SIGKILL') return;
    expect(err).not.toContain('error');
    rmSync(below, { recursive: true });
    mkdirSync(below);
    chmodSync(below, 0o777);
  }
  throw new Error('It was always faster');
}

/** A process and all that it started. */
function familyOf(pid: number): readonly number[] {
  const children = globSync(`/proc/${pid}/task/*/children`).flatMap((file) => {
    try {
      return readFileSync(file, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
  return [pid, ...children.flatMap(familyOf)];
}

/** Whether any process, or one of some, has a file open to write that lies below a directory, with a name or without. */
function isWritten(directory: string, pids?: readonly number[]): boolean {
  const descriptors = (pids ?? ['[0-9]*']).flatMap((pid) => globSync(`/proc/${pid}/fd/*`));
  return descriptors.some((fd) => {
    try {
      if (!readlinkSync(fd).startsWith(`${directory}/`)) return false;
      return /^flags:\s+\d*[12]$/m.test(readFileSync(fd.replace('/fd/', '/fdinfo/'), 'utf8'));
    } catch {
      return false;
    }
  });
}
