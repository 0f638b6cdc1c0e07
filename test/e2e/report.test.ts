import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ReportFacts } from '../../src/report/index.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { startRegistry } from '../support/registry.ts';
import { isRecalled } from '../support/recalled.ts';

const DOCKERFILE = `FROM base:1 AS one
COPY a.txt /data/a.txt
RUN echo from one; head -c 200000 /dev/urandom > /data/random
FROM base:1
MAINTAINER me
COPY --from=one /data /data
RUN ["sh", "-c", "echo '</script><!--'; printf '\\\\033[31mred\\\\033[0m\\\\n'"]
`;

/** The facts that a page holds. */
function factsIn(page: string): ReportFacts {
  const [, text = ''] = /id="facts">([\s\S]*?)<\/script>/.exec(page) ?? [];
  return JSON.parse(text) as ReportFacts;
}

const read = (path: string): ReportFacts => JSON.parse(readFileSync(path, 'utf8')) as ReportFacts;

describeAsUser('reports', (who) => {
  const use = useBench(who);

  test('of a build: as a page and as JSON with the same facts, with steps, sizes, warnings and output', async () => {
    const { bench } = use;
    const context = bench.context(DOCKERFILE, { 'a.txt': 'a\n' });
    const [page, json] = [bench.path('build.html'), bench.path('build.json')];
    const args = ['build', '-t', 'shop:1', '--report', page, '--report', json, context];
    const { err } = await bench.ok(args);
    expect(err).toContain(`report: ${page}\n`);
    const facts = read(json);
    expect(factsIn(readFileSync(page, 'utf8'))).toEqual(facts);
    expect(facts).toMatchObject({
      schema: 'tsbuild.report.v1',
      build: { title: 'shop:1', result: 'done', outputs: [{ names: ['docker.io/library/shop:1'] }] },
    });
    const step = (text: string) => facts.steps.find((one) => one.text.startsWith(text));
    const random = step('RUN echo from one');
    expect(random).toMatchObject({ stage: 'one', state: 'ran', lines: [3, 3], log: { lines: ['from one'] } });
    expect(random?.reason?.kind).toBe('no-record');
    expect(step('RUN ["sh"')?.log?.lines).toEqual(['</script><!--', 'red']);
    const copied = facts.steps.indexOf(step('COPY --from') as ReportFacts['steps'][number]);
    expect(facts.steps[copied]?.inputs).toContain(facts.steps.indexOf(random as ReportFacts['steps'][number]));
    const layer = facts.layers.find((one) => one.step === copied);
    expect(layer?.size).toBeGreaterThan(200_000);
    expect(layer).toMatchObject({
      contentSize: 200_002,
      files: 2,
      largestDirectories: [{ path: '/data', size: 200_002 }],
    });
    expect(facts.directories).toContainEqual({ path: '/data', size: 200_002 });
    expect(facts.warnings).toMatchObject([{ code: 'MaintainerDeprecated', lines: [5, 5] }]);
    expect(facts.dockerfile?.text).toBe(DOCKERFILE);
    expect(facts.summary.criticalMs).toBeLessThanOrEqual(facts.build.ms);
    expect(facts.summary.criticalMs).toBeGreaterThan(0);
    // Again: all of it from the cache.
    await bench.ok(args);
    const again = read(json);
    expect(again.summary).toMatchObject({ ran: 0, hitRate: 1 });
    expect(again.steps.find((one) => one.text.startsWith('RUN echo from one'))?.reason?.kind).toBe('hit');
    expect(again.layers).toEqual(facts.layers);
  });

  test('of what was pulled and pushed count the bytes', async () => {
    const { bench } = use;
    await using registry = await startRegistry();
    await bench.ok(['push', 'base:1', `${registry.host}/base:1`]);
    const context = bench.context(`FROM ${registry.host}/base:1\nRUN echo hello > /hello\n`);
    const store = bench.path('pulling');
    const json = bench.path('pushed.json');
    await bench.ok(['build', '--push', '-t', `${registry.host}/app:1`, '--report', json, context], { store });
    const { summary, transfers } = read(json);
    expect(summary.downloaded).toBeGreaterThan(500_000);
    expect(summary.uploaded).toBeGreaterThan(100);
    expect(summary.uploaded, 'the base image is mounted').toBeLessThan(100_000);
    expect(new Set(transfers.map(({ direction }) => direction))).toEqual(new Set(['down', 'up', 'local']));
  });

  test('of a build that fails, and of the last one from the store', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo before; exit 3\n');
    const page = bench.path('failed.html');
    const failed = await bench.tsbuild(['build', '--report', page, context]);
    expect(failed.code).toBe(1);
    const facts = factsIn(readFileSync(page, 'utf8'));
    expect(facts.build).toMatchObject({
      result: 'failed',
      error: { message: expect.stringContaining('exit code: 3') },
    });
    expect(facts.steps[facts.build.error?.step ?? -1]).toMatchObject({ state: 'failed', log: { lines: ['before'] } });
    const { out } = await bench.ok(['report', '--format=json']);
    expect(JSON.parse(out)).toMatchObject({ build: { result: 'failed' } });
  });

  test('are of the last build that was done: one that is only repeated leaves no record', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo once\n');
    const build = (): Promise<unknown> => bench.ok(['build', '-t', 'once', context]);
    await build();
    await build();
    const kept = (): readonly string[] => readdirSync(join(bench.store, 'reports'));
    const before = kept();
    expect(await isRecalled(bench, build)).toBe(true);
    expect(kept()).toEqual(before);
    const { out, err } = await bench.ok(['report', '--format', 'json']);
    expect(JSON.parse(out)).toMatchObject({ build: { title: 'once' }, layers: [{}, { files: 0 }] });
    expect(err).toMatch(/^once, built (.* ago|just now)\. A build that only repeats one leaves no record\n$/);
    await bench.ok(['report', '-o', bench.path('last.html')]);
    expect(factsIn(readFileSync(bench.path('last.html'), 'utf8')).build.title).toBe('once');
  });

  test('earlier builds are listed, and prune frees them', async () => {
    const { bench } = use;
    const store = bench.path('listing');
    await bench.makeStore(store);
    for (const round of [1, 2]) {
      const context = bench.context(`FROM base:1\nRUN echo ${round} && yes | head -c 300000\n`);
      await bench.ok(['build', '-t', `round:${round}`, context], { store });
    }
    const list = await bench.ok(['report', '--list', '--format=json'], { store });
    const listed = JSON.parse(list.out) as { id: string; title: string }[];
    expect(listed.map(({ title }) => title)).toEqual(['round:2', 'round:1']);
    expect((await bench.ok(['report', '--list'], { store })).out).toContain(`\n${listed[0]?.id} `);
    const older = await bench.ok(['report', listed[1]?.id ?? '', '--format=json'], { store });
    const facts = JSON.parse(older.out) as ReportFacts;
    expect(facts.build.title).toBe('round:1');
    expect(facts.steps.find(({ log }) => log)?.log).toMatchObject({
      bytes: 300_002,
      lost: { bytes: expect.any(Number) },
    });
    for (const name of readdirSync(join(store, 'reports')))
      expect(statSync(join(store, 'reports', name)).size).toBeLessThan(200_000);
    expect((await bench.ok(['report', '--list'], { store })).out).toMatch(/^ID .*\n.*round:2\n/);
    expect((await bench.ok(['du', '--format=json'], { store })).out).toContain('"report"');
    await bench.ok(['prune', '--all', '-f'], { store });
    const none = await bench.tsbuild(['report'], { store });
    expect(none.code).toBe(1);
    expect(none.err).toContain('Cannot report on the last build: no such build is remembered');
  });

  test('hide secrets, wherever they are', async () => {
    const { bench } = use;
    const context = bench.context(
      'FROM base:1\n# hunter2hunter2\nRUN --mount=type=secret,id=s cat /run/secrets/s; echo hunter2hunter2; exit 1\n',
    );
    writeFileSync(bench.path('secret'), 'hunter2hunter2');
    const page = bench.path('secret.html');
    await bench.tsbuild(['build', '--secret', `id=s,src=${bench.path('secret')}`, '--report', page, context]);
    const text = readFileSync(page, 'utf8');
    expect(text).toContain('***');
    expect(text).not.toContain('hunter2');
    for (const name of readdirSync(join(bench.store, 'reports')))
      expect(readFileSync(join(bench.store, 'reports', name), 'utf8')).not.toContain('hunter2');
  });

  test('as JSON go to standard output where nothing else does', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo out\n');
    const { out } = await bench.ok(['build', '--report=json', context]);
    expect(JSON.parse(out)).toMatchObject({ schema: 'tsbuild.report.v1' });
    for (const more of [['-q'], ['-o', 'type=tar,dest=-'], ['--report=json']]) {
      const refused = await bench.tsbuild(['build', '--report=json', ...more, context]);
      expect(refused.code).toBe(2);
      expect(refused.err).toContain('something else goes to standard output');
      expect(refused.err).toContain('hint: name a file: --report build.json');
    }
  });

  test('go nowhere where that can be said before the build', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN exit 1\n');
    const unknown = await bench.tsbuild(['build', '--report', 'build.pdf', context]);
    expect(unknown.code).toBe(2);
    expect(unknown.err).toContain('the name says no form');
    const nowhere = await bench.tsbuild(['build', '--report', 'absent/build.html', context]);
    expect(nowhere.code).toBe(2);
    expect(nowhere.err).toContain('hint: mkdir -p absent');
    expect(existsSync(bench.path('absent'))).toBe(false);
  });
});
