import { sanitizeLine } from '../util/index.ts';
import type { Comparison } from './compare-images.ts';
import type { Difference } from './difference.ts';

/** Lines of one layer, or of the config. What is more is counted. */
const MAX_LINES = 50;
const WIDTH = 200;

/** A comparison as text for people; without a line break at the end. */
export function formatComparison({ platform, image, rebuilt, identical, differences }: Comparison): string {
  if (identical) return `${platform}: built again, it is the same: ${image}`;
  const lines = [`${platform}: built again, it is another image`, `  image    ${image}`, `  rebuilt  ${rebuilt}`];
  const groups = Map.groupBy(differences, headingOf);
  for (const [heading, group] of groups) {
    lines.push(heading, ...group.slice(0, MAX_LINES).flatMap(linesOf));
    if (group.length > MAX_LINES) lines.push(`  and ${group.length - MAX_LINES} more`);
  }
  if (differences.every((one) => one.kind === 'cache' && one.path !== ''))
    lines.push(
      'nothing else differs: a build whose store knew some of the steps before puts down fewer ways to them than one that begins with nothing',
    );
  return lines.join('\n');
}

function headingOf(difference: Difference): string {
  if (difference.kind === 'cache') return 'cache within the image';
  if (difference.layer === undefined) return difference.kind;
  const { layer, createdBy } = difference;
  return `layer ${layer}${createdBy === undefined ? '' : `: ${sanitizeLine(createdBy, 120)}`}`;
}

function linesOf(difference: Difference): readonly string[] {
  switch (difference.kind) {
    case 'manifest':
    case 'config':
    case 'cache': {
      const { kind, path, image, rebuilt } = difference;
      if (kind === 'cache' && path === '' && (image === undefined || rebuilt === undefined))
        return [image === undefined ? '  ~ only the rebuilt image has one' : '  ~ the rebuilt image has none'];
      if (path === '' && kind === 'manifest') return ['  ~ the same JSON in other bytes'];
      return [
        `  ~ ${path === '' ? 'all of it' : sanitizeLine(path, WIDTH)}: ${valueText(image)} -> ${valueText(rebuilt)}`,
      ];
    }
    case 'layer':
      return [`  ~ ${LAYERS[difference.what]}`];
    case 'entry': {
      const { path, what, fields, content } = difference;
      if (what !== 'changed') return [`  ${what === 'absent' ? '-' : '+'} ${sanitizeLine(path, WIDTH)}`];
      const changes = fields.map(
        ({ field, image, rebuilt }) => `${field} ${valueText(image)} -> ${valueText(rebuilt)}`,
      );
      if (content)
        changes.push(
          `content from byte ${content.offset}: ${valueText(content.image)} -> ${valueText(content.rebuilt)}`,
        );
      return [`  ~ ${sanitizeLine(path, WIDTH)}`, ...changes.map((text) => `      ${text}`)];
    }
  }
}

const LAYERS = {
  absent: 'the rebuilt image does not have this layer',
  added: 'only the rebuilt image has this layer',
  compression: 'the same files, compressed to other bytes (another compressor, or another version or level of it)',
  order: 'the same entries, in another order or in other headers',
} as const;

function valueText(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return sanitizeLine(text === '' ? '""' : text, WIDTH);
}
