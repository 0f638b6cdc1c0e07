import { type ErrorCode, messageOf, TsbuildError } from '../util/index.ts';
import type { WireError } from './protocol.ts';

/** An error as plain data. */
export function toWire(error: unknown): WireError {
  if (!(error instanceof TsbuildError)) {
    const detail = error instanceof Error && error.stack !== undefined ? { detail: error.stack } : {};
    return { code: 'TSB_INTERNAL', message: `The worker failed: ${messageOf(error)}`, ...detail };
  }
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.code === 'TSB_INTERNAL' && error.stack !== undefined ? { detail: error.stack } : {}),
  };
}

/** The error that was sent. */
export function fromWire(wire: WireError): TsbuildError {
  return new TsbuildError(wire.code as ErrorCode, wire.message, {
    ...(wire.hint === undefined ? {} : { hint: wire.hint }),
    ...(wire.detail === undefined ? {} : { cause: new Error(wire.detail) }),
  });
}
