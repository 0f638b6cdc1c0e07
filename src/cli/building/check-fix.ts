import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type BuildRequest, checkRequest, type Session } from '../../engine/index.ts';
import type { Task } from '../../events/index.ts';
import {
  type CheckResult,
  type Dockerfile,
  type Fix,
  fixDockerfile,
  formatDiff,
  Linter,
} from '../../frontend/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { replaceFile } from '../replace-file.ts';

/** A check after what could be fixed was. */
export interface FixedCheck {
  readonly result: CheckResult;
  /** What to show of it: a diff, and what was left; empty when there was nothing. */
  readonly shown: string;
  /** The text of a Dockerfile from standard input, fixed. */
  readonly text?: string;
}

interface Surroundings {
  readonly session: Session;
  readonly task: Task;
  readonly unsafe: boolean;
}

/**
 * Fixes the request's Dockerfile, where it is, and checks what is left. A file that does not parse is left as it is.
 * @throws TsbuildError what `replaceFile` gives; `TSB_USAGE` for a Dockerfile that is not on this machine
 */
export async function checkAndFix(
  { session, task, unsafe }: Surroundings,
  request: BuildRequest,
  label: string,
): Promise<FixedCheck> {
  const place = placeOf(request);
  const checked = await checkRequest(session, task, request, true);
  const { file } = checked.result;
  const unchanged = { result: checked.result, shown: '', ...(place === undefined ? { text: file.text } : {}) };
  if (checked.dockerfile === undefined) return unchanged;
  const linter = linterOf(checked.dockerfile, request);
  const { text, edits, fixes, left } = await fixDockerfile(checked.dockerfile, linter, { unsafe });
  const rest = left.length === 0 ? '' : `${label}: --unsafe-fixes would fix ${summary(left)}, and change the image\n`;
  if (text === file.text) return { ...unchanged, shown: rest };
  if (place !== undefined) replaceFile({ ...place, before: file.text, after: text });
  const shown = `${formatDiff(label, file.text, edits)}${label}: fixed ${summary(fixes)}\n${rest}`;
  const now = place === undefined ? { ...request, dockerfile: { name: file.name, text } } : request;
  const { result } = await checkRequest(session, task, now, true);
  return { result, shown, ...(place === undefined ? { text } : {}) };
}

function linterOf(dockerfile: Dockerfile, request: BuildRequest): Linter {
  return Linter.forDockerfile(dockerfile, request.buildArgs.get('BUILDKIT_DOCKERFILE_CHECK'));
}

/** Where the Dockerfile is; undefined for one from standard input. */
function placeOf(request: BuildRequest): { readonly path: string; readonly root: string } | undefined {
  const { dockerfile, contextDir } = request;
  if (dockerfile !== undefined && 'text' in dockerfile) return undefined;
  if (dockerfile !== undefined && 'dir' in dockerfile) return found(dockerfile.dir, dockerfile.name);
  if (dockerfile === undefined && contextDir !== undefined) return found(contextDir, 'Dockerfile');
  throw new TsbuildError('TSB_USAGE', 'Cannot fix a Dockerfile that is not on this machine', {
    hint: 'clone or download it first; a Dockerfile on standard input comes back on standard output: --check --fix - < Dockerfile',
  });
}

/** "dockerfile" is found where "Dockerfile" is asked for. */
function found(root: string, name: string): { readonly path: string; readonly root: string } {
  const path = join(root, name);
  const lower = join(root, name.toLowerCase());
  return { root, path: !existsSync(path) && basename(name) === 'Dockerfile' && existsSync(lower) ? lower : path };
}

/** `3: FromAsCasing, LegacyKeyValueFormat (2)` */
function summary(fixes: readonly Fix[]): string {
  const counts = new Map<string, number>();
  for (const { rule } of fixes) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  const names = [...counts].map(([rule, count]) => (count === 1 ? rule : `${rule} (${count})`)).toSorted();
  return `${fixes.length}: ${names.join(', ')}`;
}
