import { describe, expect, test } from 'vitest';
import { parseCacheFrom, parseCacheTo } from '../../src/remote-cache/options.ts';
import { isTsbuildError, sha256 } from '../../src/util/index.ts';

const form = {
  mode: 'min',
  compression: { kind: 'gzip', force: false },
  imageManifest: true,
  ociMediaTypes: true,
  ignoreError: true,
};

describe('--cache-from', () => {
  test('takes registries, directories and plain references', () => {
    expect(
      parseCacheFrom('/project', [
        'type=registry,ref=127.0.0.1:5000/app:cache',
        'user/app',
        'type=local,src=dir',
        `type=local,src=/dir,tag=main,digest=${sha256('x')}`,
        'type=buildkit,ref=user/app:kit',
        'type=buildkit,src=kit,tag=x',
      ]),
    ).toEqual([
      { type: 'registry', reference: { host: '127.0.0.1:5000', path: 'app', tag: 'cache' } },
      { type: 'registry', reference: { host: 'docker.io', path: 'user/app', tag: 'latest' } },
      { type: 'local', src: '/project/dir' },
      { type: 'local', src: '/dir', tag: 'main', digest: sha256('x') },
      { type: 'registry', reference: { host: 'docker.io', path: 'user/app', tag: 'kit' } },
      { type: 'local', src: '/project/kit', tag: 'x' },
    ]);
  });

  test.each([
    ['type=registry', /"ref" is required/, undefined],
    ['type=local,dest=x', /no "dest"/, /did you mean "src"/],
    ['type=registry,ref=x,mode=max', /no "mode"/, undefined],
    ['type=registry,reff=x', /no "reff"/, /did you mean "ref"/],
    ['type=locall,src=x', /unknown type "locall"/, /did you mean "local"/],
    ['type=gha', /type=gha is not supported/, /type=local/],
    ['type=inline', /type=inline is not supported/, /type=registry/],
    ['type=buildkit', /one of "ref" and "src" is required/, undefined],
    ['type=buildkit,ref=x,src=y', /one of "ref" and "src" is required/, undefined],
    ['ref=x', /"type" is required/, undefined],
    ['type=registry,ref=a//b', /--cache-from/, undefined],
    ['type=local,src=x,digest=sha256:12', /digest/, undefined],
    ['type=registry,ref=x,registry.insecure=true', /registry.insecure/, /registries.conf/],
    ['', /empty/, undefined],
  ])('%s is refused', (text, message, hint) => {
    expectUsage(() => parseCacheFrom('/', [text]), message, hint);
  });
});

describe('--cache-to', () => {
  test('takes what decides about the form of a cache', () => {
    expect(
      parseCacheTo('/project', [
        'reg.example/app',
        'type=registry,ref=reg.example/app:c,mode=max,oci-mediatypes=false,ignore-error=false,registry.insecure=false',
        'type=inline',
        'type=inline,mode=max,ignore-error=true',
        'type=local,dest=out,tag=main,image-manifest=false,compression=zstd,compression-level=3',
      ]),
    ).toEqual([
      { ...form, type: 'registry', reference: { host: 'reg.example', path: 'app', tag: 'latest' } },
      {
        ...form,
        type: 'registry',
        reference: { host: 'reg.example', path: 'app', tag: 'c' },
        mode: 'max',
        ociMediaTypes: false,
        imageManifest: false,
        ignoreError: false,
      },
      { type: 'inline', mode: 'min' },
      { type: 'inline', mode: 'max' },
      {
        ...form,
        type: 'local',
        dest: '/project/out',
        tag: 'main',
        imageManifest: false,
        compression: { kind: 'zstd', level: 3, force: false },
      },
    ]);
  });

  test.each([
    ['type=local', /"dest" is required/, undefined],
    ['type=local,dest=x,tag=a/b', /"tag"/, undefined],
    ['type=local,dest=x,mode=all', /"mode"/, undefined],
    ['type=local,dest=x,modes=max', /no "modes"/, /did you mean "mode"/],
    ['type=registry,ref=x,compression=estargz', /estargz/, undefined],
    ['type=registry,ref=x,image-manifest=true,oci-mediatypes=false', /needs "oci-mediatypes"/, undefined],
    [`type=registry,ref=x@${sha256('')}`, /digest/, undefined],
    ['type=inline,ref=x', /type inline has no "ref"/, /mode, ignore-error/],
    ['type=inlin', /unknown type "inlin"/, /did you mean "inline"/],
    ['type=nonsense', /unknown type/, /registry, local, inline and buildkit/],
  ])('%s is refused', (text, message, hint) => {
    expectUsage(() => parseCacheTo('/', [text]), message, hint);
  });
});

function expectUsage(parse: () => unknown, message: RegExp, hint: RegExp | undefined): void {
  let thrown: unknown;
  try {
    parse();
  } catch (error) {
    thrown = error;
  }
  if (!isTsbuildError(thrown, 'TSB_USAGE')) throw new Error('It was taken', { cause: thrown });
  expect(thrown.message).toMatch(message);
  if (hint !== undefined) expect(thrown.hint).toMatch(hint);
}
