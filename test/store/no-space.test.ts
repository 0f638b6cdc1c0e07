import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { storeUser } from './support.ts';

const canMount = ((): boolean => {
  try {
    execFileSync('unshare', ['-Urm', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

interface Space {
  readonly bytes?: number;
  readonly inodes?: number;
}

/** Runs a shell script in a mount namespace with so much space at /mnt; the command `$FREE` in it gives more. */
function withSpace(space: Space, script: string): string {
  // Ballast rather than a remount, which mount(8) cannot do for an unprivileged user.
  const ballast = [
    'mkdir /mnt/ballast',
    ...(space.bytes === undefined ? [] : [`head -c ${40_000_000 - space.bytes} /dev/zero > /mnt/ballast/bytes`]),
    ...(space.inodes === undefined ? [] : [`(cd /mnt/ballast && seq ${2000 - 2 - space.inodes} | xargs touch)`]),
  ].join(' && ');
  const command = `mount -t tmpfs -o size=40000000,nr_inodes=2000 none /mnt && ${ballast} && ${script}`;
  const env = { ...process.env, NODE: `${process.execPath} ${storeUser()}`, FREE: 'rm -rf /mnt/ballast' };
  return execFileSync('unshare', ['-Urm', 'sh', '-c', command], { encoding: 'utf8', env });
}

describe.runIf(canMount)('a full disk', () => {
  test.each<Space>([{ bytes: 1_500_000 }, { bytes: 700_000 }, { inodes: 40 }])(
    'with %o left is told as such, and the store goes on once there is space (REL-06)',
    (space) => {
      const output = withSpace(
        space,
        `$NODE fill /mnt/store && ls /mnt/store/ingest /mnt/store/sessions && $NODE prune /mnt/store all && $FREE &&
         $NODE build /mnt/store a && $NODE prunes /mnt/store 2 && echo sound`,
      );
      const lines = output.trim().split('\n');
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({
        code: 'TSB_NO_SPACE',
        message: expect.stringMatching(/\/mnt\/store.*no space left on device/) as string,
        hint: expect.stringMatching(/tsbuild prune/) as string,
      });
      expect(lines.slice(1)).toEqual([
        '/mnt/store/ingest:',
        '',
        '/mnt/store/sessions:',
        expect.stringMatching(/^\d+$/),
        'sound',
      ]);
    },
  );

  test.each<Space>([
    { bytes: 0 },
    { bytes: 4096 },
    { bytes: 20_480 },
    { bytes: 102_400 },
    { bytes: 184_320 },
    { inodes: 4 },
    { inodes: 13 },
    { inodes: 20 },
  ])('with %o left a build fails with the reason and leaves a store that opens later (REL-06)', (space) => {
    const output = withSpace(
      space,
      `{ $NODE builds /mnt/store a 40 2>&1 | grep -o "TSB_[A-Z_]*\\|no space left on device" | sort -u | tr '\\n' ' '; } ;
       $FREE && $NODE build /mnt/store a && $NODE prunes /mnt/store 2 && echo sound`,
    );
    expect(output).toBe('TSB_NO_SPACE no space left on device sound\n');
  });

  test('a read-only store is refused with the reason (REL-21)', () => {
    const output = withSpace(
      {},
      `$NODE build /mnt/store a && mount -o bind,remount,ro /mnt && { $NODE build /mnt/store b 2>&1 | grep -o "TSB_[A-Z]*\\|read-\\?only.*" | sort -u; }`,
    );
    expect(output).toMatch(/TSB_PERMISSION|TSB_STORE/);
    expect(output).toMatch(/read-?only/);
  });
});
