import { afterAll, beforeAll, beforeEach } from 'vitest';
import { startRegistry, type TestRegistry, type WatchedRegistry, watchRegistry } from './registry.ts';

/** A registry for a group of tests, and one that passes everything on to it and tells what that was; told anew for each test. */
export function useWatchedRegistry(): { readonly registry: TestRegistry; readonly watched: WatchedRegistry } {
  const held: { registry?: TestRegistry; watched?: WatchedRegistry } = {};
  beforeAll(async () => {
    held.registry = await startRegistry();
    held.watched = await watchRegistry(held.registry);
  });
  afterAll(async () => {
    await held.watched?.[Symbol.asyncDispose]();
    await held.registry?.[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    if (!held.watched) return;
    held.watched.requests.length = 0;
    held.watched.refuse = () => undefined;
    held.watched.hold = () => undefined;
    held.watched.delayMs = 0;
  });
  return held as { readonly registry: TestRegistry; readonly watched: WatchedRegistry };
}
