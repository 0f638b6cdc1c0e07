import type { ExecOp } from '../../llb/index.ts';
import type { CacheDep } from '../../solver/index.ts';
import { selectorDigest } from '../../tree/index.ts';
import { contentDigest, pathSelector } from '../content-key.ts';
import { LocalLayers } from '../file/local-layers.ts';
import type { KindRunner, OpVertex } from '../kind-runner.ts';
import type { OpPieces } from '../pieces.ts';
import type { OpResult } from '../result.ts';
import { namesOfGiven } from './exec-devices.ts';
import { execInputUse, execKey } from './exec-key.ts';
import { runExec } from './exec-op.ts';
import { recordedKey } from './recorded-step.ts';

/**
 * Steps. The store keeps their names with the layers, so secrets are hidden in them.
 * @param prepareNetwork begins to make the network of steps, unless that was done
 */
export function execRunner(pieces: Omit<OpPieces, 'origins'>, prepareNetwork: () => void): KindRunner<ExecOp> {
  const { credentials, grants, recorded } = pieces;
  const own = { ...pieces, locals: new LocalLayers(pieces), prepareNetwork };
  const nameOf = ({ name }: OpVertex): string => credentials.secrets.mask?.text(name) ?? name;
  return {
    cacheMap: async (_task, vertex, exec) => ({
      digest: execKey(
        vertex.op,
        exec,
        namesOfGiven(await grants.devices.resolve(exec.cdiDevices)),
        recordedKey(recorded, vertex.digest, nameOf(vertex)),
      ),
      deps: vertex.inputs.map((_, index) => execDep(pieces, vertex, exec, index)),
    }),
    run: (task, vertex, exec, inputs) =>
      runExec(own, task, vertex.digest, nameOf(vertex), exec, vertex.op.platform, inputs),
  };
}

/**
 * How an input takes part in a step's key: by its content where nothing else of it could be seen, such as a mount
 * that is only read from.
 */
function execDep(
  pieces: Pick<OpPieces, 'snapshots' | 'report'>,
  vertex: OpVertex,
  exec: ExecOp,
  index: number,
): CacheDep<OpResult> {
  const use = execInputUse(exec, index);
  const selectors = use.selectors.map(pathSelector);
  const selector = selectorDigest(selectors);
  if (!use.byContent) return { selector };
  return {
    selector,
    contentDigest: (task, input) => contentDigest(pieces, task, { vertex, input: index, selectors }, input),
  };
}
