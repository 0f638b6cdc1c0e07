import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseChallenges } from '../../src/registry/challenge.ts';
import type { HttpAnswer } from '../../src/registry/http/http.ts';
import { receivedBytes, uploadLocation, withDigest } from '../../src/registry/push/upload-location.ts';
import { sha256 } from '../../src/util/index.ts';

/** Challenges as plain values. */
const parsed = (header: string): unknown =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe('what a registry asks for (RFC 9110, 11.6.1)', () => {
  test.each<[string, unknown]>([
    ['', []],
    ['Basic', [['basic', {}]]],
    ['Basic realm="x"', [['basic', { realm: 'x' }]]],
    [
      'Bearer realm="https://auth.example/token",service="here",scope="repository:a/b:pull,push"',
      [['bearer', { realm: 'https://auth.example/token', service: 'here', scope: 'repository:a/b:pull,push' }]],
    ],
    // The example of the RFC: two challenges, one with a comma and quotes in a value.
    [
      'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
      [
        ['newauth', { realm: 'apps', type: '1', title: 'Login to "apps"' }],
        ['basic', { realm: 'simple' }],
      ],
    ],
    [
      'Negotiate, Basic realm=x , , Bearer realm = "y"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'x' }],
        ['bearer', { realm: 'y' }],
      ],
    ],
    // Some schemes have one word in base64 instead of parameters, and what comes behind it is read all the same.
    [
      'Negotiate YIIB/w+g==, Bearer realm="y"',
      [
        ['negotiate', {}],
        ['bearer', { realm: 'y' }],
      ],
    ],
    [
      'Bearer realm="y",NTLM TlRMTVNTUAAC , Basic realm="x"',
      [
        ['bearer', { realm: 'y' }],
        ['ntlm', {}],
        ['basic', { realm: 'x' }],
      ],
    ],
    ['Negotiate abc=', [['negotiate', {}]]],
    // Of a name that comes twice the first counts; names are in any case.
    ['Bearer REALM="a",realm="b"', [['bearer', { realm: 'a' }]]],
    // What cannot be read ends it, and keeps what was before.
    ['Bearer realm="open', [['bearer', {}]]],
    ['Bearer realm="a", =b, Basic realm="c"', [['bearer', { realm: 'a' }]]],
    ['realm="a"', []],
  ])('%s', (header, challenges) => expect(parsed(header)).toEqual(challenges));

  test('is read as it was written, whatever is in it (property)', () => {
    const token = fc.stringMatching(/^[a-z][a-z0-9!#$%&'*+.^_`|~-]{0,8}$/);
    const challenge = fc.tuple(
      token,
      fc.dictionary(token, fc.string({ maxLength: 12 }), { maxKeys: 4, noNullPrototype: true }),
    );
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), (all) => {
        const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
        const header = all
          .map(([scheme, parameters]) =>
            `${scheme} ${Object.entries(parameters)
              .map(([name, value]) => `${name}=${quoted(value)}`)
              .join(', ')}`.trim(),
          )
          .join(', ');
        expect(parseChallenges(header).map(({ scheme, parameters }) => [scheme, [...parameters]])).toEqual(
          all.map(([scheme, parameters]) => [scheme, Object.entries(parameters)]),
        );
      }),
    );
  });
});

describe('where an upload goes on', () => {
  const answer = (
    headers: Readonly<Record<string, string>>,
    url = 'https://r.example/v2/a/blobs/uploads/',
  ): HttpAnswer => ({ url: new URL(url), header: (name: string) => headers[name] }) as unknown as HttpAnswer;

  test.each([
    ['/v2/a/blobs/uploads/1?state=x%2By', 'https://r.example/v2/a/blobs/uploads/1?state=x%2By'],
    ['2?a=b#c', 'https://r.example/v2/a/blobs/uploads/2?a=b'],
    ['https://other.example/3', 'https://other.example/3'],
  ])('%s', (location, url) => expect(uploadLocation(answer({ location }), 'Cannot push').href).toBe(url));

  test.each([
    ['http://r.example/1', /not acceptable/],
    ['https://169.254.169.254/latest', /not acceptable/],
    ['https://localhost/1', /not acceptable/],
    ['https://me:pw@r.example/1', /user information/],
    ['file:///etc/passwd', /not acceptable from there: file:/],
    ['https://[', /not a URL/],
  ])('is not %s', (location, why) => expect(() => uploadLocation(answer({ location }), 'Cannot push')).toThrow(why));

  test('must be said', () =>
    expect(() => uploadLocation(answer({}), 'Cannot push')).toThrow(/r\.example names is missing/));

  test('has what the registry signed, and the digest behind it', () => {
    const digest = sha256('x');
    const shown = encodeURIComponent(digest);
    expect(withDigest(new URL('https://r/u?_state=a%2Fb+c'), digest).href).toBe(
      `https://r/u?_state=a%2Fb+c&digest=${shown}`,
    );
    expect(withDigest(new URL('https://r/u'), digest).searchParams.get('digest')).toBe(digest);
  });

  test.each<[string | undefined, number | undefined]>([
    ['0-99', 100],
    ['bytes=0-99', 100],
    // One byte or none: it is soon sent again.
    ['0-0', 0],
    [undefined, undefined],
    ['5-99', undefined],
    ['0-', undefined],
    ['0-99999999999999999999', undefined],
  ])('after %j', (range, bytes) => expect(receivedBytes(answer(range === undefined ? {} : { range }))).toBe(bytes));
});
