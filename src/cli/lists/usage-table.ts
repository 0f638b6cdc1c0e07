import type { UsageRecord } from '../../store/index.ts';
import { formatBytes } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { formatAge, formatTable } from './table.ts';

/** Records as lines. Only a terminal gets short ids and descriptions that end at its edge: what stands in a file must still be of use. */
export function usageTable(context: CliContext, records: readonly UsageRecord[]): string {
  const { isTTY, columns } = context.stdout;
  const rows = records.map((record): readonly string[] => {
    const { id, type, size, usedAt, description } = record;
    const marks = `${record.shared ? '*' : ''}${record.inUse ? ' (in use)' : ''}`;
    const isHash = type !== 'image' && type !== 'exec.cachemount';
    return [
      isTTY && isHash ? id.slice(0, 20) : id,
      type,
      `${formatBytes(size)}${marks}`,
      formatAge(context.now() - usedAt),
      description,
    ];
  });
  return formatTable(['ID', 'TYPE', 'SIZE', 'LAST USED', 'DESCRIPTION'], rows, isTTY ? columns : undefined);
}
