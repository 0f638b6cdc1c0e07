import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatPlatform, hostPlatform, normalizePlatform, parsePlatform } from '../../src/image/index.ts';
import { toOciPlatform } from '../../src/image/platform.ts';

const host = { os: 'linux', architecture: 'amd64' } as const;
const shown = (text: string, fallback = host): string => formatPlatform(parsePlatform(text, fallback));

// The names that containerd takes (platforms/database.go, platforms_test.go).
test.each([
  ['linux/amd64', 'linux/amd64'],
  ['linux/x86_64', 'linux/amd64'],
  ['linux/x86-64', 'linux/amd64'],
  ['linux/amd64/v1', 'linux/amd64'],
  ['linux/amd64/v3', 'linux/amd64/v3'],
  ['linux/i386', 'linux/386'],
  ['linux/386', 'linux/386'],
  ['linux/aarch64', 'linux/arm64'],
  ['linux/arm64/8', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['linux/arm64/v9', 'linux/arm64/v9'],
  ['linux/arm', 'linux/arm/v7'],
  ['linux/arm/7', 'linux/arm/v7'],
  ['linux/arm/6', 'linux/arm/v6'],
  ['linux/arm/v5', 'linux/arm/v5'],
  ['linux/armhf', 'linux/arm/v7'],
  ['linux/armel', 'linux/arm/v6'],
  ['linux/riscv64', 'linux/riscv64'],
  ['Linux/AMD64', 'linux/amd64'],
  ['macos/arm64', 'darwin/arm64'],
  ['windows', 'windows/amd64'],
  ['linux', 'linux/amd64'],
  ['arm64', 'linux/arm64'],
  ['aarch64', 'linux/arm64'],
  ['armhf', 'linux/arm/v7'],
  [' linux/s390x ', 'linux/s390x'],
])('%s is %s', (text, wanted) => {
  expect(shown(text)).toBe(wanted);
});

test('an architecture alone is one of the fallback’s system, a system alone has its architecture', () => {
  const fallback = { os: 'freebsd', architecture: 'arm', variant: 'v6' };
  expect(parsePlatform('arm64', fallback)).toEqual({ os: 'freebsd', architecture: 'arm64' });
  expect(parsePlatform('linux', fallback)).toEqual({ os: 'linux', architecture: 'arm', variant: 'v6' });
});

test('versions of Windows stand in brackets, and in OCI’s field', () => {
  const platform = parsePlatform('windows(10.0.17763)/amd64', host);
  expect(platform).toEqual({ os: 'windows', architecture: 'amd64', osVersion: '10.0.17763' });
  expect(toOciPlatform(platform)).toEqual({ os: 'windows', architecture: 'amd64', 'os.version': '10.0.17763' });
  expect(formatPlatform(platform)).toBe('windows/amd64');
  expect(parsePlatform('windows(10.0)', host)).toMatchObject({ osVersion: '10.0' });
});

describe('what is none', () => {
  test.each(['', '/', 'linux/', '/amd64', 'linux/arm/v7/x', 'linux amd64', 'amd65', 'solaris', 'linux/../x', '..', './.', 'linux/amd64/..', 'linux\0/x', 'a,b'])(
    '%j',
    (text) => {
      expect(() => parsePlatform(text, host)).toThrow(
        expect.objectContaining({
          code: 'TSB_USAGE',
          message: `Cannot use platform ${JSON.stringify(text)}: expected "os/arch" or "os/arch/variant"`,
          hint: 'for example: --platform linux/amd64',
        }),
      );
    },
  ); // oxfmt-ignore

  test('never has a part that is a path, which names directories', () => {
    const word = fc.oneof(fc.constantFrom('linux', 'arm', '..', '.', 'v8', '', 'x86_64'), fc.string({ maxLength: 4 }));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), (words) => {
        let text: string;
        try {
          text = shown(words.join('/'));
        } catch {
          return;
        }
        for (const part of text.split('/')) expect(part).toMatch(/^(?!\.+$)[\w.-]+$/);
      }),
    );
  });
});

test('the usual spelling stays as it is, however often it is looked at', () => {
  const part = fc.constantFrom('amd64', 'x86_64', 'arm', 'armhf', 'arm64', 'aarch64', 'i386', 'riscv64', 'ARM');
  const variant = fc.constantFrom(undefined, '5', '6', '7', '8', 'v1', 'v7', 'v8', 'V8');
  fc.assert(
    fc.property(part, variant, (architecture, one) => {
      const once = normalizePlatform({ os: 'Linux', architecture, ...(one === undefined ? {} : { variant: one }) });
      expect(normalizePlatform(once)).toEqual(once);
      expect(parsePlatform(formatPlatform(once), host)).toEqual(once);
    }),
  );
  expect(parsePlatform(formatPlatform(hostPlatform()))).toEqual(hostPlatform());
});
