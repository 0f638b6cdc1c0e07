import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { fakeContext } from '../fakes/cli-context.ts';
import { TempDir } from '../tree/support.ts';

// What is typed is looked at before a registry is asked and before an image is looked for.
let dir: TempDir;
beforeAll(() => void (dir = new TempDir()));
afterAll(() => dir[Symbol.dispose]());

async function mistake(...words: readonly string[]): Promise<string> {
  const context = fakeContext({ cwd: dir.path, env: { TSBUILD_ROOT: `${dir.path}/store`, HOME: dir.path } });
  const code = await runCli(words, context);
  expect(context.out()).toBe('');
  expect(code).not.toBe(0);
  return context.err();
}

describe('push', () => {
  test.each([
    // Names that every object of JavaScript has are no compressions.
    ['--compression=constructor', 'Cannot use --compression "constructor": expected gzip, zstd or none'],
    ['--compression=toString', 'Cannot use --compression "toString"'],
    ['--compression-format=xz', 'Cannot use --compression "xz"'],
    ['--compression=', 'Cannot use --compression ""'],
    ['--compression-level=10', 'Cannot use --compression-level "10": expected 0 to 9'],
    ['--compression=zstd --compression-level=23', 'Cannot use --compression-level "23": expected 0 to 22'],
    ['--compression=zstd --compression-level=-1', 'Cannot use --compression-level "-1"'],
    ['--compression=gzip --compression-level=1.5', 'Cannot use --compression-level "1.5"'],
    ['--platform=linux/amd64 --all-platforms', 'Cannot push one platform and all platforms'],
    ['--platform=a/b/c/d', 'Cannot use platform "a/b/c/d"'],
  ])('%s is refused', async (options, why) => {
    expect(await mistake('push', ...options.split(' '), 'registry.test/app:1')).toContain(why);
  });

  test.each([
    ['oci:dir', 'only registries are pushed to'],
    ['docker-archive:file.tar', 'only registries are pushed to'],
    ['dir:/tmp/x', 'only registries are pushed to'],
    [`registry.test/app@sha256:${'a'.repeat(64)}`, 'a digest cannot be chosen'],
    ['registry.test/App', 'registry.test/App'],
  ])('to %s is refused', async (dest, why) => {
    expect(await mistake('push', 'app:1', dest)).toContain(why);
  });

  test('of what is not there says so, and of an id where to', async () => {
    expect(await mistake('push', 'registry.test/app:1')).toContain(
      'Cannot push "registry.test/app:1": no such image in the local image store',
    );
    expect(await mistake('push', '--all-tags', 'registry.test/app:1')).toContain(
      "tag can't be used with --all-tags/-a",
    );
    expect(await mistake('push', '--all-tags', 'registry.test/app')).toContain('no such image');
  });
});

describe('pull', () => {
  test.each([
    [['--platform=linux/amd64', '--all-platforms', 'app'], 'Cannot pull one platform and all platforms'],
    [['--all-tags', 'registry.test/app:1'], 'Cannot pull all tags of a name that has one'],
    [['--all-tags', `registry.test/app@sha256:${'a'.repeat(64)}`], 'Cannot pull all tags of a name that has one'],
    [['--policy=sometimes', 'app'], '--policy'],
    [['--policy=never', 'registry.test/app:1'], '--policy=never asks no registry'],
    [['registry.test/App:1'], 'registry.test/App:1'],
    [['--platform=linux/', 'app'], 'platform'],
  ])('%j is refused', async (words, why) => {
    expect(await mistake('pull', ...words)).toContain(why);
  });
});

describe('serve', () => {
  test.each([
    '65536',
    'host',
    ':',
    '',
    '::1:5000',
    '[127.0.0.1]:5000',
    '[::1]',
    'a b:5000',
    '127.0.0.1:-1',
    '127.0.0.1:5000/',
    '[::1:5000',
  ])('--addr %j is no address', async (address) => {
    const why = `Cannot use --addr ${JSON.stringify(address)}: expected HOST:PORT`;
    expect(await mistake('serve', '--addr', address)).toContain(why);
  });

  test.each([
    [['--tls-cert', 'cert.pem'], 'Cannot use --tls-cert without --tls-key, nor the other way round'],
    [['--tls-key', 'key.pem'], 'Cannot use --tls-cert without --tls-key'],
    [['--tls-cert', 'none.pem', '--tls-key', 'none.pem'], 'Cannot read "none.pem"'],
    [['--htpasswd', 'none'], 'none'],
  ])('%j is refused', async (words, why) => {
    expect(await mistake('serve', '--addr', '127.0.0.1:0', ...words)).toContain(why);
  });
});

describe('copy', () => {
  test.each([
    [['--all', '--platform=linux/amd64'], 'Cannot copy with --all and --platform: they exclude each other'],
    [['--all', '--multi-arch=system'], 'Cannot copy with --all and --multi-arch=system'],
    [['--multi-arch=all', '--platform=linux/amd64'], 'they exclude each other'],
    [['--multi-arch=some'], '--multi-arch'],
    [['--format=v3'], '--format'],
    [['--platform=a/b/c/d'], 'platform'],
  ])('%j is refused', async (words, why) => {
    expect(await mistake('copy', ...words, 'oci:from', 'oci:to')).toContain(why);
  });

  test.each([
    ['oci:', 'the path is missing'],
    ['oci:dir:-tag', 'is no name of an image'],
    ['./dir', 'a path does not say what is there'],
    ['dir:/tmp/x', 'the transport dir is not supported'],
    ['docker-daemon:app', 'the transport docker-daemon is not supported'],
    ['ftp://host/app', 'unknown transport "ftp"'],
    ['docker-archive:x.tar:App', 'App'],
    ['oci:dir@sha256:123', 'sha256:123'],
  ])('from %s is refused', async (place, why) => {
    expect(await mistake('copy', place, 'oci:to')).toContain(why);
  });
});

describe('login and logout', () => {
  test.each([
    [['login', '-u', 'a:b', '-p', 'c', 'registry.test'], 'a user name has no colon'],
    [['login', '-u', '', '-p', 'c', 'registry.test'], 'the user name is empty'],
    [['login', '-u', 'a', '-p', 'c', '--password-stdin', 'registry.test'], '--password-stdin'],
    [['login', '--password-stdin', 'registry.test'], 'Cannot log in'],
    [['login', 'registry.test'], 'standard input is no terminal to ask on'],
    [['login', '--get-login', 'registry.test'], 'Not logged in to registry.test'],
    [['logout', '--all', 'registry.test'], '--all and the name of a registry exclude each other'],
  ])('%j is refused', async (words, why) => {
    expect(await mistake(...words)).toContain(why);
  });
});
