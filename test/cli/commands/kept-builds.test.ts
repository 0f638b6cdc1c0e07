import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { Store } from '../../../src/store/index.ts';
import { sha256 } from '../../../src/util/index.ts';
import { fakeContext } from '../../fakes/cli-context.ts';
import { commandIn } from '../../fakes/command.ts';
import { TempDir } from '../../tree/support.ts';

// What the store knows of builds that are over: report, explain, debug, and logs of steps.
let now = Date.UTC(2026, 0, 31, 12);
let dir: TempDir;
const { run, ok } = commandIn(() => dir.path, { now: () => now });
beforeAll(async () => {
  dir = new TempDir();
  for (const [name, text] of [
    ['one', 'FROM scratch\nCOPY file /first\n'],
    ['two', 'FROM scratch AS base\nCOPY file /second\nCOPY file /third\n'],
  ] as const) {
    dir.write(`${name}/Dockerfile`, text);
    dir.write(`${name}/file`, 'content');
    await ok('build', '--progress=plain', '-t', `${name}:1`, name);
    now += 60_000;
  }
});
afterAll(() => dir[Symbol.dispose]());

/** With standard output on a terminal. */
async function onTerminal(...words: readonly string[]): Promise<{ readonly code: number; readonly err: string }> {
  const env = { TSBUILD_ROOT: join(dir.path, 'store'), HOME: dir.path };
  const context = fakeContext({ cwd: dir.path, uid: process.getuid?.() ?? 0, env, now: () => now });
  Object.assign(context.stdout, { isTTY: true, columns: 80 });
  return { code: await runCli(words, context), err: context.err() };
}

describe('report', () => {
  const list = async (): Promise<readonly { id: string; title: string; result: string }[]> =>
    JSON.parse(await ok('report', '--list', '--format=json')) as { id: string; title: string; result: string }[];

  test('lists builds, the newest first, for people and for programs', async () => {
    expect(await list()).toMatchObject([
      { title: 'two:1', result: 'done' },
      { title: 'one:1', result: 'done' },
    ]);
    const [head, first, second] = (await ok('report', '--list')).split('\n');
    expect(head).toMatch(/^ID +STARTED +RESULT +TOOK +SIZE +BUILD$/);
    expect(first).toMatch(/ 1 minute ago +done +\d+\.\ds +\S+B +two:1$/);
    expect(second).toMatch(/ 2 minutes ago +done .* one:1$/);
  });

  test('is of the last build, or of one by the beginning of its id', async () => {
    const [, one] = await list();
    const titleOf = (text: string): string => (JSON.parse(text) as { build: { title: string } }).build.title;
    expect(titleOf(await ok('report', '--format=json'))).toBe('two:1');
    expect(titleOf(await ok('report', '--format=json', one?.id ?? ''))).toBe('one:1');
    expect(await ok('report')).toMatch(/^<!doctype html>/i);
  });

  test.each(['', 'nothing', '.json', '%'])('of %j is an error: it is the id of none', async (id) => {
    const { code, out, err } = await run('report', '--format=json', id);
    expect([code, out]).toEqual([1, '']);
    expect(err).toBe(
      `error: Cannot report on ${JSON.stringify(id)}: no such build is remembered\nhint: "tsbuild report --list" lists those that are\n`,
    );
  });

  test('has the form that the name of its file says, unless another is asked for', async () => {
    const read = (name: string): string => readFileSync(join(dir.path, name), 'utf8');
    await ok('report', '-o', 'a.JSON');
    await ok('report', '-o', 'a.html');
    await ok('report', '-o', 'b.html', '--format=json');
    expect(JSON.parse(read('b.html'))).toEqual(JSON.parse(read('a.JSON')));
    expect(read('a.html')).toMatch(/^<!doctype html>/i);
  });

  test('is no page on a terminal, and JSON is', async () => {
    const { code, err } = await onTerminal('report');
    expect(code).toBe(2);
    expect(err).toBe(
      'error: Cannot show a page on a terminal\nhint: write it to a file: tsbuild report -o build.html\n',
    );
    expect((await onTerminal('report', '--format=json')).code).toBe(0);
  });

  test('of a store without builds says where they would be', async () => {
    using other = new TempDir();
    const { code, err } = await commandIn(() => other.path).run('report');
    expect(code).toBe(1);
    expect(err).toMatch(/^error: Cannot report on the last build: no such build is remembered\nhint: .*\$TSBUILD_ROOT/);
  });
});

