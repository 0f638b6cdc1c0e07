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

/** Starts the image and fetches a page from it, as soon as it listens. */
async function serveAndFetch() {
  const port = await freePort();
  const args = ['run', '--rm', '-e', `PORT=${port}`, `oci-archive:${archive}`];
  console.log(`\n$ ${tsbuild} ${args.join(' ')}`);
  const from = performance.now();
  const server = spawn(tsbuild, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = new Promise((resolve) => server.once('exit', (code, signal) => resolve(signal ?? code)));
  let page;
  for (let tries = 0; page === undefined && tries < 200 && server.exitCode === null; tries++) {
    page = await fetch(`http://127.0.0.1:${port}/`)
      .then((answer) => answer.text())
      .catch(() => undefined);
    if (page === undefined) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const time = seconds(from);
  server.kill('SIGINT');
  const status = await ended;
  if (page === undefined) fail(`the image did not answer on port ${port}; it ended with ${status}`);
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
