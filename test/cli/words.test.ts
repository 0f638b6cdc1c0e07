import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { firstWord } from '../../src/cli/words.ts';
import { translate } from '../../src/cli/foreign-commands.ts';
import { programPath } from '../support/program.ts';

const names = ['build', 'run', 'images', 'rmi', 'import', 'save', 'du', 'prune', 'store', 'doctor', 'llb', 'help'];

describe('what the first word means', () => {
  test.each([
    [[], ['build']],
    [['.'], ['build', '.']],
    [
      ['-t', 'x', '-v', '/a:/b', '.'],
      ['build', '-t', 'x', '-v', '/a:/b', '.'],
    ],
    [
      ['-v', '/a:/b', '.'],
      ['build', '-v', '/a:/b', '.'],
    ],
    [['-v'], ['-v']],
    [['--help'], ['--help']],
    [
      ['-D', '-t', 'x', '.'],
      ['build', '-D', '-t', 'x', '.'],
    ],
    [
      ['--debug', 'images', '-q'],
      ['images', '--debug', '-q'],
    ],
    [
      ['-D', 'store', 'check'],
      ['store', '-D', 'check'],
    ],
    [
      ['help', 'run'],
      ['help', 'run'],
    ],
    [['./login'], ['build', './login']],
    [['my-app'], ['build', 'my-app']],
  ])('%j', async (typed, meant) => {
    expect(await firstWord(typed, names)).toEqual(meant);
  });
});

describe('commands of docker, podman and buildah that are here under another name', () => {
  test.each([
    ['image ls -q', 'images -q'],
    ['image list', 'images'],
    ['image rm a b', 'rmi a b'],
    ['image import x.tar', 'import x.tar'],
    ['image inspect -f {{.Id}} x', 'inspect --type image -f {{.Id}} x'],
    ['image history x', 'history x'],
    ['image tag a b', 'tag a b'],
    ['image untag a', 'untag a'],
    ['buildx imagetools inspect --raw x', 'inspect --remote --raw x'],
    ['manifest inspect x', 'inspect --remote --raw x'],
    ['image save -o x a', 'save -o x a'],
    ['image pull -q a', 'pull -q a'],
    ['image load -i x.tar', 'import x.tar'],
    ['image load', 'import -'],
    ['load --input=x.tar', 'import x.tar'],
    ['load -q -i x.tar', 'import x.tar'],
    ['image build -t x .', 'build -t x .'],
    ['image prune -f', 'prune --force'],
    ['image prune -af --filter until=1h', 'prune --images --force --filter until=1h'],
    ['image prune --all --force', 'prune --images --force'],
    ['builder build .', 'build .'],
    ['builder prune -a', 'prune -a'],
    ['builder du', 'du'],
    ['buildx build --load .', 'build --load .'],
    ['buildx b .', 'build .'],
    ['buildx du', 'du'],
    ['buildx prune --all', 'prune --all'],
    ['bud -t x .', 'build -t x .'],
    ['system df', 'du'],
    ['system prune -f', 'prune --force'],
    ['system prune -a --volumes -f', 'prune --all --images --force'],
    ['container run --rm x', 'run --rm x'],
    ['container ls -a', 'ps -a'],
    ['container inspect x', 'inspect --type container x'],
    ['version', '--version'],
  ])('%s', (typed, meant) => {
    expect(translate(typed.split(' ')).join(' ')).toBe(meant);
  });
});

test.each(['image prune -a', 'image prune --all', 'system prune -a --volumes'])(
  '%s, of which docker asks whether that is meant, wants --force',
  (typed) => {
    expect(() => translate(typed.split(' '))).toThrow(/removes the images/);
  },
);

describe('commands that are not here', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsbuild-words-'));
    for (const name of ['login', 'push', 'config', 'image']) {
      mkdirSync(join(dir, name));
      writeFileSync(join(dir, name, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
    }
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const tsbuild = (...args: string[]): { code: number | null; out: string; err: string } => {
    const env = { ...process.env, TSBUILD_ROOT: join(dir, 'store') };
    const { status, stdout, stderr } = spawnSync(programPath(), args, { cwd: dir, encoding: 'utf8', env });
    return { code: status, out: stdout, err: stderr };
  };

  test.each([
    ['buildx imagetools create -t x y', /tsbuild copy SOURCE NAME/],
    ['image scp x y', /oci-archive:FILE/],
    ['container checkpoint x', /containers have/],
    ['tree x', /tsbuild inspect --layers/],
    ['image', /image ls/],
    ['image frobnicate', /image ls/],
    ['builder ls', /builder prune/],
    ['buildx create', /no daemon/],
    ['system info', /tsbuild doctor/],
    ['config', /"tsbuild .\/config"/],
    ['mount', /-o type=local/],
    ['compose up', /tsbuild --help/],
  ])('%s is an error that says what to type', (line, hint) => {
    const { code, out, err } = tsbuild(...line.split(' '));
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^error: tsbuild has no command "/);
    expect(err).toMatch(hint);
    expect(err).toMatch(/^hint: /m);
  });

  test('the directory of such a name is built by its path', () => {
    for (const args of [['./login'], ['build', 'login']]) {
      const { code, err } = tsbuild(...args);
      expect(code, err).toBe(0);
    }
  });

  test('-v is the version only when it stands alone', () => {
    for (const args of [
      ['-v', '/a:/b', '.'],
      ['-t', 'x', '-v', '/a:/b', '.'],
      ['build', '-v', '/a:/b', '.'],
    ]) {
      const { code, out, err } = tsbuild(...args);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toContain('--mount=type=bind');
    }
    expect(tsbuild('version')).toEqual(tsbuild('--version'));
  });
});