describe('explain', () => {
  test('tells of the last build, of another by its context, and of one step', async () => {
    expect(await ok('explain')).toMatch(/two \(Dockerfile\), 1 minute ago\n/);
    expect(await ok('explain', '--context', 'one')).toMatch(/one \(Dockerfile\), 2 minutes ago\n/);
    const steps = async (...words: readonly string[]): Promise<readonly string[]> =>
      (JSON.parse(await ok('explain', '--format=json', ...words)) as { steps: { name: string }[] }).steps.map(
        ({ name }) => name,
      );
    expect((await steps('third')).join()).toContain('COPY file /third');
    expect(await steps('3')).toEqual(await steps('third'));
    expect((await steps('COPY')).length).toBe(2);
  });

  test.each(['', 'RUN', '1000', ':3'])('of step %j is an error: there is none like it', async (step) => {
    const { code, out, err } = await run('explain', step);
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/^error: Cannot explain step "[^"]*": the build had none like it\nhint: name a line/);
  });

  test.each([
    [['--context', 'none'], 'no such build'],
    [['--target', 'none'], 'no such build'],
  ])('%j finds %s', async (words, what) => {
    const { code, err } = await run('explain', ...words);
    expect(code).toBe(1);
    expect(err).toContain(`error: Cannot explain: the store knows of ${what}\nhint: build it first`);
  });
});

describe('debug', () => {
  test('of a step without a name is refused, and builds nothing', async () => {
    const { code, out, err } = await run('debug', '');
    expect([code, out]).toEqual([2, '']);
    expect(err).toBe(
      'error: Cannot look into step "": every step has that in its name\nhint: name a part of the instruction, or nothing: then the step that fails is meant\n',
    );
  });

  test('without a build says how to get there', async () => {
    using other = new TempDir();
    const { code, err } = await commandIn(() => other.path).run('debug');
    expect(code).toBe(1);
    expect(err).toBe(
      'error: Cannot look into the last build: the store knows of none\nhint: build with --on-failure=shell\n',
    );
  });
});

describe('logs of steps', () => {
  beforeAll(() => {
    using store = Store.open(join(dir.path, 'store'), { now: () => now });
    for (const [step, text] of [
      ['[1/2] RUN make', 'made\u001b[31m red\u001b[2J\r\nend\n'],
      ['[2/2] RUN make install', 'installed\n'],
    ] as const) {
      using output = store.logs.begin();
      output.write(Buffer.from(text));
      expect(store.logs.keep(sha256(step), step, output)).toBeDefined();
      now += 1000;
    }
  });

  test('are listed, the newest first', async () => {
    const [head, first, second, end] = (await ok('logs')).split('\n');
    expect(head).toMatch(/^ID +FAILED +SIZE +STEP$/);
    expect(first).toMatch(/^\S+\.log .* \[2\/2\] RUN make install$/);
    expect(second).toMatch(/^\S+\.log .* \[1\/2\] RUN make$/);
    expect(end).toBe('');
    const rows = JSON.parse(await ok('logs', '--format=json')) as { step: string; path: string }[];
    expect(rows.map(({ step, path }) => [step, existsSync(path)])).toEqual([
      ['[2/2] RUN make install', true],
      ['[1/2] RUN make', true],
    ]);
  });

  test('are found by the beginning of their id, and by a part of their step, the newest first', async () => {
    const rows = JSON.parse(await ok('logs', '--format=json')) as { id: string }[];
    expect(await ok('logs', rows[1]?.id ?? '')).toContain('made\u001b[31m red\u001b[2J\r\nend\n');
    expect(await ok('logs', (rows[0]?.id ?? '').slice(0, -4))).toContain('installed\n');
    expect(await ok('logs', 'RUN make')).toContain('installed\n');
    expect(await ok('logs', '1/2')).toContain('made');
  });

  test.each([
    ['', 'hint: "tsbuild ps -a" lists containers, "tsbuild logs" the logs of the last steps that failed\n'],
    ['nothing of the kind', 'hint: "tsbuild ps -a" lists containers'],
    ['[1/2] RUN maek', 'hint: did you mean "[1/2] RUN make"?\n'],
  ])('%j is none of them', async (wanted, hint) => {
    const { code, out, err } = await run('logs', wanted);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(`error: Cannot show the log of ${JSON.stringify(wanted)}: no container has that name`);
    expect(err).toContain(hint);
  });

  test.each([
    [['-f'], 2, 'Cannot use --follow without a container'],
    [['--tail', '1'], 2, 'Cannot use --tail without a container'],
    [['--since', '1m', 'RUN make'], 1, 'No such container: RUN make\nhint: --since is for containers'],
    [['-t', 'RUN make'], 1, 'hint: --timestamps is for containers'],
  ])('%j is for containers', async (words, status, why) => {
    const { code, out, err } = await run('logs', ...words);
    expect([code, out]).toEqual([status, '']);
    expect(err).toContain(why);
  });

  test('do not control a terminal', async () => {
    const env = { TSBUILD_ROOT: join(dir.path, 'store'), HOME: dir.path };
    const context = fakeContext({ cwd: dir.path, uid: process.getuid?.() ?? 0, env, now: () => now });
    Object.assign(context.stdout, { isTTY: true });
    expect(await runCli(['logs', '1/2'], context)).toBe(0);
    expect(context.out()).toContain('made\u001b[31m red');
    expect(context.out()).not.toMatch(/\u001b\[2J|\r/);
  });

  test('that somebody has put a directory in place of are none', async () => {
    writeFileSync(join(dir.path, 'store/logs/99990101T000000.000-aaaaaaaaaaaa.txt'), 'x');
    expect(JSON.parse(await ok('logs', '--format=json'))).toHaveLength(2);
  });
});
