import { globSync } from 'fast-glob';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { CompileOptions, CompileResult } from '../../../src/frontend/index.ts';
import { type Definition, type Json, loadGraph } from '../../../src/llb/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';
import { parsePlatform } from '../../../src/image/index.ts';
import { compile, ops, type World } from './support.ts';

/**
 * One folder for each case: `Dockerfile`, `golden.json` with the graph, the config and the warnings that it lowers to or the
 * error it fails with, and where needed `case.json` with options of the build and `context/` with its files.
 */
const ROOT = fileURLToPath(new URL('../../../testdata/frontend/', import.meta.url));
const cases = globSync('*/Dockerfile', { cwd: ROOT })
  .map((path) => path.slice(0, path.indexOf('/')))
  .toSorted((a, b) => (a < b ? -1 : 1));

/** `UPDATE_GOLDENS=1` writes what is made now; read the difference before committing it. */
const update = process.env['UPDATE_GOLDENS'] === '1';

type Texts = Readonly<Record<string, string>>;

/** What `case.json` may hold, with maps as plain objects. */
interface CaseFile extends Partial<
  Omit<CompileOptions, 'platforms' | 'buildArgs' | 'labels' | 'namedContexts' | 'buildPlatform' | 'context'>
> {
  /** Default: `linux/arm64`, which is not what the build runs on. */
  readonly platforms?: readonly string[];
  readonly buildArgs?: Texts;
  readonly labels?: Texts;
  readonly namedContexts?: Texts;
  /** Configs of base images; `alpine` and `parent`, which has triggers, are always there. */
  readonly images?: World['images'];
}

const map = (texts: Texts | undefined): Map<string, string> => new Map(Object.entries(texts ?? {}));

async function lower(name: string): Promise<CompileResult> {
  const file = join(ROOT, name, 'case.json');
  const { images, platforms, buildArgs, labels, namedContexts, ...options } = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as CaseFile)
    : {};
  const context = globSync('context/**', { cwd: join(ROOT, name), dot: true });
  return compile(
    readFileSync(join(ROOT, name, 'Dockerfile'), 'utf8'),
    {
      ...options,
      platforms: (platforms ?? ['linux/arm64']).map((text) => parsePlatform(text)),
      buildArgs: map(buildArgs),
      labels: map(labels),
      namedContexts: map(namedContexts),
    },
    {
      images: { 'docker.io/library/parent:latest': { OnBuild: ['COPY . /src', 'RUN build'] }, ...images },
      files: Object.fromEntries(context.map((path) => [path, readFileSync(join(ROOT, name, path), 'utf8')])),
    },
  );
}

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
