import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RecordedAnswer } from '../../src/pins/index.ts';
import type { Bench, Outcome, RunOptions } from '../support/bench.ts';
import { debianTar } from '../support/debian-base.ts';
import { describeAsEveryone, onceAsUser, useBench } from '../support/e2e.ts';
import { PackageServers } from '../support/package-servers.ts';
import { readOciArchive } from '../support/tree.ts';

interface Lock {
  readonly version: number;
  readonly network: readonly RecordedAnswer[];
}

let base: Buffer;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-recorded-'));
  chmodSync(folder, 0o755);
  base = debianTar();
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Steps that leave the same behind whenever they run. */
const dockerfile = ({ apt, secure }: PackageServers): string => `FROM debian:1
RUN rm -rf /etc/apt/sources.list.d && echo "deb [trusted=yes] http://${apt}/ ./" > /etc/apt/sources.list && \\
    apt-get -q -o APT::Sandbox::User=root update && apt-get -q -o APT::Sandbox::User=root install -y greeting && greeting && \\
    rm -rf /var/log /var/lib/apt /var/cache /var/lib/dpkg/*-old
RUN curl -sSf https://${secure}/file -o /file && cat /file
RUN pip3 install -q --root-user-action=ignore --break-system-packages --no-cache-dir --no-compile --target /py \\
    --index-url https://${secure}/pypi/simple/ tinywheel && \\
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/py python3 -c 'import tinywheel; print(tinywheel.word)'
RUN mkdir /app && cd /app && echo '{}' > package.json && export npm_config_cache=/tmp/npm && \\
    node /opt/npm/bin/npm-cli.js install --no-audit --no-fund --no-update-notifier --registry https://${secure}/npm/ tinypkg && \\
    node -p 'require("tinypkg")' && rm -rf /tmp/npm /tmp/node-compile-cache
`;
const SAID = ['hello from apt', 'the file', 'hello from pip', 'hello from npm'];
/** Where the servers are: on this machine, which steps do not reach unless that is allowed. */
const HOSTS = ['--add-host', 'repo.test=127.0.0.1', '--add-host', 'registry.test=127.0.0.1', '--allow', 'network.host'];
const ARGS = ['--progress=plain', '--source-date-epoch=1600000000', ...HOSTS];

