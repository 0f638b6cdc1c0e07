import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { setXattr } from '../../src/sys/index.ts';
import { archive, file, pax } from '../layer/support/tar-vectors.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { readOciArchive } from '../support/tree.ts';

/** Numbers of setxattr(2) and getxattr(2). */
const CALLS = process.arch === 'arm64' ? { set: 5, get: 8 } : { set: 188, get: 191 };

/** Perl with its libraries, as the one language that every Debian has. */
function perl(): Record<string, { readonly text: string; readonly mode: number } | Uint8Array> {
  const libraries = execFileSync('ldd', ['/usr/bin/perl'], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
  return Object.fromEntries(['/usr/bin/perl', ...libraries].map((path) => [`perl${path}`, readFileSync(path)]));
}

describeAsEveryone('extended attributes', (who) => {
  const use = useBench(who);

  test('layers hold none but file capabilities, whoever brings them, and COPY and ADD bring none', async () => {
    const { bench } = use;
    const context = bench.context(
      `FROM base:1
COPY --chmod=0755 perl/ /
COPY note /note
ADD note.tar /added/
RUN perl -e '@p = qw(/note /added/note); @n = qw(user.mine user.step); for $p (@p) { for $n (@n) { $v = "." x 9; print "$p $n\\n" if syscall(${CALLS.get}, $p, $n, $v, 9) >= 0 } }' > /seen
RUN perl -e '@p = ("/made", "/made/dir", "/note"); $n = "user.step"; $v = "v"; for $p (@p) { mkdir $p; syscall(${CALLS.set}, $p, $n, $v, 1, 0) and die $! }'
FROM scratch
COPY --from=0 /note /added /made /seen /
`,
      {
        ...perl(),
        note: 'x',
        'note.tar': archive(pax({ 'SCHILY.xattr.user.mine': 'v' }), file('note', 'x')),
      },
    );
    setXattr(`${context}/note`, 'user.mine', 'v');
    for (const target of ['0', '1']) {
      const out = `out${target}.tar`;
      await bench.ok(['build', `--target=${target}`, '-o', `type=oci,dest=${out},compression=uncompressed`, context]);
      expect(readFileSync(bench.path(out)).includes('SCHILY.xattr')).toBe(false);
      expect((await readOciArchive(bench.path(out))).tree['/seen']?.content).toBe('');
    }
  });
});
