import { expect, test } from 'vitest';
import { isWithoutProxy } from '../../src/registry/http/no-proxy.ts';

test.each<[list: string, url: string, without: boolean]>([
  ['', 'https://r.example/', false],
  ['*', 'https://r.example/', true],
  ['r.example', 'https://r.example/', true],
  ['R.Example', 'https://r.example/', true],
  ['example', 'https://r.example/', true],
  ['.example', 'https://r.example/', true],
  ['*.example', 'https://r.example/', true],
  ['ample', 'https://r.example/', false],
  ['other,r.example', 'https://r.example/', true],
  ['other r.example', 'https://r.example/', true],
  ['r.example:443', 'https://r.example/', true],
  ['r.example:5000', 'https://r.example:5000/', true],
  ['r.example:5000', 'https://r.example/', false],
  ['10.0.0.0/8', 'https://10.1.2.3/', true],
  ['10.0.0.0/8', 'https://11.1.2.3/', false],
  ['10.1.2.3', 'http://10.1.2.3:5000/', true],
  ['10.1.2.3:80', 'http://10.1.2.3:5000/', false],
  ['2.3', 'http://10.1.2.3/', false],
  ['fd00::/8', 'https://[fd00::1]:5000/', true],
  ['fd00::/8', 'https://[fe80::1]/', false],
  ['fd00::1', 'https://[fd00::1]:5000/', true],
  ['[fd00::1]:5000', 'https://[fd00::1]:5000/', true],
  ['[fd00::1]:5001', 'https://[fd00::1]:5000/', false],
  ['10.0.0.0/8', 'https://fd00.example/', false],
  ['10.0.0.0/99,///,:,[', 'https://10.1.2.3/', false],
])('NO_PROXY=%j and %s', (list, url, without) => {
  expect(isWithoutProxy(new URL(url), list)).toBe(without);
});
