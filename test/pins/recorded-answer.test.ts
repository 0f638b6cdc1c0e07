import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerName, digestOfAnswers, formatLock, parseLock, type RecordedAnswer } from '../../src/pins/index.ts';

const DIGEST = `sha256:${'a'.repeat(64)}` as const;

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
/** A number would be an address, and `080` none. */
const host = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/);
const headers = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/), fc.stringMatching(/^[ -~]{0,20}$/), {
  maxKeys: 3,
});
const answer: fc.Arbitrary<RecordedAnswer> = fc
  .record({
    method: fc.constantFrom('GET', 'HEAD', 'POST'),
    url: fc
      .tuple(fc.constantFrom('http', 'https'), host, word)
      .map(([scheme, name, path]) => `${scheme}://${name}/${path}`),
    authorized: fc.constantFrom(undefined, true as const),
    vary: fc.option(headers, { nil: undefined }),
    status: fc.integer({ min: 200, max: 599 }),
    headers,
    body: fc.option(fc.nat(), { nil: undefined }),
    steps: fc.uniqueArray(word),
  })
  .map(({ authorized, vary, body, ...rest }) => ({
    ...rest,
    ...(authorized === undefined ? {} : { authorized }),
    ...(vary === undefined ? {} : { vary }),
    ...(body === undefined ? {} : { digest: DIGEST, size: body }),
  }));
const answers = fc.uniqueArray(answer, { selector: answerName, maxLength: 10 });

const read = (entries: unknown): unknown =>
  parseLock(JSON.stringify({ version: 2, sources: [], network: entries }), 'tsbuild.lock').network;

describe('recorded answers in a lock file', () => {
  test('say the same when they are read and written again, in one order', () => {
    fc.assert(
      fc.property(answers, (network) => {
        const text = formatLock({ sources: [], network });
        expect(formatLock({ sources: [], network: network.toReversed() })).toBe(text);
        const again = parseLock(text, 'tsbuild.lock');
        expect(new Set(again.network.map((one) => JSON.stringify(sorted(one))))).toEqual(
          new Set(network.map((one) => JSON.stringify(sorted(one)))),
        );
        expect(formatLock(again)).toBe(text);
        expect((JSON.parse(text) as { version: number }).version).toBe(network.length === 0 ? 1 : 2);
      }),
    );
  });

  test('are one thing to a step’s key, whoever asked and in whatever order, and another with anything else in them', () => {
    fc.assert(
      fc.property(answers, answer, (network, other) => {
        const digest = digestOfAnswers(network);
        expect(digestOfAnswers(network.toReversed().map((one) => ({ ...one, steps: ['another'] })))).toBe(digest);
        if (network.every((one) => answerName(one) !== answerName(other)))
          expect(digestOfAnswers([...network, other])).not.toBe(digest);
        const [first, ...rest] = network;
        if (first)
          expect(digestOfAnswers([{ ...first, status: first.status === 200 ? 404 : 200 }, ...rest])).not.toBe(digest);
      }),
    );
  });

  const good = {
    method: 'GET',
    url: 'https://a.test/b',
    status: 200,
    headers: {},
    digest: DIGEST,
    size: 1,
    steps: ['RUN x'],
  };
  test('are read', () => expect(read([good])).toEqual([good]));

  const bad: readonly (readonly [string, object])[] = [
    ['no method', { method: undefined }],
    ['a method with more', { method: 'GET /\r\nx' }],
    ['another scheme', { url: 'file:///etc/passwd' }],
    ['user information', { url: 'https://me:secret@a.test/' }],
    ['no address', { url: 'https://' }],
    ['a status that is none', { status: 99 }],
    ['a header that ends its line', { headers: { location: 'x\r\nset-cookie: y' } }],
    ['a name of a header that is none', { headers: { 'X Y': 'x' } }],
    ['a header that is no text', { headers: { x: 1 } }],
    ['a digest without a size', { size: undefined }],
    ['a size without a digest', { digest: undefined }],
    ['another digest', { digest: 'sha256:x' }],
    ['steps that are no list', { steps: 'RUN x' }],
    ['an origin that is no web address', { via: 'javascript:x' }],
    ['a negative size', { size: -1 }],
  ];
  test.each(bad)('are refused with %s', (_, change) => {
    expect(() => read([{ ...good, ...change }])).toThrow(
      'Cannot use "tsbuild.lock": entry 1 of its "network" is not one',
    );
  });

  test('are refused twice for one request, and as anything but a list', () => {
    expect(() => read([good, { ...good, status: 404 }])).toThrow('two answers for GET "https://a.test/b"');
    expect(() => read({})).toThrow('its "network" is not a list');
  });
});

/** With headers in one order. */
function sorted(one: RecordedAnswer): unknown {
  const entries = (map: Readonly<Record<string, string>> = {}): unknown =>
    Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [
    answerName({ ...one, vary: {} }),
    entries(one.vary),
    one.status,
    entries(one.headers),
    one.digest,
    one.size,
    one.steps,
  ];
}
