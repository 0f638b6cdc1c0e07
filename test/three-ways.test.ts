import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const text = readFileSync(new URL('../docs/dev/three-ways.md', import.meta.url), 'utf8');
const [, ...ways] = text.split(/^## /m);

/** How long each way may be: files and rooms. */
const limits: Readonly<Record<string, readonly [files: number, rooms: number]>> = {
  "A COPY'd file to its tar entry": [20, 6],
  'A cache key to an imported cache': [12, 4],
  'A RUN to execve': [20, 6],
};

test('all ways are told', () => {
  expect(ways.map((way) => way.split('\n', 1)[0])).toEqual(Object.keys(limits));
});

describe.each(ways.map((way) => [way.split('\n', 1)[0] ?? '', way] as const))('%s', (name, way) => {
  const files = [...way.matchAll(/^\| (\d+) \| `([^`]+)` \|/gm)].map(([, , file]) => file ?? '');
  const rooms = new Set(files.map((file) => (file.startsWith('src/') ? file.split('/')[1] : 'native')));

  test('names files that there are, once each, and counts them', () => {
    expect(files.filter((file) => !existsSync(new URL(`../${file}`, import.meta.url)))).toEqual([]);
    expect(new Set(files).size).toBe(files.length);
    expect(way).toContain(`${files.length} files, ${rooms.size} rooms`);
  });

  test('is not longer than it may be', () => {
    const [mostFiles, mostRooms] = limits[name] ?? [0, 0];
    expect(files.length).toBeLessThanOrEqual(mostFiles);
    expect(rooms.size).toBeLessThanOrEqual(mostRooms);
  });
});
