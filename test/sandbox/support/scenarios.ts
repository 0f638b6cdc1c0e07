/** What runs as root and as an ordinary user. Each function is called in a process of its own; results are plain JSON. */
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type DoctorReport, type MountSpec, probe as probeMachine, type StepSpec } from '../../../src/sandbox/index.ts';
import { busyboxFiles, Canary, type Files, Kit, type StepResult } from './kit.ts';

/** One step on the base layer, or on layers of these files on top of it. */
export async function step(argument: {
  readonly command: string | readonly string[];
  readonly layers?: readonly Files[];
  readonly spec?: Partial<StepSpec>;
}): Promise<StepResult> {
  await using kit = new Kit();
  const lowers = [kit.base, ...(argument.layers ?? []).map((files) => kit.layer(files))];
  return await kit.run(argument.command, { ...argument.spec, lowers });
}

/** Runs a static program of the machine in a step. */
export async function probe(argument: { readonly program: string }): Promise<StepResult> {
  await using kit = new Kit();
  const layer = kit.layer({ 'bin/busybox-probe': readFileSync(argument.program) });
  return await kit.run(['/bin/busybox-probe'], { lowers: [kit.base, layer] });
}

/**
 * What a step is told when it connects to an abstract unix socket of the machine, and whether the machine's end saw it. The second
 * step shares the network namespace with nobody.
 */
