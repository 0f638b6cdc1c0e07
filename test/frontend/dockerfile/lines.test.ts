import { describe, expect, test } from 'vitest';
import { detectSyntax, parseDirective, parseLines } from '../../../src/frontend/dockerfile/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';
import { file, mistake, parse } from './support.ts';

function instructions(text: string): string[] {
  return parseLines(file(text)).nodes.map(({ original }) => original);
}

describe('directives (PAR-05)', () => {
  test('escape changes the continuation character', () => {
    const { escape, nodes } = parseLines(file('# escape=`\nFROM a\nRUN dir c:\\ `\n /s\n'));
    expect(escape).toBe('`');
    expect(nodes[1]?.args).toEqual(['dir c:\\  /s']);
  });

  test.each([
    ['# foo=bar\n# escape=`\nFROM a', '\\'],
    ['\n# escape=`\nFROM a', '\\'],
    ['#\tESCAPE = `\nFROM a', '`'],
    ['\uFEFF# escape=`\nFROM a', '`'],
    ['# syntax=x\n# escape=`\r\nFROM a', '`'],
    ['FROM a\n# escape=`', '\\'],
  ])('%j has escape %s', (text, escape) => {
    expect(parseLines(file(text)).escape).toBe(escape);
  });

  test.each([
    [
      '# escape=\\\n# escape=`\nFROM a',
      'dockerfile parse error on line 2: only one escape parser directive can be used',
    ],
    ['# escape=x\nFROM a', "dockerfile parse error on line 1: invalid escape token 'x' does not match ` or \\"],
  ])('%j is refused', (text, message) => {
    expect(mistake(() => parseLines(file(text)))).toBe(message);
  });

  test('check and syntax are found, below a #! line too', () => {
    const { directives } = parse('#!/usr/bin/env docker\n# syntax=docker/dockerfile:1 arg\n# check=skip=all\nFROM a\n');
    expect(directives.syntax?.value).toBe('docker/dockerfile:1 arg');
    expect(directives.syntax?.ranges).toEqual([{ file: 'Dockerfile', startLine: 2, endLine: 2 }]);
    expect(directives.check?.value).toBe('skip=all');
    expect(parseDirective('check', file(' # check=x\nFROM a'))).toBeUndefined();
  });

  test('the syntax of other files stands in // comments or JSON', () => {
    expect(detectSyntax(file('// syntax=a/b\nrest'))?.value).toBe('a/b');
    expect(detectSyntax(file('{"syntax": "c/d", "x": 1}'))?.value).toBe('c/d');
    expect(detectSyntax(file('{"syntax": 1}'))).toBeUndefined();
    expect(detectSyntax(file('[1'))).toBeUndefined();
  });
});

describe('lines', () => {
  test('continuations drop comments and empty lines, and keep leading blanks', () => {
    const { nodes, warnings } = parseLines(file('FROM a\nRUN one \\\n  # comment\n  two \\\n\n\\\n three\nRUN x\n'));
    expect(nodes.map(({ original, startLine, endLine }) => [original, startLine, endLine])).toEqual([
      ['FROM a', 1, 1],
      ['RUN one   two  three', 2, 7],
      ['RUN x', 8, 8],
    ]);
    expect(warnings).toEqual([
      {
        rule: 'NoEmptyContinuation',
        message: 'Empty continuation line found in: RUN one   two  three',
        ranges: [{ file: 'Dockerfile', startLine: 7, endLine: 7 }],
      },
    ]);
  });

  test('an escaped escape character does not continue', () => {
    expect(instructions('RUN a \\\\\nRUN b')).toEqual(['RUN a \\\\', 'RUN b']);
  });

  test('CRLF, a byte order mark and a missing last line feed are no part of the text', () => {
    expect(instructions('\uFEFFFROM a\r\nRUN b \\\r\n c\r\n')).toEqual(['FROM a', 'RUN b  c']);
    expect(instructions('FROM a\nRUN b \\')).toEqual(['FROM a', 'RUN b ']);
  });

  test('the comments directly above belong to an instruction', () => {
    const { nodes } = parseLines(file('# one\n#\n# two\n\n# three\nFROM a\nRUN b'));
    expect(nodes.map(({ comments }) => comments)).toEqual([['two', 'three'], []]);
  });

  test.each([
    ['', 'file with no instructions'],
    ['\n \n# x\n', 'file with no instructions'],
    ['FROM a\nENV x\n', 'dockerfile parse error on line 2: ENV must have two arguments'],
    [
      'FROM a\nLABEL a=b c\n',
      `dockerfile parse error on line 2: Syntax error - can't find = in "c". Must be of the form: name=value`,
    ],
    [
      'FROM a\nCMD ["a", 1]\n',
      'dockerfile parse error on line 2: when using JSON array syntax, arrays must be comprised of strings only',
    ],
    ['FROM a\nRUN <<E\nx\n', 'dockerfile parse error on line 2: unterminated heredoc'],
    [
      `FROM a\nRUN ${'x'.repeat(65_532)}\n`,
      'dockerfile parse error on line 2: dockerfile line greater than max allowed size of 65535',
    ],
  ])('%j is refused', (text, message) => {
    expect(mistake(() => parseLines(file(text)))).toBe(message);
  });

  test('an error names the lines of its instruction', () => {
    try {
      parse('FROM a\nRUN --mont=x \\\n  y\n');
      expect.unreachable();
    } catch (error) {
      if (!isTsbuildError(error)) throw error;
      expect(error.message).toBe('dockerfile parse error on line 2: unknown flag: --mont (did you mean mount?)');
      expect(error.ranges.map(({ startLine }) => startLine)).toEqual([2, 3]);
    }
  });
});

