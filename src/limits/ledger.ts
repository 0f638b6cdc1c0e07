import { mkdirSync, readdirSync, readFileSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeNow } from './group.ts';
import type { KernelFiles } from './kernel-files.ts';
import { isDead } from './owners.ts';

/**
 * Where processes write down in which groups they make groups, so that a later command finds those of one that was killed, whatever group
 * it is in itself: a directory of the store with one file for each, named as the groups are.
 */
export class Ledger {
  readonly #directory: string;
  readonly #file: string;

  /** @param directory of the ledger, which need not exist @param owner name of what belongs to this process */
  constructor(directory: string, owner: string) {
    this.#directory = directory;
    this.#file = join(directory, owner);
  }

  /** Before a group is made in one of these. */
  open(parents: readonly string[]): void {
    mkdirSync(this.#directory, { recursive: true });
    writeFileSync(this.#file, parents.join('\n'));
  }

  /** When all groups are gone. */
  close(): void {
    forget(this.#directory, this.#file);
  }
}

/**
 * Takes away the groups of dead processes. Never fails: what is still in use, or not ours to take, stays.
 * @param directory of the ledger
 */
export function sweepDeadGroups(files: KernelFiles, directory: string): void {
  let owners: readonly string[];
  try {
    owners = readdirSync(directory);
  } catch {
    // Nobody limited anything.
    return;
  }
  for (const owner of owners) {
    if (!isDead(files, owner)) continue;
    const file = join(directory, owner);
    const parents = readLines(file);
    if (parents.map((parent) => sweepGroup(files, parent)).every(Boolean)) forget(directory, file);
  }
}

/** Takes the groups of dead processes out of one group. @returns whether none of them is left */
export function sweepGroup(files: KernelFiles, parent: string): boolean {
  const dead = files.groups(parent).filter((name) => isDead(files, name));
  return dead.map((name) => removeNow(files, `${parent}/${name}`)).every(Boolean);
}

function readLines(file: string): readonly string[] {
  try {
    // A path of anywhere: what is taken away there has a name of ours, whose owner is dead, and is an empty directory.
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('/'));
  } catch {
    return [];
  }
}

function forget(directory: string, file: string): void {
  try {
    unlinkSync(file);
    rmdirSync(directory);
  } catch {
    // It is not the last one, or another process was faster.
  }
}
