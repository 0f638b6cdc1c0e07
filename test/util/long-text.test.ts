import { describe, expect, test } from 'vitest';
import { cleanLine, oneLine } from '../../src/progress/text.ts';
import { cleanPath } from '../../src/patterns/index.ts';
import { trimSpace } from '../../src/patterns/trim.ts';
import { basePath } from '../../src/llb/index.ts';
import { safeFileName } from '../../src/source/http-name.ts';
import { redactUrls, sanitize, sanitizeLine } from '../../src/util/index.ts';
import { processorTime } from '../support/processor-time.ts';

/**
 * What text from outside passes through before it is shown or used. A regular expression that looks for the end of a run from each
 * of its characters takes half an hour for a megabyte.
 */
const FUNCTIONS: Readonly<Record<string, (text: string) => unknown>> = {
  redactUrls,
  sanitize,
  sanitizeLine,
  oneLine,
  'cleanLine of a terminal': (text) => cleanLine(text, true),
  'cleanLine of a file': (text) => cleanLine(text, false),
  basePath,
  safeFileName,
  cleanPath,
  trimSpace,
};

const LENGTH = 1 << 20;
const run = (part: string): string => part.repeat(LENGTH / part.length);

describe.each(Object.entries(FUNCTIONS))('%s takes linear time (PAR-02, TTY-04)', (_name, action) => {
  test.each([
    ['letters', run('a')], ['letters and a colon', `${run('a')}:/x`], ['slashes', `${run('/')}x`], ['blanks', `a${run(' ')}x`],
    ['blanks and tabs', `a${run(' \t')}x`], ['carriage returns', `${run('\r')}x`], ['line feeds', `${run('\n')}x`],
    ['schemes', run('a://')], ['schemes and colons', run('://:')], ['users', `http://${run('a:')}`], ['escapes', run('\u001b[')],
    ['colours', run('\u001b[1')], ['numbers', `\u001b[${run('0;')}`], ['titles', run('\u001b]0;')], ['dots', run('../')],
    ['wide characters', run('\u4e00')], ['commands', run('::')], ['hashes', run('##')],
  ])('of %s', async (_what, text) => {
    expect(await processorTime(() => action(text))).toBeLessThan(10_000);
  }); // oxfmt-ignore
});

test('credentials go whatever stands before them, and user names of ssh stay', () => {
  expect(redactUrls('1https://u:p@h/ ssh://git@h/ ssh://u:p@h xssh://t@h a://b://c@d ://e@f')).toBe(
    '1https://xxxxx:xxxxx@h/ ssh://git@h/ ssh://xxxxx:xxxxx@h xssh://xxxxx@h a://b://xxxxx@d ://xxxxx@f',
  );
});
