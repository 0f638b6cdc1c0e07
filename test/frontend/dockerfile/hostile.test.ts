import { describe, expect, test } from 'vitest';
import { expandWord, expandWords } from '../../../src/frontend/dockerfile/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';
import { parse } from './support.ts';

const MIB = 1024 * 1024;
const wide = 'a'.repeat(MIB);

/** Runs to an end or to a proper error; faults of any other kind get out. */
function survives(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (!isTsbuildError(error, 'TSB_DOCKERFILE')) throw error;
    expect(error.message.length).toBeLessThan(5000);
    return 'refused';
  }
}

/** Generous: these take a few hundred milliseconds at most, and a quadratic algorithm takes minutes. */
const LIMIT = 10_000;

describe('hostile Dockerfiles take linear time (PAR-01..04)', { timeout: LIMIT }, () => {
  test.each<[string, () => string, string]>([
    ['a million instructions', () => 'FROM a\n' + 'RUN a\n'.repeat(1e6), 'refused'],
    ['a million continuations', () => `FROM a\nRUN ${'a\\\n'.repeat(1e6)}b`, 'ok'],
    ['half a million empty continuations', () => `FROM a\nRUN ${'a\\\n\n'.repeat(5e5)}b`, 'ok'],
    ['a million comments', () => `${'#a\n'.repeat(1e6)}FROM a`, 'ok'],
    ['nothing but comments', () => '#a\n'.repeat(1e6), 'refused'],
    ['a file above the size limit', () => `FROM a\n#${'\n#'.repeat(9 * MIB)}`, 'refused'],
    ['a long line', () => `FROM a\nRUN ${'a'.repeat(70_000)}`, 'refused'],
    ['a long unknown instruction', () => `FROM a\n${'X'.repeat(60_000)} a`, 'refused'],
    ['deep JSON', () => `FROM a\nRUN ${`${'['.repeat(60_000)}\\\n`.repeat(16)}`, 'ok'],
    ['deep closed JSON', () => `FROM a\nRUN ${'['.repeat(30_000)}${']'.repeat(30_000)}`, 'ok'],
    ['wide JSON', () => `FROM a\nRUN [\\\n${'"a",\\\n'.repeat(2e5)}"b"]`, 'ok'],
    ['many heredocs', () => `FROM a\n${'RUN <<E\nx\nE\n'.repeat(99_999)}`, 'ok'],
    ['a heredoc within each other', () => `FROM a\n${'RUN <<A\n<<B\n'.repeat(1e5)}`, 'refused'],
    ['many heredocs on a line', () => `FROM a\nRUN ${'<<E '.repeat(16_000)}\n${'E\n'.repeat(16_000)}`, 'ok'],
    ['a heredoc head of blanks', () => `FROM a\nRUN <<${' '.repeat(60_000)}x<\n`, 'ok'],
    ['ONBUILD in ONBUILD', () => `FROM a\n${`${'ONBUILD '.repeat(8000)}\\\n`.repeat(10)}x`, 'refused'],
    ['open quotes', () => `FROM a\nRUN ${'"'.repeat(60_001)}<<`, 'ok'],
    ['many flags', () => `FROM a\nRUN ${`${'--mount=a '.repeat(6000)}\\\n`.repeat(16)}x`, 'ok'],
    ['many variables', () => `FROM a\nENV ${`${'a=b '.repeat(16_000)}\\\n`.repeat(16)}`, 'ok'],
    ['directives of blanks', () => `# check=${' a'.repeat(30_000)}${' '.repeat(1000)}\nFROM a`, 'ok'],
    ['lines of blanks', () => `FROM a${' '.repeat(60_000)}\n`.repeat(10), 'ok'],
  ])('%s', (_name, text, outcome) => {
    expect(survives(() => parse(text()))).toBe(outcome);
  });

  test.each<[string, string, string]>([
    ['deep nesting', `${'${a:-'.repeat(1e5)}${'}'.repeat(1e5)}`, 'refused'],
    ['nesting within the limit', `${'${a:-'.repeat(400)}${'}'.repeat(400)}`, 'ok'],
    ['stars that match', '${v//*a*a*a*/x}', 'ok'],
    ['stars that do not', '${v//*a*a*a*b/x}', 'ok'],
    ['stars from the end', '${v%%*a*a*a*b}', 'ok'],
    ['a long pattern', `\${v//${'a'.repeat(30_000)}b/x}`, 'refused'],
    ['a growing replacement', `\${v//a/${'b'.repeat(60_000)}}`, 'refused'],
    ['many references', '$v'.repeat(30_000), 'refused'],
  ])('%s in a word', (_name, word, outcome) => {
    expect(survives(() => expandWord(word, new Map([['v', wide]])))).toBe(outcome);
  });

  test('variables that double reach the limit', () => {
    const env = new Map([['A', 'xx']]);
    const run = (): void => {
      for (let round = 0; round < 60; round++) env.set('A', expandWord('$A$A', env).value);
    };
    expect(survives(run)).toBe('refused');
  });

  test('a value of many words', () => {
    expect(expandWords('$v', new Map([['v', 'a '.repeat(MIB / 2)]]))).toHaveLength(MIB / 2);
  });

  test('a large ordinary file', () => {
    const three =
      'RUN --mount=type=cache,target=/x echo "hello $USER" && make\nENV A=b C="d e"\nCOPY --from=x a b /c/\n';
    const { stages } = parse(`FROM a\n${three.repeat(10_000)}`);
    expect(stages[0]?.commands).toHaveLength(30_000);
  });
});
