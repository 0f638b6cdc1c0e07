import { describe, expect, test } from 'vitest';
import type { Difference, StepReason } from '../../src/events/index.ts';
import type { ExplainedStep } from '../../src/explain/index.ts';
import { differenceText, reasonText, oneLine } from '../../src/explain/text.ts';
import { step } from './steps.ts';

const reason = (more: Partial<StepReason>): StepReason => ({
  text: '',
  asked: [],
  kind: 'none',
  outcome: 'ran',
  differences: [],
  more: 0,
  ...more,
});
const file = (name: string, more: Partial<Difference> = {}): Difference => ({
  what: 'file',
  name,
  change: 'changed',
  ...more,
});
const explained = (more: Partial<ExplainedStep> = {}): ExplainedStep => ({
  ...step(),
  reason: reason({}),
  ...more,
});

describe('why a step ran or did not, in a line', () => {
  test.each<[string, Partial<StepReason>]>([
    ['in the cache', { kind: 'hit', outcome: 'cached' }],
    ['in the cache registry.example/app', { kind: 'hit', outcome: 'cached', from: 'registry.example/app' }],
    ['new: the earlier build had no such step', { kind: 'new' }],
    ['no earlier record', { kind: 'no-record' }],
    ['no earlier record: nothing has changed, but its earlier result is not in the cache any more', { kind: 'gone' }],
    ['it was to run whatever is cached (--no-cache)', { kind: 'no-cache' }],
    ['nothing that was built needs it', { kind: 'none', outcome: 'unneeded' }],
    ['the build ended before', { kind: 'none', outcome: 'stopped' }],
    ['nothing has changed, but its earlier result could not be used', { kind: 'none', outcome: 'ran' }],
    ['nothing has changed, but its earlier result could not be used', { kind: 'none', outcome: 'failed' }],
    ['what it stands on has changed', { kind: 'input' }],
    ['something has changed', { kind: 'changed' }],
    ['a changed', { kind: 'changed', differences: [file('a')] }],
    ['a changed, 1 more file', { kind: 'changed', differences: [file('a'), file('b')] }],
    ['a changed, 7 more files', { kind: 'changed', differences: [file('a'), file('b')], more: 6 }],
    ['a changed, 2 more files', { kind: 'changed', differences: [file('a')], more: 2 }],
    ['a changed, 1 more difference', { kind: 'changed', differences: [file('a'), { ...file('B'), what: 'variable' }] }],
    ['ARG or ENV B changed, 1 more difference', { kind: 'changed', differences: [{ ...file('B'), what: 'variable' }, file('a')] }],
  ])('%s', (text, more) => {
    expect(reasonText(reason(more), undefined)).toBe(text);
  }); // oxfmt-ignore

  test.each<[string, Partial<ExplainedStep>]>([
    ['it stands on RUN x (Dockerfile:7), which ran again', { place: 'Dockerfile:7' }],
    ['it stands on RUN x, which ran again', { outcome: 'failed' }],
    ['it stands on RUN x, which is another one than before', { outcome: 'cached' }],
  ])('%s', (text, cause) => {
    expect(reasonText(reason({ kind: 'input' }), explained(cause))).toBe(text);
  });

  test('with a cause that has a long name, without all of it', () => {
    const text = reasonText(reason({ kind: 'input' }), explained({ name: `RUN ${'a'.repeat(500)}` }));
    expect(text.length).toBeLessThan(120);
    expect(text).toContain('…, which ran again');
  });
});

describe('one difference, in words', () => {
  test.each<[string, Difference]>([
    ['src/a.ts changed (ab -> cd)', file('src/a.ts', { before: 'ab', after: 'cd' })],
    ['src/a.ts added (none -> cd)', file('src/a.ts', { change: 'added', after: 'cd' })],
    ['src/a.ts removed (ab -> none)', file('src/a.ts', { change: 'removed', before: 'ab' })],
    ['a of stage base has another mode (644 -> 755)', file('a', { change: 'mode', before: '644', after: '755', of: 'stage base' })],
    ['a has another owner', file('a', { change: 'owner' })],
    ['a is something else', file('a', { change: 'type' })],
    ['a is another link', file('a', { change: 'target' })],
    ['one of 5 files beneath src changed', file('src', { oneOf: 5 })],
    ['src added with 1 file', file('src', { change: 'added', oneOf: 1 })],
    ['src of stage base removed with 9 files', file('src', { change: 'removed', oneOf: 9, of: 'stage base' })],
    ['ARG or ENV V changed (1 -> 2)', { ...file('V', { before: '1', after: '2' }), what: 'variable' }],
    ['base image alpine changed', { ...file('alpine'), what: 'base' }],
    ['its command changed (a -> b)', { ...file('command', { before: 'a', after: 'b' }), what: 'command' }],
    ['--network changed (none -> host)', { ...file('--network', { before: 'none', after: 'host' }), what: 'option' }],
    ['https://h/f changed', { ...file('https://h/f'), what: 'source' }],
    ['device v/gpu=0 removed', { ...file('v/gpu=0', { change: 'removed' }), what: 'device' }],
  ])('%s', (text, difference) => {
    expect(differenceText(difference)).toBe(text);
  }); // oxfmt-ignore
});

test.each([
  ['short', 10, 'short'],
  ['exactly 10', 10, 'exactly 10'],
  ['eleven char', 10, 'eleven ch…'],
  ['  two\n\tlines  ', 20, 'two lines'],
  ['', 5, ''],
])('%j within %d is %j', (text, length, line) => expect(oneLine(text, length)).toBe(line));
