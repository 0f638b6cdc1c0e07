import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextLink } from '../../src/registry/link.ts';

const base = new URL('https://r.example/v2/a/tags/list?n=2');
const next = (header: string | undefined): string | undefined => nextLink(header, base)?.href;

describe('the link to the next page (distribution-spec, "Pagination"; RFC 8288)', () => {
  test.each<[string, string]>([
    // The example of the specification.
    ['</v2/a/tags/list?n=2&last=b>; rel="next"', 'https://r.example/v2/a/tags/list?n=2&last=b'],
    // As distribution, Quay, and GitHub write it.
    ['<https://r.example/v2/a/tags/list?last=b&n=2>; rel=next', 'https://r.example/v2/a/tags/list?last=b&n=2'],
    ['</v2/a/tags/list?next_page=gAAA%3D&n=2>;rel="next"', 'https://r.example/v2/a/tags/list?next_page=gAAA%3D&n=2'],
    ['</x?page=1>; rel="prev", </x?page=3>; rel="next", </x?page=9>; rel="last"', 'https://r.example/x?page=3'],
    // Parameters in any order and case, with blanks, and several relations at once.
    ['</x>; title="more of it"; rel="next"', 'https://r.example/x'],
    ['</x> ; REL = "Next"', 'https://r.example/x'],
    ['</x>; rel="last next"', 'https://r.example/x'],
    ['</x>; type="a"; rel=next; title=b', 'https://r.example/x'],
    // Relative to what was asked for.
    ['<?last=b>; rel="next"', 'https://r.example/v2/a/tags/list?last=b'],
    ['<list?last=b>; rel="next"', 'https://r.example/v2/a/tags/list?last=b'],
    ['<https://other.example/x>; rel="next"', 'https://other.example/x'],
    // A comma is part of an address.
    ['</x?last=a,b>; rel="next"', 'https://r.example/x?last=a,b'],
    ['</first>; rel="next", </second>; rel="next"', 'https://r.example/first'],
  ])('%s', (header, url) => expect(next(header)).toBe(url));

  test.each<[string | undefined]>([
    [undefined],
    [''],
    ['</x>'],
    ['</x>; rel="prev"'],
    ['</x>; rel="nextish"'],
    ['</x>; rel=prev; rel=next'],
    ['</x>; norel="next"'],
    ['/x; rel="next"'],
    ['<http://[>; rel="next"'],
    [`<${'x'.repeat(9000)}>; rel="next"`],
  ])('%s has none', (header) => expect(next(header)).toBeUndefined());

  test('any query comes back (property)', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.string({ maxLength: 10 }), (last, other) => {
        const query = new URLSearchParams({ last, other }).toString();
        expect(nextLink(`</v2/_catalog?${query}>; rel="next"`, base)?.search).toBe(`?${query}`);
      }),
    );
  });

  test('whatever stands in it, it is a link or none (property)', () => {
    const parts = fc.array(fc.constantFrom('<', '>', ';', ' rel', '=', '"', 'next', ' ', ','), { maxLength: 3000 });
    fc.assert(
      fc.property(parts, (all) => {
        const url = next(all.join(''));
        expect(url === undefined || url.startsWith('https://')).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});
