import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseMount } from '../../../src/frontend/dockerfile/instructions/mount.ts';
import type { Mount, MountType } from '../../../src/frontend/dockerfile/index.ts';
import { mistake } from './support.ts';

const identity = (word: string): string => word;
const none: Omit<Mount, 'type' | 'readOnly'> = {
  from: '',
  source: '',
  target: '',
  size: 0,
  id: '',
  sharing: undefined,
  required: false,
  env: undefined,
  mode: undefined,
  uid: undefined,
  gid: undefined,
};

/** Text with everything in it that a field of CSV may have, and with what looks like more than it is. */
const word = fc.string({ unit: fc.constantFrom(...Array.from('ab/.=,"-_ é')), minLength: 1, maxLength: 8 });
const number = fc.nat(0xffffffff);
const any = { source: word, target: word };
const owned = { uid: number, gid: number, mode: number };

/** What each type may say. A secret has a source or an id. */
const fieldsOf: Readonly<Record<MountType, Readonly<Record<string, fc.Arbitrary<unknown>>>>> = {
  bind: { ...any, from: word, readOnly: fc.boolean(), id: word, env: word },
  cache: {
    ...any,
    ...owned,
    from: word,
    readOnly: fc.boolean(),
    id: word,
    sharing: fc.constantFrom('shared', 'private', 'locked'),
  },
  tmpfs: { target: word, size: fc.nat(2 ** 31), readOnly: fc.boolean() },
  secret: { target: word, ...owned, id: word, required: fc.boolean(), env: word },
  ssh: { target: word, ...owned, id: word, required: fc.boolean() },
};

/** The names that a field may be written under. */
const names: Readonly<Record<string, readonly string[]>> = {
  source: ['source', 'src'],
  target: ['target', 'dst', 'destination'],
  readOnly: ['readonly', 'ro'],
};

type Field = readonly [name: string, value: unknown, way: number];

const mounts = fc.constantFrom<MountType>('bind', 'cache', 'tmpfs', 'secret', 'ssh').chain((type) =>
  fc
    .record(fieldsOf[type], { requiredKeys: type === 'secret' ? ['id'] : [] })
    .chain((said) =>
      fc.tuple(
        fc.shuffledSubarray(Object.entries(said), { minLength: Object.keys(said).length }),
        fc.array(fc.nat(100), { minLength: 16, maxLength: 16 }),
      ),
    )
    .map(([entries, ways]) => ({
      type,
      fields: entries.map(([name, value], at): Field => [name, value, ways[at] ?? 0]),
      isTypeSaid: type !== 'bind' || (ways[15] ?? 0) % 2 === 0,
    })),
);

/** One field, quoted as CSV wants it where it must be, and else as it comes. */
function written([name, value, way]: Field): string {
  const spelled = names[name]?.[way % (names[name]?.length ?? 1)] ?? name;
  const key = way % 5 === 0 ? spelled.toUpperCase() : spelled;
  const text = (): string => {
    if (name === 'mode' && typeof value === 'number') return `${way % 2 === 0 ? '0' : ''}${value.toString(8)}`;
    if (typeof value === 'boolean')
      return (value ? ['1', 't', 'true', 'TRUE'] : ['0', 'f', 'false', 'FALSE'])[way % 4] ?? '';
    return String(value);
  };
  // A switch that is on needs no value; one that is off may be the other way round.
  if (value === true && way % 3 === 0) return key;
  if (name === 'readOnly' && value === false && way % 3 === 1) return way % 2 === 0 ? 'rw' : 'readwrite=true';
  const field = `${key}=${text()}`;
  return /[",]/.test(field) || way % 7 === 0 ? `"${field.replaceAll('"', '""')}"` : field;
}

describe('a mount', () => {
  test('is what it says, however that is written', () => {
    fc.assert(
      fc.property(mounts, ({ type, fields, isTypeSaid }) => {
        const text = [...(isTypeSaid ? [`type=${type}`] : []), ...fields.map(written)].join(',');
        fc.pre(text !== '');
        const readOnly = type !== 'cache' && type !== 'tmpfs';
        const said = Object.fromEntries(fields.map(([name, value]) => [name, value]));
        expect(parseMount(text, identity)).toEqual({ ...none, readOnly, type, ...said });
      }),
      { numRuns: 1000 },
    );
  });

  test('says the last of what is said twice', () => {
    fc.assert(
      fc.property(mounts, ({ type, fields }) => {
        const [first] = fields;
        fc.pre(first !== undefined);
        const once = [`type=${type}`, ...fields.map(written)].join(',');
        const twice = [`type=${type}`, ...fields.map(written), ...(first ? [written(first)] : [])].join(',');
        expect(parseMount(twice, identity)).toEqual(parseMount(once, identity));
      }),
    );
  });

  test('has its variables expanded in every value but that of from, which alone is read before', () => {
    const expand = (text: string): string => text.replaceAll('$x', 'X');
    expect(parseMount('target=/$x,source=$x/y,id=$x', expand)).toMatchObject({ target: '/X', source: 'X/y', id: 'X' });
    expect(parseMount('type=$x,from=stage,target=/nonsense,size=1', undefined)).toEqual({
      ...none,
      type: 'bind',
      readOnly: true,
      from: 'stage',
    });
    expect(mistake(() => parseMount('from=$x', undefined))).toContain("'from' doesn't support variable expansion");
    // As BuildKit has it: a dollar at the end is none of a variable.
    expect(parseMount('from=a$', undefined).from).toBe('a$');
  });

  test('is a mount or a mistake, whatever is written', () => {
    const key = fc.constantFrom(
      'type',
      'from',
      'src',
      'dst',
      'ro',
      'rw',
      'size',
      'mode',
      'uid',
      'sharing',
      'required',
      'env',
      'id',
    );
    const value = fc.oneof(
      fc.constantFrom('cache', 'secret', 'tmpfs', 'ssh', 'locked', 'true', '0', '1k', '-1', '08'),
      fc.string(),
    );
    const field = fc.oneof(
      fc.tuple(key, value).map(([name, text]) => `${name}=${text}`),
      key,
      fc.string(),
    );
    let parsed = 0;
    fc.assert(
      fc.property(fc.array(field, { maxLength: 6 }), (fields) => {
        const said = mistake(() => {
          const { type, size, mode, uid, gid, sharing, from, source, id, target } = parseMount(
            fields.join(','),
            identity,
          );
          parsed++;
          expect(['bind', 'cache', 'tmpfs', 'secret', 'ssh']).toContain(type);
          expect(size).toBeGreaterThanOrEqual(0);
          for (const one of [mode, uid, gid])
            if (one !== undefined) expect([one >= 0, one <= 0xffffffff]).toEqual([true, true]);
          if (sharing !== undefined) expect(type).toBe('cache');
          if (type === 'bind' || type === 'tmpfs') expect([mode, uid, gid]).toEqual([undefined, undefined, undefined]);
          if (type === 'secret') expect([from, [source, id, target].some((one) => one !== '')]).toEqual(['', true]);
        });
        expect(said.length).toBeGreaterThan(5);
      }),
      { numRuns: 2000 },
    );
    expect(parsed).toBeGreaterThan(50);
  });
});
