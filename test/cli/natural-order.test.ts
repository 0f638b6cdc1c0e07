import { describe, expect, test } from 'vitest';
import { portLines } from '../../src/cli/commands/port.ts';
import { naturalOrder } from '../../src/cli/lists/natural-order.ts';
import { parsePublish } from '../../src/network/index.ts';

describe('lists in the order of docker', () => {
  // What docker sorts by is NaturalLess of github.com/fvbommel/sortorder.
  test.each([
    ['a', 'b'],
    ['a', 'aa'],
    ['a0', 'a1'],
    ['a0', 'a00'],
    ['a00', 'a01'],
    ['a01', 'a2'],
    ['a01x', 'a2x'],
    ['a0a', 'aa'],
    ['1a', 'a'],
    ['abc2', 'abc10'],
    ['a0b00', 'a00b1'],
    ['a0b01', 'a00b00'],
    ['a00b00', 'a00b01'],
    ['a9b', 'a09'],
    ['a10', 'a010b'],
    ['data9', 'data10'],
    ['99999999999999999998', '99999999999999999999'],
    ['B', 'a'],
  ])('%j stands before %j', (first, second) => {
    expect([second, first].sort(naturalOrder)).toEqual([first, second]);
    expect([first, second].sort(naturalOrder)).toEqual([first, second]);
    expect(naturalOrder(first, first)).toBe(0);
  });

  test('ports are told by their numbers, and of one port by address', () => {
    const published = ['8443:443', '127.0.0.1:90:80', '[::1]:80:80', '9.0.0.1:8080:80', '53:53/udp', '53:53'];
    expect(portLines(published.flatMap(parsePublish))).toEqual([
      '53/tcp -> 0.0.0.0:53',
      '53/udp -> 0.0.0.0:53',
      '80/tcp -> 9.0.0.1:8080',
      '80/tcp -> 127.0.0.1:90',
      '80/tcp -> [::1]:80',
      '443/tcp -> 0.0.0.0:8443',
    ]);
    expect(portLines(published.flatMap(parsePublish), '80/tcp')).toEqual(['9.0.0.1:8080', '127.0.0.1:90', '[::1]:80']);
    expect(portLines(published.flatMap(parsePublish), '81/tcp')).toEqual([]);
  });
});
