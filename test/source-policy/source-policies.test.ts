import { describe, expect, test } from 'vitest';
import type { SourceOp } from '../../src/llb/index.ts';
import { SourcePolicies } from '../../src/source-policy/index.ts';
import { readSourcePolicy } from '../../src/source-policy/read-policy.ts';

const source = (identifier: string, attrs: Readonly<Record<string, string>> = {}): SourceOp => ({
  kind: 'source',
  identifier,
  attrs: new Map(Object.entries(attrs)),
});
type Json = Readonly<Record<string, unknown>>;
const rule = (action: string, selector: string | Json, updates?: Json): Json => ({
  action,
  selector: typeof selector === 'string' ? { identifier: selector } : selector,
  ...(updates === undefined ? {} : { updates }),
});
const policies = (...lists: readonly (readonly Json[])[]): SourcePolicies =>
  new SourcePolicies(
    lists.map((rules, index) =>
      readSourcePolicy(Buffer.from(JSON.stringify({ version: 1, rules })), `policy${index + 1}.json`),
    ),
  );
const apply = (rules: readonly Json[], identifier: string, attrs?: Readonly<Record<string, string>>): SourceOp =>
  policies(rules).apply(source(identifier, attrs));
const BUSYBOX = 'docker-image://docker.io/library/busybox:latest';
const ALPINE = 'docker-image://docker.io/library/alpine:latest';

describe('rules that allow and deny', () => {
  test('of one policy the last one that is meant holds; each policy can deny', () => {
    const [allow, deny] = [rule('ALLOW', BUSYBOX), rule('DENY', BUSYBOX)];
    const asked = source(BUSYBOX);
    expect(policies([allow, deny, allow]).apply(asked)).toBe(asked);
    expect(policies([deny, allow]).apply(asked)).toBe(asked);
    expect(() => policies([allow, deny]).apply(asked)).toThrow(`source "${BUSYBOX}" denied by policy`);
    expect(() => policies([allow], [deny]).apply(asked)).toThrow(/denied by policy/);
    expect(() => policies([deny], [allow]).apply(asked)).toThrow(/denied by policy/);
  });

  test('what no rule is about is allowed, and stays the same object', () => {
    const asked = source(ALPINE);
    expect(policies([rule('DENY', BUSYBOX)]).apply(asked)).toBe(asked);
    expect(new SourcePolicies().apply(asked)).toBe(asked);
  });

  test('are asked about the blob that a git repository comes as, too', () => {
    const locator = 'docker-image+blob://registry.test/a@sha256:1';
    const attrs = { 'git.bundle': locator };
    const repository = 'git://git.test/a.git';
    expect(() => apply([rule('DENY', 'docker-image+blob://*')], repository, attrs)).toThrow(
      `source "${locator}" denied by policy`,
    );
    const mirror = { identifier: 'docker-image+blob://mirror.test/$1' };
    const changed = apply([rule('CONVERT', 'docker-image+blob://registry.test/*', mirror)], repository, attrs);
    expect(changed.attrs.get('git.bundle')).toBe('docker-image+blob://mirror.test/a@sha256:1');
    const asked = source(repository, attrs);
    expect(policies([rule('ALLOW', '*')]).apply(asked)).toBe(asked);
  });

  test('the error says which rule of which file, and what the source was called before', () => {
    const rules = [rule('CONVERT', BUSYBOX, { identifier: ALPINE }), rule('DENY', '*/alpine:*')];
    const error = (): unknown => {
      try {
        return apply(rules, BUSYBOX);
      } catch (caught) {
        return caught;
      }
    };
    expect(error()).toMatchObject({
      code: 'TSB_POLICY',
      message: `source "${ALPINE}" denied by policy`,
      hint: `rule 2 of policy1.json denies it; it was converted from "${BUSYBOX}"`,
    });
  });

  test('names and passwords of addresses are not told', () => {
    expect(() => apply([rule('DENY', '*')], 'https://user:secret@web.test/f')).toThrow(
      /^source "https:\/\/(?!.*secret).*" denied/,
    );
  });

  test('constraints look at attributes; one that is not there is empty', () => {
    const of = (condition: string, value: string): Json =>
      rule('DENY', {
        identifier: 'https://*',
        constraints: [{ key: 'http.checksum', value, condition }],
      });
    const url = 'https://web.test/f';
    const attrs = { 'http.checksum': 'sha256:1' };
    expect(() => apply([of('EQUAL', '')], url)).toThrow(/denied/);
    expect(() => apply([of('EQUAL', '')], url, attrs)).not.toThrow();
    expect(() => apply([of('NOTEQUAL', '')], url, attrs)).toThrow(/denied/);
    expect(() => apply([of('MATCHES', '^sha256:')], url, attrs)).toThrow(/denied/);
    expect(() => apply([of('MATCHES', '^sha256:')], url)).not.toThrow();
  });

  test.each([
    ['WILDCARD', 'docker-image://docker.io/library/*', true],
    ['WILDCARD', '*busybox*', true],
    ['WILDCARD', 'docker-image://docker.io/library/busybox', false],
    ['WILDCARD', 'docker-image://docker.io/library/busybox:late.t', false],
    ['EXACT', BUSYBOX, true],
    ['EXACT', 'docker-image://*', false],
    ['REGEX', 'library/(busybox|alpine):', true],
    ['REGEX', '^busybox', false],
    // The pattern itself is meant, too.
    ['REGEX', BUSYBOX, true],
  ])('%s %s: %s', (matchType, identifier, isMeant) => {
    const asked = (): unknown => apply([rule('DENY', { identifier, match_type: matchType })], BUSYBOX);
    if (isMeant) expect(asked).toThrow(/denied/);
    else expect(asked).not.toThrow();
  });
});

