import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { ALLOW_GATE, startGate } from '../support/gate.ts';
import { expectSound } from '../support/sound.ts';

/** Holds a lock of the store as tsbuild does, until its input ends. */
const HOLD = `const [path] = process.argv.slice(1);
const { DatabaseSync } = require('node:sqlite');
const db = new DatabaseSync(path);
db.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
console.log('held');
process.stdin.resume().on('end', () => { require('node:fs').rmSync(path); db.close(); });`;

describeAsUser('a command that cannot go on at once', (who) => {
  const use = useBench(who);

  test.each([[['prune']], [['store', 'check']]])('%j says for whom it waits', async (args) => {
    const { bench } = use;
    const path = join(bench.store, 'locks', 'gc');
    const holder = bench.start([process.execPath, '--no-warnings', '-e', HOLD, path], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    await holder.prints(/held/);
    const waiting = bench.tsbuildStart(args);
    await waiting.prints(/^Waiting for process/);
    holder.child.stdin?.end();
    const { code, err } = await waiting.ended;
    await holder.ended;
    expect(code, err).toBe(0);
    expect(err).toMatch(
      new RegExp(
        `^Waiting for process ${holder.child.pid} \\(.*node.*, in ${bench.dir}, for \\d+ s\\), which works on the store\n`,
      ),
    );
  });

  test('prune says which builds use what it leaves', async () => {
    const { bench } = use;
    await using gate = await startGate();
    const context = bench.context(
      `FROM base:1\nRUN head -c 100000 /dev/urandom > /a\nRUN --network=host ${gate.command}\n`,
    );
    const building = bench.tsbuildStart(['build', ALLOW_GATE, context]);
    await gate.reached;
    const { err } = await bench.ok(['prune', '--all']);
    const pid = building.child.pid;
    expect(err).toMatch(
      new RegExp(
        `^Not freed: {2}[\\d.]+[kM]B, in use by process ${pid} \\(tsbuild build ${ALLOW_GATE} ${context}, in ${bench.dir}, for \\d+ s\\)\n$`,
      ),
    );
    gate.open();
    expect((await building.ended).code).toBe(0);
    expect((await bench.ok(['prune'])).err).toBe('');
    await expectSound(bench);
  });

  test('a build says whose step it waits for, and whose cache', async () => {
    const { bench } = use;
    await using gate = await startGate();
    const context = bench.context(
      `FROM base:1\nRUN --network=host --mount=type=cache,target=/c,sharing=locked ${gate.command}\n`,
    );
    const other = bench.context('FROM base:1\nRUN --mount=type=cache,target=/c,sharing=locked echo other\n');
    const start = (dir: string) => bench.tsbuildStart(['build', ALLOW_GATE, '--progress=plain', dir]);
    const first = start(context);
    await gate.reached;
    const said = new RegExp(`^#\\d+ waiting for process ${first.child.pid} \\(tsbuild build .*${context}`, 'm');
    const waiting = [context, other].map(start);
    for (const one of waiting) await one.prints(said);
    gate.open();
    for (const one of waiting) expect((await one.ended).code).toBe(0);
    expect((await first.ended).code).toBe(0);
  });

  test('du cuts nothing where it is no terminal that reads it', async () => {
    const { bench } = use;
    const name = 'registry.example.com:5000/a-team/with-a-long-name/and-a-service-of-its-own';
    const id = 'a-cache-with-a-name-that-says-what-it-is-for';
    const step = `echo ${'long '.repeat(60)}end`;
    await bench.ok([
      'build',
      '-q',
      '-t',
      name,
      bench.context(`FROM base:1\nRUN --mount=type=cache,id=${id},target=/c ${step}\n`),
    ]);
    const { out } = await bench.ok(['du']);
    expect(out).toContain(`${name}:latest `);
    expect(out).toContain(`${id} `);
    expect(out).toContain(`${step}\n`);
    expect(out).toMatch(/^[0-9a-f]{32,64} +regular /m);
  });
});