export async function abstractSocket(argument: { readonly program: string }): Promise<{
  readonly out: readonly string[];
  readonly connections: number;
  readonly outside: boolean;
}> {
  await using kit = new Kit();
  const name = `tsbuild-test-${process.pid}`;
  const connected = new Set<Socket>();
  const server = createServer((socket) => {
    connected.add(socket);
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(`\0${name}`, resolve));
  const outside = execFileSync(argument.program, ['abstract', name]).toString() === 'abstract=0\n';
  while (connected.size === 0) await new Promise((resolve) => setImmediate(resolve));
  connected.clear();
  const layer = kit.layer({ 'bin/busybox-probe': readFileSync(argument.program) });
  const run = (network: 'host' | 'none'): Promise<StepResult> =>
    kit.run(['/bin/busybox-probe', 'abstract', name], { lowers: [kit.base, layer], network });
  const out = [(await run('host')).out, (await run('none')).out];
  server.close();
  return { out, connections: connected.size, outside };
}

/** The same step for many users, or with other differences, with one worker. */
export async function steps(
  variants: readonly { readonly command: string | readonly string[]; readonly spec?: Partial<StepSpec> }[],
): Promise<readonly StepResult[]> {
  await using kit = new Kit();
  const results: StepResult[] = [];
  for (const { command, spec } of variants) results.push(await kit.run(command, spec));
  return results;
}

/**
 * Steps with an interpreter of their own, which belongs to whoever runs this: busybox's shell for scripts that begin with a word. The third
 * looks for the list of formats.
 */
export async function interpreter(): Promise<readonly StepResult[]> {
  await using kit = new Kit();
  const path = join(kit.dir, 'sh');
  copyFileSync('/bin/busybox', path);
  const emulator = { name: 'tsbuild-test', interpreter: path, rule: `:tsbuild-test:M:0:#word::${path}:F` };
  const layer = kit.layer({
    'bin/busybox-script': '#word\nbusybox echo interpreted; (busybox echo x > /proc/1/exe) || busybox true\n',
  });
  const lowers = [kit.base, layer];
  return [
    await kit.run(['/bin/busybox-script'], { lowers, emulator }),
    await kit.run(['/bin/busybox-script'], { lowers, emulator }),
    await kit.run('ls /proc/sys/fs/binfmt_misc; find / -name tsbuild-test 2>/dev/null; true', { lowers, emulator }),
  ];
}

/** Images whose own files are traps: system directories and files that lead to a directory of the machine. */
export async function hostileImages(): Promise<{
  results: Record<string, StepResult>;
  untouched: boolean;
  leaks: boolean;
}> {
  await using kit = new Kit();
  const canary = new Canary(kit.dir);
  const up = '../../../../../../../../..';
  const links: Record<string, Files> = {
    dev: { dev: { link: canary.dir } },
    'dev, relative': { dev: { link: `${up}${canary.dir}` } },
    proc: { proc: { link: canary.dir } },
    sys: { sys: { link: canary.dir } },
    etc: { etc: { link: canary.dir } },
    'etc, relative': { etc: { link: `${up}${canary.dir}` } },
    hosts: { 'etc/hosts': { link: `${up}${canary.dir}/empty` }, 'etc/resolv.conf': { link: `${canary.dir}/hello` } },
    'dangling hosts': {
      'etc/hosts': { link: `${canary.dir}/new` },
      'etc/resolv.conf': { link: `${up}${canary.dir}/sub/new` },
    },
    'null is a file': {
      'dev/null': 'not the device',
      'dev/console': { link: canary.dir },
      'dev/ptmx': { link: '/etc/passwd' },
    },
    'passwd is a link': {
      'etc/passwd': { link: `${up}${canary.dir}/hello` },
      'etc/group': { link: `${canary.dir}/hello` },
    },
    'mount target': { 'a/b': { link: canary.dir }, run: { link: canary.dir } },
  };
  const results: Record<string, StepResult> = {};
  const mounts: MountSpec[] = [
    { type: 'tmpfs', target: '/a/b/c' },
    { type: 'file', target: '/run/secrets/s', data: Buffer.from('s') },
  ];
  const { 'etc/passwd': _passwd, 'etc/group': _group, ...bare } = busyboxFiles();
  for (const [name, files] of Object.entries(links)) {
    const base = kit.layer(bare);
    results[name] = await kit.run('cat /etc/hosts; echo x > /dev/null; echo x > /dev/tty; ls -l /dev/null', {
      lowers: [base, kit.layer(files)],
      resolvConf: 'nameserver 192.0.2.1\n',
      tty: name.startsWith('dev'),
      ...(name === 'mount target' ? { mounts } : {}),
      user: name === 'passwd is a link' ? 'alice' : '',
    });
  }
  const leaks = Object.values(results).some(({ out }) => out.includes('canary-bytes'));
  return { results, untouched: canary.untouched, leaks };
}

/** User databases that are traps for whoever reads them. */
export async function userFiles(): Promise<{
  results: Record<string, StepResult & { ms: number }>;
  untouched: boolean;
}> {
  await using kit = new Kit();
  const canary = new Canary(kit.dir);
  const { 'etc/passwd': _passwd, 'etc/group': _group, ...bare } = busyboxFiles();
  const base = kit.layer(bare);
  const good = 'alice:x:1000:1000::/home/alice:/bin/sh\n';
  const cases: Record<string, { files: Files; user: string }> = {
    missing: { files: {}, user: 'alice' },
    'missing, numeric': { files: {}, user: '1234:5678' },
    fifo: { files: { 'etc/passwd': { fifo: true } }, user: 'alice' },
    'fifo, numeric': { files: { 'etc/passwd': { fifo: true }, 'etc/group': { fifo: true } }, user: '1234' },
    directory: { files: { 'etc/passwd': null }, user: 'alice' },
    'link out': { files: { 'etc/passwd': { link: `../../../../../../..${canary.dir}/hello` } }, user: 'alice' },
    'link to fifo': { files: { pipe: { fifo: true }, 'etc/passwd': { link: '/pipe' } }, user: 'alice' },
    'link to device': { files: { 'etc/passwd': { link: '/dev/zero' } }, user: 'alice' },
    'link inside': { files: { 'usr/passwd': good, 'etc/passwd': { link: '../usr/passwd' } }, user: 'alice' },
    huge: { files: { 'etc/passwd': Buffer.alloc((10 << 20) + 1, 'x') }, user: 'alice' },
    'one long line': { files: { 'etc/passwd': Buffer.alloc(9 << 20, 'x') }, user: 'alice' },
    'many lines': { files: { 'etc/passwd': `${'u:x:1:1::/:/x\n'.repeat(500_000)}${good}` }, user: 'alice' },
    'many groups': { files: { 'etc/passwd': good, 'etc/group': 'g:x:7:alice\n'.repeat(500_000) }, user: 'alice' },
    'bytes that are NUL': { files: { 'etc/passwd': `root:x:0:0\0:::\n\0\0\n${good}` }, user: 'alice' },
    'numbers that wrap': {
      files: { 'etc/passwd': `alice:x:4294967296:0::/:/x\nalice:x:-1:0::/:/x\nalice:x::0::/:/x\n` },
      user: 'alice',
    },
    'group that wraps': {
      files: { 'etc/passwd': good, 'etc/group': 'x:x:4294967296:alice\nx:x:0x0:alice\nok:x:12:alice\n' },
      user: 'alice',
    },
  };
  const results: Record<string, StepResult & { ms: number }> = {};
  for (const [name, { files, user }] of Object.entries(cases)) {
    const lowers = [base, kit.layer(files)];
    const started = performance.now();
    const result = await kit.run(
      // Not id(1), which reads the same files.
      'while read -r name first rest; do case $name in Uid:|Gid:) echo $first;; Groups:) echo $first $rest;; esac; done < /proc/self/status; echo $HOME',
      { lowers, user },
    );
    results[name] = { ...result, ms: performance.now() - started };
  }
  return { results, untouched: canary.untouched };
}

/** Working directories that try to leave the root. */
export async function workingDirectories(
  paths: readonly string[],
): Promise<{ results: StepResult[]; untouched: boolean }> {
  await using kit = new Kit();
  const canary = new Canary(kit.dir);
  const layer = kit.layer({
    out: { link: `../../../../../../../..${canary.dir}/new` },
    'fd-link': { link: '/proc/self/fd/5' },
    file: 'x',
  });
  const results: StepResult[] = [];
  for (const cwd of paths) {
    results.push(await kit.run('pwd; ls -a; cat ../../../../../../etc/hostname', { lowers: [kit.base, layer], cwd }));
  }
  return { results, untouched: canary.untouched };
}

/** Mount points that the image lacks are made for the step and gone afterwards, and times stay as they were. */
export async function stubs(): Promise<{
  result: StepResult;
  mtimes: Record<string, number>;
  before: Record<string, number>;
}> {
  await using kit = new Kit();
  const layer = kit.layer({ 'srv/data/keep': 'x', 'opt/app': null });
  const source = join(kit.dir, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'file'), 'bound');
  const watched = ['srv', 'srv/data', 'opt', 'opt/app', 'etc', ''];
  for (const name of watched)
    for (const lower of [kit.base, layer]) {
      try {
        utimesSync(join(lower, name), 1_000_000, 1_000_000);
      } catch {
        // not in this layer
      }
    }
  const result = await kit.run(
    'touch -d @2000000 /opt/app && cat /srv/data/new/deep/file /run/secrets/token && ls -ld /proc /sys',
    {
      lowers: [kit.base, layer],
      resolvConf: 'nameserver 192.0.2.1\n',
      mounts: [
        { type: 'bind', source, target: '/srv/data/new/deep', readonly: true },
        { type: 'file', target: '/run/secrets/token', data: Buffer.from('secret-bytes') },
        { type: 'tmpfs', target: '/opt/app/cache' },
      ],
    },
  );
  const mtimes: Record<string, number> = {};
  const before: Record<string, number> = {};
  for (const name of watched) {
    try {
      mtimes[name] = statSync(join(result.upperDir, name)).mtimeMs / 1000;
    } catch {
      // not copied up: as it was
    }
    before[name] = name === 'opt/app' ? 2_000_000 : 1_000_000;
  }
  return { result, mtimes, before };
}

