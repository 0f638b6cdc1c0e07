import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Authority } from '../../src/recording/authority.ts';
import { stepName } from '../../src/recording/build-recording.ts';
import { parseRange } from '../../src/recording/byte-range.ts';
import { isRedacted, writtenAddress } from '../../src/recording/web-address.ts';

describe('the authority of a build', () => {
  const authority = new Authority(() => Date.now());
  const ca = new X509Certificate(authority.certificate);

  test.each([
    ['far.test', 'DNS:far.test'],
    ['127.0.0.1', 'IP Address:127.0.0.1'],
    ['2001:db8::1:2', 'IP Address:2001:DB8:0:0:0:0:1:2'],
    ['::', 'IP Address:0:0:0:0:0:0:0:0'],
    [`${'a'.repeat(60)}.${'b'.repeat(60)}.test`, `DNS:${'a'.repeat(60)}.${'b'.repeat(60)}.test`],
  ])('vouches for %s', (host, name) => {
    const leaf = new X509Certificate(authority.serverCertificate(host).cert);
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true);
    expect([leaf.subjectAltName, leaf.ca, ca.ca]).toEqual([name, false, true]);
    expect(leaf.validFromDate < new Date() && leaf.validToDate > new Date()).toBe(true);
  });

  test('writes certificates by the letter of RFC 5280', () => {
    const dir = mkdtempSync(join(tmpdir(), 'tsbuild-ca-'));
    try {
      // Beyond 2049, years have four digits.
      for (const now of [Date.now(), Date.UTC(2049, 11, 20)]) {
        const other = new Authority(() => now);
        writeFileSync(join(dir, 'ca.pem'), other.certificate);
        writeFileSync(join(dir, 'leaf.pem'), other.serverCertificate('far.test').cert);
        const at = ['-attime', String(Math.floor(now / 1000))];
        const args = [
          'verify',
          ...at,
          '-x509_strict',
          '-purpose',
          'sslserver',
          '-verify_hostname',
          'far.test',
          '-CAfile',
          'ca.pem',
          'leaf.pem',
        ];
        expect(execFileSync('openssl', args, { cwd: dir, encoding: 'utf8' })).toBe('leaf.pem: OK\n');
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('an address as it is written down', () => {
  test.each([
    ['https://me:hush@a.test/b?c=d#e', 'https://a.test/b?c=d'],
    ['https://a.test/b?access_token=hush&x=%7e', 'https://a.test/b?access_token=REDACTED&x=%7e'],
    ['https://a.test/b?key=1&token=hush', 'https://a.test/b?key=1&token=REDACTED'],
    [
      'https://s3.test/b?X-Amz-Date=1&X-Amz-Signature=hush&X-Amz-SignedHeaders=host',
      'https://s3.test/b?X-Amz-Date=REDACTED&X-Amz-Signature=REDACTED&X-Amz-SignedHeaders=host',
    ],
    ['https://blob.test/b?sp=r&se=2026&sig=hush', 'https://blob.test/b?sp=r&se=REDACTED&sig=REDACTED'],
    // Without a signature it is a word as others.
    ['https://a.test/b?se=2026&expires=1', 'https://a.test/b?se=2026&expires=1'],
    ['https://a.test/b?%74oken=hush', 'https://a.test/b?%74oken=REDACTED'],
  ])('%s is %s', (text, written) => {
    expect(writtenAddress(new URL(text))).toBe(written);
    expect(isRedacted(written)).toBe(written.includes('REDACTED'));
    expect(writtenAddress(new URL(written))).toBe(written);
  });
});

test('a part of a body is a part of it', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^bytes=\d{0,3}-\d{0,3}$/), fc.nat({ max: 500 }), (header, size) => {
      const range = parseRange(header, size);
      if (range === undefined || range === 'none') return;
      expect(range.start).toBeGreaterThanOrEqual(0);
      expect(range.end).toBeLessThanOrEqual(size);
      expect(range.start).toBeLessThan(range.end);
    }),
  );
  expect(parseRange('bytes=0-0', 10)).toEqual({ start: 0, end: 1 });
  // Units have no case (RFC 9110, 14.1).
  expect(parseRange('Bytes=1-2', 10)).toEqual({ start: 1, end: 3 });
  expect(parseRange('bytes=5-', 10)).toEqual({ start: 5, end: 10 });
  expect(parseRange('bytes=-20', 10)).toEqual({ start: 0, end: 10 });
  expect(parseRange('bytes=-0', 10)).toBe('none');
  expect(parseRange('bytes=10-', 10)).toBe('none');
  for (const text of ['bytes=-', 'items=0-1', 'bytes=4-2', 'bytes=a-b', '', undefined])
    expect(parseRange(text, 10), text).toBeUndefined();
});

test('a step is called by its instruction, wherever that stands', () => {
  expect(stepName('[linux/arm64 build 2/14] RUN make')).toBe('RUN make');
  expect(stepName('RUN [ -e /x ] && y')).toBe('RUN [ -e /x ] && y');
  const long = `RUN ${'x'.repeat(300)}`;
  expect(stepName(`${long}1`)).not.toBe(stepName(`${long}2`));
  expect(stepName(`${long}1`).length).toBeLessThan(220);
});
