import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { projectRoot } from './support/program.ts';

/** A checkout whose tsbuild builds at once, and runs a server that listens after a while. */
function checkout(delayMs: number): string {
  const root = mkdtempSync(join(tmpdir(), 'tsbuild-quickstart-'));
  for (const dir of ['scripts', 'bin']) mkdirSync(join(root, dir));
  copyFileSync(join(projectRoot, 'scripts/quickstart.mjs'), join(root, 'scripts/quickstart.mjs'));
  writeFileSync(
    join(root, 'bin/tsbuild'),
    `#!${process.execPath}
const { writeFileSync } = require('node:fs');
const [command, ...args] = process.argv.slice(2);
if (command === 'images') console.log('docker.io/library/debian:12-slim');
if (command === 'build') writeFileSync('web.oci.tar', 'x');
if (command === 'run') {
  const port = Number(args.join(' ').match(/PORT=(\\d+)/)[1]);
  process.on('SIGINT', () => process.exit(130));
  setTimeout(() => require('node:http').createServer((_, answer) => answer.end('the page')).listen(port, '127.0.0.1'), ${delayMs});
}
`,
    { mode: 0o755 },
  );
  return root;
}

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

function start(delayMs: number): {
  readonly text: () => string;
  readonly stop: () => void;
  readonly ended: Promise<number | null>;
} {
  const root = checkout(delayMs);
  roots.push(root);
  // A group of its own, to which a terminal's Ctrl-C goes as a whole.
  const child = spawn(process.execPath, [join(root, 'scripts/quickstart.mjs')], { detached: true });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data.toString()));
  return {
    text: () => text,
    stop: () => process.kill(-(child.pid ?? 0), 'SIGINT'),
    ended: new Promise((resolve) => child.once('close', resolve)),
  };
}

test('a machine that takes more than ten seconds gets its page', { timeout: 40_000 }, async () => {
  const { text, ended } = start(11_000);
  expect(await ended, text()).toBe(0);
  expect(text()).toContain('the page');
});

test('Ctrl-C while it waits ends it, and leaves no traceback', async () => {
  const { text, stop, ended } = start(60_000);
  while (!text().includes('tsbuild run')) await sleep(20);
  await sleep(300);
  stop();
  expect(await ended).toBe(130);
  expect(text()).toContain('quickstart: stopped');
  expect(text()).not.toMatch(/^\s+at |Error|did not answer/m);
});