/** A step that puts a link to the machine where a mount point was made, to have it removed there (CVE-2024-23652). */
export async function stubTrap(): Promise<{ results: StepResult[]; untouched: boolean }> {
  await using kit = new Kit();
  const canary = new Canary(kit.dir);
  const run = (target: string, command: string): Promise<StepResult> =>
    kit.run(command, { mounts: [{ type: 'tmpfs', target }] });
  return {
    results: [
      await run('/a/empty', `mv /a /old && ln -s ${canary.dir} /a`),
      await run('/a/subdir', `mv /a /old && ln -s ../../../../../../../..${canary.dir} /a`),
      await run('/a/b/empty', `mv /a /old && mkdir /a && ln -s ${canary.dir} /a/b`),
    ],
    untouched: canary.untouched,
  };
}

/** Mounts of every kind, with sources that hold traps. */
export async function mountSources(): Promise<{
  results: Record<string, StepResult>;
  untouched: boolean;
  written: readonly string[];
}> {
  await using kit = new Kit();
  const canary = new Canary(kit.dir);
  const stage = kit.layer({
    'data/file': 'from stage',
    rootdir: { link: '/' },
    out: { link: canary.dir },
    up: { link: '../../..' },
  });
  const top = kit.layer({ 'data/second': 'on top' });
  const source = join(kit.dir, 'source');
  mkdirSync(join(source, 'sub'), { recursive: true });
  writeFileSync(join(source, 'sub/file'), 'bound');
  symlinkSync(canary.dir, join(source, 'out'));
  if (kit.plan.idShift > 0) {
    for (const path of [source, join(source, 'sub'), join(source, 'sub/file')])
      chownSync(path, kit.plan.idShift, kit.plan.idShift);
  }
  const one = (mount: MountSpec, command: string): Promise<StepResult> => kit.run(command, { mounts: [mount] });
  const target = '/m';
  const results: Record<string, StepResult> = {
    bind: await one({ type: 'bind', source, subpath: 'sub', target }, 'cat /m/file && echo new > /m/written'),
    'bind read-only': await one({ type: 'bind', source, target, readonly: true }, 'cat /m/sub/file; echo new > /m/x'),
    'bind file': await one(
      { type: 'bind', source: join(source, 'sub/file'), target: '/etc/one/file' },
      'cat /etc/one/file',
    ),
    'bind out': await one({ type: 'bind', source, subpath: 'out', target }, 'cat /m/hello'),
    'bind up': await one({ type: 'bind', source, subpath: '../victim', target }, 'cat /m/hello'),
    layers: await one(
      { type: 'layers', lowers: [stage, top], target, readonly: true },
      'cat /m/data/file /m/data/second; echo x > /m/x',
    ),
    'layers subpath': await one(
      { type: 'layers', lowers: [stage, top], subpath: 'data', target },
      'cat /m/file; echo x > /m/x && cat /m/x; rm /m/file',
    ),
    'one layer': await one({ type: 'layers', lowers: [stage], target, readonly: true }, 'cat /m/data/file'),
    'no layers': await one({ type: 'layers', lowers: [], target, readonly: true }, 'ls /m'),
    'root link': await one({ type: 'layers', lowers: [stage], subpath: '/rootdir', target }, 'ls /m; touch /m/BREAK'),
    'out link': await one({ type: 'layers', lowers: [stage], subpath: 'out', target }, 'cat /m/hello'),
    'up link': await one({ type: 'layers', lowers: [stage], subpath: 'up/up', target }, 'ls /m'),
    tmpfs: await one(
      { type: 'tmpfs', target, size: 1 << 20, mode: 0o750 },
      'stat -c %a /m; dd if=/dev/zero of=/m/x bs=1k count=5000',
    ),
    file: await one(
      { type: 'file', target: '/run/secrets/s', data: Buffer.from([0, 1, 255]), mode: 0o440, uid: 1000, gid: 50 },
      'od -An -tx1 /run/secrets/s; stat -c "%a %u %g" /run/secrets/s; echo x > /run/secrets/s',
    ),
  };
  const written = ['sub/written', 'x'].filter((name) => existsSync(join(source, name)));
  return { results, untouched: canary.untouched, written };
}

