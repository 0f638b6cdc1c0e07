import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadFromCi, type Translation } from '../support/ci.ts';

type Translate = (line: readonly string[], env: Readonly<Record<string, string>>, scratch: string) => Translation;

const kaniko = await loadFromCi<{ translateExecutor: Translate; KINDS: Readonly<Record<string, string>> }>(
  'image/shims/kaniko.mjs',
);
let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'tsbuild-kaniko-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const translate = (line: string, env: Record<string, string> = {}): Translation =>
  kaniko.translateExecutor(
    line.split(' '),
    { HOME: scratch, CONTAINERS_REGISTRIES_CONF: join(scratch, 'none'), ...env },
    scratch,
  );
const PUSHED = '-d r.example/app:1';

/** A line of kaniko's and what must be among tsbuild's arguments. */
const mapped: readonly (readonly [string, readonly string[]])[] = [
  [PUSHED, ['--tag=r.example/app:1', '--output=type=registry', '/workspace']],
  ['--destination=r/a:1 --destination r/a:2', ['--tag=r/a:1', '--tag=r/a:2']],
  [`${PUSHED} -f build/Dockerfile`, ['--file=build/Dockerfile']],
  [`${PUSHED} --dockerfile=D`, ['--file=D']],
  [`${PUSHED} -c dir:///src`, ['/src']],
  [`${PUSHED} --context /src --context-sub-path=app`, ['/src/app']],
  [`${PUSHED} --context=tar://stdin`, ['-']],
  [`${PUSHED} --context=git://github.com/o/r.git#refs/heads/main#0123abc`, ['https://github.com/o/r.git#0123abc']],
  [`${PUSHED} --context=git://github.com/o/r --context-sub-path sub`, ['https://github.com/o/r.git#:sub']],
  [`${PUSHED} --context=git://h/r.git --git=branch=dev,single-branch=true`, ['https://h/r.git#dev']],
  [`${PUSHED} --context=https://example.com/c.tar.gz`, ['https://example.com/c.tar.gz']],
  [`${PUSHED} --build-arg A=1 --build-arg=B`, ['--build-arg=A=1', '--build-arg=B']],
  [
    `${PUSHED} --target=t --label a=b --custom-platform=linux/arm64`,
    ['--target=t', '--label=a=b', '--platform=linux/arm64'],
  ],
  [`${PUSHED} --annotation=a=b --secret id=s,src=/f`, ['--annotation=a=b', '--secret=id=s,src=/f']],
  [`${PUSHED} --reproducible`, ['--reproducible']],
  [`${PUSHED} --cache=true`, ['--cache-from=type=registry,ref=r.example/app/cache:tsbuild']],
  [`${PUSHED} --cache --cache-repo=r/c`, ['--cache-to=type=registry,mode=max,ref=r/c:tsbuild']],
  [`${PUSHED} --cache --cache-repo=r:5000/c:x`, ['--cache-from=type=registry,ref=r:5000/c:x']],
  [
    `${PUSHED} --cache --cache-repo=oci:/c,d`,
    ['--cache-from=type=local,"src=/c,d"', '--cache-to=type=local,mode=max,"dest=/c,d"'],
  ],
  ['--no-push', ['--output=type=cacheonly']],
  ['--no-push --digest-file=/d', ['--output=type=image']],
  ['--no-push -d a:1 --tar-path=/o.tar', ['--tag=a:1', '--output=type=docker,dest=/o.tar']],
  ['--no-push --tarPath /o.tar', ['--output=type=docker,dest=/o.tar']],
  ['--no-push --oci-layout-path=/l', ['--output=type=oci,tar=false,dest=/l']],
  [`${PUSHED} --tar-path=/o.tar`, ['--output=type=registry', '--output=type=docker,dest=/o.tar']],
  [`${PUSHED} --insecure`, ['--output=type=registry,registry.insecure=true']],
  [
    `${PUSHED} --skip-tls-verify --compression=zstd --compression-level=9`,
    ['--output=type=registry,compression=zstd,compression-level=9,registry.insecure=true'],
  ],
  [`${PUSHED} --verbosity=error`, ['--progress=quiet']],
  [`${PUSHED} -v debug`, ['--progress=plain']],
];

describe('flags of kaniko that are flags of tsbuild', () => {
  test.each(mapped)('%s', (line, wanted) => {
    const { args } = translate(line);
    expect(args[0]).toBe('build');
    expect(args).toEqual(expect.arrayContaining([...wanted]));
  });

  test('without --cache and with --cache=false there is no cache', () => {
    for (const line of [PUSHED, `${PUSHED} --cache=false --cache-repo=r/c`])
      expect(translate(line).args.join(' ')).not.toContain('cache');
  });

  test('an archive becomes standard input', () => {
    expect(translate(`${PUSHED} --context=tar:///c.tar.gz`)).toMatchObject({ stdin: '/c.tar.gz' });
  });

  test('credentials for git are a secret for its host, and no argument', () => {
    const { args, environment } = translate(`${PUSHED} --context=git://u@h/r.git`, { GIT_TOKEN: 'sesame' });
    expect(args).toEqual(
      expect.arrayContaining(['--secret=id=GIT_AUTH_HEADER.h,env=TSBUILD_GIT_AUTH', 'https://h/r.git']),
    );
    expect(args.join(' ')).not.toContain('sesame');
    expect(environment).toEqual({
      TSBUILD_GIT_AUTH: `basic ${Buffer.from('x-access-token:sesame').toString('base64')}`,
    });
  });
});

