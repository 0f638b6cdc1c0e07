import type { Identity } from '../../support/identity.ts';
import { Random } from './random.ts';

/** How often each kind of harm is done: few times among the tests, more with `npm run torture`, which sets these. */
const defaults = { TORTURE_KILLS: 6, TORTURE_FILES: 10, TORTURE_ROWS: 10, TORTURE_CUTS: 40 } as const;

const numberFrom = (name: string, fallback: number): number => {
  const text = process.env[name];
  if (text === undefined || text === '') return fallback;
  if (!/^\d+$/.test(text)) throw new Error(`${name} is not a number: ${text}`);
  return Number(text);
};

/** How often a kind of harm is done. */
export const numberOf = (name: keyof typeof defaults): number => numberFrom(name, defaults[name]);

/** Whether it takes so long that whoever waits is told how far it is. */
export const isLong: boolean = process.env['TORTURE_SEED'] !== undefined;

/** What every choice follows from. */
export const seed: number = numberFrom('TORTURE_SEED', 1);

/**
 * The cases of one identity: root and the ordinary user share the number, one after the other.
 * @returns for each case its number and what it chooses with, which depends on nothing but the seed and the number
 */
export function casesOf(
  kind: keyof typeof defaults,
  who: Identity,
): readonly { readonly at: number; readonly random: Random }[] {
  const parity = who.name === 'root' ? 0 : 1;
  const isShared = process.getuid?.() === 0;
  return Array.from({ length: numberOf(kind) }, (_, at) => at)
    .filter((at) => !isShared || at % 2 === parity)
    .map((at) => ({ at, random: new Random(seed * 1_000_003 + at * 7919 + kind.length) }));
}

/** Room for so many cases on a busy machine, in ms. */
export const timeOf = (kind: keyof typeof defaults): number => 60_000 + 15_000 * numberOf(kind);
