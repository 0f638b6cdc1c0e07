import {
  copyFileSync,
  existsSync,
  globSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  chmodSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

/** The checkout. */
export const projectRoot: string = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

let program: string | undefined;
let remove = (): void => undefined;
afterAll(() => remove());

/**
 * The built command, in a place where every user can read it: a checkout may lie in a home directory that only its owner enters.
 * The files are the checkout's own (hard links where possible). Gone after the tests of the file.
 */
export function programPath(): string {
  if (program !== undefined) return program;
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-program-'));
  remove = () => rmSync(dir, { recursive: true, force: true });
  chmodSync(dir, 0o755);
  program = placeProgram(dir);
  return program;
}

/**
 * Puts the built command with all that it needs into a directory.
 * @param without files to leave out, by how their paths in the checkout begin
 */
export function placeProgram(dir: string, without: readonly string[] = []): string {
  for (const file of programFiles()) {
    if (without.some((start) => file.startsWith(start))) continue;
    const target = join(dir, file);
    mkdirSync(dirname(target), { recursive: true });
    place(join(projectRoot, file), target);
  }
  return join(dir, 'bin/tsbuild');
}

/** What runs when tsbuild runs: its own files, the packages that it needs, and the Node beside it. */
function programFiles(): readonly string[] {
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
  const packages = runtimePackages().flatMap((path) => [`${path}/**`, `${path}/.*`]);
  const node = ['node_modules/node-linux-*/bin/node', 'node_modules/node-linux-*/package.json'];
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