describe('rules that convert', () => {
  const ids = (rules: readonly Json[], identifier: string): string => apply(rules, identifier).identifier;

  test('parts of a wildcard and of a regular expression go into the new name', () => {
    const wildcard = { identifier: 'docker-image://docker.io/library/golang:*' };
    const mirror = { identifier: 'docker-image://mirror.test/library/golang:${1}' };
    expect(ids([rule('CONVERT', wildcard, mirror)], 'docker-image://docker.io/library/golang:1.19')).toBe(
      'docker-image://mirror.test/library/golang:1.19',
    );
    const regex = { identifier: '^docker-image://docker\\.io/(?P<path>[^:@]+)(.*)', match_type: 'REGEX' };
    expect(ids([rule('CONVERT', regex, { identifier: 'docker-image://m.test/${path}$2' })], ALPINE)).toBe(
      'docker-image://m.test/library/alpine:latest',
    );
    const exact = { identifier: ALPINE, match_type: 'EXACT' };
    expect(ids([rule('CONVERT', exact, { identifier: `${BUSYBOX}$1` })], ALPINE)).toBe(`${BUSYBOX}$1`);
  });

  test('all rules are asked again, until none changes anything; circles end', () => {
    const to = (from: string, identifier: string): Json => rule('CONVERT', from, { identifier });
    const chain = [to(BUSYBOX, ALPINE), to(ALPINE, 'docker-image://a'), to('docker-image://a', 'docker-image://b')];
    expect(ids(chain, BUSYBOX)).toBe('docker-image://b');
    expect(ids([to(BUSYBOX, BUSYBOX)], BUSYBOX)).toBe(BUSYBOX);
    expect(() => ids([to(BUSYBOX, ALPINE), to(ALPINE, BUSYBOX)], BUSYBOX)).toThrow(
      /too many mutations on a single source/,
    );
    // 20 rounds are enough for 20 conversions.
    const long = Array.from({ length: 20 }, (_, step) => to(`docker-image://s${step}`, `docker-image://s${step + 1}`));
    expect(ids(long, 'docker-image://s0')).toBe('docker-image://s20');
    expect(() => ids([...long, to('docker-image://s20', 'docker-image://s21')], 'docker-image://s0')).toThrow(
      /too many/,
    );
  });

  test('what is denied under its old name may be used under its new one', () => {
    const rules = [rule('DENY', '*'), rule('ALLOW', 'docker-image://m.test/*')];
    const convert = rule('CONVERT', 'docker-image://docker.io/*', { identifier: 'docker-image://m.test/$1' });
    expect(ids([...rules, convert], ALPINE)).toBe('docker-image://m.test/library/alpine:latest');
    expect(() => ids(rules, ALPINE)).toThrow(/denied/);
  });

  test('attributes are added, and the name stays where none is given', () => {
    const converted = apply([rule('CONVERT', 'https://*', { attrs: { 'http.checksum': 'c' } })], 'https://web.test/f', {
      'http.filename': 'f',
    });
    expect(converted.identifier).toBe('https://web.test/f');
    expect([...converted.attrs]).toEqual([
      ['http.filename', 'f'],
      ['http.checksum', 'c'],
    ]);
  });
});

describe('git sources', () => {
  const full = (url: string): Readonly<Record<string, string>> => ({ 'git.fullurl': url });

  test.each([
    ['git://h.test/r.git#main:../absolute/path', {}, 'git://h.test/r.git#main:absolute/path'],
    ['git://h.test/a/../r.git', {}, 'git://h.test/r.git'],
    ['git://h.test/r.git#main', full('ssh://git@h.test/r.git'), 'git://h.test/r.git#main'],
    ['git://h.test/r.git', full('git@h.test:o/r.git'), 'git://h.test/o/r.git'],
    // What is asked counts, not what the source is called.
    ['git://good.test/r.git#main', full('https://user:pw@evil.test:8443/r.git'), 'git://evil.test:8443/r.git#main'],
    ['git://h.test/r.git#:sub', {}, 'git://h.test/r.git#:sub'],
  ])('%s %o is %s', (identifier, attrs, canonical) => {
    const deny = [rule('DENY', { identifier: canonical, match_type: 'EXACT' })];
    expect(() => apply(deny, identifier, attrs)).toThrow(`source "${canonical}" denied`);
  });

  test('that become another repository are not asked for at the old address', () => {
    const to = (identifier: string, attrs: Readonly<Record<string, string>> = {}): SourceOp =>
      apply([rule('CONVERT', 'git://h.test/r.git*', { identifier, attrs })], 'git://h.test/r.git#main', full('git@h.test:r.git'));
    expect([...to('git://mirror.test/r.git$1').attrs]).toEqual([]);
    expect([...to(`git://h.test/r.git#${'0'.repeat(40)}`).attrs]).toEqual([['git.fullurl', 'git@h.test:r.git']]);
    const own = to('git://mirror.test/r.git$1', full('http://mirror.test/r.git'));
    expect([...own.attrs]).toEqual([['git.fullurl', 'http://mirror.test/r.git']]);
  });
}); // oxfmt-ignore

