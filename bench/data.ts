import { execFileSync } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, openSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** A small generator of repeatable pseudo-random numbers in [0, 1) (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Text of about `bytes` bytes that compresses like source code. */
export function makeText(next: () => number, bytes: number): string {
  const words = Array.from({ length: 400 }, () => Math.floor(next() * 36 ** 5).toString(36));
  let text = '';
  while (text.length < bytes) text += `${words[Math.floor(next() * words.length)] ?? ''} `;
  return text.slice(0, bytes);
}

/** `count` files of `size` bytes on average, a hundred to a folder. */
export function makeContext(folder: string, count: number, size: number): void {
  const next = random(count);
  for (let i = 0; i < count; i++) {
    const parent = join(folder, String(Math.floor(i / 100)).padStart(3, '0'));
    if (i % 100 === 0) mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `f${i}.txt`), makeText(next, Math.floor(size * (0.5 + next()))));
  }
}

/** One file of `size` bytes: two thirds text, one third incompressible. */
export function makeMixedFile(file: string, size: number): void {
  const next = random(7);
  const fd = openSync(file, 'w');
  let counter = 0;
  for (let written = 0; written < size;) {
    const text = Buffer.from(makeText(next, 128 * 1024));
    const noise = Buffer.concat(
      Array.from({ length: 2048 }, () => createHash('sha256').update(String(counter++)).digest()),
    );
    written += writeSync(fd, text) + writeSync(fd, noise);
  }
  closeSync(fd);
}

/** A root file system of one static busybox, as a tar file. */
export function makeRootfs(work: string): string {
  const rootfs = join(work, 'rootfs');
  for (const folder of ['bin', 'etc', 'tmp', 'proc', 'dev', 'sys'])
    mkdirSync(join(rootfs, folder), { recursive: true });
  copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'));
  for (const name of ['sh', 'echo', 'sleep', 'cat', 'ls']) symlinkSync('busybox', join(rootfs, 'bin', name));
  const tar = join(work, 'rootfs.tar');
  execFileSync('tar', ['--numeric-owner', '--owner=0', '--group=0', '-C', rootfs, '-cf', tar, '.']);
  return tar;
}
