import { type Container, Containers } from '../../containers/index.ts';
import { openSession, type Session } from '../../engine/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { reportError } from '../report.ts';
import { sessionOptions } from '../session-options.ts';

/** What a command that goes through containers works with. */
export interface Work {
  readonly session: Session;
  readonly containers: Containers;
  readonly signal: AbortSignal;
}

/** Opens the store for a command on containers. */
export async function withContainers<T>(context: CliContext, body: (work: Work) => Promise<T>): Promise<T> {
  using interrupt = interruptible();
  await using session = openSession({ ...sessionOptions(context, interrupt.signal), makeRoom: true });
  return await body({ session, containers: new Containers(session.store), signal: interrupt.signal });
}

/**
 * Does something with each of the containers, side by side, and prints what comes of it in the order in which they were named. One that
 * fails does not keep the others from it.
 * @param act gives the line to print; undefined prints nothing
 * @returns the exit code: 1 when one of them failed
 */
export async function eachContainer(
  context: CliContext,
  { containers }: Work,
  names: readonly string[],
  act: (container: Container, typed: string) => Promise<string | undefined>,
): Promise<number> {
  const work = names.map(async (name) => act(containers.find(name), name));
  // One that fails is looked at when it is its turn: until then it is no failure that nobody has seen, which would end the process.
  for (const each of work) each.catch(() => undefined);
  let code = 0;
  for (const each of work) {
    try {
      const line = await each;
      if (line !== undefined) await print(context, `${line}\n`);
    } catch (error) {
      await reportError(context, error);
      code = 1;
    }
  }
  return code;
}

/** A whole command that does something with each of the containers, and prints the names as they were typed. See {@link eachContainer}. */
export function nameEach(
  context: CliContext,
  names: readonly string[],
  act: (work: Work, container: Container) => Promise<void>,
): Promise<number> {
  return withContainers(context, (work) =>
    eachContainer(context, work, names, async (container, name) => {
      await act(work, container);
      return name;
    }),
  );
}
