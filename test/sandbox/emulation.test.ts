import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, boolean, constantFrom, nat, property } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findHelper } from '../../src/sandbox/index.ts';
import {
  elfKind,
  elfPattern,
  emulatedArchitectures,
  Emulation,
  findEmulator,
  foreignFailure,
  parseFormat,
  readFormats,
  smallestProgram,
  takes,
} from '../../src/sandbox/emulation/index.ts';
import { everyone, runScenario } from './support/run-as.ts';
import type { StepResult } from './support/kit.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-emulation-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64' };
const program = (architecture: string): Buffer => {
  const kind = elfKind(architecture);
  if (kind === undefined) throw new Error(architecture);
  return smallestProgram(kind);
};

/** As Linux prints the entry of Debian's qemu-user-static. */
const DEBIAN_ENTRY = `enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
`;

describe('formats', () => {
  test('an entry is understood as the kernel prints it', () => {
    const format = parseFormat(DEBIAN_ENTRY);
    expect(format).toMatchObject({
      interpreter: '/usr/libexec/qemu-binfmt/aarch64-binfmt-P',
      isFixed: true,
      offset: 0,
    });
    expect(format && takes(format, program('arm64'))).toBe(true);
    expect(format && takes(format, program('amd64'))).toBe(false);
    expect(parseFormat(DEBIAN_ENTRY.replace('POF', 'PO'))?.isFixed).toBe(false);
    expect(parseFormat(DEBIAN_ENTRY.replace('enabled', 'disabled'))).toBeUndefined();
    expect(parseFormat('enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n')).toBeUndefined();
    expect(readFormats('/does/not/exist')).toEqual([]);
  });

  test('our pattern is that of qemu', () => {
    const kind = elfKind('arm64');
    const pattern = kind && elfPattern(kind);
    expect(pattern?.magic.toString('hex')).toBe('7f454c460201010000000000000000000200b700');
    expect(pattern?.mask.toString('hex')).toBe('ffffffffffffff00fffffffffffffffffeffffff');
  });

  test('a pattern takes the programs of its own architecture, position-independent or not, and no other', () => {
    const architecture = constantFrom(...emulatedArchitectures);
    assert(
      property(architecture, architecture, nat(255), boolean(), (own, other, abi, isPie) => {
        const kind = elfKind(own);
        const bytes = Buffer.from(program(other));
        bytes[7] = abi;
        bytes[elfKind(other)?.littleEndian ? 16 : 17] = isPie ? 3 : 2;
        const format = kind && { interpreter: '', isFixed: true, offset: 0, ...elfPattern(kind) };
        expect(format && takes(format, bytes)).toBe(own === other);
      }),
    );
  });
});

describe('the smallest program', () => {
  test.skipIf(process.arch !== 'x64').each(['amd64', '386'])('runs on the processor (%s)', (architecture) => {
    expect(new Emulation({ scratchDir: () => dir, host: arm64 }).executes(architecture)).toBe(true);
  });

  test.each(emulatedArchitectures.filter((name) => existsSync(`/usr/bin/qemu-${elfKind(name)?.qemu}-static`)))(
    'runs in qemu (%s)',
    (architecture) => {
      const path = join(dir, architecture);
      writeFileSync(path, program(architecture), { mode: 0o755 });
      const done = spawnSync(`/usr/bin/qemu-${elfKind(architecture)?.qemu}-static`, [path], { encoding: 'utf8' });
      expect([done.status, done.stderr]).toEqual([0, '']);
    },
  );
});

