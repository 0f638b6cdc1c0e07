import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
import { baseMembers } from '../support/base-image.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { imageArchive, type TarMember } from '../support/image.ts';
import { expectFailure, expectSound } from '../support/sound.ts';
import { readOciArchive } from '../support/tree.ts';

/** More than an overlay takes; an image may have 1,000. */
const LAYERS = 990;

/** With these there are more than fit beside one merged portion. */
const STEPS = 12;

/** An image whose layers hide files of each other across what is merged. */
function deepArchive(): Buffer {
  const low: readonly TarMember[] = [
    { name: 'low/', type: '5' },
    ...['gone', 'kept', 'later'].map((name): TarMember => ({ name: `low/${name}`, content: `${name}\n` })),
    { name: 'again/', type: '5' },
    { name: 'again/old', content: 'old' },
  ];
  const hiding: readonly TarMember[] = [
    { name: 'low/.wh.gone' },
    { name: 'again/', type: '5' },
    { name: 'again/.wh..wh..opq' },
    { name: 'again/new', content: 'new' },
  ];
  const layers = Array.from({ length: LAYERS }, (_, at): readonly TarMember[] => {
    if (at === 0) return baseMembers();
    if (at === 1) return low;
    return at === 700 ? hiding : [{ name: `n${at % 40}`, content: `${at}\n` }];
  });
  return imageArchive(layers, 'deep:1');
}

async function treeOf(bench: Bench, dockerfile: string) {
  const context = bench.context(dockerfile, { file: 'from context\n' });
  return readOciArchive((await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', context])).stdout);
}

describeAsEveryone(`an image of ${LAYERS} layers`, (who) => {
  const use = useBench(who, { base: false });

  test('is built on as any other, and what it hides stays hidden', async () => {
    const { bench } = use;
    writeFileSync(bench.path('deep.tar'), deepArchive());
    await bench.ok(['import', 'deep.tar', '-t', 'deep:1']);
    const { tree, layers } = await treeOf(
      bench,
      `FROM deep:1
${Array.from({ length: STEPS }, (_, step) => `RUN echo ${step} > /step`).join('\n')}
RUN find /low /again > /seen 2>&1 && cat /n9 /step >> /seen && ln /low/kept /low/hard && mv /low/kept /low/moved && rm -r /low/later /again && mkdir /again
RUN --mount=type=bind,from=deep:1,target=/m find /m/low /m/again > /mounted
COPY file /low/file
`,
    );
    const found = ['/low', '/low/kept', '/low/later', '/again', '/again/new'];
    expect(tree['/seen']?.content.split('\n').toSorted()).toEqual(['', '969', '11', ...found].toSorted());
    expect(tree['/mounted']?.content.split('\n').toSorted()).toEqual(
      ['', ...found.map((path) => `/m${path}`)].toSorted(),
    );
    // What the step's layer says of files that lie below what was merged.
    expect(layers[LAYERS + STEPS]).toEqual([
      'again/',
      'again/.wh..wh..opq',
      'low/',
      'low/.wh.kept',
      'low/.wh.later',
      'low/hard',
      'low/moved',
      'seen',
    ]);
    expect(layers.length).toBe(LAYERS + STEPS + 3);
    const below = Object.keys(tree).filter((path) => /^\/(low|again)/.test(path));
    expect(below).toEqual(['/again', '/low', '/low/file', '/low/hard', '/low/moved']);
    const copied = await treeOf(bench, 'FROM scratch\nCOPY --from=deep:1 /low /again /to/\n');
    expect(Object.keys(copied.tree)).toEqual(['/to', '/to/kept', '/to/later', '/to/new']);
    await expectSound(bench);
  });

  test('cannot be run by itself: the error says what to do', async () => {
    expectFailure(await use.bench.tsbuild(['run', 'deep:1', 'true']), {
      code: 125,
      says: ['an overlay takes 500 layers, these are 990', 'FROM scratch and COPY --from=<stage> / /'],
    });
  });
});
