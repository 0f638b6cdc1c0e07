import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { withoutShared } from '../support/debian-base.ts';
import { useLonelyBench } from '../support/one-id.ts';
import { expectSound } from '../support/sound.ts';
import { readOciArchive } from '../support/tree.ts';

/** What installs packages and makes users, and the packages, with what those need. */
const PACKAGES = [
  'adduser', 'base-files', 'base-passwd', 'bash', 'coreutils', 'dash', 'dbus', 'debconf', 'debianutils', 'diffutils', 'dpkg', 'findutils',
  'grep', 'gzip', 'init-system-helpers', 'libc-bin', 'login', 'man-db', 'mawk', 'openssh-client', 'passwd', 'perl-base', 'sed', 'tar',
  'util-linux',
]; // oxfmt-ignore

/**
 * Files of Debian packages, unpacked and not configured, with the packages themselves beside them: steps install from these, without a
 * network, those that set owners and modes and make users while they are configured.
 */
function packagesTar(path: string): Buffer {
  const slim = withoutShared('doc', 'locale', 'info', 'i18n', 'zoneinfo');
  const keep = '--skip=essential/unlink,download/empty,cleanup/apt/cache';
  const args = ['--variant=extract', '--quiet', keep, slim, `--include=${PACKAGES.join(',')}`, 'bookworm', path];
  try {
    execFileSync('mmdebstrap', args, { stdio: ['ignore', 'ignore', 'inherit'] });
    return readFileSync(path);
  } finally {
    rmSync(path, { force: true });
  }
}

const DOCKERFILE = String.raw`FROM debian:1
ENV DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
RUN cd /usr/share/base-passwd && cp passwd.master /etc/passwd && cp group.master /etc/group && pwconv && grpconv && touch /var/lib/dpkg/status
RUN cd /var/cache/apt/archives && install() { for name; do set -- "$@" "$name"_*.deb; shift; done; dpkg --force-depends -i "$@"; } && \
  (install libpam-runtime adduser && install openssh-client dbus dbus-daemon dbus-system-bus-common dbus-session-bus-common dbus-bin man-db) > /log 2>&1 || { cat /log; exit 1; }
RUN useradd -m -G staff -s /bin/bash alice && echo alice:secret | chpasswd && getent shadow alice | cut -c1-7 && \
  su alice -c 'cd; touch hers; mkdir -m 700 d; id -nG; stat -c "%U:%G %a %n" . hers d' && \
  useradd -r -m -d /srv/app app && cp -r /etc/ssh /srv/app && chown -R app:www-data /srv/app && find /srv/app ! -user app -o ! -group www-data
RUN man -k ssh-agent && mkdir /run/dbus && dbus-daemon --system --nopidfile && \
  dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetConnectionUnixUser string:org.freedesktop.DBus
USER alice
RUN ssh-keygen -q -t ed25519 -N '' -f ~/key && stat -c '%U %a' ~/key && ssh-agent sh -c 'ssh-add ~/key' 2>&1
`;

const use = useLonelyBench();

describe("Debian's packages with one id", () => {
  beforeAll(async () => {
    await use.bench.ok(['import', '-', '-t', 'debian:1'], { stdin: packagesTar(use.bench.path('packages.tar')) });
  }, 120_000);

  test('openssh-client, dbus and man-db are installed and run, users are made and become themselves', async () => {
    const { bench } = use;
    const context = bench.context(DOCKERFILE);
    const { err, stdout } = await bench.ok(['build', '--progress=plain', '-o', 'type=oci,dest=-', context]);
    const said = [...err.matchAll(/^#\d+ \d+\.\d+ (.*)$/gm)].map(([, line]) => line);
    expect(said.slice(0, 5)).toEqual([
      'alice:$',
      'alice staff',
      'alice:alice 755 .',
      'alice:alice 644 hers',
      'alice:alice 700 d',
    ]);
    expect(said[5]).toMatch(/^ssh-agent \(1\)/);
    expect(said).toContainEqual(expect.stringMatching(/^method return .* sender=org\.freedesktop\.DBus/));
    expect(said.slice(-2)).toEqual(['alice 600', expect.stringMatching(/^Identity added: \/home\/alice\/key/)]);

    const { tree } = await readOciArchive(stdout);
    const idOf = (file: string, name: string): number =>
      Number(new RegExp(`^${name}:x:(\\d+):`, 'm').exec(tree[file]?.content ?? '')?.[1]);
    const user = (name: string): number => idOf('/etc/passwd', name);
    const group = (name: string): number => idOf('/etc/group', name);
    const attributes = (path: string): unknown => [tree[path]?.uid, tree[path]?.gid, tree[path]?.mode?.toString(8)];
    // As those packages' scripts and lists of files have it.
    expect(attributes('/usr/bin/ssh-agent')).toEqual([0, group('_ssh'), '2755']);
    expect(attributes('/usr/lib/dbus-1.0/dbus-daemon-launch-helper')).toEqual([0, group('messagebus'), '4754']);
    expect(attributes('/var/cache/man/index.db')).toEqual([user('man'), group('man'), '644']);
    expect(attributes('/etc/shadow')).toEqual([0, group('shadow'), '440']);
    expect(attributes('/home/alice/key')).toEqual([user('alice'), group('alice'), '600']);
    expect(attributes('/srv/app/ssh/ssh_config')).toEqual([user('app'), group('www-data'), '644']);
    expect(group('messagebus')).toBeGreaterThan(100);
    await expectSound(bench);
  });
});
