import { describe, expect, test } from 'vitest';
import { fixed } from './support.ts';

/** Rows: what it is about, the file, the file fixed. Both start with `FROM scratch` unless they say otherwise. */
const SAFE: readonly (readonly [string, string, string])[] = [
  ['keywords as most are', 'FROM scratch\ncopy a /\nCOPY b /\n', 'FROM scratch\nCOPY a /\nCOPY b /\n'],
  ['lower case, where most are', 'from scratch\ncopy a /\nCOPY b /\n', 'from scratch\ncopy a /\ncopy b /\n'],
  ['mixed case, tabs and blanks around it', 'FROM scratch\n \tCoPy\t a  /\n', 'FROM scratch\n \tCOPY\t a  /\n'],
  ['an ARG above FROM', 'arg a=1\nFROM scratch\nCOPY b /\n', 'ARG a=1\nFROM scratch\nCOPY b /\n'],
  ['as', 'FROM scratch as x\nfrom x aS y\nFROM y\n', 'FROM scratch AS x\nFROM x AS y\nFROM y\n'],
  ['as over lines', 'FROM scratch \\\n # as\n  as \\\n  x\n', 'FROM scratch \\\n # as\n  AS \\\n  x\n'],
  ['as behind flags', 'FROM --platform=as scratch as x\n', 'FROM --platform=as scratch AS x\n'],
  ['names of stages', 'FROM scratch AS Build\nFROM Build\n', 'FROM scratch AS build\nFROM Build\n'],
  ['ENV', 'FROM scratch\nENV k v\n', 'FROM scratch\nENV k=v\n'],
  ['ENV with blanks', 'FROM scratch\nENV  k \t a b  c \n', 'FROM scratch\nENV  k="a b  c" \n'],
  ['ENV with variables', 'FROM scratch\nENV P $P:/bin x${y:-z}\n', 'FROM scratch\nENV P="$P:/bin x${y:-z}"\n'],
  [
    'ENV that fails where a variable is not set',
    'FROM scratch\nENV k ${x:?no x} y\n',
    'FROM scratch\nENV k="${x:?no x} y"\n',
  ],
  ['ENV with quotes that hold it together', 'FROM scratch\nENV k "a b"\n', 'FROM scratch\nENV k="a b"\n'],
  ['ENV with quotes inside', 'FROM scratch\nENV k a "b  c" d\n', 'FROM scratch\nENV k="a b  c d"\n'],
  ['ENV with single quotes', "FROM scratch\nENV k a '$b c' d\n", "FROM scratch\nENV k=a\\ '$b c'\\ d\n"],
  ['ENV with escapes', 'FROM scratch\nENV k a\\ b c\n', 'FROM scratch\nENV k=a\\ b\\ c\n'],
  ['ENV over lines', 'FROM scratch\nENV k a \\\n  # why\n  b\n', 'FROM scratch\nENV k="a \\\n  # why\n  b"\n'],
  ['ENV whose value starts on the next line', 'FROM scratch\nENV k \\\n  a b\n', 'FROM scratch\nENV k="a b"\n'],
  ['ENV with = behind it', 'FROM scratch\nENV k a=b\n', 'FROM scratch\nENV k=a=b\n'],
  ['LABEL', 'FROM scratch\nLABEL k a b\n', 'FROM scratch\nLABEL k="a b"\n'],
  ['empty lines', 'FROM scratch\nRUN a \\\n\n \t\n  && b\n', 'FROM scratch\nRUN a \\\n  && b\n'],
  ['a last continuation', 'FROM scratch\nRUN a && \\\n  b \\', 'FROM scratch\nRUN a && \\\n  b'],
  ['one with empty lines and comments behind', 'FROM scratch\nRUN a \\ \n\n# b\n', 'FROM scratch\nRUN a\n\n# b\n'],
  [
    'line feeds of Windows',
    'FROM scratch as x\r\nENV k a b\r\nRUN a \\\r\n\r\n b\r\n',
    'FROM scratch AS x\r\nENV k="a b"\r\nRUN a \\\r\n b\r\n',
  ],
  ['a byte order mark', '\uFEFFfrom scratch\nCOPY a /\nCOPY b /\n', '\uFEFFFROM scratch\nCOPY a /\nCOPY b /\n'],
  [
    'another escape character',
    '# escape=`\nFROM scratch\nENV k C:\\a b\nRUN a `\n\n  b `\n',
    '# escape=`\nFROM scratch\nENV k="C:\\a b"\nRUN a `\n  b\n',
  ],
  [
    'nothing in heredocs',
    'FROM scratch\nrun <<E\ncopy a \\\n\nENV k v\nE\nCOPY <<E /x\nfrom a as b\nE\n',
    'FROM scratch\nRUN <<E\ncopy a \\\n\nENV k v\nE\nCOPY <<E /x\nfrom a as b\nE\n',
  ],
  [
    'nothing behind ONBUILD',
    'FROM scratch\nonbuild run ENV k v\nCOPY a /\n',
    'FROM scratch\nONBUILD run ENV k v\nCOPY a /\n',
  ],
];

