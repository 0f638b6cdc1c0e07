import { describe, expect, test } from 'vitest';
import { chompHeredoc, expandContents, expandWord } from '../../../src/frontend/dockerfile/index.ts';
import { command, mistake, parse } from './support.ts';

describe('heredocs (PAR-03)', () => {
  test('several on one line, in order, each up to its own terminator', () => {
    const copy = command('copy', 'COPY <<A <<"B" file /dst/\n1 $x\nB\nA\n2 $x\nB');
    expect(copy.sources).toEqual(['file']);
    expect(copy.dest).toBe('/dst/');
    expect(copy.contents).toEqual([
      { path: 'A', data: '1 $x\nB\n', expand: true },
      { path: 'B', data: '2 $x\n', expand: false },
    ]);
    expect(copy.ranges).toHaveLength(6);
  });

  test.each([
    ['<<EOF', { name: 'EOF', expand: true, chomp: false, fd: 0 }],
    ['<<-EOF', { name: 'EOF', expand: true, chomp: true, fd: 0 }],
    ["<<'EOF'", { name: 'EOF', expand: false, chomp: false, fd: 0 }],
    ['<<E"O"F', { name: 'EOF', expand: false, chomp: false, fd: 0 }],
    ['3<<EOF', { name: 'EOF', expand: true, chomp: false, fd: 3 }],
    ['<< EOF', { name: 'EOF', expand: true, chomp: false, fd: 0 }],
  ])('RUN cat %s', (word, head) => {
    const text = `FROM a\nRUN cat ${word}\nbody\nEOF\nRUN next\n`;
    const [run, next] = parse(text).nodes.slice(1);
    expect(run?.heredocs).toEqual([{ ...head, content: 'body\n' }]);
    expect(next?.original).toBe('RUN next');
  });

  test.each(['RUN ["a<<E"]', 'RUN a<<<b', 'RUN $((1<<2))x<', 'WORKDIR <<E', "RUN '<<E'", 'CMD <<E', 'RUN \\<<E'])(
    '%s has none',
    (line) => {
      expect(parse(`FROM a\n${line}\nRUN x\n`).nodes.map(({ heredocs }) => heredocs.length)).toEqual([0, 0, 0]);
    },
  );

  test('a tab-indented body of <<- loses its tabs in COPY, and RUN gets them with the flag', () => {
    const text = '<<-E /x\n\t\ta\n\tb\tc\n\tE';
    expect(command('copy', `COPY ${text}`).contents[0]?.data).toBe('a\nb\tc\n');
    expect(command('run', 'RUN <<-E\n\t\ta\n\tE').files).toEqual([{ name: 'E', data: '\t\ta\n', chomp: true }]);
    expect(chompHeredoc('\t\n\ta\t')).toBe('\na\t');
  });

  test('the whole line stays the command of RUN', () => {
    const run = command('run', 'RUN <<A cat; <<B sh\n1\nA\n2\nB');
    expect(run.cmdLine).toEqual(['<<A cat; <<B sh']);
    expect(run.files.map(({ data }) => data)).toEqual(['1\n', '2\n']);
  });

  test('ONBUILD keeps them in its expression', () => {
    expect(command('onbuild', 'onbuild  RUN <<E\nhi\nE').expression).toBe('RUN <<E\nhi\nE');
  });

  test('comments, blank lines and continuations in the body are data', () => {
    expect(command('run', 'RUN <<E\n# a\n\nb \\\nE').files[0]?.data).toBe('# a\n\nb \\\n');
  });

  test('within each other are text, and one without an end is refused', () => {
    expect(command('run', 'RUN <<A\n<<B\nx\nB\nA').files[0]?.data).toBe('<<B\nx\nB\n');
    expect(mistake(() => parse('FROM a\nRUN <<A\n<<B\nA\nB\nA\n'))).toMatch(/line 5: unknown instruction: B/);
    for (const open of ['RUN <<E', 'COPY <<A <<B /\nA\n', 'RUN <<E\nE ', 'RUN <<-E\n \tE'])
      expect(mistake(() => parse(`FROM a\n${open}\n`))).toMatch(/unterminated heredoc/);
  });

  test('a destination cannot be one', () => {
    expect(mistake(() => command('copy', 'COPY a <<E\nE'))).toBe(
      'dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination',
    );
  });

  test('bodies expand with quotes kept, but for quoted delimiters', () => {
    const { contents } = command('copy', 'COPY <<A <<"B" /x/\n"$v" \'$v\' \\$v \\\\\nA\n$v\nB');
    const expand = (word: string): string => expandWord(word, new Map([['v', '1']]), { skipProcessQuotes: true }).value;
    expect(expandContents(contents, expand).map(({ data }) => data)).toEqual(['"1" \'1\' $v \\\n', '$v\n']);
  });
});
