import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DeviceCatalog, readDevices } from '../../src/cdi/index.ts';
import { parseSpec } from '../../src/cdi/parse-spec.ts';
import { isTsbuildError } from '../../src/util/index.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-cdi-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Reads directories made of these files. */
async function read(
  ...dirs: readonly Readonly<Record<string, unknown>>[]
): Promise<{ catalog: DeviceCatalog; warnings: readonly string[] }> {
  const paths = dirs.map((files, index) => {
    const path = join(dir, String(index));
    mkdirSync(path);
    for (const [name, content] of Object.entries(files))
      writeFileSync(join(path, name), typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  });
  const warnings: string[] = [];
  return { catalog: await readDevices(paths, (message) => warnings.push(message)), warnings };
}

/** A specification whose devices each set a variable. */
const spec = (kind: string, ...names: readonly string[]): object => ({
  cdiVersion: '0.6.0',
  kind,
  devices: names.map((name) => ({ name, containerEdits: { env: [`${name.toUpperCase()}=1`] } })),
});
const names = (catalog: DeviceCatalog, name: string): readonly string[] =>
  catalog.find(name).map((device) => device.name);

describe('which devices a name stands for', () => {
  test('one by its name, the first of a kind, all of a kind, those of a class', async () => {
    const { catalog, warnings } = await read({
      'a.json': {
        ...spec('vendor1.com/device', 'foo', 'bar'),
        devices: [
          { name: 'foo', annotations: { 'org.mobyproject.buildkit.device.class': 'fast' } },
          { name: 'bar' },
          { name: 'qux', annotations: { 'org.mobyproject.buildkit.device.class': 'fast' } },
          { name: 'fast.not' },
        ],
      },
      'b.json': spec('vendor2.com/device', 'foo'),
      'ignored.txt': 'not a specification',
    });
    expect(warnings).toEqual([]);
    expect(names(catalog, 'vendor1.com/device=foo')).toEqual(['vendor1.com/device=foo']);
    expect(names(catalog, 'vendor1.com/device')).toEqual(['vendor1.com/device=bar']);
    expect(names(catalog, 'vendor1.com/device=*')).toEqual(
      ['bar', 'fast.not', 'foo', 'qux'].map((name) => `vendor1.com/device=${name}`),
    );
    expect(names(catalog, 'vendor1.com/device=fast')).toEqual(['vendor1.com/device=foo', 'vendor1.com/device=qux']);
    expect(names(catalog, 'vendor1.com/device=none')).toEqual([]);
    expect(names(catalog, 'vendor3.com/device')).toEqual([]);
    for (const bad of ['', 'foo', '/x=y', 'vendor/=x', 'a b/c=d', '../x=y'])
      expect(() => catalog.find(bad)).toThrow(`invalid device ${JSON.stringify(bad)}`);
  });

  test('an annotation of a device counts more than that of its specification', async () => {
    const key = 'org.mobyproject.buildkit.device.class';
    const { catalog } = await read({
      'a.yaml': `cdiVersion: 0.6.0\nkind: v.com/d\nannotations:\n  ${key}: all\n  auto: true\ndevices:\n- name: a\n- name: 0\n- name: b\n  annotations:\n    ${key}: own\n`,
    });
    expect(names(catalog, 'v.com/d=all')).toEqual(['v.com/d=0', 'v.com/d=a']);
    expect(names(catalog, 'v.com/d=own')).toEqual(['v.com/d=b']);
    expect(catalog.find('v.com/d=b')[0]?.annotations.get('auto')).toBe('true');
  });

  test('a later directory replaces devices of an earlier one; twice in one directory is nowhere', async () => {
    const { catalog, warnings } = await read(
      { 'a.json': spec('v.com/d', 'x', 'y'), 'b.yaml': JSON.stringify(spec('v.com/d', 'y')) },
      { 'a.json': { ...spec('v.com/d'), devices: [{ name: 'x', containerEdits: { env: ['X=later'] } }] } },
    );
    expect(catalog.find('v.com/d=x')[0]?.edits.env).toEqual(['X=later']);
    expect(names(catalog, 'v.com/d=y')).toEqual([]);
    expect(warnings).toEqual([expect.stringMatching(/"v\.com\/d=y": both ".*a\.json" and ".*b\.yaml" define it/)]);
  });
});

describe('what a specification says', () => {
  test('edits of all kinds', () => {
    const { devices } = parseSpec(
      {
        cdiVersion: '1.0.0',
        kind: 'nvidia.com/gpu',
        containerEdits: {
          env: ['A=1'],
          mounts: [
            { hostPath: '/lib/a.so', containerPath: '/usr/lib/a.so', options: ['ro', 'nosuid', 'nodev', 'rbind'] },
            { hostPath: '/x', containerPath: '/y', options: ['ro', 'rw'], type: 'bind' },
          ],
          hooks: [{ hookName: 'createContainer', path: '/usr/bin/nvidia-cdi-hook', args: ['x'] }],
          intelRdt: { closID: 'x' },
        },
        devices: [
          {
            name: '0',
            containerEdits: {
              deviceNodes: [
                { path: '/dev/nvidia0', major: 195, minor: 0, type: 'c', permissions: 'rw', uid: 0, fileMode: 438 },
                { path: '/dev/b', hostPath: '/dev/a' },
                { path: '/dev/pipe', type: 'p' },
              ],
              additionalGids: [0, 44],
              futureEdit: [1],
            },
          },
        ],
      },
      '/etc/cdi/x.json',
    );
    expect(devices[0]).toMatchObject({
      name: 'nvidia.com/gpu=0',
      common: {
        env: ['A=1'],
        mounts: [
          { hostPath: '/lib/a.so', containerPath: '/usr/lib/a.so', readonly: true },
          { hostPath: '/x', containerPath: '/y', readonly: false },
        ],
        unsupported: ['hook createContainer ("/usr/bin/nvidia-cdi-hook")', 'intelRdt'],
      },
      edits: {
        deviceNodes: [
          { path: '/dev/nvidia0', hostPath: '/dev/nvidia0', type: 'c', major: 195, minor: 0 },
          { path: '/dev/b', hostPath: '/dev/a' },
        ],
        additionalGids: [44],
        unsupported: ['named pipe "/dev/pipe"', 'unknown edit "futureEdit"'],
      },
    });
  });

  test.each([
    ['an array', [], 'it is not an object'],
    ['no version', { kind: 'a/b', devices: [] }, '"cdiVersion" is not a string'],
    ['a version of the future', { cdiVersion: '2.0.0' }, '"cdiVersion" is "2.0.0"'],
    ['a kind without vendor', { cdiVersion: '0.5.0', kind: 'gpu' }, '"kind" is "gpu" and not VENDOR/CLASS'],
    ['a kind with dots for a path', { cdiVersion: '0.5.0', kind: '../gpu' }, '"kind"'],
    ['no devices', { cdiVersion: '0.5.0', kind: 'a/b' }, '"devices" is not a list'],
    ['a name with =', { cdiVersion: '0.5.0', kind: 'a/b', devices: [{ name: 'x=y' }] }, '"devices[0].name"'],
    ['a name twice', { ...spec('a/b', 'x', 'x') }, '"devices[1].name" is "x", as that of another device'],
    [
      'too many devices',
      { ...spec('a/b'), devices: Array.from({ length: 5000 }, () => ({})) },
      '"devices" has 5000 entries',
    ],
    ['a variable without value', { ...spec('a/b'), containerEdits: { env: ['X'] } }, '"containerEdits.env[0]"'],
    ['a NUL in a variable', { ...spec('a/b'), containerEdits: { env: ['X=\0'] } }, 'contains a NUL byte'],
    ['a relative node', { ...spec('a/b'), containerEdits: { deviceNodes: [{ path: 'dev/x' }] } }, 'absolute path'],
    ['a negative group', { ...spec('a/b'), containerEdits: { additionalGids: [-1] } }, 'additionalGids[0]'],
    ['long text', { ...spec('a/b'), containerEdits: { env: [`X=${'x'.repeat(5000)}`] } }, 'longer than 4096'],
  ])('%s is told about', (_name, document, says) => {
    expect(() => parseSpec(document, '/etc/cdi/x.json')).toThrow(says);
    expect(() => parseSpec(document, '/etc/cdi/x.json')).toThrow('"/etc/cdi/x.json"');
  });

  test('whatever it is, it is understood or told about', () => {
    const key = fc.oneof(
      fc.constantFrom('cdiVersion', 'kind', 'devices', 'name', 'containerEdits', 'env', 'deviceNodes', 'mounts'),
      fc.constantFrom(
        'hooks',
        'annotations',
        'additionalGids',
        'path',
        'hostPath',
        'containerPath',
        'options',
        '__proto__',
      ),
      fc.string(),
    );
    const leaf = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constantFrom(null, undefined, '0.6.0', 'v.com/d', '/dev/null', 'A=1'),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ maxDepth: 6 }, leaf, fc.array(tie('tree')), fc.dictionary(key, tie('tree'))),
    }));
    const document = fc.oneof(
      tree,
      fc.record({
        cdiVersion: fc.constant('0.6.0'),
        kind: fc.constant('v.com/d'),
        containerEdits: tree,
        devices: fc.array(fc.record({ name: fc.oneof(fc.string(), fc.constant('x')), containerEdits: tree })),
      }),
    );
    fc.assert(
      fc.property(document, (value) => {
        try {
          const { kind, devices } = parseSpec(value, '/x.json');
          for (const { name } of devices) expect(name.startsWith(`${kind}=`)).toBe(true);
        } catch (error) {
          if (!isTsbuildError(error, 'TSB_STEP')) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

test('files that are none, and hostile ones, are warnings that name them, and leave the others be', async () => {
  const files = {
    'good.json': spec('good.com/d', 'x'),
    'text.json': 'not JSON',
    'twice.json': '{"kind":"a/b","kind":"c/d"}',
    'deep.json': '['.repeat(100_000),
    'deep.yaml': '['.repeat(100_000),
    'bomb.yaml': `a: &a [x,x,x,x,x,x,x,x,x]\n${Array.from('bcdefghij', (name, at) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghi'[at]}`).join(',')}]`).join('\n')}\n`,
    'text.yaml': 'a: b: c\n\t- x',
    'large.json': '',
  };
  mkdirSync(join(dir, '0'));
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(dir, '0', name), typeof content === 'string' ? content : JSON.stringify(content));
  truncateSync(join(dir, '0/large.json'), 2 ** 31);
  execFileSync('mkfifo', [join(dir, '0/fifo.json')]);
  mkdirSync(join(dir, '0/directory.json'));
  const warnings: string[] = [];
  const catalog = await readDevices([join(dir, '0'), join(dir, 'missing')], (message) => warnings.push(message));
  expect(names(catalog, 'good.com/d=x')).toEqual(['good.com/d=x']);
  const bad = [...Object.keys(files).filter((name) => name !== 'good.json'), 'fifo.json', 'directory.json'];
  expect(warnings.map((message) => /"[^"]*\/([^/"]+)"/.exec(message)?.[1] ?? message).toSorted()).toEqual(
    bad.toSorted(),
  );
  expect(catalog.problems).toEqual(warnings);
});
