// Builds the command line as two bundles: what every start needs, and the rest, which a build that is remembered does without.
import { relative, resolve } from 'node:path';
import { build } from 'esbuild';

/** Modules that are imported when they are needed and still belong to the first bundle: a build that is remembered needs them. */
const FIRST = ['src/cli/program.ts', 'src/cli/commands/build.ts', 'src/exporter/write-image.ts'];

/**
 * Each module is in one of the two: `instanceof` would not know a class that exists twice. So the first bundle has a table of its modules,
 * from which the other takes those that it shares; and the other has one of what the first asks for.
 * @param options of esbuild, for a program
 * @returns the results of both builds
 */
export async function buildCli({ plugins, ...options }) {
  const asked = new Set();
  let modules = [];
  for (;;) {
    const first = await build({
      ...options,
      stdin: { contents: firstEntry(modules), resolveDir: '.', sourcefile: 'first.js' },
      outfile: 'dist/cli.cjs',
      external: [...options.external, './rest.cjs'],
      plugins: [elsewhere(asked), ...plugins],
    });
    const found = Object.keys(first.metafile.inputs).filter((path) => /^(src|node_modules)\//.test(path));
    // What the table names is no longer shaken from the bundle, and may itself need more.
    const added = found.filter((path) => isIn(first, path) && !modules.includes(path));
    if (added.length === 0) return [first, await buildRest({ plugins, ...options }, modules, [...asked])];
    modules = [...modules, ...added];
  }
}

function isIn({ metafile }, path) {
  return Object.values(metafile.outputs).some(({ inputs }) => (inputs[path]?.bytesInOutput ?? 0) > 0);
}

/** The table has getters: a module is evaluated when something is first taken from it. */
function firstEntry(modules) {
  const getters = modules.map((path) => `get '${path}'() { return require('./${path}'); },`);
  return `exports.modules = { ${getters.join('\n')} };\nrequire('./src/cli/main.ts');`;
}

/** What the first bundle imports dynamically is in the other one. */
function elsewhere(asked) {
  return {
    name: 'elsewhere',
    setup(bundle) {
      bundle.onResolve({ filter: /^[.a-z]/ }, async ({ path, kind, resolveDir, importer, pluginData }) => {
        if (kind !== 'dynamic-import' || pluginData === 'elsewhere') return undefined;
        const found = await bundle.resolve(path, { kind, resolveDir, importer, pluginData: 'elsewhere' });
        if (found.external) return undefined;
        const name = relative('.', found.path);
        return FIRST.includes(name) ? undefined : { path: name, namespace: 'rest' };
      });
      bundle.onLoad({ filter: /./, namespace: 'rest' }, ({ path }) => {
        asked.add(path);
        return { contents: `module.exports = require('./rest.cjs').modules['${path}'];` };
      });
      bundle.onResolve({ filter: /^\.\/rest\.cjs$/ }, ({ path }) => ({ path, external: true }));
    },
  };
}

async function buildRest({ plugins, ...options }, modules, asked) {
  const names = await exportsOf(options, modules);
  return build({
    ...options,
    stdin: { contents: restEntry(asked), resolveDir: '.', sourcefile: 'rest.js' },
    outfile: 'dist/rest.cjs',
    plugins: [fromFirst(names), ...plugins],
  });
}

function restEntry(asked) {
  const getters = asked.map((path) => `get '${path}'() { return require('./${path}'); },`);
  return `exports.modules = { ${getters.join('\n')} };`;
}

/** A shared module as the other bundle sees it: constants, so that using them costs nothing. */
function fromFirst(names) {
  return {
    name: 'from-first',
    setup(bundle) {
      bundle.onLoad({ filter: /[\\/](src|node_modules)[\\/]/ }, ({ path }) => {
        const name = relative('.', path);
        const exported = names.get(name);
        if (!exported) return undefined;
        const module = `require('./cli.cjs').modules['${name}']`;
        if (exported.length === 0) return { contents: `module.exports = ${module};` };
        return { contents: `const from = ${module};\n${exported.map(exportOf).join('\n')}` };
      });
      bundle.onResolve({ filter: /^\.\/cli\.cjs$/ }, ({ path }) => ({ path, external: true }));
    },
  };
}

function exportOf(name) {
  return name === 'default' ? 'export default from.default;' : `export const ${name} = from.${name};`;
}

/** What each module exports by name; nothing for those in CommonJS. */
async function exportsOf(options, modules) {
  const { metafile } = await build({
    ...options,
    bundle: false,
    write: false,
    logLevel: 'error',
    external: undefined,
    entryPoints: modules.map((path) => resolve(path)),
    outdir: 'dist',
    outbase: '.',
    format: 'esm',
  });
  const outputs = Object.values(metafile.outputs).filter(({ entryPoint }) => entryPoint !== undefined);
  return new Map(outputs.map(({ entryPoint, exports }) => [entryPoint, exports]));
}
