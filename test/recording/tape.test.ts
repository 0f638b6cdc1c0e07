import { describe, expect, test } from 'vitest';
import { answerName, type RecordedAnswer } from '../../src/pins/index.ts';
import { Problems } from '../../src/recording/problems.ts';
import type { ProxyRequest } from '../../src/recording/proxy-request.ts';
import { Tape, varyOf } from '../../src/recording/tape.ts';
import { TsbuildError } from '../../src/util/index.ts';

function request(more: Partial<ProxyRequest> = {}): ProxyRequest {
  const { written = 'https://a.test/x' } = more;
  return {
    method: 'GET',
    url: new URL(written),
    written,
    authorized: false,
    headers: {},
    range: undefined,
    ifRange: undefined,
    ifNoneMatch: undefined,
    ifModifiedSince: undefined,
    ...more,
  };
}

const answer = (more: Partial<RecordedAnswer> = {}): RecordedAnswer => ({
  method: 'GET',
  url: 'https://a.test/x',
  status: 200,
  headers: {},
  steps: ['RUN a'],
  ...more,
});

describe('the answers of a build', () => {
  test('of a locked step are those that were recorded for it', () => {
    const [mine, theirs] = [answer(), answer({ url: 'https://a.test/y', steps: ['RUN b'] })];
    const tape = new Tape([mine, theirs], false);
    expect(tape.find(request(), 'locked', 'RUN a')).toBe(mine);
    expect(tape.find(request(), 'locked', 'RUN b')).toBeUndefined();
    expect(tape.find(request({ written: 'https://a.test/y' }), 'locked', 'RUN a')).toBeUndefined();
    expect(tape.isKnown(request({ written: 'https://a.test/y' }))).toBe(true);
    expect(tape.isKnown(request({ written: 'https://a.test/z' }))).toBe(false);
    expect(tape.of('RUN b')).toEqual([theirs]);
  });

  test('of a step that records are those of all, unless everything is asked for again', () => {
    const known = answer({ steps: ['RUN b'] });
    expect(new Tape([known], false).find(request(), 'record', 'RUN a')).toBe(known);
    expect(new Tape([known], true).find(request(), 'record', 'RUN a')).toBeUndefined();
    // A locked step beside it goes by what is written down.
    expect(new Tape([known], true).find(request(), 'locked', 'RUN b')).toBe(known);
  });

  test('are told apart by method, address and what was sent', () => {
    const post = (sent: string): RecordedAnswer => answer({ method: 'POST', sent: sent as never });
    const tape = new Tape([answer(), post('sha256:1'), post('sha256:2')], false);
    const find = (more: Partial<ProxyRequest>) => tape.find(request(more), 'record', 'RUN a');
    expect(find({ method: 'POST', sent: 'sha256:2' })?.sent).toBe('sha256:2');
    expect(find({ method: 'POST', sent: 'sha256:3' })).toBeUndefined();
    expect(find({ method: 'POST' })).toBeUndefined();
    expect(find({ written: 'https://a.test/X' })).toBeUndefined();
  });

  test('to HEAD are those to GET where there is none of their own', () => {
    const tape = new Tape([answer()], false);
    expect(tape.find(request({ method: 'HEAD' }), 'record', 'RUN a')?.method).toBe('GET');
    const both = new Tape([answer(), answer({ method: 'HEAD', status: 204 })], false);
    expect(both.find(request({ method: 'HEAD' }), 'record', 'RUN a')?.status).toBe(204);
    expect(new Tape([answer({ method: 'HEAD' })], false).find(request(), 'record', 'RUN a')).toBeUndefined();
  });

  test('depend on the headers that their servers named, and on no others', () => {
    const of = (accept: string): RecordedAnswer => answer({ vary: { accept }, headers: { etag: accept } });
    const tape = new Tape([of('text/html'), of('')], false);
    const tag = (headers: Record<string, string>) =>
      tape.find(request({ headers }), 'record', 'RUN a')?.headers['etag'];
    expect(tag({ accept: 'text/html', 'user-agent': 'x' })).toBe('text/html');
    expect(tag({})).toBe('');
    expect(tag({ accept: 'text/plain' })).toBeUndefined();
  });

  test.each<[string | undefined, Record<string, string>, RecordedAnswer['vary']]>([
    [undefined, { accept: 'a' }, undefined],
    ['Accept-Encoding, Cookie', { accept: 'a' }, undefined],
    ['Accept', { accept: 'a' }, { accept: 'a' }],
    ['ACCEPT,  Accept-Language', { accept: 'a' }, { accept: 'a', 'accept-language': '' }],
    ['git-protocol', { 'git-protocol': 'version=2' }, { 'git-protocol': 'version=2' }],
    ['*', { accept: 'a' }, undefined],
  ])('%s of Vary counts as %j', (vary, headers, counted) => {
    expect(varyOf(vary, headers)).toEqual(counted);
  });

  test('with credentials are for who has some; without them for everybody, but for what only denies', () => {
    const open = answer({ headers: { etag: 'open' } });
    const secret = answer({ authorized: true, headers: { etag: 'secret' } });
    const denied = answer({ status: 401, headers: { etag: 'denied' } });
    const tag = (answers: readonly RecordedAnswer[], authorized: boolean) =>
      new Tape(answers, false).find(request({ authorized }), 'record', 'RUN a')?.headers['etag'];
    expect([tag([open, secret], true), tag([open, secret], false)]).toEqual(['secret', 'open']);
    expect([tag([open], true), tag([secret], false)]).toEqual(['open', 'secret']);
    expect([tag([denied, secret], false), tag([denied], true)]).toEqual(['denied', undefined]);
  });

  test('of one build are of one state: the first counts', () => {
    const tape = new Tape([], false);
    expect(tape.hasNew).toBe(false);
    const first = tape.add(answer({ headers: { etag: '1' }, steps: [] }));
    expect(tape.hasNew).toBe(true);
    const second = answer({ headers: { etag: '2' }, steps: [] });
    if (answerName(first) === answerName(second)) expect(tape.add(second)).toBe(first);
    expect(tape.find(request(), 'record', 'RUN a')?.headers['etag']).toBe('1');
  });
});