const ignored =
  '--cache-copy-layers --cache-dir=/c --cache-run-layers --cache-ttl=6h --cleanup --compressed-caching=true --credential-helpers=ecr --force ' +
  '--force-build-metadata --ignore-path=/p --ignore-var-run --image-download-retry=2 --image-fs-extract-retry=2 --initial-fs-unpacked ' +
  '--kaniko-dir=/k --log-format=text --log-timestamp --preserve-context --push-retry=3 --single-snapshot --skip-push-permission-check ' +
  '--skip-unused-stages --snapshot-mode=redo --snapshotMode=time --use-new-run';
describe('flags of kaniko that change nothing', () => {
  test.each(ignored.split(' '))('%s', (flag) => {
    const { args, notes } = translate(`${PUSHED} ${flag}`);
    expect(args).toEqual(translate(PUSHED).args);
    expect(notes).toEqual([expect.stringMatching(new RegExp(`^${flag.split('=')[0] ?? ''} is ignored: ..`))]);
  });

  test('are not told about when they are switched off', () => {
    expect(translate(`${PUSHED} --compressed-caching=false --cleanup=false`).notes).toEqual([]);
  });
});

const refused: readonly (readonly [string, RegExp, RegExp])[] = [
  ['', /no --destination/, /--no-push/],
  [`${PUSHED} --context=s3://b/k`, /s3:\/\/ are not/, /tar:\/\//],
  [`${PUSHED} --context=gs://b/k`, /gs:\/\/ are not/, /tar:\/\//],
  [`${PUSHED} --registry-map=a=b`, /--registry-map is not supported/, /registries.conf/],
  [`${PUSHED} --no-push-cache`, /--no-push-cache is not supported/, /--cache/],
  [`${PUSHED} --skip-default-registry-fallback`, /is not supported/, /--offline/],
  [`${PUSHED} --push-ignore-immutable-tag-errors`, /is not supported/, /inspect/],
  [`${PUSHED} --customPlatform=x`, /is not supported/, /--custom-platform/],
  [`${PUSHED} --no-such`, /--no-such is not a flag/, /^$/],
  [`${PUSHED} --insecure=maybe`, /takes true or false/, /^$/],
  [`${PUSHED} --target`, /--target needs a value/, /^$/],
  [`${PUSHED} word`, /"word" is no flag/, /--context/],
  ['--no-push --cache', /no place for the cache/, /--cache-repo/],
];
describe('command lines of kaniko that are refused', () => {
  test.each(refused)('%s', (line, message, hint) => {
    const thrown = (() => {
      try {
        translate(line);
        return undefined;
      } catch (error) {
        return error as Error & { hint?: string };
      }
    })();
    expect(thrown?.message).toMatch(message);
    expect(thrown?.hint ?? '').toMatch(hint);
  });
});

describe('registries', () => {
  const config = (line: string, env: Record<string, string> = {}): string =>
    readFileSync(translate(line, env).environment?.['CONTAINERS_REGISTRIES_CONF'] ?? '', 'utf8');

  test('without TLS, as mirrors, and what was configured before', () => {
    const before = join(scratch, 'before.conf');
    writeFileSync(before, 'short-name-mode = "disabled"');
    const text = config(`${PUSHED} --insecure-registry=r:5000 --registry-mirror=m.example --registry-mirror=r:5000`, {
      CONTAINERS_REGISTRIES_CONF: before,
    });
    expect(text).toBe(`short-name-mode = "disabled"

[[registry]]
location = "r:5000"
insecure = true

[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "m.example"
insecure = false
[[registry.mirror]]
location = "r:5000"
insecure = true
`);
  });

  test('--insecure-pull holds for those of the destinations, and says so', () => {
    const { notes } = translate(`${PUSHED} --insecure-pull`);
    expect(notes?.[0]).toContain('--insecure-registry');
    expect(config(`${PUSHED} --insecure-pull`)).toContain('location = "r.example"\ninsecure = true');
  });

  test('certificates go where they count for one registry', () => {
    const file = join(scratch, 'ca.pem');
    writeFileSync(file, 'certificate');
    translate(`${PUSHED} --registry-certificate=r:5000=${file} --registry-client-cert=r:5000=${file},${file}`);
    const folder = join(scratch, '.config/containers/certs.d/r:5000');
    for (const name of ['kaniko.crt', 'kaniko.cert', 'kaniko.key'])
      expect(readFileSync(join(folder, name), 'utf8')).toBe('certificate');
    expect(() => translate(`${PUSHED} --registry-certificate=../up=${file}`)).toThrow(/is not a registry/);
    expect(existsSync(join(scratch, '.config/containers/up'))).toBe(false);
  });
});

test('files with digests are as kaniko writes them', () => {
  const path = (name: string): string => join(scratch, name);
  const { finish } = translate(
    `-d r:5000/a -d r:5000/b:2 --digest-file=${path('d')} --image-name-with-digest-file=${path('n')} --image-name-tag-with-digest-file=${path('t')}`,
  );
  finish?.({ 'containerimage.digest': 'sha256:12' });
  expect(readFileSync(path('d'), 'utf8')).toBe('sha256:12');
  expect(readFileSync(path('n'), 'utf8')).toBe('r:5000/a@sha256:12\nr:5000/b@sha256:12\n');
  expect(readFileSync(path('t'), 'utf8')).toBe('r:5000/a:latest@sha256:12\nr:5000/b:2@sha256:12\n');
  expect(translate(PUSHED).finish).toBeUndefined();
});

test('every flag is in one of the tables above', () => {
  const shown = [...mapped.map(([line]) => line), ...refused.map(([line]) => line), ignored].join(' ');
  const others = '--digest-file --image-name --insecure --registry --skip-tls-verify';
  const missing = Object.keys(kaniko.KINDS).filter(
    (name) => !shown.includes(name) && !others.split(' ').some((start) => name.startsWith(start)),
  );
  expect(missing).toEqual([]);
});
