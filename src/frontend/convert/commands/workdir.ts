import { parseOwner } from '../../../llb/index.ts';
import type { WorkdirCommand } from '../../dockerfile/types.ts';
import { addHistory } from '../image-config.ts';
import type { Lowering } from '../lowering.ts';
import { displayName, stepName } from '../names.ts';
import { normalizeWorkdir, toSlash } from '../paths.ts';
import type { StageState } from '../stage-state.ts';

/** Changes the working directory without making it; returns it with forward slashes. */
export function applyWorkdir(state: StageState, path: string): string {
  const os = osOf(state);
  const { config } = state.image;
  config.WorkingDir = normalizeWorkdir(config.WorkingDir ?? '', path, os);
  const workdir = toSlash(config.WorkingDir, os);
  state.state = state.state.dir(workdir);
  return workdir;
}

/** Changes the user of later steps and of the image; an empty one is the one that there is without any. */
export function applyUser(state: StageState, user: string): void {
  state.state = state.state.user(user);
  if (user === '') delete state.image.config.User;
  else state.image.config.User = user;
}

/** WORKDIR makes the directory when it is missing, owned by USER. */
export function lowerWorkdir(lowering: Lowering, state: StageState, command: WorkdirCommand): void {
  const workdir = applyWorkdir(state, command.path);
  if (workdir === '/') {
    addHistory(state.image, `WORKDIR ${workdir}`, lowering);
    return;
  }
  const user = state.image.config.User;
  const { env } = state.state.meta;
  const platform = state.platform ?? lowering.platform;
  const text = displayName(lowering, command.original, env);
  state.state = state.state.file(
    [
      {
        kind: 'mkdir',
        path: workdir,
        mode: 0o755,
        makeParents: true,
        options: { ...(user ? { owner: parseOwner(user) } : {}), createdTime: lowering.createdTime },
      },
    ],
    {
      name: stepName(state, text, lowering.shown(platform), env),
      location: lowering.location(command.ranges),
      platform,
    },
  );
  addHistory(state.image, `WORKDIR ${workdir}`, lowering, { layer: true });
}

function osOf(state: StageState): string {
  return state.platform?.os ?? 'linux';
}
