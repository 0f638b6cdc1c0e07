import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { accountOfSummaries, explain, readSummary, type StepSummary, summarize } from '../../src/explain/index.ts';
import { checksumAndList, type ListedDirectory } from '../../src/tree/index.ts';
import { memoryTree } from './memory-tree.ts';
import { account, step } from './steps.ts';
import { whole } from '../tree/support.ts';

/** A build of a COPY of these files and a RUN. */
function build(files: Readonly<Record<string, string>>, command = 'make') {
  const tree = memoryTree(
    Object.fromEntries(Object.entries(files).map(([name, text]) => [name, { type: 'file', text } as const])),
  );
  const { digest, listing } = checksumAndList(tree, [whole], 'context');
  const steps = [
    step({ name: 'local', kind: 'local' }),
    step({ name: '[2/3] COPY . /', kind: 'files', inputs: [{ step: 0, content: digest, listing: listing.root }] }),
    step({
      name: `[3/3] RUN ${command}`,
      inputs: [{ step: 1 }],
      parts: [{ what: 'command', name: 'command', id: command, shown: command }],
    }),
  ];
  const load = (id: string): ListedDirectory | undefined => listing.directories.get(id);
  return { account: account(steps), load };
}

function summary(
  { lineage, at: began, steps }: ReturnType<typeof account>,
  at: number,
  load: (id: string) => ListedDirectory | undefined,
): Uint8Array | undefined {
  const of = steps[at] ?? step();
  return summarize(
    lineage,
    began,
    of,
    of.inputs.map((input) => steps[input.step]?.name ?? ''),
    load,
  );
}

function summariesOf(files: Readonly<Record<string, string>>, command?: string): readonly StepSummary[] {
  const { account: of, load } = build(files, command);
  return of.steps.flatMap((_, at) => {
    const bytes = summary(of, at, load);
    const read = bytes && readSummary(bytes);
    return read === undefined ? [] : [read];
  });
}

describe('what a shared cache says of steps', () => {
  test('is enough to name the file that has changed, on a machine that built nothing', () => {
    const now = build({ 'src/a.ts': 'new', 'src/b.ts': 'same' }, 'make fast');
    const known = accountOfSummaries(
      summariesOf({ 'src/a.ts': 'old', 'src/b.ts': 'same' }),
      now.account.lineage,
      'registry.example/cache',
    );
    if (known === undefined) throw new Error('nothing is known');
    const { steps, comparedWith } = explain(now.account, {
      account: known.account,
      isWhole: true,
      load: (id) => now.load(id) ?? known.load(id),
      had: () => true,
    });
    expect(steps[1]?.reason.text).toMatch(/^src\/a\.ts changed \(sha256 [0-9a-f]{4}… -> [0-9a-f]{4}…\)$/);
    expect(steps[2]?.reason.text).toBe('its command changed (make -> make fast)');
    expect(comparedWith?.context).toBe('cache registry.example/cache');
  });

  test('stays small: of very many files only the directories at the top are listed', () => {
    const files = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, at) => [`d${at % 50}/e${at % 1000}/f${at}`, String(at)]),
    );
    const { account: of, load } = build(files);
    const bytes = summary(of, 1, load);
    expect(bytes?.length).toBeLessThanOrEqual(16 * 1024);
    const read = bytes && readSummary(bytes);
    expect(read?.listings.size).toBeGreaterThan(1);
    const now = build({ ...files, 'd7/e7/f7': 'changed' });
    const known = accountOfSummaries(read ? [read] : [], now.account.lineage, 'c');
    const { steps } = explain(now.account, {
      account: known?.account ?? of,
      isWhole: true,
      load: (id) => now.load(id) ?? known?.load(id),
      had: () => true,
    });
    expect(steps[1]?.reason.text).toMatch(/^one of \d+ files beneath d7\/(e7\/)? changed$/);
  });

  test('of another Dockerfile or target is of no use', () => {
    const { lineage } = build({}).account;
    expect(accountOfSummaries(summariesOf({}), { ...lineage, target: 'test' }, 'c')).toBeUndefined();
    expect(accountOfSummaries(summariesOf({}), { ...lineage, dockerfile: '/elsewhere/Dockerfile' }, 'c')).toBeDefined();
  });

  test('may be anything: what is none is not there', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => readSummary(bytes) === undefined));
    fc.assert(
      fc.property(fc.json(), (json) => {
        readSummary(gzipSync(json));
      }),
    );
    // A bomb.
    expect(readSummary(gzipSync('x'.repeat(8 * 1024 * 1024)))).toBeUndefined();
  });

  test('a list goes by what it says, not by what it is called', () => {
    const [copy] = summariesOf({ a: '1' }).filter(({ step: { name } }) => name.includes('COPY'));
    expect([...(copy?.listings.keys() ?? [])]).toContain(copy?.inputs[0]?.listing);
  });

  test.each([
    ['step', { kind: 'file' }],
    ['step', { parts: [{ what: 'x', name: '', id: '' }] }],
    ['at', -1],
    ['inputs', [{ name: '', content: 'md5:1' }]],
    ['listings', ['{}']],
    ['listings', ['[1]']],
    ['version', 2],
  ])('a malformed %s is refused: %j', (key, value) => {
    const sound = {
      version: 1,
      at: 1,
      lineage: { dockerfile: 'Dockerfile', target: '', platforms: [] },
      step: { name: 'RUN x', kind: 'run', parts: [] },
      inputs: [],
      listings: [],
    };
    expect(readSummary(gzipSync(JSON.stringify(sound)))).toBeDefined();
    const changed = typeof value === 'object' && !Array.isArray(value) ? { ...sound.step, ...value } : value;
    expect(readSummary(gzipSync(JSON.stringify({ ...sound, [key]: changed })))).toBeUndefined();
  });
});
