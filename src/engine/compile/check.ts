import { type CheckedDockerfile, checkDockerfile } from '../../frontend/index.ts';
import type { Task } from '../../events/index.ts';
import { createBridge } from './bridge.ts';
import { collectNames, compileOptions, withDockerfile } from './compile.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { SourcePolicies } from '../../source-policy/index.ts';
import { BuildSecrets } from '../../secrets/index.ts';
import { RequestSolver } from './solve.ts';
import { SshAgents } from '../../ops/index.ts';

/**
 * Checks the Dockerfile of a request, with the contexts and images that a build would see.
 * @param allStages also those that the target does not need, unless the request names a target
 * @throws TsbuildError when the Dockerfile cannot be read
 */
export async function checkRequest(
  session: Session,
  task: Task,
  request: BuildRequest,
  allStages: boolean,
): Promise<CheckedDockerfile> {
  const ssh = await SshAgents.open(request.ssh, session.remote);
  const { names, namedContexts } = await collectNames(session, task, request);
  const credentials = { secrets: new BuildSecrets(request.secrets), ssh };
  const policies = new SourcePolicies(request.sourcePolicies);
  const solver = new RequestSolver(session, task, request, names, credentials);
  const bridge = createBridge(session, task, names, solver, policies);
  const options = compileOptions(await withDockerfile(session, task, request, policies), namedContexts);
  return checkDockerfile(bridge, { ...options, allStages });
}
