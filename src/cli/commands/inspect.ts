import { locateImage, openSession } from '../../engine/index.ts';
import { type LayersReport, readRoot, reportLayers, selectImage, summarize } from '../../inspect/index.ts';
import { hostPlatform, parsePlatform } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import { formatBytes, sanitizeLine, TsbuildError } from '../../util/index.ts';
import { type Container, Containers } from '../../containers/index.ts';
import { summarizeContainer } from '../containers/container-summary.ts';
import { summarizeSettings } from '../containers/network-summary.ts';
import { type CliContext, interruptible, printForeign } from '../context.ts';
import { compileTemplate, toJson } from '../go-template/index.ts';
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
  readonly type?: 'container' | 'image';
}

/** `tsbuild inspect` */
export async function inspectCommand(
  context: CliContext,
  names: readonly string[],
  options: InspectOptions,
): Promise<number> {
  requireSense(names, options);
  // A format that is wrong is told before a registry is asked.
  const template =
    options.format === undefined || options.format === 'json' ? undefined : compileTemplate(options.format);
  using interrupt = interruptible();
  const task: Task = { signal: interrupt.signal, events: () => undefined };
  await using session = openSession(registrySession(context, interrupt.signal, options, names[0]));
  const summaries: unknown[] = [];
  const containers = new Containers(session.store);
  const code = await eachName(context, names, async (name) => {
    const container = findContainer(containers, name, options);
    if (container !== undefined) {
      const summary = {
        ...summarizeContainer(container, await containers.state(container)),
        NetworkSettings: await summarizeSettings(session.store, container),
      };
      if (template) await printForeign(context, `${template(summary)}\n`);
      else summaries.push(summary);
      return;
    }
    using found = await locateImage(session, task, name, { cwd: context.cwd, remote: options.remote ?? false });
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
    } else {
      const summary = summarize(selected, root, found);
      if (template) await printForeign(context, `${template(summary)}\n`);
      else summaries.push(summary);
    }
  });
  if (summaries.length > 0) await printForeign(context, `${toJson(summaries, 4)}\n`);
  return code;
}

/** A container of that name comes first, as with docker; options that only images have, or `--type`, say what is meant. */
function findContainer(containers: Containers, name: string, options: InspectOptions): Container | undefined {
  const { type, raw, config, layers, platform, remote } = options;
  if (type === 'container') return containers.find(name);
  if (type === 'image' || raw || config || layers || remote || platform !== undefined) return undefined;
  return containers.lookUp(name);
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
