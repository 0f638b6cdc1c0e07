import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Packages that hold what steps of the tests run, and with them what those need. */
const PACKAGES = [
  'apt', 'base-files', 'base-passwd', 'coreutils', 'curl', 'dash', 'debianutils', 'diffutils', 'dpkg', 'findutils', 'grep', 'gzip',
  'libc-bin', 'login', 'mawk', 'passwd', 'perl-base', 'python3-pip', 'sed', 'tar',
]; // oxfmt-ignore

/**
 * An argument of `mmdebstrap --variant=extract` that leaves out folders of /usr/share. Its own way, `path-exclude`, filters each package
 * by a program in Python, which takes longer than all else.
 */
export function withoutShared(...folders: readonly string[]): string {
  return `--extract-hook=cd "$1/usr/share" && rm -rf ${folders.join(' ')}`;
}

/**
 * A root file system of Debian's packages with apt, curl, pip, and this machine's own Node and npm, as an archive. Unpacked and not
 * configured, which takes a tenth of the time.
 */
export function debianTar(): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-debian-'));
  try {
    const more = join(dir, 'more');
    mkdirSync(more);
    copyNode(more, 'usr/local/bin/node', 'opt/npm');
    mkdirSync(join(more, 'etc/ssl/certs'), { recursive: true });
    writeFileSync(join(more, 'etc/ssl/certs/ca-certificates.crt'), 'the authorities of the image\n');
    const tar = join(dir, 'debian.tar');
    const include = `--include=${PACKAGES.join(',')}`;
    const slim = withoutShared('doc', 'man', 'locale', 'info', 'i18n');
    execFileSync('mmdebstrap', ['--variant=extract', '--quiet', slim, include, 'bookworm', tar], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const added = ['opt', 'usr/local/bin/node', 'etc/ssl/certs/ca-certificates.crt'];
    execFileSync('tar', ['-rf', tar, '--owner=0', '--group=0', '-C', more, ...added]);
    return readFileSync(tar);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** This machine's own Node and npm, at these paths of a directory. */
function copyNode(dir: string, node: string, npm: string): void {
  const own = dirname(dirname(realpathSync(execFileSync('which', ['npm'], { encoding: 'utf8' }).trim())));
  cpSync(own, join(dir, npm), { recursive: true, dereference: true });
  mkdirSync(dirname(join(dir, node)), { recursive: true });
  cpSync(process.execPath, join(dir, node));
}

/** An archive with nothing but `node` and `npm`. */
export function nodeTar(): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-node-'));
  try {
    copyNode(dir, 'node', 'npm');
    return execFileSync('tar', ['-c', '--owner=0', '--group=0', '-C', dir, 'node', 'npm'], { maxBuffer: 1 << 30 });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** A package that prints a word, as dpkg has it. */
export function debianPackage(dir: string, name: string, word: string): Buffer {
  const root = join(dir, `deb-${name}`);
  mkdirSync(join(root, 'DEBIAN'), { recursive: true });
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  writeFileSync(join(root, 'DEBIAN/control'), controlOf(name));
  writeFileSync(join(root, `usr/bin/${name}`), `#!/bin/sh\necho ${word}\n`, { mode: 0o755 });
  execFileSync('dpkg-deb', ['--root-owner-group', '--build', root, `${root}.deb`], { stdio: 'ignore' });
  return readFileSync(`${root}.deb`);
}

/** The fields that a package and its index have. */
export function controlOf(name: string): string {
  return `Package: ${name}\nVersion: 1.0\nArchitecture: all\nMaintainer: T <t@t.test>\nDescription: a test\n`;
}

/** A wheel with one module, as pip has it. */
export function pythonWheel(dir: string, name: string, word: string): Buffer {
  const path = join(dir, `${name}-1.0-py3-none-any.whl`);
  const info = `${name}-1.0.dist-info`;
  const files = {
    [`${name}.py`]: `word = "${word}"\n`,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: 1.0\n`,
    [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    [`${info}/RECORD`]: `${name}.py,,\n${info}/METADATA,,\n${info}/WHEEL,,\n${info}/RECORD,,\n`,
  };
  const script =
    'import json,sys,zipfile\nwith zipfile.ZipFile(sys.argv[1],"w") as z:\n for n,t in json.loads(sys.argv[2]).items(): z.writestr(n,t)';
  if (!existsSync(path)) execFileSync('python3', ['-c', script, path, JSON.stringify(files)]);
  return readFileSync(path);
}

/** A package of npm. */
export function npmPackage(dir: string, name: string, word: string): Buffer {
  const root = join(dir, `npm-${name}`);
  mkdirSync(join(root, 'package'), { recursive: true });
  writeFileSync(join(root, 'package/package.json'), JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
  writeFileSync(join(root, 'package/index.js'), `module.exports = ${JSON.stringify(word)};\n`);
  return execFileSync('tar', ['-cz', '-C', root, 'package']);
}
