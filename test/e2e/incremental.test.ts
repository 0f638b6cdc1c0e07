import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { errnoOf, sha256 } from '../../src/util/index.ts';
import type { Bench } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { removeTree } from '../support/remove-tree.ts';

/** What happens to a context between two builds. Places are taken modulo what there is. */
type Edit =
  | { readonly kind: 'write' | 'append'; readonly at: number; readonly text: string }
  | { readonly kind: 'same-size' | 'remove' | 'touch' | 'truncate' | 'mkdir'; readonly at: number }
  | { readonly kind: 'chmod'; readonly at: number; readonly mode: number }
  | { readonly kind: 'rename' | 'symlink' | 'hardlink' | 'replace'; readonly at: number; readonly to: number }
  | { readonly kind: 'dockerfile' | 'ignore'; readonly at: number };

const NAMES = ['a', 'b', 'c.txt', 'sub/a', 'sub/b.txt', 'sub/deep/x', 'sub/deep/y.log', 'z/.hidden', 'ü'];

const DOCKERFILES = [
  'FROM scratch\nCOPY . /all/\n',
  'FROM scratch\nCOPY a b* /two/\nCOPY sub /sub/\n',
  'FROM scratch AS one\nCOPY sub/ /\nFROM scratch\nCOPY --from=one / /from/\nCOPY *.txt /t/\n',
  'FROM scratch\nCOPY --chmod=640 --chown=7:8 sub /s\nCOPY --link . /l/\n',
  'FROM scratch\nWORKDIR /w\nCOPY --exclude=*.log sub ./\nADD a* /added/\n',
  'FROM scratch AS one\nCOPY a /f\nFROM one\nCOPY --from=one /f /g\nCOPY sub/deep /f2/\n',
];
const IGNORES = ['', '*.log\n', 'sub/deep\n', '*\n!sub\n', '**/a\n!sub/a\n', 'z\n'];

const at = fc.nat({ max: 50 });
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constantFrom('write' as const, 'append' as const), at, text: fc.string({ maxLength: 5 }) }),
  fc.record({
    kind: fc.constantFrom(
      'same-size' as const,
      'remove' as const,
      'touch' as const,
      'truncate' as const,
      'mkdir' as const,
    ),
    at,
  }),
  fc.record({ kind: fc.constant('chmod' as const), at, mode: fc.constantFrom(0o644, 0o600, 0o755, 0o4755, 0o444) }),
  fc.record({
    kind: fc.constantFrom('rename' as const, 'symlink' as const, 'hardlink' as const, 'replace' as const),
    at,
    to: at,
  }),
  fc.record({ kind: fc.constantFrom('dockerfile' as const, 'ignore' as const), at }),
);

const pick = <T>(list: readonly T[], place: number): T => list[place % list.length] as T;

/** Does one edit; what cannot be done is not done: only root writes to files that are closed to writing. */
function apply(root: string, one: Edit): void {
  try {
    change(root, one);
  } catch (error) {
    if (errnoOf(error) !== 'EACCES') throw error;
  }
}

function change(root: string, one: Edit): void {
  const path = join(root, pick(NAMES, one.at));
  const isFile = (name: string): boolean => lstatSync(name, { throwIfNoEntry: false })?.isFile() === true;
  const isFree = (name: string): boolean => lstatSync(name, { throwIfNoEntry: false }) === undefined;
  const room = (name: string): boolean => {
    try {
      mkdirSync(dirname(name), { recursive: true });
      return true;
    } catch {
      return false;
    }
  };
  switch (one.kind) {
    case 'write':
    case 'append':
      if (room(path) && (isFree(path) || isFile(path)))
        writeFileSync(path, one.text, { flag: one.kind === 'write' ? 'w' : 'a' });
      return;
    case 'same-size': {
      if (!isFile(path)) return;
      // As tools do that keep the time of a file: only its inode tells.
      const { atime, mtime } = statSync(path);
      writeFileSync(path, Buffer.from(readFileSync(path).map((byte) => byte ^ 1)));
      utimesSync(path, atime, mtime);
      return;
    }
    case 'remove':
      rmSync(path, { recursive: true, force: true });
      return;
    case 'touch':
      if (existsSync(path)) utimesSync(path, 1_600_000_000 + one.at, 1_600_000_000 + one.at);
      return;
    case 'truncate':
      if (isFile(path)) truncateSync(path, one.at % 7);
      return;
    case 'mkdir':
      if (isFree(path)) room(join(path, 'x'));
      return;
    case 'chmod':
      if (isFile(path)) chmodSync(path, one.mode);
      return;
    case 'rename':
    case 'replace':
    case 'symlink':
    case 'hardlink': {
      const to = join(root, pick(NAMES, one.to));
      if (!room(to)) return;
      if (one.kind === 'symlink') {
        if (isFree(to)) symlinkSync(pick(NAMES, one.at), to);
      } else if (one.kind === 'hardlink') {
        if (isFile(path) && isFree(to)) linkSync(path, to);
      } else if (one.kind === 'replace') {
        if (isFile(path) && isFile(to)) renameSync(path, to);
      } else if (!isFree(path) && isFree(to) && !to.startsWith(`${path}/`)) renameSync(path, to);
      return;
    }
    case 'dockerfile':
      writeFileSync(join(root, 'Dockerfile'), pick(DOCKERFILES, one.at));
      return;
    case 'ignore':
      writeFileSync(join(root, '.dockerignore'), pick(IGNORES, one.at));
  }
}

/** A context with a file of each name. */
function start(bench: Bench): string {
  const root = bench.context(DOCKERFILES[0] ?? '');
  for (const name of NAMES) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), `content of ${name}`);
  }
  return root;
}

describeAsUser('a build that knows the ones before', (who) => {
  const use = useBench(who, { base: false });

  /** The digest of what is built, or why nothing is. */
  async function built(root: string, store: string): Promise<string> {
    const { bench } = use;
    const { code, err } = await bench.tsbuild(
      ['build', '-q', '--rewrite-timestamp', '-o', 'type=oci,dest=out.tar', root],
      { store: bench.path(store), env: { SOURCE_DATE_EPOCH: '1500000000' } },
    );
    // Of several things that are wrong, which one is told first is a matter of luck.
    if (code !== 0) return `${code} ${/^error: /m.test(err)}`;
    return sha256(readFileSync(bench.path('out.tar')));
  }

  test('makes what one makes that knows nothing, whatever happened to the context', async () => {
    const { bench } = use;
    let stores = 0;
    let digests = 0;
    const rounds = fc.array(fc.array(edit, { minLength: 1, maxLength: 3 }), { minLength: 6, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(rounds, async (all) => {
        const root = start(bench);
        const store = `known-${stores++}`;
        // As it is, it can be built.
        for (const edits of [[], ...all]) {
          for (const one of edits) apply(root, one);
          const known = await built(root, store);
          // The second time it is remembered, or found in the cache.
          expect(await built(root, store)).toBe(known);
          const fresh = `fresh-${stores++}`;
          expect(known).toBe(await built(root, fresh));
          await removeTree(bench.path(fresh));
          if (known.startsWith('sha256:')) digests++;
        }
      }),
      // What fails is told with its edits; to shrink them takes a minute for each try.
      { numRuns: 1, endOnFailure: true },
    );
    expect(digests).toBeGreaterThan(0);
  });
});