describe('what a lock file says afterwards', () => {
  const kept = answer({ url: 'https://a.test/kept', steps: ['RUN a', 'RUN b'] });

  test('is what it said, where nothing recorded', () => {
    expect(new Tape([kept], false).toWrite()).toEqual([kept]);
  });

  test('forgets what a step does not ask for any more, and keeps it for those that did not run', () => {
    const tape = new Tape([kept], false);
    tape.begin('RUN a');
    expect(tape.toWrite()).toEqual([{ ...kept, steps: ['RUN b'] }]);
    tape.begin('RUN b');
    expect(tape.toWrite()).toEqual([]);
    tape.use(kept, 'RUN b');
    expect(tape.toWrite()).toEqual([{ ...kept, steps: ['RUN b'] }]);
  });

  test('has what is new, once, with all steps that got it, sorted', () => {
    const tape = new Tape([], false);
    for (const step of ['RUN b', 'RUN a', 'RUN b']) {
      tape.begin(step);
      tape.use(tape.add(answer({ steps: [] })), step);
    }
    expect(tape.toWrite()).toEqual([answer({ steps: ['RUN a', 'RUN b'] })]);
  });

  test('has nothing of before where all was asked for again', () => {
    const tape = new Tape([kept], true);
    tape.begin('RUN a');
    tape.use(tape.add(answer({ steps: [] })), 'RUN a');
    expect(tape.toWrite()).toEqual([answer({ steps: ['RUN a'] })]);
  });
});

describe('what went wrong in the network of a step', () => {
  const problem = (what: string, more: object = {}) => ({ kind: 'new', what, why: 'is not in lock', ...more }) as const;

  test('is a warning where the step went on, each once', () => {
    const problems = new Problems('record', 'lock');
    expect(problems.warning()).toBeUndefined();
    problems.check();
    problems.note({ kind: 'unreachable', what: 'GET a', why: 'could not be had', hint: 'try' });
    problems.note({ kind: 'unreachable', what: 'GET a', why: 'could not be had again' });
    problems.note({ kind: 'refused', what: 'POST b', why: 'was refused' });
    expect(problems.warning()).toBe('GET a could not be had; POST b was refused; the step went on without (try)');
  });

  test('is the reason of its failure where it failed, with what to do', () => {
    const problems = new Problems('locked', 'tsbuild.lock');
    const failure = new TsbuildError('TSB_STEP', 'RUN x failed', { hint: 'its own' });
    expect(problems.explain(failure)).toBe(failure);
    problems.note(problem('GET a'));
    expect(problems.explain(failure)).toMatchObject({
      code: 'TSB_STEP',
      message: 'RUN x failed: GET a is not in lock',
      hint: 'build with --network=record, and look at what it adds to tsbuild.lock',
      cause: failure,
    });
    const fault = new TypeError('x');
    expect(problems.explain(fault)).toBe(fault);
  });

  test('is told of up to ten, and then how many more', () => {
    const problems = new Problems('record', 'lock');
    for (let at = 0; at < 13; at++) problems.note(problem(`GET ${at}`));
    expect(problems.warning()).toMatch(/^GET 0 is not in lock; .*GET 9 is not in lock; and 3 more; the step went on/);
  });

  test('never controls a terminal, and is never endless', () => {
    const problems = new Problems('record', 'lock');
    problems.note(problem(`GET \u001b[2J\n${'x'.repeat(1000)}`));
    const told = problems.warning() ?? '';
    // oxlint-disable-next-line no-control-regex
    expect(told).not.toMatch(/[\0-\x1f]/);
    expect(told.length).toBeLessThan(500);
  });

  test('that it cannot have got over ends it, whatever it says itself', () => {
    const problems = new Problems('locked', 'lock');
    const [lost, later] = ['lost', 'later'].map((text) => new TsbuildError('TSB_LOCK', text)) as [
      TsbuildError,
      TsbuildError,
    ];
    problems.fail(lost);
    problems.fail(later);
    expect(() => problems.check()).toThrow(lost);
    expect(problems.explain(new TsbuildError('TSB_STEP', 'x'))).toBe(lost);
  });
});
