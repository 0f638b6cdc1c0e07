import { describe, expect, test } from 'vitest';
import {
  type Account,
  carryOver,
  decodeAccount,
  type Earlier,
  encodeAccount,
  explain,
  fingerprint,
  hintsOf,
  nearest,
  type Part,
  renderExplanation,
  type Step,
} from '../../src/explain/index.ts';
import { account, step } from './steps.ts';

function earlier(of: Account, more: Partial<Earlier> = {}): Earlier {
  return { account: of, isWhole: true, load: () => undefined, had: () => true, ...more };
}

/** Why the last of the steps ran. */
function reasonOf(now: readonly Step[], before?: readonly Step[], more: Partial<Earlier> = {}) {
  const { steps } = explain(account(now), before && earlier(account(before), more));
  return steps.at(-1)?.reason;
}

const part = (name: string, id: string, what: Part['what'] = 'variable', shown = id): Part => ({
  what,
  name,
  id,
  shown,
});

describe('why a step ran', () => {
  test('what was forced says so, whatever changed', () => {
    expect(
      reasonOf([step({ isForced: true, parts: [part('A', '1')] })], [step({ parts: [part('A', '2')] })]),
    ).toMatchObject({ kind: 'no-cache' });
  });

  test('without an earlier build there is no record', () => {
    expect(reasonOf([step()])).toMatchObject({ kind: 'no-record', text: 'no earlier record' });
  });

  test('a step that the earlier build did not have is new, unless something of that build was forgotten', () => {
    const now = [step({ name: 'RUN x' }), step({ name: 'COPY y' })];
    expect(reasonOf(now, [step({ name: 'RUN x' })])).toMatchObject({ kind: 'new' });
    expect(reasonOf(now, [step({ name: 'RUN x' })], { isWhole: false })).toMatchObject({ kind: 'no-record' });
  });

  test('nothing has changed: its result is gone, could not be used, or it failed', () => {
    expect(reasonOf([step()], [step()], { had: () => false })).toMatchObject({
      kind: 'gone',
      text: expect.stringContaining('no earlier record') as string,
    });
    expect(reasonOf([step()], [step()])).toMatchObject({
      kind: 'none',
      text: expect.stringContaining('could not be used') as string,
    });
    expect(reasonOf([step()], [step({ outcome: 'failed', nodes: [] })])).toMatchObject({
      kind: 'none',
      text: expect.stringContaining('failed the last time') as string,
    });
  });

  test('the command goes before variables, which go before files', () => {
    const files = (content: 'sha256:a' | 'sha256:b') => [{ step: 0, content }] as const;
    const before = step({ parts: [part('A', '1'), part('command', 'x', 'command')], inputs: files('sha256:a') });
    const now = step({ parts: [part('A', '2'), part('command', 'y', 'command')], inputs: files('sha256:b') });
    const context = step({ name: 'local', kind: 'local', outcome: 'ran' });
    const reason = reasonOf([context, now], [context, before]);
    expect(reason?.differences.map(({ what }) => what)).toEqual(['command', 'variable', 'file']);
    expect(reason?.text).toBe('its command changed (x -> y), 2 more differences');
  });

  test('the cause is the step where it began', () => {
    const chain = (value: string): Step[] => [
      step({ name: 'RUN a', parts: [part('A', value)], nodes: [value] }),
      step({ name: 'RUN b', inputs: [{ step: 0 }], nodes: [`b${value}`] }),
      step({ name: 'RUN c', inputs: [{ step: 1 }], nodes: [`c${value}`] }),
    ];
    const { steps } = explain(account(chain('2')), earlier(account(chain('1'))));
    expect(steps.map(({ reason }) => [reason.kind, reason.cause])).toEqual([
      ['changed', undefined],
      ['input', steps[0]?.vertex],
      ['input', steps[0]?.vertex],
    ]);
    expect(steps[2]?.reason.text).toBe('it stands on RUN b, which ran again');
  });

  test('an input that came from the cache, but is another one', () => {
    const on = (node: string): Step[] => [
      step({ name: 'RUN a', outcome: 'cached', nodes: [node] }),
      step({ name: 'RUN b', inputs: [{ step: 0 }] }),
    ];
    expect(reasonOf(on('2'), on('1'))?.text).toBe('it stands on RUN a, which is another one than before');
    expect(reasonOf(on('1'), on('1'))?.kind).toBe('none');
  });

  test('a hit says which cache it was in, if it was none of this machine', () => {
    expect(reasonOf([step({ outcome: 'cached' })])?.text).toBe('in the cache');
    expect(reasonOf([step({ outcome: 'cached', from: 'registry.example/c' })])?.text).toBe(
      'in the cache registry.example/c',
    );
  });

  test('equal builds give no difference', () => {
    const same = [step({ parts: [part('A', '1')], inputs: [{ step: 0, content: 'sha256:a' }] })];
    expect(reasonOf(same, same)?.differences).toEqual([]);
  });
});

