// Builds dist/: the bundled entry points, the type declarations and the native helper.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

for (const stale of ['dist/cli.js', 'dist/types']) rmSync(stale, { recursive: true, force: true });

await build({
  entryPoints: { cli: 'src/cli/main.ts', worker: 'src/worker/main.ts', index: 'src/index.ts' },
  outdir: 'dist',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  packages: 'external',
  minify: true,
  keepNames: true,
  legalComments: 'none',
  logLevel: 'warning',
});

run('tsc', ['-p', 'tsconfig.build.json']);
run('sh', ['scripts/build-native.sh']);

function run(command, args) {
  const local = `node_modules/.bin/${command}`;
  const done = spawnSync(existsSync(local) ? local : command, args, { stdio: 'inherit' });
  if (done.status !== 0) process.exit(done.status ?? 1);
}
