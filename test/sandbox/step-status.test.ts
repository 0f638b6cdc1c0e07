import { describe, expect, test } from 'vitest';
import { concludeStep, readStatusLine, type StepReport } from '../../src/sandbox/index.ts';

function report(...lines: readonly string[]): StepReport {
  const result: StepReport = {};
  for (const line of lines) readStatusLine(result, line);
  return result;
}

describe('what the helper reports', () => {
  test.each([
    ['an exit code', ['pid 12', 'exit 3'], { kind: 'exited', code: 3 }],
    ['a signal', ['pid 12', 'signal 15'], { kind: 'signaled', signal: 'SIGTERM' }],
    ['the first of two ends', ['pid 12', 'signal 9', 'exit 137'], { kind: 'signaled', signal: 'SIGKILL' }],
    [
      'a program that is not there',
      ['pid 12', 'error 2 exec /bin/x y', 'exit 125'],
      { kind: 'not-executed', path: '/bin/x y', errno: 'ENOENT' },
    ],
    ['words of a later version', ['news 1', 'exit 0'], { kind: 'exited', code: 0 }],
  ] as const)('%s', (_name, lines, status) => {
    expect(concludeStep(report(...lines), 0)).toEqual(status);
  });

  test.each([[['held 7', 'ready']], [['ready', 'held 7']]])(
    'a root that is held, in whichever order two say so: %j',
    (lines) => {
      const told: number[] = [];
      const held: StepReport = { onReady: (number) => told.push(number) };
      readStatusLine(held, lines[0] ?? '');
      expect(told).toEqual([]);
      readStatusLine(held, lines[1] ?? '');
      expect(told).toEqual([7]);
    },
  );

  test('what the step used', () => {
    const { usage, status } = report('pid 12', 'usage 1500000 250000 1048576 512 1024', 'exit 0');
    expect(usage).toEqual({ userMs: 1500, systemMs: 250, peakMemory: 1048576, readBytes: 512, writtenBytes: 1024 });
    expect(status).toEqual({ kind: 'exited', code: 0 });
  });

  test.each([
    ['of the user', ['error 0 user user "x" is not there'], 'TSB_STEP', /\(user\): user "x" is not there$/],
    [
      'of the machine',
      ['error 1 namespaces cannot make them'],
      'TSB_SANDBOX',
      /\(namespaces\): cannot make them \(EPERM\)$/,
    ],
    ['of the helper, killed early', ['pid 12'], 'TSB_SANDBOX', /it was killed/],
  ] as const)('faults %s', (_name, lines, code, text) => {
    expect(() => concludeStep(report(...lines), null)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(text) }),
    );
  });
});
