/** What runs as root and as an ordinary user. Each function is called in a process of its own; results are plain JSON. */
import { Kit, type StepResult } from './kit.ts';

export async function hello(): Promise<StepResult> {
  await using kit = new Kit();
  return await kit.run('echo out; echo err >&2; exit 3');
}
