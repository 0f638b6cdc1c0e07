import { familiarReference, formatReference, parseReference, withDefaultTag } from '../image/index.ts';
import { isTsbuildError, TsbuildError } from '../util/index.ts';
import { type GitPin, type HttpPin, type ImagePin, type Pin, pinName } from './pin.ts';
import { lockedRefusals, type Refusals } from './refusals.ts';

/**
 * What a lock file means for a build. `use`: what it names is as it says, all else is asked for. `locked`: nothing is asked for.
 * `update`: everything is asked for, or only what is named.
 */
export type PinPolicy =
  | { readonly kind: 'use' }
  | { readonly kind: 'locked' }
  | { readonly kind: 'update'; readonly names?: readonly string[] };

/** What changeable names stand for in one build: as a lock file has it, and as the build found out. */
export class Pins {
  readonly #known: ReadonlyMap<string, Pin>;
  readonly #policy: PinPolicy;
  readonly #path: string;
  readonly #used = new Map<string, Pin>();
  readonly #asked = new Set<string>();
  readonly #refusals: Refusals;

  /** @param path of the lock file, for messages */
  constructor(known: Iterable<Pin> = [], policy: PinPolicy = { kind: 'use' }, path = 'tsbuild.lock') {
    this.#known = new Map([...known].map((pin) => [pinName(pin), pin]));
    this.#policy = policy;
    this.#path = path;
    this.#refusals = lockedRefusals(path);
  }

  /**
   * What an image's name stands for; undefined when that has to be asked.
   * @param ref normalised, with a tag
   * @throws TsbuildError `TSB_LOCK` when it may not be asked
   */
  image(ref: string): ImagePin | undefined {
    return this.#lookUp<ImagePin>({ type: 'docker-image', ref });
  }

  /** The same for a git reference. @param ref see `GitPin` */
  git(ref: string): GitPin | undefined {
    return this.#lookUp<GitPin>({ type: 'git', ref });
  }

  /** The same for a web address. @param ref without credentials */
  http(ref: string): HttpPin | undefined {
    return this.#lookUp<HttpPin>({ type: 'http', ref });
  }

  #lookUp<P extends Pin>(wanted: Pick<P, 'type' | 'ref'>): P | undefined {
    const name = pinName(wanted);
    this.#asked.add(name);
    const known = this.#isUpdated(wanted) ? undefined : (this.#known.get(name) as P | undefined);
    if (known !== undefined) this.#used.set(name, known);
    else if (this.#policy.kind === 'locked') throw this.#refusals.refuse(`${KINDS[wanted.type]} ${wanted.ref}`);
    return known;
  }

  /** Takes down what the build found out. */
  record(pin: Pin): void {
    this.#used.set(pinName(pin), pin);
  }

  /**
   * The failure of something that the lock file names and that cannot be had so any more: with the way out.
   * @param error of getting it
   */
  lost({ type, ref, pin }: Pin, error: unknown): unknown {
    const gone = (['TSB_NOT_FOUND', 'TSB_DIGEST', 'TSB_REGISTRY'] as const).some((code) => isTsbuildError(error, code));
    if (!gone) return error;
    return new TsbuildError(
      'TSB_LOCK',
      `Cannot use ${KINDS[type]} ${ref} as ${this.#path} has it (${pin}): ${(error as TsbuildError).message}`,
      { hint: `see what it is now with --update-lock=${type === 'docker-image' ? familiar(ref) : ref}`, cause: error },
    );
  }

  /** A failure that has to do with the lock file, so that it names everything that is missing. Others as they are. */
  explain(error: unknown): unknown {
    return this.#refusals.explain(error);
  }

  /**
   * What the lock file should say after the build: everything that was used, and where only some names were to be looked up again, all
   * others as they were.
   * @throws TsbuildError `TSB_USAGE` when a name to look up again is none of the build's
   */
  toWrite(): readonly Pin[] {
    const names = this.#policy.kind === 'update' ? this.#policy.names : undefined;
    if (names === undefined) return [...this.#used.values()];
    for (const name of names) {
      if ([...this.#asked].some((asked) => isCalled(asked, name))) continue;
      const known = [...this.#asked].map((asked) => shortName(asked)).toSorted();
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot update ${JSON.stringify(name)}: the build uses nothing of that name`,
        {
          hint: known.length === 0 ? 'it uses nothing that changes' : `it uses ${known.slice(0, 20).join(', ')}`,
        },
      );
    }
    return [...new Map([...this.#known, ...this.#used]).values()];
  }

  /** What was used and is not in the lock file. */
  unpinned(): readonly Pin[] {
    return [...this.#used].flatMap(([name, pin]) => (this.#known.has(name) ? [] : [pin]));
  }

  #isUpdated(wanted: Pick<Pin, 'type' | 'ref'>): boolean {
    if (this.#policy.kind !== 'update') return false;
    const { names } = this.#policy;
    return names === undefined || names.some((name) => isCalled(pinName(wanted), name));
  }
}

/** As people say it. */
const KINDS: Readonly<Record<Pin['type'], string>> = {
  'docker-image': 'image',
  git: 'git repository',
  http: 'web address',
};

/** Whether somebody means a pin by what was typed: an image in any of its spellings, an address with or without what follows `#`. */
function isCalled(name: string, typed: string): boolean {
  const at = name.indexOf(' ');
  const [type, ref] = [name.slice(0, at), name.slice(at + 1)];
  if (ref === typed) return true;
  if (type === 'git') return ref.split('#', 1)[0] === typed;
  if (type !== 'docker-image') return false;
  try {
    return formatReference(withDefaultTag(parseReference(typed))) === ref;
  } catch {
    return false;
  }
}

function shortName(name: string): string {
  const ref = name.slice(name.indexOf(' ') + 1);
  return name.startsWith('docker-image ') ? familiar(ref) : ref;
}

function familiar(ref: string): string {
  return familiarReference(parseReference(ref));
}
