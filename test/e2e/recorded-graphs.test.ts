import { existsSync, globSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeDefinition, encodeOp, opFromJson } from '../../src/llb/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import {
  type Case,
  caseOptions,
  cut,
  hasCorpus,
  loadCase,
  type RecordedOp,
  recordedGraphs,
  unpackCorpus,
} from '../support/conformance-cases.ts';
import { useBench } from '../support/e2e.ts';
import { identities } from '../support/identity.ts';
import { differences, recordedImage } from '../support/recorded-result.ts';
import { type ArchivedImage, readOciArchive } from '../support/tree.ts';
import { WebServer } from '../support/web-server.ts';

/** How many graphs are solved at a time. */
const AT_A_TIME = 3;

/** BuildKit asks a client only for files whose path, size or time is new to it, and got one that another case had there. */
const KEPT = 'a file of an earlier case, of the same path, size and time, is in the recorded result';
const OTHER_PLATFORM = 'graphs were recorded for linux/amd64, the result for the platform of the case';
const NO_EPOCH = 'the graph was recorded without SOURCE_DATE_EPOCH in the environment of the client';
const TRACED = 'the step writes down its environment, and had that of BuildKit’s tracing';
const DAY = 'the file has the day on which it was written';

/** Where results are not the recorded ones, and why: neither follows from the graph. */
const NOT_OF_THE_GRAPH: Readonly<Record<string, readonly [string, ...string[]]>> = {
  'buildah-bud-source-date-epoch-arg-2': [NO_EPOCH, 'SOURCE_DATE_EPOCH_AFTER: content'],
  'buildah-bud-with---layers-and-symlink-file-3': [KEPT, 'tmp/hello_world.sh: content'],
  'buildah-bud-with-source-date-epoch-env-2': [NO_EPOCH, 'SOURCE_DATE_EPOCH_AFTER: content'],
  'buildah-conformance-ci-pipeline-modified': [TRACED, 'env-contents.txt: content'],
  'buildah-conformance-dockerignore-exclude-deep-subdir-star_2': [KEPT, 'subdir/Dockerfile: content'],
  'buildah-conformance-dockerignore-exclude-kind-of-deep-subdir-star': [KEPT, 'subdir/Dockerfile: content'],
  'buildah-conformance-dockerignore-exclude-plain-star': [KEPT, 'subdir/Dockerfile: content'],
  'buildkit-ConsistentInstructionCasing-4': [KEPT, 'bar: content', 'foo: content'],
  'buildkit-ConsistentInstructionCasing-6': [KEPT, 'bar: content', 'baz: content', 'foo: content'],
  'buildkit-ConsistentInstructionCasing-8': [KEPT, 'bar: content', 'foo: content'],
  'buildkit-EmptyStringArgInEnv': [TRACED, 'env.txt: content'],
  'buildkit-MaintainBaseOSVersion-1': [OTHER_PLATFORM, 'platform: content'],
  'buildkit-MaintainBaseOSVersion-2': [
    OTHER_PLATFORM,
    'Files: missing',
    'Files/other: missing',
    'Hives: missing',
    'other: too much',
    'platform: content',
  ],
  'buildkit-PlatformArgsExplicit': [OTHER_PLATFORM, 'platform: content'],
  'kaniko-1097': [DAY, 'etc/shadow: content'],
  'kaniko-user_home': [DAY, 'etc/shadow: content', 'etc/shadow-: content'],
};

/** Graphs of repositories, which are not among the data. */
const OF_REPOSITORIES = [
  'buildkit-AddGitChecksumCache-1', 'buildkit-AddGitChecksumCache-2', 'buildkit-AddGitSHA1-2',
  'buildkit-AddGitSHA1-3', 'buildkit-AddGitSHA1-4', 'buildkit-ExcludedFilesOnCopy-2',
]; // oxfmt-ignore

/** The definition that a recorded graph is, as clients of BuildKit write it. */
function definitionOf(ops: readonly RecordedOp[]): Uint8Array {
  const digests: Digest[] = [];
  const metadata = new Map();
  const def = ops.map(({ op, name, ignoreCache }) => {
    const refs = (op['inputs'] ?? []) as readonly (readonly [number, number])[];
    const bytes = encodeOp(
      opFromJson({ ...op, inputs: refs.map(([at, output]) => ({ digest: digests[at], index: String(output) })) }),
    );
    const digest = sha256(bytes);
    digests.push(digest);
    const description = new Map(name === undefined ? [] : [['llb.customname', name]]);
    metadata.set(digest, { ignoreCache: ignoreCache ?? false, description, caps: new Map() });
    return bytes;
  });
  return encodeDefinition({ def, metadata });
}

