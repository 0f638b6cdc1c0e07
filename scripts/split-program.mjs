// Builds the command line as bundles, so that a start reads no more than it is likely to need: what is in a bundle costs time even unused.
import { relative, resolve } from 'node:path';
import { build } from 'esbuild';

/**
 * In this order; a module is in the first bundle that needs it.
 * - entry: what is run.
 * - whole: modules that are imported when they are needed and still belong to the bundle, with all that they import at once.
 */
const BUNDLES = [
  // What every start needs, and a build that is remembered.
  {
    name: 'cli',
    entry: 'src/cli/main.ts',
    whole: ['src/cli/program.ts', 'src/cli/commands/build.ts', 'src/exporter/write-image.ts'],
  },
  // What starts something in a container and waits for it.
  { name: 'run', whole: ['run', 'run-kept', 'create', 'exec', 'start'].map((name) => `src/cli/commands/${name}.ts`) },
  // All else.
  { name: 'rest' },
];

/**
 * Each module is in one bundle only: `instanceof` would not know a class that exists twice. So each bundle has a table of its modules, from
 * which others take what they share with it or import dynamically.
 * @param options of esbuild, for a program
 * @returns the results of all builds
 */
export async function buildCli(options) {
  const results = [];
  // By module: the bundle that has it, and the names of what it exports.
  const placed = new Map();
  const asked = new Set();
  for (const bundle of BUNDLES) {
    const { result, exported } = await buildOne(bundle, options, placed, asked);
    for (const [module, names] of exported) placed.set(module, { bundle: bundle.name, exported: names });
    results.push(result);
  }
  return results;
}

/** @param asked gets the modules that are imported dynamically and have no bundle yet */
async function buildOne({ name, entry, whole }, { plugins, ...options }, placed, asked) {
  let modules = whole ?? [...asked];
  const isLast = name === BUNDLES.at(-1).name;
  for (;;) {
    const exported = await exportsOf(options, modules);
    const result = await build({
      ...options,
      stdin: { contents: entryOf(modules, entry), resolveDir: '.', sourcefile: `${name}.js` },
      outfile: `dist/${name}.cjs`,
      external: [...options.external, ...BUNDLES.map((other) => `./${other.name}.cjs`)],
      plugins: [
        ...(isLast ? [] : [elsewhere(modules, placed, asked)]),
        fromOthers(placed),
        tabled(exported),
        ...plugins,
      ],
    });
    const found = Object.keys(result.metafile.inputs).filter((path) => /^(src|node_modules)\//.test(path));
    const added = found.filter((path) => !placed.has(path) && !modules.includes(path) && isIn(result, path));
    // What the table names is no longer shaken from the bundle, and may itself need more. The last has to share nothing.
    if (isLast || added.length === 0) return { result, exported };
    modules = [...modules, ...added];
  }
}

function isIn({ metafile }, path) {
  return Object.values(metafile.outputs).some(({ inputs }) => (inputs[path]?.bytesInOutput ?? 0) > 0);
}

/** The table has getters: a module is evaluated when something is first taken from it. */
function entryOf(modules, entry) {
  const getters = modules.map((path) => `get '${path}'() { return require('tabled:${path}'); },`);
  return `exports.modules = { ${getters.join('\n')} };\n${entry === undefined ? '' : `require('./${entry}');`}`;
}

/**
 * A module as the table gives it: an object with what it exports, made when it is asked for. What `require` of the module itself gives
 * has a getter for each export, all of which are made when the bundle is loaded: 2 ms of a start.
 */
function tabled(exported) {
  return {
    name: 'tabled',
    setup(bundle) {
      bundle.onResolve({ filter: /^tabled:/ }, ({ path }) => ({
        path: path.slice('tabled:'.length),
        namespace: 'tabled',
      }));
      bundle.onLoad({ filter: /./, namespace: 'tabled' }, ({ path }) => {
        const names = exported.get(path);
        const contents =
          names.length === 0
            ? `module.exports = require('./${path}');`
            : `import { ${names.map((name, at) => `${name} as _${at}`).join(', ')} } from './${path}';
               module.exports = { __esModule: true, ${names.map((name, at) => `'${name}': _${at}`).join(', ')} };`;
        return { contents, resolveDir: '.' };
      });
    },
  };
}

/** What is imported dynamically is in another bundle: an earlier one, one of those that name it, or the last. */
function elsewhere(whole, placed, asked) {
  return {
    name: 'elsewhere',
    setup(bundle) {
      bundle.onResolve({ filter: /^[.a-z]/ }, async ({ path, kind, resolveDir, importer, pluginData }) => {
        if (kind !== 'dynamic-import' || pluginData === 'elsewhere' || path.startsWith('node:')) return undefined;
        const found = await bundle.resolve(path, { kind, resolveDir, importer, pluginData: 'elsewhere' });
        if (found.external) return undefined;
        const name = relative('.', found.path);
        return whole.includes(name) || placed.has(name) ? undefined : { path: name, namespace: 'elsewhere' };
      });
      bundle.onLoad({ filter: /./, namespace: 'elsewhere' }, ({ path }) => {
        const named = BUNDLES.find((other) => other.whole?.includes(path));
        if (named === undefined) asked.add(path);
        return { contents: `module.exports = ${moduleOf(named ?? BUNDLES.at(-1), path)};` };
      });
    },
  };
}

/** A module of an earlier bundle as others see it: constants, so that using them costs nothing. */
function fromOthers(placed) {
  return {
    name: 'from-others',
    setup(bundle) {
      bundle.onLoad({ filter: /[\\/](src|node_modules)[\\/]/, namespace: 'file' }, ({ path }) => {
        const module = relative('.', path);
        const place = placed.get(module);
        if (place === undefined) return undefined;
        const from = moduleOf({ name: place.bundle }, module);
        if (place.exported.length === 0) return { contents: `module.exports = ${from};` };
        return { contents: `const from = ${from};\n${place.exported.map(exportOf).join('\n')}` };
      });
    },
  };
}

function moduleOf({ name }, path) {
  return `require('./${name}.cjs').modules['${path}']`;
}

function exportOf(name) {
  return name === 'default' ? 'export default from.default;' : `export const ${name} = from.${name};`;
}

/** What each module exports by name; nothing for those in CommonJS. */
async function exportsOf(options, modules) {
  const { metafile } = await build({
    ...options,
    plugins: [],
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
  const names = new Map(outputs.map(({ entryPoint, exports }) => [entryPoint, exports]));
  return new Map(modules.map((path) => [path, names.get(path) ?? []]));
}
