import { sanitize } from '../util/index.ts';
import { criticalPath } from './critical-path.ts';
import { type ReportFacts, type ReportStep, type ReportTransfer, SCHEMA, type StepState } from './facts.ts';
import { type LayerContents, nothingLookedInto } from './layer-sizes.ts';
import type { BuildRecord, RecordedLayer, RecordedVertex } from './record.ts';
import { parseStepName } from './step-name.ts';
import { transfersOf } from './transfers.ts';

/**
 * The facts of a report. A pure function of what is remembered.
 * @param inside what the layers hold, where they were looked into
 */
export function describeBuild(record: BuildRecord, inside: LayerContents = nothingLookedInto): ReportFacts {
  const names = record.vertices.map(({ name, inGraph }) => parseStepName(name, inGraph));
  const path = criticalPath(record.vertices.map(({ spans, inputs, inGraph }) => ({ spans, inputs, apart: !inGraph })));
  const critical = new Set(path.map(({ step }) => step));
  const steps = record.vertices.map((vertex, index): ReportStep => {
    const { digest, name, inputs, spans, lines, reason, error, log, usage } = vertex;
    return {
      digest,
      name,
      ...(names[index] ?? { kind: 'internal', text: name }),
      state: stateOf(vertex, record),
      spans,
      ms: spans.reduce((sum, [start, end]) => sum + end - start, 0),
      inputs,
      ...(lines === undefined ? {} : { lines }),
      ...(reason === undefined ? {} : { reason }),
      ...(error === undefined ? {} : { error }),
      critical: critical.has(index),
      ...(log === undefined ? {} : { log }),
      ...(usage === undefined ? {} : { usage }),
    };
  });
  const transfers = transfersOf(record.vertices);
  const failedAt = steps.findIndex(({ state }) => state === 'failed');
  const { about, dockerfile, startedAt, ms, result, error, outputs, platforms } = record;
  return {
    schema: SCHEMA,
    version: record.tsbuild,
    build: {
      title: about.title,
      result,
      startedAt,
      ms,
      context: about.context,
      ...(about.target === undefined ? {} : { target: about.target }),
      platforms,
      outputs,
      ...(error === undefined ? {} : { error: { ...error, ...(failedAt < 0 ? {} : { step: failedAt }) } }),
    },
    summary: {
      ...count(steps),
      ...moved(transfers),
      ...imageBytes(record.layers),
      criticalMs: path.reduce((sum, { span: [start, end] }) => sum + end - start, 0),
      ...cpuTime(steps),
    },
    steps,
    transfers,
    criticalPath: path,
    layers: record.layers.map((layer) => describeLayer(layer, steps, inside)),
    directories: inside.directories,
    warnings: record.warnings.map(({ vertex, ...warning }) => ({
      ...warning,
      ...(vertex === undefined ? {} : { step: vertex }),
    })),
    ...(dockerfile === undefined
      ? {}
      : { dockerfile: { name: dockerfile.name, text: sanitize(dockerfile.text.replaceAll('\r\n', '\n')) } }),
  };
}

function stateOf({ state, spans }: RecordedVertex, { result }: BuildRecord): StepState {
  switch (state) {
    case 'done':
      return 'ran';
    case 'cached':
    case 'failed':
    case 'canceled':
      return state;
    case 'started':
      return 'canceled';
    case 'pending':
      return spans.length > 0 ? 'ran' : result === 'done' ? 'cached' : 'skipped';
  }
}

/** Of the steps and sources that have a number in their stage, as the summary of a job counts them. */
function count(
  steps: readonly ReportStep[],
): Pick<ReportFacts['summary'], 'steps' | 'ran' | 'cached' | 'failed' | 'hitRate'> {
  const own = steps.filter(({ kind, number }) => kind === 'step' || (kind === 'source' && number !== undefined));
  const of = (wanted: StepState): number => own.filter(({ state }) => state === wanted).length;
  const [ran, cached, failed] = [of('ran'), of('cached'), of('failed')];
  const asked = ran + cached + failed;
  return { steps: own.length, ran, cached, failed, ...(asked === 0 ? {} : { hitRate: cached / asked }) };
}

function moved(
  transfers: readonly ReportTransfer[],
): Pick<ReportFacts['summary'], 'downloaded' | 'uploaded' | 'contextBytes'> {
  const sum = (list: readonly ReportTransfer[]): number => list.reduce((total, { bytes }) => total + bytes, 0);
  return {
    downloaded: sum(transfers.filter(({ direction }) => direction === 'down')),
    uploaded: sum(transfers.filter(({ direction }) => direction === 'up')),
    contextBytes: sum(transfers.filter(({ id }) => id === 'transferring context')),
  };
}

function cpuTime(steps: readonly ReportStep[]): { readonly cpuMs?: number } {
  const used = steps.flatMap(({ usage }) => (usage === undefined ? [] : [usage.userMs + usage.systemMs]));
  return used.length === 0 ? {} : { cpuMs: Math.round(used.reduce((sum, ms) => sum + ms, 0)) };
}

function imageBytes(layers: readonly RecordedLayer[]): { readonly imageBytes?: number } {
  if (layers.length === 0 || layers.some(({ size }) => size === undefined)) return {};
  return { imageBytes: layers.reduce((sum, { size = 0 }) => sum + size, 0) };
}

function describeLayer(
  { platform, description, isForeign, digest, size, bytes }: RecordedLayer,
  steps: readonly ReportStep[],
  inside: LayerContents,
): ReportFacts['layers'][number] {
  const step = isForeign ? -1 : steps.findIndex(({ name }) => name === description);
  const looked = digest === undefined ? undefined : inside.layers.get(digest);
  const contentSize = looked?.contentSize ?? bytes;
  return {
    ...(platform === undefined ? {} : { platform }),
    ...(digest === undefined ? {} : { digest }),
    ...(step < 0 ? {} : { step }),
    text: isForeign ? `FROM ${description}` : (steps[step]?.text ?? parseStepName(description, true).text),
    ...(size === undefined ? {} : { size }),
    ...(contentSize === undefined ? {} : { contentSize }),
    ...(looked === undefined
      ? {}
      : {
          files: looked.files,
          largestDirectories: looked.largestDirectories,
          largestFiles: looked.largestFiles,
        }),
  };
}
