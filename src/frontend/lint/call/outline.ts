import type { SourceFile, SourceRange } from '../../../util/index.ts';
import { json, type JsonLocation, jsonLocation, jsonSource, table } from './format.ts';

/** The parameters that a target takes: what `--call=outline` shows. */
export interface Outline {
  readonly file: SourceFile;
  /** The target's name, empty for an unnamed stage. */
  readonly name: string;
  readonly description: string;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly OutlineSecret[];
  readonly ssh: readonly OutlineSecret[];
  readonly caches: readonly OutlineCache[];
}

/** A build argument that the target reads. */
export interface OutlineArg {
  readonly name: string;
  readonly description: string;
  readonly value: string;
  readonly ranges: readonly SourceRange[];
}

/** A secret or an SSH agent. */
export interface OutlineSecret {
  readonly name: string;
  readonly required: boolean;
  readonly ranges: readonly SourceRange[];
}

/** A cache mount of the target. */
export interface OutlineCache {
  readonly id: string;
  readonly ranges: readonly SourceRange[];
}

/** The tables for people. */
export function formatOutline({ name, description, args, secrets, ssh }: Outline): string {
  const parts: string[] = [];
  if (name !== '' || description !== '') {
    const rows = [['TARGET:', name === '' ? '(default)' : name]];
    if (description !== '') rows.push(['DESCRIPTION:', description]);
    parts.push(table(rows, 1));
  }
  if (args.length > 0) {
    const rows = args.map((arg) => [arg.name, arg.value, arg.description]);
    parts.push(table([['BUILD ARG', 'VALUE', 'DESCRIPTION'], ...rows], 3));
  }
  if (secrets.length > 0) parts.push(requiredTable('SECRET', secrets));
  if (ssh.length > 0) parts.push(requiredTable('SSH', ssh));
  return parts.map((part) => `${part}\n`).join('');
}

function requiredTable(head: string, items: readonly OutlineSecret[]): string {
  return table([[head, 'REQUIRED'], ...items.map(({ name, required }) => [name, required ? 'true' : ''])], 3);
}

/** BuildKit's `frontend.outline` 1.0.0 JSON. */
export function formatOutlineJson({ file, name, description, args, secrets, ssh, caches }: Outline): string {
  return json({
    ...(name !== '' && { name }),
    ...(description !== '' && { description }),
    ...(args.length > 0 && {
      args: args.map((arg) => ({
        name: arg.name,
        ...(arg.description !== '' && { description: arg.description }),
        ...(arg.value !== '' && { value: arg.value }),
        location: jsonLocation(arg.ranges),
      })),
    }),
    ...(secrets.length > 0 && { secrets: secrets.map(requiredItem) }),
    ...(ssh.length > 0 && { ssh: ssh.map(requiredItem) }),
    ...(caches.length > 0 && { cache: caches.map(({ id, ranges }) => ({ ID: id, location: jsonLocation(ranges) })) }),
    sources: [jsonSource(file)],
  });
}

function requiredItem({ name, required, ranges }: OutlineSecret): {
  name: string;
  required?: true;
  location: JsonLocation | undefined;
} {
  return { name, ...(required && { required }), location: jsonLocation(ranges) };
}
