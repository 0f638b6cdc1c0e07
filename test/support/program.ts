import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { baseImageTar } from './base-image.ts';

/** The checkout. */
export const projectRoot: string = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

let program: string | undefined;
let remove = (): void => undefined;
// Programs that are no tests are told of their end by Node alone.
if (process.env['VITEST'] === undefined) process.once('exit', () => remove());
else afterAll(() => remove());

/**
 * The built command, in a place where every user can read it: a checkout may lie in a home directory that only its owner enters.
 * The files are the checkout's own (hard links where possible). Gone after the tests of the file.
 */
export function programPath(): string {
  if (program !== undefined) return program;
  if (process.env['TSBUILD_TEST_SHARES'] !== undefined)
    throw new Error('Tests that start tsbuild need a process of their own: name the file in vitest.config.ts');
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-program-'));
  chmodSync(dir, 0o755);
  // What test files share (`shared-directory.ts`).
  const shared = process.env['TSBUILD_TEST_SHARED'];
  const used = shared === undefined ? undefined : usedProgram(shared);
  remove = () => {
    if (used !== undefined) copyCode(dir, used);
    rmSync(dir, { recursive: true, force: true });
  };
  if (used === undefined) program = placeProgram(dir);
  else {
    // Paths of its own: by them a test finds the processes that it started.
    program = placeProgram(dir, ['node_modules/']);
    symlinkSync(join(used, 'node_modules'), join(dir, 'node_modules'));
    copyCode(used, dir);
  }
  return program;
}

/** Gives an installation what compiled code another has and it has not. */
function copyCode(from: string, to: string): void {
  const [code, copies] = [join(from, 'dist/code'), join(to, 'dist/code')];
  const names = existsSync(code) ? readdirSync(code) : [];
  // What is being written has the number of its process behind its name.
  for (const name of names.filter((one) => !/\.\d+$/.test(one))) {
    mkdirSync(copies, { recursive: true, mode: 0o755 });
    try {
      linkSync(join(code, name), join(copies, name));
    } catch {
      // It is there, or came meanwhile. Without it the program starts, too.
    }
  }
}

/**
 * An installation in which the commands that tests start most have run once, with the compiled code they left: the program starts in half
 * the time, also for a user who could not write the code. Whole or not there at all. What other commands leave, each test file adds.
 */
function usedProgram(shared: string): string {
  const made = join(shared, 'program');
  if (existsSync(made)) return made;
  const making = mkdtempSync(join(shared, '.program-'));
  const path = join(making, 'program');
  const used = placeProgram(path);
  const run = (args: readonly string[], input: string | Buffer = ''): void => {
    // Where a command cannot run, tests start without its code.
    spawnSync(used, args, {
      input,
      timeout: 60_000,
      killSignal: 'SIGKILL',
      cwd: making,
      env: { PATH: process.env['PATH'], HOME: making, TSBUILD_ROOT: join(making, 'store') },
    });
  };
  const image = join(making, 'image.tar');
  writeFileSync(join(making, 'Dockerfile'), 'FROM base:1\nCOPY Dockerfile /a\nRUN cat /a > /b\n');
  run(['import', '-', '-t', 'base:1'], baseImageTar());
  run(['build', '-t', 'made:1', '-o', `type=oci,dest=${image}`, making]);
  run(['run', '--rm', 'made:1', 'true']);
  run(['save', '-o', image, 'made:1']);
  for (const args of [['images'], ['inspect', 'made:1'], ['store', 'check'], ['rmi', 'made:1'], ['prune']]) run(args);
  try {
    renameSync(path, made);
  } catch {
    // Another test file was first.
  }
  rmSync(making, { recursive: true });
  return made;
}

/**
 * Puts the built command with all that it needs into a directory.
 * @param without files to leave out, by how their paths in the checkout begin
 */
export function placeProgram(dir: string, without: readonly string[] = []): string {
  // To look for the files of packages takes longer than all else.
  for (const file of programFiles(!without.includes('node_modules/'))) {
    if (without.some((start) => file.startsWith(start))) continue;
    const target = join(dir, file);
    mkdirSync(dirname(target), { recursive: true });
    place(join(projectRoot, file), target);
  }
  return join(dir, 'bin/tsbuild');
}

/** What runs when tsbuild runs: its own files, the packages that it needs, and the Node beside it. */
function programFiles(withPackages: boolean): readonly string[] {
  if (!existsSync(join(projectRoot, 'dist/cli.cjs'))) throw new Error('The checkout is not built: run "npm run build"');
  const own = [
    'bin/**',
    'dist/**/*.cjs',
    'dist/*.js',
    'dist/report.html',
    'dist/native/**',
    'native/seccomp/**',
    'package.json',
  ];
  const packages = withPackages ? runtimePackages().flatMap((path) => [`${path}/**`, `${path}/.*`]) : [];
  const node = withPackages ? ['node_modules/node-linux-*/bin/node', 'node_modules/node-linux-*/package.json'] : [];
  return globSync([...own, ...packages, ...node], { cwd: projectRoot }).filter(
    (file) => !lstatSync(join(projectRoot, file)).isDirectory(),
  );
}

/** Paths of the packages that are not for development only, as the lock file has them. */
function runtimePackages(): readonly string[] {
  const lock = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && dev !== true && devOptional !== true)
    .map(([path]) => path)
    .filter((path) => existsSync(join(projectRoot, path)));
}

function place(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    // Another file system, or a file that may not be linked.
    copyFileSync(from, to);
  }
}
