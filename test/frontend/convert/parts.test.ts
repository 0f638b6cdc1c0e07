import { describe, expect, test } from 'vitest';
import { goDuration, goTime } from '../../../src/frontend/convert/go-format.ts';
import { isArchive } from '../../../src/frontend/convert/main-context.ts';
import { destinationPath, isAbsolute, normalizePath } from '../../../src/frontend/convert/paths.ts';
import { compile, vertices } from './support.ts';

describe('durations are printed as Go does', () => {
  test.each([
    [0, '0s'],
    [1, '1ns'],
    [1500, '1.5µs'],
    [2_000_000, '2ms'],
    [1_500_000_000, '1.5s'],
    [90_000_000_000, '1m30s'],
    [3_600_000_000_000, '1h0m0s'],
    [-1_000_000_000, '-1s'],
  ])('%d ns', (nanoseconds, text) => expect(goDuration(nanoseconds)).toBe(text));
  test('and so are times', () => {
    expect([goTime(0), goTime(1.5)]).toEqual(['1970-01-01T00:00:00Z', '1970-01-01T00:00:01.500Z']);
  });
});

describe('paths', () => {
  test.each([
    ['linux', 'a/../b', '/w/b'],
    ['linux', '', '/w/'],
    ['linux', '.', '/w/'],
    ['linux', 'a/', '/w/a/'],
    ['linux', 'a/.', '/w/a/.'],
    ['linux', '/x//y', '/x//y'],
    ['windows', 'C:\\a\\', '/a/'],
    ['windows', 'dir\\', '/w/dir/'],
  ])('on %s %j is copied to %j', (os, path, wanted) => expect(destinationPath('/w', path, os)).toBe(wanted));

  test('Windows has one drive and no shares', () => {
    for (const path of ['d:\\x', 'c:', '\\\\host\\share']) {
      expect(() => normalizePath('/', path, 'windows', false)).toThrow();
      expect(isAbsolute(path, 'windows')).toBe(false);
    }
    expect(isAbsolute('C:\\x', 'windows')).toBe(true);
  });
});

test('archives are known by their first bytes', () => {
  const header = Buffer.alloc(512);
  header.write('name');
  let sum = 8 * 32;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  expect(isArchive(header)).toBe(true);
  expect(isArchive(Buffer.alloc(512))).toBe(false);
  expect(isArchive(Buffer.from([0x1f, 0x8b, 8]))).toBe(true);
  expect(isArchive(Buffer.from('FROM alpine'))).toBe(false);
});

test('the same Dockerfile always gives the same bytes', async () => {
  const text =
    'FROM alpine AS a\nRUN --mount=target=/x,from=b x\nFROM alpine AS b\nFROM alpine\nCOPY --from=a / /\nCOPY --link c /\n';
  const digests = async () => vertices(await compile(text.replace(',from=b', ''))).map((one) => one.digest);
  expect(await digests()).toEqual(await digests());
});

test('ten thousand steps and stages are lowered without exhausting the stack', async () => {
  const steps = Array.from({ length: 5000 }, (_, index) => `COPY a /${index}`);
  expect(vertices(await compile(`FROM alpine\n${steps.join('\n')}\n`))).toHaveLength(5002);
  const stages = Array.from({ length: 5000 }, (_, index) => `FROM s${index} AS s${index + 1}\nUSER u`);
  expect(vertices(await compile(`FROM alpine AS s0\n${stages.join('\n')}\nCOPY a /\n`))).toHaveLength(3);
});
