import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { encodeDefinition, marshal, scratch } from '../../../src/llb/index.ts';
import { fakeContext } from '../../fakes/cli-context.ts';
import { commandIn, type Outcome } from '../../fakes/command.ts';
import { TempDir } from '../../tree/support.ts';

let dir: TempDir;
const { run } = commandIn(() => dir.path, {}, ['solve']);
/** What another program makes of a graph of one directory. */
const graph = (): Uint8Array =>
  encodeDefinition(
    marshal(scratch().file([{ kind: 'mkdir', path: '/made', mode: 0o755, makeParents: false, options: {} }]), {
      platform: { os: 'linux', architecture: 'amd64' },
    }),
  );

beforeAll(() => {
  dir = new TempDir();
  mkdirSync(join(dir.path, 'src'));
  writeFileSync(join(dir.path, 'graph'), graph());
  writeFileSync(join(dir.path, 'empty'), '');
  writeFileSync(join(dir.path, 'text'), 'FROM scratch\n');
});
afterAll(() => dir[Symbol.dispose]());

/** With this on standard input. */
async function given(
  stdin: readonly (string | Uint8Array)[],
  isTerminal: boolean,
  ...words: string[]
): Promise<Outcome> {
  const env = { TSBUILD_ROOT: join(dir.path, 'store'), HOME: dir.path };
  const context = fakeContext({ cwd: dir.path, uid: process.getuid?.() ?? 0, env, stdin });
  if (isTerminal) Object.assign(context.stdin, { isTTY: true });
  return { code: await runCli(['solve', ...words], context), out: context.out(), err: context.err() };
}

describe('the graph', () => {
  test.each([
    ['none', 'Cannot read the definition from "none": it does not exist'],
    ['src', 'Cannot read the definition from "src"'],
    ['empty', 'Cannot read the definition from "empty": it is empty'],
    ['text', 'Cannot read LLB'],
  ])('in the file %s cannot be used', async (file, why) => {
    const { code, out, err } = await run(file);
    expect([code > 0, out]).toEqual([true, '']);
    expect(err).toContain(`error: ${why}`);
  });

  test('that was to be typed is not waited for', async () => {
    const { code, err } = await given(['x'], true);
    expect(code).toBe(2);
    expect(err).toContain(
      'Cannot read the definition from standard input: it is a terminal\nhint: name a file, or pipe one in',
    );
  });

  test('comes in pieces from standard input, with - or without', async () => {
    const bytes = graph();
    for (const words of [[], ['-']]) {
      const { err } = await given(
        [bytes.subarray(0, 3), bytes.subarray(3)],
        false,
        ...words,
        '--platform',
        'linux/nonsense',
      );
      expect(err).not.toContain('Cannot read');
    }
    expect((await given([], false)).err).toContain('from standard input: it is empty');
  });
});

// What was typed is told before a graph is read, and before anything is done.
describe('options', () => {
  test.each<[readonly string[], string]>([
    [['--local', 'src'], 'Cannot use --local "src"'],
    [['--local', '=src'], 'Cannot use --local "=src": the name is missing'],
    [['--local', 'src=none'], 'Cannot use --local "src=none": it does not exist'],
    [['--local', 'src=graph'], 'Cannot use --local "src=graph": it is not a directory'],
    [['--oci-layout', 'base=none'], 'Cannot use --oci-layout "base=none": it does not exist'],
    [['--oci-layout', 'base=text'], 'Cannot use --oci-layout "base=text": it is not a directory'],
    [['--image-config', 'none'], 'Cannot read the image config from "none": it does not exist'],
    [['--image-config', 'empty'], 'Cannot read the image config from "empty": it is empty'],
    [['--image-config', 'text'], 'image config "text"'],
    [['--platform', 'linux/amd64/v9/x'], 'linux/amd64/v9/x'],
    [['--platform', 'linux/amd64,linux/arm64'], 'linux/amd64,linux/arm64'],
    [['--allow', 'everything'], 'everything'],
    [['--secret', 'src=none'], 'Cannot use --secret "src=none": the id is missing'],
    [['--import-cache', 'type=nonsense'], 'nonsense'],
    [['--cache-from', 'type=nonsense'], 'nonsense'],
    [['--export-cache', 'type=local'], 'dest'],
    [['--source-policy-file', 'none'], 'none'],
    [['--source-policy', 'text'], 'text'],
    [['--source-date-epoch', 'tomorrow'], 'tomorrow'],
    [['--memory', 'much'], 'Cannot use --memory "much"'],
    [['--pids-limit', 'few'], 'few'],
    [['--timeout', 'soon'], 'Cannot use --timeout "soon"'],
    [['--jobs', '0'], '0'],
  ])('%j are refused', async (words, why) => {
    const { code, out, err } = await run('graph', ...words);
    expect([code, out]).toEqual([expect.toBeOneOf([1, 2]) as number, '']);
    expect(err).toMatch(/^error: /);
    expect(err).toContain(why);
  });

  test('are looked at before standard input is waited for', async () => {
    const { err } = await given(['no graph'], false, '--local', 'src=none');
    expect(err).toContain('Cannot use --local "src=none": it does not exist');
  });
}); // oxfmt-ignore
