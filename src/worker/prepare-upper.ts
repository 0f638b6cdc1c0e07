import { chmodSync, lutimesSync, mkdirSync, statSync } from 'node:fs';
import { AT_FDCWD, fchownat, statat } from '../sys/index.ts';
import { storeError } from '../store/index.ts';
import type { HandlerContext } from './handler-context.ts';
import type { PrepareUpperParams } from './protocol.ts';

/**
 * Makes `fs` and `work` for an overlay. The root of a mounted overlay looks like that of its upper directory, so `fs` gets the
 * attributes of the topmost layer's root.
 */
export function prepareUpper(params: PrepareUpperParams, context: HandlerContext): void {
  const { idShift } = context.config.plan;
  const top = params.lowers.at(-1);
  const [fs, work] = [`${params.dir}/fs`, `${params.dir}/work`];
  try {
    mkdirSync(params.dir, { recursive: true, mode: 0o700 });
    for (const path of [fs, work]) mkdirSync(path, { recursive: true });
    fchownat(AT_FDCWD, work, idShift, idShift);
    chmodSync(work, 0o700);
    if (top === undefined) {
      fchownat(AT_FDCWD, fs, idShift, idShift);
      chmodSync(fs, 0o755);
      return;
    }
    const root = statSync(top);
    const { uid, gid } = statat(AT_FDCWD, top);
    fchownat(AT_FDCWD, fs, uid, gid);
    chmodSync(fs, root.mode & 0o7777);
    lutimesSync(fs, root.atimeMs / 1000, root.mtimeMs / 1000);
  } catch (error) {
    throw storeError(error, `Cannot make the layer directory "${params.dir}"`, params.dir);
  }
}
