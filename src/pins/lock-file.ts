import { isDigest, sanitizeLine, TsbuildError } from '../util/index.ts';
import { type Pin, pinName } from './pin.ts';
import { isRefName } from './ref-name.ts';
import { answerForLock, answerName, parseAnswer, type RecordedAnswer, sortedAnswers } from './recorded-answer.ts';

/** Of the format. Others are refused: what they pin would be guessed at. A file without recorded answers is one of the first version. */
const VERSION = 1;
const RECORDED_VERSION = 2;

/** What a lock file says. */
export interface Lock {
  readonly sources: readonly Pin[];
  /** What web servers have answered to steps. */
  readonly network: readonly RecordedAnswer[];
}

/** Fields of a pin in the order in which they are written. */
const FIELDS = ['type', 'ref', 'pin', 'size', 'name', 'commit', 'modified', 'disposition'] as const;

/** The text of a lock file: JSON with one entry after the other, sorted, so that a review shows what changed and nothing else. */
export function formatLock({ sources, network }: Lock): string {
  const sorted = sources.toSorted((a, b) => (pinName(a) < pinName(b) ? -1 : 1)).map(ordered);
  const lock =
    network.length === 0
      ? { version: VERSION, sources: sorted }
      : { version: RECORDED_VERSION, sources: sorted, network: sortedAnswers(network).map(answerForLock) };
  return `${JSON.stringify(lock, null, 2)}\n`;
}

function ordered(pin: Pin): Record<string, unknown> {
  const fields = pin as unknown as Readonly<Record<string, unknown>>;
  return Object.fromEntries(FIELDS.flatMap((name) => (fields[name] === undefined ? [] : [[name, fields[name]]])));
}

/**
 * Reads a lock file. It is reviewed by people and merged by git, so that what is wrong with it is said with the entry.
 * @param path for messages
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseLock(text: string, path: string): Lock {
  const fail = (why: string, cause?: unknown): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use ${JSON.stringify(path)}: ${why}`, {
      hint: 'mend it, or let it be written anew with --update-lock',
      ...(cause === undefined ? {} : { cause }),
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (/^(<{7}|={7}|>{7}) ?/m.test(text)) throw fail('it has the marks of a merge conflict', error);
    throw fail('it is not JSON', error);
  }
  if (!isObject(value)) throw fail('it is not an object');
  const { version, sources, network = [] } = value;
  if (version !== VERSION && version !== RECORDED_VERSION)
    throw fail(`its version is ${shown(version)}, and this is for versions ${VERSION} and ${RECORDED_VERSION}`);
  if (!Array.isArray(sources)) throw fail('its "sources" are not a list');
  const pins = new Map<string, Pin>();
  for (const [index, source] of sources.entries()) {
    const pin = parsePin(source);
    if (pin === undefined) throw fail(`entry ${index + 1} of its "sources" is not one: ${shown(source)}`);
    if (pins.has(pinName(pin))) throw fail(`it has two entries for ${pin.type} ${shown(pin.ref)}`);
    pins.set(pinName(pin), pin);
  }
  return { sources: [...pins.values()], network: parseNetwork(network, fail) };
}

function parseNetwork(network: unknown, fail: (why: string) => TsbuildError): readonly RecordedAnswer[] {
  if (!Array.isArray(network)) throw fail('its "network" is not a list');
  const answers = new Map<string, RecordedAnswer>();
  for (const [index, entry] of network.entries()) {
    const answer = parseAnswer(entry);
    if (answer === undefined) throw fail(`entry ${index + 1} of its "network" is not one: ${shown(entry)}`);
    const name = answerName(answer);
    if (answers.has(name)) throw fail(`it has two answers for ${answer.method} ${shown(answer.url)}`);
    answers.set(name, answer);
  }
  return [...answers.values()];
}

/** An entry with the fields that it may have; undefined when it is none. */
function parsePin(value: unknown): Pin | undefined {
  if (!isObject(value)) return undefined;
  const { type, ref, pin, size, name, commit, modified, disposition } = value;
  if (typeof ref !== 'string' || ref === '' || typeof pin !== 'string') return undefined;
  switch (type) {
    case 'docker-image':
      return isDigest(pin) ? { type, ref, pin } : undefined;
    case 'git':
      if (!isObjectName(pin) || !(name === undefined || isFullName(name))) return undefined;
      if (!(commit === undefined || isObjectName(commit))) return undefined;
      return { type, ref, pin, ...(name === undefined ? {} : { name }), ...(commit === undefined ? {} : { commit }) };
    case 'http':
      if (!isDigest(pin) || !isCount(size) || !(modified === undefined || isTime(modified))) return undefined;
      if (!(disposition === undefined || typeof disposition === 'string')) return undefined;
      return {
        type,
        ref,
        pin,
        size,
        ...(modified === undefined ? {} : { modified }),
        ...(disposition === undefined ? {} : { disposition }),
      };
    default:
      return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Seconds since the epoch, of a year that dates have four digits for: it becomes the time of a file. */
function isTime(value: unknown): value is number {
  return isCount(value) && value <= 253_402_300_799;
}

function isObjectName(value: unknown): value is string {
  return typeof value === 'string' && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(value);
}

/** Of a git reference, any that git itself may have given it. It becomes an argument of git, which would take a dash for an option. */
function isFullName(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('refs/') && isRefName(value);
}

function shown(value: unknown): string {
  return sanitizeLine(JSON.stringify(value) ?? 'missing', 200);
}
