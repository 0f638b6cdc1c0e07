import { describe, expect, test } from 'vitest';
import { type Comparison, type Difference, formatComparison } from '../../src/verify/index.ts';
import { sha256 } from '../../src/util/index.ts';

const comparison = (...differences: readonly Difference[]): Comparison => ({
  platform: 'linux/amd64',
  image: sha256('a'),
  rebuilt: sha256('b'),
  identical: false,
  differences,
});
const text = (...differences: readonly Difference[]): string => formatComparison(comparison(...differences));

describe('a comparison as text', () => {
  test('of images that are the same is one line with the digest', () => {
    const one = { ...comparison(), rebuilt: sha256('a'), identical: true };
    expect(formatComparison(one)).toBe(`linux/amd64: built again, it is the same: ${sha256('a')}`);
  });

  test('of others names both digests first, and groups what differs by where it is', () => {
    const entry = (path: string, what: 'absent' | 'added'): Difference => ({ kind: 'entry', layer: 2, createdBy: 'RUN make', path, what, fields: [] }); // oxfmt-ignore
    const lines = text(
      { kind: 'config', path: 'config.User', image: 'a', rebuilt: 'b' },
      entry('/a', 'absent'),
      entry('/b', 'added'),
      { kind: 'layer', layer: 3, what: 'compression' },
      entry('/c', 'absent'),
    ).split('\n');
    expect(lines).toEqual([
      'linux/amd64: built again, it is another image',
      `  image    ${sha256('a')}`,
      `  rebuilt  ${sha256('b')}`,
      'config',
      '  ~ config.User: a -> b',
      'layer 2: RUN make',
      '  - /a',
      '  + /b',
      '  - /c',
      'layer 3',
      expect.stringMatching(/^ {2}~ the same files, compressed to other bytes/) as string,
    ]);
  });

  test('of a file says what of it is another, and from which byte on', () => {
    const lines = text({
      kind: 'entry',
      layer: 1,
      path: '/f',
      what: 'changed',
      fields: [{ field: 'mode', image: '0644', rebuilt: '4755' }],
      content: { offset: 12, image: 'x', rebuilt: '' },
    }).split('\n');
    expect(lines.slice(-3)).toEqual(['  ~ /f', '      mode 0644 -> 4755', '      content from byte 12: x -> ""']);
  });

  test('shows values that are no text as JSON, and tells what is not there from what is empty', () => {
    const value = (image: unknown, rebuilt?: unknown): string | undefined =>
      text({ kind: 'config', path: 'x', image, rebuilt }).split('\n').at(-1);
    expect(value(['a'], { b: 1 })).toBe('  ~ x: ["a"] -> {"b":1}');
    expect(value('', null)).toBe('  ~ x: "" -> null');
    expect(value(0)).toBe('  ~ x: 0 -> nothing');
    expect(value('x'.repeat(5000), 'y')?.length).toBeLessThan(300);
  });

  test('of a manifest that says the same says so', () => {
    expect(text({ kind: 'manifest', path: '', image: sha256('a'), rebuilt: sha256('b') })).toContain(
      'manifest\n  ~ the same JSON in other bytes',
    );
  });

  // An image that was built with `--cache-to type=inline`, and one that was not.
  test.each([
    ['rebuilt', 'only the rebuilt image has one'],
    ['image', 'the rebuilt image has none'],
  ])('of a cache that only the %s has says that, and not that both say the same', (which, said) => {
    const whole = text({ kind: 'cache', path: '', [which]: { [sha256('k')]: { layers: [] } } });
    expect(whole).toContain(`cache within the image\n  ~ ${said}`);
    expect(whole).not.toContain('the same JSON');
    // Nor is it what a store that knew some of the steps would leave.
    expect(whole).not.toContain('whose store knew');
  });
});
