import type { SourceFile, SourceRange } from '../../util/index.ts';
import type { ArgDefinition } from '../dockerfile/types.ts';
import type { Outline, OutlineArg, OutlineSecret } from '../lint/call/outline.ts';

/** An ARG as it was declared and what it came to. */
export interface ArgInfo {
  readonly definition: ArgDefinition;
  readonly value: string | undefined;
  readonly ranges: readonly SourceRange[];
  /** Arguments that its default refers to. */
  readonly deps: ReadonlySet<string>;
}

/** A secret or agent that steps mount. */
export interface CredentialInfo {
  readonly required: boolean;
  readonly ranges: readonly SourceRange[];
}

/** What a stage takes from outside. Stages built on another start with a copy of its capture. */
export class OutlineCapture {
  readonly args: Map<string, ArgInfo>;
  readonly usedArgs: Set<string>;
  readonly secrets: Map<string, CredentialInfo>;
  readonly ssh: Map<string, CredentialInfo>;
  readonly caches: Map<string, readonly SourceRange[]>;

  constructor(from?: OutlineCapture) {
    this.args = new Map(from?.args);
    this.usedArgs = new Set(from?.usedArgs);
    this.secrets = new Map(from?.secrets);
    this.ssh = new Map(from?.ssh);
    this.caches = new Map(from?.caches);
  }
}

/** Puts together what the stages of a target captured, in the order of the lines. */
export function mergeOutlines(
  file: SourceFile,
  target: { readonly name: string; readonly docComment: string },
  captures: readonly OutlineCapture[],
): Outline {
  const args = new Map<string, OutlineArg>();
  const secrets = new Map<string, OutlineSecret>();
  const ssh = new Map<string, OutlineSecret>();
  const caches = new Map<string, readonly SourceRange[]>();
  for (const capture of captures) {
    for (const key of withDeps(capture)) {
      const info = capture.args.get(key);
      if (info === undefined || args.has(key)) continue;
      const { definition, value, ranges } = info;
      args.set(key, { name: definition.key, value: value ?? '', description: definition.docComment, ranges });
    }
    for (const [name, info] of capture.secrets) if (!secrets.has(name)) secrets.set(name, { name, ...info });
    for (const [name, info] of capture.ssh) if (!ssh.has(name)) ssh.set(name, { name, ...info });
    for (const [id, ranges] of capture.caches) if (!caches.has(id)) caches.set(id, ranges);
  }
  return {
    file,
    name: target.name,
    description: target.docComment,
    args: [...args.values()].sort(byLine),
    secrets: [...secrets.values()].sort(byLine),
    ssh: [...ssh.values()].sort(byLine),
    caches: [...caches].map(([id, ranges]) => ({ id, ranges })).sort(byLine),
  };
}

function withDeps(capture: OutlineCapture): ReadonlySet<string> {
  const used = new Set(capture.usedArgs);
  // A set is iterated over what is added on the way, too.
  for (const key of used) for (const dep of capture.args.get(key)?.deps ?? []) used.add(dep);
  return used;
}

function byLine(
  a: { readonly ranges: readonly SourceRange[] },
  b: { readonly ranges: readonly SourceRange[] },
): number {
  return (a.ranges[0]?.startLine ?? 0) - (b.ranges[0]?.startLine ?? 0);
}
