import { mkdirSync, chownSync, readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import type { Bench, Outcome, Running } from '../../support/bench.ts';
import { expectFailure } from '../../support/sound.ts';
import { readOciArchive } from '../../support/tree.ts';
import { until } from '../../support/until.ts';
import { isLong, seed } from './options.ts';

/**
 * Stages side by side, a cache mount, a step that leaves a process behind, layers from COPY and RUN. The last step reads every byte
 * beneath it and writes down what it saw, so that a changed file of any layer shows in the image.
 */
const dockerfile = (mark: string): string => `FROM base:1 AS a
ENV MARK=${mark}
COPY many /many
RUN cat /many/* > /a && dd if=/dev/zero of=/large bs=64k count=4 2>/dev/null

FROM base:1 AS b
ENV MARK=${mark}
RUN --mount=type=cache,target=/cache (setsid sleep 31 &) ; echo b > /b; touch /cache/x

FROM base:1
ENV MARK=${mark}
COPY --from=a /a /large /many /seen/
COPY --from=b /b /seen/
COPY late /seen/late
RUN chown alice /seen/b && ln -s late /seen/link && rm /seen/1
ARG TAIL
RUN find /bin /etc /seen | sort | xargs stat -c '%N %F %a %u %g' > /said && find /bin /etc /seen -type f | sort | xargs sha256sum >> /said
`;

/** A store that is built in, harmed, and built in again. */
export class Rig {
  readonly bench: Bench;
  readonly #context: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #failures: string[] = [];
  #attempts = 0;
  #stores = 0;
  #tail = 0;
  #reference: unknown;

  private constructor(bench: Bench) {
    this.bench = bench;
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`many/${at}`, `${at}\n`.repeat(50)]));
    this.#context = bench.context(dockerfile(bench.mark), { ...many, late: 'late\n' });
    this.#env = { TMPDIR: bench.path('temporary') };
    mkdirSync(bench.path('temporary'));
    if (bench.who.prefix.length > 0) chownSync(bench.path('temporary'), bench.who.uid, bench.who.gid);
  }

  /** A rig whose store has seen the build once, in sound circumstances: what it made is what every later build must make. */
  static async make(bench: Bench): Promise<Rig> {
    const rig = new Rig(bench);
    await rig.#fill();
    rig.#reference = await rig.#made();
    expect(JSON.stringify(rig.#reference)).toContain('/seen/large');
    return rig;
  }

  /** The store of the moment. */
  get store(): string {
    return this.bench.path(`store-${this.#stores}`);
  }

  async #fill(): Promise<void> {
    this.#stores++;
    await this.bench.importBase('base:1', { store: this.store });
    const outcome = await this.start(true).ended;
    expect(outcome.code, outcome.err).toBe(0);
  }

  /** Does harm and looks whether it heals. What does not is kept for the end, and the next case gets a new store. */
  async attempt(name: string, harm: () => Promise<string> | string, isNew: boolean): Promise<void> {
    let done = 'no harm done';
    try {
      done = await harm();
      await this.#expectHeals(isNew);
    } catch (error) {
      const failure = `${name}, as ${this.bench.who.name}: ${done}: ${error instanceof Error ? error.message : String(error)}`;
      this.#failures.push(failure);
      // At once: there may be hours to go.
      process.stderr.write(`${failure}\n`);
      await this.#fill();
    }
    this.#attempts++;
    if (isLong && this.#attempts % 10 === 0)
      process.stderr.write(`${this.#attempts} cases as ${this.bench.who.name}, ${this.#failures.length} failed\n`);
  }

  /** Fails when any of the attempts did, and says what repeats them. */
  expectAllHealed(): void {
    expect(this.#failures, `seed ${seed}`).toEqual([]);
  }

  /**
   * Starts a build.
   * @param isNew whether its last step is another one than before, so that it stands on directories of the store
   * @param args more arguments
   */
  start(isNew: boolean, ...args: readonly string[]): Running {
    if (isNew) this.#tail++;
    return this.bench.tsbuildStart(
      [
        'build',
        '--progress=plain',
        ...args,
        `--build-arg=TAIL=${this.#tail}`,
        '--tag=torture:1',
        '--output=type=oci,dest=out.tar',
        this.#context,
      ],
      { env: this.#env, store: this.store, timeoutMs: 120_000 },
    );
  }

  /**
   * What must hold when harm was done: a build makes the right image, or says clearly why not and does after `store check --repair`;
   * the store is sound then; nothing is left.
   */
  async #expectHeals(isNew: boolean): Promise<void> {
    const first = await this.start(isNew).ended;
    if (first.code === 0) await this.#expectRight();
    else expectClear(first);
    const repair = await this.#check('--repair');
    if (first.code !== 0) {
      // The name of an image is nowhere but in its file: when that is lost, the image is imported again.
      await this.bench.importBase('base:1', { store: this.store });
      const second = await this.start(isNew).ended;
      expect(second.code, `after "${first.err}", again: ${second.err}`).toBe(0);
      await this.#expectRight();
    }
    // What a build found to be in nobody's use, the next command deletes.
    if (this.#temporary().length > 0) await this.start(false).ended;
    if (repair.length > 0 || first.code !== 0) expectNone('damage', await this.#check());
    await this.expectNothingLeft();
  }

  /** No process, no mount, no temporary file. */
  async expectNothingLeft(): Promise<void> {
    expectNone('processes', await this.bench.leftovers());
    expectNone('mounts', this.bench.mounts());
    await until('no temporary file is left', () => this.#temporary().length === 0).catch(() =>
      expectNone('temporary files', this.#temporary()),
    );
  }

  #temporary(): readonly string[] {
    const { bench, store } = this;
    return [
      ...[`${store}/ingest`, `${store}/garbage`, bench.path('temporary')].flatMap((dir) =>
        readdirSync(dir).map((name) => `${dir}/${name}`),
      ),
      ...readdirSync(bench.dir).filter((name) => /out\.tar./.test(name)),
      ...readdirSync(store).filter((name) => name.endsWith('.tmp')),
    ];
  }

  /** What is wrong with the store, by its own word. */
  async #check(...args: readonly string[]): Promise<readonly string[]> {
    const { code, out, err } = await this.bench.tsbuild(['store', 'check', '--format=json', ...args], {
      env: this.#env,
      store: this.store,
    });
    expect(err).not.toMatch(/fault of tsbuild|^\s+at /m);
    const report = JSON.parse(out || '{}') as { problems?: { harmless: boolean; message: string }[] };
    if (report.problems === undefined) return [`exit ${code}: ${err}`];
    return report.problems.filter(({ harmless }) => !harmless).map(({ message }) => message);
  }

  /** The image that was written is the right one, whatever was killed. */
  async #expectRight(): Promise<void> {
    const made = await this.#made();
    const differences = differencesOf(this.#reference, made, '');
    if (differences.length > 0) throw new Error(`The image is another one: ${differences.slice(0, 10).join('; ')}`);
  }

  /** What was written, when it is not the "old" that stood there: right, or not there. */
  async expectWrittenIsWhole(before: Buffer): Promise<void> {
    if (!readFileSync(this.bench.path('out.tar')).equals(before)) await this.#expectRight();
  }

  /** Everything of the image but times and the number of the build. Every digest in it is checked on the way. */
  async #made(): Promise<unknown> {
    const { tree, layers, config } = await readOciArchive(this.bench.path('out.tar'));
    return { tree, layers, config: config.config };
  }
}

/** Fails, when it fails, as a person should see it. */
export function expectClear(outcome: Outcome): void {
  expectFailure(outcome, { says: [] });
}

/** Fails with the whole list, which outlives being put into a list of failures. */
function expectNone(what: string, found: readonly string[]): void {
  if (found.length > 0) throw new Error(`There are ${what}: ${found.join('; ')}`);
}

/** Where two documents differ. */
function differencesOf(expected: unknown, found: unknown, at: string): readonly string[] {
  if (isDeepStrictEqual(expected, found)) return [];
  if (typeof expected !== 'object' || typeof found !== 'object' || expected === null || found === null)
    return [`${at} is ${JSON.stringify(found)?.slice(0, 200)}, not ${JSON.stringify(expected)?.slice(0, 200)}`];
  const names = new Set([...Object.keys(expected), ...Object.keys(found)]);
  return [...names].flatMap((name) =>
    differencesOf(
      (expected as Record<string, unknown>)[name],
      (found as Record<string, unknown>)[name],
      `${at}${at === '' || name.startsWith('/') ? '' : '.'}${name}`,
    ),
  );
}
