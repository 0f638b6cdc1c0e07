import { readdirSync } from 'node:fs';
import {
  canMakeEntries,
  copyAll,
  type FileInput,
  runFileActions,
  type WritableRoot,
  writeFileOpDirectory,
  writeFileOpLayer,
} from '../fileop/index.ts';
import { AT_FDCWD, fchownat } from '../sys/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { HandlerContext } from './handler-context.ts';
import { layerSink } from './layer-sink.ts';
import type { FileOpCall, FileOpOutcome, PackedFileOp, PackFileOpCall } from './layer-methods.ts';
import { prepareUpper } from './prepare-upper.ts';
import { mountStack } from './stack-mounts.ts';

/**
 * Runs a file op with a mount for each tree that it changes. Slots are taken in the order in which trees are begun,
 * which is that of the actions.
 */
export async function fileOp(params: FileOpCall, context: HandlerContext): Promise<FileOpOutcome> {
  const { config, signal } = context;
  const { actions, inputs, now } = params;
  const op = { actions, inputs, now, idShift: config.plan.idShift, idCount: config.plan.idCount };
  const [slot] = params.slots;
  if (slot && canMakeEntries(actions, inputs)) {
    const base = inputs[actions[0]?.input ?? -1];
    prepareUpper({ dir: slot.dir, lowers: base?.kind === 'layers' ? base.layers : [] }, context);
    const made = await writeFileOpDirectory(op, slot.fs, { signal });
    if (made) return { outputs: [{ lowers: made.lowers, layer: slot.fs }], warnings: made.warnings };
  }
  const free = [...params.slots];
  const createRoot = (lowers: readonly string[]): WritableRoot => {
    const slot = free.shift();
    if (!slot) throw new TsbuildError('TSB_INTERNAL', 'A file operation makes more layers than were prepared');
    prepareUpper({ dir: slot.dir, lowers }, context);
    if (lowers.length === 0)
      return { path: slot.fs, layer: slot.fs, freeze: () => undefined, discard: () => undefined };
    const stack = mountStack(config, lowers, { fs: slot.fs, work: slot.work });
    // A tree that is read by a later action is unmounted first: its upper directory must not change any more.
    const unmount = (): void => stack[Symbol.dispose]();
    return { path: stack.path, layer: slot.fs, freeze: unmount, discard: unmount };
  };
  const { outputs, warnings } = await runFileActions(op, { createRoot }, { signal });
  return {
    outputs: outputs.map(({ lowers, root }) => ({ lowers, layer: root.layer })),
    warnings,
  };
}

/** Writes the layer of a file op as a blob, from its sources and without a directory in between. */
export async function packFileOp(params: PackFileOpCall, context: HandlerContext): Promise<PackedFileOp | undefined> {
  const { actions, inputs, now } = params;
  const written = await writeFileOpLayer(
    { actions, inputs, now, idShift: context.config.plan.idShift },
    layerSink(context),
    {
      compression: params.compression,
      signal: context.signal,
      learn: params.learn ?? false,
      ...(params.clampTime === undefined ? {} : { clampTime: params.clampTime }),
    },
  );
  if (!written) return undefined;
  const { diffId, digest, size, warnings, learned } = written;
  return { diffId, digest, size, warnings, learned };
}

/** Copies a layer stack into the directory of a cache mount that is empty; the step's root owns a new one. */
export async function prepareCacheMount(
  params: { readonly dir: string; readonly lowers: readonly string[] },
  context: HandlerContext,
): Promise<void> {
  const { dir, lowers } = params;
  const { plan } = context.config;
  if (readdirSync(dir).length > 0) return;
  // A new directory belongs to the step's root.
  fchownat(AT_FDCWD, dir, plan.idShift, plan.idShift);
  if (lowers.length === 0) return;
  const input: FileInput = { kind: 'layers', layers: lowers };
  // The directory itself is the tree: there is nothing to mount, and nothing to give up.
  const root: WritableRoot = { path: dir, layer: dir, freeze: () => undefined, discard: () => undefined };
  await runFileActions(
    { actions: [{ ...copyAll, output: 0 }], inputs: [input], now: 0n, idShift: plan.idShift, idCount: plan.idCount },
    { createRoot: () => root },
    { signal: context.signal },
  );
}