describe('what is kept of a build', () => {
  test('can be read again, with gaps for what was forgotten', () => {
    const explained = explain(account([step({ name: 'RUN a' }), step({ name: 'RUN b' })]), undefined);
    const { head, steps } = encodeAccount(explained);
    expect(decodeAccount(head, new Map(steps.entries()))).toEqual({ explanation: explained, isWhole: true });
    const part = decodeAccount(head, new Map([[1, steps[1] ?? '']]));
    expect(part?.isWhole).toBe(false);
    expect(part?.explanation.steps.map(({ name }) => name)).toEqual(['', 'RUN b']);
  });

  test.each(['', '{', '{}', '{"version":2,"count":0}', '{"version":1,"count":-1.5}'])('%j is none', (head) => {
    expect(decodeAccount(head, new Map())).toBeUndefined();
  });

  test('what this build did not come to is what it last was', () => {
    const before = account([
      step({ name: 'RUN a', parts: [part('A', '1')], inputs: [{ step: 0, content: 'sha256:a', listing: 'l' }] }),
    ]);
    const kept = (outcome: Step['outcome']): Step | undefined =>
      carryOver(
        account([step({ name: 'RUN a', outcome, nodes: [], parts: [part('A', '2')], inputs: [{ step: 0 }] })]),
        before,
      ).steps[0];
    expect(kept('stopped')).toMatchObject({
      nodes: ['node of RUN a'],
      parts: [{ id: '1' }],
      inputs: [{ listing: 'l' }],
    });
    expect(kept('cached')).toMatchObject({ parts: [{ id: '2' }], inputs: [{ content: 'sha256:a', listing: 'l' }] });
    expect(kept('ran')).toMatchObject({ nodes: [], inputs: [{ step: 0 }] });
  });
});

describe('the nearest earlier build', () => {
  const steps = ['RUN a', 'RUN b', 'RUN c', 'RUN d'];
  const build = (context: string, names: readonly string[], target = '') => ({
    lineage: { context, dockerfile: `${context}/Dockerfile`, target, platforms: [] },
    prints: fingerprint(names.map((name) => step({ name }))),
  });

  test('is the last of the same lineage, else one with most steps in common', () => {
    const own = build('/own', steps);
    const [same, alike, more] = [build('/own', []), build('/x', [...steps.slice(1), 'RUN z']), build('/y', steps)];
    expect(nearest(own, [alike, same])).toBe(same);
    expect(nearest(own, [alike, more])).toBe(more);
    expect(nearest(own, [alike])).toBe(alike);
    expect(nearest(own, [build('/x', steps.slice(2)), build('/y', steps, 'test')])).toBeUndefined();
  });
});

describe('what it costs', () => {
  test('dear steps after a COPY whose files changed are a hint; cheap ones are none', () => {
    const steps = (ms: number, listing: string): Step[] => [
      step({ name: 'context', kind: 'local' }),
      step({
        name: '[2/4] COPY . /app',
        kind: 'files',
        inputs: [{ step: 0, content: `sha256:${listing}` }],
        nodes: [listing],
      }),
      step({ name: '[3/4] RUN npm ci', inputs: [{ step: 1 }], ms, nodes: [`b${listing}`] }),
      step({ name: '[4/4] RUN npm test', inputs: [{ step: 2 }], ms: ms / 2, nodes: [`c${listing}`] }),
    ];
    const hints = (ms: number) => hintsOf(explain(account(steps(ms, '2')), earlier(account(steps(ms, '1')))));
    expect(hints(20_000)).toMatchObject([
      { steps: 2, ms: 30_000, text: expect.stringContaining('"RUN npm ci" (20.0s)') as string },
    ]);
    expect(hints(100)).toEqual([]);
  });

  test('nothing that comes from outside controls the terminal', () => {
    const hostile = step({ name: 'RUN \u001b[2J\u202e x', place: 'Docker\u001bfile:1' });
    const text = renderExplanation(explain(account([hostile]), undefined), { age: () => 'now' });
    // eslint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u001b\u202e]/);
  });
});