describe('arguments (PAR-04)', () => {
  test.each([
    ['CMD ["a", "b c", "\\u0041\\n"]', ['a', 'b c', 'A\n'], true],
    ['CMD ["a",]', ['["a",]'], false],
    ['CMD ["a"] x', ['["a"] x'], false],
    ["CMD ['a']", ["['a']"], false],
    ['CMD ["\\ud800"]', ['\uFFFD'], true],
    ['CMD [1e999]', ['[1e999]'], false],
    ['CMD ["a" "b"]', ['["a" "b"]'], false],
    ['CMD ["\\x"]', ['["\\x"]'], false],
    ['CMD {"a": ["b"]}', ['{"a": ["b"]}'], false],
    ['CMD []', [], true],
    ['ENTRYPOINT []random string', ['[]random string'], false],
    ['COPY a  b\tc', ['a', 'b', 'c'], false],
    ['VOLUME ["/a b"]', ['/a b'], true],
    ['ENV a=b c="d e" f=\'g\'', ['a', 'b', '=', 'c', '"d e"', '=', 'f', "'g'", '='], false],
    ['ENV a b  c', ['a', 'b  c', ''], false],
    ['ENV a\\ b=c', ['a\\ b', 'c', '='], false],
    ['ARG a=1 b "c d"=e', ['a=1', 'b', '"c d"=e'], false],
    ['HEALTHCHECK --interval=1s CMD ["x", "y"]', ['CMD', 'x', 'y'], true],
    ['HEALTHCHECK cmd x  y', ['cmd', 'x  y'], false],
    ['MAINTAINER a  b', ['a  b'], false],
  ])('%s', (line, args, json) => {
    const node = parseLines(file(line)).nodes[0];
    expect(node?.args).toEqual(args);
    expect(node?.json).toBe(json);
  });

  test.each(['[["a"]]', '["a", ["b"]]', '[{}]', '[null]', '["a", true]'])(
    'an array of anything but strings is refused: %s',
    (json) => {
      expect(mistake(() => parseLines(file(`FROM a\nCMD ${json}`)))).toMatch(
        /arrays must be comprised of strings only/,
      );
    },
  );

  test.each([
    ['COPY --from=x --link a b', ['--from=x', '--link'], ['a', 'b']],
    ['RUN --mount=type=bind,source="a b" -- --x', ['--mount=type=bind,source=a b'], ['--x']],
    ["RUN --a='b c'\\ d e", ['--a=b c d'], ['e']],
    ['RUN -x --y', [], ['-x --y']],
    ['COPY --chown=ä a b', ['--chown=ä'], ['a', 'b']],
    ['RUN --x', ['--x'], []],
  ])('the flags of %s', (line, flags, args) => {
    const node = parseLines(file(line)).nodes[0];
    expect([node?.flags, node?.args]).toEqual([flags, args]);
  });
});
