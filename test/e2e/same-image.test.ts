import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { Bench, type Outcome, type RunOptions } from '../support/bench.ts';
import { baseMembers } from '../support/base-image.ts';
import { useBench } from '../support/e2e.ts';
import { tar } from '../support/image.ts';
import { identities, ordinaryUser } from '../support/identity.ts';
import { startRegistry } from '../support/registry.ts';
import { stepsOf } from '../support/steps.ts';
import { readOciArchive, readTar } from '../support/tree.ts';

/** Of a build without steps, by compression. Whoever changes these gives every image that is built with an epoch another digest. */
const NO_STEPS: Readonly<Record<string, string>> = {
  uncompressed: 'sha256:578e8b9419db677295d6ef5817057071932f49d8334038492d6eccdbd9b3b83e',
  gzip: 'sha256:37b79371c7af691baea52e497179c895c9f499f877ac1e4ef70d6205977073a1',
  zstd: 'sha256:aaf4f8867afbb3043363cf18f962c2a8fcb5f6fe11aea11903f1a929b7947baf',
};

/** Everything that makes layers: copies, steps that change, remove and link, directories, archives, other stages. What steps take is left to chance. */
const DOCKERFILE = `FROM base:1 AS one
COPY . /files/
RUN usleep $(($(od -An -N2 -tu2 /dev/urandom) * 2)); mkdir -p /made/dir && cp -r /files /made/copy && ln /made/copy/f1 /made/hard && rm -r /files/d/s /etc/group
FROM base:1 AS two
RUN usleep $(($(od -An -N2 -tu2 /dev/urandom) * 2)); for i in 9 3 7 1 5; do echo $i > /n$i; done; touch /now; chmod 4755 /n1; chown 7:8 /n3
WORKDIR /new/dir
FROM base:1
COPY --from=one /made /made
COPY --link --from=two / /two/
ADD --chown=alice in.tar /added/
RUN usleep $(($(od -An -N2 -tu2 /dev/urandom) * 2)); rm -r /made/copy && mkdir /made/copy && echo x > /made/copy/y && mkfifo /fifo
ENV A=b
LABEL z=1 a=2
`;
const EPOCH = '1700000000';
const WITH_EPOCH = [`--source-date-epoch=${EPOCH}`, '--rewrite-timestamp'];

function files(): Record<string, string | { text: string; mode: number } | { link: string } | Uint8Array> {
  const all: ReturnType<typeof files> = {
    Dockerfile: DOCKERFILE,
    'in.tar': tar([{ name: 'b', content: 'b' }, { name: 'a/', type: '5' }, { name: 'a/c', content: 'c' }]),
    'd/s/deep': { text: 'x', mode: 0o600 },
    'ünï cödé': 'x',
    link: { link: 'f1' },
  }; // oxfmt-ignore
  for (let at = 0; at < 30; at++) all[`f${at}`] = `file ${at}\n`.repeat(at * 10);
  return all;
}

/** The modes of a context, whatever the umask was. */
function settle(dir: string): string {
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    const path = join(dir, name);
    const stat = statSync(path);
    chmodSync(path, stat.isDirectory() ? 0o755 : name.endsWith('deep') ? 0o600 : 0o644);
  }
  chmodSync(dir, 0o755);
  return dir;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The archive that a build writes, whole. The members that differ say more than two digests. */
async function expectSame(archive: Buffer, reference: Buffer, what: string): Promise<void> {
  if (archive.equals(reference)) return;
  const [is, was] = await Promise.all([readOciArchive(archive), readOciArchive(reference)]);
  expect([what, is.config, is.tree], 'the image').toEqual([what, was.config, was.tree]);
  const names = async (bytes: Buffer) =>
    (await readTar(bytes)).map(({ header, body }) => `${header.name} ${sha256(body)}`);
  expect([what, await names(archive)]).toEqual([what, await names(reference)]);
  expect(what).toBe('the same to the byte');
}

const who = await ordinaryUser();

