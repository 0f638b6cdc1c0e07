import {
  type CheckResult,
  compileParsed,
  type Dockerfile,
  Linter,
  loadMainContext,
  locateFindings,
  type Outline,
  parseDockerfile,
} from '../frontend/index.ts';
import { isTsbuildError, type TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { createBridge } from './bridge.ts';
import { collectNames, compileOptions, withDockerfile } from './compile.ts';
import type { BuildRequest } from './request.ts';
import type { Session } from './session.ts';
import { BuildSecrets } from '../secrets/index.ts';
import { RequestSolver } from './solve.ts';
import { SshAgents } from '../ops/index.ts';

/** What can be said about a Dockerfile without building it. */
export interface CheckedRequest {
  readonly result: CheckResult;
  readonly dockerfile?: Dockerfile;
  readonly outline?: Outline;
  /** Why it cannot be built. */
  readonly error?: TsbuildError;
}

/**
 * Lints and lowers a Dockerfile as far as that goes; base images are resolved for what lowering alone knows.
 * @param allStages also those that the target does not need, unless the request names a target
 * @throws TsbuildError when the Dockerfile cannot be read
 */
export async function checkRequest(
  session: Session,
  task: Task,
  request: BuildRequest,
  allStages: boolean,
): Promise<CheckedRequest> {
  const ssh = await SshAgents.open(request.ssh, session.remote);
  const { names, namedContexts } = await collectNames(session, task, request);
  const credentials = { secrets: new BuildSecrets(request.secrets), ssh };
  const bridge = createBridge(session, task, names, new RequestSolver(session, task, request, names, credentials));
  const options = {
    ...compileOptions(await withDockerfile(session, task, request), namedContexts),
    allStages: allStages && request.target === undefined,
  };
  const context = await loadMainContext(bridge, options);
  let dockerfile: Dockerfile;
  try {
    dockerfile = parseDockerfile(context.dockerfile);
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    return { result: { file: context.dockerfile, findings: [], error }, error };
  }
  const linter = Linter.forDockerfile(dockerfile, request.buildArgs.get('BUILDKIT_DOCKERFILE_CHECK'));
  try {
    const { outline, diagnostics } = await compileParsed({ bridge, options, context, dockerfile, linter });
    return { result: { file: context.dockerfile, findings: diagnostics }, dockerfile, outline };
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    const findings = await locateFindings(dockerfile, linter.findings);
    return { result: { file: context.dockerfile, findings, error }, dockerfile, error };
  }
}
