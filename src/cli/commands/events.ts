import { type ContainerEvent, EventReader } from '../../containers/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { type CliContext, printForeign } from '../context.ts';
import { parseTime } from '../options/time-option.ts';
import { withContainers } from '../containers/each-container.ts';
import { type EventFilter, parseEventFilters } from '../options/event-filters.ts';
import { compileTemplate, toJson } from '../go-template/index.ts';
import { changed } from '../containers/wait-healthy.ts';

/** Options of `events`. */
export interface EventsOptions {
  readonly since?: string;
  readonly until?: string;
  readonly filter?: readonly string[];
  readonly format?: string;
  /** `--no-stream` */
  readonly stream?: boolean;
}

/** ms; what the notice of the kernel may have missed is seen by then. */
const LOOK = 500;

/** `tsbuild events`: what has happened since a time, and what happens, until a time or an interrupt. */
export async function eventsCommand(context: CliContext, options: EventsOptions): Promise<number> {
  const now = context.now();
  const since = options.since === undefined ? undefined : parseTime('--since', options.since, now);
  const until = options.until === undefined ? undefined : parseTime('--until', options.until, now);
  if (since !== undefined && until !== undefined && until < since)
    throw new TsbuildError('TSB_USAGE', 'Cannot show events: --until is before --since');
  const test = parseEventFilters(options.filter ?? []);
  const format = formatter(options.format);
  return withContainers(context, async ({ containers, signal }) => {
    using reader = new EventReader(containers.root);
    // As with docker: without --since only what happens from now on; with --no-stream or --until all that is there.
    const past = since !== undefined || until !== undefined || options.stream === false;
    let first = true;
    for (;;) {
      const present = new Date(context.now()).toISOString();
      for (const event of reader.read()) {
        if (first && !past) continue;
        if (isWanted(event, { since, until, test })) await printForeign(context, `${format(event)}\n`);
      }
      first = false;
      const over = options.stream === false || (until !== undefined && present > until);
      if (over || signal.aborted) return 0;
      await changed(containers.root, LOOK, signal);
    }
  });
}

function isWanted(
  event: ContainerEvent,
  {
    since,
    until,
    test,
  }: { readonly since: string | undefined; readonly until: string | undefined; readonly test: EventFilter },
): boolean {
  if (since !== undefined && event.time < since) return false;
  if (until !== undefined && event.time > until) return false;
  return test(event);
}

/** One event as docker prints it, as JSON, or by a template. */
function formatter(format: string | undefined): (event: ContainerEvent) => string {
  if (format === undefined || format === '') return asText;
  if (/^(?:json|\{\{\s*json\s+\.\s*\}\})$/.test(format)) return asJson;
  const template = compileTemplate(format);
  return (event) => template(fieldsOf(event));
}

function attributesOf({ image, labels, name, attributes }: ContainerEvent): ReadonlyMap<string, string> {
  return new Map(Object.entries({ ...labels, ...attributes, image, name }));
}

function asText(event: ContainerEvent): string {
  const attributes = [...attributesOf(event)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `${event.time} container ${event.action} ${event.id} (${attributes.map(([key, value]) => `${key}=${value}`).join(', ')})`;
}

/** Seconds since the epoch, and nanoseconds as digits: they are more than a number holds. */
function timesOf({ time }: ContainerEvent): { readonly seconds: number; readonly nano: string } {
  const seconds = Math.floor(Date.parse(time) / 1000);
  const fraction = /\.(\d{1,9})/.exec(time)?.[1] ?? '';
  return { seconds, nano: `${seconds}${fraction.padEnd(9, '0')}` };
}

/** The document of docker's API. */
function asJson(event: ContainerEvent): string {
  const { seconds, nano } = timesOf(event);
  const document = {
    status: event.action,
    id: event.id,
    from: event.image,
    Type: 'container',
    Action: event.action,
    Actor: { ID: event.id, Attributes: attributesOf(event) },
    scope: 'local',
    time: seconds,
  };
  return `${toJson(document).slice(0, -1)},"timeNano":${nano}}`;
}

/** What templates have: docker's fields, and those of podman that it calls otherwise. */
function fieldsOf(event: ContainerEvent): Readonly<Record<string, unknown>> {
  const { seconds, nano } = timesOf(event);
  const attributes = attributesOf(event);
  return {
    Status: event.action,
    ID: event.id,
    From: event.image,
    Type: 'container',
    Action: event.action,
    Actor: { ID: event.id, Attributes: attributes },
    Scope: 'local',
    Time: seconds,
    TimeNano: nano,
    Name: event.name,
    Image: event.image,
    Attributes: attributes,
  };
}
