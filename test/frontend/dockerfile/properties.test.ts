import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expandWord, expandWords, parseDockerfile, parseLines } from '../../../src/frontend/dockerfile/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';
import { file } from './support.ts';

const fragment = fc.constantFrom(
  'FROM a', 'RUN', 'COPY', 'ENV', 'ONBUILD', 'HEALTHCHECK', 'CMD', '# escape=`', '#', ' ', '\n', '\r\n', '\\', '\\\n', '`\n',
  '<<', '<<-E', 'E', '"', "'", '[', ']', '["a"]', '--mount=', '--from=x', '--', '=', '$', '${', '}', ':-', 'a', 'ä', '👽', '\t',
  '\uFEFF', '\u0000', '\u0085',
); // oxfmt-ignore
const text = fc.array(fragment, { maxLength: 40 }).map((parts) => parts.join(''));
const word = fc
  .array(
    fc.constantFrom(
      '$',
      '{',
      '}',
      'A',
      'B',
      ':',
      '-',
      '+',
      '?',
      '#',
      '%',
      '/',
      '*',
      "'",
      '"',
      '\\',
      ' ',
      'a',
      '👽',
      '<',
    ),
    { maxLength: 25 },
  )
  .map((parts) => parts.join(''));
const env = new Map([
  ['A', 'a/b.c a'],
  ['B', ''],
]);

function orRefused<T>(action: () => T): T | 'refused' {
  try {
    return action();
  } catch (error) {
    if (isTsbuildError(error, 'TSB_DOCKERFILE')) return 'refused';
    throw error;
  }
}

/** What anything from a user may be, quoted for the shell words of a Dockerfile. */
function quoted(value: string): string {
  return `"${value.replaceAll(/["$\\]/g, '\\$&')}"`;
}

describe('any text', () => {
  test('is parsed or refused with a Dockerfile error', () => {
    fc.assert(
      fc.property(text, (source) => void orRefused(() => parseDockerfile(file(source)))),
      { numRuns: 2000 },
    );
  });

  test('has instructions in order, each within the file', () => {
    fc.assert(
      fc.property(text, (source) => {
        const parsed = orRefused(() => parseLines(file(source)));
        if (parsed === 'refused') return;
        const lines = source.split('\n').length;
        let last = 0;
        for (const { startLine, endLine } of parsed.nodes) {
          expect(startLine).toBeGreaterThan(last);
          expect(endLine).toBeGreaterThanOrEqual(startLine);
          expect(endLine).toBeLessThanOrEqual(lines);
          last = endLine;
        }
      }),
    );
  });

  test('means the same with CRLF, outside heredocs', () => {
    fc.assert(
      fc.property(text, (source) => {
        const plain = source.replaceAll('\r', '').replaceAll('<<', '');
        const read = (input: string): unknown => {
          const parsed = orRefused(() => parseLines(file(input)));
          return parsed === 'refused' ? parsed : parsed.nodes;
        };
        expect(read(plain.replaceAll('\n', '\r\n'))).toEqual(read(plain));
      }),
    );
  });

  test('comments between instructions change nothing but line numbers', () => {
    const instruction = fc.constantFrom('RUN a "b"', 'ENV a=b', 'COPY x y', 'CMD ["z"]', 'LABEL a b c');
    fc.assert(
      fc.property(fc.array(instruction, { minLength: 1 }), (list) => {
        const of = (separator: string): unknown =>
          parseLines(file(['FROM a', ...list].join(separator))).nodes.map(({ args, keyword }) => [keyword, args]);
        expect(of('\n# c\n\n')).toEqual(of('\n'));
      }),
    );
  });

  test('of a heredoc comes back as written', () => {
    const line = fc.string().map((value) => value.replaceAll(/[\r\n]/g, '').replace(/^EOF$/, 'x'));
    fc.assert(
      fc.property(fc.array(line), (body) => {
        const content = body.map((item) => `${item}\n`).join('');
        const { nodes } = parseLines(file(`FROM a\nRUN <<EOF\n${content}EOF\nRUN b\n`));
        expect(nodes[1]?.heredocs[0]?.content).toBe(content);
        expect(nodes[2]?.original).toBe('RUN b');
      }),
    );
  });
});

describe('any word', () => {
  test('is expanded or refused', () => {
    fc.assert(
      fc.property(word, (source) => void orRefused(() => expandWord(source, env))),
      { numRuns: 3000 },
    );
  });

  test('in quotes is itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        fc.pre(!value.startsWith('\uFEFF'));
        expect(expandWord(quoted(value), env).value).toBe(value);
        if (value !== '') expect(expandWords(quoted(value), env)).toEqual([value]);
      }),
    );
  });

  test('splits into what it expands to, blanks aside', () => {
    fc.assert(
      fc.property(word, (source) => {
        // A nested word drops what stands before it, see the lexer.
        fc.pre(!/[-+?#%/]/.test(source));
        const whole = orRefused(() => expandWord(source, env).value);
        const words = orRefused(() => expandWords(source, env));
        if (whole === 'refused' || words === 'refused') expect(whole).toBe(words);
        else expect(words.join('').replaceAll(' ', '')).toBe(whole.replaceAll(' ', ''));
      }),
    );
  });

  test('trims and replaces like a regular expression', () => {
    const glob = fc.array(fc.constantFrom('a', 'b', '*', '?'), { maxLength: 6 }).map((parts) => parts.join(''));
    const value = fc.array(fc.constantFrom('a', 'b', 'c', '\n'), { maxLength: 12 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(glob, value, (pattern, subject) => {
        const scope = new Map([['v', subject]]);
        const source = (star: string): string => pattern.replaceAll('?', '.').replaceAll('*', star);
        const shortest = new RegExp(`^${source('.*?')}`).exec(subject)?.[0] ?? '';
        const longest = new RegExp(`^${source('.*')}`).exec(subject)?.[0] ?? '';
        expect(expandWord(`\${v#${pattern}}`, scope).value).toBe(subject.slice(shortest.length));
        expect(expandWord(`\${v##${pattern}}`, scope).value).toBe(subject.slice(longest.length));
        fc.pre(pattern !== '');
        expect(expandWord(`\${v/${pattern}/x}`, scope).value).toBe(subject.replace(new RegExp(source('.*')), 'x'));
      }),
      { numRuns: 2000 },
    );
  });
});
