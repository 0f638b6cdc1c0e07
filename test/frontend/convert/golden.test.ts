import { globSync } from 'fast-glob';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type Definition, loadGraph } from '../../../src/llb/index.ts';
import { compile, config, ops } from './support.ts';

const ROOT = fileURLToPath(new URL('../../../testdata/frontend/', import.meta.url));
/** Every folder with a Dockerfile is a case. */
const casesWithDockerfile = globSync('*/Dockerfile', { cwd: ROOT })
  .map((path) => path.slice(0, path.indexOf('/')))
  .toSorted((a, b) => (a < b ? -1 : 1));

function source({ source: map }: Definition): Pick<Definition, 'source'> {
  return map === undefined ? {} : { source: map };
}

/** `UPDATE_GOLDENS=1` writes what is made now; read the difference before committing it. */
const update = process.env['UPDATE_GOLDENS'] === '1';

test.each(casesWithDockerfile)('%s lowers to its golden graph and config', async (name) => {
  const text = readFileSync(join(ROOT, name, 'Dockerfile'), 'utf8');
  const images = { 'docker.io/library/parent:latest': { OnBuild: ['COPY . /src', 'RUN build'] } };
  const result = await compile(text, { platforms: [{ os: 'linux', architecture: 'arm64' }] }, { images });
  const file = join(ROOT, name, 'golden.json');
  const made = {
    ops: ops(result),
    config: config(result),
    diagnostics: result.diagnostics.map(({ code, message, ranges }) => `${ranges[0]?.startLine}: ${code}: ${message}`),
  };
  if (update || !existsSync(file)) writeFileSync(file, `${JSON.stringify(made, undefined, 1)}\n`);
  expect(JSON.parse(JSON.stringify(made))).toEqual(JSON.parse(readFileSync(file, 'utf8')));
  // The graph is made of the ops as they were lowered: reading them from their bytes, as others will, must give the same.
  for (const { definition, graph } of result.platforms) {
    expect(graph.vertices.length).toBeGreaterThan(0);
    expect(loadGraph({ def: definition.def, metadata: definition.metadata, ...source(definition) })).toEqual(graph);
  }
});
