import { createHash } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bench, type ContextFile } from '../support/bench.ts';
import { nodeTar, npmPackage } from '../support/debian-base.ts';
import { packagesTar } from '../support/debian-packages.ts';
import { type Identity, identities } from '../support/identity.ts';
import { lonelyUser } from '../support/one-id.ts';
import { isRealRoot } from '../support/real-root.ts';
import { type ArchivedImage, readOciArchive } from '../support/tree.ts';

/** Prints what a command says only where that fails. */
const QUIETLY = '#!/bin/sh\n"$@" > /tmp/said.$$ 2>&1 || { cat /tmp/said.$$; exit 1; }\nrm /tmp/said.$$\n';
const INSTALL = String.raw`#!/bin/sh
cd /var/cache/apt/archives
for name; do set -- "$@" "$name"_*.deb; shift; done
exec quietly dpkg --force-depends -i "$@"
`;

/** An RPM package whose files have owners, modes and capabilities. */
const SPEC = String.raw`Name: owned
Version: 1
Release: 1
Summary: a test
License: none
BuildArch: noarch
%description
A test.
%install
mkdir -p %{buildroot}/opt; echo x > %{buildroot}/opt/capable; echo y > %{buildroot}/opt/setuid
%files
%caps(cap_net_raw=ep) %attr(0750,daemon,mail) /opt/capable
%attr(04755,root,games) /opt/setuid
`;

// PostgreSQL has no port, for rungs may share the machine's network. On rung 5 pg_ctlcluster cannot stop a server: it looks for that in /proc.
const DOCKERFILE = String.raw`FROM debian:1
ENV DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
COPY --chmod=0755 bin /usr/bin
RUN cd /usr/share/base-passwd && cp passwd.master /etc/passwd && cp group.master /etc/group && pwconv && grpconv && touch /var/lib/dpkg/status
RUN install-packages libpam-runtime adduser mawk
RUN install-packages openssh-client dbus dbus-daemon dbus-system-bus-common dbus-session-bus-common dbus-bin man-db
RUN install-packages ucf ssl-cert postgresql-client-common postgresql-client-15 postgresql-common postgresql-15
RUN echo "listen_addresses = ''" > /etc/postgresql/15/main/conf.d/unix.conf && pg_ctlcluster 15 main start && su postgres -c "psql -tAc 'select 40 + 2, user'" && \
  su postgres -c '/usr/lib/postgresql/15/bin/pg_ctl -s -D /var/lib/postgresql/15/main stop'
RUN useradd -m -G staff -s /bin/bash alice && echo alice:secret | chpasswd && getent shadow alice | cut -c1-7 && \
  su alice -c 'cd; touch hers; mkdir -m 700 d; id -nG; stat -c "%U:%G %a %n" . hers d' && \
  useradd -r -m -d /srv/app app && cp -r /etc/ssh /srv/app && chown -R app:www-data /srv/app && find /srv/app ! -user app -o ! -group www-data
RUN man -k ssh-agent && mkdir /run/dbus && dbus-daemon --system --nopidfile && \
  su alice -c 'dbus-send --system --print-reply=literal --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetConnectionUnixUser string:org.freedesktop.DBus'
RUN cp /usr/bin/id /usr/bin/capable-id && setcap cap_net_raw+ep /usr/bin/capable-id && getcap /usr/bin/capable-id
RUN --mount=type=bind,target=/context quietly rpmbuild --define '_topdir /rpm' -bb /context/owned.spec && \
  quietly rpm -i --nodeps /rpm/RPMS/noarch/owned-1-1.noarch.rpm && stat -c '%U:%G %a %n' /opt/capable /opt/setuid && getcap /opt/capable
COPY --chown=alice:alice app /home/alice/app
RUN --mount=type=bind,from=node:1,target=/opt/node export PATH=$PATH:/opt/node HOME=/tmp npm_config_cache=/tmp/npm npm_config_logs_max=0 NODE_DISABLE_COMPILE_CACHE=1 && \
  cp -r /home/alice/app /srv/root && ci='quietly node /opt/node/npm/bin/npm-cli.js ci --offline' && (cd /srv/root && $ci) && su -p alice -c "cd ~alice/app && $ci" && \
  for dir in /srv/root /home/alice/app; do cd $dir && node -p 'require("packed") + require("linked")' && stat -c '%U:%G %n' node_modules/linked node_modules/packed/index.js; done; rm -rf /tmp/npm
USER alice
RUN ssh-keygen -q -t ed25519 -N '' -f ~/key && stat -c '%U %a' ~/key && ssh-agent -a /tmp/agent sh -c 'ssh-add -q ~/key && ssh-add -l | cut -c1-3'
`;

