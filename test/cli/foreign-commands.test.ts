import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isForeign, translate } from '../../src/cli/foreign-commands.ts';
import { isTsbuildError } from '../../src/util/index.ts';

// As docker's command line takes them (pflag): a value may stand behind its letter, and switches may have one.
const here = (line: string): string => translate(line.split(' ')).join(' ');

describe('load', () => {
  test.each([
    ['load -i app.tar', 'import app.tar'],
    ['load -iapp.tar', 'import app.tar'],
    ['load -i=app.tar', 'import app.tar'],
    ['load -qi app.tar', 'import app.tar'],
    ['load -qiapp.tar', 'import app.tar'],
    ['load --input app.tar --quiet', 'import app.tar'],
    ['load --input=a=b.tar', 'import a=b.tar'],
    ['load --quiet=true -i app.tar', 'import app.tar'],
    ['load --quiet=false', 'import -'],
    ['image load -iapp.tar -q', 'import app.tar'],
    // What is about something else is told by the command that is here.
    ['load --platform linux/arm64', 'import - --platform linux/arm64'],
    // The last one counts.
    ['load -i a.tar -i b.tar', 'import b.tar'],
  ])('%s', (typed, meant) => {
    expect(here(typed)).toBe(meant);
  });

  test.each(['load -i', 'load --input', 'image load -qi'])('%s is told that the file is missing', (typed) => {
    expect(() => here(typed)).toThrow(/^Cannot use -\S+: the file is missing$/);
  });
});

describe('prune of images and of the system', () => {
  test.each([
    ['image prune', 'prune'],
    ['image prune -f', 'prune --force'],
    ['image prune -fa', 'prune --force --images'],
    ['image prune -f -a', 'prune --force --images'],
    ['image prune --all=true --force=true', 'prune --images --force'],
    ['image prune -a=1 -f=t', 'prune --images --force'],
    ['image prune --all=false', 'prune'],
    ['image prune --force=false', 'prune'],
    ['system prune --all -f --volumes', 'prune --all --images --force'],
    ['system prune --volumes=true -f', 'prune --force'],
    ['image prune -f --filter until=24h', 'prune --force --filter until=24h'],
    // What is neither true nor false is for the command to refuse.
    ['image prune --force=perhaps', 'prune --force=perhaps'],
  ])('%s', (typed, meant) => {
    expect(here(typed)).toBe(meant);
  });

  test.each([
    'image prune -a',
    'image prune --all=true',
    'image prune -a=1',
    'image prune -aa',
    'image prune -a --force=false',
    'system prune --all=T --volumes',
  ])('%s is not done without --force', (typed) => {
    expect(() => here(typed)).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: expect.stringContaining('there is no question first') as string,
        hint: expect.stringContaining('--force') as string,
      }),
    );
  });

  test('however it is written, images go only where force was said', () => {
    const word = fc.constantFrom('-a', '-f', '-af', '-aff', '--all', '--force', '--all=true', '--force=0', '-f=false', '-a=t', '--volumes', '--filter', 'until=1h'); // oxfmt-ignore
    fc.assert(
      fc.property(fc.constantFrom('image', 'system'), fc.array(word, { maxLength: 6 }), (group, words) => {
        let made: readonly string[];
        try {
          made = translate([group, 'prune', ...words]);
        } catch (error) {
          expect(isTsbuildError(error, 'TSB_USAGE')).toBe(true);
          return;
        }
        expect(made[0]).toBe('prune');
        if (made.includes('--images')) expect(words.some((each) => /^-[af]*f[af]*$|^--force$/.test(each))).toBe(true);
      }),
    );
  });
});

describe('commands of containers and images in groups', () => {
  const groups = {
    container: 'attach commit cp create diff exec export kill logs pause port ps rename restart rm run start stop stats top unpause update wait'.split(' '), // oxfmt-ignore
    image: 'build history import pull push save tag'.split(' '),
  };
  test.each(Object.entries(groups))('%s NAME is NAME, with all that follows', (group, names) => {
    for (const name of names) expect(here(`${group} ${name} -x --y=z w`)).toBe(`${name} -x --y=z w`);
  });

  test('a word that only begins like one is none', () => {
    for (const line of ['container starting x', 'image lsx', 'buildx buildx', 'system dfx'])
      expect(() => here(line)).toThrow(/^tsbuild has no command "/);
  });

  test.each([
    ['container', /^containers have create, run, .*"tsbuild \.\/container"$/],
    ['container restore x', /^containers have create, run/],
    ['image', /^what works is: image ls/],
    ['system', /^what works is: system df, prune/],
    ['manifest create x', /^what works is: manifest inspect/],
    ['machine start', /^there is no daemon/],
    ['info', /^"tsbuild doctor"/],
    ['umount x', /-o type=local,dest=DIR/],
    ['buildx bake', /^what works is: builder prune/],
  ])('%s says what there is instead', (line, hint) => {
    expect(isForeign(line.split(' ')[0] ?? '')).toBe(true);
    expect(() => here(line)).toThrow(
      expect.objectContaining({ code: 'TSB_USAGE', hint: expect.stringMatching(hint) as string }),
    );
  });

  test('names that every object has are no commands', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty', ''])
      expect(isForeign(name)).toBe(false);
  });
});
