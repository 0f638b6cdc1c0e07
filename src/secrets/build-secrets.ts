import { readFileSync, statSync } from 'node:fs';
import type { BuildEvent, StepReason, Task } from '../events/index.ts';
import { type Diagnostic, fromErrno, TsbuildError } from '../util/index.ts';
import { Mask } from './mask.ts';
import { hiddenForms } from './values.ts';

/** Where the value of a secret comes from; it is read once in a build. */
export type SecretSource =
  | { readonly kind: 'file'; readonly path: string }
  /** `unset` names the variable that the value was to come from and that does not exist. */
  | { readonly kind: 'value'; readonly value: string; readonly unset?: string };

/** Largest secret, BuildKit's limit (`secretsprovider.MaxSecretSize`), wherever the value comes from. */
const MAX_SECRET_BYTES = 500 * 1024;

/** The secrets of a request. Each is read once, so that what is hidden is what the steps get. */
export class BuildSecrets {
  readonly #sources: ReadonlyMap<string, SecretSource>;
  readonly #values = new Map<string, () => Uint8Array>();
  #mask: (() => Mask | undefined) | undefined;

  constructor(sources: ReadonlyMap<string, SecretSource>) {
    this.#sources = sources;
  }

  /**
   * The value of a secret, or undefined when the request has none of that id.
   * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND`, `TSB_PERMISSION` for a file that cannot be read, each time the same
   */
  get(id: string): Uint8Array | undefined {
    const source = this.#sources.get(id);
    if (source === undefined) return undefined;
    let value = this.#values.get(id);
    if (value === undefined) {
      value = attempt(() => read(id, source));
      this.#values.set(id, value);
    }
    return value();
  }

  /** Hides the values of all secrets; undefined when there is nothing to hide. Reads those that have not been yet. */
  get mask(): Mask | undefined {
    this.#mask ??= attempt(() => this.#createMask());
    return this.#mask();
  }

  #createMask(): Mask | undefined {
    const hidden = [...this.#sources.keys()].flatMap((id) => {
      try {
        return hiddenForms(this.get(id) ?? new Uint8Array());
      } catch {
        // No step gets it. The one that asks for it says why.
        return [];
      }
    });
    return hidden.length === 0 ? undefined : new Mask(hidden);
  }
}

/** A task whose events have no secrets in their texts, which repeat what the Dockerfile says. Output of steps was masked before. */
export function maskTask(mask: Mask, { signal, events }: Task): Task {
  return { signal, events: (event) => events(maskEvent(mask, event)) };
}

/** A diagnostic without secrets. */
export function maskDiagnostic(mask: Mask, diagnostic: Diagnostic): Diagnostic {
  return { ...diagnostic, message: mask.text(diagnostic.message) };
}

function maskEvent(mask: Mask, event: BuildEvent): BuildEvent {
  switch (event.type) {
    case 'vertex':
      return {
        ...event,
        name: mask.text(event.name),
        ...(event.error === undefined ? {} : { error: mask.text(event.error) }),
      };
    case 'status':
      return { ...event, id: mask.text(event.id) };
    case 'diagnostic':
      return { ...event, diagnostic: maskDiagnostic(mask, event.diagnostic) };
    case 'reason':
      return { ...event, reason: maskReason(mask, event.reason) };
    case 'log':
    case 'usage':
      return event;
  }
}

function maskReason(mask: Mask, reason: StepReason): StepReason {
  const differences = reason.differences.map((one) => ({
    ...one,
    name: mask.text(one.name),
    ...(one.before === undefined ? {} : { before: mask.text(one.before) }),
    ...(one.after === undefined ? {} : { after: mask.text(one.after) }),
  }));
  return { ...reason, text: mask.text(reason.text), differences };
}

function attempt<T>(work: () => T): () => T {
  try {
    const value = work();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

function read(id: string, source: SecretSource): Uint8Array {
  if (source.kind === 'value') {
    const value = Buffer.from(source.value);
    if (value.length <= MAX_SECRET_BYTES) return value;
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use the value of secret ${JSON.stringify(id)}: it has more than ${MAX_SECRET_BYTES} bytes`,
    );
  }
  const doing = `Cannot read secret ${JSON.stringify(id)} from ${JSON.stringify(source.path)}`;
  try {
    const stats = statSync(source.path);
    if (!stats.isFile()) throw new TsbuildError('TSB_USAGE', `${doing}: it is not a regular file`);
    if (stats.size > MAX_SECRET_BYTES)
      throw new TsbuildError('TSB_USAGE', `${doing}: it has more than ${MAX_SECRET_BYTES} bytes`);
    return readFileSync(source.path);
  } catch (error) {
    throw fromErrno(error, doing, 'TSB_USAGE');
  }
}
