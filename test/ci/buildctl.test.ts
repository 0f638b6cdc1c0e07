import { describe, expect, test } from 'vitest';
import { loadFromCi, type Translation } from '../support/ci.ts';

const buildctl = await loadFromCi<{
  translateBuildctl: (line: readonly string[]) => Translation;
  KINDS: Readonly<Record<string, string>>;
}>('image/shims/buildctl.mjs');
const translate = (line: string): Translation => buildctl.translateBuildctl(line.split(' '));
const BASE = 'build --frontend dockerfile.v0 --local context=. --local dockerfile=.';

/** What is written behind the usual call, and what must be among tsbuild's arguments. */
const mapped: readonly (readonly [string, readonly string[]])[] = [
  ['', ['--file=Dockerfile', '.', '--output=type=cacheonly']],
  ['--opt filename=build/D', ['--file=build/D']],
  ['--local dockerfile=deploy', ['--file=deploy/Dockerfile']],
  ['--opt target=t --opt platform=linux/amd64,linux/arm64', ['--target=t', '--platform=linux/amd64,linux/arm64']],
  ['--opt=build-arg:A=b=c --opt label:l=v', ['--build-arg=A=b=c', '--label=l=v']],
  ['--opt no-cache= ', ['--no-cache']],
  ['--opt no-cache=a,b', ['--no-cache-filter=a,b']],
  ['--no-cache', ['--no-cache']],
  ['--opt image-resolve-mode=pull', ['--pull']],
  ['--opt add-hosts=a=1.1.1.1,b=2.2.2.2', ['--add-host=a=1.1.1.1', '--add-host=b=2.2.2.2']],
  ['--opt force-network-mode=none --opt hostname=h', ['--network=none', '--hostname=h']],
  ['--opt shm-size=64m --opt ulimit=nofile=9', ['--shm-size=64m', '--ulimit=nofile=9']],
  ['--opt context:base=docker-image://debian', ['--build-context=base=docker-image://debian']],
  ['--local other=dir --opt context:lib=local:other', ['--build-context=lib=dir']],
  ['--opt context=https://github.com/o/r.git', ['https://github.com/o/r.git']],
  ['--output type=image,name=r/a:1,push=true', ['--output=type=registry,name=r/a:1,push=true']],
  ['--output type=image,name=r/a:1,push=true,store=true', ['--output=type=image,name=r/a:1,push=true,store=true']],
  ['-o type=image,name=a', ['--output=type=image,name=a']],
  ['--output type=oci', ['--output=type=oci,dest=-']],
  ['--output type=docker,dest=f.tar', ['--output=type=docker,dest=f.tar']],
  ['--output type=local,dest=out', ['--output=type=local,dest=out']],
  ['--export-cache type=registry,ref=r/c,mode=max', ['--cache-to=type=registry,ref=r/c,mode=max']],
  ['--import-cache type=registry,ref=r/c', ['--cache-from=type=registry,ref=r/c']],
  [
    '--secret id=a,src=f --ssh default --allow network.host --source-policy-file p',
    ['--secret=id=a,src=f', '--ssh=default', '--allow=network.host', '--source-policy=p'],
  ],
  [
    '--progress=plain --metadata-file m.json --build-arg A=1',
    ['--progress=plain', '--metadata-file=m.json', '--build-arg=A=1'],
  ],
  ['--opt attest:sbom= --opt attest:provenance=mode=max', ['--sbom=true', '--provenance=mode=max']],
];

describe('flags of buildctl that are flags of tsbuild', () => {
  test.each(mapped)('%s', (line, wanted) => {
    const { args } = translate(`${BASE} ${line}`.trim());
    expect(args[0]).toBe('build');
    expect(args).toEqual(expect.arrayContaining([...wanted]));
  });

  test('attestations that are switched off are nothing', () => {
    expect(translate(`${BASE} --opt attest:provenance=disabled=true`).args).toEqual(translate(BASE).args);
  });

  test('the daemon is not needed, what is in the store can be asked for', () => {
    const global = translate(`--addr tcp://b:1234 --debug ${BASE} --trace t`);
    expect(global.args).toEqual(translate(BASE).args);
    expect(global.notes).toEqual([expect.stringMatching(/^--addr is ignored/), '--trace is ignored']);
    expect(translate('prune').args).toEqual(['prune']);
    expect(translate('du').args).toEqual(['du']);
  });
});

describe('command lines of buildctl that are refused', () => {
  test.each([
    ['', /There is no command/],
    ['debug workers', /buildctl debug is not supported/],
    ['build --local context=.', /Definitions on standard input/],
    ['build --frontend gateway.v0 --opt source=x', /frontend gateway.v0/],
    ['build --frontend dockerfile.v0', /There is no context/],
    [`${BASE} --exporter image`, /--exporter is not supported/],
    [`${BASE} --exporter-opt name=x`, /--exporter-opt is not supported/],
    [`${BASE} --export-cache-opt x=y`, /--export-cache-opt is not supported/],
    [`${BASE} --oci-layout a=b`, /--oci-layout is not supported/],
    [`${BASE} --registry-auth-tlscontext host=h`, /is not supported/],
    [`${BASE} --opt cgroup-parent=x`, /--opt cgroup-parent is not supported/],
    [`${BASE} --opt context:x=local:y`, /no --local y/],
    [`${BASE} more`, /"more" is no flag/],
    [`${BASE} --no-such`, /--no-such is not a flag/],
  ])('%s', (line, message) => {
    expect(() => buildctl.translateBuildctl(line.split(' ').filter(Boolean))).toThrow(message);
  });
});
