import { type LocatedImage, locateImage, measureContainers, openSession, type Session } from '../../engine/index.ts';
import { type LayersReport, readRoot, reportLayers, selectImage, summarize } from '../../inspect/index.ts';
import { hostPlatform, parsePlatform } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import { formatBytes, isTsbuildError, sanitizeLine, TsbuildError } from '../../util/index.ts';
import { type Container, Containers, Networks, Volumes } from '../../containers/index.ts';
import { summarizeContainer } from '../containers/container-summary.ts';
import { describeNetworks, summarizeSettings } from '../containers/network-summary.ts';
import { summarizeVolume } from '../containers/volume-summary.ts';
import { type CliContext, interruptible, printForeign } from '../context.ts';
import { inspectTemplate } from '../lists/inspect-format.ts';
import { toJson } from '../go-template/index.ts';
import { eachName } from '../each-name.ts';
import type { RegistryFlags } from '../options/registry-flags.ts';
import { registrySession } from '../registry-session.ts';
import { formatTable } from '../lists/table.ts';

/** Options of `tsbuild inspect`. */
export interface InspectOptions extends RegistryFlags {
  readonly format?: string;
  readonly raw?: boolean;
  readonly config?: boolean;
  readonly layers?: boolean;
  readonly platform?: string;
  readonly remote?: boolean;
  /** Of containers. */
  readonly size?: boolean;
  readonly type?: 'container' | 'image' | 'network' | 'volume';
}

/** `tsbuild inspect` */
export async function inspectCommand(
  context: CliContext,
  names: readonly string[],
  options: InspectOptions,
): Promise<number> {
  requireSense(names, options);
  // A format that is wrong is told before a registry is asked.
  const template = inspectTemplate(options.format);
  using interrupt = interruptible();
  const task: Task = { signal: interrupt.signal, events: () => undefined };
  await using session = openSession(registrySession(context, interrupt.signal, options, names[0]));
  const summaries: unknown[] = [];
  const containers = new Containers(session.store);
  const take = async (summary: Readonly<Record<string, unknown>>): Promise<void> => {
    if (template) await printForeign(context, `${template(summary)}\n`);
    else summaries.push(summary);
  };
  const { type } = options;
  const code = await eachName(context, names, async (name) => {
    const container = findContainer(containers, name, options);
    if (container !== undefined) {
      const [size] = options.size ? await measureContainers(session, [container], interrupt.signal) : [];
      const state = await containers.state(container);
      return take({
        ...summarizeContainer(container, state),
        ...(size === undefined ? {} : { SizeRw: size.rw, SizeRootFs: size.rootFs }),
        NetworkSettings: await summarizeSettings(session.store, container, state),
      });
    }
    if (type === 'network' || type === 'volume') return take(await summarizeOther(session, name, type));
    using found = await findImage(session, task, name, context.cwd, options);
    if (found === undefined) return await take(await summarizeOther(session, name));
    const { provider, root, what } = found;
    if (options.raw && !options.config) {
      await printForeign(context, await readRoot(provider, root, what));
      return;
    }
    const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
    const selected = await selectImage(provider, root, { platform, asked: options.platform !== undefined, what });
    if (options.config)
      await printForeign(
        context,
        options.raw ? selected.image.configBytes : `${JSON.stringify(selected.image.config, undefined, 4)}\n`,
      );
    else if (options.layers) {
      const report = await reportLayers(task, provider, selected.image);
      if (template) await printForeign(context, `${template({ ...report })}\n`);
      else await printForeign(context, options.format === 'json' ? `${toJson(report, 2)}\n` : layersText(report));
    } else await take({ ...summarize(selected, root, found) });
  });
  // As with docker, what is not there is an empty list, for programs that read it.
  const lists = !template && !options.raw && !options.config && !options.layers;
  if (summaries.length > 0 || (lists && code !== 0)) await printForeign(context, `${toJson(summaries, 4)}\n`);
  return code;
}

/** @returns undefined where there is none, and the name may be that of something else @throws TsbuildError */
async function findImage(
  session: Session,
  task: Task,
  name: string,
  cwd: string,
  options: InspectOptions,
): Promise<LocatedImage | undefined> {
  const { remote = false } = options;
  try {
    return await locateImage(session, task, name, { cwd, remote });
  } catch (error) {
    if (meansImage(options) || !isTsbuildError(error, 'TSB_NOT_FOUND')) throw error;
    return undefined;
  }
}

