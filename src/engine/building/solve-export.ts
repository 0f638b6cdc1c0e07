import type { Task } from '../../events/index.ts';
import { STDOUT } from '../../exporter/index.ts';
import type { PackingPlan } from '../../ops/index.ts';
import type { RepositoryWriters } from '../../registry/index.ts';
import { isDamageError } from '../../store/index.ts';
import { messageOf } from '../../util/index.ts';
import type { CompiledRequest } from '../compile/compile.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import { exportBuild, type ExportedBuild, type OutputRequest, packedForm } from './outputs.ts';
import { InlineCache } from '../caches/inline-cache.ts';
import { Pushes } from './pushes.ts';
import type { Session } from '../session.ts';
import { makeSpace } from '../store-space.ts';

/** A cache of another machine that takes back what turns out to be damaged. */
interface UsedCache {
  readonly damages: number;
}

/** Each attempt but the first was preceded by taking something damaged out of the store. */
const MAX_ATTEMPTS = 10;

/**
 * Solves and writes the outputs. What turns out to be damaged in the store is out of it by then: with the second attempt it is
 * fetched or made again.
 */
export async function solveAndExport(
  session: Session,
  { solving, exporting }: { readonly solving: Task; readonly exporting: Task },
  compiled: Pick<CompiledRequest, 'compiled' | 'solver'> & {
    readonly imports: readonly UsedCache[];
    /** Images get the cache of the build. */
    readonly isInline?: boolean;
    /** Those of the build. Default: of the outputs alone. */
    readonly writers?: RepositoryWriters;
  },
  plan: PackingPlan | undefined,
  output: OutputRequest,
): Promise<{ readonly layers: readonly (readonly string[])[]; readonly exported: ExportedBuild }> {
  using pushes = new Pushes(session, output.specs, compiled.writers);
  const form = packedForm(output);
  if (pushes.isAny && form !== undefined)
    session.layers.onPacked = (packed, wanted) => {
      // What is packed in another form is for somebody else.
      const isOurs = wanted.kind === form.kind && wanted.level === form.level && wanted.clampTime === undefined;
      if (isOurs) pushes.ahead(solving, packed);
    };
  const { imports } = compiled;
  let hasMadeSpace = false;
  for (let attempt = 1; ; attempt++) {
    let isStreaming = false;
    const damages = countDamages(imports);
    try {
      const layers = await solveWithImports(session, solving, compiled, plan, output);
      isStreaming = output.specs.some((spec) => 'dest' in spec && spec.dest === STDOUT);
      const inline = compiled.isInline ? new InlineCache(session, compiled.solver) : undefined;
      const into = { output, pushes, ...(inline && { inline }) };
      return { layers, exported: await exportBuild(session, exporting, compiled.compiled, layers, into) };
    } catch (error) {
      // What went to standard output cannot be taken back.
      if (solving.signal.aborted || attempt === MAX_ATTEMPTS || isStreaming) throw error;
      if (!hasMadeSpace && (await makeSpace(session, solving, error))) {
        hasMadeSpace = true;
        session.options.onWarning(
          `${messageOf(error)}. What was not used for longest was removed, and it is tried again`,
        );
        compiled.solver.reset();
        continue;
      }
      // The user was told when a cache was given up, as its layers turned out not to be there when they were to be pushed.
      const isGivenUp = countDamages(imports) > damages;
      if (!isGivenUp && !isDamageError(error)) throw error;
      if (!isGivenUp) session.options.onWarning(`${messageOf(error)}. It is made again`);
      compiled.solver.reset();
    }
  }
}

/**
 * Solves, and brings what the outputs need of imported caches, whose layers are only looked at then. When a cache turns out to be
 * damaged, what was solved with it is solved again without it.
 */
async function solveWithImports(
  session: Session,
  task: Task,
  {
    compiled,
    solver,
    imports,
  }: Pick<CompiledRequest, 'compiled' | 'solver'> & { readonly imports: readonly UsedCache[] },
  plan: PackingPlan | undefined,
  output: OutputRequest,
): Promise<readonly (readonly string[])[]> {
  // What only goes to a registry need not be here: one that has a layer is not sent it.
  const needsBlobs = output.specs.some((spec) => spec.type !== 'cacheonly' && (spec.type !== 'image' || spec.store));
  const needsFiles = output.specs.some(({ type }) => type === 'local' || type === 'tar');
  for (;;) {
    const damages = countDamages(imports);
    try {
      const layers = await solver.solve(task, compiled, plan);
      const all = layers.flat().filter((id) => session.layers.isImported(id));
      if (needsBlobs && all.length > 0)
        await withInternalVertex(task, session.now, 'fetching layers of imported caches', (vertex) =>
          session.layers.fetch(task, all, vertex),
        );
      if (needsFiles) await session.layers.directories(task, all);
      return layers;
    } catch (error) {
      if (task.signal.aborted || countDamages(imports) === damages) throw error;
      solver.reset();
    }
  }
}

/** How much of all caches was given up: what is solved without it comes to something else. */
function countDamages(imports: readonly UsedCache[]): number {
  return imports.reduce((sum, { damages }) => sum + damages, 0);
}
