import { ALL_CAPABILITIES, capabilityMask } from './capabilities.ts';
import { encodeFields } from './encode-step.ts';
import type { SecurityMode, StepSpec } from './types.ts';

/** A further program in a container: what is not said of it is as the container has it. */
export interface ProcessSpec extends Pick<StepSpec, 'args' | 'env' | 'cwd' | 'user' | 'tty' | 'stdin'> {
  /** Of this program alone, with the compiled filter for one that is not insecure. */
  readonly security?: { readonly mode: SecurityMode; readonly seccompPath: string };
}

/** The program as the helper reads it, fields of a step (native/src/spec.c). @throws TsbuildError `TSB_SANDBOX` */
export function encodeProcess({ args, env, cwd, user, tty, stdin, security }: ProcessSpec): Buffer {
  const insecure = security?.mode === 'insecure';
  return encodeFields([
    ...args.map((word) => ['arg', word] as const),
    ...env.map((variable) => ['env', variable] as const),
    ['cwd', cwd],
    ['user', user],
    ['tty', tty ?? false],
    ['stdin', stdin ?? false],
    ...(security === undefined
      ? []
      : ([
          ['insecure', insecure],
          ['capabilities', String(insecure ? ALL_CAPABILITIES : capabilityMask([], []))],
          ...(insecure ? [] : ([['seccomp', security.seccompPath]] as const)),
        ] as const)),
  ]);
}
