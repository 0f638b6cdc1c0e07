import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyEdits, composeEdits, type Edit } from '../../../src/frontend/fix/edits.ts';
import { formatDiff } from '../../../src/frontend/fix/index.ts';

/** Edits that do not overlap, of a text with many lines. */
const change = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'bc', '', ' d', 'e'), { minLength: 1, maxLength: 30 }),
    fc.boolean(),
    fc.array(fc.tuple(fc.nat(12), fc.nat(4), fc.constantFrom('', 'X', 'Y\n', '\nZ')), { maxLength: 5 }),
  )
  .map(([lines, ends, steps]) => {
    const text = lines.join('\n') + (ends ? '\n' : '');
    return { text, edits: editsWithin(text.length, steps) };
  });

function editsWithin(length: number, steps: readonly (readonly [number, number, string])[]): readonly Edit[] {
  const edits: Edit[] = [];
  let at = 0;
  for (const [skip, size, text] of steps) {
    const start = at + skip;
    const end = start + size;
    if (end > length) break;
    if (size > 0 || text !== '') edits.push({ start, end, text });
    at = end + 1;
  }
  return edits;
}

describe('a diff', () => {
  test('is what other tools apply', () => {
    const dir = mkdtempSync(join(tmpdir(), 'tsbuild-diff-'));
    try {
      fc.assert(
        fc.property(change, ({ text, edits }) => {
          const after = applyEdits(text, edits);
          // Edits that change nothing are not made by a fix; a file that is empty has another header in git.
          fc.pre(edits.every((edit) => text.slice(edit.start, edit.end) !== edit.text) && after !== '' && text !== '');
          const diff = formatDiff('f', text, edits);
          if (edits.length === 0) {
            expect(diff).toBe('');
            return;
          }
          writeFileSync(join(dir, 'f'), text);
          execFileSync('git', ['apply', '--unidiff-zero', '-p0', '-'], { cwd: dir, input: diff, stdio: 'pipe' });
          expect(readFileSync(join(dir, 'f'), 'utf8')).toBe(after);
        }),
        { numRuns: 150 },
      );
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test('shows three lines around, and neither carriage returns nor what speaks to a terminal', () => {
    const text = '1\r\n2\r\n3\r\n\u001b[2J\r\nfive\r\n6\r\n';
    const at = text.indexOf('five');
    expect(formatDiff('a\nb', text, [{ start: at, end: at + 4, text: '5' }])).toBe(
      '--- a b\n+++ a b\n@@ -2,5 +2,5 @@\n 2\n 3\n ^[[2J\n-five\n+5\n 6\n',
    );
  });
});

test('two rounds of edits are one', () => {
  fc.assert(
    fc.property(
      change,
      fc.array(fc.tuple(fc.nat(8), fc.nat(4), fc.constantFrom('', 'P')), { maxLength: 4 }),
      (one, steps) => {
        const middle = applyEdits(one.text, one.edits);
        const second = editsWithin(middle.length, steps);
        const composed = composeEdits(one.text.length, one.edits, second);
        expect(applyEdits(one.text, composed)).toBe(applyEdits(middle, second));
      },
    ),
  );
});
