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
        'type=registry,ref=user/app,scope=pr/12,verify-key=a.pub;/keys/b.pub',
        'type=local,src=dir,tag=main,policy=policy.json',
      ]),
    ).toEqual([
      {
        type: 'steps',
        place: { type: 'registry', reference: { host: '127.0.0.1:5000', path: 'app', tag: 'cache' } },
      },
      { type: 'steps', place: { type: 'registry', reference: { host: 'docker.io', path: 'user/app', tag: 'latest' } } },
      { type: 'steps', place: { type: 'local', path: '/project/dir' } },
      { type: 'local', src: '/dir', tag: 'main', digest: sha256('x') },
      { type: 'registry', reference: { host: 'docker.io', path: 'user/app', tag: 'kit' } },
      { type: 'local', src: '/project/kit', tag: 'x' },
      {
        type: 'steps',
        place: { type: 'registry', reference: { host: 'docker.io', path: 'user/app', tag: 'latest' } },
        scope: 'pr/12',
        policy: { verifyKeys: ['/project/a.pub', '/keys/b.pub'] },
      },
      {
        type: 'steps',
        place: { type: 'local', path: '/project/dir' },
        scope: 'main',
        policy: { policyFile: '/project/policy.json' },
      },
    ]);
  });

  test.each([
    ['type=registry', /"ref" is required/, undefined],
    ['type=local,dest=x', /no "dest"/, /did you mean "src"/],
    ['type=registry,ref=x,mode=max', /no "mode"/, undefined],
    ['type=registry,reff=x', /no "reff"/, /did you mean "ref"/],
    ['type=locall,src=x', /unknown type "locall"/, /did you mean "local"/],
    ['type=gha', /there is no address of the cache of GitHub Actions/, /ACTIONS_RESULTS_URL is not set/],
    ['type=s3,bucket=b', /"region" is required/, /AWS_REGION/],
    ['type=s3,bucket=b,region=x,token=y', /type s3 has no "token"/, undefined],
    ['type=inline', /type=inline is not supported/, /type=registry/],
    ['type=buildkit', /one of "ref" and "src" is required/, undefined],
    ['type=buildkit,ref=x,src=y', /one of "ref" and "src" is required/, undefined],
    ['type=registry,ref=x,verify-key=a,policy=b', /exclude each other/, undefined],
    ['type=local,src=x,mounts=', /"mounts" has an id that is empty/, /mounts=true/],
    ['type=local,src=x,mounts-timeout=3s', /"mounts-timeout" is about cache mounts/, /mounts=true/],
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
  const steps = {
    type: 'steps',
    mode: 'min',
    compression: { kind: 'gzip', force: false },
    ignoreError: true,
    author: {},
  };

  test('takes what decides about the form of a cache', () => {
    expect(
      parseCacheTo('/project', [
        'reg.example/app',
        'type=registry,ref=reg.example/app:c,mode=max,oci-mediatypes=true,image-manifest=true,ignore-error=false,registry.insecure=false',
        'type=buildkit,ref=reg.example/app:c,mode=max,oci-mediatypes=false,ignore-error=false',
        'type=inline',
        'type=inline,mode=max,ignore-error=true',
        'type=buildkit,dest=out,tag=main,image-manifest=false,compression=zstd,compression-level=3',
        'type=local,dest=out,scope=main,max-size=1GB,touch-refresh=12h,key=cache.key,who=me',
      ]),
    ).toEqual([
      { ...steps, place: { type: 'registry', reference: { host: 'reg.example', path: 'app', tag: 'latest' } } },
      {
        ...steps,
        place: { type: 'registry', reference: { host: 'reg.example', path: 'app', tag: 'c' } },
        mode: 'max',
        ignoreError: false,
      },
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
      {
        ...steps,
        place: { type: 'local', path: '/project/out' },
        scope: 'main',
        maxBytes: 2 ** 30,
        touchMs: 12 * 3_600_000,
        keyFile: '/project/cache.key',
        author: { who: 'me' },
      },
    ]);
  });

  test('is told by the CI system whose build it is', () => {
    const github = { GITHUB_ACTOR: 'alice', GITHUB_REF: 'refs/heads/main', GITHUB_SHA: 'c0ffee' };
    const gitlab = { GITLAB_USER_LOGIN: 'bob', CI_COMMIT_REF_NAME: 'main', CI_COMMIT_SHA: 'beef' };
    const author = (env: Record<string, string>, more = ''): unknown =>
      parseCacheTo('/', [`type=registry,ref=x${more}`], env).map((spec) => 'author' in spec && spec.author);
    expect(author(github)).toEqual([{ who: 'alice', ref: 'refs/heads/main', commit: 'c0ffee' }]);
    expect(author(gitlab, ',git-ref=other')).toEqual([{ who: 'bob', ref: 'other', commit: 'beef' }]);
  });

  test.each([
    ['type=local', /"dest" is required/, undefined],
    ['type=local,dest=x,tag=a/b', /"tag"/, undefined],
    ['type=local,dest=x,mode=all', /"mode"/, undefined],
    ['type=local,dest=x,modes=max', /no "modes"/, /did you mean "mode"/],
    ['type=registry,ref=x,compression=estargz', /estargz/, undefined],
    ['type=buildkit,ref=x,image-manifest=true,oci-mediatypes=false', /needs "oci-mediatypes"/, undefined],
    ['type=registry,ref=x,oci-mediatypes=false', /"oci-mediatypes" is always true/, /type=buildkit/],
    ['type=registry,ref=x,scope=', /"scope"/, undefined],
    ['type=registry,ref=x,scope=a b', /"scope"/, undefined],
    ['type=registry,ref=x,max-size=1GB', /type registry has no "max-size"/, /tsbuild prune --cache REF/],
    ['type=gha,url_v2=https://x,token=x,max-size=1GB', /type gha has no "max-size"/, /GitHub deletes/],
    ['type=local,dest=x,max-size=much', /"max-size".*much/, undefined],
    ['type=local,dest=x,touch-refresh=soon', /"touch-refresh".*soon/, undefined],
    [`type=registry,ref=x@${sha256('')}`, /digest/, undefined],
    ['type=inline,ref=x', /type inline has no "ref"/, /mode, ignore-error/],
    ['type=inlin', /unknown type "inlin"/, /did you mean "inline"/],
    ['type=nonsense', /unknown type/, /registry, local, s3, gha, azblob, inline and buildkit/],
  ])('%s is refused', (text, message, hint) => {
    expectUsage(() => parseCacheTo('/', [text]), message, hint);
  });
});

describe('quotes that do not pair', () => {
  test.each([
    ['type=s3,"secret_access_key=hush', 'Cannot use --cache-to "type=s3,…": a quote is not closed'],
    ['type=s3,"a"b,secret_access_key=hush', 'Cannot use --cache-to "type=s3,…": text after a closing quote'],
    ['"secret_access_key=hush"" ,token=hush', 'Cannot use --cache-to "…": a quote is not closed'],
    ['token=hush,"a=b', 'Cannot use --cache-to "token=***,…": a quote is not closed'],
    ['"token=hu: sh', 'Cannot use --cache-to "…": a quote is not closed'],
  ])('%s shows no secret', (text, message) => {
    expect(() => parseCacheTo('/', [text])).toThrow(expect.objectContaining({ code: 'TSB_USAGE', message }));
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
