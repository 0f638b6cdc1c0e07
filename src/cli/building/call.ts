import { callFrontend, checkRequest, openSession } from '../../engine/index.ts';
import {
  formatOutline,
  formatOutlineJson,
  formatSubrequests,
  formatSubrequestsJson,
  formatTargets,
  formatTargetsJson,
  listTargets,
} from '../../frontend/index.ts';
import { sanitize, TsbuildError } from '../../util/index.ts';
import type { Call } from '../options/call-option.ts';
import { type GraphOptions, parseBuildRequest } from '../options/build-request.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { reachOptions, sessionOptions } from '../session-options.ts';

/** `tsbuild build --call=METHOD[,format=json]`, but for `check`: says something about the Dockerfile instead of building it. */
export async function callCommand(
  context: CliContext,
  path: string,
  options: GraphOptions,
  { method, json, ignoresStatus }: Call,
): Promise<number> {
  const request = await parseBuildRequest(context, path, options);
  using interrupt = interruptible();
  await using session = openSession({ ...sessionOptions(context, interrupt.signal), ...reachOptions(options) });
  const task = { signal: interrupt.signal, events: () => undefined };
  const answer = await callFrontend(session, task, request, method, json);
  if (answer !== undefined) {
    // It is anybody's program, and this may be a terminal.
    await print(context, `${sanitize(answer.text).trimEnd()}\n`);
    return ignoresStatus ? 0 : answer.status;
  }
  if (method === 'subrequests.describe') {
    await print(context, json ? formatSubrequestsJson() : formatSubrequests());
    return 0;
  }
  const checked = await checkRequest(session, task, request, false);
  switch (method) {
    case 'outline': {
      const outline = checked.outline;
      if (outline === undefined) throw refused(checked.error);
      await print(context, json ? formatOutlineJson(outline) : formatOutline(outline));
      return 0;
    }
    case 'targets': {
      if (checked.dockerfile === undefined) throw refused(checked.error);
      const targets = listTargets(checked.dockerfile);
      await print(context, json ? formatTargetsJson(checked.dockerfile.file, targets) : formatTargets(targets));
      return 0;
    }
    default:
      throw new TsbuildError('TSB_USAGE', `Cannot use --call=${method}: unknown method`, {
        hint: 'known are build, check, outline and targets',
      });
  }
}

function refused(error: TsbuildError | undefined): TsbuildError {
  return error ?? new TsbuildError('TSB_INTERNAL', 'Cannot describe the Dockerfile, and there is no reason why');
}
