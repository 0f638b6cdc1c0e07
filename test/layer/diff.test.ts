import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testAsRoot } from '../support/real-root.ts';
import { diffLayer } from '../../src/layer/index.ts';
import { MemorySink } from './support/memory-sink.ts';
import { readTar } from './support/read-tar.ts';

interface Outcome {
  readonly entries: readonly string[];
  readonly owners: readonly string[];
  readonly xattrs: readonly string[];
  readonly tree: readonly string[];
  readonly treeAgain: readonly string[];
  readonly stable: boolean;
}

let base: string;
let counter = 0;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'tsbuild-diff-'));
});
afterAll(() => rmSync(base, { recursive: true }));

/**
 * Changes a tree of two layers through a real overlay, takes the difference, applies it anew, and compares what the two
 * overlays show. `prepare` makes the bottom layer and, behind `---`, the one above it.
 */
function change(prepare: string, script: string, idShift = 0): Outcome {
  const root = join(base, String(counter++));
  mkdirSync(root);
  const program = join(import.meta.dirname, 'diff-overlay.ts');
  const child = spawnSync('unshare', ['-m', process.execPath, program, root, prepare, script, String(idShift)], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (child.status !== 0) throw new Error(child.stderr);
  const outcome = JSON.parse(child.stdout) as Outcome;
  // What layers leave out on purpose: sockets, and all attributes but capabilities.
  const kept = outcome.tree.filter((line) => !/^\S+ 14 /.test(line));
  expect(outcome.treeAgain).toEqual(kept.map((line) => line.replaceAll(/ (?:trusted|user)\.\S+=\w*/g, '')));
  expect(outcome.stable).toBe(true);
  return outcome;
}

const LOWER = `
mkdir -p etc/conf.d usr/bin usr/lib var/cache/apt deep/a/b/c
echo passwd > etc/passwd; echo group > etc/group; echo one > etc/conf.d/one; echo two > etc/conf.d/two
echo sh > usr/bin/sh; ln usr/bin/sh usr/bin/bash; ln -s sh usr/bin/dash; echo lib > usr/lib/libc.so
echo cache > var/cache/apt/pkg; echo x > deep/a/b/c/x; ln -s /usr/lib lib
find . -exec touch -h -d @1000000000.123456789 {} +
---
echo middle > etc/middle; rm etc/group; rm -rf deep; mkdir deep; echo new > deep/new
find . -newermt @1500000000 -exec touch -h -d @1100000000.5 {} +`;

describe('diffLayer', () => {
  test('nothing changed, nothing written', () => {
    expect(change(LOWER, ':').entries).toEqual([]);
  });

  test('files that were only copied up are left out, and so are directories that hold nothing else', () => {
    const { entries } = change(
      LOWER,
      `chmod u+x etc/passwd; chmod u-x etc/passwd; touch -h -d @1000000000.123456789 etc/passwd
       chmod 700 usr/lib; chmod 755 usr/lib; chown -h 1 usr/bin/dash; chown -h 0 usr/bin/dash`,
    );
    expect(entries).toEqual([]);
  });

  test('a file changed in place brings its directories, unchanged siblings stay out', () => {
    const { entries } = change(
      LOWER,
      'echo more >> usr/lib/libc.so; touch -d @1000000000.123456789 usr/lib/libc.so; chmod u+x etc/passwd; chmod u-x etc/passwd',
    );
    expect(entries).toEqual(['usr/', 'usr/lib/', 'usr/lib/libc.so']);
  });

  test('whiteouts come first, and only for what is below', () => {
    const { entries } = change(
      LOWER,
      'rm etc/passwd; echo .a > etc/.a; echo t > etc/temp; rm etc/temp; rm -r var/cache; rm lib; echo group > etc/group; rm etc/group',
    );
    expect(entries).toEqual(['.wh.lib', 'etc/', 'etc/.wh.passwd', 'etc/.a', 'var/', 'var/.wh.cache']);
  });

  test('directories made anew are opaque only where there was one below', () => {
    const { entries } = change(
      LOWER,
      'rm -r etc/conf.d; mkdir etc/conf.d; echo three > etc/conf.d/three; mkdir etc/fresh; echo f > etc/fresh/f; rm etc/passwd; mkdir etc/passwd; rm -r deep; mkdir -p deep/a/b/c',
    );
    expect(entries).toEqual([
      'deep/',
      'deep/.wh..wh..opq',
      'deep/a/',
      'deep/a/b/',
      'deep/a/b/c/',
      'etc/',
      'etc/conf.d/',
      'etc/conf.d/.wh..wh..opq',
      'etc/conf.d/three',
      'etc/fresh/',
      'etc/fresh/f',
      'etc/passwd/',
    ]);
  });

  test('types that change', () => {
    const { entries } = change(
      LOWER,
      'rm -r etc; echo file > etc; rm lib; mkdir lib; rm usr/bin/dash; ln -s bash usr/bin/dash; rm -r var; ln -s /etc var',
    );
    expect(entries).toEqual(['etc', 'lib/', 'usr/', 'usr/bin/', 'usr/bin/dash -> bash', 'var -> /etc']);
  });

  testAsRoot('hard links, new and of files below', () => {
    const { entries } = change(
      LOWER,
      'echo x > b; ln b a; ln usr/lib/libc.so usr/lib/alias; echo changed > usr/bin/sh; ln -s t s; ln s s2',
    );
    expect(entries).toEqual([
      'a',
      'b -> a',
      's -> t',
      's2 -> s',
      'usr/',
      'usr/bin/',
      'usr/bin/sh',
      'usr/lib/',
      'usr/lib/alias',
      'usr/lib/libc.so -> usr/lib/alias',
    ]);
  });

  test('order by path bytes: what is in a directory comes after "name-" and "name."', () => {
    const { entries } = change(LOWER, 'mkdir a; touch a/z a-b a.b a0; printf "" > "$(printf \'\\377\\nx\')"');
    expect(entries).toEqual(['a/', 'a-b', 'a.b', 'a/z', 'a0', 'ÿ\nx']);
  });

  test('fifos and odd modes stay, sockets do not', () => {
    const { entries } = change(
      LOWER,
      `mkfifo -m 622 fifo; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'; touch f; chmod 7777 f; mkdir -m 0 closed; touch closed/f`,
    );
    expect(entries).toEqual(['closed/', 'closed/f', 'f', 'fifo']);
  });

  testAsRoot('xattrs: capabilities and nothing else', () => {
    const { entries, xattrs } = change(
      LOWER,
      `python3 - <<'END'
import os
os.setxattr("etc/passwd", "user.mine", b"\\0\\xff")
open("ping", "w").close()
os.setxattr("ping", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
os.mkdir("x"); os.setxattr("x", "user.dir", b"d"); os.setxattr("x", "trusted.t", b"t")
os.setxattr("x", "user.overlay.origin", b"mine")
END
rm -r etc/conf.d; mkdir etc/conf.d`,
    );
    expect(xattrs).toEqual(['ping security.capability 0100000200200000000000000000000000000000']);
    expect(entries).not.toContain('etc/passwd');
  });

  testAsRoot('owners are shifted back, capabilities lose their namespace', () => {
    const { owners, xattrs } = change(
      'find . -exec chown -h 100000:100000 {} +',
      `touch root user ping; chown 100000:100000 root ping; chown 101000:100005 user
       python3 -c 'import os; os.setxattr("ping", "security.capability", bytes.fromhex("0100000300200000000000000000000000000000a0860100"))'`,
      100_000,
    );
    expect(owners).toEqual(['ping 0:0', 'root 0:0', 'user 1000:5']);
    expect(xattrs).toEqual(['ping security.capability 0100000200200000000000000000000000000000']);
  });

  test('a random walk of changes', () => {
    const { entries } = change(
      LOWER,
      `python3 - <<'END'
import os, random, shutil
random.seed(5)
def pick():
    found = [os.path.join(d, n) for d, ds, fs in os.walk(".") for n in ds + fs]
    return random.choice(sorted(found)) if found else "."
for step in range(600):
    path = pick(); kind = random.randrange(10); other = os.path.join(os.path.dirname(pick()), "n%d" % random.randrange(20))
    isdir = os.path.isdir(path) and not os.path.islink(path)
    try:
        if kind == 0: shutil.rmtree(path) if isdir else os.remove(path)
        elif kind == 1: os.mkdir(other)
        elif kind == 2: open(other, "w").write(str(step))
        elif kind == 3: os.link(path, other, follow_symlinks=False)
        elif kind == 4: os.symlink(path, other)
        elif kind == 5: os.rename(path, other)
        elif kind == 6: os.chmod(path, random.randrange(0o1000) | 0o600, follow_symlinks=os.path.exists(path))
        elif kind == 7: os.chown(path, random.randrange(9), 0, follow_symlinks=False)
        elif kind == 8 and not isdir: open(path, "a").write("more")
        elif kind == 9: os.utime(path, (step, step), follow_symlinks=False)
    except (OSError, NotImplementedError): pass
END`,
    );
    expect(entries.length).toBeGreaterThan(10);
  });

  test('a name that a layer cannot hold', async () => {
    const upper = join(base, 'reserved');
    mkdirSync(join(upper, 'd'), { recursive: true });
    writeFileSync(join(upper, 'd/.wh.x'), '');
    const sink = new MemorySink();
    const diffing = diffLayer({ upper, lowers: [], idShift: 0, compression: { kind: 'gzip' }, sink });
    await expect(diffing).rejects.toThrow('Cannot store "d/.wh.x" in a layer');
    expect(sink.state).toBe('aborted');
  });

  test('times are cut to seconds and clamped, whiteouts have none', async () => {
    const upper = join(base, 'times');
    mkdirSync(upper);
    writeFileSync(join(upper, 'f'), '');
    const sink = new MemorySink();
    await diffLayer({ upper, lowers: [], idShift: 0, compression: { kind: 'none' }, sink, clampTime: 1_000_000 });
    expect(readTar(sink.bytes)[0]?.mtime).toEqual({ sec: 1_000_000, nsec: 0 });
  });

  test('a large file takes little memory', async () => {
    const upper = join(base, 'large');
    mkdirSync(upper);
    const fd = openSync(join(upper, 'sparse'), 'w');
    writeSync(fd, 'end', 400_000_000);
    closeSync(fd);
    let size = 0;
    const sink = new MemorySink();
    sink.write = (chunk) => {
      size += chunk.length;
    };
    const before = process.memoryUsage().rss;
    await diffLayer({ upper, lowers: [], idShift: 0, compression: { kind: 'gzip' }, sink });
    expect(size).toBeLessThan(5_000_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000);
  });
});
