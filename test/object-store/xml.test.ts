import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { elements, escapeXml, textOf } from '../../src/object-store/xml.ts';

test('elements are found by their whole name, with attributes and without content', () => {
  const xml =
    '<?xml version="1.0"?><R xmlns="x"><KeyCount>2</KeyCount><Key a="b">one</Key><Key/><Key >&lt;&amp;&#65;&#x42;&nbsp;</Key></R>';
  expect(elements(xml, 'Key')).toEqual(['one', '', '&lt;&amp;&#65;&#x42;&nbsp;']);
  expect(textOf(xml, 'KeyCount')).toBe('2');
  expect(textOf('<a>&lt;&amp;&#65;&#x42;&nbsp;&#x110000;</a>', 'a')).toBe('<&AB&nbsp;&#x110000;');
  expect(textOf(xml, 'Missing')).toBeUndefined();
});

test('any text that is escaped comes back, and nothing that is malformed goes on for ever', () => {
  fc.assert(fc.property(fc.string(), (text) => textOf(`<r><a>${escapeXml(text)}</a></r>`, 'a') === text.trim()));
  fc.assert(
    fc.property(fc.array(fc.constantFrom('<', '>', '/', 'a', '<a', '<a>', '</a>', '&#', ';', '<a/>')), (parts) => {
      const found = elements(parts.join(''), 'a');
      return found.every((content) => !content.includes('</a>'));
    }),
  );
});
