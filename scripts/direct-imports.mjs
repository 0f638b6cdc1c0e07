import { readFile } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';

const STATIC = /^import \{([^}]*)\} from '([^']+\/index\.ts)';/gm;
const DYNAMIC = /const \{([^}]*)\} = await import\('([^']+\/index\.ts)'\)/g;

/** `import fs from 'node:fs'`: esbuild would copy all of such a module, property by property, for each file that says so. */
const WHOLE_BUILTIN = /^import (\w+) from '(node:(?:fs|path|process))';$/gm;

/** What is used of modules that are loaded at the first call. */
const LAZY = {
  'node:child_process': ['spawn', 'spawnSync'],
  'node:fs/promises': ['link', 'mkdir', 'open', 'readdir', 'readFile', 'rename', 'stat', 'unlink'],
  'node:net': ['BlockList', 'createConnection', 'createServer', 'isIP', 'isIPv6'],
  'node:tty': ['isatty'],
  'node:tls': ['TLSSocket', 'createSecureContext', 'getCACertificates'],
};

function lazy(module, names) {
  const functions = names.map((name) =>
    /^[A-Z]/.test(name)
      ? `export const ${name} = function (...args) { return new (load().${name})(...args); };`
      : `export const ${name} = (...args) => load().${name}(...args);`,
  );
  return `const load = () => process.getBuiltinModule('${module}');
    ${functions.join('\n')}
    export default { ${names.join(', ')} };`;
}

/**
 * An esbuild plugin: what a file imports from a folder's `index.ts` is imported from the file that defines it. In the source a
 * folder is entered by its index only (test/architecture.test.ts); in a program, where a module is evaluated when it is first
 * imported, that would evaluate the whole folder and all that it imports for the sake of one function. What starts processes is
 * loaded when the first is started (held by test/e2e/loaded-modules.test.ts).
 */
export const directImports = {
  name: 'direct-imports',
  setup(build) {
    const doors = new Map();
    const door = (path) => {
      let exports = doors.get(path);
      if (!exports) doors.set(path, (exports = readDoor(path)));
      return exports;
    };
    // Take 1 to 2 ms, which what starts no process and asks no registry need not wait for: commander, and what finds its result in the cache.
    build.onResolve({ filter: /^node:(child_process|fs\/promises|net|tls|tty)$/ }, ({ path }) => ({
      path,
      namespace: 'lazy',
    }));
    build.onLoad({ filter: /./, namespace: 'lazy' }, ({ path }) => ({ contents: lazy(path, LAZY[path] ?? []) }));
    build.onLoad({ filter: /[\\/]commander[\\/]lib[\\/].*\.js$/ }, async ({ path }) => ({
      contents: leanOption(path, askNode(await readFile(path, 'utf8'))),
    }));
    build.onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path }) => {
      let text = await readFile(path, 'utf8');
      // A door itself stays as it is: dynamic imports and the library enter by it.
      if (path.endsWith('/index.ts')) return { contents: text, loader: 'ts' };
      text = askNode(text);
      let contents = '';
      let done = 0;
      for (const match of text.matchAll(STATIC)) {
        const target = resolve(dirname(path), match[2]);
        contents += text.slice(done, match.index) + (await rewrite(match[1], target, dirname(path), door));
        done = match.index + match[0].length;
      }
      contents += text.slice(done);
      text = contents;
      for (const [statement, names, specifier] of text.matchAll(DYNAMIC)) {
        const target = resolve(dirname(path), specifier);
        contents = contents.replace(statement, await rewriteDynamic(statement, names, target, dirname(path), door));
      }
      return { contents, loader: 'ts' };
    });
  },
};

function askNode(text) {
  return text.replace(WHOLE_BUILTIN, "const $1 = globalThis.process.getBuiltinModule('$2');");
}

/** Options are declared in ASCII, and what all of Unicode has for names takes V8 half a ms to compile, at each start. */
function leanOption(path, text) {
  const names = String.raw`/\p{ID_Continue}\.\.\.[>\]]$/u`;
  if (!path.endsWith('/option.js')) return text;
  if (!text.includes(names))
    throw new Error(`${path} looks for names in another way than ${import.meta.filename} knows`);
  return text.replace(names, () => String.raw`/\w\.\.\.[>\]]$/`);
}

/** The same for `const { name } = await import(…)`, which a statement for each of several files cannot replace. */
async function rewriteDynamic(statement, names, target, from, door) {
  const exports = await door(target);
  const found = split(names).map((name) => exports.get(name));
  const [first] = found;
  const isOneFile = found.every((one, at) => one?.file === first?.file && one?.original === split(names)[at]);
  return first && isOneFile ? statement.replace(/'[^']+'/, `'./${relative(from, first.file)}'`) : statement;
}

/** One import statement per defining file, on the lines of the original, so that places in errors stay right. */
async function rewrite(names, target, from, door) {
  const exports = await door(target);
  const files = new Map();
  for (const name of split(names)) {
    if (name.startsWith('type ')) continue;
    const [imported, local = imported] = name.split(/\s+as\s+/);
    const { file, original } = exports.get(imported) ?? { file: target, original: imported };
    const specifier = relative(from, file);
    const list = files.get(specifier) ?? [];
    list.push(original === local ? local : `${original} as ${local}`);
    files.set(specifier, list);
  }
  const statements = [...files].map(([file, list]) => `import { ${list.join(', ')} } from './${file}';`);
  return statements.join(' ') + '\n'.repeat(names.split('\n').length - 1);
}

/** What an `index.ts` exports: the file and the name there, by the name outside. It consists of `export … from` alone. */
async function readDoor(path) {
  const exports = new Map();
  const text = await readFile(path, 'utf8');
  for (const [, specifier] of text.matchAll(/^export \* from '([^']+)';/gm)) {
    const file = resolve(dirname(path), specifier);
    for (const [, name] of (await readFile(file, 'utf8')).matchAll(/^export (?:const|function|class) (\w+)/gm))
      exports.set(name, { file, original: name });
  }
  for (const [, names, specifier] of text.matchAll(/^export \{([^}]*)\} from '([^']+)';/gm)) {
    for (const name of split(names)) {
      if (name.startsWith('type ')) continue;
      const [original, outside = original] = name.split(/\s+as\s+/);
      exports.set(outside, { file: resolve(dirname(path), specifier), original });
    }
  }
  return exports;
}

function split(names) {
  return names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
