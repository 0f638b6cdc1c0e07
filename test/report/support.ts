import type { BuildEvent, VertexState } from '../../src/events/index.ts';
import { type BuildRecord, BuildRecorder, REPORTED_LOGS, type ReportFacts } from '../../src/report/index.ts';
import { describeBuild } from '../../src/report/describe.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';

/** When builds of these tests begin. */
export const START: number = Date.UTC(2026, 10, 29, 12, 0, 0);

export const digestOf = (name: string): Digest => sha256(name);

/** A vertex that changes, so many ms after the start. */
export function vertex(name: string, state: VertexState, at: number, inputs: readonly string[] = []): BuildEvent {
  return { type: 'vertex', vertex: digestOf(name), name, inputs: inputs.map(digestOf), state, at: START + at };
}

export function log(name: string, text: string, at: number, stream: 1 | 2 = 1): BuildEvent {
  return { type: 'log', vertex: digestOf(name), stream, data: Buffer.from(text), at: START + at };
}

/** A recorder that was told these events. */
export function recorded(events: readonly BuildEvent[], limits: typeof REPORTED_LOGS = REPORTED_LOGS): BuildRecorder {
  const recorder = new BuildRecorder({ title: 'web:1', context: 'web' }, START, limits);
  for (const event of events) recorder.event(event);
  return recorder;
}

/** The record of a build that took so long. */
export function recordOf(
  events: readonly BuildEvent[],
  ms: number,
  limits: typeof REPORTED_LOGS = REPORTED_LOGS,
): BuildRecord {
  return recorded(events, limits).finish({ result: 'done', at: START + ms });
}

export function factsOf(events: readonly BuildEvent[], ms: number): ReportFacts {
  return describeBuild(recordOf(events, ms));
}

/** A build of stages with steps one after another, a last stage that copies from all of them, and an export. */
export function largeBuild(stages: number, steps: number): ReportFacts {
  const names: { name: string; inputs: string[]; start: number; end: number; cached: boolean }[] = [];
  const base = '[base 1/1] FROM example.com/base:1';
  names.push({ name: base, inputs: [], start: 10, end: 40, cached: false });
  const ends: string[] = [];
  for (let stage = 0; stage < stages; stage++) {
    let before = base;
    let at = 50 + stage * 7;
    for (let step = 1; step <= steps; step++) {
      const name = `[stage${stage} ${step}/${steps}] RUN make part-${step} && echo "${'x'.repeat((step * 13) % 60)}"`;
      const cached = (stage + step) % 4 === 0;
      const took = cached ? 0 : 20 + ((stage * 31 + step * 17) % 200);
      names.push({ name, inputs: [before], start: at, end: at + took, cached });
      at += took + 1;
      before = name;
    }
    ends.push(before);
  }
  const last = Math.max(...names.map(({ end }) => end)) + 5;
  names.push({ name: '[final 1/1] COPY --from=all / /', inputs: ends, start: last, end: last + 50, cached: false });
  const events = names.flatMap(({ name, inputs, start, end, cached }) => [
    vertex(name, 'pending', 0, inputs),
    ...(cached
      ? [vertex(name, 'cached', start, inputs)]
      : [
          vertex(name, 'started', start, inputs),
          log(name, Array.from({ length: 30 }, (_, line) => `line ${line} of ${name}\n`).join(''), start + 1),
          vertex(name, 'done', end, inputs),
        ]),
  ]);
  const recorder = recorded([
    ...events,
    vertex('exporting to image', 'started', last + 50),
    vertex('exporting to image', 'done', last + 80),
  ]);
  const text = names.map(({ name }) => name.replace(/^\[.*?\] /, '')).join('\n');
  recorder.plan({
    dockerfile: { name: 'Dockerfile', text: `${text}\n` },
    platforms: ['linux/amd64'],
    ranges: new Map(
      names.map(({ name }, line) => [digestOf(name), [{ file: 'Dockerfile', startLine: line + 1, endLine: line + 1 }]]),
    ),
  });
  return describeBuild(recorder.finish({ result: 'done', at: START + last + 90 }));
}
