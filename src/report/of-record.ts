import type { Task } from '../events/index.ts';
import type { Store } from '../store/index.ts';
import { describeBuild } from './describe.ts';
import type { ReportFacts } from './facts.ts';
import { lookIntoLayers } from './layer-sizes.ts';
import type { BuildRecord } from './record.ts';

/** The facts of a build, with what the store can still say of its layers. */
export async function reportOf(store: Store, task: Task, record: BuildRecord): Promise<ReportFacts> {
  return describeBuild(record, await lookIntoLayers(store, task, record.layers));
}
