import { Command } from 'commander';
import { expect, test } from 'vitest';
import { withoutValues } from '../../src/cli/switches.ts';

const command = new Command('build')
  .option('--pull', '')
  .option('--pull-never', '')
  .option('--no-cache', '')
  .option('-q, --quiet', '')
  .option('--label <x>', '')
  .option('--rm', '');

test.each([
  ['build --no-cache=true .', 'build --no-cache .'],
  ['build --no-cache=false .', 'build .'],
  ['build --no-cache --no-cache=0 .', 'build .'],
  ['build --no-cache=F --no-cache .', 'build --no-cache .'],
  ['build -q --quiet=false .', 'build .'],
  ['build -q=true .', 'build --quiet .'],
  ['build --label --rm=true --rm=T .', 'build --label --rm=true --rm .'],
  ['build --label=a=true .', 'build --label=a=true .'],
  ['build --pull=always .', 'build --pull .'],
  ['build --pull=missing .', 'build .'],
  ['build --pull --pull=never .', 'build --pull-never .'],
  ['build --unknown=true .', 'build --unknown=true .'],
  ['build -- --rm=true', 'build -- --rm=true'],
])('%s', (typed, meant) => {
  expect(withoutValues(typed.split(' '), command, false).join(' ')).toBe(meant);
});

test('options end at the image of run', () => {
  expect(withoutValues(['run', '--rm=true', 'x', '--rm=true'], command, true)).toEqual([
    'run',
    '--rm',
    'x',
    '--rm=true',
  ]);
});

test('another value is an error', () => {
  expect(() => withoutValues(['build', '--no-cache=maybe'], command, false)).toThrow(
    /--no-cache=maybe: expected true or false/,
  );
  expect(() => withoutValues(['build', '--pull=sometimes'], command, false)).toThrow(/--pull=sometimes/);
  expect(() => withoutValues(['build', '--pull=constructor'], command, false)).toThrow(
    /--pull=constructor: expected true or false/,
  );
});
