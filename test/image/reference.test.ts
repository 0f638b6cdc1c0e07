import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { familiarReference, formatReference, normalizeReference, parseReference } from '../../src/image/index.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;

describe('image references', () => {
  test.each([
    ['debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['debian:12-slim', 'docker.io/library/debian:12-slim', 'debian:12-slim'],
    ['library/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['docker.io/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['index.docker.io/library/debian:1', 'docker.io/library/debian:1', 'debian:1'],
    ['moby/buildkit', 'docker.io/moby/buildkit:latest', 'moby/buildkit:latest'],
    ['localhost/x', 'localhost/x:latest', 'localhost/x:latest'],
    ['localhost:5000/x', 'localhost:5000/x:latest', 'localhost:5000/x:latest'],
    ['[::1]:5000/x', '[::1]:5000/x:latest', '[::1]:5000/x:latest'],
    ['127.0.0.1:5000/a/b-c/d__e:v1', '127.0.0.1:5000/a/b-c/d__e:v1', '127.0.0.1:5000/a/b-c/d__e:v1'],
    ['HOST/x', 'HOST/x:latest', 'HOST/x:latest'],
    [`debian@${DIGEST}`, `docker.io/library/debian@${DIGEST}`, `debian@${DIGEST}`],
    [`debian:12@${DIGEST}`, `docker.io/library/debian:12@${DIGEST}`, `debian:12@${DIGEST}`],
    ['xn--nxasmq6b.example/x', 'xn--nxasmq6b.example/x:latest', 'xn--nxasmq6b.example/x:latest'],
  ])('%s is %s', (text, full, familiar) => {
    expect(normalizeReference(text)).toBe(full);
    expect(familiarReference(parseReference(normalizeReference(text)))).toBe(familiar);
  });

  test.each([
    '',
    '-oX',
    'a b',
    'Foo',
    'x:../y',
    'x@sha256:',
    `x@sha256:${'AB'.repeat(32)}`,
    `x@sha256:${'ab'.repeat(31)}a`,
    `x@sha512:${'ab'.repeat(64)}`,
    'x@md5:abc',
    `x:${'t'.repeat(129)}`,
    'localhost:99999/x',
    'localhost:/x',
    'bücher.example/x',
    'x\n',
    'x\r\nHost: evil',
    'x\0',
    'a//b',
    '/x',
    'x/',
    '../x',
    'host.example/../x',
    'x:',
    'http://host.example/x',
    'user:pass@host.example/x',
    'ab'.repeat(32),
    `a/${'b'.repeat(260)}`,
  ])('refuses %j', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
  });

  test('says what docker says about upper case', () => {
    expect(() => parseReference('Foo')).toThrow(
      'invalid reference format: repository name (library/Foo) must be lowercase',
    );
  });

  test('the long spelling of whatever is accepted reads the same again and never holds control characters', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9.:/@_\-[\]\n ]{1,40}$/), (text) => {
        let long: string;
        try {
          long = formatReference(parseReference(text));
        } catch {
          return;
        }
        expect(formatReference(parseReference(long))).toBe(long);
        expect(long).toMatch(/^[!-~]+$/);
        expect(long.split('/')).not.toContain('..');
        expect(formatReference(parseReference(familiarReference(parseReference(text))))).toBe(long);
      }),
    );
  });

  test('the short spelling reads as the same image, also where a part looks like a host or an id (property)', () => {
    const part = fc.oneof(
      fc.stringMatching(/^[a-z0-9]{1,4}((\.|_|__|-{1,2})[a-z0-9]{1,3}){0,2}$/),
      fc.constantFrom('library', 'localhost', 'docker.io', 'ab'.repeat(32)),
    );
    const reference = fc.record(
      {
        host: fc.constantFrom('docker.io', 'docker.io', 'localhost', 'h:5000', 'a.b', '[::1]:5', 'HOST'),
        path: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
        tag: fc.stringMatching(/^\w[\w.-]{0,8}$/),
        digest: fc.constant(DIGEST as `sha256:${string}`),
      },
      { requiredKeys: ['host', 'path'] },
    );
    fc.assert(
      fc.property(reference, (given) => {
        // As it is when it was read: the Docker Hub has no repository without a namespace.
        const long = formatReference(parseReference(formatReference(given)));
        const short = familiarReference(parseReference(long));
        expect(formatReference(parseReference(short)), short).toBe(long);
        expect(short.length).toBeLessThanOrEqual(long.length);
      }),
      { numRuns: 300 },
    );
  });
});
