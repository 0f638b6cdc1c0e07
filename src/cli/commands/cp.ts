import { isAbsolute, posix, resolve } from 'node:path';
import { isatty } from 'node:tty';
import { openContainer } from '../../engine/index.ts';
import { formatBytes, sanitizeLine, TsbuildError } from '../../util/index.ts';
import type { CopyPlace } from '../../worker/index.ts';
import type { CliContext } from '../context.ts';
import { withContainers } from '../containers/each-container.ts';

/** Options of `cp`. */
export interface CpOptions {
  readonly archive?: boolean;
  readonly followLink?: boolean;
  readonly quiet?: boolean;
}

/** `tsbuild cp`: between a container, whether it runs or not, and this machine. */
export async function cpCommand(context: CliContext, from: string, to: string, options: CpOptions): Promise<number> {
  const source = parsePlace(from, context.cwd);
  const dest = parsePlace(to, context.cwd);
  const names = [source, dest].flatMap(({ container }) => container ?? []);
  const [name] = names;
  if (name === undefined)
    throw new TsbuildError('TSB_USAGE', 'Cannot copy: neither of the two is in a container', {
      hint: 'a path in a container is NAME:PATH; "cp" of the shell copies on this machine',
    });
  if (names.length > 1)
    throw new TsbuildError('TSB_USAGE', 'Cannot copy from container to container', {
      hint: `by way of an archive: tsbuild cp ${from} - | tsbuild cp - ${to}`,
    });
  if (source.place.kind === 'stream' && isatty(0))
    throw new TsbuildError('TSB_USAGE', 'Cannot read an archive from a terminal');
  if (dest.place.kind === 'stream' && isatty(1))
    throw new TsbuildError('TSB_USAGE', 'Cannot write an archive to a terminal', { hint: 'redirect it into a file' });
  return withContainers(context, async ({ session, containers, signal }) => {
    const container = containers.find(name);
    const task = { signal, events: () => undefined };
    const isIn = source.place.kind === 'stream';
    const isOut = dest.place.kind === 'stream';
    await using opened = await openContainer(session, task, container, [
      isIn ? 'inherit' : 'ignore',
      isOut ? 'inherit' : 'ignore',
    ]);
    const { bytes, skipped } = await opened.worker.call(
      'copyFiles',
      {
        from: source.place,
        to: dest.place,
        archive: options.archive ?? false,
        follow: options.followLink ?? false,
      },
      { signal },
    );
    for (const path of skipped)
      context.stderr.write(`Warning: ${sanitizeLine(path)} was left out: it is a device or a socket\n`);
    if (context.stderr.isTTY && !options.quiet && !isOut)
      context.stderr.write(`Copied ${formatBytes(bytes)} to ${sanitizeLine(to)}\n`);
    return 0;
  });
}

interface Parsed {
  readonly container: string | undefined;
  readonly place: CopyPlace;
}

/** `-`, `NAME:PATH`, or a path of this machine: one that begins with `/` or `.` is never a container's, as with docker. */
function parsePlace(typed: string, cwd: string): Parsed {
  if (typed === '-') return { container: undefined, place: { kind: 'stream' } };
  if (typed === '' || typed.includes('\0')) throw new TsbuildError('TSB_USAGE', 'Cannot copy: a path is empty');
  const colon = isAbsolute(typed) || typed.startsWith('.') ? -1 : typed.indexOf(':');
  const container = colon > 0 ? typed.slice(0, colon) : undefined;
  const path = colon > 0 ? typed.slice(colon + 1) : typed;
  if (container !== undefined && path === '')
    throw new TsbuildError('TSB_USAGE', `Cannot copy ${JSON.stringify(typed)}: the path in the container is missing`);
  return {
    container,
    place: {
      kind: container === undefined ? 'host' : 'container',
      path: container === undefined ? resolve(cwd, path) : posix.resolve('/', path),
      directory: path.endsWith('/'),
      contents: /(?:^|\/)\.$/.test(path),
      typed,
    },
  };
}
