import type { FileAction } from '../llb/index.ts';
import { errnoOf, fromErrno, isTsbuildError, type TsbuildError } from '../util/index.ts';

/** An error of the system in terms of the action that met it. */
export function actionError(error: unknown, action: FileAction): TsbuildError {
  if (isTsbuildError(error)) return error;
  if (errnoOf(error) === undefined) throw error;
  return fromErrno(error, `Cannot ${describe(action)}`, 'TSB_CONTEXT');
}

function describe(action: FileAction): string {
  switch (action.kind) {
    case 'copy':
      return `copy "${action.src}" to "${action.dest}"`;
    case 'mkfile':
      return `write "${action.path}"`;
    case 'mkdir':
      return `make the directory "${action.path}"`;
    case 'rm':
      return `remove "${action.path}"`;
    case 'symlink':
      return `make the symbolic link "${action.newPath}"`;
  }
}
