import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { baseWith } from '../support/base-image.ts';
import type { Bench } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure } from '../support/sound.ts';
import { readOciArchive } from '../support/tree.ts';

/** Makes a key that the bench's identity owns, and gives its fingerprint as `ssh-add -l` prints it. */
async function makeKey(bench: Bench, name: string, ...options: readonly string[]): Promise<string> {
  await bench.tool(['ssh-keygen', '-q', '-N', '', '-C', 'comment-of-the-key', ...options, '-f', name]);
  const listed = await bench.tool(['ssh-keygen', '-l', '-f', name]);
  return listed.replace('comment-of-the-key', '');
}

describeAsEveryone('SSH agents of steps', (who) => {
  const use = useBench(who, { base: false });
  const prints: string[] = [];
  beforeAll(async () => {
    const { bench } = use;
    await bench.ok(['import', '-', '-t', 'base:1'], { stdin: baseWith('/usr/bin/ssh-add') });
    prints.push(await makeKey(bench, 'one', '-t', 'ed25519'));
    prints.push(await makeKey(bench, 'two.pem', '-t', 'rsa', '-b', '2048', '-m', 'PEM'));
  });

  async function treeOf(dockerfile: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const { bench } = use;
    const context = bench.context(dockerfile, { 'one.pub': readFileSync(bench.path('one.pub')) });
    const outcome = await bench.ok(['build', '--progress=plain', '-o', 'type=oci,dest=-', ...args, context], { env });
    const { tree } = await readOciArchive(outcome.stdout);
    return { ...outcome, text: (path: string) => tree[path]?.content, paths: Object.keys(tree) };
  }

  test('keys from files: a step lists them and signs, the next one sees nothing, and they are found nowhere', async () => {
    const { bench } = use;
    const { text, paths, stdout, err } = await treeOf(
      `FROM base:1
COPY one.pub /one.pub
RUN --mount=type=ssh ssh-add -l > /seen && ssh-add -T /one.pub && stat -c '%a %u:%g %F' $SSH_AUTH_SOCK >> /seen && echo $SSH_AUTH_SOCK >> /seen
RUN --mount=type=ssh ! ssh-add -D && ! ssh-add -d /one.pub && ssh-add -l > /unchanged
RUN echo "\${SSH_AUTH_SOCK-unset}" > /after; ls -d /run /run/buildkit >> /after 2>&1; ssh-add -l >> /after 2>&1 || true
`,
      ['--ssh', 'default=one,two.pem'],
    );
    expect(text('/seen')).toBe(`${prints.join('')}600 0:0 socket\n/run/buildkit/ssh_agent.0\n`);
    expect(text('/unchanged')).toBe(prints.join(''));
    expect(text('/after')).toMatch(/^unset\n[^]*Could not open a connection to your authentication agent/);
    expect(paths.filter((path) => path.startsWith('/run'))).toEqual([]);
    for (const name of ['one', 'two.pem']) {
      const line = readFileSync(bench.path(name), 'utf8').split('\n')[2] ?? '-';
      expect(stdout.includes(line)).toBe(false);
      expect(err).not.toContain(line);
      expect((await bench.start(['grep', '-rlaF', '--devices=skip', line, bench.store]).ended).out).toBe('');
    }
    expect((await bench.start(['find', bench.store, '-type', 's', '-o', '-path', '*/ingest/*']).ended).out).toBe('');
  });

  test('owner and mode of the socket, another id, another place', async () => {
    const { text } = await treeOf(
      `FROM base:1
RUN --mount=type=ssh,id=deploy,target=/agent,uid=1000,gid=50,mode=0640 stat -c '%a %u:%g' /agent > /seen && echo $SSH_AUTH_SOCK >> /seen && ssh-add -l >> /seen
RUN mkdir -m 777 /out
USER alice
RUN --mount=type=ssh,id=deploy,uid=1000 ssh-add -l > /out/alice
RUN --mount=type=ssh,id=deploy ssh-add -l > /out/others 2>&1 || true
RUN --mount=type=ssh,id=absent ssh-add -l > /out/absent 2>&1 || true
`,
      ['--ssh=deploy=one'],
    );
    expect(text('/seen')).toBe(`640 1000:50\n/agent\n${prints[0] ?? ''}`);
    expect(text('/out/alice')).toBe(prints[0]);
    expect(text('/out/others')).toContain('Error connecting to agent: Permission denied');
    expect(text('/out/absent')).toContain('Error connecting to agent: No such file or directory');
  });

  test('an agent of the user: steps list and sign, and cannot change it', async () => {
    const { bench } = use;
    const socket = bench.path('agent');
    const agent = bench.start(['ssh-agent', '-D', '-a', socket]);
    await agent.prints(/SSH_AUTH_SOCK/);
    const env = { SSH_AUTH_SOCK: socket };
    await bench.tool(['ssh-add', '-q', 'one'], { env });
    try {
      const { text } = await treeOf(
        `FROM base:1
COPY one.pub /one.pub
RUN --mount=type=ssh,required=true ssh-add -l > /seen && ssh-add -T /one.pub && ! ssh-add -D && ! ssh-add -d /one.pub
`,
        ['--ssh', 'default'],
        env,
      );
      expect(text('/seen')?.split(' ')[1]).toBe(prints[0]?.split(' ')[1]);
      expect(await bench.tool(['ssh-add', '-l'], { env })).toContain(prints[0]?.split(' ')[1]);
    } finally {
      agent.child.kill();
      await agent.ended;
    }
  });

  test('a build that is interrupted while a step talks to an agent leaves nothing', async () => {
    const { bench } = use;
    const context = bench.context(
      'FROM base:1\nRUN --mount=type=ssh (sleep 60 | nc local:$SSH_AUTH_SOCK & ssh-add -l && echo listening && sleep 60)\n',
    );
    const running = bench.tsbuildStart(['build', '--progress=plain', '--ssh=default=one', context]);
    await running.prints(/listening/);
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
    expect(await bench.leftovers()).toEqual([]);
    expect((await bench.start(['find', bench.store, '-type', 's']).ended).out).toBe('');
  });

  test('what cannot be used is told before anything runs', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN --mount=type=ssh,required=true true\n');
    bench.write('.', { junk: 'junk' });
    await bench.tool(['ssh-keygen', '-q', '-t', 'ed25519', '-N', 'passphrase', '-f', 'locked']);
    const cases: readonly (readonly [string, number, string])[] = [
      ['default=junk', 2, `Cannot use SSH key "${join(bench.dir, 'junk')}": it holds no private key`],
      ['default=locked', 2, 'ssh-add'],
      ['default=missing', 1, 'missing": it does not exist'],
      ['default', 2, 'SSH_AUTH_SOCK'],
      ['other=one', 1, 'unset ssh forward key default'],
    ];
    for (const [value, code, message] of cases)
      expectFailure(await bench.tsbuild(['build', '--ssh', value, context]), { code, says: [message] });
  });
});
