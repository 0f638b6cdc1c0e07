// Builds dist/: the bundled entry points, the page of reports, the type declarations and the native helper.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { directImports } from './direct-imports.mjs';
import { buildReportPage } from './report-page.mjs';
import { leanUndici } from './lean-undici.mjs';
import { buildCli } from './split-program.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

for (const stale of ['dist/types', 'dist/packages', 'dist/code']) rmSync(stale, { recursive: true, force: true });

/** Native: loaded from its path (src/sys/koffi.ts). */
const native = ['koffi'];
/** Large and rarely needed. */
const apart = ['undici', 'dockerfile-ast', 'fast-glob', 'yaml'];

const shared = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  minify: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
};

// The programs are CommonJS: there a module that is imported dynamically loads its own imports, Node's included, only then.
const program = {
  ...shared,
  format: 'cjs',
  external: native,
  // Packages apart come through the launcher's loader too, which vm's import() would not ask.
  supported: { 'dynamic-import': false },
  plugins: [
    directImports,
    {
      // A file beside the program and not a package: for what a program requires by a package's name, Node also looks in $NODE_PATH
      // and ~/.node_modules, where others may have planted something.
      name: 'apart',
      setup: (bundle) =>
        bundle.onResolve({ filter: new RegExp(`^(${apart.join('|')})$`) }, ({ path }) => ({
          path: `./packages/${path}.cjs`,
          external: true,
        })),
    },
  ],
  define: { 'import.meta.url': 'importMetaUrl' },
  banner: { js: 'const importMetaUrl=require("node:url").pathToFileURL(__filename).href;' },
};
const cli = await buildCli(program);
const worker = await build({ ...program, entryPoints: ['src/worker/main.ts'], outfile: 'dist/worker.cjs' });
const packages = await build({
  ...shared,
  entryPoints: Object.fromEntries(apart.map((name) => [name, name])),
  outdir: 'dist/packages',
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  plugins: [leanUndici],
});
// By which compiled code is tied to what it was made from, without hashing at each start: see bin/load.cjs.
for (const file of [...cli, worker, packages].flatMap(({ metafile }) => Object.keys(metafile.outputs))) {
  const text = readFileSync(file);
  writeFileSync(file, Buffer.concat([text, Buffer.from(`//${createHash('sha256').update(text).digest('hex')}`)]));
}
// In a module, a CommonJS package that requires Node's own modules cannot be bundled: there it stays a package.
const library = await build({
  ...shared,
  external: [...native, ...apart, 'tar-stream'],
  entryPoints: { index: 'src/index.ts' },
  outdir: 'dist',
  format: 'esm',
});
writeLicenses([...cli, worker, packages, library]);
await buildReportPage();

run('tsc', ['-p', 'tsconfig.build.json']);
run('sh', ['scripts/build-native.sh']);

function run(command, args) {
  const local = `node_modules/.bin/${command}`;
  const done = spawnSync(existsSync(local) ? local : command, args, { stdio: 'inherit' });
  if (done.status !== 0) process.exit(done.status ?? 1);
}

/** The licences of the packages that the bundles contain, which ask to be passed on with them. */
function writeLicenses(results) {
  const inputs = results.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  const packages = new Set(inputs.flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []));
  const texts = [...packages]
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((name) => {
      const folder = `node_modules/${name}`;
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
      if (file === undefined) throw new Error(`${name} has no licence file`);
      const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
      return `${name} ${version} (${license})\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`;
    });
  writeFileSync('dist/THIRD_PARTY_LICENSES.txt', texts.join(`\n${'-'.repeat(80)}\n\n`));
}
