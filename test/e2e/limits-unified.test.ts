import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { baseImageTar } from '../support/base-image.ts';
import { ordinaryUser } from '../support/identity.ts';
import { programPath } from '../support/program.ts';
import { isRealRoot } from '../support/real-root.ts';
import { type Inside, inOwnLinux } from '../support/user-mode-linux.ts';

const DOCKERFILE = `FROM base:1
# tsbuild: memory=100m cpus=0.5
RUN cat /proc/self/cgroup /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/pids.max; ls -d /sys/fs/cgroup/*/ || echo no groups
RUN exec dd if=/dev/zero of=/dev/null bs=100M count=1
`;

/** Limits by groups of version 2, in a kernel that has these alone. This machine's own may have others: limits.test.ts is for it. */
describe.runIf(isRealRoot)('limits by cgroups of version 2', () => {
  let dir: string;
  let inside: Readonly<Record<string, Inside>>;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'tsbuild-uml-'));
    const { uid, gid, prefix } = await ordinaryUser();
    const tsbuild = programPath();
    const asUser = `env HOME=/mnt/user ${prefix.join(' ')}`;
    const build = `${tsbuild} build --progress=plain --no-cache -o type=cacheonly -m 64m - < /mnt/Dockerfile`;
    const left = 'find /sys/fs/cgroup -name "tsbuild-*"';
    inside = await inOwnLinux(
      dir,
      { 'base.tar': baseImageTar(), Dockerfile: DOCKERFILE },
      {
        root: `export TSBUILD_ROOT=/mnt/store; ${tsbuild} import /mnt/base.tar -t base:1; ${build}; echo ended $?; ${left}`,
        // As systemd makes the scope of a user: from his service down, the groups are his.
        user: `mkdir -p /mnt/user /sys/fs/cgroup/user/app/run; chown -R ${uid}:${gid} /mnt/user
echo "+memory +cpu +pids" > /sys/fs/cgroup/cgroup.subtree_control
echo "+memory +cpu +pids" > /sys/fs/cgroup/user/cgroup.subtree_control
echo "+memory +cpu +pids" > /sys/fs/cgroup/user/app/cgroup.subtree_control
chown -R ${uid}:${gid} /sys/fs/cgroup/user
export TSBUILD_ROOT=/mnt/user/store; ${asUser} ${tsbuild} import /mnt/base.tar -t base:1
sh -c 'echo $$ > /sys/fs/cgroup/user/app/run/cgroup.procs; exec ${asUser} ${build}'; echo ended $?; ${left}`,
      },
    );
  }, 170_000);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test.each(['root', 'user'])('hold, are seen by the step as its own, and leave nothing (%s)', (who) => {
    const { out = '' } = inside[who] ?? {};
    expect(out).toMatch(/^#\d+ [\d.]+ 0::\/$/m);
    expect(out).toMatch(/^#\d+ [\d.]+ 104857600$/m);
    expect(out).toMatch(/^#\d+ [\d.]+ 50000 100000$/m);
    expect(out).toMatch(/^#\d+ [\d.]+ 2048$/m);
    expect(out).toMatch(/^#\d+ [\d.]+ no groups$/m);
    expect(out).toMatch(/^error: .*exec dd.*: it was ended by signal SIGKILL: out of memory \(limit: 64m\)$/m);
    expect(out).not.toContain('Limits are not all held');
    expect(out).toMatch(/^ended 1$/m);
    // Of its own process's group a user's tsbuild cannot get out: it goes with the scope.
    expect(
      out.slice(out.indexOf('ended 1\n') + 8).replace(/^\/sys\/fs\/cgroup\/user\/app\/run\/tsbuild-[\d-]+\.own\n$/, ''),
    ).toBe('');
  });
});
