import { globSync } from 'fast-glob';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CompileOptions, CompileResult } from '../../../src/frontend/index.ts';
import { parsePlatform } from '../../../src/image/index.ts';
import { compile, type World } from './support.ts';

/**
 * One folder for each case: `Dockerfile`, `golden.json` with the graph, the config and the warnings that it lowers to or the
 * error it fails with, and where needed `case.json` with options of the build and `context/` with its files.
 */
export const ROOT: string = fileURLToPath(new URL('../../../testdata/frontend/', import.meta.url));
export const cases: readonly string[] = globSync('*/Dockerfile', { cwd: ROOT })
  .map((path) => path.slice(0, path.indexOf('/')))
  .toSorted((a, b) => (a < b ? -1 : 1));

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

/** The Dockerfile of a case. */
export function dockerfileOf(name: string): string {
  return readFileSync(join(ROOT, name, 'Dockerfile'), 'utf8');
}

/** Lowers the Dockerfile of a case, or another text in its place, with the options and images of the case. */
export async function lower(name: string, text: string = dockerfileOf(name)): Promise<CompileResult> {
  const file = join(ROOT, name, 'case.json');
  const { images, platforms, buildArgs, labels, namedContexts, ...options } = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as CaseFile)
    : {};
  const context = globSync('context/**', { cwd: join(ROOT, name), dot: true });
  return compile(
    text,
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