/** A network or volume, in docker's order. @throws TsbuildError `TSB_NOT_FOUND` */
async function summarizeOther(
  session: Session,
  name: string,
  type?: 'network' | 'volume',
): Promise<Readonly<Record<string, unknown>>> {
  const networks = new Networks(session.store);
  const network = type === 'network' ? networks.find(name) : type === undefined ? networks.lookUp(name) : undefined;
  if (network !== undefined) {
    const [summary = {}] = await describeNetworks(session, [network]);
    return summary;
  }
  const volumes = new Volumes(session.store);
  const volume = type === 'volume' ? volumes.find(name) : volumes.lookUp(name);
  if (volume !== undefined) return summarizeVolume(volume);
  throw new TsbuildError('TSB_NOT_FOUND', `No such object: ${name}`, {
    hint: 'no container, image, network or volume is called that; an image that only a registry has: add --remote',
  });
}

/** A container of that name comes first, as with docker; options that only images have, or `--type`, say what is meant. */
function findContainer(containers: Containers, name: string, options: InspectOptions): Container | undefined {
  if (options.type === 'container') return containers.find(name);
  return options.type !== undefined || meansImage(options) ? undefined : containers.lookUp(name);
}

/** Whether it is said that images are meant, or asked for what only they have. */
function meansImage({ type, raw, config, layers, platform, remote }: InspectOptions): boolean {
  return type === 'image' || Boolean(raw || config || layers || remote) || platform !== undefined;
}

function requireSense(names: readonly string[], { raw, config, layers, format }: InspectOptions): void {
  const fail = (why: string): TsbuildError => new TsbuildError('TSB_USAGE', `Cannot inspect: ${why}`);
  if (layers && (raw || config)) throw fail('--layers goes with neither --raw nor --config');
  if (format !== undefined && (raw || config)) throw fail('--format goes with neither --raw nor --config');
  if (names.length > 1 && (raw || config || layers)) throw fail('--raw, --config and --layers are for one image');
}

/** What each layer adds, for people. */
function layersText(report: LayersReport): string {
  const lines: string[] = [];
  const rows = report.layers.map((layer, index) => [
    String(index + 1),
    formatBytes(layer.size),
    formatBytes(layer.contentSize),
    String(layer.files),
    layer.overwritten + layer.deleted === 0 ? '' : `${layer.overwritten}/${layer.deleted}`,
    layer.wasted === 0 ? '' : formatBytes(layer.wasted),
    cut(layer.instruction, 60),
  ]);
  lines.push(formatTable(['LAYER', 'BLOB', 'FILES', 'COUNT', 'OVER/DEL', 'WASTED', 'INSTRUCTION'], rows));
  for (const [index, layer] of report.layers.entries()) {
    if (layer.largestFiles.length === 0) continue;
    lines.push(`\nLayer ${index + 1}: ${cut(layer.instruction, 100)}\n`);
    for (const { path, size } of layer.largestDirectories.slice(0, 5))
      lines.push(`  ${formatBytes(size).padStart(10)}  ${sanitizeLine(path)}/\n`);
    for (const { path, size } of layer.largestFiles.slice(0, 5))
      lines.push(`  ${formatBytes(size).padStart(10)}  ${sanitizeLine(path)}\n`);
  }
  lines.push(
    `\n${formatBytes(report.contentSize)} in ${report.layers.length} layers, ${formatBytes(report.wasted)} of it wasted: efficiency ${(report.efficiency * 100).toFixed(1)} %\n`,
  );
  if (report.wastedPaths.length > 0) {
    lines.push('Files that later layers overwrite or delete:\n');
    for (const { path, size, layers } of report.wastedPaths.slice(0, 10))
      lines.push(`  ${formatBytes(size).padStart(10)}  ${sanitizeLine(path)}  (layer ${layers.join(', ')})\n`);
  }
  return lines.join('');
}

function cut(text: string, length: number): string {
  const line = sanitizeLine(text, length);
  return line === '' ? '<unknown>' : line;
}
