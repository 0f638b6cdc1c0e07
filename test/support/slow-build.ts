import type { Bench } from './bench.ts';
import type { ArchivedImage } from './tree.ts';

/** Stages in parallel, steps that take a while, a step that leaves processes behind, layers of some size. */
const dockerfile = (mark: string): string => `FROM base:1 AS a
ENV MARK=${mark}
COPY many /many
RUN cat /many/* > /a && dd if=/dev/zero of=/large bs=1M count=8 2>/dev/null && sleep 0.15

FROM base:1 AS b
ENV MARK=${mark}
RUN --mount=type=cache,target=/cache (setsid sleep 31 &) ; echo b > /b; touch /cache/x; sleep 0.15

FROM base:1
ENV MARK=${mark}
COPY --from=a /a /large /
COPY --from=b /b /
RUN cat /a /b > /both && rm /large && chown alice /both
COPY late /late
`;

/** The context of a build of a second or so with everything in it that can be interrupted. */
export function writeSlowContext(bench: Bench): string {
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`many/${at}`, `${at}\n`.repeat(50)]));
  return bench.context(dockerfile(bench.mark), { ...many, late: 'late\n' });
}

/** What two images of the same Dockerfile have in common: everything but times. */
export function sameParts({ tree, config, layers }: ArchivedImage): unknown {
  const { created: _created, history, ...rest } = config;
  return {
    tree,
    layers,
    config: { ...rest, rootfs: undefined, history: history?.map(({ created: _time, ...entry }) => entry) },
  };
}