describe('files with policies', () => {
  const read = (text: string | Uint8Array): unknown => readSourcePolicy(Buffer.from(text as string), 'p.json');

  test('enums are names or numbers, and what is left out has its default', () => {
    expect(read('{"rules":[{"action":1,"selector":{"identifier":"x","match_type":2}}]}')).toEqual(
      read('{"version":1,"rules":[{"action":"DENY","selector":{"identifier":"x","match_type":"REGEX","constraints":[]}}]}'),
    );
    expect(read('{"rules":[{"selector":{"identifier":"x"}}]}')).toMatchObject({
      rules: [{ action: 'ALLOW', selector: { matchType: 'WILDCARD', constraints: [] } }],
    });
    expect(read('{}')).toEqual({ name: 'p.json', rules: [] });
  });

  test('may be protobuf, as buildx has it', () => {
    // version 1; a rule: DENY, selector "x*".
    const bytes = Buffer.from([0x08, 1, 0x12, 8, 0x08, 1, 0x12, 4, 0x0a, 2, 0x78, 0x2a]);
    expect(read(bytes)).toEqual(read('{"version":1,"rules":[{"action":"DENY","selector":{"identifier":"x*"}}]}'));
    expect(() => read(Buffer.from([0x08, 1, 0x1a, 0]))).toThrow(/p\.json.*unknown field 3/);
    expect(() => read(Buffer.from([0x12, 2, 0x08, 1]))).toThrow(/rule 1 has no selector/);
    expect(() => read(Buffer.from([0x12, 4, 0x08, 9, 0x12, 0]))).toThrow(/p\.json/);
  });

  test.each([
    ['', 'it is not JSON'],
    ['nonsense', 'it is not JSON'],
    ['[]', 'it is not an object'],
    ['{"version":2}', 'its version is 2'],
    ['{"rules":{}}', 'its "rules" are not a list'],
    ['{"rules":[null]}', 'rule 1 is not an object'],
    ['{"rules":[{"action":"DENY"}]}', 'rule 1 has no selector'],
    ['{"rules":[{"action":"BLOCK","selector":{"identifier":"x"}}]}', 'the action of rule 1 is none of ALLOW, DENY, CONVERT'],
    ['{"rules":[{"action":3,"selector":{"identifier":"x"}}]}', 'the action of rule 1 is none of'],
    ['{"rules":[{"selector":{"identifier":"x","matchType":"REGEX"}}]}', 'has "matchType", and there are'],
    ['{"rules":[{"selector":{}}]}', 'the selector of rule 1 has no identifier'],
    ['{"rules":[{"action":"CONVERT","selector":{"identifier":"x"}}]}', 'missing destination for convert rule 1'],
    ['{"rules":[{"action":"CONVERT","selector":{"identifier":"x"},"updates":{"attrs":{"a":1}}}]}', 'attribute "a" of rule 1 is not a string'],
    ['{"rules":[{"selector":{"identifier":"x","constraints":[{"key":"k","condition":"IS"}]}}]}', 'the condition of a constraint of rule 1'],
  ])('%s: %s', (text, why) => {
    expect(() => read(text)).toThrow(why);
    expect(() => read(text)).toThrow('Cannot use source policy "p.json"');
  }); // oxfmt-ignore

  test.each([
    ['REGEX', '(', 'rule 1 has an invalid regex "("'],
    ['WILDCARD', 'a**', 'rule 1 has an invalid wildcard "a**"'],
  ])('a pattern that is malformed is told before anything is asked: %s %s', (matchType, identifier, why) => {
    expect(() => policies([rule('ALLOW', { identifier, match_type: matchType })])).toThrow(why);
  });

  test('a constraint with a malformed expression, too', () => {
    const constraints = [{ key: 'k', value: '[', condition: 'MATCHES' }];
    expect(() => policies([rule('ALLOW', { identifier: 'x', constraints })])).toThrow('rule 1 has an invalid regex "["');
  });

  test('too many rules, and too long sources, are refused', () => {
    const rules = Array.from({ length: 10_001 }, () => ({ selector: { identifier: 'x' } }));
    expect(() => read(JSON.stringify({ rules }))).toThrow('it has 10001 rules, more than 10000');
    expect(() => apply([rule('DENY', 'x')], `https://${'y'.repeat(5000)}`)).toThrow(/Cannot apply the source policy to 5008/);
  });
}); // oxfmt-ignore
