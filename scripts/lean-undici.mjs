// undici as tsbuild uses it: a client of HTTP. Its index evaluates fetch, web sockets, caches and mocks besides, and Node's http2 with them,
// which takes a fifth of a push that finds everything there.
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createRequire } from 'node:module';

const lib = `${dirname(createRequire(import.meta.url).resolve('undici'))}/lib`;

/** What src/registry takes of it. What is evaluated when it is first asked for has a getter. */
const ENTRY = `
const Dispatcher = require('${lib}/dispatcher/dispatcher.js');
Dispatcher.prototype.request = require('${lib}/api/api-request.js');
// A proxy is asked for a tunnel by it.
Dispatcher.prototype.connect = function (...args) { return require('${lib}/api/api-connect.js').apply(this, args); };
module.exports = {
  get Agent() { return require('${lib}/dispatcher/agent.js'); },
  get EnvHttpProxyAgent() { return require('${lib}/dispatcher/env-http-proxy-agent.js'); },
};`;

/** HTTP/2 is loaded for the first server that offers it. */
const EAGER = "const connectH2 = require('./client-h2.js')";
const LAZY = "const connectH2 = (...args) => require('./client-h2.js')(...args)";

/** The parser of HTTP/1 is one large function of WebAssembly. */
const COMPILE = /new WebAssembly\.Module\(/g;
/**
 * V8 compiles it a second time, optimized, after the second answer: 30 ms of another thread, which a process that ends before waits for. Answers
 * of registries are few, and of their bodies the parser sees no more than that they pass. Compiled at once, it is what it is by the time
 * that the flags are as they were.
 */
const COMPILE_ONCE = `
function compileOnce(bytes) {
  // V8 complains on standard error of a flag that it does not know, and what later ones know was not tried.
  if (Number.parseInt(process.versions.node, 10) > 24) return new WebAssembly.Module(bytes);
  const { setFlagsFromString } = require('node:v8');
  const flags = ['wasm-lazy-compilation', 'wasm-dynamic-tiering', 'wasm-tier-up'];
  for (const flag of flags) setFlagsFromString('--no-' + flag);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    for (const flag of flags) setFlagsFromString('--' + flag);
  }
}
`;

/**
 * Of these undici takes next to nothing, and evaluating them takes a thirtieth of a push that finds everything there: a number that Node has no
 * flag for here (bin/tsbuild), a class of which nobody makes objects, and a sentence about what cannot be.
 */
const SMALL = {
  'node:assert': `module.exports = (value, message) => {
    if (!value) throw typeof message === 'object' ? message : new Error('undici: ' + (message ?? 'something cannot be'));
  };`,
  'node:http': 'exports.maxHeaderSize = 16384;',
};

/** An esbuild plugin: takes the place of the package's own index. */
export const leanUndici = {
  name: 'lean-undici',
  setup(build) {
    build.onResolve({ filter: /^undici$/ }, () => ({ path: 'undici', namespace: 'lean-undici' }));
    build.onLoad({ filter: /./, namespace: 'lean-undici' }, () => ({ contents: ENTRY, resolveDir: lib }));
    build.onResolve({ filter: /^node:(assert|http)$/ }, ({ path, importer }) =>
      importer.includes('/undici/') ? { path, namespace: 'small' } : undefined,
    );
    build.onLoad({ filter: /./, namespace: 'small' }, ({ path }) => ({ contents: SMALL[path] }));
    build.onLoad({ filter: /[\\/]undici[\\/]lib[\\/]dispatcher[\\/]client\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!text.includes(EAGER))
        throw new Error(`${path} loads HTTP/2 in another way than scripts/lean-undici.mjs knows`);
      return { contents: text.replace(EAGER, LAZY) };
    });
    build.onLoad({ filter: /[\\/]undici[\\/]lib[\\/]dispatcher[\\/]client-h1\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (text.match(COMPILE)?.length !== 2)
        throw new Error(`${path} compiles its parser in another way than scripts/lean-undici.mjs knows`);
      return { contents: text.replace(COMPILE, 'compileOnce(') + COMPILE_ONCE };
    });
  },
};
