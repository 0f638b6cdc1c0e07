import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { CliContext } from '../../../src/cli/context.ts';
import { configPath, storeLimits } from '../../../src/cli/options/store-limits.ts';

const dir = mkdtempSync(join(tmpdir(), 'tsbuild-settings-'));
afterAll(() => rmSync(dir, { recursive: true }));

const contextWith = (env: Readonly<Record<string, string>>): CliContext => ({ env }) as unknown as CliContext;

function limitsOf(text: string, maxSize?: string): ReturnType<typeof storeLimits> {
  const path = join(dir, 'config.toml');
  writeFileSync(path, text);
  return storeLimits(contextWith({ TSBUILD_CONFIG: path }), maxSize);
}

test('settings are looked for where the environment says, and need not be there', async () => {
  expect(configPath(contextWith({ HOME: '/home/me' }))).toBe('/home/me/.config/tsbuild/config.toml');
  expect(configPath(contextWith({ HOME: '/home/me', XDG_CONFIG_HOME: '/etc/xdg' }))).toBe(
    '/etc/xdg/tsbuild/config.toml',
  );
  expect(configPath(contextWith({ HOME: '/home/me', XDG_CONFIG_HOME: 'relative' }))).toMatch(/^\/home\/me/);
  expect(await storeLimits(contextWith({ HOME: dir }), undefined)).toEqual({ policies: [] });
  expect(await storeLimits(contextWith({ HOME: dir }), '2k')).toEqual({ policies: [], maxBytes: 2048 });
  await expect(storeLimits(contextWith({ TSBUILD_CONFIG: join(dir, 'none') }), undefined)).rejects.toThrow(/Cannot read the settings/); // oxfmt-ignore
});

test('sizes, times and filters come from the settings, and the command line has the last word', async () => {
  const text = `[store]
max-size = "20g"
min-free = 1024
[[store.policy]]
filter = ["type=exec.cachemount", "id=/npm"]
keep-duration = "48h"
max-size = "5m"
all = true
[[store.policy]]
filter = "until=1h"
`;
  const limits = await limitsOf(text, '1g');
  const [first, second] = limits.policies;
  expect(limits).toMatchObject({ maxBytes: 2 ** 30, minFreeBytes: 1024, policies: [{}, {}] });
  expect(first).toMatchObject({ keepMs: 48 * 3_600_000, maxBytes: 5 << 20, all: true });
  expect(first?.filter?.({ type: 'exec.cachemount', id: '/npm' } as never)).toBe(true);
  expect(first?.filter?.({ type: 'regular', id: '/npm' } as never)).toBe(false);
  expect(second).toEqual({ keepMs: 3_600_000 });
  expect(await limitsOf('[store]\nmax-size = "20g"\n')).toEqual({ policies: [], maxBytes: 20 * 2 ** 30 });
});

describe('settings that cannot be used say where', () => {
  test.each([
    ['max-size = "20g"', /the file has no "max-size"/],
    ['[store]\nmaxsize = "20g"', /\[store\] has no "maxsize", did you mean "max-size"\?/],
    ['[store]\nmax-size = "lots"', /max-size "lots": expected a number/],
    ['[[store.policy]]\nkeep-duration = "long"', /keep-duration "long": expected/],
    ['[store]\nmax-size = true', /"max-size" is not a size/],
    ['[store]\npolicy = 1', /write \[\[store\.policy\]\]/],
    ['[[store.policy]]\nall = true', /needs "keep-duration", "max-size" or both/],
    ['[[store.policy]]\nkeep-duration = 5', /"keep-duration" is not a text/],
    ['[[store.policy]]\nkeep-duration = "5h"\nall = "yes"', /"all" is neither/],
    ['[[store.policy]]\nkeep-duration = "5h"\nfilter = 5', /"filter" is not a list/],
    ['[[store.policy]]\nkeep-duration = "5h"\nfilter = ["typo=x"]', /there is no field "typo"/],
    ['[store', /Cannot use the settings/],
  ])('%j', async (text, message) => {
    await expect(limitsOf(text)).rejects.toThrow(message);
    await expect(limitsOf(text)).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });
});
