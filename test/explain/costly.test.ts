import { describe, expect, test } from 'vitest';
import type { StepReason } from '../../src/events/index.ts';
import { type Explanation, hintsOf, type Step } from '../../src/explain/index.ts';
import { account, step } from './steps.ts';

type Explained = Explanation['steps'][number];
const reason = (more: Partial<StepReason>): StepReason =>
  ({ kind: 'changed', text: '', differences: [], ...more }) as StepReason;
const changed = (what: string, name: string): StepReason => reason({ differences: [{ what, name }] as never });
const explained = (why: StepReason, more: Partial<Step> = {}): Explained => ({ ...step(more), reason: why });
const command = (text: string): Step['parts'] => [{ what: 'command', name: '', id: '1', shown: text }];
const hints = (...steps: readonly Explained[]) => hintsOf({ ...account(steps), steps }); // oxfmt-ignore

describe('a variable that is set too early', () => {
  const early = (name: string, text: string, ms: number): Explained =>
    explained(changed('variable', 'VERSION'), { name, parts: command(text), ms });

  test('is told with the steps that do not name it, and what they took', () => {
    const found = hints(
      early('RUN one', 'make one', 700),
      early('RUN two', 'make two', 800),
      early('RUN three', 'echo $VERSION', 5000),
    );
    expect(found).toEqual([
      expect.objectContaining({
        steps: 2,
        ms: 1500,
        vertex: step({ name: 'RUN one' }).vertex,
        text: 'VERSION has another value, and is set before 2 steps that do not name it but ran again for it, 1.5s. Move its ARG or ENV down to the first instruction that uses it',
      }),
    ]);
  });

  test('costs what stands on these steps, too', () => {
    const one = early('RUN one', 'make one', 500);
    const after = explained(reason({ kind: 'input', cause: one.vertex }), { name: 'RUN after', ms: 9500 });
    const [hint] = hints(one, after);
    expect(hint).toMatchObject({ steps: 2, ms: 10_000 });
    expect(hint?.text).toContain('2 steps that do not name it');
    expect(hints(early('RUN one', 'make one', 2000))[0]?.text).toContain('1 step that does not name it');
  });

  test.each([
    ['every step names it', [early('RUN one', 'echo ${VERSION}', 9000)]],
    ['it took no time', [early('RUN one', 'make', 999)]],
    [
      'something else has changed as well',
      [
        explained(
          reason({
            differences: [
              { what: 'variable', name: 'A' },
              { what: 'command', name: '' },
            ] as never,
          }),
          {
            ms: 9000,
          },
        ),
      ],
    ],
    ['the step did not run', [explained(changed('variable', 'A'), { outcome: 'cached', ms: 9000 })]],
  ])('is no hint where %s', (_why, steps) => {
    expect(hints(...steps)).toEqual([]);
  });

  test('a name within another is not that name', () => {
    expect(hints(early('RUN one', 'echo $VERSIONS $MY_VERSION', 2000))).toHaveLength(1);
  });
});

describe('a COPY of more than is needed', () => {
  const copy = (name = 'COPY . /'): Explained =>
    explained(changed('file', 'README.md'), { name, kind: 'files', place: 'Dockerfile:3', ms: 10 });

  test('is told with the dearest step after it', () => {
    const first = copy();
    const after = (name: string, ms: number, kind: Step['kind'] = 'run'): Explained =>
      explained(reason({ kind: 'input', cause: first.vertex }), { name, ms, kind });
    const [hint, ...others] = hints(first, after('RUN npm ci', 9000), after('RUN quick', 100), after('COPY x y', 1, 'files'));
    expect(others).toEqual([]);
    expect(hint).toMatchObject({ vertex: first.vertex, steps: 3, ms: 9101 });
    expect(hint?.text).toBe(
      '"COPY . /" (Dockerfile:3) made 3 steps after it run again, 9.1s. Copy what "RUN npm ci" (9.0s) needs first, run it, and copy the rest after it',
    );
  }); // oxfmt-ignore

  test.each<[string, readonly Explained[]]>([
    ['nothing ran after it', [copy()]],
    ['what came after it took no time', [copy(), explained(reason({ cause: copy().vertex }), { name: 'RUN a', ms: 900 })]],
    ['no command came after it', [copy(), explained(reason({ cause: copy().vertex }), { name: 'COPY b', kind: 'files', ms: 9000 })]],
    ['its command has changed', [explained(changed('command', ''), { kind: 'files', ms: 1 }), explained(reason({ cause: copy().vertex }), { name: 'RUN a', ms: 9000 })]],
  ])('is no hint where %s', (_why, steps) => {
    expect(hints(...steps)).toEqual([]);
  }); // oxfmt-ignore
});

test('the dearest comes first', () => {
  const first = explained(changed('file', 'a'), { name: 'COPY a', kind: 'files' });
  const steps = [
    first,
    explained(reason({ cause: first.vertex }), { name: 'RUN a', ms: 2000 }),
    explained(changed('variable', 'A'), { name: 'RUN b', parts: command('true'), ms: 3000 }),
  ];
  expect(hints(...steps).map(({ ms }) => ms)).toEqual([3000, 2000]);
});
