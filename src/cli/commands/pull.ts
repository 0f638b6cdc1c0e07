import { openSession, pullImage, type PulledImage, type PullPolicy, type SessionOptions } from '../../engine/index.ts';
import { familiarReference, hostPlatform, parsePlatform, parseReference, type Reference } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import {
  commandRegistryOptions,
  emptyRegistriesConfig,
  listTags,
  resolveAlias,
  userRegistryOptions,
} from '../../registry/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import type { RegistryFlags } from '../options/registry-flags.ts';
import { registrySession } from '../registry-session.ts';
import { sessionOptions } from '../session-options.ts';
import { startProgress } from '../building/build-display.ts';

/** Options of `pull` as commander gives them. */
export interface PullOptions extends RegistryFlags {
  readonly platform?: string;
  readonly allPlatforms?: boolean;
  readonly allTags?: boolean;
  readonly policy: PullPolicy;
  readonly quiet?: boolean;
  readonly progress: string;
}

/** Tags of one repository; more are a mistake. */
const MAX_TAGS = 10_000;

/** `tsbuild pull` */
export async function pullCommand(
  context: CliContext,
  names: readonly string[],
  options: PullOptions,
): Promise<number> {
  const fail = (why: string, hint: string): TsbuildError => new TsbuildError('TSB_USAGE', why, { hint });
  if (options.platform !== undefined && options.allPlatforms)
    throw fail('Cannot pull one platform and all platforms', 'leave out --platform or --all-platforms');
  const selection = options.allPlatforms
    ? ({ what: 'all' } as const)
    : options.platform === undefined
      ? ({ what: 'part', platform: hostPlatform() } as const)
      : ({ what: 'part', platform: parsePlatform(options.platform), strict: true } as const);
  using interrupt = interruptible();
  const { config = emptyRegistriesConfig } = await userRegistryOptions(sessionOptions(context, interrupt.signal));
  const meant = names.map((name) =>
    name.startsWith('docker://') ? name.slice('docker://'.length) : (resolveAlias(name, config) ?? name),
  );
  const references = meant.map((name) => parseReference(name));
  if (options.allTags && references.some(({ tag, digest }) => tag !== undefined || digest !== undefined))
    throw fail('Cannot pull all tags of a name that has one', "tag can't be used with --all-tags/-a");
  const progress = startProgress(context, { progress: options.progress, quiet: options.quiet ?? false }, 'Pulling');
  const task: Task = { signal: interrupt.signal, events: progress.events.bind(progress) };
  const pulled: PulledImage[] = [];
  try {
    for (const [index, reference] of references.entries()) {
      // Flags such as --creds are for the registry of the name.
      const own = registrySession(context, interrupt.signal, options, meant[index]);
      const tags = options.allTags ? await tagsOf(task, reference, own) : [reference];
      await using session = openSession(own);
      for (const each of tags) pulled.push(await pullImage(session, task, each, { selection, policy: options.policy }));
    }
  } finally {
    await progress.close();
  }
  await print(context, pulled.map((image) => (options.quiet ? `${image.id}\n` : described(image))).join(''));
  return 0;
}

/** What docker says of it. */
function described({ reference, digest, isNew }: PulledImage): string {
  const name = familiarReference(reference);
  const status = isNew ? 'Downloaded newer image for' : 'Image is up to date for';
  return `Digest: ${digest}\nStatus: ${status} ${name}\n${name}\n`;
}

async function tagsOf(task: Task, { host, path }: Reference, options: SessionOptions): Promise<readonly Reference[]> {
  const tags = await listTags(task, { host, path }, { ...(await commandRegistryOptions(options)), limit: MAX_TAGS });
  if (tags.length === 0)
    throw new TsbuildError('TSB_NOT_FOUND', `Cannot pull ${JSON.stringify(`${host}/${path}`)}: it has no tags`);
  return tags.map((tag) => parseReference(`${host}/${path}:${tag}`));
}
