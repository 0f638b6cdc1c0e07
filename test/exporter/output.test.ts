import { describe, expect, test } from 'vitest';
import { checkOutput, parseCsvLine, parseNames, parseOutput, platformDirectory } from '../../src/exporter/index.ts';

const options = { cwd: '/home/me', names: ['app'] };
const stored = { store: true, notices: [] };
const here = { cwd: import.meta.dirname, names: [] };
const gzip = { kind: 'gzip', force: false };
const image = {
  names: ['docker.io/library/app:latest'],
  ociMediaTypes: true,
  compression: gzip,
  rewriteTimestamp: false,
};

describe('--output', () => {
  test.each<[string, object]>([
    ['out', { type: 'local', dest: '/home/me/out', mode: 'copy' }],
    ['./out', { type: 'local', dest: '/home/me/out', mode: 'copy' }],
    ['-', { type: 'tar', dest: '-' }],
    ['type=tar', { type: 'tar', dest: '-' }],
    ['type=tar,dest=/x.tar,platform-split=false', { type: 'tar', dest: '/x.tar', platformSplit: false }],
    [
      'type=local,dest=o,mode=delete,source-date-epoch=5',
      { type: 'local', dest: '/home/me/o', mode: 'delete', epoch: 5 },
    ],
    ['type=cacheonly', { type: 'cacheonly' }],
    ['type=image', { type: 'image', ...stored, ...image, nameCanonical: false }],
    ['type=oci', { type: 'oci', ...image, dest: '-', tar: true }],
    ['type=docker,dest=a.tar', { type: 'docker', ...image, dest: '/home/me/a.tar', tar: true }],
    [
      'type=oci,dest=d,tar=false,oci-mediatypes=false',
      { type: 'oci', ...image, ociMediaTypes: false, dest: '/home/me/d', tar: false },
    ],
    [
      'type=image,"name=a,b:2",name-canonical',
      {
        type: 'image',
        ...stored,
        ...image,
        names: ['docker.io/library/a:latest', 'docker.io/library/b:2'],
        nameCanonical: true,
      },
    ],
    ['TYPE=oci,Dest=X', { type: 'oci', ...image, dest: '/home/me/X', tar: true }],
    [
      'type=registry',
      {
        type: 'image',
        ...stored,
        ...image,
        nameCanonical: false,
        store: false,
        push: { byDigest: false, insecure: false },
      },
    ],
    [
      'type=image,push=true,registry.insecure=true,unpack=true',
      {
        type: 'image',
        ...image,
        nameCanonical: false,
        store: true,
        push: { byDigest: false, insecure: true },
        notices: ['"unpack=true" changes nothing: layers are unpacked when a step needs their files'],
      },
    ],
    [
      'type=image,push-by-digest=true,"name=a,r.example/b"',
      {
        type: 'image',
        ...stored,
        ...image,
        names: ['docker.io/library/a', 'r.example/b'],
        nameCanonical: false,
        store: false,
        push: { byDigest: true, insecure: false },
      },
    ],
    [
      'type=image,dangling-name-prefix=p,danging-name-empty-only=true',
      { type: 'image', ...stored, ...image, nameCanonical: false },
    ],
    ['type=image,push=false', { type: 'image', ...stored, ...image, nameCanonical: false }],
    [
      'type=image,compression=zstd,compression-level=19,force-compression=true',
      {
        type: 'image',
        ...stored,
        ...image,
        nameCanonical: false,
        compression: { kind: 'zstd', level: 19, force: true },
      },
    ],
    [
      'type=image,compression=uncompressed',
      { type: 'image', ...stored, ...image, nameCanonical: false, compression: { kind: 'none', force: false } },
    ],
    [
      'type=image,rewrite-timestamp=true,source-date-epoch=0',
      { type: 'image', ...stored, ...image, nameCanonical: false, rewriteTimestamp: true, epoch: 0 },
    ],
  ])('%s', (text, expected) => {
    expect(parseOutput(text.replace(/name-canonical$/, 'name-canonical=true'), options)).toEqual(expected);
  });

  test('what is pushed needs a name', () => {
    expect(() => parseOutput('type=registry', here)).toThrow(/a name is needed to push/);
  });

  test('annotations', () => {
    const spec = parseOutput(
      'type=oci,annotation.Org.Key=v,annotation[linux/arm64/v8].a=b,annotation-index.i=1,annotation-manifest-descriptor.d=2,annotation-index-descriptor.j=3',
      options,
    );
    expect('annotations' in spec ? spec.annotations : undefined).toEqual({
      all: { manifest: { 'Org.Key': 'v' }, manifestDescriptor: { d: '2' } },
      platforms: new Map([['linux/arm64', { manifest: { a: 'b' }, manifestDescriptor: {} }]]),
      index: { i: '1' },
      indexDescriptor: { j: '3' },
    });
  });

  test.each([
    ['', 'it is empty'],
    ['oci', '"type" is required'],
    ['dest=x', '"type" is required'],
    ['type=oci,dest', 'invalid value "dest"'],
    ['type=ocl', 'did you mean "oci"'],
    ['type=image,store=false', 'nothing to do'],
    ['type=image,push-by-digest=true,name=a:1', "can't push tagged ref a:1 by digest"],
    ['type=registry,dest=x', 'no "dest"'],
    ['type=oci,dst=x', 'did you mean "dest"'],
    ['type=tar,name=x', 'type tar has no "name"'],
    ['type=oci,dest=a,dest=b', '"dest" is given twice'],
    ['type=oci,dest=', '"dest" is empty'],
    ['type=oci,tar=false', '"dest" is required with "tar=false"'],
    ['type=oci,tar=maybe', 'expected true or false'],
    ['type=local', '"dest" is required for local exporter'],
    ['type=local,dest=-', 'cannot be written to stdout'],
    ['type=local,dest=x,mode=move', 'expected "copy" or "delete"'],
    ['type=image,compression=lz4', 'expected "uncompressed" or "gzip" or "zstd"'],
    ['type=image,compression=estargz', 'not supported'],
    ['type=image,compression-level=10', 'expected 0 to 9'],
    ['type=image,source-date-epoch=-1', 'expected seconds since 1970'],
    ['type=image,source-date-epoch=1.5', 'expected seconds since 1970'],
    ['type=image,name=Foo', 'must be lowercase'],
    [`type=image,name=x@sha256:${'ab'.repeat(32)}`, 'a digest is not a name'],
    ['type=oci,annotation-foo.k=v', 'unknown type "foo"'],
    ['type=oci,annotation-index[linux/amd64].k=v', 'an index is for all platforms'],
    ['type=oci,"x', 'a quote is not closed'],
    ['type=image,store=false', 'nothing to do'],
  ])('%j is refused', (text, message) => {
    const error = (() => {
      try {
        return parseOutput(text, options);
      } catch (error) {
        return error as { code: string; message: string; hint?: string };
      }
    })();
    expect(error).toMatchObject({ code: 'TSB_USAGE' });
    expect(`${'message' in error ? error.message : ''} ${'hint' in error ? error.hint : ''}`).toContain(message);
  });

  test('the keys of annotations cannot pollute anything', () => {
    const spec = parseOutput('type=oci,annotation.__proto__=x', options);
    expect('annotations' in spec && Object.keys(spec.annotations?.all.manifest ?? {})).toEqual(['__proto__']);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });
});

