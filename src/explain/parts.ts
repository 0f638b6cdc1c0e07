import { posix } from 'node:path';
import type { ChownOptions, CopyAction, ExecOp, FileOp, LlbVertex, Mount, SourceOp, UserOption } from '../llb/index.ts';
import { redactUrls } from '../util/index.ts';
import type { Part, StepKind } from './account.ts';

/** A value before it was decided whether it may be shown. */
export type RawPart = Pick<Part, 'what' | 'name'> & {
  readonly value: string;
  /** As people write it, where that is not the value. */
  readonly text?: string;
};

/** What kind of step a vertex is. */
export function kindOf({ op: { body } }: LlbVertex): StepKind {
  switch (body?.kind) {
    case 'exec':
      return 'run';
    case 'file':
      return 'files';
    case 'source':
      return sourceKind(body);
    case 'merge':
    case 'diff':
    case 'build':
    case 'passthrough':
    case undefined:
      return 'other';
  }
}

function sourceKind({ identifier }: SourceOp): StepKind {
  if (/^(?:docker-image|oci-layout):\/\//.test(identifier)) return 'image';
  if (identifier.startsWith('local://')) return 'local';
  return identifier.startsWith('git://') ? 'git' : 'http';
}

/**
 * What the identity of a step is made of (`execKey`, `fileKey` and their like in src/ops), as its Dockerfile has it. What it reads is no
 * part of it, nor is what a name of a source stands for, which only who asked knows.
 */
export function partsOf({ op }: LlbVertex): readonly RawPart[] {
  const { body, platform } = op;
  const own = body?.kind === 'exec' ? execParts(body) : body?.kind === 'file' ? fileParts(body) : [];
  const of = body?.kind === 'source' ? sourceParts(body) : own;
  if (platform === undefined) return of;
  const { os, architecture, variant } = platform;
  return [...of, option('--platform', [os, architecture, variant].filter((one) => one !== '').join('/'))];
}

function option(name: string, value: string): RawPart {
  return { what: 'option', name, value };
}

/** Options that say something. */
function options(all: Readonly<Record<string, string>>): readonly RawPart[] {
  return Object.entries(all)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => option(name, value));
}

/** A command in a shell is what stands in the Dockerfile; the shell in front of it is another part. */
function execParts({ meta, network, security, mounts, secretEnv, cdiDevices }: ExecOp): readonly RawPart[] {
  const { args } = meta;
  const isShell = args.length > 2 && /^[-/]/.test(args.at(-2) ?? '');
  return [
    { what: 'command', name: 'command', value: JSON.stringify(args.at(-1)), text: args.at(-1) ?? '' },
    option(isShell ? 'SHELL' : 'arguments', JSON.stringify(args.slice(0, -1))),
    ...meta.env.map((entry): RawPart => {
      const at = entry.indexOf('=');
      return { what: 'variable', name: entry.slice(0, at), value: entry.slice(at + 1) };
    }),
    ...options({
      WORKDIR: meta.cwd,
      USER: meta.user,
      '--add-host': meta.extraHosts.map(({ host, ip }) => `${host}=${ip}`).join(' '),
      '--hostname': meta.hostname,
      '--ulimit': meta.ulimits.map(({ name, soft, hard }) => `${name}=${soft}:${hard}`).join(' '),
      '--network': network,
      '--security': security,
      'exit codes': meta.validExitCodes.join(' '),
      'secrets as variables': secretEnv.map(({ id, name }) => `${id} as ${name}`).join(' '),
    }),
    ...mounts.filter(({ dest }) => dest !== '/').map((mount) => option(`--mount of ${mount.dest}`, mountText(mount))),
    ...cdiDevices.map(({ name, optional }): RawPart => ({ what: 'device', name, value: String(optional) })),
  ];
}

