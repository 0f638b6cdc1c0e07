import { containerChanges } from '../../engine/index.ts';
import { type CliContext, printForeign } from '../context.ts';
import { withContainers } from '../containers/each-container.ts';
import { inspectTemplate } from '../lists/inspect-format.ts';
import { toJson } from '../go-template/index.ts';

/** `tsbuild diff` */
export async function diffCommand(
  context: CliContext,
  name: string,
  { format = 'table' }: { readonly format?: string },
): Promise<number> {
  const template = format === 'table' ? undefined : inspectTemplate(format);
  return withContainers(context, async ({ session, containers, signal }) => {
    const task = { signal, events: () => undefined };
    const changes = await containerChanges(session, task, containers.find(name));
    if (format === 'json') await printForeign(context, `${toJson(byKind(changes), 2)}\n`);
    else {
      const lines = changes.map((change) =>
        template ? template({ Type: change.kind, Path: change.path }) : `${change.kind} ${change.path}`,
      );
      await printForeign(context, lines.map((line) => `${line}\n`).join(''));
    }
    return 0;
  });
}

/** As `podman diff --format json` has them. */
function byKind(changes: Awaited<ReturnType<typeof containerChanges>>): Readonly<Record<string, readonly string[]>> {
  const of = (wanted: 'A' | 'C' | 'D'): readonly string[] =>
    changes.filter(({ kind }) => kind === wanted).map(({ path }) => path);
  const all = { changed: of('C'), added: of('A'), deleted: of('D') };
  return Object.fromEntries(Object.entries(all).filter(([, paths]) => paths.length > 0));
}