/** Mount targets that must be refused or resolved within the root. */
export async function mountTargets(targets: readonly string[]): Promise<StepResult[]> {
  await using kit = new Kit();
  const layer = kit.layer({
    'to-proc': { link: '/proc' },
    'to-up': { link: '../../../..' },
    'to-sys': { link: '/sys/fs/cgroup' },
    loop: { link: '/loop' },
    'var/run': { link: '/run' },
  });
  const results: StepResult[] = [];
  for (const target of targets) {
    results.push(await kit.run('cat /proc/mounts', { lowers: [kit.base, layer], mounts: [{ type: 'tmpfs', target }] }));
  }
  return results;
}

/** Many layers, where each hides a file of the one beneath, and one above the middle hides more of one near the ground. */
export async function manyLayers(counts: readonly number[]): Promise<readonly StepResult[]> {
  await using kit = new Kit();
  const low = kit.layer({ 'hidden/gone': '', 'hidden/deep/gone': '', 'again/old': '', 'keep/low': 'low\n' });
  const hiding = await kit.run('rm -r /hidden/* /again; mkdir /hidden/deep /again; touch /hidden/deep/new /again/new', {
    lowers: [kit.base, low],
  });
  const all = Array.from({ length: Math.max(...counts) - 3 }, (_, index) =>
    kit.layer({ same: `${index}`, [`own/${index}`]: '' }),
  );
  const results: StepResult[] = [];
  for (const count of counts) {
    const layers = all.slice(0, count - 3);
    layers.splice(Math.floor(count * 0.7), 0, hiding.upperDir);
    const step = kit.run(
      `cat /same; ls /own | wc -l; find /hidden /again; rm -r /own /hidden; find /own /hidden
     ln /keep/low /keep/hard; mv /keep/low /keep/moved; stat -c '%n %h' /keep/moved; cat /keep/hard`,
      { lowers: [kit.base, low, ...layers] },
    );
    results.push(await step);
  }
  return results;
}

