import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { ReportFacts } from '../../src/report/index.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';

/** A step that computes, one of whose processes holds 48 MiB, and that writes 3 MiB to disk, partly behind its own back. */
const HEAVY = [
  'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done',
  '(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done) & wait',
  'dd if=/dev/zero of=/dev/null bs=48M count=1 2> /dev/null',
  'head -c 3145728 /dev/zero > /made; sync /made',
].join('; ');

describeAsEveryone('what a step used', (who) => {
  const use = useBench(who);

  test('is told to programs, in the log and in the report', async () => {
    const { bench } = use;
    const context = bench.context(`FROM base:1\nRUN ${HEAVY}\nRUN true\n`);
    const report = bench.path('usage.json');
    const { err } = await bench.ok(['build', '--progress=plain', '--report', report, context]);
    const facts = JSON.parse(readFileSync(report, 'utf8')) as ReportFacts;
    const [heavy, light] = facts.steps.filter(({ text }) => text.startsWith('RUN ')).map(({ usage }) => usage);
    if (heavy === undefined || light === undefined) throw new Error(`There is no usage in ${report}`);
    expect(heavy.userMs + heavy.systemMs).toBeGreaterThan(50);
    expect(heavy.peakMemory).toBeGreaterThan(48 << 20);
    expect(heavy.peakMemory).toBeLessThan(100 << 20);
    expect(heavy.writtenBytes).toBeGreaterThanOrEqual(3 << 20);
    expect(heavy.writtenBytes).toBeLessThan(64 << 20);
    expect(light.userMs + light.systemMs).toBeLessThan(heavy.userMs + heavy.systemMs);
    expect(light.peakMemory).toBeLessThan(16 << 20);
    expect(light.writtenBytes).toBeLessThan(3 << 20);
    expect(facts.summary.cpuMs).toBeGreaterThan(50);
    expect(err).toMatch(/^#\d+ used \d+\.\d\ds CPU, \d\d\.\d\dMB memory, [\d.]+[kM]?B read, \d\.\d\dMB written$/m);
  });

  test('is told of a step that fails, too, and of one that was ended', async () => {
    const { bench } = use;
    const build = async (command: string, ...args: string[]) =>
      bench.tsbuild(['build', '--progress=rawjson', ...args, bench.context(`FROM base:1\nRUN ${command}\n`)]);
    const usages = (err: string): readonly { readonly cpuUser: number; readonly vertex: string }[] =>
      err
        .split('\n')
        .filter((line) => line.startsWith('{"usages"'))
        .flatMap((line) => (JSON.parse(line) as { usages: { cpuUser: number; vertex: string }[] }).usages);
    const failed = await build('i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 3');
    expect(failed.code).toBe(1);
    expect(usages(failed.err)).toHaveLength(1);
    expect(usages(failed.err)[0]?.cpuUser).toBeGreaterThan(5e6);
    const ended = await build('while :; do :; done', '--step-timeout=1s');
    expect(ended.code).toBe(124);
    expect(usages(ended.err)).toHaveLength(1);
  });
});
