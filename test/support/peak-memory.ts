import { readdirSync, readFileSync } from 'node:fs';
import type { Running } from './bench.ts';

/** The largest resident set in kB that any process of a command has had by its end, as the kernel keeps it (`VmHWM`, proc(5)). */
export async function peakMemory({ child, ended }: Running): Promise<number> {
  let peak = 0;
  const look = (): void => {
    for (const pid of family(child.pid ?? 0)) {
      const status = read(`/proc/${pid}/status`);
      peak = Math.max(peak, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0));
    }
  };
  // A peak stays to be seen until the process ends; one at its very end may be missed.
  const timer = setInterval(look, 10);
  try {
    const { code, err } = await ended;
    if (code !== 0) throw new Error(`It ended with ${code}: ${err}`);
  } finally {
    clearInterval(timer);
  }
  return peak;
}

/** A process with all that it has started. */
function family(pid: number): readonly number[] {
  const children = threads(pid).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean),
  );
  return [pid, ...children.flatMap((child) => family(Number(child)))];
}

function threads(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Processes come and go. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
