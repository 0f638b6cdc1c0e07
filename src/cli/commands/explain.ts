import { resolve } from 'node:path';
import { storedExplanation } from '../../engine/index.ts';
import { type Explanation, explanationFacts, renderExplanation } from '../../explain/index.ts';
import { Store } from '../../store/index.ts';
import { sanitizeLine, TsbuildError } from '../../util/index.ts';
import { type CliContext, print } from '../context.ts';
import { storeRoot } from '../store-root.ts';
import { formatAge } from '../lists/table.ts';

interface ExplainOptions {
  readonly context?: string;
  readonly target?: string;
  readonly format: 'text' | 'json';
}

/** `tsbuild explain [STEP]`: why the steps of the last build ran or did not. Builds nothing, and needs no context. */
export async function explainCommand(
  context: CliContext,
  step: string | undefined,
  options: ExplainOptions,
): Promise<number> {
  using store = Store.open(storeRoot(context), {
    now: context.now,
    onWarning: ({ message }) => context.stderr.write(`warning: ${sanitizeLine(message)}\n`),
  });
  const all = findBuild(context, store, options);
  const wanted = step === undefined ? all : onlyStep(all, step);
  const text =
    options.format === 'json'
      ? `${JSON.stringify(explanationFacts(wanted), undefined, 2)}\n`
      : `${titleOf(context, all)}${renderText(context, wanted, { single: step !== undefined })}`;
  await print(context, text);
  return 0;
}

/** An explanation as the build shows it. */
export function renderText(
  { now }: CliContext,
  explanation: Explanation,
  options: { readonly single?: boolean } = {},
): string {
  return renderExplanation(explanation, { ...options, age: (at) => formatAge(now() - at) });
}

function titleOf({ now }: CliContext, { lineage, at }: Explanation): string {
  const { context, dockerfile, target } = lineage;
  const of = target === '' ? '' : `, target ${target}`;
  return `${sanitizeLine(`${context} (${dockerfile}${of}), ${formatAge(now() - at)}`, 1000)}\n`;
}

/** @throws TsbuildError `TSB_NOT_FOUND` when nothing is known of such a build */
function findBuild({ cwd }: CliContext, store: Store, { context, target }: ExplainOptions): Explanation {
  const found = storedExplanation(store, ({ lineage }) => {
    const isContext = context === undefined || [context, resolve(cwd, context)].includes(lineage.context);
    return isContext && (target === undefined || lineage.target === target);
  });
  if (found !== undefined) return found;
  const what = context === undefined && target === undefined ? 'no build' : 'no such build';
  throw new TsbuildError('TSB_NOT_FOUND', `Cannot explain: the store knows of ${what}`, {
    hint: 'build it first, with --explain to be told at once; "tsbuild prune" forgets builds with their results',
  });
}

/** @throws TsbuildError `TSB_NOT_FOUND` */
function onlyStep(explanation: Explanation, wanted: string): Explanation {
  const isNumber = /^\d+$/.test(wanted);
  const steps = explanation.steps.filter(({ name, place = '', kind }) =>
    kind === 'local' || wanted === '' ? false : isNumber ? place.endsWith(`:${wanted}`) : name.includes(wanted),
  );
  if (steps.length > 0) return { ...explanation, steps };
  throw new TsbuildError('TSB_NOT_FOUND', `Cannot explain step ${JSON.stringify(wanted)}: the build had none like it`, {
    hint: 'name a line of the Dockerfile or a part of the instruction; "tsbuild explain" lists the steps',
  });
}