function mountText({ type, selector, readonly, tmpfs, cache, secret, ssh }: Mount): string {
  const parts: Readonly<Record<string, string | number | boolean | undefined>> = {
    type,
    source: selector,
    readonly,
    size: tmpfs?.size,
    sharing: cache?.sharing,
    id: cache?.id ?? secret?.id ?? ssh?.id,
    uid: secret?.uid ?? ssh?.uid,
    gid: secret?.gid ?? ssh?.gid,
    mode: (secret?.mode ?? ssh?.mode)?.toString(8),
    required: secret === undefined && ssh === undefined ? undefined : !(secret?.optional ?? ssh?.optional ?? true),
  };
  return Object.entries(parts)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

/** Of several actions each part is told once: an instruction with several sources is one op. */
function fileParts({ actions }: FileOp): readonly RawPart[] {
  const copies = actions.filter((action) => action.kind === 'copy');
  const list = (values: readonly string[]): string => [...new Set(values.filter((one) => one !== ''))].join(' ');
  return [
    ...options({
      source: list(copies.map(({ src }) => src)),
      destination: list(copies.map(({ dest }) => dest)),
      '--chmod': list(copies.map(({ mode, modeStr }) => modeStr || (mode < 0 ? '' : mode.toString(8)))),
      '--exclude': list(copies.flatMap(({ excludePatterns }) => excludePatterns)),
      patterns: list(copies.flatMap(({ includePatterns }) => includePatterns)),
      '--chown': list(actions.map((action) => ('owner' in action ? ownerText(action.owner) : ''))),
      'times of files': list(copies.map(({ timestamp }) => (timestamp < 0n ? '' : String(timestamp / 1_000_000_000n)))),
      'how it copies': copies.length === 0 ? '' : list(copies.map(flagsText)) || 'plainly',
    }),
    ...actions.flatMap((action): readonly RawPart[] => {
      switch (action.kind) {
        case 'copy':
          return [];
        case 'mkfile': {
          const value = `${Buffer.from(action.data).toString('base64')} ${action.mode}`;
          return [{ what: 'command', name: `text of ${posix.basename(action.path)}`, value, text: '' }];
        }
        case 'mkdir':
          return [option('directory', `${action.path} ${action.mode.toString(8)}`)];
        case 'rm':
          return [option('removed path', action.path)];
        case 'symlink':
          return [option(`link ${action.newPath}`, action.oldPath)];
      }
    }),
  ];
}

/** What a copy is told beside its paths, in the words of the graph. */
function flagsText(copy: CopyAction): string {
  const flags = {
    'follows links': copy.followSymlink,
    'contents of directories': copy.dirCopyContents,
    unpacks: copy.attemptUnpack,
    wildcards: copy.allowWildcard,
    'replaces paths': copy.alwaysReplaceExistingDestPaths,
  };
  return Object.entries(flags)
    .flatMap(([name, is]) => (is ? [name] : []))
    .join(', ');
}

function ownerText(owner: ChownOptions | undefined): string {
  const part = (one: UserOption | undefined): string =>
    one === undefined ? '' : one.kind === 'byId' ? String(one.id) : one.name;
  return owner === undefined ? '' : [owner.user, owner.group].map(part).join(':');
}

/** Attributes that are about who asks, and not about what comes. */
const NOT_CONTENT = new Set(['local.session', 'git.fullurl', 'http.authheadersecret', 'git.authheadersecret']);

function sourceParts({ identifier, attrs }: SourceOp): readonly RawPart[] {
  if (identifier.startsWith('local://')) return [];
  const address = redactUrls(identifier.replace(/^(?:docker-image|oci-layout|git):\/\//, ''));
  const name = /^(?:docker-image|oci-layout):/.test(identifier) ? 'image' : 'address';
  return [
    {
      ...option(name, identifier.replace(/^docker-image:\/\//, '').replace(/@sha256:.*$/, '')),
      text: address.replace(/@sha256:.*$/, ''),
    },
    ...[...attrs]
      .filter(([key]) => !NOT_CONTENT.has(key) && !key.startsWith('image.'))
      .map(([key, value]) => option(key, value)),
  ];
}
