import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Outcome, Running } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { sameParts, writeSlowContext } from '../support/slow-build.ts';
import { expectNoDebris, expectSound } from '../support/sound.ts';
import { onTerminal } from '../support/terminal.ts';
import { readOciArchive } from '../support/tree.ts';

/** Output of a step, not its name. */
const BEGUN = /^#\d+ [\d.]+ begun$/m;

const BUILD = ['build', '--progress=plain', '-o', 'type=oci,dest=out.tar'];

describeAsEveryone('an interrupted build', (who) => {
  const use = useBench(who);

  test('ends at once with 130 or 143, leaves nothing, and says so once (REL-09, REL-24)', async () => {
    const { bench } = use;
    const context = bench.context(
      `FROM base:1\nENV MARK=${bench.mark}\nRUN trap '' INT TERM; (setsid sleep 32 &); echo begun; sleep 33\n`,
    );
    const cases: readonly (readonly [NodeJS.Signals, 'process' | 'group', number])[] = [
      ['SIGINT', 'process', 130],
      ['SIGINT', 'group', 130],
      ['SIGTERM', 'process', 143],
      ['SIGTERM', 'group', 143],
      ['SIGHUP', 'process', 129],
    ];
    for (const [signal, to, code] of cases) {
      const running = bench.tsbuildStart([...BUILD, context], { detached: true });
      await running.prints(BEGUN);
      const at = performance.now();
      send(running, signal, to);
      const outcome = await running.ended;
      // The step itself would take 33 s.
      expect(performance.now() - at).toBeLessThan(30_000);
      expect(outcome.code, outcome.err).toBe(code);
      expect(outcome.err).not.toMatch(/^\s+at .*:\d+/m);
      expect(outcome.err.match(/canceled/gi) ?? []).not.toHaveLength(0);
      await expectSound(bench);
    }
  });

  test('at any moment: one clear end, a sound store, and the next build is whole (REL-09)', async () => {
    const { bench } = use;
    const context = writeSlowContext(bench);
    const clean = await bench.ok([...BUILD, '--no-cache', context]);
    const reference = sameParts(await readOciArchive(bench.path('out.tar')));
    const moments = 12;
    for (let at = 0; at < moments; at++) {
      const running = bench.tsbuildStart([...BUILD, '--no-cache', context], { detached: true });
      await sleep((clean.ms * (at + 0.5)) / moments);
      send(running, at % 2 === 0 ? 'SIGINT' : 'SIGTERM', at % 3 === 0 ? 'group' : 'process');
      const outcome = await running.ended;
      expectInterrupted(outcome);
      expect(await bench.leftovers()).toEqual([]);
      expect(bench.mounts()).toEqual([]);
    }
    expect(await bench.damage()).toEqual([]);
    await bench.ok([...BUILD, context]);
    expect(sameParts(await readOciArchive(bench.path('out.tar')))).toEqual(reference);
    await expectNoDebris(bench);
  });

  test('a second Ctrl-C ends it at once; a closed output does not crash it (REL-09, REL-10)', async () => {
    const { bench } = use;
    const context = bench.context(`FROM base:1\nENV MARK=${bench.mark}\nRUN trap '' INT TERM; echo begun; sleep 33\n`);
    const running = bench.tsbuildStart([...BUILD, context], { detached: true });
    await running.prints(BEGUN);
    send(running, 'SIGINT', 'process');
    send(running, 'SIGINT', 'process');
    expect((await running.ended).code).toBe(130);
    expect(await bench.leftovers()).toEqual([]);
    const piped = await bench.start([
      'sh',
      '-c',
      '"$@" 2>&1 | head -n 1',
      'sh',
      ...bench.command([...BUILD, '--no-cache', writeSlowContext(bench)]),
    ]).ended;
    expect(piped.out.split('\n')).toHaveLength(2);
    await expectSound(bench);
  });

  test('Ctrl-C typed into a terminal, where progress is drawn', async () => {
    const { bench } = use;
    const context = bench.context(`FROM base:1\nENV MARK=${bench.mark}\nRUN echo shown; sleep 33\n`);
    const outcome = await onTerminal(
      bench,
      ['build', context],
      [{ expect: 'RUN echo shown' }, { wait: 0.5 }, { type: '\u0003' }],
    );
    expect(outcome.code, outcome.out).toBe(130);
    // The cursor is given back.
    expect(outcome.out.lastIndexOf('\u001b[?25h')).toBeGreaterThanOrEqual(outcome.out.lastIndexOf('\u001b[?25l'));
    expect(outcome.out).toContain('Canceled by SIGINT');
    await expectSound(bench);
    const done = await onTerminal(bench, ['build', bench.context('FROM base:1\nRUN true\n')], []);
    expect(done.code).toBe(0);
    expect(done.out).toMatch(/\[\+\] Building .* FINISHED/);
  });

  test('children that are killed fail the step, not the store (REL-03)', async () => {
    const { bench } = use;
    const context = bench.context(`FROM base:1\nENV MARK=${bench.mark}\nRUN echo begun; sleep 33\n`);
    for (const victim of [/\/worker\.\w+ \{/, /tsbuild-helper step/]) {
      const running = bench.tsbuildStart([...BUILD, context]);
      await running.prints(BEGUN);
      const found = bench.processes().filter(({ command }) => victim.test(command) && !/helper enter/.test(command));
      expect(found.length, String(victim)).toBeGreaterThan(0);
      for (const { pid } of found) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It went with the one before.
        }
      }
      const outcome = await running.ended;
      expect(outcome.code).toBe(1);
      expect(outcome.err).toMatch(/^error: /m);
      expect(outcome.err).not.toContain('fault of tsbuild');
      await expectSound(bench);
    }
  });
});

function send(running: Running, signal: NodeJS.Signals, to: 'process' | 'group'): void {
  const pid = running.child.pid ?? 0;
  try {
    process.kill(to === 'group' ? -pid : pid, signal);
  } catch {
    // It has ended.
  }
}

/** Interrupted, or done before the signal came. */
function expectInterrupted({ code, err }: Outcome): void {
  expect([0, 130, 143], err).toContain(code);
  expect(err).not.toMatch(/^\s+at .*:\d+/m);
  expect(err).not.toContain('fault of tsbuild');
}
