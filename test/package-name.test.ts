import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from './support/program.ts';

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as { name: string; bin: Record<string, string> };

// What npm has under the name "tsbuild" is not this program: whoever is told to install that runs a stranger's code.
test('the package has a name of its own, and the command keeps its', () => {
  expect(manifest.name).toBe('tsbuildkit');
  expect(manifest.bin).toEqual({ tsbuild: 'bin/tsbuild' });
});

test.each(['README.md', 'docs/api.md'])('%s tells people to install and import that package', (page) => {
  const text = read(page);
  const named = [
    ...text.matchAll(/npm (?:install|i|view|audit signatures) (?:-\S+ )*(?:\.\/)?(\w[\w.-]*?)(?=-\*|[\s`@]|$)/gm),
    ...text.matchAll(/(?:from|require\() ?'([^'./:][^':]*)'/g),
  ].map((match) => match[1]);
  expect(named.filter((name) => name !== manifest.name)).toEqual([]);
});

test('the helper is looked up under the same name', () => {
  const source = read('src/sandbox/helper-path.ts');
  const names = [...source.matchAll(/[`'"](@?[\w/-]*)(?:-linux-)?\$\{platform\}[`'"]/g)].map((match) => match[1]);
  expect(names).toEqual([`${manifest.name}-`]);
});

test('README names the package at all', () => {
  expect(read('README.md')).toContain(`npm install -g ${manifest.name}`);
  expect(read('README.md')).toContain(`from '${manifest.name}'`);
});
