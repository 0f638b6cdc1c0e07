import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GoExpression, quoteExpression } from '../../src/patterns/index.ts';

const find = (source: string, text: string, template = '${0}'): string | undefined =>
  new GoExpression(source).match(text)?.expand(template);

describe('regular expressions as Go has them', () => {
  // As Go documents its regexp package: FindStringSubmatch and ReplaceAllString.
  test.each([
    ['a|ab', 'ab', 'a'],
    ['(a|ab)(c|bcd)(d*)', 'abcd', 'abcd'],
    ['a*?', 'aaa', ''],
    ['a+?b', 'aab', 'aab'],
    ['(?U)a+', 'aaa', 'a'],
    ['(?U)a+?', 'aaa', 'aaa'],
    ['^b', 'ab', undefined],
    ['(?m)^b$', 'a\nb\nc', 'b'],
    ['a.c', 'a\nc', undefined],
    ['(?s)a.c', 'a\nc', 'a\nc'],
    ['(?i)HELLO[a-c]', 'helloB', 'helloB'],
    ['(?i)[^a]', 'A', undefined],
    ['a(?i)b|c', 'C', 'C'],
    ['(?i:a)b', 'AB', undefined],
    ['a{2,3}', 'aaaa', 'aaa'],
    ['a{,2}', 'a{,2}', 'a{,2}'],
    ['x{2}{', 'xx{', 'xx{'],
    ['\\Qa.b\\E+', 'a.bb', 'a.bb'],
    ['[[:alpha:]_]+', '1ab_2', 'ab_'],
    ['[]a]+', 'a]b', 'a]'],
    ['\\bfoo\\b', 'a foo b', 'foo'],
    ['\\x{41}\\x42', 'AB', 'AB'],
    ['docker\\-image:\\/\\/', 'docker-image://x', 'docker-image://'],
    ['(|a)*', 'aa', ''],
    ['(a*)*', 'aab', 'aa'],
    ['é+', 'caféé', 'éé'],
  ])('%j in %j: %j', (source, text, found) => {
    expect(find(source, text)).toBe(found);
  });

  test.each([
    ['(a)(b)?', 'a', '[$1][$2][$3]', '[a][][]'],
    ['(?P<name>[^:]+):(?<tag>.*)', 'golang:1.19', '${name}-$tag', 'golang-1.19'],
    ['(.*):(.*)', 'a:b', '$2$1', 'ba'],
    // A name is as long as it can be.
    ['(.*):(.*)', 'a:b', '$1x', ''],
    ['(.*):(.*)', 'a:b', '${1}x', 'ax'],
    ['a', 'a', '$$1 $ ${ ${x y} $01', '$1 $ ${ ${x y} '],
  ])('%j in %j by %j: %j', (source, text, template, made) => {
    expect(find(source, text, template)).toBe(made);
  });

  test.each([
    ['a', 'banana', 'o', 'bonono'],
    ['a*', 'baaac', 'x', 'xbxcx'],
    ['', 'abc', '-', '-a-b-c-'],
    ['b', 'abc', '<$0>', 'a<b>c'],
    ['(?:^|/)x', 'x/xx/x', 'y', 'yyxy'],
    ['^docker-image://docker\\.io/(.*)', 'docker-image://docker.io/library/a', 'docker-image://m/$1', 'docker-image://m/library/a'],
  ])('all %j in %j by %j: %j', (source, text, template, made) => {
    expect(new GoExpression(source).replaceAll(text, template)).toBe(made);
  }); // oxfmt-ignore

  test.each([
    '(', ')', 'a)', '*', 'a**', 'a*??', 'a{1001}', 'a{2,1}', '[', '[b-a]', '[a', '(?=a)', '(?!a)', '(?<=a)', '(?z)', '(?i', '(?-)', '(?i-)',
    '\\1', '\\', '\\pL', '\\C', '(?P<n>a)(?P<n>b)', '(?P<a b>x)', '(?P<>x)', '[[:word', '[[:nothing:]]', '(?i)*', '+a', '|*', '((a{100}){100}){100}',

  ])('%s is refused', (source) => {
    expect(() => new GoExpression(source)).toThrow('syntax error in pattern');
  }); // oxfmt-ignore

  test('what is too deep or has too many groups is refused', () => {
    expect(() => new GoExpression('('.repeat(2000) + ')'.repeat(2000))).toThrow('syntax error in pattern');
    expect(() => new GoExpression('(a)'.repeat(101))).toThrow('syntax error in pattern');
    expect(find('(a)'.repeat(100), 'a'.repeat(100))).toHaveLength(100);
  });

  test('what would take a backtracking engine for ever takes no time', () => {
    const text = `${'a'.repeat(4000)}!`;
    for (const source of ['(a*)*b', '(a|aa)+$', '(.*)(.*)(.*)(.*)(.*)x', '^(([a-z])+.)+[A-Z]([a-z])+$'])
      expect(new GoExpression(source).match(text), source).toBeUndefined();
  });

  test('agrees with the built-in engine on what both understand', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(a|b)', '(ab|a)', '(?:b)', '(a)');
    const part = fc.tuple(atom, fc.constantFrom('', '*', '+', '?', '*?', '+?', '??', '{2}', '{1,2}', '{1,}?'));
    const source = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.flat().join(''));
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '\n'), maxLength: 8 });
    fc.assert(
      fc.property(source, text, (expression, subject) => {
        // Groups that are repeated keep other rounds in JavaScript, and take part or not by other rules.
        const [all] = new RegExp(expression.replaceAll('(?:', '(').replaceAll('(', '(?:')).exec(subject) ?? [];
        expect(find(expression, subject)).toBe(all);
      }),
      { numRuns: 3000 },
    );
  });

  test('a quoted text matches itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(find(`^${quoteExpression(text)}$`, text)).toBe(text);
      }),
    );
  });
});