describe('which emulator', () => {
  /** A machine that has the helper, which is static, under these names. */
  const having = (...names: string[]) => ({
    scratchDir: () => dir,
    host: amd64,
    formats: () => [],
    find: (name: string) => (names.includes(name) ? findHelper() : undefined),
  });

  test('none for the own platform, whatever its variant', () => {
    const emulation = new Emulation(having('qemu-x86_64-static'));
    expect(emulation.emulatorFor({ ...amd64, architecture: 'amd64' })).toBeUndefined();
    expect(emulation.isForeign(arm64)).toBe(true);
  });

  test('a static qemu, by its old and its new name', () => {
    for (const name of ['qemu-aarch64-static', 'qemu-aarch64'])
      expect(new Emulation(having(name)).emulatorFor(arm64)).toEqual({
        name: 'tsbuild-arm64',
        interpreter: findHelper(),
        rule: String.raw`:tsbuild-arm64:M:0:\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:${findHelper()}:POCF`,
      });
  });

  test('never one with a loader, which would be looked for in the image', () => {
    expect(findEmulator('arm64', () => process.execPath)).toBeUndefined();
    expect(findEmulator('arm64', () => '/etc/passwd')).toBeUndefined();
    expect(findEmulator('sparc', () => findHelper())).toBeUndefined();
  });

  test('none where the machine has one that works in every root', () => {
    const format = parseFormat(DEBIAN_ENTRY);
    const options = having('qemu-aarch64-static');
    const withFormat = (isFixed: boolean) =>
      new Emulation({ ...options, formats: () => (format ? [{ ...format, isFixed }] : []) });
    expect(withFormat(true).emulatorFor(arm64)).toBeUndefined();
    expect(withFormat(false).emulatorFor(arm64)?.name).toBe('tsbuild-arm64');
  });

  test.skipIf(process.arch !== 'x64')('none for 32-bit programs that the processor executes', () => {
    const emulation = new Emulation(having('qemu-i386-static'));
    expect(emulation.emulatorFor({ architecture: '386' })).toBeUndefined();
  });
});

describe('what is said without one', () => {
  const emulation = new Emulation({ scratchDir: () => dir, host: amd64, formats: () => [], find: () => undefined });
  const status = { kind: 'not-executed', path: '/bin/sh', errno: 'ENOEXEC' } as const;
  const emulator = { name: 'tsbuild-arm64', interpreter: '/usr/bin/qemu-aarch64-static', rule: '' };

  test('what is missing, and three ways on', () => {
    const error = foreignFailure(emulation, arm64, undefined, status);
    expect(error?.message).toBe(
      'Cannot execute "/bin/sh" for linux/arm64: this machine is linux/amd64 and has no emulator for it',
    );
    for (const way of ['apt-get install qemu-user-static', 'binfmt --install arm64', 'COPY --from'])
      expect(error?.hint).toContain(way);
  });

  test('that the kernel is too old', () => {
    const error = foreignFailure(emulation, arm64, emulator, { ...status, emulatorRefused: 'EPERM' });
    expect(error?.message).toMatch(/does not let a user namespace use \/usr\/bin\/qemu-aarch64-static \(EPERM/);
    expect(error?.hint).toContain('binfmt-support');
  });

  test('nothing where it is not the lack of an emulator', () => {
    expect(foreignFailure(emulation, amd64, undefined, status)).toBeUndefined();
    expect(foreignFailure(emulation, arm64, undefined, { ...status, errno: 'ENOENT' })).toBeUndefined();
    expect(foreignFailure(emulation, arm64, undefined, { kind: 'exited', code: 1 })).toBeUndefined();
  });

  test('an interpreter of the machine that is not in the image looks like a missing program', () => {
    const format = parseFormat(DEBIAN_ENTRY.replace('POF', 'PO'));
    const unfixed = new Emulation({
      scratchDir: () => dir,
      host: amd64,
      find: () => undefined,
      formats: () => (format ? [format] : []),
    });
    expect(foreignFailure(unfixed, arm64, undefined, { ...status, errno: 'ENOENT' })?.hint).toContain(
      'qemu-user-static',
    );
  });
});

describe.each(everyone)('the machine (%s)', (who) => {
  test.skipIf(!hasOwnFormats())('its formats stay as they are, and no step can write to an interpreter', async () => {
    const before = readFormats();
    const [first, again, other] = await runScenario<readonly StepResult[]>(who, 'interpreter');
    expect(first?.out).toBe('interpreted\n');
    expect(first?.err).toMatch(/exe: Read-only file system/);
    expect(first?.status).toEqual({ kind: 'exited', code: 0 });
    expect(again?.out).toBe('interpreted\n');
    // Registered once, it holds for the worker's steps; nothing of the list is seen in them.
    expect(other?.out).toBe('');
    expect(other?.status).toEqual({ kind: 'exited', code: 0 });
    expect(readFormats()).toEqual(before);
  });
});

/** Whether user namespaces have formats of their own (Linux 6.7). */
function hasOwnFormats(): boolean {
  const done = spawnSync('unshare', [
    '--user',
    '--map-root-user',
    '--mount',
    'mount',
    '-t',
    'binfmt_misc',
    'x',
    dir ?? '/mnt',
  ]);
  return done.status === 0;
}
