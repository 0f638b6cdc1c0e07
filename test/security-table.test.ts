import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from './support/program.ts';

const textOf = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');

/** Rows of the table: an id with the tests that hold it. */
const rows = [...textOf('docs/dev/security-table.md').matchAll(/^\| ([A-Z]{3}-\d\d) +\| .*? \| (.*?) *\|$/gm)].map(
  ([, id = '', held = '']) => ({
    id,
    tests: [...held.replaceAll('\\|', '|').matchAll(/`(test\/[^`]+)`: (.*?)(?=<br>|$)/g)].map(
      ([, file = '', title = '']) => ({ file, title }),
    ),
    isOpen: held === 'open',
    hasReason: /^(by design|comes with [^:]+): \S/.test(held),
  }),
);

test('every row has tests that exist, or says why not, or that it is open', () => {
  expect(rows).toHaveLength(241);
  expect(new Set(rows.map(({ id }) => id)).size).toBe(241);
  const wrong = rows.flatMap(({ id, tests, isOpen, hasReason }) => [
    ...tests.filter(({ file, title }) => !textOf(file).includes(`'${title}'`)).map(({ file }) => `${id}: ${file}`),
    ...(tests.length > 0 !== (isOpen || hasReason) ? [] : [`${id}: neither a test nor a reason nor open`]),
  ]);
  expect(wrong).toEqual([]);
});

test('every test that names an id is in its row, and the number above the table is right', () => {
  const missing: string[] = [];
  for (const file of globSync('test/**/*.test.ts', { cwd: projectRoot })) {
    for (const [, title = ''] of textOf(file).matchAll(/'([^'\n]*\b[A-Z]{3}-\d\d\b[^'\n]*)'/g)) {
      for (const [id] of title.matchAll(/\b[A-Z]{3}-\d\d\b/g)) {
        const row = rows.find((one) => one.id === id);
        if (row !== undefined && !row.tests.some((held) => held.file === file && held.title === title))
          missing.push(`${id}: ${file}`);
      }
    }
  }
  expect(missing).toEqual([]);
  const held = rows.filter(({ tests }) => tests.length > 0).length;
  expect(textOf('docs/dev/security-table.md')).toContain(`**${held} of them have a test here**`);
});
