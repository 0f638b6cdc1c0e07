import type { ContainerRecord } from '../../containers/index.ts';
import { TsbuildError } from '../../util/index.ts';

/** Streams of a container, as `--attach` names them. */
type Stream = NonNullable<ContainerRecord['attach']>[number];

const STREAMS: readonly Stream[] = ['stdin', 'stdout', 'stderr'];

/** What says which streams of a container somebody is at. */
export interface AttachOptions {
  readonly attach?: readonly string[];
  readonly detach?: boolean;
  readonly interactive?: boolean;
}

/**
 * The streams that somebody is at, by the rules of docker: those that were named, and standard input with `-i`; both outputs where none was.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseAttach({ attach, detach = false, interactive = false }: AttachOptions): readonly Stream[] {
  const named = (attach ?? []).map((text) => {
    const stream = STREAMS.find((each) => each === text.toLowerCase());
    if (stream !== undefined) return stream;
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use --attach ${JSON.stringify(text)}: valid streams are STDIN, STDOUT and STDERR`,
    );
  });
  if (attach !== undefined && detach)
    throw new TsbuildError('TSB_USAGE', 'conflicting options: cannot specify both --attach and --detach', {
      hint: 'leave one of them out; "tsbuild logs" shows what a container prints in the background',
    });
  const wanted = attach === undefined ? (detach ? [] : STREAMS.slice(1)) : named;
  return STREAMS.filter((stream) => wanted.includes(stream) || (stream === 'stdin' && interactive && !detach));
}