describe('before the build', () => {
  test('binary output to a terminal is refused', () => {
    const terminal = { isTTY: true, write: () => true };
    for (const [type, text] of [
      ['oci', 'type=oci'],
      ['docker', 'type=docker'],
      ['tar', '-'],
    ] as const) {
      expect(() => checkOutput(parseOutput(text, here), terminal, 1)).toThrow(
        `output file is required for ${type} exporter. refusing to write to console`,
      );
    }
    expect(() => checkOutput(parseOutput('type=oci,dest=x', here), terminal, 1)).not.toThrow();
    expect(() => checkOutput(parseOutput('type=oci', here), { write: () => true }, 1)).not.toThrow();
  });

  test.each([
    ['type=oci,dest=.', 'it is a directory'],
    ['type=oci,dest=gone/x.tar', 'gone" does not exist'],
    ['type=oci,tar=false,dest=output.test.ts', 'it is not a directory'],
    ['type=local,dest=output.test.ts', 'it is not a directory'],
    ['type=tar,dest=output.test.ts/x', 'not a directory'],
  ])('%s is refused', (text, message) => {
    expect(() => checkOutput(parseOutput(text, here), { write: () => true }, 1)).toThrow(message);
  });

  test('tar=false is the way out where there is that', () => {
    const check = (text: string) => () => checkOutput(parseOutput(text, here), { write: () => true }, 1);
    expect(check('type=oci,dest=.')).toThrow(expect.objectContaining({ hint: 'name a file, or add tar=false' }));
    expect(check('type=tar,dest=.')).toThrow(expect.objectContaining({ hint: 'name a file' }));
  });

  test('docker archives hold one platform', () => {
    expect(() => checkOutput(parseOutput('type=docker,dest=x', here), { write: () => true }, 2)).toThrow(
      'docker exporter does not currently support exporting manifest lists',
    );
  });
});

describe('values', () => {
  test.each([
    ['a,b', ['a', 'b']],
    ['"a,b",c', ['a,b', 'c']],
    ['"a""b"', ['a"b']],
    ['a,', ['a', '']],
    ['a"b', ['a"b']],
    ['', ['']],
  ])('CSV %j', (line, fields) => expect(parseCsvLine(line)).toEqual(fields));

  test('names are normalised and unique', () => {
    expect(parseNames(['app', 'docker.io/library/app:latest', 'r.example:5000/x:1 '])).toEqual([
      'docker.io/library/app:latest',
      'r.example:5000/x:1',
    ]);
  });

  test.each([
    [{ os: 'linux', architecture: 'amd64' }, 'linux_amd64'],
    [{ os: 'linux', architecture: 'arm', variant: 'v7' }, 'linux_arm_v7'],
    [{ os: 'linux', architecture: '../../x' }, 'linux_.._.._x'],
    [{ os: '..', architecture: '' }, '_'],
  ])('directory of platform %j', (platform, name) => expect(platformDirectory(platform)).toBe(name));
});
