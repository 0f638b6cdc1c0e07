import type { ExecOp, FileOp, LlbVertex, Op, SourceOp } from '../llb/index.ts';
import type { CacheDep, CacheMap, OpRunner, SolverVertex } from '../solver/index.ts';
import { checksumTree, type Selector, selectorDigest } from '../tree/index.ts';
import { canonicalDigest, type Digest, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { OpContext } from './context.ts';
import { namesOfGiven } from './exec/exec-devices.ts';
import { execInputUse, execKey } from './exec/exec-key.ts';
import { runExec } from './exec/exec-op.ts';
import { fileInputUse, fileKey } from './file/file-key.ts';
import { runFileOp, selectorOf } from './file/file-op.ts';
import { packEarly } from './file/early-pack.ts';
import { gitMap, runGitSource } from './source/git-source.ts';
import { httpMap, runHttp } from './source/http-source.ts';
import { imageOf, platformOf } from './source/image-source.ts';
import { diffResults, mergeResults } from './merge-op.ts';
import { type OpResult, snapshot } from './result.ts';

type Vertex = SolverVertex<Op>;

/** Knows how to key and run every kind of op. */
export function createRunner(context: OpContext): OpRunner<Op, OpResult> {
  return {
    cacheMap: (task, vertex) => cacheMap(context, task, vertex),
    async exec(task, vertex, inputs) {
      const results = await exec(context, task, vertex, inputs);
      const [first] = results;
      const layer = first?.kind === 'layers' ? first.layers.at(-1) : undefined;
      if (layer !== undefined) context.packAhead(vertex.digest, layer);
      return results;
    },
    isSource: (vertex) => vertex.op.body?.kind === 'source',
  };
}

async function cacheMap(context: OpContext, task: Task, vertex: Vertex): Promise<CacheMap<OpResult>> {
  const { body } = vertex.op;
  switch (body?.kind) {
    case 'source':
      return sourceMap(context, task, vertex, body);
    case 'exec':
      return {
        digest: execKey(vertex.op, body, namesOfGiven(await context.devices.resolve(body.cdiDevices))),
        deps: vertex.inputs.map((_, index) => execDep(context, vertex, body, index)),
      };
    case 'file':
      return { digest: fileKey(body), deps: vertex.inputs.map((_, index) => fileDep(context, vertex, body, index)) };
    case 'merge':
      return {
        digest: canonicalDigest(
          'tsbuild.merge.v1',
          body.inputs.map(({ input }) => input),
        ),
        deps: vertex.inputs.map(() => ({})),
      };
    case 'diff':
      return {
        digest: canonicalDigest('tsbuild.diff.v1', [body.lower?.input ?? -1, body.upper?.input ?? -1]),
        deps: vertex.inputs.map(() => ({})),
      };
    default:
      throw unsupported(vertex);
  }
}

async function exec(
  context: OpContext,
  task: Task,
  vertex: Vertex,
  inputs: readonly OpResult[],
): Promise<readonly OpResult[]> {
  const { body } = vertex.op;
  // The store keeps it with the layer.
  const name = context.mask?.text(vertex.name) ?? vertex.name;
  switch (body?.kind) {
    case 'source':
      return [await runSource(context, task, vertex, body)];
    case 'exec':
      return runExec(context, task, vertex.digest, name, body, inputs);
    case 'file':
      return runFileOp(context, task, vertex.digest, name, body, inputs);
    case 'merge':
      return [mergeResults(body, inputs)];
    case 'diff':
      return [diffResults(body, inputs)];
    default:
      throw unsupported(vertex);
  }
}

function unsupported(vertex: Vertex): TsbuildError {
  return new TsbuildError(
    'TSB_LLB',
    `Cannot run "${vertex.name}": ops of kind ${JSON.stringify(vertex.op.body?.kind ?? 'none')} are not supported`,
  );
}

function scheme(identifier: string): string {
  return identifier.slice(0, Math.max(0, identifier.indexOf('://')));
}

async function sourceMap(
  context: OpContext,
  task: Task,
  { op, digest }: Vertex,
  source: SourceOp,
): Promise<CacheMap<OpResult>> {
  switch (scheme(source.identifier)) {
    case 'docker-image':
    case 'oci-layout': {
      const image = await imageOf(context, task, op, source);
      const key = (kind: string, digest: string): Digest =>
        canonicalDigest('tsbuild.image.v1', { kind, digest, platform: platformOf(op) });
      return {
        digest: key('manifest', image.manifestDigest),
        deps: [],
        // The same files under another name or compression are the same base (BuildKit's second phase).
        async *alternatives() {
          yield key('chain', image.chainId);
        },
      };
    }
    case 'local':
      return {
        digest: canonicalDigest('tsbuild.local.v1', [
          source.identifier,
          ...[...source.attrs].filter(([name]) => name !== 'local.session').flat(),
        ]),
        deps: [],
        volatile: true,
      };
    case 'http':
    case 'https':
      return httpMap(context, task, digest, source);
    case 'git':
      return gitMap(context, task, source);
    default:
      throw new TsbuildError(
        'TSB_LLB',
        `Cannot use source ${JSON.stringify(source.identifier)}: sources of this kind are not supported`,
      );
  }
}

async function runSource(context: OpContext, task: Task, { op, digest }: Vertex, source: SourceOp): Promise<OpResult> {
  switch (scheme(source.identifier)) {
    case 'local':
      return context.local(source.identifier.slice('local://'.length), source.attrs);
    case 'http':
    case 'https':
      return runHttp(context, task, digest, source);
    case 'git':
      return runGitSource(context, task, digest, source);
    default:
      return runImage(context, task, op, source);
  }
}

async function runImage(context: OpContext, task: Task, op: Op, source: SourceOp): Promise<OpResult> {
  const image = await imageOf(context, task, op, source);
  return snapshot(image.layers);
}

/** Content key of the selected paths of an input: from the directory for a local one, by the worker for layers. */
async function contentDigest(
  context: OpContext,
  task: Task,
  name: string,
  input: OpResult,
  selectors: readonly Selector[],
): Promise<Digest> {
  if (input.kind === 'local') return checksumTree(input.tree, selectors, 'build context');
  const layers = await context.layers.directories(task, input.layers);
  const worker = await context.worker();
  return worker.call('checksum', { layers, selectors, label: name }, { signal: task.signal });
}

function execDep(context: OpContext, vertex: Vertex, op: ExecOp, index: number): CacheDep<OpResult> {
  const use = execInputUse(op, index);
  const selectors = use.selectors.map((path): Selector => ({
    path,
    followLinks: true,
    wildcard: false,
    include: [],
    exclude: [],
    contents: false,
    required: [],
  }));
  return {
    selector: selectorDigest(selectors),
    ...(use.byContent
      ? {
          contentDigest: (task: Task, input: OpResult) =>
            contentDigest(context, task, inputName(vertex, index), input, selectors),
        }
      : {}),
  };
}

function fileDep(context: OpContext, vertex: Vertex, op: FileOp, index: number): CacheDep<OpResult> {
  const use = fileInputUse(op, index);
  if (use.base || (use.copies.length === 0 && !use.databases)) return {};
  const selectors = use.copies.map(selectorOf);
  if (use.databases) selectors.push(...['/etc/passwd', '/etc/group'].map(databaseSelector));
  return {
    selector: selectorDigest(selectors),
    async contentDigest(task, input) {
      const copy = { vertex, file: op, input: index, selectors };
      const digest = input.kind === 'local' ? await packEarly(context, task, { ...copy, tree: input.tree }) : undefined;
      return digest ?? contentDigest(context, task, inputName(vertex, index), input, selectors);
    },
  };
}

/** A wildcard, so that a missing file is no error. */
function databaseSelector(path: string): Selector {
  return {
    path: `${path.slice(0, -1)}[${path.slice(-1)}]`,
    followLinks: true,
    wildcard: true,
    include: [],
    exclude: [],
    contents: false,
    required: [],
  };
}

function inputName(vertex: Vertex, index: number): string {
  return (vertex.inputs[index]?.vertex as LlbVertex | undefined)?.name ?? `input ${index}`;
}