type Graphs = ReadonlyMap<string, readonly RecordedOp[]>;

/** Whether a graph has mounts that steps of other graphs may have under the same name. */
function hasCacheMount(ops: readonly RecordedOp[]): boolean {
  return ops.some(({ op }) =>
    (op['exec'] as { mounts: readonly { mountType?: string }[] } | undefined)?.mounts.some(
      ({ mountType }) => mountType === 'CACHE',
    ),
  );
}

const groupOf = ({ group, id }: Case): string => group ?? id;

/** Groups of cases that publish images or have cache mounts: several have the same names. */
function sharingGroups(graphs: Graphs, cases: readonly Case[]): ReadonlySet<string> {
  const sharing = cases.filter(({ id, publishAs }) => publishAs !== undefined || hasCacheMount(graphs.get(id) ?? []));
  return new Set(sharing.map(groupOf));
}

/** The cases in lists that may be solved beside each other: each group in its order, and those that share names one after another. */
function inLines(cases: readonly Case[], sharing: ReadonlySet<string>): readonly (readonly Case[])[] {
  const lines = Map.groupBy(cases, (one) => (sharing.has(groupOf(one)) ? 'sharing' : groupOf(one)));
  const order = (a: Case, b: Case): number => groupOf(a).localeCompare(groupOf(b)) || (a.seq ?? 0) - (b.seq ?? 0);
  return [...lines.values()].map((line) => line.toSorted(order)).toSorted((a, b) => b.length - a.length);
}

/** Whether all graphs are solved: without it, of those with steps that differ in texts and numbers alone only one is, which takes half of the time. */
const ALL = Number(process.env['TSBUILD_FUZZ'] ?? 1) > 1;

/** What graphs have in common that differ in texts and numbers alone. */
function shapeOf(ops: readonly RecordedOp[]): string {
  return JSON.stringify(ops, (key, value: unknown) => {
    if (key === 'name' || key === 'digest') return undefined;
    return typeof value === 'string' || typeof value === 'number' ? '' : value;
  });
}

/** Whether steps of a graph are as those of one that was asked about before. */
function seenShapes(): (ops: readonly RecordedOp[]) => boolean {
  const seen = new Set<string>();
  return (ops) => {
    const shape = shapeOf(ops);
    const isSeen = seen.has(shape) && ops.some(({ op }) => 'exec' in op);
    seen.add(shape);
    return isSeen;
  };
}

/** What names the result of a graph that gives the same whenever it is solved, and everything that it is given. */
function resultKey({ publishAs, extraFlags, env }: Case, ops: readonly RecordedOp[]): string | undefined {
  const digest = ops.at(-1)?.digest;
  const isOnce = publishAs !== undefined || hasCacheMount(ops) || ops.some(({ ignoreCache }) => ignoreCache);
  return digest === undefined || isOnce ? undefined : JSON.stringify([digest, extraFlags, env]);
}

const [self] = await identities();

