/** Attacks that need many steps, run as root and as an ordinary user by the sandbox's driver. */
import { existsSync, readFileSync } from 'node:fs';
import type { MountSpec } from '../../src/sandbox/index.ts';
import { Canary, type Entry, type Files, Kit, type StepResult } from '../sandbox/support/kit.ts';

/** What came of an attack. */
export interface RaceResult {
  /** How many steps printed this; those that could not be set up count as "refused". */
  readonly seen: Readonly<Record<string, number>>;
  /** Whether the files that nobody may reach are as they were. */
  readonly untouched: boolean;
  /** Settings of the kernel that steps went for, before and after. */
  readonly settings: readonly [before: string, after: string];
}

interface RaceOptions {
  /** A static program that can exchange names: `test/native/probe.c`. */
  readonly program: string;
  /** How many steps meet each trap. */
  readonly count: number;
}

/** Settings that are the machine's, whoever sees them. */
const settings = (): string =>
  ['core_pattern', 'hostname', 'sysrq']
    .map((name) => `/proc/sys/kernel/${name}`)
    .map((path) => `${path}: ${existsSync(path) ? readFileSync(path, 'latin1') : 'is not there'}`)
    .join('\n');

/**
 * Runs steps that have a mount while another one exchanges, in a directory that both share, `real` and each of the traps.
 * @param shared how the attacking step sees the directory at /c
 * @param victim what the other steps mount, and what they do
 * @param prepare what the attacking step does before, in /c
 */
async function race(
  kit: Kit,
  { program, count }: RaceOptions,
  traps: (canary: Canary) => readonly Entry[],
  shared: (dir: string) => MountSpec,
  victim: (dir: string) => { readonly mounts: readonly MountSpec[]; readonly command: string },
  prepare = '',
): Promise<RaceResult> {
  const canary = new Canary(kit.dir);
  const attacker = [kit.base, kit.layer({ 'bin/busybox-probe': readFileSync(program) })];
  const seen: Record<string, number> = {};
  const before = settings();
  for (const trap of traps(canary)) {
    const dir = kit.layer({ 'real/hello': 'inside', trap } satisfies Files);
    const stop = new AbortController();
    const attack = kit.run(`cd /c && ${prepare} exec busybox-probe swap real trap`, {
      lowers: attacker,
      mounts: [shared(dir)],
      signal: stop.signal,
    });
    const ended = attack.then(({ code, error, err }) => {
      if (code !== 'TSB_CANCELED') throw new Error(`The attack ended by itself: ${error ?? err}`);
    });
    const { mounts, command } = victim(dir);
    for (let at = 0; at < count; at++) {
      const { out, error }: StepResult = await kit.run(command, { mounts });
      const what = error === undefined ? out : 'refused';
      seen[what] = (seen[what] ?? 0) + 1;
    }
    stop.abort();
    await ended;
  }
  return { seen, untouched: canary.untouched, settings: [before, settings()] };
}

/** Links to what nobody may reach, by absolute path and upwards. */
const links = ({ dir }: Canary): readonly Entry[] => [{ link: dir }, { link: `../../../../../../../../..${dir}` }];

/** A mount of a part of a cache, which another step exchanges for a link meanwhile (CVE-2024-23651). */
export async function swappedSource(options: RaceOptions): Promise<RaceResult> {
  await using kit = new Kit();
  return await race(
    kit,
    options,
    links,
    (source) => ({ type: 'bind', source, target: '/c' }),
    (source) => ({ mounts: [{ type: 'bind', source, subpath: 'real', target: '/m' }], command: 'cat /m/hello' }),
  );
}

/** A mount of a part of a stage, whose files another step exchanges meanwhile in its own view of them (CVE-2024-11218). */
export async function swappedStage(options: RaceOptions): Promise<RaceResult> {
  await using kit = new Kit();
  return await race(
    kit,
    options,
    links,
    (stage) => ({ type: 'layers', lowers: [stage], target: '/c' }),
    (stage) => ({
      mounts: [{ type: 'layers', lowers: [stage], subpath: 'real', target: '/m', readonly: true }],
      command: 'cat /m/hello',
    }),
    // An overlay does not rename directories of lower layers.
    'link=$(readlink trap) && rm -r real trap && mkdir real && ln -s "$link" trap &&',
  );
}

/** A mount target within a cache, a component of which another step exchanges for a link meanwhile (CVE-2021-30465, CVE-2025-52881). */
export async function swappedTarget(options: RaceOptions): Promise<RaceResult> {
  await using kit = new Kit();
  return await race(
    kit,
    options,
    (canary) => [...links(canary), { link: '/proc/sys/kernel' }, { link: '/proc/1/root/proc/sysrq-trigger' }],
    (source) => ({ type: 'bind', source, target: '/c' }),
    (source) => ({
      mounts: [
        { type: 'bind', source, target: '/c' },
        { type: 'file', target: '/c/real/x', data: Buffer.from('mounted') },
        { type: 'tmpfs', target: '/c/real/deep/er' },
      ],
      // Where the mounts went: into the cache, or to where the link leads in the step's own root.
      command: `grep -c ' /proc/.*/\\(x\\|er\\) ' /proc/mounts`,
    }),
  );
}