/** Steps at the same time, each on its own. */
export async function parallel(count: number): Promise<readonly StepResult[]> {
  await using kit = new Kit();
  await kit.worker();
  return await Promise.all(
    Array.from({ length: count }, (_, index) =>
      kit.run(`echo ${index} > /same; sleep 0.2; cat /same; ls /proc | grep -c '^[0-9]'`),
    ),
  );
}

/** Cancels a step that tries to outlive everything. */
export async function cancel(): Promise<{ code: string | undefined; ms: number; started: number; left: number }> {
  await using kit = new Kit();
  const controller = new AbortController();
  const seconds = `31${process.pid}`;
  const running = (): number => countProcesses(`sleep\0${seconds}\0`);
  const result = kit.run(`trap '' TERM; for i in 1 2 3; do setsid sleep ${seconds} & done; sleep ${seconds}`, {
    signal: controller.signal,
  });
  while (running() < 4) await new Promise((resolve) => setTimeout(resolve, 20));
  const started = running();
  const at = performance.now();
  controller.abort();
  const { code } = await result;
  return { code, ms: performance.now() - at, started, left: running() };
}

/** How many processes of the machine have this command line. */
export function countProcesses(commandLine: string): number {
  let count = 0;
  for (const pid of readProcesses()) if (pid.commandLine.includes(commandLine)) count++;
  return count;
}

export function readProcesses(): { readonly pid: number; readonly parent: number; readonly commandLine: string }[] {
  const found: { pid: number; parent: number; commandLine: string }[] = [];
  for (const name of readdirNumbers()) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // Ended; its parent, perhaps an init that does not care, has not asked for it.
      if (state === 'Z') continue;
      found.push({ pid: name, parent: Number(parent), commandLine: readFileSync(`/proc/${name}/cmdline`, 'latin1') });
    } catch {
      // ended meanwhile
    }
  }
  return found;
}

function readdirNumbers(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
}

/** Keeps a stubborn step running and says so, for tests that kill. */
export async function linger(argument: { readonly marker: string; readonly program: string }): Promise<never> {
  await using kit = new Kit();
  const { marker, program } = argument;
  const layer = kit.layer({ 'bin/busybox-probe': readFileSync(program) });
  const command = `for i in 1 2; do setsid busybox-probe immortal ${marker} & done; exec busybox-probe immortal ${marker}`;
  void kit.run(command, { lowers: [kit.base, layer] });
  while (countProcesses(`sleep\0${marker}\0`) < 3) await new Promise((resolve) => setTimeout(resolve, 20));
  process.stdout.write('started\n');
  await new Promise(() => setInterval(() => undefined, 1000));
  throw new Error('unreachable');
}

/** Milliseconds per step that runs a static program, after a few to warm up. */
export async function stepCost(argument: {
  readonly count: number;
  readonly network: 'host' | 'none';
}): Promise<{ median: number; spawn: number; start: number }> {
  await using kit = new Kit();
  const begun = performance.now();
  const worker = await kit.worker();
  const start = performance.now() - begun;
  const directories = join(kit.dir, 'cost');
  await worker.call('prepareUpper', { dir: directories, lowers: [kit.base] });
  const times: number[] = [];
  for (let at = 0; at < argument.count; at++) {
    const before = performance.now();
    await worker.call('runStep', {
      lowers: [kit.base],
      upper: join(directories, 'fs'),
      work: join(directories, 'work'),
      args: ['/bin/true'],
      env: [],
      cwd: '/',
      user: '0:0',
      hostname: 'h',
      network: argument.network,
      security: 'sandbox',
    });
    times.push(performance.now() - before);
  }
  const { spawnSync } = await import('node:child_process');
  const bare: number[] = [];
  for (let at = 0; at < argument.count; at++) {
    const before = performance.now();
    spawnSync('/bin/busybox', ['true']);
    bare.push(performance.now() - before);
  }
  const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
  return { median: median(times.slice(3)), spawn: median(bare.slice(3)), start };
}

/** The report of this machine. */
export async function doctor(storeRoot: string): Promise<DoctorReport> {
  const { uid, gid, username } = userInfo();
  return probeMachine({ user: { uid, gid, name: username }, storeRoot });
}
