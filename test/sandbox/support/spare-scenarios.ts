/** Steps that run in a process which was made while the step before ran (native/src/steps.c). */
import { closeSync, openSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { StepSpec } from '../../../src/sandbox/index.ts';
import { Kit } from './kit.ts';
import { readProcesses } from './scenarios.ts';

/** Processes of the helper that runs steps. */
interface Processes {
  readonly helper: number;
  /** From the half that waits outside to the one in the namespaces of the step that is to come; empty when there is none. */
  readonly spare: readonly number[];
}

const SOON_MS = 20_000;

function find(): Processes {
  const all = readProcesses();
  const below = (pid: number): readonly number[] =>
    all.filter(({ parent }) => parent === pid).map((child) => child.pid);
  const mine = (pid: number): readonly number[] => [pid, ...below(pid).flatMap(mine)];
  const family = mine(process.pid);
  const helpers = all.filter(({ pid, commandLine }) => family.includes(pid) && commandLine.includes('\0steps\0'));
  const helper = helpers.find(({ parent }) => !helpers.some(({ pid }) => pid === parent))?.pid ?? 0;
  return { helper, spare: helper === 0 ? [] : mine(helper).slice(1) };
}

/** The process that waits, both halves of it, when nothing runs. */
async function waiting(): Promise<Processes> {
  for (const end = Date.now() + SOON_MS; Date.now() < end; await delay(20)) {
    const found = find();
    if (found.spare.length === 2) return found;
  }
  throw new Error(`there is no spare process: ${JSON.stringify(find())}`);
}

const isAlive = (pid: number): boolean => readProcesses().some((process) => process.pid === pid);

async function goneOf(pids: readonly number[]): Promise<boolean> {
  for (const end = Date.now() + SOON_MS; Date.now() < end; await delay(20)) if (!pids.some(isAlive)) return true;
  return false;
}

const SHOW =
  'readlink /proc/self/ns/mnt; hostname; ls /proc | grep -c "^[0-9]"; ls -A /tmp /dev/shm; ls /sys/class/net | wc -l';

/** Namespaces of the process that waits, then what each of these steps says, where a number stands for its mount namespace. */
export async function spareFor(
  specs: readonly Partial<StepSpec>[],
): Promise<readonly { readonly waits: string; readonly runs: string; readonly says: readonly string[] }[]> {
  await using kit = new Kit();
  await kit.run('touch /tmp/mine /dev/shm/mine; hostname changed');
  const results: { waits: string; runs: string; says: readonly string[] }[] = [];
  for (const spec of specs) {
    const { spare } = await waiting();
    const namespace = `/proc/${spare.at(-1)}/ns/mnt`;
    const waits = readlinkSync(namespace);
    // While it is open no other gets its number.
    const held = openSync(namespace, 'r');
    const { out, error } = await kit.run(`${SHOW}; touch /tmp/mine /dev/shm/mine; hostname changed`, spec);
    closeSync(held);
    const [runs = '', ...says] = (error ?? out).trimEnd().split('\n');
    results.push({ waits, runs, says });
  }
  return results;
}

/** What of a step's description is in the memory of processes that have not run it: its secret, and what belongs to its surroundings. */
export async function spareMemory(): Promise<{ readonly secret: boolean; readonly hostname: boolean }> {
  await using kit = new Kit();
  const mark = Math.random().toString(36).slice(2);
  // Made of two parts, so that this process's own text is not what is found.
  const [secret, hostname] = [`top-${mark}-secret`, `host-${mark}`];
  const mount = { type: 'file', target: '/secret', data: Buffer.from(`file-${secret}`) } as const;
  await kit.run(`echo ${secret}; cat /secret`, { env: ['PATH=/bin', `TOKEN=${secret}`], mounts: [mount], hostname });
  const { helper, spare } = await waiting();
  const holds = (text: string): boolean => [helper, ...spare].some((pid) => memoryHas(pid, text));
  return { secret: holds(secret), hostname: holds(hostname) };
}

function memoryHas(pid: number, text: string): boolean {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    return readFileSync(`/proc/${pid}/maps`, 'latin1')
      .split('\n')
      .some((line) => {
        const [from = 0, to = 0] = (/^([0-9a-f]+)-([0-9a-f]+) r/.exec(line)?.slice(1) ?? []).map((hex) =>
          Number(`0x${hex}`),
        );
        const bytes = Buffer.alloc(to - from);
        try {
          return readSync(memory, bytes, 0, bytes.length, from) > 0 && bytes.includes(text);
        } catch {
          // Of the kernel's own, such as [vvar].
          return false;
        }
      });
  } finally {
    closeSync(memory);
  }
}

/** Kills a process of those that wait. Gives whether they are gone, and what the next steps say. */
export async function killSpare(which: 'outer' | 'inner' | 'helper'): Promise<{
  readonly gone: boolean;
  readonly says: readonly string[];
}> {
  await using kit = new Kit();
  await kit.run('true');
  const { helper, spare } = await waiting();
  const [outer = 0, inner = 0] = spare;
  process.kill({ outer, inner, helper }[which], 'SIGKILL');
  // What was killed may be waited for by a helper that is asleep.
  const gone = await goneOf(which === 'outer' ? [inner] : which === 'inner' ? [outer, inner] : [helper, outer, inner]);
  const says: string[] = [];
  for (const word of ['one', 'two']) {
    const { out, error } = await kit.run(`echo ${word}`);
    says.push(error ?? out);
  }
  return { gone, says };
}
