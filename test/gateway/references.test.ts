import { describe, expect, test } from 'vitest';
import { gatewayLimits } from '../../src/gateway/limits.ts';
import { References } from '../../src/gateway/references.ts';
import { statusCodes } from '../../src/gateway/status.ts';
import { decodeDefinition, type Definition, encodeDefinition } from '../../src/llb/index.ts';
import { definitionBytes, hostOf } from './support.ts';

const bytes = definitionBytes();
const definition = decodeDefinition(bytes);
const other = decodeDefinition(definitionBytes('other'));
const referencesOf = (limits: Partial<typeof gatewayLimits> = {}, host = hostOf({ f: 'x' })): References =>
  new References(host, { ...gatewayLimits, ...limits });
const refused = (code: number): object => expect.objectContaining({ status: code }) as object;

describe('references of a frontend', () => {
  test('lead to what they were given for, each under an id of its own that nobody can guess', () => {
    const references = referencesOf();
    const [one, two, same] = [definition, other, definition].map((each) => references.add(each, bytes, []));
    const ids = [one, two, same].map((ref) => ref?.id ?? '');
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{24,}$/);
    expect(references.definition(ids[0] ?? '')).toBe(definition);
    expect(references.definition(ids[1] ?? '')).toBe(other);
    expect(one?.def).toBe(bytes);
  });

  test('to scratch have no id, and cost nothing', () => {
    const host = hostOf({});
    const references = referencesOf({ maxDefinitionBytes: 0 }, host);
    const empty: Definition = { def: [], metadata: new Map() };
    for (const scratch of [undefined, empty])
      expect(references.add(scratch, bytes, [])).toEqual({ id: '', def: new Uint8Array() });
    expect(host.log).toEqual([]);
    expect(references.resolve({ kind: 'ref', id: '', def: new Uint8Array() })).toEqual({
      kind: 'one',
      definition: undefined,
    });
    // It has no files that could be looked at.
    expect(() => references.tree('')).toThrow(refused(statusCodes.invalidArgument));
  });

  test('are known to those only that they were given to', () => {
    const { id } = referencesOf().add(definition, bytes, []);
    const stranger = referencesOf();
    const refs = new Map([['linux/amd64', { id, def: bytes }]]);
    for (const ask of [
      () => stranger.tree(id),
      () => stranger.definition(id),
      () => stranger.resolve({ kind: 'ref', id, def: bytes }),
      () => stranger.resolve({ kind: 'refDeprecated', refDeprecated: id }),
      () => stranger.resolve({ kind: 'refs', refs }),
      () => stranger.resolve({ kind: 'refsDeprecated', refs: new Map([['a', id]]) }),
    ])
      expect(ask).toThrow(refused(statusCodes.invalidArgument));
    expect(() => stranger.tree('x'.repeat(10_000))).toThrow(/^no such ref: x{100}$/);
  });

  test('come back as one tree or one by each key, in the forms of old and of new clients', () => {
    const references = referencesOf();
    const { id } = references.add(definition, bytes, []);
    const keys = new Map([
      ['linux/amd64', id],
      ['linux/arm64', ''],
    ]);
    const map = { kind: 'map', definitions: new Map([['linux/amd64', definition], ['linux/arm64', undefined]]) }; // oxfmt-ignore
    expect(references.resolve(undefined)).toEqual({ kind: 'one', definition: undefined });
    expect(references.resolve({ kind: 'ref', id, def: bytes })).toEqual({ kind: 'one', definition });
    expect(references.resolve({ kind: 'refDeprecated', refDeprecated: id })).toEqual({ kind: 'one', definition });
    expect(references.resolve({ kind: 'refsDeprecated', refs: keys })).toEqual(map);
    const refs = new Map([...keys].map(([key, one]) => [key, { id: one, def: new Uint8Array() }]));
    expect(references.resolve({ kind: 'refs', refs })).toEqual(map);
  });

  test('to what another frontend made are references like any other', () => {
    const references = referencesOf();
    const one = references.addResult({ refs: { kind: 'one', definition } }, encodeDefinition, []);
    expect(references.resolve(one)).toEqual({ kind: 'one', definition });
    const definitions = new Map([['a', definition], ['b', undefined]]); // oxfmt-ignore
    const map = references.addResult({ refs: { kind: 'map', definitions } }, encodeDefinition, []);
    expect(references.resolve(map)).toEqual({ kind: 'map', definitions });
  });

  test('are as many, and of as many bytes together, as is allowed, and not one more', () => {
    const references = referencesOf({ maxSolves: 2, maxDefinitionBytes: bytes.length * 2 });
    for (let count = 0; count < 2; count++) {
      references.count();
      references.add(definition, bytes, []);
    }
    expect(() => references.count()).toThrow(refused(statusCodes.resourceExhausted));
    expect(() => references.add(definition, Uint8Array.of(1), [])).toThrow(refused(statusCodes.resourceExhausted));
  });
});
