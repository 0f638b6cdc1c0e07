import type { Task } from '../../events/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { openRequest } from './compile.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';

/** What a frontend image says of its file. */
export interface FrontendAnswer {
  readonly text: string;
  /** Exit code that goes with it. */
  readonly status: number;
}

/**
 * Asks the frontend image of a request's file about it, where one may run.
 * @param method `outline` and its like
 * @returns undefined when the file is for what is built in
 * @throws TsbuildError what the frontend failed of, and `TSB_DOCKERFILE` when it has no answer
 */
export async function callFrontend(
  session: Session,
  task: Task,
  request: BuildRequest,
  method: string,
  json: boolean,
): Promise<FrontendAnswer | undefined> {
  if (!request.entitlements.has('frontend')) return undefined;
  const { foreign, options, context } = await openRequest(session, task, request, { onSource: () => undefined });
  if (foreign === undefined) return undefined;
  const { wanted, build } = foreign;
  const { askFrontend } = await import('./compile-frontend.ts');
  const said = await askFrontend(build, wanted, options, context, `frontend.${method}`);
  const names = json ? ['result.json'] : ['result.txt', 'result.json'];
  const found = names.map((name) => said.get(name)).find((bytes) => bytes !== undefined);
  if (found === undefined)
    throw new TsbuildError(
      'TSB_DOCKERFILE',
      `Cannot use --call=${method}: frontend ${JSON.stringify(wanted.source)} has no ${names.at(-1) ?? ''} for it`,
      { hint: '--call=subrequests.describe shows what it can be asked' },
    );
  const status = Number(Buffer.from(said.get('result.statuscode') ?? []).toString('utf8'));
  return {
    text: Buffer.from(found).toString('utf8'),
    status: Number.isInteger(status) && status > 0 && status < 256 ? status : 0,
  };
}
