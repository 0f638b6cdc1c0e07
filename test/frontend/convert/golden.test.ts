import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { CompileResult } from '../../../src/frontend/index.ts';
import { type Definition, type Json, loadGraph } from '../../../src/llb/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';
import { cases, lower, ROOT } from './golden-case.ts';
import { ops } from './support.ts';

/** `UPDATE_GOLDENS=1` writes what is made now; read the difference before committing it. */
const update = process.env['UPDATE_GOLDENS'] === '1';

function described(result: CompileResult): object {
  const [first, ...others] = result.platforms.map(({ config }, index) => ({ ops: ops(result, index), config }));
  return {
    ...first,
    ...(others.length > 0 && { others }),
    diagnostics: result.diagnostics.map(({ code, message, ranges }) => `${ranges[0]?.startLine}: ${code}: ${message}`),
  };
}

async function made(name: string): Promise<object> {
  try {
    const result = await lower(name);
    expectReadable(result);
    return described(result);
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    return { error: `${error.ranges[0]?.startLine}: ${error.code}: ${error.message}` };
  }
}

/** The graph is made of the ops as they were lowered: reading them from their bytes, as others will, must give the same. */
function expectReadable(result: CompileResult): void {
  for (const { definition, graph } of result.platforms) {
    const read = loadGraph({ def: definition.def, metadata: definition.metadata, ...source(definition) });
    if (result.platforms.length === 1) expect(read).toEqual(graph);
    // Vertices that platforms share know the lines of each of them, a definition those of its own.
    else expect(read.vertices.map(({ digest }) => digest)).toEqual(graph.vertices.map(({ digest }) => digest));
  }
}

function source({ source: mapOfSources }: Definition): Pick<Definition, 'source'> {
  return mapOfSources === undefined ? {} : { source: mapOfSources };
}

test.each(cases)('%s lowers to its golden graph and config', async (name) => {
  const file = join(ROOT, name, 'golden.json');
  const now = await made(name);
  if (update) writeFileSync(file, `${JSON.stringify(now, undefined, 1)}\n`);
  // Without a golden this fails: one is written on purpose only.
  expect(JSON.parse(JSON.stringify(now)) as Json).toEqual(JSON.parse(readFileSync(file, 'utf8')));
  expect('error' in now).toBe(name.startsWith('fails-'));
});
