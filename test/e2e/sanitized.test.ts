import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { projectRoot } from '../support/program.ts';
import { isRealRoot } from '../support/real-root.ts';

/** Whether the machine's compiler has the sanitizers' libraries. */
const sanitizes =
  spawnSync('sh', ['-c', 'echo "int main(void){return 0;}" | cc -fsanitize=address,undefined -x c -o /dev/null -'])
    .status === 0;

describe.skipIf(!sanitizes)('the helper with AddressSanitizer and UBSan', () => {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-sanitized-'));
  const env = { TSBUILD_HELPER: join(dir, 'tsbuild-helper') };
  beforeAll(() => {
    chmodSync(dir, 0o755);
    execFileSync('sh', [join(projectRoot, 'scripts/build-native.sh'), '--sanitize', dir], { stdio: 'pipe' });
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  /** A fault of memory ends the helper with a report, behind which the step fails. */
  const silent = (text: string): void => expect(text).not.toMatch(/Sanitizer|runtime error:/);

  describeAsEveryone('runs everything', (who) => {
    const use = useBench(who);

    const rungs = ['auto', 'copy', ...(isRealRoot && who.uid === 0 ? ['chroot'] : [])];
    test.each(rungs)(
      'steps with every kind of mount, users and groups, that end in every way (%s)',
      async (isolation) => {
        const { bench } = use;
        const context = bench.context(
          [
            'FROM base:1 AS made',
            'RUN echo made > /made && ln -s /elsewhere/deep /link',
            'FROM base:1',
            'RUN --mount=type=secret,id=key --mount=type=cache,target=/cache/a/b --mount=type=tmpfs,target=/tmpfs,size=1m' +
              ' --mount=type=bind,target=/context --mount=from=made,target=/link/stub cat /run/secrets/key /link/stub/made &&' +
              ' touch /cache/a/b/x /tmpfs/y && ls /context',
            'RUN --network=none --mount=type=secret,id=key,env=KEY test "$KEY" = hidden && ! wget -q http://127.0.0.1/',
            'COPY --from=made /made /made',
            'USER bob',
            'WORKDIR /home/new/dir',
            'RUN id && (sleep 30 & ) && true',
          ].join('\n'),
        );
        const built = await bench.tsbuild(
          [
            'build',
            `--isolation=${isolation}`,
            '--no-cache',
            '--progress=plain',
            '--secret',
            `id=key,src=${bench.write('secrets', { key: 'hidden' })}/key`,
            '-t',
            'all',
            context,
          ],
          { env },
        );
        silent(built.err);
        expect(built.code, built.err).toBe(0);
        for (const [command, code] of [
          ['exit 7', 7],
          ["sh -c 'kill -9 $$'; exit $?", 137],
          ["sh -c 'kill -15 $$'; exit $?", 143],
        ] as const) {
          const failed = await bench.tsbuild(['build', '--no-cache', bench.context(`FROM base:1\nRUN ${command}\n`)], {
            env,
          });
          silent(failed.err);
          expect(failed.err).toContain(`exit code: ${code}`);
        }
      },
    );

    test('containers, with input, and what looks at trees', async () => {
      const { bench } = use;
      const ran = await bench.tsbuild(['run', '-i', 'base:1', 'cat'], { env, stdin: 'through\n' });
      silent(ran.err);
      expect(ran).toMatchObject({ code: 0, out: 'through\n' });
      const ended = await bench.tsbuild(['run', '--user', '7:8', 'base:1', 'sh', '-c', 'id -u; exit 3'], {
        env,
      });
      silent(ended.err);
      expect(ended).toMatchObject({ code: 3, out: '7\n' });
      const pruned = await bench.tsbuild(['prune', '--all'], { env });
      silent(pruned.err);
      expect(pruned.code).toBe(0);
    });
  });
});
