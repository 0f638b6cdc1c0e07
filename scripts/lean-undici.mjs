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

/** An esbuild plugin: takes the place of the package's own index. */
export const leanUndici = {
  name: 'lean-undici',
  setup(build) {
    build.onResolve({ filter: /^undici$/ }, () => ({ path: 'undici', namespace: 'lean-undici' }));
    build.onLoad({ filter: /./, namespace: 'lean-undici' }, () => ({ contents: ENTRY, resolveDir: lib }));
    build.onLoad({ filter: /[\\/]undici[\\/]lib[\\/]dispatcher[\\/]client\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!text.includes(EAGER))
        throw new Error(`${path} loads HTTP/2 in another way than scripts/lean-undici.mjs knows`);
      return { contents: text.replace(EAGER, LAZY) };
    });
  },
};
