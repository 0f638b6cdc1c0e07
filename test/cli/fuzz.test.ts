import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { fakeContext } from '../fakes/cli-context.ts';
import { imageArchive } from '../support/image.ts';
import { TempDir } from '../tree/support.ts';

/** Commands that touch the store and files alone, with options of theirs; `*` stands for a value. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  images: ['-q', '--no-trunc', '--digests', '--format=*', '--filter=*', '-f', '*'],
  rmi: ['-f', '*', '*'],
  tag: ['*', '*'],
  untag: ['*', '*'],
  import: ['*', '-t', '*'],
  save: ['*', '-o', '*', '--format=*'],
  inspect: ['*', '--format=*', '--raw', '--config', '--layers', '--platform=*', '--type=image'],
  history: ['*', '--format=*', '--no-trunc', '-q', '--human=false', '--platform=*'],
  copy: ['*', '*', '-q', '--platform=*', '--all', '--digestfile=*'],
  du: ['--format=*'],
  prune: ['--dry-run', '--all', '--filter=*', '--keep-storage=*', '--format=*'],
  'store check': ['--format=*', '--quick'],
  logs: ['*', '--format=*'],
  explain: ['*', '--format=*'],
  report: ['*', '--format=*', '--list', '-o', '*'],
  'cache mounts ls': ['--format=*'],
  llb: ['*', '--format=*', '--target=*', '--platform=*', '--build-arg=*', '-f', '*'],
  'build --check': ['*', '--target=*', '-f', '*', '--build-arg=*', '--call=*', '--label=*', '--build-context=*'],
  'build --call=targets': ['*', '-f', '*', '--platform=*'],
};

const value = fc.oneof(
  fc.constantFrom(
    '', '-', '--', '.', '..', '/', 'app:1', 'app', 'APP', 'image.tar', 'context', 'context/Dockerfile', 'none', 'json', 'table', 'dot',
    '{{.Id}}', '{{.', '{{json .}}', 'table {{.Name}}', 'oci:layout:v1', 'store:app:1', 'docker-archive:image.tar', 'docker://', 'oci:',
    'sha256:', `sha256:${'0'.repeat(64)}`, `app@sha256:${'0'.repeat(64)}`, 'linux/amd64', 'linux/', 'label=x', 'label!=x', 'until=1h', 'until=',
    'before=app:1', 'reference=[', 'A=b', '=b', 'targets', 'outline', 'check,format=json', '1GB', '1h', '-1', '\u001b[2J', '😀', '\ud800', 'a\nb',
    'x'.repeat(5000), 'loop', 'loop/x', 'image.tar/x', 'dangling', '__proto__', 'constructor', 'type=oci', '**/Dockerfile*', '!x', '[', '%2e%2e', 'context/../context',
  ),
  // Nothing that is written lands outside of the directory of the tests.
  fc.string({ maxLength: 6 }).map((text) => text.replaceAll('/', '_')),
); // oxfmt-ignore

let dir: TempDir;
beforeAll(async () => {
  dir = new TempDir();
  writeFileSync(join(dir.path, 'image.tar'), imageArchive([[{ name: 'one', content: '1' }]], 'x:1'));
  mkdirSync(join(dir.path, 'context'));
  writeFileSync(join(dir.path, 'context/Dockerfile'), 'FROM scratch AS a\nARG A\nCOPY x /\nLABEL x=$A\n');
  dir.link('loop', 'loop');
  dir.link('nowhere', 'dangling');
  expect((await run(['import', 'image.tar', '-t', 'app:1'])).code).toBe(0);
});
afterAll(() => dir[Symbol.dispose]());

async function run(words: readonly string[]) {
  const context = fakeContext({ cwd: dir.path, env: { TSBUILD_ROOT: join(dir.path, 'store'), HOME: dir.path } });
  const code = await runCli(words, context);
  return { code, err: context.err(), out: context.out() };
}

/** Some of the options in any order, each `*` something. */
const lineOf = (command: string): fc.Arbitrary<readonly string[]> =>
  fc
    .shuffledSubarray([...(COMMANDS[command] ?? [])])
    .chain((options) =>
      fc
        .tuple(
          ...options.map((option) =>
            option.includes('*') ? value.map((one) => option.replace('*', () => one)) : fc.constant(option),
          ),
        )
        .map((words) => [...command.split(' '), ...words]),
    );

test.each(Object.keys(COMMANDS))('%s does what it is told or says what is wrong, whatever that is', async (command) => {
  await fc.assert(
    fc.asyncProperty(lineOf(command), async (words) => {
      const { code, err, out } = await run(words);
      expect([0, 1, 2], err).toContain(code);
      expect(err).not.toMatch(/fault of tsbuild|undefined|\[object|\bNaN\b/);
      expect(err).not.toContain('\u001b');
      if (code === 2) expect(err).toMatch(/error: \S/);
      if (code !== 0) expect(err + out).not.toBe('');
    }),
    { numRuns: 25 },
  );
});

test.each([
  [['build', 'loop'], 'error: Cannot read build context "loop": too many symbolic links lead to it'],
  [['build', 'x'.repeat(300)], `error: Cannot read build context "${'x'.repeat(300)}": its name is too long`],
  [['build', '--check', 'loop'], 'error: Cannot look at '],
  [['inspect', 'x'.repeat(300)], 'the repository name is longer than 255 characters'],
  [['inspect', './loop'], 'too many symbolic links lead to it'],
])('a path that cannot be looked at is no fault of the program: %j', async (words, message) => {
  const { code, err } = await run(words);
  expect(code).not.toBe(0);
  expect(err).toContain(message);
  expect(err).not.toContain('fault of tsbuild');
});
