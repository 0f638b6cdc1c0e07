import { rmSync } from 'node:fs';
import type { Task } from '../events/index.ts';
import { digestOfAnswers, type RecordedAnswer } from '../pins/index.ts';
import type { StepSpec } from '../sandbox/index.ts';
import type { Lease, Store } from '../store/index.ts';
import { hexOf, randomHex, sanitizeLine, sha256, type TsbuildError } from '../util/index.ts';
import { Authority } from './authority.ts';
import { Exchange } from './exchange.ts';
import { Problems } from './problems.ts';
import { startProxyServer } from './proxy-server.ts';
import { recordedSpec } from './step-files.ts';
import { type RecordMode, Tape } from './tape.ts';
import { Upstream, type UpstreamOptions } from './upstream.ts';

/** What the recorded network of a build is made from. */
export interface RecordingOptions extends UpstreamOptions {
  readonly store: Store;
  readonly lease: Lease;
  /** A new directory that only this user enters. */
  readonly temporary: () => string;
  /** What the lock file has. */
  readonly known: readonly RecordedAnswer[];
  /** Servers are asked for everything again by steps that record. */
  readonly fresh: boolean;
  /** Name of the lock file, for messages. */
  readonly lock: string;
  /** Requests that may change something are sent too. */
  readonly allowOther: boolean;
  /** Bytes of one answer. Default 64 GiB. */
  readonly maxBody?: number;
  readonly offline: ((what: string) => TsbuildError) | undefined;
}

/** The recorded network of one step. */
export interface StepRecording extends AsyncDisposable {
  /** The step in this network. @param read a file of the step's root, undefined where there is none */
  within(spec: StepSpec, read: (path: string, maxBytes: number) => Promise<Uint8Array | undefined>): Promise<StepSpec>;
  /**
   * The step has ended well.
   * @returns what to warn of, if anything
   * @throws TsbuildError for what it cannot have got over
   */
  finish(): Promise<string | undefined>;
  /** The step's failure, with what its network has to do with it. */
  explain(error: unknown): unknown;
}

/** The longest name of a step that is written down as it is. */
const MAX_NAME = 200;

/** The recorded network of one build. */
export class BuildRecording implements AsyncDisposable {
  readonly #options: RecordingOptions;
  readonly #tape: Tape;
  readonly #upstream: Upstream;
  readonly #exchange: Exchange;
  /** What a step that records gives is good for this build alone: its network is not what is written down yet. */
  readonly #nonce = randomHex(16);
  #authority: Authority | undefined;

  constructor(options: RecordingOptions) {
    const { store, lease, known, fresh } = options;
    this.#options = options;
    this.#tape = new Tape(known, fresh);
    this.#upstream = new Upstream(options);
    this.#exchange = new Exchange({
      ...options,
      blobs: store.blobs,
      lease,
      tape: this.#tape,
      upstream: this.#upstream,
    });
  }

  /**
   * What of its network a step can see, for its cache key: all answers that it can get. One that records can get any.
   * @param name of the step, with secrets hidden
   */
  key(mode: RecordMode, name: string): readonly string[] {
    if (mode === 'record') return [mode, this.#nonce];
    return [mode, digestOfAnswers(this.#tape.of(stepName(name)))];
  }

  /** Starts the proxy of a step. @throws TsbuildError `TSB_STORE` */
  async open(task: Task, mode: RecordMode, name: string): Promise<StepRecording> {
    const step = stepName(name);
    if (mode === 'record') this.#tape.begin(step);
    const problems = new Problems(mode, this.#options.lock);
    const authority = (this.#authority ??= new Authority(this.#options.now));
    const stop = new AbortController();
    const asker = {
      step,
      mode,
      problems,
      // What is fetched for a step ends with it; nobody is shown how far it is but by the step itself.
      task: { signal: AbortSignal.any([task.signal, stop.signal]), events: () => undefined },
    };
    const running = new Set<Promise<void>>();
    const directory = this.#options.temporary();
    const server = await startProxyServer(directory, {
      authority,
      answer: async (request, response) => {
        const answered = this.#exchange.answer(asker, request, response);
        running.add(answered);
        await answered.finally(() => running.delete(answered));
      },
      onRefused: (what, why) => problems.note({ kind: 'refused', what, why }),
    });
    return {
      within: (spec, read) => recordedSpec(spec, { socket: server.path, certificate: authority.certificate }, read),
      async finish() {
        // A client that has heard enough goes away before the end, and the answer is to be written down all the same.
        await Promise.all(running);
        problems.check();
        return problems.warning();
      },
      explain: (error) => problems.explain(error),
      async [Symbol.asyncDispose]() {
        stop.abort(new Error('the step has ended'));
        await server[Symbol.asyncDispose]();
        await Promise.all(running);
        rmSync(directory, { recursive: true, force: true });
      },
    };
  }

  /** What a lock file should say after the build. */
  toWrite(): readonly RecordedAnswer[] {
    return this.#tape.toWrite();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#upstream[Symbol.asyncDispose]();
  }
}

/**
 * What a step is called in a lock file: its instruction, without the place in the Dockerfile, which others before it change.
 * One that is too long is told from others by its hash.
 */
export function stepName(name: string): string {
  const text = name.replace(/^\[[^\]]*\] /, '');
  const shown = sanitizeLine(text, MAX_NAME);
  return shown === text ? text : `${shown} ${hexOf(sha256(text)).slice(0, 12)}`;
}
