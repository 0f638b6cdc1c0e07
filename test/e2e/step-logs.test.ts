import { readFileSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure, expectSound } from '../support/sound.ts';

const STEP = 'i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; cat /run/secrets/s; exit 3';

describeAsEveryone('the complete log of a failed step', (who) => {
  const use = useBench(who);

  test('is kept with secrets hidden, and its path stands under the last lines', async () => {
    const { bench } = use;
    const context = bench.context(`FROM base:1\nRUN --mount=type=secret,id=s ${STEP}\n`, { secret: 'open-sesame\n' });
    const args = ['build', '--progress=plain', '--secret', `id=s,src=${context}/secret`, context];
    const { err, code } = await bench.tsbuild(args);
    expect(code).toBe(1);
    const path = /\n[\d.]+ \*\*\*\n------\ncomplete log: (.*)\n/.exec(err)?.[1] ?? '';
    const lines = Array.from({ length: 3000 }, (_, at) => `line ${at}\n`).join('');
    expect(readFileSync(path, 'utf8')).toBe(`[stage-0 2/2] RUN --mount=type=secret,id=s ${STEP}\n${lines}***\n`);
    expect(statSync(path)).toMatchObject({ uid: who.uid, mode: 0o100600 });
    // The display clips what comes fast; the log does not.
    const { out } = await bench.ok(['logs', 'RUN']);
    expect(out).toBe(readFileSync(path, 'utf8'));
    expect((await bench.ok(['logs'])).out).toMatch(
      /^ID +FAILED +SIZE +STEP\n\S+\.log +.* \[stage-0 2\/2\] RUN --mount/,
    );
    expectFailure(await bench.tsbuild(['logs', 'COPY']), { says: ['"COPY"', 'tsbuild logs'] });
    for (const quiet of [['-q'], ['--progress=quiet']]) {
      const { err: short } = await bench.tsbuild([...args.slice(0, 1), ...quiet, ...args.slice(2)]);
      expect(short).toContain('------\ncomplete log: ');
    }
  });

  test('is that of the step that failed, and goes with prune --all; steps that succeed or print nothing leave none', async () => {
    const { bench } = use;
    await bench.ok(['prune', '--all']);
    await bench.ok(['build', bench.context('FROM base:1\nRUN seq 100000\n')]);
    const silent = await bench.tsbuild(['build', bench.context('FROM base:1\nRUN false\n')]);
    expect(silent.err).not.toContain('complete log');
    expect((await bench.ok(['logs', '--format=json'])).out).toBe('[]\n');
    const both = bench.context(
      'FROM base:1 AS a\nRUN sleep 100; echo canceled\nFROM base:1\nRUN echo broken; false\nCOPY --from=a / /\n',
    );
    await bench.tsbuild(['build', both]);
    const logs = JSON.parse((await bench.ok(['logs', '--format=json'])).out) as { step: string; path: string }[];
    expect(logs).toHaveLength(1);
    expect(readFileSync(logs[0]?.path ?? '', 'utf8')).toMatch(/RUN echo broken; false\nbroken\n$/);
    expect((await bench.ok(['du'])).out).toMatch(/\.log +log +4\.10kB .* RUN echo broken; false\n/);
    await bench.ok(['prune']);
    expect((await bench.ok(['logs', '--format=json'])).out).not.toBe('[]\n');
    await bench.ok(['prune', '--all']);
    expect((await bench.ok(['logs', '--format=json'])).out).toBe('[]\n');
    await expectSound(bench);
  });
});
