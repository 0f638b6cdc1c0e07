import { parseCpus, parseMemory } from '../../limits/index.ts';
import { isTsbuildError, parseDuration, reasonOf, type SourceRange, suggest } from '../../util/index.ts';
import { dockerfileError } from '../dockerfile/failure.ts';

/** What a comment above a RUN sets for it. */
export interface StepSettings {
  /** Milliseconds. */
  readonly timeoutMs?: number;
  /** `record` and `locked` are about how a network of its own is used, and no other one to the graph. */
  readonly network?: 'default' | 'none' | 'host' | 'record' | 'locked';
  /** Bytes; 0 for no limit. */
  readonly memory?: number;
  /** Microseconds of CPU time in each period (`CPU_PERIOD`); 0 for no limit. */
  readonly cpuQuota?: number;
}

/** Where a graph carries a step's time limit, in milliseconds: in what is about the build and part of no digest. */
export const TIMEOUT_KEY = 'tsbuild.timeout';

/** The same for whether a step's network is recorded: `record` or `locked`. */
export const NETWORK_KEY = 'tsbuild.network';

const KEYS = ['timeout', 'memory', 'cpus', 'network'];
const NETWORKS = ['default', 'none', 'host', 'record', 'locked'] as const;
const EXAMPLE = 'for example: # tsbuild: timeout=10m memory=2g network=none';

/**
 * Reads `# tsbuild: timeout=10m memory=2g cpus=2 network=none` among the comments above an instruction, which other tools pass over. A step is the same to
 * the cache whatever its limits are.
 * @throws TsbuildError `TSB_DOCKERFILE` for settings that there are not: one that has no effect would be taken for one that has
 */
export function stepSettings(comments: readonly string[], ranges: readonly SourceRange[]): StepSettings {
  const words = comments.flatMap((comment) => {
    const match = /^tsbuild:(.*)$/.exec(comment);
    return match ? (match[1] ?? '').split(/\s+/).filter((word) => word !== '') : [];
  });
  let settings: StepSettings = {};
  for (const word of words) {
    const at = word.indexOf('=');
    const [key, value] = at < 0 ? [word, ''] : [word.slice(0, at), word.slice(at + 1)];
    if (key === 'timeout') settings = { ...settings, timeoutMs: timeoutOf(value, ranges) };
    else if (key === 'memory') settings = { ...settings, memory: amountOf(key, value, parseMemory, ranges) };
    else if (key === 'cpus')
      settings = { ...settings, cpuQuota: amountOf(key, value, (text) => parseCpus(text), ranges) };
    else if (key === 'network') settings = { ...settings, network: networkOf(value, ranges) };
    else {
      const near = suggest(key, KEYS);
      throw dockerfileError(
        `the comment "# tsbuild:" has no setting ${JSON.stringify(key)}`,
        ranges,
        near === undefined ? `it has ${KEYS.join(', ')}; ${EXAMPLE}` : `did you mean ${near}=?`,
      );
    }
  }
  return settings;
}

/** A Dockerfile is for many machines: more CPUs than one of them has are no mistake. */
function amountOf(key: string, text: string, parse: (text: string) => number, ranges: readonly SourceRange[]): number {
  try {
    return parse(text);
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    throw dockerfileError(
      `${key}=${text} is no limit of a step: ${reasonOf(error)}`,
      ranges,
      'for example memory=512m or cpus=1.5',
    );
  }
}

function timeoutOf(text: string, ranges: readonly SourceRange[]): number {
  try {
    const ms = parseDuration(text);
    if (ms > 0) return ms;
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
  }
  throw dockerfileError(`timeout=${text} is no time that a step may take`, ranges, 'for example 90s, 10m or 1h30m');
}

function networkOf(text: string, ranges: readonly SourceRange[]): NonNullable<StepSettings['network']> {
  const found = NETWORKS.find((name) => name === text);
  if (found !== undefined) return found;
  throw dockerfileError(`network=${text} is no network of a step`, ranges, `there are ${NETWORKS.join(', ')}`);
}