/** What it prints, on every rung. */
const SAID = [
  '42|postgres',
  'alice:$', 'alice staff', 'alice:alice 755 .', 'alice:alice 644 hers', 'alice:alice 700 d',
  expect.stringMatching(/^ssh-agent \(1\)/),
  expect.stringMatching(/^ +uint32 \d+$/),
  '/usr/bin/capable-id cap_net_raw=ep',
  'daemon:mail 750 /opt/capable', 'root:games 4755 /opt/setuid', '/opt/capable cap_net_raw=ep',
  'of-tarball-of-directory', 'root:root node_modules/linked', 'root:root node_modules/packed/index.js',
  'of-tarball-of-directory', 'alice:alice node_modules/linked', 'alice:alice node_modules/packed/index.js',
  'alice 600', '256',
]; // oxfmt-ignore

/** An application that depends on a tarball and a directory. */
function application(bench: Bench): Record<string, ContextFile> {
  const tarball = npmPackage(bench.dir, 'packed', 'of-tarball');
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
  const dependencies = { packed: 'file:packed.tgz', linked: 'file:linked' };
  const packages = {
    '': { name: 'app', version: '1.0.0', dependencies },
    linked: { version: '1.0.0' },
    'node_modules/linked': { resolved: 'linked', link: true },
    'node_modules/packed': { version: '1.0.0', resolved: 'file:packed.tgz', integrity },
  };
  return {
    'app/packed.tgz': tarball,
    'app/linked/package.json': '{"name":"linked","version":"1.0.0"}',
    'app/linked/index.js': 'module.exports = "-of-directory";\n',
    'app/package.json': JSON.stringify({ name: 'app', version: '1.0.0', dependencies }),
    'app/package-lock.json': JSON.stringify({ name: 'app', version: '1.0.0', lockfileVersion: 3, packages }),
  };
}

/** Who builds where: each rung by those whom it is for. The first is what the others are compared with. */
async function builders(): Promise<readonly { readonly rung: string; readonly who: Identity }[]> {
  const everyone = await identities();
  const [self, user] = [everyone[0], everyone.at(-1)];
  if (!self || !user) throw new Error('Nobody runs the tests');
  return [
    { rung: 'userns', who: user },
    { rung: 'copy', who: self },
    { rung: 'single-id', who: lonelyUser() },
    ...(isRealRoot ? [{ rung: 'chroot', who: self }] : []),
  ];
}

/** What layers say of their files. The link to a certificate is named by that, which is made anew. */
const linesOf = ({ listings }: ArchivedImage): readonly (readonly string[])[] =>
  listings.map((lines) => lines.map((line) => line.replace(/\/[0-9a-f]{8}\.0 -> /, '/HASH.0 -> ')).toSorted());

const rungs = await builders();

/** On a machine with other work to do. */
const LONG = 400_000;

interface Built {
  readonly image: ArchivedImage;
  readonly said: readonly (string | undefined)[];
}

