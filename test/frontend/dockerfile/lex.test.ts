import { describe, expect, test } from 'vitest';
import { expandWord, expandWords } from '../../../src/frontend/dockerfile/index.ts';
import { mistake } from './support.ts';

const env = new Map([
  ['FOO', 'foo'],
  ['PATHS', '/usr/lib/a.b.c'],
  ['EMPTY', ''],
  ['STAR', '*a*b'],
  ['LINES', 'one\ntwo'],
  ['SMILE', 'a👽b👽c'],
]);

describe('expansion', () => {
  test.each([
    ['$FOO${FOO}x', 'foofoox'],
    ['$UNSET.', '.'],
    ['\'$FOO\' "$FOO" \\$FOO', '$FOO foo $FOO'],
    ['"\\"\\$\\\\\\x"', '"$\\\\x'],
    ['${UNSET-a}${EMPTY-a}${UNSET:-b}${EMPTY:-b}', 'abb'],
    ['${UNSET+a}${EMPTY+a}${FOO:+b}${EMPTY:+b}', 'ab'],
    ['${UNSET:-${EMPTY:-${FOO}}}', 'foo'],
    ['${UNSET:-"a b"}', 'a b'],
    ['${FOO?no}${FOO:?no}', 'foofoo'],
    ['${PATHS#/*/}', 'lib/a.b.c'],
    ['${PATHS##*/}', 'a.b.c'],
    ['${PATHS%.*}', '/usr/lib/a.b'],
    ['${PATHS%%.*}', '/usr/lib/a'],
    ['${PATHS#x}', '/usr/lib/a.b.c'],
    ['${PATHS/\\//:}', ':usr/lib/a.b.c'],
    ['${PATHS//\\//:}', ':usr:lib:a.b.c'],
    ['${PATHS//./}', '/usr/lib/abc'],
    ['${PATHS/?s*b/X}', '/X.c'],
    ['${STAR//\\*/+}', '+a+b'],
    ['${STAR#\\*}', 'a*b'],
    ["${FOO//o/'$$'}", 'f$$'],
    ["${FOO/o/'$0'}", 'f$0o'],
    ["${FOO//o/'<$0>'}", 'f<o><o>'],
    ['${FOO//x*/-}', 'foo'],
    ['${FOO//*/-}', '-'],
    ['${LINES#*}|${LINES##*}', 'one\ntwo|\ntwo'],
    ['${LINES%%*}', 'one\n'],
    ['${SMILE//?/x}', 'xxxxx'],
    ['${SMILE#a?}', 'b👽c'],
    ['$1 $@ $$x $', '  x $'],
    ['a<b', 'a<b'],
    ['\uFEFFa', 'a'],
    ['a\\', 'a'],
  ])('%s', (word, value) => {
    expect(expandWord(word, env).value).toBe(value);
  });

  test.each([
    ['${}', 'syntax error: bad substitution'],
    ['${:}', 'syntax error: bad substitution'],
    ['${FOO', 'unsupported modifier (\uFFFD) in substitution'],
    ['${', "syntax error: missing '}'"],
    ['${FOO:-x', "syntax error: missing '}'"],
    ['${FOO/x', "syntax error: missing '/' in ${}"],
    ['${FOO/x/y', "syntax error: missing '}'"],
    ['${FOO!}', 'unsupported modifier (!) in substitution'],
    ['${FOO:#x}', 'unsupported modifier (:#) in substitution'],
    ['${FOO:=x}', 'unsupported modifier (:=) in substitution'],
    ['${UNSET?}', 'UNSET: is not allowed to be unset'],
    ['${EMPTY:?}', 'EMPTY: is not allowed to be empty'],
    ['${EMPTY:?give $FOO}', 'EMPTY: give foo'],
    ["'x", 'unexpected end of statement while looking for matching single-quote'],
    ['"x', 'unexpected end of statement while looking for matching double-quote'],
    ['${FOO#\\x}', "invalid pattern (\\x) in substitution: invalid escape '\\x'"],
  ])('%s is refused', (word, reason) => {
    expect(mistake(() => expandWord(word, env))).toBe(`failed to process ${JSON.stringify(word)}: ${reason}`);
  });

  test('tells which names were there, those of branches not taken included', () => {
    const { matched, unmatched } = expandWord('$FOO ${FOO:-$A} ${B:+$C} ${__proto__}', env);
    expect([...matched]).toEqual(['FOO']);
    expect([...unmatched].sort()).toEqual(['A', 'B', 'C', '__proto__']);
  });

  test('options', () => {
    expect(expandWord('a`$b\\c', env, { escape: '`' }).value).toBe('a$b\\c');
    expect(expandWord('"a"\'b\'', env, { rawQuotes: true }).value).toBe('"a"\'b\'');
    expect(expandWord('a\\ b', env, { rawEscapes: true }).value).toBe('a\\ b');
    expect(expandWord('$U ${U} ${U:-x} ${U/a/b} $FOO', env, { skipUnset: true }).value).toBe(
      '$U ${U} ${U:-x} ${U/a/b} foo',
    );
  });
});

describe('splitting', () => {
  test.each([
    ['a  b\tc', ['a', 'b', 'c']],
    ['"a b" c', ['a b', 'c']],
    ['a\\ b', ['a b']],
    ['$V', ['1', '2']],
    ['"$V"', [' 1  2 ']],
    ['x${V}y', ['x', '1', '2', 'y']],
    ['""', []],
    ['<< EOF', ['<< EOF']],
    // BuildKit's lexer loses what stands before a nested word.
    ['x${U:-y}', ['y']],
  ])('%s', (word, words) => {
    expect(expandWords(word, new Map([['V', ' 1  2 ']]))).toEqual(words);
  });
});
