import { expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';

/**
 * Exit codes of docker run and podman run (docker's reference, "Exit status"): the program's own; 125 for what went wrong before, 126 for a program
 * that cannot be executed, 127 for one that is not there, 128 + n for a signal. Wrong usage is 125, too, as 2 may be a program's own.
 */
const ROWS: readonly (readonly [code: number, options: readonly string[], command: readonly string[]])[] = [
  [0, [], ['true']],
  [1, [], ['false']],
  [42, [], ['sh', '-c', 'exit 42']],
  [255, [], ['sh', '-c', 'exit 255']],
  [127, [], ['/not/there']],
  [127, [], ['not-there']],
  [126, [], ['/etc/passwd']],
  [126, [], ['/etc']],
  [137, ['--init'], ['sh', '-c', 'kill -9 $$']],
  [143, ['--init'], ['sh', '-c', 'kill -TERM $$']],
  [134, ['--init'], ['sh', '-c', 'kill -ABRT $$']],
  [127, [], ['sh', '-c', 'not-there']],
  [126, [], ['sh', '-c', '/etc/passwd']],
  [125, ['-w', '/etc/passwd'], ['true']],
  [125, ['-u', 'nobody-knows'], ['true']],
  [125, ['--ulimit', 'nofile=99999999999'], ['true']],
  [125, ['-v', '/proc/no/such/directory:/x'], ['true']],
  [2, [], ['sh', '-c', 'exit 2']],
  [125, ['--no-such-option'], ['true']],
  [125, ['--memory', 'much'], ['true']],
];

describeAsEveryone('exit codes of run', (who) => {
  const use = useBench(who);

  test.each([
    ['in the foreground', []],
    ['under a name', ['--name', 'coded']],
  ] as const)('%s', async (_how, life) => {
    const seen: number[] = [];
    for (const [, options, command] of ROWS)
      seen.push((await use.bench.tsbuild(['run', '--rm', ...life, ...options, 'base:1', ...command])).code);
    expect(ROWS.map((row, at) => [seen[at], ...row.slice(1)])).toEqual(ROWS);
    expect((await use.bench.tsbuild(['run', '--rm', '--pull=never', ...life, 'not:here'])).code).toBe(125);
    expect((await use.bench.ok(['ps', '-aq'])).out).toBe('');
  });

  test('of exec', async () => {
    const { bench } = use;
    await bench.ok(['run', '-d', '--name', 'stays', 'base:1', 'sleep', '300']);
    for (const [code, command] of [
      [0, ['true']],
      [3, ['sh', '-c', 'exit 3']],
      [127, ['/not/there']],
      [126, ['/etc/passwd']],
      [137, ['sh', '-c', 'kill -9 $$']],
      [143, ['sh', '-c', 'kill -TERM $$']],
    ] as const)
      expect((await bench.tsbuild(['exec', 'stays', ...command])).code, command.join(' ')).toBe(code);
    await bench.ok(['rm', '-f', 'stays']);
  });
});
