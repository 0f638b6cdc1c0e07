import * as fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { decodeSourcePolicy, policyFiles, readSourcePolicies, SourcePolicies } from '../../src/source-policy/index.ts';
import { canonicalIdentifier, withoutStaleAddress } from '../../src/source-policy/identifier.ts';
import { readSourcePolicy } from '../../src/source-policy/read-policy.ts';
import { isTsbuildError } from '../../src/util/index.ts';
import { processorTime } from '../support/processor-time.ts';

const directory = mkdtempSync(join(tmpdir(), 'policy-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** A protobuf field by number: a varint, or bytes with their length (protobuf, "Encoding"). */
const varint = (field: number, value: number): Buffer => Buffer.from([field * 8, value]);
const bytes = (field: number, value: string | Buffer): Buffer => {
  const body = Buffer.from(value as string);
  return Buffer.concat([Buffer.from([field * 8 + 2, body.length]), body]);
};
/** What a policy is refused with. */
function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isTsbuildError(error, 'TSB_POLICY')) return error.message;
    throw error;
  }
  return 'accepted';
}
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe('a policy as a message (sourcepolicy/pb/policy.proto)', () => {
  const selector = bytes(2, Buffer.concat([bytes(1, 'a*'), varint(2, 2)]));

  test('has its rules with numbers for names, in any order of fields', () => {
    const constraint = Buffer.concat([varint(3, 1), bytes(2, 'v'), bytes(1, 'k')]);
    const updates = Buffer.concat([bytes(1, 'b'), bytes(2, Buffer.concat([bytes(1, 'attr'), bytes(2, 'x')]))]);
    const rule = Buffer.concat([
      bytes(3, updates),
      bytes(2, Buffer.concat([bytes(3, constraint), bytes(1, 'a*'), varint(2, 0)])),
      varint(1, 2),
    ]);
    for (const message of [
      Buffer.concat([varint(1, 1), bytes(2, rule)]),
      Buffer.concat([bytes(2, rule), varint(1, 1)]),
    ])
      expect(readSourcePolicy(message, 'p')).toEqual({
        name: 'p',
        rules: [
          {
            action: 'CONVERT',
            selector: {
              identifier: 'a*',
              matchType: 'WILDCARD',
              constraints: [{ key: 'k', value: 'v', condition: 'NOTEQUAL' }],
            },
            updates: { identifier: 'b', attrs: new Map([['attr', 'x']]) },
          },
        ],
      });
  });

  test.each<[string, Buffer, RegExp]>([
    ['a version of its future', varint(1, 2), /its version is 2/],
    ['a rule without selector', bytes(2, varint(1, 1)), /rule 1 has no selector/],
    ['an empty selector', bytes(2, bytes(2, '')), /the selector of rule 1 has no identifier/],
    ['an unknown action', bytes(2, Buffer.concat([varint(1, 3), selector])), /action has the unknown value 3/],
    ['an unknown kind of pattern', bytes(2, bytes(2, Buffer.concat([bytes(1, 'a'), varint(2, 9)]))), /unknown value 9/],
    ['an unknown condition', bytes(2, bytes(2, Buffer.concat([bytes(1, 'a'), bytes(3, varint(3, 4))]))), /unknown value 4/],
    ['a field that a rule does not have', bytes(2, Buffer.concat([selector, varint(9, 1)])), /unknown field 9/],
    ['a conversion to nothing', bytes(2, Buffer.concat([varint(1, 2), selector, bytes(3, '')])), /missing destination for convert rule 1/],
    ['a rule that is cut off', Buffer.from([0x12, 0x7f, 0x08]), /only 1 bytes left/],
    ['a string that is no UTF-8', bytes(2, bytes(2, bytes(1, Buffer.from([0xff])))), /not valid UTF-8/],
    ['a number that never ends', Buffer.from([0x08, ...Array<number>(12).fill(0xff)]), /longer than 64 bits/],
  ])('%s is refused', (_name, message, reason) => {
    expect(refusal(() => readSourcePolicy(message, 'p'))).toMatch(reason);
  }); // oxfmt-ignore

  test('without anything is one without rules', () => {
    expect(decodeSourcePolicy(new Uint8Array(), 'p')).toEqual({ name: 'p', rules: [] });
  });

  test('any bytes are a policy or are refused with the name of the file', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
        const told = refusal(() => readSourcePolicy(body, 'file'));
        if (told !== 'accepted') expect(told).toMatch(/^Cannot use source policy "file": /);
      }),
    );
  });
});

