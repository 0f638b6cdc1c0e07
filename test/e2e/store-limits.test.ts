import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { describe, expect, test } from 'vitest';
import { baseImageTar } from '../support/base-image.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { ordinaryUser } from '../support/identity.ts';
import { stepsOf } from '../support/steps.ts';

/** A step that makes so many bytes, another one for each name. */
const step = (name: string, bytes = 4_000_000): string => `FROM base:1\nRUN head -c ${bytes} /dev/urandom > /${name}\n`;

describeAsEveryone('a store with a limit', (who) => {
  const use = useBench(who, { base: false });
  const onDisk = (store: string): number =>
    Number(execFileSync('du', ['-s', '-B1', store], { encoding: 'utf8' }).split('\t')[0]);

  test('has no more on disk than that after a build, and keeps what was used last', async () => {
    const { bench } = use;
    const store = await bench.otherStore();
    const before = onDisk(store);
    const limit = before + 10_500_000;
    const contexts = ['a', 'b', 'c', 'd'].map((name) => bench.context(step(name)));
    const build = async (context: string, ...args: readonly string[]) =>
      bench.ok(['build', '--progress=plain', '-o', 'type=cacheonly', ...args, context], { store });
    for (const context of contexts) await build(context, `--max-size=${limit}`);
    // By the next build at the latest, which is not held to have what the last one held.
    await bench.ok(['prune', `--max-size=${limit}`], { store });
    expect(onDisk(store)).toBeLessThanOrEqual(limit);
    expect(stepsOf(await build(contexts[3] ?? '')).ran).toEqual([]);
    expect(stepsOf(await build(contexts[0] ?? '')).ran).toHaveLength(1);

    // The same from the settings; what is used by a build that runs stays.
    const settings = { TSBUILD_CONFIG: bench.path('config.toml') };
    bench.write('.', { 'config.toml': `[store]\nmax-size = ${before + 100_000}\n` });
    const running = bench.tsbuildStart(['build', '-o', 'type=cacheonly', bench.context(`${step('e')}RUN echo begun; sleep 100\n`), '--progress=plain'], { store }); // oxfmt-ignore
    await running.prints(/^#\d+ [\d.]+ begun/m);
    const pruned = await bench.ok(['prune', '--limits'], { store, env: settings });
    expect(pruned.err).toMatch(/Not freed: +\d+\.\d+MB, in use by process \d+/);
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
    const whole = await bench.ok(['prune', '--limits', '--format=json'], { store, env: settings });
    expect(JSON.parse(whole.out)).toMatchObject({ inUseBytes: 0 });
    expect(onDisk(store)).toBeLessThanOrEqual(before + 100_000);
    const none = await bench.tsbuild(['prune', '--limits'], { store });
    expect([none.code, none.err]).toEqual([2, expect.stringContaining('config.toml')]);
    bench.write('.', { 'config.toml': '[store]\nmax-sise = 1\n' });
    const wrong = await bench.tsbuild(['build', '.'], { store, env: settings });
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('did you mean "max-size"')]);
  });

  test('loses by filters what they are about', async () => {
    const { bench } = use;
    const store = await bench.otherStore();
    await bench.ok(['build', '-o', 'type=cacheonly', bench.context('FROM base:1\nRUN --mount=type=cache,target=/c,id=npm echo x > /c/x; echo y > /y\n')], { store }); // oxfmt-ignore
    const only = await bench.ok(['prune', '--keep-duration=0s', '--filter=type=exec.cachemount', '--format=json'], { store }); // oxfmt-ignore
    expect(JSON.parse(only.out)).toMatchObject({ removed: [{ id: '/npm' }] });
  });
});

describe.runIf(userInfo().uid === 0)('a disk that is full beneath a store with a limit', () => {
  const use = useBench({ name: 'root', uid: 0, gid: 0, prefix: [] }, { base: false });

  test('is made empty of what is old, and the build goes on', async () => {
    const { bench } = use;
    const disk = bench.path('disk');
    bench.write('disk', {});
    const files = { 'base.tar': baseImageTar() };
    const from = (name: string): string =>
      `FROM scratch\nADD base.tar /\nRUN head -c 14000000 /dev/urandom > /${name}\n`;
    const contexts = ['a', 'b', 'c'].map((name) => bench.context(from(name), files));
    const commands = contexts.map((context, at) =>
      bench.command(['build', '-o', 'type=cacheonly', ...(at === 2 ? ['--max-size=1g'] : []), context]),
    );
    const script = [
      `mount -t tmpfs -o size=40m,mode=0755 none ${disk}`,
      ...commands.map((words) => `${words.map((word) => `'${word}'`).join(' ')} 2>&1; echo "@@ $?"`),
    ].join('\n');
    const { out } = await bench.start(['unshare', '-m', 'sh', '-c', script], { store: `${disk}/store` }).ended;
    const codes = [...out.matchAll(/@@ (\d+)/g)].map(([, code]) => Number(code));
    expect({ codes, out }).toMatchObject({ codes: [0, 0, 0] });
    expect(out).toMatch(/What was not used for longest was removed, and it is tried again/);
  });
});

const user = await ordinaryUser();

describe('a shared cache that grows', () => {
  const use = useBench(user);

  test('is made smaller by hand, in a directory', async () => {
    const { bench } = use;
    const context = bench.context(step('old', 1_000_000));
    const build = async (...args: readonly string[]) =>
      bench.ok(['build', '--progress=plain', '-o', 'type=cacheonly', ...args, context], { store: await bench.otherStore() });
    await build('--cache-to=type=local,dest=grown');
    const prune = (...args: readonly string[]) => bench.tsbuild(['prune', '--cache=type=local,src=grown', ...args]);
    expect((await prune('--keep-duration=1h')).out).toMatch(/^Deleted: {2}0 objects\nLeft: {2}\d\.\d+MB\n/);
    // What is younger than the youngest by less than ten minutes stays: somebody may be about to name it.
    execFileSync('find', [bench.path('grown'), '-type', 'f', '-exec', 'touch', '-d', '2 days ago', '{}', '+']);
    writeFileSync(bench.path('grown/records/marker'), '');
    rmSync(bench.path('grown/records/marker'));
    expect((await prune('--keep-duration=24h', '--dry-run', '--format=json')).out).toMatch(/"deleted": \[\n.*records\//);
    const pruned = await prune('--keep-duration=24h');
    expect(pruned.out).toMatch(/^Deleted: {2}[1-9]/);
    expect(stepsOf(await build('--cache-from=type=local,src=grown')).ran).toHaveLength(1);
    const gha = await bench.tsbuild(['prune', '--cache=type=gha,url_v2=http://127.0.0.1:1/,token=x', '--all']);
    expect([gha.code, gha.err]).toEqual([2, expect.stringContaining('nobody read for a week')]);
    const nothing = await prune();
    expect([nothing.code, nothing.err]).toEqual([2, expect.stringContaining('--keep-duration DURATION')]);
  }); // oxfmt-ignore
});
