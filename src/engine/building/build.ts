import type { LlbVertex } from '../../llb/index.ts';
import { type Diagnostic, type SourceFile, type SourceRange, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { BaseTrees } from '../caches/base-trees.ts';
import { checkEntitlements } from '../compile/entitlements.ts';
import { exportCaches } from '../caches/cache-export.ts';
import { CacheRace } from '../caches/cache-race.ts';
import { importCaches, type UsedCache } from '../caches/cache-import.ts';
import { Explainer, type Solved } from '../account/explain.ts';
import { openDefinition } from '../compile/compile-definition.ts';
import { type CompiledRequest, compileRequest, type Surroundings } from '../compile/compile.ts';
import type { CompiledGraphs } from '../compiled.ts';
import { Deadline } from '../deadline.ts';
import { locateFailure } from '../failure.ts';
import { freeLeftovers } from '../leftovers.ts';
import { wantsInlineCache, warnOfInlineRequest } from '../caches/inline-cache.ts';
import { usageOf } from '../compile/foreign-graph.ts';
import { copyLocalBases } from '../compile/local-bases.ts';
import { hasNestedGraphs, withNestedGraphs } from '../compile/nested-graphs.ts';
import { retireCacheMounts } from '../mounts/fresh-mounts.ts';
import { type ExportedBuild, isImageOutput, type OutputRequest } from './outputs.ts';
import { openMountRestores, sendUsedMounts } from '../mounts/mounts-of-build.ts';
import { planPacking, resultVertices } from './pack-plan.ts';
import { planOf } from './build-plan.ts';
import { RepositoryWriters } from '../../registry/index.ts';
import { type OpenRecording, openRecording } from './recorded-network.ts';
import { StepMounts } from '../mounts/mount-names.ts';
import { keepStoreWithin } from '../store-space.ts';
import { locateRefusal, StepDevices } from '../../ops/index.ts';
import { requireRung } from '../../sandbox/index.ts';
import { withVisitedSteps } from './visited-steps.ts';
import { StepExports } from '../caches/step-export.ts';
import { StepLogs } from './step-logs.ts';
import type { RequestSolver } from '../compile/solve.ts';
import { solveAndExport } from './solve-export.ts';
import { Expectation } from './expectation.ts';
import type { BuildRequest } from '../request.ts';
import { reproducibleOutput, reproducibleRequest } from './reproducible.ts';
import { closeLock, explainRefusals, type LockOutcome, openLock } from './lock-file.ts';
import { BuildSecrets, maskDiagnostic, maskTask } from '../../secrets/index.ts';
import type { Session } from '../session.ts';
import { SourcePolicies } from '../../source-policy/index.ts';

/** Steps and base images take the worker; copying files onto scratch mostly does not. Only speed depends on it. */
const NEEDS_WORKER = /^\s*(?:RUN\s|ADD\s|FROM\s+(?!scratch\b))/im;

/** What a build gave. */
export interface BuildOutcome extends ExportedBuild {
  /** Of the results, all platforms together. */
  readonly layers: readonly string[];
  /** The same for each platform, in the order of the plan. */
  readonly results: readonly (readonly string[])[];
  readonly diagnostics: readonly Diagnostic[];
  readonly dockerfile: SourceFile;
  /** The lock file that was written, and what it says otherwise than before. */
  readonly lock?: LockOutcome;
}

/**
 * Builds a request and writes its outputs.
 * @throws BuildFailure with the place in the source, or another TsbuildError
 */
export async function runBuild(
  session: Session,
  caller: Task,
  wanted: BuildRequest,
  outputs: OutputRequest,
): Promise<BuildOutcome> {
  const request = await reproducibleRequest(wanted);
  const secrets = new BuildSecrets(request.secrets);
  const { mask } = secrets;
  using logs = new StepLogs(session.store.logs);
  using deadline = new Deadline(caller, request.timeoutMs);
  const shown = logs.watch(deadline.task);
  const task = mask === undefined ? shown : maskTask(mask, shown);
  let source: SourceFile | undefined;
  let compiled: CompiledGraphs | undefined;
  let solver: RequestSolver | undefined;
  const explainer = new Explainer(session, request, mask);
  const explained = async (failed: boolean): Promise<void> => {
    if (compiled === undefined || solver === undefined) return;
    const solved = solver;
    solver = undefined;
    const build = { vertices: verticesOf(compiled), solver: solved, caches: used.map(asked), failed };
    const explanation = await explainer.finish(task, build);
    if (explanation && request.explain) outputs.onExplained?.(explanation);
  };
  const lock = openLock(session, request);
  const expectation = new Expectation(session, request);
  const stop = new AbortController();
  const importTask: Task = { signal: AbortSignal.any([task.signal, stop.signal]), events: task.events };
  const imports = importCaches(session, importTask, request);
  // Whoever waits for it is told.
  imports.catch(() => undefined);
  const race = new CacheRace(session.registry, importTask, request.cacheTo);
  let used: readonly UsedCache[] = [];
  let recording: OpenRecording | undefined;
  const toSteps = request.cacheTo.filter((spec) => spec.type === 'steps');
  const writers = new RepositoryWriters(session.registry);
  const steps = new StepExports(session, importTask, toSteps, { imports: () => used, writers });
  const trees = new BaseTrees(session, importTask, () => used);
  const restores = openMountRestores(session, importTask, request);
  let isOut = false;
  const rung = requireRung(session.options);
  // Whoever waits for it is told.
  rung.catch(() => undefined);
  const freeing = freeLeftovers(session, task);
  try {
    await keepStoreWithin(session, task);
    const surroundings: Surroundings = {
      secrets,
      imports,
      onSource: (file) => {
        source = file;
        // The worker starts beside resolving and lowering where it is likely to be needed.
        if (expectation.isNews && request.cacheFrom.length === 0 && NEEDS_WORKER.test(file.text)) session.startWorker();
      },
    };
    const result = request.definition
      ? await openDefinition(session, task, request, request.definition, surroundings)
      : await compileRequest(session, task, request, surroundings);
    const whole = await withGraphsOfFiles(session, task, request, result);
    compiled = withVisitedSteps(withLayersAsBases(whole), request.visitor);
    for (const diagnostic of compiled.diagnostics) task.events({ type: 'diagnostic', diagnostic, at: session.now() });
    outputs.onCompiled?.(planOf(compiled, mask));
    checkCompiled(request, compiled);
    await checkDevices(session, request, compiled);
    for (const diagnostic of unsetSecrets(request, compiled))
      task.events({ type: 'diagnostic', diagnostic, at: session.now() });
    retireCacheMounts(session.store, compiled);
    recording = await openRecording(session, request, compiled, lock);
    result.solver.recorded = recording;
    const solving = explainer.watch(watched(session, task, compiled), result.solver.notes);
    // With caches of other machines there is no telling what is known.
    const isNews = expectation.isNews && request.cacheFrom.length === 0;
    const output = reproducibleOutput(request, compiled, outputs, result.imageTimes);
    const plan = planPacking(compiled, output, isNews);
    const isInline = wantsInlineCache(request);
    solver = result.solver;
    await rung;
    used = await imports;
    restores?.expect(new StepMounts(compiled));
    result.solver.travel = restores;
    result.solver.summaries = trees;
    if (toSteps.length > 0) {
      steps.expect(resultVertices(compiled), explainer.summaries(verticesOf(compiled), result.solver.notes));
      solver.onResult = (edge) => steps.offer(edge);
    }
    if (isInline) warnOfInlineRequest(session, task, request, output.specs.some(isImageOutput));
    const { layers, exported } = await solveAndExport(
      session,
      { solving, exporting: task },
      { solver, compiled, imports: used, isInline, writers },
      plan,
      output,
    );
    await Promise.all([session.layers.settle(task), freeing]);
    expectation.met();
    const locked = closeLock(session, task, request, lock, recording);
    await output.onExported?.(exported);
    // What was built is told while caches wait for answers.
    const telling = explained(false);
    try {
      if (restores) await sendUsedMounts(session, task, toSteps, restores);
      await trees.send(task, toSteps, writers);
      const caches = request.cacheTo.filter((spec) => spec.type !== 'inline');
      if (caches.length > 0)
        await exportCaches(session, task, caches, await result.solver.known(task, compiled.platforms), { race, steps });
    } finally {
      await telling;
    }
    isOut = true;
    await keepStoreWithin(session, task);
    const diagnostics =
      mask === undefined ? compiled.diagnostics : compiled.diagnostics.map((one) => maskDiagnostic(mask, one));
    return {
      ...exported,
      layers: layers.flat(),
      results: layers,
      diagnostics,
      dockerfile: compiled.dockerfile.file,
      ...(locked ? { lock: locked } : {}),
    };
  } catch (error) {
    await explained(true);
    throw locateFailure(
      explainRefusals(session, deadline.explain(error)),
      source,
      (vertex) => rangesOf(compiled, vertex),
      mask,
    );
  } finally {
    if (!isOut) await steps.settle(task);
    stop.abort(new TsbuildError('TSB_CANCELED', 'Canceled: the build has ended'));
    await Promise.all([
      imports.catch(() => undefined),
      steps.idle(),
      restores?.end(),
      recording?.[Symbol.asyncDispose](),
    ]);
    await freeing;
  }
}

/** The vertices of all graphs, inputs first. */
function verticesOf({ platforms }: CompiledGraphs): readonly LlbVertex[] {
  return [...new Set(platforms.flatMap(({ graph }) => graph.vertices))];
}

/** A cache as who explains a build sees it. */
function asked(cache: UsedCache): Solved['caches'][number] {
  return 'summaries' in cache ? { id: cache.id, summaries: () => cache.summaries() } : { id: cache.id };
}

/** The graphs with those that files of them hold, which are there only once these were built. */
async function withGraphsOfFiles(
  session: Session,
  task: Task,
  request: BuildRequest,
  { compiled, solver }: Pick<CompiledRequest, 'compiled' | 'solver'>,
): Promise<CompiledGraphs> {
  const graphs = compiled.platforms.map(({ graph }) => graph);
  if (!graphs.some(hasNestedGraphs)) return compiled;
  // What is known to be refused is, before any of it runs.
  checkCompiled(request, compiled);
  await checkDevices(session, request, compiled);
  const policies = new SourcePolicies(request.sourcePolicies);
  const whole = await withNestedGraphs({ session, task, solver, policies }, graphs);
  const platforms = compiled.platforms.map((platform, at) => ({ ...platform, graph: whole[at] ?? platform.graph }));
  return { ...compiled, platforms, usage: usageOf(whole) };
}

/** The graphs as they are solved: nothing builds on a directory of the machine. */
function withLayersAsBases(compiled: CompiledGraphs): CompiledGraphs {
  const platforms = compiled.platforms.map((platform) => ({ ...platform, graph: copyLocalBases(platform.graph) }));
  return { ...compiled, platforms };
}

/** The task, telling the witness when a step runs: what came of it is not repeated by remembering it. */
function watched(session: Session, task: Task, compiled: CompiledGraphs): Task {
  const steps = new Set(
    compiled.platforms.flatMap(({ graph }) =>
      graph.vertices
        .filter(({ op }) => op.body?.kind === 'exec' || op.body?.kind === 'file')
        .map(({ digest }) => digest),
    ),
  );
  return {
    signal: task.signal,
    events: (event) => {
      if (event.type === 'vertex' && event.state === 'started' && steps.has(event.vertex)) session.witness.refuse();
      task.events(event);
    },
  };
}

/** Where a vertex comes from. A source has no place of its own: it is named by the instruction that reads it. */
function rangesOf(compiled: CompiledGraphs | undefined, digest: string): readonly SourceRange[] {
  for (const { graph } of compiled?.platforms ?? []) {
    const vertex = graph.vertices.find((one) => one.digest === digest);
    if (!vertex) continue;
    if (vertex.ranges.length > 0 || vertex.inputs.length > 0) return vertex.ranges;
    const reads = (one: LlbVertex): boolean => one.inputs.some((input) => input.vertex.digest === digest);
    return graph.vertices.find((one) => one.ranges.length > 0 && reads(one))?.ranges ?? [];
  }
  return [];
}

/** What can be said before anything runs: violated rules, missing secrets, entitlements that were not granted. */
function checkCompiled(request: BuildRequest, compiled: CompiledGraphs): void {
  if (compiled.lintError) throw compiled.lintError;
  const [advice] = request.strict ? compiled.diagnostics.filter((one) => one.advice) : [];
  if (advice)
    throw new TsbuildError('TSB_LINT', `${advice.code}: ${advice.message}`, {
      ranges: advice.ranges,
      hint: 'without --strict this is a warning',
    });
  checkEntitlements(request.entitlements, compiled.usage);
  for (const { graph } of compiled.platforms) {
    const step = graph.vertices.find(({ op }) => op.body?.kind === 'exec' && op.platform?.os === 'windows');
    if (!step) continue;
    throw new TsbuildError(
      'TSB_DOCKERFILE',
      'Cannot run a step of a Windows image: Linux cannot run programs for Windows',
      {
        ranges: step.ranges,
        hint: 'make the files in a stage for Linux, and take them over with COPY --from',
      },
    );
  }
  for (const { id, required, ranges } of compiled.usage.secrets.values()) {
    if (!required || request.secrets.has(id)) continue;
    throw new TsbuildError('TSB_DOCKERFILE', `secret ${id}: not found`, {
      ranges,
      hint: `build with --secret id=${id},src=PATH or --secret id=${id},env=NAME`,
    });
  }
}

/** Devices are looked for and granted before anything runs, also those of steps that are in the cache, as BuildKit has it. */
async function checkDevices(session: Session, request: BuildRequest, compiled: CompiledGraphs): Promise<void> {
  const devices = new StepDevices(request.devices, () => session.devices());
  for (const { op, ranges } of compiled.platforms.flatMap(({ graph }) => graph.vertices)) {
    if (op.body?.kind !== 'exec' || op.body.cdiDevices.length === 0) continue;
    try {
      await devices.resolve(op.body.cdiDevices);
    } catch (error) {
      throw locateRefusal(error, ranges);
    }
  }
}

/** Secrets that steps get empty, because the environment lacks their variables: BuildKit says nothing about it. */
function unsetSecrets(request: BuildRequest, compiled: CompiledGraphs): readonly Diagnostic[] {
  return [...compiled.usage.secrets.values()].flatMap(({ id, ranges }): Diagnostic[] => {
    const source = request.secrets.get(id);
    if (source?.kind !== 'value' || source.unset === undefined) return [];
    const message = `Secret ${JSON.stringify(id)} is empty: the environment has no variable ${JSON.stringify(source.unset)}`;
    return [{ code: 'EmptySecret', severity: 'warning', message, ranges }];
  });
}
