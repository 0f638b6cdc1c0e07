import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { authorized } from '../../src/object-store/azure-key.ts';

const key = Buffer.from('a key of an account').toString('base64');
const hmac = (text: string): string => createHmac('sha256', 'a key of an account').update(text).digest('base64');
const at = Date.UTC(2015, 5, 26, 23, 39, 12);

describe('requests to a storage account', () => {
  test('are signed over the very lines that the documentation shows ("Authorize with Shared Key")', () => {
    const url = new URL(
      'https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20',
    );
    const request = authorized({ kind: 'key', account: 'myaccount', key }, at, {
      method: 'GET',
      url,
      headers: { 'x-ms-version': '2015-02-21' },
    });
    const lines =
      'GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20';
    expect(request.authorization).toBe(`SharedKey myaccount:${hmac(lines)}`);
    expect(request.url.href).toBe(url.href);
  });

  test('a body, a range and a condition are signed, too', () => {
    const url = new URL('https://myaccount.blob.core.windows.net/c/a%20b');
    const headers = { 'x-ms-blob-type': 'BlockBlob', 'if-none-match': '*', range: 'bytes=0-9' };
    const request = authorized({ kind: 'key', account: 'myaccount', key }, at, {
      method: 'PUT',
      url,
      headers,
      body: Buffer.from('hello'),
    });
    const lines =
      'PUT\n\n\n5\n\n\n\n\n\n*\n\nbytes=0-9\nx-ms-blob-type:BlockBlob\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2021-12-02\n/myaccount/c/a%20b';
    expect(request.authorization).toBe(`SharedKey myaccount:${hmac(lines)}`);
  });

  test('a token goes into the address as it was given, and nowhere else', () => {
    const url = new URL('https://myaccount.blob.core.windows.net/c/a?comp=block');
    const request = authorized({ kind: 'token', token: '?sv=2021&sig=a%2Bb%3D' }, at, { method: 'PUT', url });
    expect(request.url.search).toBe('?comp=block&sv=2021&sig=a%2Bb%3D');
    expect(request.authorization).toBeUndefined();
  });
});
