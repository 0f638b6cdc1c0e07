// Builds examples/web, writes it as an OCI archive, runs it and fetches a page from it. Prints each command and its time.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const tsbuild = 'bin/tsbuild';
const base = 'debian:12-slim';
const image = 'tsbuild-example-web';
const archive = 'web.oci.tar';

const seconds = (from) => `${((performance.now() - from) / 1000).toFixed(2)} s`;

function run(command, args, options = {}) {
  const from = performance.now();
  console.log(`\n$ ${[command, ...args].join(' ')}`);
  const done = spawnSync(command, args, { stdio: 'inherit', ...options });
  // Ctrl-C went to all of them; who typed it knows.
  if (['SIGINT', 'SIGTERM'].includes(done.signal) || [130, 143].includes(done.status)) stop();
  if (done.error) fail(`${command} could not be started: ${done.error.message}`);
  if (done.status !== 0) fail(`"${[command, ...args].join(' ')}" ended with exit code ${done.status ?? done.signal}`);
  const time = seconds(from);
  console.log(`  (${time})`);
  return time;
}

function fail(message) {
  console.error(`\nquickstart: ${message}`);
  process.exit(1);
}

/** The started image. */
let running;
/** What is to be removed at the end, however it comes. */
let temporary;
process.on('exit', () => temporary && rmSync(temporary, { recursive: true, force: true }));

/** Ctrl-C: nothing is said of where it struck. */
function stop() {
  running?.kill('SIGTERM');
  process.stderr.write('\nquickstart: stopped\n');
  process.exit(130);
}
process.on('SIGINT', stop);
process.on('SIGTERM', stop);

/** Whether Docker Hub answers; the machine may be offline. */
async function hubAnswers() {
  try {
    await fetch('https://registry-1.docker.io/v2/', { signal: AbortSignal.timeout(4000) });
    return true;
  } catch {
    return false;
  }
}

/** Makes a Debian root from Debian's packages and imports it under the name that the Dockerfile uses. */
function makeBase() {
  console.log(`\nDocker Hub cannot be reached: making ${base} from Debian packages (about a minute, once)`);
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-base-'));
  temporary = folder;
  try {
    const tar = join(folder, 'debian.tar');
    const slim = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'];
    run('mmdebstrap', [
      '--variant=minbase',
      '--quiet',
      ...slim.map((path) => `--dpkgopt=path-exclude=${path}`),
      '--aptopt=Acquire::Languages "none"',
      'bookworm',
      tar,
    ]);
    run(tsbuild, ['import', tar, '-t', base]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** ms: a machine that is busy with other things takes its time, one on which the server hangs is not waited for without end. */
const DEADLINE = 120_000;

/** The page, as soon as the server has one; undefined when it ended before, or the deadline passed. Says on a terminal what it waits for. */
async function answer(server, port, from) {
  const url = `http://127.0.0.1:${port}/`;
  const marks = '|/-\\';
  const terminal = process.stderr.isTTY === true;
  let page;
  for (let tries = 0; page === undefined && server.exitCode === null && server.signalCode === null; tries++) {
    const left = DEADLINE - (performance.now() - from);
    if (left <= 0) break;
    const status = `${marks[tries % marks.length]} waiting for ${url} (${seconds(from)}; at most ${DEADLINE / 1000} s)`;
    if (terminal) process.stderr.write(`\r${status}\u001b[K`);
    page = await fetch(url, { signal: AbortSignal.timeout(Math.min(left, 5000)) })
      .then((response) => response.text())
      .catch(() => undefined);
    if (page === undefined) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  if (terminal) process.stderr.write('\r\u001b[K');
  return page;
}

/** Starts the image and fetches a page from it, as soon as it listens. */
async function serveAndFetch() {
  const port = await freePort();
  const args = ['run', '--rm', '-e', `PORT=${port}`, `oci-archive:${archive}`];
  console.log(`\n$ ${tsbuild} ${args.join(' ')}`);
  const from = performance.now();
  const server = spawn(tsbuild, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  running = server;
  const ended = new Promise((resolve) => server.once('exit', (code, signal) => resolve(signal ?? code)));
  const page = await answer(server, port, from);
  const time = seconds(from);
  server.kill('SIGINT');
  const status = await ended;
  if (page === undefined)
    fail(`the image did not answer on port ${port} within ${DEADLINE / 1000} s; it ended with ${status}`);
  console.log(`\n$ curl http://127.0.0.1:${port}/\n${page.trim()}\n  (answered ${time} after the start)`);
  return time;
}

const images = spawnSync(tsbuild, ['images', '--format', 'json'], { encoding: 'utf8' });
if (!(images.stdout ?? '').includes(`docker.io/library/${base}`) && !(await hubAnswers())) makeBase();

const build = ['build', '-t', image, '-o', `type=oci,dest=${archive}`, 'examples/web'];
const first = run(tsbuild, build);
const second = run(tsbuild, build);
const answered = await serveAndFetch();

console.log(`
What happened
  built examples/web and wrote ${archive} (${(statSync(archive).size / 1e6).toFixed(1)} MB)   ${first}
  the same again, from the cache                    ${second}
  first answer over HTTP after "tsbuild run"        ${answered}

Next: bin/tsbuild build --help, bin/tsbuild run --help, bin/tsbuild doctor`);
