import { type BuildOutcome, RecordedBuild, runBuild } from '../engine/index.ts';
import type { BuildEvent } from '../events/index.ts';
import { chooseOutputs, insecureHosts } from '../exporter/index.ts';
import { requestOf } from './request.ts';
import { type CommonOptions, openCall } from './session.ts';
import type { BuildSource } from './source.ts';

/** Options of `build`. */
export interface BuildOptions extends BuildSource, CommonOptions {
  /** Names of the image, in the local store or, with `push`, at its registry. */
  readonly tags?: readonly string[];
  /** As `--output` takes them. Default: the local image store, or with `push` the registry. */
  readonly outputs?: readonly string[];
  /** Push the image to the registries of its names. */
  readonly push?: boolean;
  /** Keep the image in the local store besides other outputs. */
  readonly load?: boolean;
}

/**
 * Builds an image from a Dockerfile. The store remembers it for `explain`, `report` and the commands of these names, also when it fails.
 * @throws BuildFailure with the place in the Dockerfile, or another TsbuildError
 */
export async function build(options: BuildOptions): Promise<BuildOutcome> {
  const { context, target } = options;
  const request = requestOf(options);
  const { outputs = [], tags = [], push = false, load = false } = options;
  const specs = chooseOutputs({ cwd: process.cwd(), outputs, tags, push, load });
  await using call = openCall(options, {
    insecureHosts: insecureHosts(specs),
    ...(options.offline ? { offline: true } : {}),
  });
  const cwd = process.cwd();
  const recorded = new RecordedBuild({ cwd, context, tag: tags[0], target }, { now: Date.now });
  const { session } = call;
  const { signal, events } = call.task;
  const watched = (event: BuildEvent): void => {
    recorded.event(event);
    events(event);
  };
  const task = { signal, events: watched };
  return await recorded.of(session, task, { specs, stdout: process.stdout }, (outputs) =>
    runBuild(session, task, request, outputs),
  );
}
