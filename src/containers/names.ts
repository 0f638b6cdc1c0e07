import { TsbuildError } from '../util/index.ts';

const QUALITIES = (
  'able amber bold brave brisk bright calm clever cool crisp eager early fair fast fine fond free fresh gentle glad golden ' +
  'grand green happy hardy honest jolly keen kind late light lively loyal lucky mellow merry mild modest neat nimble noble ' +
  'patient polite proud quick quiet rapid ready sharp shiny silent silver simple smart steady still sunny swift tidy warm wise'
).split(' ');

const THINGS = (
  'acorn alder anchor apple aspen badger beacon beaver birch bison bridge brook canyon cedar cliff cloud comet coral crane ' +
  'delta dove eagle elm falcon fern finch fjord forest fox garden glacier harbor hazel heron hill island ivy jay juniper kettle ' +
  'lake lantern lark linden lynx maple marten meadow moss oak orchid otter owl pebble pine plover quail raven reef ridge ' +
  'river robin sparrow spruce stone swan thistle tern tide tulip valley walnut willow wren'
).split(' ');

/** A name for a container that was given none. */
export function generateName(): string {
  // Loaded here alone: most containers are given no name, or have one, and node:crypto takes some 5 ms.
  const { randomInt } = process.getBuiltinModule('node:crypto');
  const pick = (words: readonly string[]): string => words[randomInt(words.length)] ?? '';
  return `${pick(QUALITIES)}_${pick(THINGS)}`;
}

/** @throws TsbuildError `TSB_USAGE` where docker would refuse the name, too */
export function checkName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$/.test(name)) return name;
  throw new TsbuildError('TSB_USAGE', `Cannot name a container ${JSON.stringify(name)}`, {
    hint: 'a name has 2 to 128 letters, digits and "_", "." or "-", and begins with a letter or digit',
  });
}
