import type { BuildEvent, StepUsage, VertexState } from '../events/index.ts';
import { type Digest, formatBytes, sanitizeLine } from '../util/index.ts';
import { cpuTime } from './usage.ts';

/** Steps that are listed; of more the slowest. GitHub takes 1 MiB for a step of a job. */
const MAX_STEPS = 200;

interface Step {
  name: string;
  state: VertexState;
  startedAt: number | undefined;
  /** Milliseconds. */
  took: number;
  usage?: StepUsage;
}

/** An image that was written, for the summary. */
export interface SummarizedImage {
  readonly names: readonly string[];
  readonly digest: string;
}

/** What a build did, as Markdown for the page of a job: steps with their times, what came from the cache, what was made. */
export class JobSummary {
  readonly #steps = new Map<Digest, Step>();
  #startedAt: number | undefined;
  #endedAt = 0;

  event(event: BuildEvent): void {
    this.#startedAt ??= event.at;
    this.#endedAt = Math.max(this.#endedAt, event.at);
    if (event.type === 'usage') {
      const step = this.#steps.get(event.vertex);
      if (step !== undefined) step.usage = event.usage;
    }
    if (event.type !== 'vertex') return;
    const { vertex, name, state, at } = event;
    const step: Step = this.#steps.get(vertex) ?? { name, state, startedAt: undefined, took: 0 };
    if (state === 'started') step.startedAt ??= at;
    else if (step.startedAt !== undefined) {
      step.took += at - step.startedAt;
      step.startedAt = undefined;
    }
    step.name = name;
    // What ran once and was looked at again ran.
    if (!(state === 'cached' && step.state === 'done')) step.state = state;
    this.#steps.set(vertex, step);
  }

  /**
   * @param title what was built
   * @param failure why it failed, if it did
   * @param reports files with reports of the build
   */
  format(title: string, images: readonly SummarizedImage[], failure?: string, reports: readonly string[] = []): string {
    const all = [...this.#steps.values()].filter(({ state }) => state !== 'pending');
    const own = all.filter(({ name }) => !/^\[(internal|auth)\]|^exporting |^pushing |^keeping /.test(name));
    const cached = own.filter(({ state }) => state === 'cached').length;
    const lines = [`### ${failure === undefined ? '' : 'Failed: '}${cell(title)}`, ''];
    if (failure !== undefined) lines.push(...fenced(failure), '');
    lines.push(
      `${own.length} steps, ${cached} from the cache, ${seconds(this.#endedAt - (this.#startedAt ?? this.#endedAt))}`,
      '',
    );
    for (const { names, digest } of images)
      lines.push(`- ${names.length === 0 ? 'image' : names.map(code).join(', ')} ${code(digest)}`);
    for (const report of reports) lines.push(`- report ${code(report)}`);
    const shown = own.length <= MAX_STEPS ? own : own.toSorted((a, b) => b.took - a.took).slice(0, MAX_STEPS);
    if (shown.length > 0) {
      lines.push('', '<details><summary>Steps</summary>', '', ...table(shown));
      if (shown.length < own.length) lines.push(`| and ${own.length - shown.length} faster ones | | |`);
      lines.push('', '</details>');
    }
    return `${lines.join('\n')}\n\n`;
  }
}

/** With what steps used, where any ran. */
function table(steps: readonly Step[]): readonly string[] {
  const isUsed = steps.some(({ usage }) => usage !== undefined);
  const used = (usage: StepUsage | undefined): string =>
    usage === undefined
      ? ' | | |'
      : ` ${seconds(cpuTime(usage))} | ${formatBytes(usage.peakMemory)} | ${formatBytes(usage.writtenBytes)} |`;
  return [
    `| step | | time |${isUsed ? ' CPU | memory | written |' : ''}`,
    `| --- | --- | ---: |${isUsed ? ' ---: | ---: | ---: |' : ''}`,
    ...steps.map(
      ({ name, state, took, usage }) =>
        `| ${code(name)} | ${STATES[state]} | ${state === 'cached' ? '' : seconds(took)} |${isUsed ? used(usage) : ''}`,
    ),
  ];
}

const STATES: Readonly<Record<VertexState, string>> = {
  pending: '',
  started: 'not finished',
  cached: 'cached',
  done: '',
  failed: '**failed**',
  canceled: 'canceled',
};

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** A block of code. What is in it, such as the command of a step, has no fence of its own that is as long: that would end it. */
function fenced(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => sanitizeLine(line, 400));
  const longest = Math.max(2, ...lines.flatMap((line) => /^ *(`+)/.exec(line)?.[1]?.length ?? 0));
  const fence = '`'.repeat(longest + 1);
  return [fence, ...lines, fence];
}

/** Text that ends no cell and makes no markup. */
function cell(text: string): string {
  return sanitizeLine(text, 200).replaceAll(/[\\`*_{}[\]<>#|~]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** The same as code; a backtick in it would end that. */
function code(text: string): string {
  return `\`${sanitizeLine(text, 160).replaceAll('`', 'ˋ').replaceAll('|', '\\|')}\``;
}
