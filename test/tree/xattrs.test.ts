import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { setXattr } from '../../src/sys/index.ts';
import { CAPABILITY, isImageXattr, portableCapability, readXattrs, tiedCapability } from '../../src/tree/index.ts';
import { testAsRoot } from '../support/real-root.ts';
import { TempDir } from './support.ts';

/**
 * File capabilities as they lie on disk (linux/capability.h, struct vfs_cap_data and vfs_ns_cap_data): a word with revision and flags,
 * two pairs of permitted and inheritable, and in revision 3 the root user of the namespace that they are for.
 */
function capability(revision: 1 | 2 | 3, root = 0, permitted = 1 << 10): Buffer {
  const words = [(revision << 24) | 1, permitted, 0, ...(revision === 1 ? [] : [0, 0]), ...(revision === 3 ? [root] : [])]; // prettier-ignore
  const bytes = Buffer.alloc(words.length * 4);
  for (const [at, word] of words.entries()) bytes.writeUInt32LE(word >>> 0, at * 4);
  return bytes;
}

describe('attributes that images may bring', () => {
  test.each(['security.capability', 'user.a', 'user.overlayfs', 'user.tsbuilder', 'user.mime_type', 'user.x=y'])(
    '%s may',
    (name) => expect(isImageXattr(name)).toBe(true),
  );

  // What controls overlayfs, says whose files are, or labels them for this machine.
  test.each([
    'user.overlay.opaque',
    'user.overlay.whiteout',
    'user.overlay.redirect',
    'user.overlay.overlay.opaque',
    'user.tsbuild.owner',
    'trusted.overlay.opaque',
    'trusted.a',
    'security.selinux',
    'security.ima',
    'security.capability2',
    'xsecurity.capability',
    'system.posix_acl_access',
    'system.posix_acl_default',
    'user',
    'User.a',
    '',
  ])('%j may not', (name) => expect(isImageXattr(name)).toBe(false));
});

describe('file capabilities', () => {
  test('are for anybody in an image, and for the root user of its namespace on disk', () => {
    expect(tiedCapability(capability(2), 100_000)).toEqual(capability(3, 100_000));
    expect(portableCapability(capability(3, 100_000), 100_000)).toEqual(capability(2));
  });

  test('are as they are where the image has the ids of the host', () => {
    expect(tiedCapability(capability(2), 0)).toEqual(capability(2));
    expect(portableCapability(capability(2), 0)).toEqual(capability(2));
    expect(portableCapability(capability(3, 0), 0)).toEqual(capability(2));
  });

  test('for another namespace mean nothing in an image', () => {
    expect(portableCapability(capability(3, 200_000), 100_000)).toBeUndefined();
    expect(portableCapability(capability(3, 0), 100_000)).toBeUndefined();
  });

  test('of another form stay as they are', () => {
    for (const value of [
      capability(1),
      Buffer.alloc(0),
      Buffer.from('x'),
      capability(2).subarray(0, 19),
      Buffer.concat([capability(2), Buffer.alloc(1)]),
    ]) {
      // prettier-ignore
      expect(tiedCapability(value, 100_000)).toEqual(value);
      expect(portableCapability(value, 100_000)).toEqual(value);
    }
  });

  test('come back from the disk as they were in the image, flags and all (property)', () => {
    const word = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(word, { minLength: 4, maxLength: 4 }),
        fc.integer({ min: 1, max: 0xfffffffe }),
        (effective, words, shift) => {
          // prettier-ignore
          const image = Buffer.alloc(20);
          for (const [at, value] of [0x02000000 | Number(effective), ...words].entries())
            image.writeUInt32LE(value, at * 4);
          const before = Buffer.from(image);
          const disk = tiedCapability(image, shift);
          expect([disk.length, disk.readUInt32LE(0) >>> 24, disk.readUInt32LE(20)]).toEqual([24, 3, shift]);
          expect(portableCapability(disk, shift)).toEqual(image);
          expect(image).toEqual(before);
        },
      ),
    );
  });
});

describe('what a file has', () => {
  let dir: TempDir;
  beforeEach(() => {
    dir = new TempDir();
  });
  afterEach(() => dir[Symbol.dispose]());

  test('beside capabilities stays out of new layers', () => {
    const file = dir.write('f', 'x');
    setXattr(file, 'user.note', 'x');
    expect(readXattrs(file)).toEqual([]);
  });

  testAsRoot('is its capabilities, as they are in an image', () => {
    const file = dir.write('f', 'x');
    setXattr(file, CAPABILITY, capability(2));
    expect(readXattrs(file)).toEqual([{ name: CAPABILITY, value: capability(2) }]);
    // The kernel keeps those of another namespace as they are.
    setXattr(file, CAPABILITY, tiedCapability(capability(2), 100_000));
    expect(readXattrs(file, 100_000)).toEqual([{ name: CAPABILITY, value: capability(2) }]);
    expect(readXattrs(file, 50_000)).toEqual([]);
  });

  testAsRoot('is nothing of what its link leads to', () => {
    const file = dir.write('f', 'x');
    setXattr(file, CAPABILITY, capability(2));
    dir.link('f', 'l');
    expect(readXattrs(`${dir.path}/l`)).toEqual([]);
  });

  test('is nothing where it has none', () => {
    expect(readXattrs(dir.write('f', ''))).toEqual([]);
    expect(readXattrs(dir.mkdir('d'))).toEqual([]);
  });
});
