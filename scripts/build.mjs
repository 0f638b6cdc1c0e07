// Builds dist/: the bundled entry points, the type declarations and the native helper.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

for (const stale of ['dist/types', 'dist/chunks']) rmSync(stale, { recursive: true, force: true });

const shared = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  // Native, or large and rarely needed: these stay packages. Everything else is one file, which starts faster.
  external: ['koffi', 'undici', 'dockerfile-ast'],
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
};

// The programs are CommonJS: there a module that is imported dynamically loads its own imports, Node's included, only then.
await build({
  ...shared,
  entryPoints: { cli: 'src/cli/main.ts', worker: 'src/worker/main.ts' },
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  define: { 'import.meta.url': 'importMetaUrl' },
  banner: { js: 'const importMetaUrl=require("node:url").pathToFileURL(__filename).href;' },
});
await build({ ...shared, entryPoints: { index: 'src/index.ts' }, outdir: 'dist', format: 'esm' });

run('tsc', ['-p', 'tsconfig.build.json']);
run('sh', ['scripts/build-native.sh']);

function run(command, args) {
  const local = `node_modules/.bin/${command}`;
  const done = spawnSync(existsSync(local) ? local : command, args, { stdio: 'inherit' });
  if (done.status !== 0) process.exit(done.status ?? 1);
}
