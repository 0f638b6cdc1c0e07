import type { Direction, ReportTransfer } from './facts.ts';
import type { RecordedPart, RecordedVertex } from './record.ts';

/** What parts of vertices are bytes on their way, and which way that is. */
export function transfersOf(vertices: readonly RecordedVertex[]): readonly ReportTransfer[] {
  return vertices
    .flatMap(({ name, parts }, step) =>
      parts.flatMap((part): ReportTransfer[] => {
        const direction = directionOf(name, part);
        if (direction === undefined) return [];
        const { id, span, current, total } = part;
        return [{ step, id, direction, span, bytes: current, ...(total === undefined ? {} : { total }) }];
      }),
    )
    .sort((a, b) => a.span[0] - b.span[0] || a.step - b.step);
}

/** Undefined for what moves nothing: notes, counts, blobs that were mounted or there. */
function directionOf(vertex: string, { id, current, unit }: RecordedPart): Direction | undefined {
  if (unit === 'count' || current === 0) return undefined;
  if (id.startsWith('transferring ')) return 'local';
  if (id.startsWith('pushing ')) return 'up';
  // Layers of base images and of caches, archives of web servers, git repositories.
  const isOutput = /^(?:exporting|keeping|preparing|writing) /.test(vertex);
  if (isOutput) return vertex.startsWith('exporting cache to registry') && id.includes('sha256:') ? 'up' : undefined;
  return 'down';
}
