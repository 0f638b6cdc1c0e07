import { expect, test } from 'vitest';
import { loadFromCi, type Translation } from '../support/ci.ts';

const { translateDocker } = await loadFromCi<{ translateDocker: (line: readonly string[]) => Translation }>(
  'image/shims/docker.mjs',
);
const translate = (line: string): Translation => translateDocker(line.split(' '));

test.each([
  'build -t a:1 -f D .',
  'buildx build --push -t r/a .',
  'push r/a:1',
  'tag a b',
  'login -u x --password-stdin r',
  'run --rm -v /a:/b a cmd --flag',
  'images -q',
  'version',
])('docker %s goes to tsbuild as it is', (line) => {
  expect(translate(line)).toMatchObject({ args: line.split(' '), notes: [] });
});

test("docker's own flags stand before the command", () => {
  const { args, notes, environment } = translate('--config /c -D -H tcp://h:1 -l=debug build .');
  expect(args).toEqual(['-D', 'build', '.']);
  expect(environment).toEqual({ DOCKER_CONFIG: '/c' });
  expect(notes?.map((note) => note.split(' ')[0])).toEqual(['-H', '-l']);
  expect(translate('--version').args).toEqual(['--version']);
});

test.each(['buildx create --use', 'buildx inspect --bootstrap', 'context use x', 'info', 'system info'])(
  'docker %s has nothing to prepare',
  (line) => {
    const { args, notes } = translate(line);
    expect(args).toEqual([]);
    expect(notes?.[0]).toContain('does nothing');
  },
);

test('what is not a flag of docker is refused', () => {
  expect(() => translate('--no-such build .')).toThrow(/--no-such/);
  expect(() => translate('compose up')).toThrow(/compose is not supported/);
});
