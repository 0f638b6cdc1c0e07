import * as fc from 'fast-check';
import { globSync } from 'fast-glob';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { applyEdits } from '../../../src/frontend/fix/index.ts';
import { parseDockerfile } from '../../../src/frontend/dockerfile/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';
import { type Case, caseOptions, hasCorpus } from '../../support/conformance-cases.ts';
import { Corpus } from '../convert/corpus.ts';
import { cases, dockerfileOf, lower } from '../convert/golden-case.ts';
import { compile, type World } from '../convert/support.ts';
import { disfigured, fixed, outcome } from './support.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SEEDS = [1, 2, 3];

/** Parses, or is nothing to fix. */
function parses(text: string): boolean {
  try {
    return parseDockerfile({ name: 'Dockerfile', text }).stages.length > 0;
  } catch (error) {
    if (isTsbuildError(error)) return false;
    throw error;
  }
}

describe('a fixed Dockerfile lowers to the same ops and config', () => {
  test.each(cases.filter((name) => parses(dockerfileOf(name))))('golden %s', async (name) => {
    const text = dockerfileOf(name);
    const before = await outcome(() => lower(name));
    for (const worse of [text, ...SEEDS.map((seed) => disfigured(text, seed))]) {
      const { text: made } = await fixed(worse);
      expect(await outcome(() => lower(name, made))).toEqual(before);
      expect((await fixed(made)).fixes).toEqual([]);
    }
  });

  const real = globSync(['testdata/real/*/Dockerfile', 'examples/*/Dockerfile'], { cwd: ROOT }).toSorted();
  /** Any image exists. */
  const images: World['images'] = new Proxy({}, { get: () => ({ Env: ['PATH=/bin', 'BASE=1'] }) });

  test.each(real)('%s', async (path) => {
    const text = readFileSync(`${ROOT}${path}`, 'utf8');
    const at = async (made: string): Promise<unknown> => outcome(() => compile(made, {}, { images }));
    const before = await at(text);
    for (const worse of [text, ...SEEDS.map((seed) => disfigured(text, seed))])
      expect(await at((await fixed(worse)).text)).toEqual(before);
  });

  test.skipIf(!hasCorpus)('every case of the conformance data', { timeout: 120_000 }, async () => {
    const corpus = new Corpus();
    let count = 0;
    for (const one of corpus.cases) {
      const text = textOf(one);
      if (text === undefined || !parses(text)) continue;
      const { text: made, fixes } = await fixed(text);
      if (fixes.length === 0) continue;
      count++;
      const at = async (source: string): Promise<unknown> =>
        outcome(() =>
          corpus.compile(one, new Map(), (given) => ({ ...given, dockerfile: { name: 'Dockerfile', text: source } })),
        );
      expect(await at(made), one.id).toEqual(await at(text));
      expect((await fixed(made)).fixes, one.id).toEqual([]);
    }
    expect(count).toBeGreaterThan(20);
  });
});

/** The Dockerfile of a case; undefined for those without one here, or with options that are refused. */
function textOf(one: Case): string | undefined {
  try {
    const { options, locals } = caseOptions(one);
    const path = `${locals.get(options.dockerfileLocal ?? 'dockerfile') ?? ''}/${options.filename ?? 'Dockerfile'}`;
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  } catch (error) {
    if (isTsbuildError(error)) return undefined;
    throw error;
  }
}

const keyword = (name: string): fc.Arbitrary<string> =>
  fc.constantFrom(name, name, name.toLowerCase(), name[0] + name.slice(1).toLowerCase());
const value = fc
  .array(
    fc.constantFrom(
      'a',
      'b c',
      ' ',
      '"',
      "'",
      '"x y"',
      "'z $V'",
      '$V',
      '${V:-d e}',
      '\\',
      '\\ ',
      '\\"',
      '=',
      '#',
      '\t',
      'ä',
      '\\\n',
      '\\\n# c\n ',
      '\\\n\n',
    ),
    {
      minLength: 1,
      maxLength: 6,
    },
  )
  .map((parts) => parts.join(''));
const word = fc.constantFrom('a', 'b-c', '$V', '"q"', '/d', 'as');
const instruction = fc.oneof(
  fc.tuple(keyword('ENV'), word, value).map(([name, key, text]) => `${name} ${key} ${text}`),
  fc.tuple(keyword('LABEL'), word, value).map(([name, key, text]) => `${name} ${key} ${text}`),
  fc.tuple(keyword('RUN'), value).map(([name, text]) => `${name} x${text}`),
  fc.tuple(keyword('RUN'), value).map(([name, text]) => `${name} <<E\n${text}\nE`),
  fc.tuple(keyword('COPY'), word, word).map(([name, from, to]) => `${name} ${from} ${to}`),
  fc.tuple(keyword('ONBUILD'), keyword('RUN'), value).map(([name, inner, text]) => `${name} ${inner} x${text}`),
  fc
    .tuple(keyword('FROM'), keyword('AS'), fc.constantFrom('s', 'T', 'u-V'))
    .map(([name, as, stage]) => `${name} scratch ${as} ${stage}`),
  fc.tuple(keyword('MAINTAINER'), value).map(([name, text]) => `${name} x${text}`),
  fc
    .tuple(keyword('CMD'), fc.constantFrom("['a', 'b c']", '["a"]', 'a', "['a'"))
    .map(([name, text]) => `${name} ${text}`),
  fc.constantFrom('# comment', '', '# check=skip=LegacyKeyValueFormat'),
);
const file = fc
  .tuple(
    fc.constantFrom('', '\uFEFF', '# escape=`\n', 'arg V=1\n'),
    fc.array(instruction, { maxLength: 6 }),
    fc.constantFrom('\n', '\r\n'),
    fc.constantFrom('', ' \\', '\n'),
  )
  .map(([head, rest, newline, end]) =>
    (head + ['FROM scratch AS first', ...rest].join('\n') + end).replaceAll('\n', newline),
  );

describe('any Dockerfile', () => {
  test('lowers to the same when it is fixed, is fixed in one go, and keeps every line that no fix names', async () => {
    let touched = 0;
    await fc.assert(
      fc.asyncProperty(file, async (text) => {
        fc.pre(parses(text));
        const { text: made, edits, fixes } = await fixed(text);
        if (fixes.length > 0) touched++;
        expect(applyEdits(text, edits)).toBe(made);
        expect(await outcome(() => compile(made))).toEqual(await outcome(() => compile(text)));
        expect((await fixed(made)).fixes).toEqual([]);
        // Characters that are there before and after, in their order: the file without what fixes may add or take away.
        const bare = (source: string): string => source.replaceAll(/[\s"\\`=]/g, '').toLowerCase();
        expect(bare(made)).toBe(bare(text));
      }),
      { numRuns: 1500 },
    );
    expect(touched).toBeGreaterThan(300);
  });

  test('still parses after unsafe fixes, which are made in one go', async () => {
    await fc.assert(
      fc.asyncProperty(file, async (text) => {
        fc.pre(parses(text));
        const { text: made } = await fixed(text, true);
        expect(parses(made)).toBe(true);
        expect(await fixed(made, true)).toMatchObject({ text: made, fixes: [], left: [] });
      }),
      { numRuns: 500 },
    );
  });
});