/** In a store for each rung. */
async function build(rung: string, who: Identity, packages: Buffer, node: Buffer): Promise<Built> {
  await using bench = new Bench(who);
  chmodSync(bench.dir, 0o755);
  const env = { TSBUILD_ISOLATION: rung };
  await bench.ok(['import', '-', '-t', 'debian:1'], { env, stdin: packages });
  await bench.ok(['import', '-', '-t', 'node:1'], { env, stdin: node });
  const files = { 'bin/quietly': QUIETLY, 'bin/install-packages': INSTALL, 'owned.spec': SPEC, ...application(bench) };
  const output = 'type=oci,dest=-,compression=uncompressed';
  const args = ['build', '--progress=plain', '-o', output, bench.context(DOCKERFILE, files)];
  const { err, stdout } = await bench.ok(args, { env, timeoutMs: LONG });
  const said = [...err.matchAll(/^#\d+ \d+\.\d+ (.*)$/gm)].map(([, line]) => line);
  if (rung === 'single-id') expect(await bench.damage()).toEqual([]);
  return { said, image: await readOciArchive(stdout) };
}

describe('real packages', () => {
  const builds = new Map<string, Promise<Built>>();

  beforeAll(async () => {
    await using bench = new Bench(lonelyUser());
    const packages = packagesTar(bench.path('packages.tar'));
    const node = nodeTar();
    // Two at a time.
    for (const [at, { rung, who }] of rungs.entries()) {
      const before = builds.get(rungs[at - 2]?.rung ?? '') ?? Promise.resolve();
      const start = (): Promise<Built> => build(rung, who, packages, node);
      const building = before.then(start, start);
      building.catch(() => undefined);
      builds.set(rung, building);
    }
  });
  afterAll(() => Promise.allSettled(builds.values()));

  const builtOn = async (rung: string | undefined): Promise<Built> => {
    const built = await builds.get(rung ?? '');
    if (!built) throw new Error(`Nothing was built on ${rung}`);
    return built;
  };

  test.each(rungs)('are installed and used on $rung', { timeout: LONG }, async ({ rung }) => {
    const { said, image } = await builtOn(rung);
    expect(said).toEqual(SAID);
    const { tree } = image;
    const idOf = (file: string, name: string): number =>
      Number(new RegExp(`^${name}:x:(\\d+):`, 'm').exec(tree[file]?.content ?? '')?.[1]);
    const user = (name: string): number => idOf('/etc/passwd', name);
    const group = (name: string): number => idOf('/etc/group', name);
    const attributes = (path: string): unknown => [tree[path]?.uid, tree[path]?.gid, tree[path]?.mode.toString(8)];
    // As those packages' scripts and lists of files have it.
    expect(attributes('/usr/bin/ssh-agent')).toEqual([0, group('_ssh'), '2755']);
    expect(attributes('/usr/lib/dbus-1.0/dbus-daemon-launch-helper')).toEqual([0, group('messagebus'), '4754']);
    expect(attributes('/var/cache/man/index.db')).toEqual([user('man'), group('man'), '644']);
    expect(attributes('/etc/shadow')).toEqual([0, group('shadow'), '440']);
    expect(attributes('/etc/ssl/private/ssl-cert-snakeoil.key')).toEqual([0, group('ssl-cert'), '640']);
    expect(attributes('/var/lib/postgresql/15/main')).toEqual([user('postgres'), group('postgres'), '700']);
    expect(attributes('/home/alice/key')).toEqual([user('alice'), group('alice'), '600']);
    expect(attributes('/srv/app/ssh/ssh_config')).toEqual([user('app'), group('www-data'), '644']);
    expect(attributes('/opt/setuid')).toEqual([0, group('games'), '4755']);
    expect(attributes('/opt/capable')).toEqual([user('daemon'), group('mail'), '750']);
    // CAP_NET_RAW, permitted and effective (capabilities(7)).
    const capability = `0100000200200000${'00'.repeat(12)}`;
    for (const path of ['/opt/capable', '/usr/bin/capable-id']) expect(tree[path]).toMatchObject({ capability });
    expect(group('messagebus')).toBeGreaterThanOrEqual(100);
  });

  test.each(rungs.slice(1))(
    'layers made on $rung have the owners, modes and capabilities of others',
    async ({ rung }) => {
      const [expected, made] = [await builtOn(rungs[0]?.rung), await builtOn(rung)];
      expect(linesOf(made.image)).toEqual(linesOf(expected.image));
    },
  );
});
