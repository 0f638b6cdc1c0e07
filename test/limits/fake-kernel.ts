import { dirname } from 'node:path';
import type { KernelFiles } from '../../src/limits/index.ts';

/** The pid namespace that all processes of the fake are in. */
export const NAMESPACE = 4026531836;

function refuse(code: string): never {
  throw Object.assign(new Error(`${code}: refused by the fake kernel`), { code });
}

interface Group {
  readonly processes: Set<number>;
  /** Of version 2: what it hands down. */
  readonly hands: Set<string>;
  readonly values: Map<string, string>;
}

/**
 * A machine without a kernel: processes, and a tree of groups of version 2 with the rules of cgroups(7). A controller is there where all above
 * hand it down; a group with processes, other than the root, hands nothing down, and what hands down takes no processes; a group with either
 * processes or groups in it stays.
 */
export class FakeKernel implements KernelFiles {
  readonly top: string = '/cg';
  readonly writes: string[] = [];
  /** Directories that the user may not write to. */
  readonly denied: Set<string> = new Set();
  readonly #groups = new Map<string, Group>();
  readonly #files = new Map<string, string>();
  readonly #root: readonly string[];
  readonly #self: number;

  /** @param controllers of the root @param own path of the group that the process is in, beneath the root */
  constructor(controllers: readonly string[], own: string, self = 100) {
    this.#root = controllers;
    this.#self = self;
    this.#add(this.top);
    let at = this.top;
    for (const part of own.split('/').filter(Boolean)) this.#add((at += `/${part}`));
    this.process(self, 1, at);
    this.#files.set('/proc/self/mountinfo', `30 24 0:26 / ${this.top} rw,nosuid - cgroup2 cgroup2 rw\n`);
  }

  /** Another process, in a group. */
  process(pid: number, parent: number, group: string, start: number = 1000 + pid): this {
    this.#files.set(`/proc/${pid}/stat`, `${pid} (a) name) S ${parent} ${'0 '.repeat(17)}${start} 0`);
    this.#of(group).processes.add(pid);
    return this;
  }

  /** A process ends. */
  end(pid: number): void {
    this.#files.delete(`/proc/${pid}/stat`);
    for (const { processes } of this.#groups.values()) processes.delete(pid);
  }

  hand(group: string, ...controllers: readonly string[]): this {
    for (const name of controllers) this.#of(group).hands.add(name);
    return this;
  }

  set(path: string, text: string): this {
    if (this.#groups.has(dirname(path))) this.#of(dirname(path)).values.set(path.slice(dirname(path).length + 1), text);
    else this.#files.set(path, text);
    return this;
  }

  /** What is in which group, without those that are empty. */
  get processes(): Readonly<Record<string, readonly number[]>> {
    const filled = [...this.#groups].filter(([, { processes }]) => processes.size > 0);
    return Object.fromEntries(filled.map(([path, { processes }]) => [path, [...processes]]));
  }

  get all(): readonly string[] {
    return [...this.#groups.keys()];
  }

  read(path: string): string | undefined {
    if (path === '/proc/self/cgroup') {
      const own = [...this.#groups].find(([, { processes }]) => processes.has(this.#self))?.[0] ?? this.top;
      return `0::${own.slice(this.top.length) || '/'}\n`;
    }
    const directory = dirname(path);
    const group = this.#groups.get(directory);
    if (group === undefined) return this.#files.get(path);
    switch (path.slice(directory.length + 1)) {
      case 'cgroup.procs':
        return [...group.processes].map((pid) => `${pid}\n`).join('');
      case 'cgroup.controllers':
        return `${this.#controllers(directory).join(' ')}\n`;
      case 'cgroup.subtree_control':
        return `${[...group.hands].join(' ')}\n`;
      case 'cgroup.type':
        return directory === this.top ? undefined : 'domain\n';
      default:
        return group.values.get(path.slice(directory.length + 1));
    }
  }

  link(path: string): string | undefined {
    return path === '/proc/self/ns/pid' ? `pid:[${NAMESPACE}]` : undefined;
  }

  groups(path: string): readonly string[] {
    return this.all.filter((one) => dirname(one) === path).map((one) => one.slice(path.length + 1));
  }

  write(path: string, text: string): void {
    const directory = dirname(path);
    const group = this.#groups.get(directory) ?? refuse('ENOENT');
    if (!this.isWritable(path)) refuse('EACCES');
    const file = path.slice(directory.length + 1);
    this.writes.push(`${path} = ${text}`);
    if (file === 'cgroup.procs') {
      if (group.hands.size > 0 && directory !== this.top) refuse('EBUSY');
      if (this.#files.get(`/proc/${text}/stat`) === undefined) refuse('ESRCH');
      for (const one of this.#groups.values()) one.processes.delete(Number(text));
      group.processes.add(Number(text));
    } else if (file === 'cgroup.subtree_control') {
      if (group.processes.size > 0 && directory !== this.top) refuse('EBUSY');
      for (const name of text.split(' ')) {
        if (!this.#controllers(directory).includes(name.slice(1))) refuse('ENOENT');
        group.hands.add(name.slice(1));
      }
    } else {
      if (!this.#controllers(directory).includes(file.slice(0, file.indexOf('.')))) refuse('ENOENT');
      group.values.set(file, text);
    }
  }

  makeGroup(path: string): void {
    if (!this.isWritable(dirname(path))) refuse('EACCES');
    if (this.#groups.has(path)) refuse('EEXIST');
    if (!this.#groups.has(dirname(path))) refuse('ENOENT');
    this.#add(path);
  }

  removeGroup(path: string): void {
    const { processes } = this.#groups.get(path) ?? refuse('ENOENT');
    if (processes.size > 0 || this.groups(path).length > 0) refuse('EBUSY');
    this.#groups.delete(path);
  }

  isWritable(path: string): boolean {
    const group = this.#groups.has(path) ? path : dirname(path);
    return this.#groups.has(group) && !this.denied.has(group);
  }

  #controllers(directory: string): readonly string[] {
    if (directory === this.top) return this.#root;
    return [...this.#of(dirname(directory)).hands];
  }

  #add(path: string): void {
    this.#groups.set(path, { processes: new Set(), hands: new Set(), values: new Map() });
  }

  #of(path: string): Group {
    return this.#groups.get(path) ?? refuse('ENOENT');
  }
}