describe('a policy as JSON', () => {
  test.each<[string, unknown, RegExp]>([
    ['a list', [], /it is not an object/],
    ['null', null, /it is not an object/],
    ['a misspelt key', { rule: [] }, /it has "rule", and there are "version", "rules"/],
    ['rules that are none', { rules: {} }, /its "rules" are not a list/],
    ['a version that is a text', { version: '1' }, /its version is not a number/],
    ['version 1.5', { version: 1.5 }, /its version is 1.5/],
    ['a rule that is a text', { rules: ['x'] }, /rule 1 is not an object/],
    ['a key of Go', { rules: [{ Action: 'DENY' }] }, /rule 1 has "Action"/],
    ['no selector', { rules: [{ action: 'DENY', selector: null }] }, /rule 1 has no selector/],
    ['an action in small letters', { rules: [{ action: 'deny', selector: { identifier: 'a' } }] }, /the action of rule 1 is none of ALLOW, DENY, CONVERT/],
    ['an action beyond the last', { rules: [{ action: 3, selector: { identifier: 'a' } }] }, /none of ALLOW/],
    ['an action between two', { rules: [{ action: 0.5, selector: { identifier: 'a' } }] }, /none of ALLOW/],
    ['a negative one', { rules: [{ action: -1, selector: { identifier: 'a' } }] }, /none of ALLOW/],
    ['an identifier that is a number', { rules: [{ selector: { identifier: 1 } }] }, /the identifier of rule 1 is not a string/],
    ['no identifier', { rules: [{ selector: {} }] }, /no identifier/],
    ['a constraint that is a text', { rules: [{ selector: { identifier: 'a', constraints: ['x'] } }] }, /a constraint of rule 1 is not an object/],
    ['attributes that are a list', { rules: [{ action: 'CONVERT', selector: { identifier: 'a' }, updates: { attrs: [] } }] }, /the attrs of rule 1 are not an object/],
    ['an attribute that is a number', { rules: [{ action: 'CONVERT', selector: { identifier: 'a' }, updates: { attrs: { x: 1 } } }] }, /attribute "x" of rule 1 is not a string/],
    ['a conversion without updates', { rules: [{ action: 'CONVERT', selector: { identifier: 'a' } }] }, /missing destination for convert rule 1/],
  ])('with %s is refused', (_name, value, reason) => {
    expect(refusal(() => readSourcePolicy(json(value), 'p'))).toMatch(reason);
  }); // oxfmt-ignore

  test('what is left out, or null as Go writes it, has its default', () => {
    const rules = [{ selector: { identifier: 'a', constraints: null }, updates: null }];
    expect(readSourcePolicy(json({ version: null, rules }), 'p').rules).toEqual([
      { action: 'ALLOW', selector: { identifier: 'a', matchType: 'WILDCARD', constraints: [] } },
    ]);
    expect(readSourcePolicy(json({ rules: null }), 'p').rules).toEqual([]);
  });

  test('names that objects of JavaScript have are attributes like any other', () => {
    const text =
      '{"rules":[{"action":2,"selector":{"identifier":"a"},"updates":{"attrs":{"__proto__":"1","constructor":"2"}}}]}';
    const { rules } = readSourcePolicy(Buffer.from(text), 'p');
    expect([...(rules[0]?.updates?.attrs ?? [])]).toEqual([
      ['__proto__', '1'],
      ['constructor', '2'],
    ]);
  });
});