describe('one archive to the byte', () => {
  const use = useBench(who, { base: false });
  let context: string;
  let reference: Buffer;
  let count = 0;

  async function newStore(name = `store ${count++}`): Promise<string> {
    const store = use.bench.path(name);
    await use.bench.importBase('base:1', { store });
    return store;
  }
  async function archiveOf(options: RunOptions = {}, args: readonly string[] = [], from = context): Promise<Buffer> {
    const all = ['build', '-q', ...WITH_EPOCH, '-o', 'type=oci,dest=-', ...args, from];
    return (await use.bench.ok(all, { store: await newStore(), ...options })).stdout;
  }
  beforeAll(async () => {
    context = settle(use.bench.write('context', files()));
    reference = await archiveOf();
  });

  test('whenever it is built (REP-01)', async () => {
    const command = use.bench.command(['build', '-q', ...WITH_EPOCH, '-o', 'type=oci,dest=-', context]);
    const { code, stdout, err } = await use.bench.start(['faketime', '-f', '+400d', ...command], { store: await newStore() }).ended;
    expect(code, err).toBe(0);
    await expectSame(stdout, reference, 'later');
  });

  test('wherever and as whomever the surroundings say (REP-02)', async () => {
    const { bench } = use;
    for (const [umask, store, env] of [
      ['077', 'a b ü', { TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8', HOSTNAME: 'x', USER: 'nobody', LOGNAME: 'y' }],
      ['000', `${'x'.repeat(100)}/${'y'.repeat(60)}`, { TZ: ':/nonexistent', LC_ALL: 'C', PATH: `/usr/sbin:/nonexistent:${process.env['PATH'] ?? ''}`, NOISE: 'x'.repeat(5000) }],
    ] as const) {
      bench.write(store.split('/')[0] ?? '', {});
      const command = bench.command(['build', '-q', ...WITH_EPOCH, '-o', 'type=oci,dest=-', context]);
      const options = { store: await newStore(store), env: { ...env, HOME: bench.write('other home', {}) }, cwd: '/' };
      const { code, stdout, err } = await bench.start(['sh', '-c', `umask ${umask}; exec "$@"`, 'sh', ...command], options).ended;
      expect(code, err).toBe(0);
      await expectSame(stdout, reference, umask);
    }
  }); // oxfmt-ignore

  test('whoever builds it, with other ids on disk (REP-03)', async () => {
    for (const other of await identities()) {
      if (other.uid === who.uid) continue;
      await using bench = new Bench(other);
      await bench.importBase('base:1');
      const copy = settle(bench.write('context', files()));
      const { stdout } = await bench.ok(['build', '-q', ...WITH_EPOCH, '-o', 'type=oci,dest=-', copy]);
      await expectSame(stdout, reference, other.name);
    }
  });

  test('however many steps run at a time, and however long they take (REP-05)', async () => {
    for (const jobs of [1, 16]) await expectSame(await archiveOf({}, [`--jobs=${jobs}`]), reference, `${jobs} jobs`);
  });

  test('from every cache, and from none (REP-06)', async () => {
    const { bench } = use;
    const store = await newStore();
    await expectSame(await archiveOf({ store }, ['--cache-to=type=local,dest=cache,mode=max']), reference, 'cold');
    await expectSame(await archiveOf({ store }), reference, 'warm');
    await expectSame(await archiveOf({ store }, ['--no-cache']), reference, 'no cache');
    await bench.ok(['prune', '--filter=until=0s'], { store });
    await expectSame(await archiveOf({ store }), reference, 'pruned');
    const imported = await newStore();
    await expectSame(await archiveOf({ store: imported }, ['--cache-from=type=local,src=cache']), reference, 'imported');
    const killed = await newStore();
    const running = bench.tsbuildStart(['build', '--progress=plain', ...WITH_EPOCH, '-o', 'type=oci,dest=killed.tar', context], { store: killed });
    await running.prints(/RUN /);
    running.child.kill('SIGKILL');
    await running.ended;
    await expectSame(await archiveOf({ store: killed }), reference, 'after a kill');
  });

  test('from any copy of the context, on other file systems, in another order (REP-04, REP-07)', async () => {
    const { bench } = use;
    const all = files();
    const reversed = settle(bench.write('reversed', Object.fromEntries(Object.entries(all).toReversed())));
    for (const name of readdirSync(reversed)) utimesSync(join(reversed, name), 1, 1);
    utimesSync(reversed, 4e9, 4e9);
    await expectSame(await archiveOf({}, [], reversed), reference, 'in another order, touched');
    const memory = `/dev/shm/tsbuild-same-${bench.mark}`;
    try {
      await bench.tool(['cp', '-rP', reversed, memory]);
      // Names that exist elsewhere too are no part of the content.
      linkSync(join(memory, 'f1'), `${memory}-link`);
      await expectSame(await archiveOf({}, [], settle(memory)), reference, 'in memory');
    } finally {
      for (const path of [memory, `${memory}-link`]) rmSync(path, { recursive: true, force: true });
    }
  });
}); // oxfmt-ignore

describe('on other machines', () => {
  const held = useBench(who, { base: false });

  test('a build without steps has one digest on every machine and with every Node (REP-08)', async () => {
    const { bench } = held;
    const all = Object.fromEntries(Object.entries(files()).filter(([name]) => name !== 'Dockerfile'));
    const context = settle(bench.write('no-steps', { ...all, Dockerfile: 'FROM scratch\nCOPY . /files/\nADD in.tar /added/\nWORKDIR /w\n' }));
    for (const [compression, digest] of Object.entries(NO_STEPS)) {
      const output = `type=oci,dest=-,compression=${compression}`;
      const { stdout } = await bench.ok(['build', '-q', '--platform=linux/amd64', ...WITH_EPOCH, '-o', output, context]);
      expect([compression, (await readOciArchive(stdout)).digest]).toEqual([compression, digest]);
    }
  });

  test('names and times that a plain header has no room for are written as BuildKit writes them', async () => {
    const { bench } = held;
    const long = 'd'.repeat(90);
    const times: Readonly<Record<string, number>> = { old: -5, 'long-ago': -2_000_000_000, future: 8_600_000_000 };
    const names = ['short', 'n'.repeat(100), 'm'.repeat(101), `${long}/9chars__z`, `${long}/deep/x`, `${long}/deep/${'e'.repeat(60)}/y`,
      'ünï/名前', `é${'x'.repeat(99)}`, ...Object.keys(times)]; // oxfmt-ignore
    const dir = settle(bench.write('room', Object.fromEntries(names.map((name) => [`in/${name}`, name]))));
    const at = (name: string): string => join(dir, 'in', name);
    for (const name of names) utimesSync(at(name), times[name] ?? 100, times[name] ?? 100);
    for (const [name, target] of [['ln', 't'.repeat(120)], ['lu', 'ziel-ü']] as const) {
      symlinkSync(target, at(name));
      lutimesSync(at(name), 7, 7);
    }
    linkSync(at('m'.repeat(101)), at('zhard'));
    for (const name of [`${long}/deep/${'e'.repeat(60)}`, `${long}/deep`, long, 'ünï', '']) utimesSync(at(name), 50, 50);
    writeFileSync(join(dir, 'Dockerfile'), 'FROM scratch\nCOPY in /in/\n');
    const args = ['build', '-q', '--source-date-epoch=1000000000', '--rewrite-timestamp', '-o', 'type=oci,dest=-', dir];
    const { config } = await readOciArchive((await bench.ok(args)).stdout);
    // What BuildKit 0.25 of dockerd 28.5 made of the same directory.
    expect(config.rootfs.diff_ids).toEqual(['sha256:94e856a3dd26dc5dde2c3976db15c54c94ab3f71abe5f62ae5965409b41929ad']);
  });

  test('a build that was pushed is built again elsewhere under the same digest (REP-15)', async () => {
    const { bench } = held;
    await using registry = await startRegistry();
    bench.write('.', { 'registries.conf': `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n` });
    const env = { CONTAINERS_REGISTRIES_CONF: bench.path('registries.conf') };
    const ref = `${registry.host}/app:1`;
    const digests: string[] = [];
    for (const machine of ['a', 'b']) {
      const store = bench.path(`machine-${machine}`);
      await bench.importBase('base:1', { store });
      const context = settle(bench.write(`context-${machine}`, files()));
      const args = ['build', '--progress=plain', ...WITH_EPOCH, '-t', machine === 'a' ? ref : `${ref}b`, '--push', '--iidfile', `iid-${machine}`, context];
      const built: Outcome = await bench.ok(args, { store, env });
      expect(stepsOf(built).cached).toEqual([]);
      const tag = machine === 'a' ? '1' : '1b';
      const accept = 'application/vnd.oci.image.manifest.v1+json';
      const manifest = await fetch(`http://${registry.host}/v2/app/manifests/${tag}`, { headers: { accept } });
      digests.push(`sha256:${sha256(new Uint8Array(await manifest.arrayBuffer()))}`);
    }
    expect(digests[1]).toBe(digests[0]);
  });

  test('the base keeps its layers and its history when times are rewritten (REP-11)', async () => {
    const { bench } = held;
    // A base whose files and history are later than the epoch.
    const root = join(mkdtempSync(join(tmpdir(), 'tsbuild-base-')), 'base.tar');
    try {
      writeFileSync(root, tar(baseMembers()));
      const store = bench.path('machine-base');
      await bench.importBase('base:1', { store });
      bench.write('older', { Dockerfile: 'FROM base:1\nRUN touch /later && mkdir /dir\nENV A=b\n' });
      await bench.ok(['build', '-q', '-t', 'later:1', 'older'], { store });
      const read = async (name: string, args: readonly string[] = []) => {
        bench.write('on', { Dockerfile: `FROM ${name}\nRUN touch /own\nLABEL c=d\n` });
        const { stdout } = await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', ...args, 'on'], { store });
        return readOciArchive(stdout);
      };
      bench.write('plain', { Dockerfile: 'FROM later:1\n' });
      const base = await readOciArchive((await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', 'plain'], { store })).stdout);
      const rewritten = await read('later:1', WITH_EPOCH);
      const count = base.manifest.layers.length;
      expect(rewritten.manifest.layers.slice(0, count)).toEqual(base.manifest.layers);
      expect(rewritten.config.rootfs.diff_ids.slice(0, count)).toEqual(base.config.rootfs.diff_ids);
      expect(rewritten.config.history?.slice(0, base.config.history?.length)).toEqual(base.config.history);
      const own = rewritten.config.history?.slice(base.config.history?.length) ?? [];
      expect(own.map(({ created }) => created)).toEqual(Array(2).fill('2023-11-14T22:13:20Z'));
      const untouched = await read('later:1');
      expect(untouched.manifest.layers.at(-1)?.digest).not.toBe(rewritten.manifest.layers.at(-1)?.digest);
    } finally {
      rmSync(join(root, '..'), { recursive: true });
    }
  });

  test('file capabilities, setuid, names and ids at their limits: one layer, which other tools read (REP-13)', async () => {
    const { bench } = held;
    const long = Array.from({ length: 15 }, () => 'n'.repeat(255)).join('/');
    const names = ['x'.repeat(101), `${'y'.repeat(130)}/${'z'.repeat(126)}`, long];
    const digests = new Set<string>();
    for (const machine of ['c', 'd']) {
      const store = bench.path(`machine-${machine}`);
      await bench.importBase('base:1', { store });
      const context = bench.write(`limits-${machine}`, { Dockerfile: `FROM base:1
COPY --chown=65000:65000 f /owned
COPY --chmod=6755 f /set
RUN mkdir -p "/${names[1]!.split('/')[0]}" "/${long.slice(0, -256)}" && for n in ${names.map((name) => `"${name}"`).join(' ')}; do (cd "/$(dirname "$n" | cut -c1-255)" 2>/dev/null && echo x > "/$n") || { d=$(dirname "$n"); cd /; IFS=/; for p in $d; do cd "$p"; done; unset IFS; echo x > "$(basename "$n")"; cd /; }; done; touch "$(printf '/odd\\377\\nx')"
`, f: 'x' });
      settle(context);
      const out = `limits-${machine}.tar`;
      await bench.ok(['build', '-q', ...WITH_EPOCH, '-o', `type=oci,dest=${out},compression=uncompressed`, context], { store });
      const archive = readFileSync(bench.path(out));
      digests.add(sha256(archive));
      if (machine === 'd') continue;
      const { tree, manifest } = await readOciArchive(archive);
      for (const name of names) expect(tree[`/${name}`]?.content, name.slice(0, 20)).toBe('x\n');
      expect(tree['/set']?.mode).toBe(0o6755);
      expect(tree['/owned']).toMatchObject({ uid: 65_000, gid: 65_000 });
      const members = await readTar(archive);
      const last = members.find(({ header }) => header.name === `blobs/sha256/${manifest.layers.at(-1)!.digest.slice(7)}`)!;
      const layer = bench.path('limits-layer.tar');
      writeFileSync(layer, last.body);
      const gnu = (await bench.tool(['tar', 'tf', layer, '--quoting-style=escape'])).split('\n');
      for (const name of [...names, 'odd\\377\\nx']) expect(gnu).toContain(name);
      const python = await bench.tool(['/usr/bin/python3', '-c', 'import tarfile,sys\nfor m in tarfile.open(sys.argv[1]): print(len(m.name), m.size)', layer]);
      for (const name of names) expect(python.split('\n')).toContain(`${name.length} 2`);
      mkdirSync(bench.path('layout'), { recursive: true });
    }
    expect(digests.size).toBe(1);
  });
}); // oxfmt-ignore
