import {
  type ContainerConfig,
  type HealthcheckConfig,
  type HistoryEntry,
  type ImageConfig,
  MAX_CONFIG_BYTES,
} from '../image/index.ts';
import { TsbuildError } from '../util/index.ts';
import { goJson, goTime, sortedMap } from './go-json.ts';
import { clampHistory, completeHistory, isLater } from './history.ts';
import type { PlatformImage } from './types.ts';

/** Order of the keys of `config`: Go's struct (image-spec ImageConfig, then Docker's extensions). */
const LISTS = ['Env', 'Entrypoint', 'Cmd'] as const;
const KNOWN = new Set([
  'User', 'ExposedPorts', ...LISTS, 'Volumes', 'WorkingDir', 'Labels', 'StopSignal', 'ArgsEscaped', 'Healthcheck', 'OnBuild', 'Shell',
]); // oxfmt-ignore

/**
 * The bytes of an image config, with `rootfs` from the layers, `history` made to fit them and `created` filled in.
 * Keys are in BuildKit's order: sorted at the top, where it patches a map, and Go's struct order within. Keys that tsbuild
 * does not know survive.
 * @param epoch seconds; times of the build itself are at most this
 * @throws TsbuildError `TSB_EXPORT` for a config that no image may have
 */
export function imageConfigBytes(
  image: PlatformImage,
  epoch: number | undefined,
): { bytes: Uint8Array; created?: string } {
  const { config, layers } = image;
  let history = completeHistory(config.history, layers);
  if (epoch !== undefined) history = clampHistory(history, image.baseHistory, epoch);
  const created = createdOf(config, history, epoch);
  const document: Record<string, unknown> = {
    ...config,
    config: containerConfig(config.config),
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: history.map(historyEntry),
    created,
  };
  const bytes = Buffer.from(goJson(sortedMap(document)));
  if (bytes.length > MAX_CONFIG_BYTES) {
    throw new TsbuildError(
      'TSB_EXPORT',
      `Cannot write the image: its config has ${bytes.length} bytes, more than the ${MAX_CONFIG_BYTES} that are read`,
      { hint: 'labels, variables and the history of the instructions that set them are part of it' },
    );
  }
  return { bytes, ...(created === undefined ? {} : { created }) };
}

/** The config's own time, else that of the last entry; at most the epoch. */
function createdOf(
  config: ImageConfig,
  history: readonly HistoryEntry[],
  epoch: number | undefined,
): string | undefined {
  if (config.created === undefined) return history.findLast(({ created }) => created !== undefined)?.created;
  return epoch !== undefined && isLater(config.created, epoch) ? goTime(epoch * 1000) : config.created;
}

function historyEntry({ created, created_by, author, comment, empty_layer }: HistoryEntry): object {
  return {
    created,
    created_by: created_by === '' ? undefined : created_by,
    author: author === '' ? undefined : author,
    comment: comment === '' ? undefined : comment,
    empty_layer: empty_layer === true ? true : undefined,
  };
}

/** The `config` object in the order in which Go's struct has its fields, without what is empty. */
function containerConfig(config: ContainerConfig): object {
  const unknown = sortedMap(Object.fromEntries(Object.entries(config).filter(([key]) => !KNOWN.has(key))));
  return {
    User: text(config.User),
    ExposedPorts: sortedMap(config.ExposedPorts),
    Env: list(config.Env),
    Entrypoint: list(config.Entrypoint),
    Cmd: list(config.Cmd),
    Volumes: sortedMap(config.Volumes),
    WorkingDir: text(config.WorkingDir),
    Labels: sortedMap(config.Labels),
    StopSignal: text(config.StopSignal),
    ArgsEscaped: config.ArgsEscaped === true ? true : undefined,
    Healthcheck: healthcheck(config.Healthcheck),
    OnBuild: list(config.OnBuild),
    Shell: list(config.Shell),
    ...unknown,
  };
}

/** Zero stands for "inherit" and is left out. */
function healthcheck(check: HealthcheckConfig | undefined): object | undefined {
  if (check === undefined) return undefined;
  const number = (value: number | undefined): number | undefined => (value === 0 ? undefined : value);
  return {
    Test: list(check.Test),
    Interval: number(check.Interval),
    Timeout: number(check.Timeout),
    StartPeriod: number(check.StartPeriod),
    StartInterval: number(check.StartInterval),
    Retries: number(check.Retries),
  };
}

/** Go's `omitempty`. */
function text(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function list(value: readonly string[] | undefined): readonly string[] | undefined {
  return value?.length === 0 ? undefined : value;
}
