import { listChanges as list, Stubs } from '../layer/index.ts';
import { BufferedOutput, RootfsTar } from '../rootfs/index.ts';
import { LayersTree, toByteString, toText } from '../tree/index.ts';
import type { FileChange, ListChangesParams } from './container-methods.ts';
import type { HandlerContext } from './handler-context.ts';
import { writeStandardOutput } from './standard-streams.ts';

/** `export`: the files of a container without what is mounted in it. Of one that runs, what is there when its turn comes. */
export function exportTree(
  { layers }: { readonly layers: readonly string[] },
  { config, signal }: HandlerContext,
): void {
  const output = new BufferedOutput(writeStandardOutput);
  const archive = new RootfsTar(output, { trees: [] }, () => signal.throwIfAborted());
  using tree = new LayersTree(layers, { idShift: config.plan.idShift });
  archive.add(tree, undefined, 'the container');
  archive.end();
  output.flush();
}

/** `diff` */
export function listChanges(
  { upper, lowers, stubs }: ListChangesParams,
  { config, signal }: HandlerContext,
): readonly FileChange[] {
  const { idShift } = config.plan;
  return list({ upper, lowers, idShift, stubs: new Stubs(stubs.map(toByteString)), signal }).map(({ kind, path }) => ({
    kind,
    path: `/${toText(path)}`,
  }));
}
