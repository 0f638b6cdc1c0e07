import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { withoutShared } from './debian-base.ts';

/** What installs packages and makes users, and the packages, with what those need. */
const PACKAGES = [
  'adduser', 'base-files', 'base-passwd', 'bash', 'coreutils', 'dash', 'dbus', 'debconf', 'debianutils', 'diffutils', 'dpkg', 'findutils',
  'grep', 'gzip', 'hostname', 'init-system-helpers', 'libc-bin', 'libcap2-bin', 'login', 'man-db', 'mawk', 'openssh-client', 'passwd',
  'perl-base', 'postgresql-15', 'rpm', 'sed', 'tar', 'util-linux',
]; // oxfmt-ignore

/** Those that steps install, besides PostgreSQL's server, which is made smaller first. */
const INSTALLED = [
  'adduser', 'dbus', 'dbus-bin', 'dbus-daemon', 'dbus-session-bus-common', 'dbus-system-bus-common', 'libpam-runtime', 'man-db', 'mawk',
  'openssh-client', 'postgresql-client-15', 'postgresql-client-common', 'postgresql-common', 'ssl-cert', 'ucf',
]; // oxfmt-ignore

/** Leaves out what no step reads, which is half of it: each rung imports it, and two copy it. */
const SLIM = String.raw`cd "$1" && set -e
(cd usr/share && rm -rf man perl/*/Unicode/Collate perl/*/unicore/Name.pl common-licenses)
(cd usr/lib/*-linux-gnu && rm -rf libLLVM* libz3* perl/*/CORE perl/*/auto/Encode/?? perl/*/auto/Unicode gconv)
(cd usr/lib/postgresql/15/lib && rm -rf bitcode llvmjit.so pgxs)
rm -rf var/cache/apt/*.bin var/lib/apt/lists
cd var/cache/apt/archives
mkdir kept
for name in ${INSTALLED.join(' ')}; do mv "$name"_*.deb kept; done
dpkg-deb -R postgresql-15_*.deb server
(cd server && rm -rf usr/lib/postgresql/15/lib/bitcode usr/lib/postgresql/15/lib/llvmjit* usr/share/locale DEBIAN/md5sums)
dpkg-deb -Znone --root-owner-group -b server kept/postgresql-15_0.deb > /dev/null
rm -rf server *.deb
mv kept/* . && rmdir kept`;

/**
 * Files of Debian packages, unpacked and not configured, with some of the packages themselves beside them: steps install from these, without a
 * network, those that set owners and modes and make users while they are configured.
 */
export function packagesTar(path: string): Buffer {
  const hooks = [withoutShared('doc', 'locale', 'info', 'i18n', 'zoneinfo'), `--extract-hook=${SLIM}`];
  const keep = '--skip=essential/unlink,download/empty,cleanup/apt/cache';
  const args = ['--variant=extract', '--quiet', keep, ...hooks, `--include=${PACKAGES.join(',')}`, 'bookworm', path];
  try {
    execFileSync('mmdebstrap', args, { stdio: ['ignore', 'ignore', 'inherit'] });
    return readFileSync(path);
  } finally {
    rmSync(path, { force: true });
  }
}