/** Lines that steps printed. */
function said({ err }: Outcome): readonly string[] {
  return [...err.matchAll(/^#\d+ [\d.]+ (.+)$/gm)].map(([, line]) => line ?? '');
}

/** A store with nothing but the image: imported once, then copied, which takes a tenth of the time. With the same times on every machine. */
async function makeStore(bench: Bench, store: string = bench.store): Promise<void> {
  const made = bench.path('made');
  if (!existsSync(made)) {
    const env = { SOURCE_DATE_EPOCH: '1600000000' };
    await bench.ok(['import', '-', '-t', 'debian:1'], { stdin: base, store: made, env });
  }
  await bench.tool(['cp', '-a', '-T', made, store]);
}

describeAsEveryone('a recorded network', (who) => {
  const use = useBench(who, { base: false });
  let servers: PackageServers;
  beforeAll(async () => {
    const dir = join(folder, who.name);
    mkdirSync(dir);
    servers = await PackageServers.start(dir);
    await makeStore(use.bench);
  }, 120_000);
  afterAll(() => servers[Symbol.asyncDispose]());

  function build(bench: Bench, context: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    // What the machine's user trusts, the proxy does.
    const env = { SSL_CERT_FILE: servers.ca, ...options.env };
    return bench.tsbuild(['build', ...ARGS, ...args, context], { ...options, env });
  }

  async function built(...args: Parameters<typeof build>): Promise<Outcome> {
    const outcome = await build(...args);
    expect(outcome.code, outcome.err).toBe(0);
    return outcome;
  }

  const lockOf = (context: string): Lock => JSON.parse(readFileSync(join(context, 'tsbuild.lock'), 'utf8')) as Lock;

  test('of apt, curl, pip and npm is given again with the servers gone', { timeout: 300_000 }, async () => {
    const { bench } = use;
    const context = bench.context(dockerfile(servers));
    const archive = (name: string): readonly string[] => [
      '-o',
      `type=oci,rewrite-timestamp=true,dest=${bench.path(name)}`,
    ];
    const recorded = await built(bench, context, ['--network=record', ...archive('1.tar')]);
    expect(said(recorded)).toEqual(expect.arrayContaining(SAID));
    const lock = lockOf(context);
    expect(lock.version).toBe(2);
    expect(recorded.err).toContain(
      `${lock.network.length} answers of servers recorded (${lock.network.length} new, 0 changed, 0 gone)`,
    );
    const addresses = lock.network.filter(({ status }) => status === 200).map(({ url }) => url);
    expect(addresses).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^http:\/\/repo.test:\d+\/(\.\/)?greeting.deb$/),
        `https://${servers.secure}/file`,
        `https://${servers.secure}/npm/tinypkg`,
        `https://${servers.secure}/npm/tinypkg/-/tinypkg-1.0.0.tgz`,
        `https://${servers.secure}/pypi/files/tinywheel-1.0-py3-none-any.whl`,
        `https://${servers.secure}/pypi/simple/tinywheel/`,
      ]),
    );
    // Nothing of what the steps were given for it is in the image.
    const first = await readOciArchive(readFileSync(bench.path('1.tar')));
    expect(first.tree['/etc/ssl/certs/ca-certificates.crt']?.content).toBe('the authorities of the image\n');
    expect(first.tree).not.toHaveProperty(['/dev/tsbuild-ca.crt']);
    expect(JSON.stringify(first.config)).not.toMatch(/proxy|SSL_CERT/i);

    // Another machine, which has the lock file alone: it fetches what that names.
    const other = bench.path('other');
    await makeStore(bench, other);
    servers.seen.length = 0;
    expect(said(await built(bench, context, ['--network=locked', ...archive('2.tar')], { store: other }))).toEqual(
      expect.arrayContaining(SAID),
    );
    // Of two that gave the same, one is asked.
    expect(servers.seen.length).toBe(new Set(lock.network.map(({ digest }) => digest)).size);
    expect(readFileSync(bench.path('2.tar')).equals(readFileSync(bench.path('1.tar')))).toBe(true);

    await servers.stop();
    const replayed = await built(bench, context, ['--network=locked', '--offline', '--no-cache', ...archive('3.tar')]);
    expect(said(replayed)).toEqual(expect.arrayContaining(SAID));
    expect(readFileSync(bench.path('3.tar')).equals(readFileSync(bench.path('1.tar')))).toBe(true);
    // And then from the cache.
    expect(said(await built(bench, context, ['--network=locked', '--offline']))).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  // What a lock file has, and how options are understood, is the same whoever builds.
  const once = onceAsUser(who);

  once('that is locked refuses what is new, and names it', async () => {
    const { bench } = use;
    await using own = await PackageServers.start(mkdtempSync(join(folder, 'servers-')));
    const env = { SSL_CERT_FILE: own.ca };
    const step = (path: string): string => `FROM debian:1\nRUN curl -sSf https://${own.secure}${path}\n`;
    const context = bench.context(step('/file'));
    await built(bench, context, ['--network=record'], { env });
    writeFileSync(join(context, 'Dockerfile'), step('/npm/tinypkg?x=1'));
    const refused = await build(bench, context, ['--network=locked'], { env });
    expect(refused.code).not.toBe(0);
    expect(refused.err).toMatch(
      new RegExp(`exit code: \\d+: GET https://${own.secure}/npm/tinypkg\\?x=1 is not in tsbuild.lock\\n`),
    );
    expect(refused.err).toMatch(/^hint: build with --network=record, and look at what it adds to tsbuild.lock$/m);
    expect(own.seen).toHaveLength(1);
    // A comment does the same for one step, and the option is not needed.
    writeFileSync(join(context, 'Dockerfile'), step('/file').replace('RUN', '# tsbuild: network=locked\nRUN'));
    expect(said(await built(bench, context, [], { env }))).toEqual(['the file']);
    // What is another file now is not taken for the one that was recorded.
    own.files.set('/file', 'another\n');
    const empty = bench.path(`empty-${who.name}`);
    await makeStore(bench, empty);
    const changed = await build(bench, context, ['--network=locked'], { env, store: empty });
    expect(changed.err).toMatch(
      new RegExp(`Cannot use GET https://${own.secure}/file as tsbuild.lock has it \\(sha256:`),
    );
    expect(changed.err).toMatch(/^hint: see what it is now with --network=record --update-lock$/m);
    const offline = await build(bench, context, ['--network=locked', '--offline'], { env, store: empty });
    expect(offline.err).toMatch(/--offline asks nobody/);
    expect(said(await built(bench, context, ['--network=record'], { env }))).toEqual(['the file']);
    const updated = await built(bench, context, ['--network=record', '--update-lock'], { env });
    expect(said(updated)).toEqual(['another']);
    expect(updated.err).toContain('1 answer of servers recorded (0 new, 1 changed, 0 gone)');
  });

  test('has no way around the proxy, and none to this machine unless that is allowed', async () => {
    const { bench } = use;
    await using own = await PackageServers.start(mkdtempSync(join(folder, 'servers-')));
    const address = own.apt.replace('repo.test', '127.0.0.1');
    const context = bench.context(`FROM debian:1
RUN ! curl -sS --noproxy '*' http://${address}/Release; ! curl -sS --noproxy '*' http://192.0.2.1/; ls /sys/class/net; \\
    ! curl -sSf http://${own.apt}/Release; test "$(curl -s -o /dev/null -w '%{http_code}' http://169.254.169.254/)" = 403
`);
    const guarded = ['build', '--progress=plain', ...HOSTS.slice(0, 4), '--network=record', context];
    const outcome = await bench.tsbuild(guarded);
    expect(outcome.code, outcome.err).toBe(0);
    expect(outcome.err).toMatch(/curl: \(7\) Failed to connect to 192.0.2.1 /);
    expect(said(outcome)).toEqual(expect.arrayContaining(['lo']));
    expect(said(outcome)).not.toEqual(expect.arrayContaining(['eth0']));
    expect(outcome.err).toMatch(
      /GET http:\/\/repo.test:\d+\/Release could not be had: repo.test is this machine itself or a metadata service/,
    );
    expect(own.seen).toEqual([]);
  });

  once('is refused where it cannot be what it says', async () => {
    const { bench } = use;
    const context = bench.context('FROM debian:1\nRUN --network=host true\n');
    const fails = async (args: readonly string[], message: RegExp): Promise<void> => {
      const { code, err } = await build(bench, context, args);
      expect(code, err).not.toBe(0);
      expect(err).toMatch(message);
    };
    await fails(['--network=recorded'], /expected default, none, host, record or locked/);
    await fails(['--network=locked'], /Cannot build with --network=locked: a step wants this machine's own network/);
    writeFileSync(join(context, 'Dockerfile'), 'FROM debian:1\nRUN true\n');
    await fails(['--network=record', '--offline'], /Cannot record the network of steps with --offline/);
    writeFileSync(join(context, 'tsbuild.lock'), '{"version":1,"sources":[]}');
    await fails(['--network=record', '--locked'], /Cannot record the network of steps with --locked|does not name it/);
    writeFileSync(join(context, 'tsbuild.lock'), '{"version":2,"sources":[],"network":[{}]}');
    await fails(['--network=locked'], /entry 1 of its "network" is not one/);
  });
});
