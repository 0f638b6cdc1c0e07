import { chmodSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { contentKey, nodeKey } from '../../src/solver/keys.ts';
import { ContextTree, checksumTree } from '../../src/tree/index.ts';
import type { Digest } from '../../src/util/index.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs/dev/cache-keys.md'), 'utf8');
const drawn = /^```mermaid\n(.*?)^```/ms.exec(page)?.[1];
/** The ids of the page's table by the names that they have in its drawing. */
const ids = new Map(
  [...page.matchAll(/^\| `(\w+ [0-9a-f]{8})` \|.*\| `([^`]+)` \|$/gm)].map((row) => [row[1], row[2]]),
);
const id = (name: string): string => ids.get(name) ?? `no ${name} in the table`;

describeAsEveryone('the key graph of docs/dev/cache-keys.md', (who) => {
  const held = useBench(who, { base: false });

  /** The example's files, with modes that do not depend on the umask of a checkout. */
  function example(): string {
    const folder = held.bench.write('keys', {});
    cpSync(join(root, 'examples/keys'), folder, { recursive: true });
    chmodSync(join(folder, 'hello.txt'), 0o644);
    return folder;
  }
  const build = async (folder: string): Promise<string> => {
    const args = ['--progress=plain', '--platform=linux/amd64', '-o', `type=oci,dest=${held.bench.path('out.tar')}`];
    return (await held.bench.ok(['build', ...args, folder])).err;
  };

  test('is what its example makes', async () => {
    const folder = example();
    await build(folder);
    const show = [process.execPath, join(root, 'scripts/show-keys.ts'), held.bench.store];
    expect((await held.bench.start(show).ended).out).toBe(drawn);

    expect(await build(folder)).toMatch(/COPY --from=data \/in \/out\n#\d+ CACHED/);
    const dockerfile = join(folder, 'Dockerfile');
    writeFileSync(dockerfile, readFileSync(dockerfile, 'utf8').replace('/in/', '/in/hello.txt'));
    const said = await build(folder);
    expect(said).toMatch(/COPY hello.txt \/in\/hello.txt\n#\d+ DONE/);
    expect(said, 'the same content by another way').toMatch(/COPY --from=data \/in \/out\n#\d+ CACHED/);
  });

  test('has the ids that its rules give', () => {
    const [op, next, selector] = ['op e8468f56', 'op 771f7fce', 'selector d09e746c'].map((name) => id(name) as Digest);
    if (op === undefined || next === undefined || selector === undefined) throw new Error('no ids');
    const tree = ContextTree.open(example(), { xattrs: false });
    const selected = { path: '/hello.txt', followLinks: true, wildcard: true, contents: true };
    const content = checksumTree(tree, [{ ...selected, include: [], exclude: [], required: [] }], 'example');
    expect(contentKey(content)).toBe(id('leaf 4db0de54'));
    const first = { op, output: 0, input: 0, from: id('leaf 4db0de54') };
    expect(nodeKey(op, 0, [first])).toBe(id('node 1b85b2d0'));
    const second = { op: next, output: 0, input: 0, selector, from: id('node 1b85b2d0') };
    expect(nodeKey(next, 0, [second])).toBe(id('node ff76ae52'));
    for (const [name = '', full = ''] of ids)
      expect(full.replace('sha256:', '')).toMatch(new RegExp(`^${name.split(' ')[1]}`));
    expect(ids.size).toBe(7);
  });
});
