import { describe, expect, test } from 'vitest';
import { byWayOf, noteProxy, proxyFor } from '../../src/registry/http/proxy-address.ts';
import { proxiesOf } from '../../src/registry/http/proxies.ts';

const to = (url: string, env: Readonly<Record<string, string>>): string | undefined =>
  proxyFor(new URL(url), proxiesOf(env))?.href;

describe('the proxy of a request, as Go (golang.org/x/net/http/httpproxy) and curl choose it', () => {
  test.each<[string, string, Readonly<Record<string, string>>, string | undefined]>([
    ['HTTPS by its own', 'https://r.example/', { HTTPS_PROXY: 'http://p:1' }, 'http://p:1/'],
    ['HTTP by its own', 'http://r.example/', { HTTP_PROXY: 'http://p:1' }, 'http://p:1/'],
    ['HTTPS not by that of HTTP', 'https://r.example/', { HTTP_PROXY: 'http://p:1' }, undefined],
    ['HTTP not by that of HTTPS', 'http://r.example/', { HTTPS_PROXY: 'http://p:1' }, undefined],
    ['each by its own', 'https://r.example/', { HTTP_PROXY: 'http://p:1', HTTPS_PROXY: 'http://p:2' }, 'http://p:2/'],
    ['names in lower case', 'https://r.example/', { https_proxy: 'http://p:1' }, 'http://p:1/'],
    ['lower case before upper', 'https://r.example/', { https_proxy: 'http://p:1', HTTPS_PROXY: 'http://p:2' }, 'http://p:1/'],
    ['one that is emptied is none', 'https://r.example/', { https_proxy: '', HTTPS_PROXY: 'http://p:2' }, undefined],
    ['without a scheme', 'https://r.example/', { HTTPS_PROXY: 'p:3128' }, 'http://p:3128/'],
    ['a proxy over TLS', 'https://r.example/', { HTTPS_PROXY: 'https://p' }, 'https://p/'],
    ['with a name and a password', 'https://r.example/', { HTTPS_PROXY: 'u:w@p:1' }, 'http://u:w@p:1/'],
    ['not this machine', 'http://localhost:5000/', { HTTP_PROXY: 'http://p:1' }, undefined],
    ['not this machine by any address', 'https://[::1]:5000/', { HTTPS_PROXY: 'http://p:1' }, undefined],
    ['not who is left out', 'https://r.example/', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'example' }, undefined],
    ['nor in lower case', 'https://r.example/', { HTTPS_PROXY: 'http://p:1', no_proxy: 'r.example:443' }, undefined],
    ['others are not left out', 'https://q.other/', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'example' }, 'http://p:1/'],
    ['none where nothing is set', 'https://r.example/', {}, undefined],
  ])('%s', (_what, url, env, proxy) => expect(to(url, env)).toBe(proxy)); // prettier-ignore

  test.each([
    ['socks5://p:1', 'begins with socks5://'],
    ['file:///etc/passwd', 'begins with file://'],
    ['http://[', 'is not an address'],
    ['http://u:geheim@', 'is not an address'],
  ])('%s is an error that does not show what may be a password', (named, why) => {
    const message = expect.stringMatching(new RegExp(`for r.example: it ${why}$`)) as string;
    expect(() => to('https://r.example/', { HTTPS_PROXY: named })).toThrow(
      expect.objectContaining({ code: 'TSB_NETWORK', message }),
    );
  });
});

test('a failure by way of a proxy names it, without what is secret of it', () => {
  const failure = new Error('refused');
  noteProxy(failure, new URL('http://u:geheim@p:3128/'));
  expect(byWayOf(failure)).toBe(', by way of the proxy http://p:3128 (HTTP_PROXY, HTTPS_PROXY)');
  expect(byWayOf(new Error('refused'))).toBe('');
  noteProxy(failure, undefined);
  noteProxy('no object', new URL('http://p/'));
  expect(byWayOf('no object')).toBe('');
});
