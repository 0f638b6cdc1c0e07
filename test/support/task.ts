import type { BuildEvent, Task } from '../../src/events/index.ts';

/** A task whose events are kept, and the controller that cancels it. */
export function testTask(): Task & { readonly seen: BuildEvent[]; readonly controller: AbortController } {
  const controller = new AbortController();
  const seen: BuildEvent[] = [];
  return { signal: controller.signal, events: (event) => seen.push(event), seen, controller };
}