/** Files that stay as they are, each with a reason. */
const LEFT: readonly (readonly [string, string])[] = [
  ['what is right', '# syntax=docker/dockerfile:1\nFROM scratch AS x\nENV k=v\nRUN a \\\n  b\n'],
  ['an instruction that an empty line may have been meant to end', 'FROM scratch\nRUN a \\\n\nCOPY b /\n'],
  ['ENV with a comment between key and value', 'FROM scratch\nENV k \\\n# c\n  v\n'],
  ['what a directive switches off', '# check=skip=all\nFROM scratch as X\ncopy a /\nENV k v\nRUN a \\\n\n b\n'],
  ['what the comment above switches off', 'FROM scratch\n# check=skip=LegacyKeyValueFormat\nENV k v\n'],
  ['words that cannot be expanded', 'FROM scratch\nENV a \\ \t"a\nENV b ${x y\n'],
  ['lone carriage returns', 'FROM scratch\nENV k a\rb\n'],
  ['a mention in a comment', '# from a as b\nFROM scratch\n# ENV k v\nRUN a\n'],
];

const UNSAFE: readonly (readonly [string, string, string])[] = [
  ['MAINTAINER', 'MAINTAINER A <a@b>', 'LABEL org.opencontainers.image.authors="A <a@b>"'],
  ['MAINTAINER in quotes', 'MAINTAINER "A B"', 'LABEL org.opencontainers.image.authors="A B"'],
  ['MAINTAINER with signs', 'MAINTAINER $A "b" \\c', 'LABEL org.opencontainers.image.authors="\\$A \\"b\\" \\\\c"'],
  ['CMD', "CMD ['a', 'b c']", 'CMD ["a", "b c"]'],
  ['CMD over lines', "CMD ['a', \\\n  'b']", 'CMD ["a", \\\n  "b"]'],
  ['RUN with flags', 'RUN --network=none [\'a\', "b"]', 'RUN --network=none ["a", "b"]'],
  ['HEALTHCHECK', "HEALTHCHECK --interval=1s CMD ['a']", 'HEALTHCHECK --interval=1s CMD ["a"]'],
  ['COPY', "COPY ['a b', '/c d']", 'COPY ["a b", "/c d"]'],
  ['VOLUME', "VOLUME ['/a']", 'VOLUME ["/a"]'],
];

/** Shell that only looks like JSON. */
const SHELL = [
  "RUN [ 'a' = 'b' ]",
  "CMD ['a', 'b'] && c",
  "RUN ['a', \"b'\"]",
  "RUN ['a\\'b']",
  'RUN [a]',
  "RUN echo ['a']",
];

describe('what has one right answer', () => {
  test.each(SAFE)('%s', async (_, text, wanted) => {
    const { text: made, edits, fixes } = await fixed(text);
    expect(made).toBe(wanted);
    expect(fixes.length).toBeGreaterThan(0);
    expect(edits.length).toBeGreaterThan(0);
    // Once is enough.
    expect(await fixed(made)).toMatchObject({ text: made, fixes: [] });
  });

  test.each(LEFT)('is not touched: %s', async (_, text) => {
    expect(await fixed(text, true)).toEqual({ text, edits: [], fixes: [], left: [] });
  });

  test('says which rule asked, and where', async () => {
    const { fixes } = await fixed('FROM scratch\ncopy a /\nENV k v\nRUN a \\');
    expect(fixes.map(({ rule, line }) => `${line} ${rule}`)).toEqual([
      '2 ConsistentInstructionCasing',
      '3 LegacyKeyValueFormat',
      '4 TrailingContinuation',
    ]);
  });
});

describe('what changes the image', () => {
  test.each(UNSAFE)('%s is rewritten only when it may be', async (_, line, wanted) => {
    const text = `FROM scratch\n${line}\nENTRYPOINT ["x"]\n`;
    const careful = await fixed(text);
    expect(careful).toMatchObject({ text, fixes: [] });
    expect(careful.left).toHaveLength(1);
    const bold = await fixed(text, true);
    expect(bold.text).toBe(`FROM scratch\n${wanted}\nENTRYPOINT ["x"]\n`);
    expect(await fixed(bold.text, true)).toMatchObject({ fixes: [], left: [] });
  });

  test.each(SHELL)('%s is shell', async (line) => {
    expect(await fixed(`FROM scratch\n${line}\n`, true)).toMatchObject({ fixes: [], left: [] });
  });

  test('the new keyword is spelled like the others', async () => {
    expect((await fixed('from scratch\nMaintainer a\nrun b\n', true)).text).toBe(
      'from scratch\nlabel org.opencontainers.image.authors="a"\nrun b\n',
    );
  });
});
