import type { SourceFile, SourceRange } from '../../../util/index.ts';
import type { Dockerfile } from '../../dockerfile/types.ts';
import { json, jsonLocation, jsonSource, table } from './format.ts';

/** A stage that can be built: what `--call=targets` shows. */
export interface Target {
  /** Empty for an unnamed stage. */
  readonly name: string;
  /** Built when no target is asked for. */
  readonly isDefault: boolean;
  readonly description: string;
  /** As written in FROM. */
  readonly base: string;
  /** As written in `--platform`, or empty. */
  readonly platform: string;
  readonly ranges: readonly SourceRange[];
}

/** The stages of a Dockerfile in order. */
export function listTargets({ stages }: Dockerfile): readonly Target[] {
  return stages.map((stage, index) => ({
    name: stage.name,
    isDefault: index === stages.length - 1,
    description: stage.docComment,
    base: stage.baseName,
    platform: stage.platform,
    ranges: stage.ranges,
  }));
}

/** The table for people. */
export function formatTargets(targets: readonly Target[]): string {
  const rows = targets.map(({ name, isDefault, description }) => [
    isDefault ? `${name} (default)`.trimStart() : name,
    description,
  ]);
  return table([['TARGET', 'DESCRIPTION'], ...rows], 1);
}

/** BuildKit's `frontend.targets` 1.0.0 JSON. */
export function formatTargetsJson(file: SourceFile, targets: readonly Target[]): string {
  return json({
    targets: targets.map(({ name, isDefault, description, base, platform, ranges }) => ({
      ...(name !== '' && { name }),
      ...(isDefault && { default: true }),
      ...(description !== '' && { description }),
      ...(base !== '' && { base }),
      ...(platform !== '' && { platform }),
      location: jsonLocation(ranges),
    })),
    sources: [jsonSource(file)],
  });
}
