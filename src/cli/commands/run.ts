import { type OpenImage, openImage, type Session } from '../../engine/index.ts';
import { containerStreams, runContainer } from '../../runtime/index.ts';
import { findHelper, type HelperAhead, startAhead } from '../../sandbox/index.ts';
import { randomHostId, TsbuildError } from '../../util/index.ts';
import { lateProgress } from '../building/late-progress.ts';
import { anonymousVolumes } from '../containers/anonymous-volumes.ts';
import { hintOfForeignMounts } from '../containers/foreign-mounts.ts';
import {
  openRunSession,
  platformOf,
  pulled,
  requirePlatform,
  type RunOptions,
  withDevices,
} from '../containers/run-session.ts';
import { warnWithoutMounts } from '../containers/without-mounts.ts';
import type { CliContext } from '../context.ts';
import {
  networkReports,
  parseNetwork,
  publishedPorts,
  sharesNetworks,
  warnOfPorts,
} from '../options/container-network.ts';
import { parseAttach } from '../options/attach-option.ts';
import { parseLife, parseProcess } from '../options/container-request.ts';
import { parseDetachKeys } from '../options/detach-keys.ts';
import { imageVolumes, parseMounts } from '../options/mount-options.ts';
import { parseShares } from '../options/share-options.ts';
import { parseResources } from '../options/resource-options.ts';
import { parseSysctls } from '../options/sysctl-option.ts';
import { reportError } from '../report.ts';

/** `tsbuild run`: gives the container's exit code; 125 when it could not be started. */
export async function runCommand(
  context: CliContext,
  image: string,
  command: readonly string[],
  options: RunOptions,
): Promise<number> {
  if (options.waitHealthy && !options.detach)
    throw new TsbuildError('TSB_USAGE', 'Cannot use --wait-healthy without -d: nobody would wait', {
      hint: 'add -d',
    });
  // Before an image is looked for.
  parseDetachKeys(options.detachKeys);
  parseAttach(options);
  parseShares(options);
  parseNetwork(options);
  parseLife(context, options, options.detach ?? false);
  parseResources(options);
  parseSysctls(options.sysctl ?? []);
  warnOfPorts(context, options);
  const controller = new AbortController();
  await using session = openRunSession(context, controller.signal, options);
  const progress = lateProgress(context, `preparing ${image}`, options.quiet);
  const task = { signal: controller.signal, events: progress.events };
  try {
    const platform = platformOf(options);
    if (options.pull === 'always') await pulled(session, task, image, platform);
    const kept = isKept(options);
    if (!kept && !(await isShared(session, options))) {
      using ahead = await startHelper(session, options);
      await using opened = await openImage(session, task, image, platform, context.cwd);
      requirePlatform(image, options, opened.runtime.config);
      await progress.close();
      return await runOnce(context, session, opened, command, options, ahead);
    }
    // What a supervisor needs is loaded for those who get one.
    const { makeContainer, runKept } = await import('./run-kept.ts');
    const ready = await makeContainer(
      context,
      session,
      task,
      image,
      command,
      kept ? options : { ...options, rm: true },
    );
    await progress.close();
    return await runKept(context, session, ready, options, kept);
  } finally {
    await progress.close();
  }
}

/**
 * Whether others may ask for the container: it runs in the background, or has a name of its own. One that nobody can ask for is gone when
 * it ends, and needs no supervisor: it cannot outlive the command.
 */
function isKept(options: RunOptions): boolean {
  return (
    options.detach === true ||
    [options.name, options.cidfile, options.restart, options.scope, options.detachKeys].some(
      (option) => option !== undefined,
    )
  );
}

/**
 * In a network it is found by others, and among processes of others it is to end as a whole: both take a supervisor. Without a name it goes
 * with its end all the same.
 */
async function isShared(session: Session, options: RunOptions): Promise<boolean> {
  if (sharesNetworks(options)) return true;
  const { processes, processesOf, ipcOf } = parseShares(options);
  if (processes === undefined && processesOf === undefined && ipcOf === undefined) return false;
  const { how, copies } = await session.plan();
  if (how !== 'none' && !copies) return true;
  // Without namespaces it is among the processes of the machine in any case.
  if (how === 'none' && processesOf === undefined && ipcOf === undefined) return false;
  const why = how === 'none' ? 'this machine allows no namespaces' : 'the file system of the store takes no overlays';
  throw new TsbuildError('TSB_SANDBOX', `Cannot share the namespaces of others (--pid, --ipc): ${why}`, {
    hint: '"tsbuild doctor" says what would lift the limit; without these options it runs',
  });
}

/** Starts the helper of a container: it makes namespaces, for some 3 ms, while the image is looked for. */
async function startHelper(session: Session, options: RunOptions): Promise<HelperAhead | undefined> {
  if (parseNetwork(options).mode === 'isolated') return undefined;
  const plan = await session.plan();
  if (plan.steps === false) return undefined;
  const { interactive = false } = options;
  const attach = parseAttach(options);
  try {
    return startAhead({
      helperPath: findHelper(session.options.helper),
      plan,
      stdio: containerStreams({ interactive, attach }),
    });
  } catch {
    // It is said of the container, for which it is tried again.
    return undefined;
  }
}

/** A container in the foreground that nobody else knows of. @param ahead its helper, if it has been started */
async function runOnce(
  context: CliContext,
  session: Session,
  opened: OpenImage,
  command: readonly string[],
  options: RunOptions,
  ahead: HelperAhead | undefined,
): Promise<number> {
  const mounts = [...(await parseMounts(session, context.cwd, options))];
  await using _volumes = anonymousVolumes(context, session, mounts);
  mounts.push(...(await imageVolumes(session, opened.runtime.config, mounts)));
  warnWithoutMounts(context, await session.plan(), options, opened.runtime.config);
  const process = await withDevices(session, await parseProcess(context, command, options, mounts), options);
  const { mac } = parseNetwork(options);
  const end = await runContainer({
    ...opened.runtime,
    ...process,
    attach: parseAttach(options),
    ...(options.sigProxy === false ? { attendsSignals: false } : {}),
    limiter: session.limiter,
    ports: publishedPorts(options, opened.runtime.config.config.ExposedPorts),
    ...(mac === undefined ? {} : { mac }),
    ...networkReports(context),
    hostname: process.hostname || randomHostId(6),
    cwd: context.cwd,
    ...(ahead === undefined ? {} : { ahead }),
  });
  if (end.error) await reportError(context, end.error);
  hintOfForeignMounts(context, await session.plan(), mounts, end.exitCode);
  return end.exitCode;
}
