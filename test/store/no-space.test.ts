import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
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

/** Runs a shell script in a mount namespace with a small file system at /mnt. */
function onTmpfs(options: string, script: string): string {
  const node = `${process.execPath} ${storeUser()}`;
  const command = `mount -t tmpfs -o ${options} none /mnt && export NODE="${node}" && ${script}`;
  return execFileSync('unshare', ['-Urm', 'sh', '-c', command], { encoding: 'utf8' });
}

describe.runIf(canMount)('a full disk', () => {
  test.each(['size=1500k', 'size=700k', 'size=40M,nr_inodes=40'])(
    'with %s is told as such, and the store goes on once there is space',
    (options) => {
      const output = onTmpfs(
        options,
        `$NODE fill /mnt/store && ls /mnt/store/ingest /mnt/store/sessions && $NODE prune /mnt/store all &&
         mount -o remount,size=40M,nr_inodes=10000 /mnt && $NODE build /mnt/store a && $NODE prunes /mnt/store 2 && echo sound`,
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

  test.each([
    'size=4k',
    'size=20k',
    'size=100k',
    'size=180k',
    'nr_inodes=5,size=9M',
    'nr_inodes=14,size=9M',
    'nr_inodes=20,size=9M',
  ])('with %s a build fails with the reason and leaves a store that opens later', (options) => {
    const output = onTmpfs(
      options,
      `{ $NODE builds /mnt/store a 40 2>&1 | grep -o "TSB_[A-Z_]*\\|no space left on device" | sort -u | tr '\\n' ' '; } ;
         mount -o remount,size=40M,nr_inodes=10000 /mnt && $NODE build /mnt/store a && $NODE prunes /mnt/store 2 && echo sound`,
    );
    expect(output).toBe('TSB_NO_SPACE no space left on device sound\n');
  });

  test('a read-only store is refused with the reason', () => {
    const output = onTmpfs(
      'size=9M',
      `$NODE build /mnt/store a && mount -o remount,ro /mnt && { $NODE build /mnt/store b 2>&1 | grep -o "TSB_[A-Z]*\\|read-\\?only.*" | sort -u; }`,
    );
    expect(output).toMatch(/TSB_PERMISSION|TSB_STORE/);
    expect(output).toMatch(/read-?only/);
  });

  test('this machine can make such file systems', () => {
    expect(fs.existsSync('/mnt')).toBe(true);
  });
});
