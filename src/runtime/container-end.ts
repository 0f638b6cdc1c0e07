import { type ExitStatus, signalNumber } from '../sandbox/index.ts';
import { TsbuildError } from '../util/index.ts';

/** How a container ended. `exitCode` follows docker run: the program's own, 128 + signal, 125, 126 or 127. */
export interface ContainerEnd {
  readonly exitCode: number;
  /** Set for 125, 126 and 127: why the program did not run; and when it was ended because its memory had run out. */
  readonly error?: TsbuildError;
}

/** The exit code for an end, and what to say where the program did not run. @param foreign why no program of the image does */
export function endOf(status: ExitStatus, foreign?: TsbuildError): ContainerEnd {
  switch (status.kind) {
    case 'exited':
      return { exitCode: status.code };
    case 'signaled':
      return { exitCode: 128 + (signalNumber(status.signal) ?? 0) };
    case 'not-executed': {
      if (foreign !== undefined) return { exitCode: 126, error: foreign };
      const missing = status.errno === 'ENOENT';
      const why = missing ? 'it was not found in the image' : `it cannot be executed (${status.errno})`;
      return {
        exitCode: missing ? 127 : 126,
        error: new TsbuildError('TSB_STEP', `Cannot run "${status.path}": ${why}`),
      };
    }
  }
}
