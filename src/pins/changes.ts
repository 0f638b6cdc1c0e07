import { type Pin, pinName } from './pin.ts';

/** One difference between two lock files. */
export interface PinChange {
  readonly type: Pin['type'];
  readonly ref: string;
  /** What it stood for; undefined when it was not there. */
  readonly before?: string;
  /** What it stands for now; undefined when the build does not use it any more. */
  readonly after?: string;
}

/** What a new lock file says otherwise than the old one, in its order. */
export function changesOf(before: Iterable<Pin>, after: Iterable<Pin>): readonly PinChange[] {
  const old = new Map([...before].map((pin) => [pinName(pin), pin]));
  const fresh = new Map([...after].map((pin) => [pinName(pin), pin]));
  return [...new Set([...old.keys(), ...fresh.keys()])].toSorted().flatMap((name): PinChange[] => {
    const [was, is] = [old.get(name), fresh.get(name)];
    const pin = is ?? was;
    if (pin === undefined || was?.pin === is?.pin) return [];
    const { type, ref } = pin;
    return [{ type, ref, ...(was ? { before: was.pin } : {}), ...(is ? { after: is.pin } : {}) }];
  });
}

/** The changes as lines for people: `+` new, `-` gone, `~` another one. */
export function describeChanges(changes: readonly PinChange[]): readonly string[] {
  return changes.map(({ ref, before, after }) => {
    if (before === undefined) return `+ ${ref} ${short(after ?? '')}`;
    if (after === undefined) return `- ${ref} ${short(before)}`;
    return `~ ${ref} ${short(before)} -> ${short(after)}`;
  });
}

/** Enough of a digest or commit to tell it from others. */
function short(pin: string): string {
  return pin.replace(/^sha256:/, '').slice(0, 12);
}