describe('what rules know a source by', () => {
  const canonical = (identifier: string, attrs: Readonly<Record<string, string>> = {}): string =>
    canonicalIdentifier({ kind: 'source', identifier, attrs: new Map(Object.entries(attrs)) });

  test.each<[string, string | undefined, string]>([
    ['docker-image://docker.io/library/a:1', undefined, 'docker-image://docker.io/library/a:1'],
    ['https://a/b#c', undefined, 'https://a/b#c'],
    ['git://github.com/a/b', undefined, 'git://github.com/a/b'],
    ['git://github.com//a/./b/', undefined, 'git://github.com/a/b'],
    ['git://github.com/a/b#', undefined, 'git://github.com/a/b'],
    ['git://github.com/a/b#main', undefined, 'git://github.com/a/b#main'],
    ['git://github.com/a/b#main:', undefined, 'git://github.com/a/b#main'],
    ['git://github.com/a/b#main:/', undefined, 'git://github.com/a/b#main'],
    ['git://github.com/a/b#main:x/../y', undefined, 'git://github.com/a/b#main:y'],
    ['git://github.com/a/b#main:../../y', undefined, 'git://github.com/a/b#main:y'],
    ['git://github.com/a/b#:sub', undefined, 'git://github.com/a/b#:sub'],
    ['git://github.com/a/b#x#y:z', undefined, 'git://github.com/a/b#x#y:z'],
    // The address that is really asked counts, not what it is called.
    ['git://github.com/a/b#main', 'https://evil.example/a/b', 'git://evil.example/a/b#main'],
    ['git://github.com/a/b', 'git@evil.example:a/b', 'git://evil.example/a/b'],
    ['git://github.com/a/b', 'ssh://git@host:22/a/b', 'git://host:22/a/b'],
    ['git://github.com/a/b', 'https://user:secret@github.com/a/b.git', 'git://github.com/a/b.git'],
    ['git://github.com/a/b', 'https://github.com/a/../c?x#y', 'git://github.com/c'],
    ['git://github.com/a/b', 'https://github.com@evil.example/a', 'git://evil.example/a'],
    ['git://github.com/a/b', '', 'git://github.com/a/b'],
  ])('%s at %s is %s', (identifier, full, expected) => {
    expect(canonical(identifier, full === undefined ? {} : { 'git.fullurl': full })).toBe(expected);
  }); // oxfmt-ignore

  test('is the same when it is asked again', () => {
    const part = fc.string({ unit: fc.constantFrom('a', '.', '/', '#', ':', '@'), maxLength: 10 });
    fc.assert(
      fc.property(part, (rest) => {
        const once = canonical(`git://host/${rest}`);
        expect(canonical(once)).toBe(once);
      }),
    );
  });

  test('an address of another repository is dropped, one of the same stays', () => {
    const of = (identifier: string, full: string) =>
      withoutStaleAddress({
        kind: 'source',
        identifier,
        attrs: new Map([
          ['git.fullurl', full],
          ['x', 'y'],
        ]),
      }).attrs;
    expect([...of('git://a/b#c', 'https://a/b').keys()]).toEqual(['git.fullurl', 'x']);
    expect([...of('git://a/c', 'https://a/b').keys()]).toEqual(['x']);
    expect([...of('docker-image://a', 'https://a/b').keys()]).toEqual(['x']);
    expect([...of('git://', 'https://a/b').keys()]).toEqual(['x']);
  });
});

describe('files with policies', () => {
  test('are those of the environment and of options, absolute and in this order', () => {
    const variable = { EXPERIMENTAL_BUILDKIT_SOURCE_POLICY: 'env.json' };
    expect(policyFiles('/w', variable, ['a.json', '/b.json'])).toEqual(['/w/env.json', '/w/a.json', '/b.json']);
    expect(policyFiles('/w', { EXPERIMENTAL_BUILDKIT_SOURCE_POLICY: '' })).toEqual([]);
    expect(() => policyFiles('/w', {}, [''])).toThrow('Cannot use an empty path as a source policy');
  });

  test('are read, and refused with their names', () => {
    const file = (name: string, content: string | Buffer): string => {
      writeFileSync(join(directory, name), content);
      return join(directory, name);
    };
    const good = file('good.json', json({ rules: [{ selector: { identifier: 'a' } }] }));
    expect(readSourcePolicies([good, good]).map(({ name }) => name)).toEqual(['good.json', 'good.json']);
    expect(refusal(() => readSourcePolicies([good, file('bad.json', '{')]))).toMatch(
      /^Cannot use source policy "bad.json": it is not JSON/,
    );
    expect(refusal(() => readSourcePolicies([file('empty.json', '')]))).toMatch(/"empty.json": it is not JSON/);
    const regex = json({ rules: [{ selector: { identifier: '(', match_type: 'REGEX' } }] });
    expect(refusal(() => readSourcePolicies([file('regex.json', regex)]))).toMatch(/rule 1 has an invalid regex "\("/);
    expect(() => readSourcePolicies([file('large.json', Buffer.alloc(4 * 1024 * 1024 + 1, 0x20))])).toThrow(
      /more than 4194304 bytes/,
    );
    expect(() => readSourcePolicies([join(directory, 'none.json')])).toThrow(/Cannot read source policy ".*none.json"/);
    expect(() => readSourcePolicies([directory])).toThrow(/Cannot read source policy/);
  });
});

test('a regular expression that takes for ever is given up with a reason', async () => {
  const identifier = `(?:${Array.from({ length: 100 }, (_, at) => `a.*b${at}`).join('|')})|a`;
  const rules = [{ action: 'CONVERT', selector: { identifier, match_type: 'REGEX' }, updates: { identifier: 'x' } }];
  const policies = new SourcePolicies([readSourcePolicy(json({ rules }), 'p')]);
  const source = {
    kind: 'source',
    identifier: `docker-image://${'a'.repeat(4000)}`,
    attrs: new Map<string, string>(),
  } as const;
  let told = '';
  expect(
    await processorTime(() => {
      told = refusal(() => policies.apply(source));
    }),
  ).toBeLessThan(20_000);
  expect(told).toBe('Cannot apply a regular expression: it takes too many steps on this text');
});