describe.skipIf(!hasCorpus || self === undefined)('graphs that BuildKit recorded', () => {
  const use = useBench(self ?? { name: 'root', uid: 0, gid: 0, prefix: [] }, { base: false });
  const held: { root: string; web?: WebServer } = { root: '' };
  const layers: Parameters<typeof readOciArchive>[1] = new Map();

  /** Answers as the server of a case did, whose id is first in the path. */
  const answer = (path: string): { readonly body: Uint8Array; readonly encoding?: string } | undefined => {
    const [id, rest] = cut(path.slice(1), '/');
    const one = loadCase(held.root, id);
    for (const { dir, routes } of one.http ?? []) {
      const route = routes?.[`/${rest}`];
      const file = route === undefined ? dir && join(one.dir, dir, rest) : join(one.dir, route.file);
      if (!file || !existsSync(file) || !statSync(file).isFile()) continue;
      const { contentEncoding: encoding } = route ?? {};
      return { body: readFileSync(file), ...(encoding === undefined ? {} : { encoding }) };
    }
    return undefined;
  };

  /** Images are those of these names that are here, which were made anew since; servers are the one of this test. */
  const policyFor = ({ id }: Case): string => {
    const server = `${held.web?.url}/${id}`;
    const convert = (identifier: string, to: string, more: object = {}): object => ({
      action: 'CONVERT',
      selector: { identifier, ...more },
      updates: { identifier: to },
    });
    const rules = [
      convert('^(docker-image://.*)@sha256:[0-9a-f]+$', '$1', { match_type: 'REGEX' }),
      convert('http://127.0.0.1:5081/*', `${server}/$1`),
    ]; // oxfmt-ignore
    return join(use.bench.write('policies', { [`${id}.json`]: JSON.stringify({ version: 1, rules }) }), `${id}.json`);
  };

  /** Solves a graph. @returns the image, or why there is none */
  async function solve(one: Case, ops: readonly RecordedOp[]): Promise<ArchivedImage | string> {
    const archive = use.bench.path(`${one.id}.tar`);
    const args = [...caseOptions(one).locals].flatMap(([name, dir]) => ['--local', `${name}=${dir}`]);
    const flags = one.extraFlags ?? [];
    for (const [at, flag] of flags.entries())
      if (flag === '--secret') args.push(flag, flags[at + 1]?.replaceAll('{case}', one.dir) ?? '');
    if (one.publishAs !== undefined) args.push('--load', '-t', one.publishAs);
    const env = Object.entries(one.env ?? {}).filter((entry): entry is [string, string] => entry[1] !== null);
    const { code, err } = await use.bench.tsbuild(
      ['solve', '--source-policy', policyFor(one), ...args, '-o', `type=oci,dest=${archive}`],
      { stdin: definitionOf(ops), env: Object.fromEntries(env) },
    );
    if (code !== 0) return err;
    const image = await readOciArchive(archive, layers);
    rmSync(archive);
    return image;
  }

  beforeAll(async () => {
    held.root = unpackCorpus();
    held.web = await WebServer.start((request, response) => {
      const found = answer(decodeURIComponent((request.url ?? '').replace(/\?.*/, '')));
      if (found === undefined) response.writeHead(404).end();
      else {
        const headers = found.encoding === undefined ? {} : { 'content-encoding': found.encoding };
        response.writeHead(200, headers).end(found.body);
      }
    });
    const bases = join(held.root, 'bases');
    for (const file of globSync('**/index.json', { cwd: bases })) {
      const layout = dirname(join(bases, file));
      const { manifests } = JSON.parse(readFileSync(join(bases, file), 'utf8')) as {
        manifests: { annotations: Readonly<Record<string, string>> }[];
      };
      const path = relative(bases, layout);
      const name = `docker.io/${path.includes('/') ? path : `library/${path}`}`;
      const [tag = '', ...tags] = manifests.map(
        ({ annotations }) => annotations['org.opencontainers.image.ref.name'] ?? '',
      );
      const more = tags.flatMap((other) => ['--additional-tag', `${name}:${other}`]);
      await use.bench.ok(['copy', '-q', `oci:${layout}:${tag}`, `store:${name}:${tag}`, ...more]);
    }
  }, 120_000);
  afterAll(async () => {
    await held.web?.[Symbol.asyncDispose]();
  });

  test('give the files that BuildKit gave, from one store', { timeout: 600_000 }, async () => {
    const recorded = recordedGraphs();
    const graphs = new Map([...recorded].filter(([id]) => !OF_REPOSITORIES.includes(id)));
    const cases = [...graphs.keys()].map((id) => loadCase(held.root, id));
    const sharing = sharingGroups(graphs, cases);
    const isSeen = seenShapes();
    const chosen = cases.filter(
      (one) => ALL || sharing.has(groupOf(one)) || one.id in NOT_OF_THE_GRAPH || !isSeen(graphs.get(one.id) ?? []),
    );
    const lines = inLines(chosen, sharing).values();
    const solved = new Map<string, Promise<ArchivedImage | string>>();
    const solveOnce = (one: Case): Promise<ArchivedImage | string> => {
      const ops = graphs.get(one.id) ?? [];
      const key = resultKey(one, ops) ?? one.id;
      const result = solved.get(key) ?? solve(one, ops);
      solved.set(key, result);
      return result;
    };
    const other: Record<string, readonly string[]> = {};
    const worker = async (): Promise<void> => {
      for (const line of lines)
        for (const one of line) {
          if ((one.seq ?? 1) === 1 && hasCacheMount(graphs.get(one.id) ?? []))
            await use.bench.ok(['cache', 'mounts', 'rm', '--all']);
          const image = await solveOnce(one);
          const found = typeof image === 'string' ? [image] : differences(one, image, recordedImage(held.root, one.id));
          if (found.length > 0) other[one.id] = found;
        }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
    expect(other).toEqual(
      Object.fromEntries(Object.entries(NOT_OF_THE_GRAPH).map(([id, [, ...differing]]) => [id, differing])),
    );
    expect([recorded.size, graphs.size]).toEqual([479, 479 - OF_REPOSITORIES.length]);
  });
});
