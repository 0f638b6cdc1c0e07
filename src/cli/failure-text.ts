import { getSystemErrorName } from 'node:util';
import type { ContainerState } from '../containers/index.ts';

/** Why a container's program did not run, for `inspect`; empty when it did. */
export function failureText({ failure }: ContainerState): string {
  if (failure === undefined) return '';
  const errno = failure.errno === 0 ? '' : ` (${getSystemErrorName(-failure.errno)})`;
  return `${failure.stage}: ${failure.text}${errno}`;
}
