import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { testedRung } from '../support/rung.ts';
import { readOciArchive } from '../support/tree.ts';
import { WebServer } from '../support/web-server.ts';

const randomValue = (): string => randomBytes(16).toString('hex');

/** Files below a directory that hold a text, as it is or in base64. */
async function filesWith(bench: Bench, dir: string, value: string): Promise<readonly string[]> {
  const encoded = Buffer.from(value).toString('base64').replace(/=+$/, '').slice(0, -1);
  const { out } = await bench.start(['grep', '-rlaF', '--devices=skip', '-e', value, '-e', encoded, dir]).ended;
  return out.split('\n').filter((line) => line !== '');
}

describeAsEveryone('secrets', (who) => {
  const use = useBench(who);

  test('do not decide what is in the cache, by value (SEC-04)', async () => {
    const { bench } = use;
    const context = bench.context(
      'FROM base:1\nRUN --mount=type=secret,id=s --mount=type=secret,id=v,env=V wc -c /run/secrets/s > /size\n',
    );
    const build = async (value: string) => {
      bench.write('.', { rotated: value });
      return bench.ok(
        [
          'build',
          '--progress=plain',
          '--iidfile=iid',
          '--secret=id=s,src=rotated',
          '--secret=id=v,env=V',
          '-o',
          'type=oci,dest=out.tar',
          context,
        ],
        { env: { V: value } },
      );
    };
    expect((await build(randomValue())).err).not.toMatch(/^#\d+ CACHED$/m);
    const first = (await readOciArchive(bench.path('out.tar'))).digest;
    const rotated = randomValue();
    expect((await build(rotated)).err).toMatch(/^#\d+ CACHED$/m);
    expect((await readOciArchive(bench.path('out.tar'))).digest).toBe(first);
    expect(await filesWith(bench, bench.store, rotated)).toEqual([]);
  });

  test('of a build that is killed are on no disk (SEC-05)', async () => {
    const { bench } = use;
    const value = randomValue();
    const context = bench.context(`FROM base:1
ENV MARK=${bench.mark}
RUN --mount=type=secret,id=s --mount=type=secret,id=s,target=/etc/key --mount=type=secret,id=s,env=S \\
    cmp /run/secrets/s /etc/key && test "$S" = "$(cat /etc/key)" && echo begun && sleep 35
`);
    const running = bench.tsbuildStart(['build', '--progress=plain', '--secret=id=s,env=VALUE', context], {
      env: { VALUE: value },
    });
    await running.prints(/^#\d+ [\d.]+ begun$/m);
    // While the step has it, nor in an argument of anything.
    expect(bench.processes().filter(({ command }) => command.includes(value))).toEqual([]);
    // By chroot alone it is a file of the store for as long as the step runs.
    if (testedRung !== 'chroot')
      for (const dir of [bench.dir, '/dev/shm']) expect(await filesWith(bench, dir, value)).toEqual([]);
    running.child.kill('SIGKILL');
    await running.ended;
    expect(await bench.leftovers()).toEqual([]);
    for (const dir of [bench.dir, '/dev/shm']) expect(await filesWith(bench, dir, value)).toEqual([]);
  });

  test('in addresses are shown nowhere, whatever is wrong with these (SEC-07)', async () => {
    const { bench } = use;
    const value = randomValue();
    const dockerfile = (address: string) => [bench.context(`FROM scratch\nADD ${address} /\n`)];
    const cases: readonly (readonly string[])[] = [
      dockerfile(`https://user:${value}@127.0.0.1:9/x`),
      dockerfile(`https://u:${value}@[bad`),
      dockerfile(`https://${value}@127.0.0.1:9/r.git#main`),
      dockerfile(`https://u:${value}@[bad/r.git`),
      dockerfile(`git://u:${value}@127.0.0.1:9/r.git`),
      [`https://u:${value}@127.0.0.1:9/r.git`],
      [`https://u:${value}@127.0.0.1:9/context.tar`],
      [`https://u:${value}@[bad`],
      ['--build-context', `x=https://u:${value}@[bad`, bench.context('FROM scratch\nCOPY --from=x / /\n')],
      ['--build-context', `x=https://u:${value}@127.0.0.1:9/r.git`, bench.context('FROM scratch\nCOPY --from=x / /\n')],
    ];
    await Promise.all(
      cases.flatMap((args, at) =>
        (at < 2 ? ['plain', 'rawjson'] : ['plain']).map(async (mode) => {
          const { code, err, out } = await bench.tsbuild(['--debug', 'build', `--progress=${mode}`, ...args]);
          expect(code, args.join(' ')).not.toBe(0);
          expect(err + out, args.join(' ')).not.toContain(value);
        }),
      ),
    );
    expect(await filesWith(bench, bench.store, value)).toEqual([]);
  });

  test('for registries are in no message, whatever they answer (SEC-08)', async () => {
    const { bench } = use;
    const [password, token] = [randomValue(), randomValue()];
    await using web = await WebServer.start((request, response) => {
      if (request.url?.startsWith('/token') === true) return void response.end(JSON.stringify({ token }));
      const bearer = request.url?.includes('/bearer/') === true;
      const challenge = bearer
        ? `Bearer realm="${web.url}/token",service="s",scope="repository:bearer/x:pull"`
        : 'Basic realm="r"';
      // What was sent is repeated, as servers that mean to help do.
      response.writeHead(401, { 'www-authenticate': challenge, 'x-seen': request.headers.authorization ?? '' }).end(
        JSON.stringify({
          errors: [{ code: 'UNAUTHORIZED', message: `refused ${request.headers.authorization ?? ''}` }],
        }),
      );
    });
    const host = `127.0.0.1:${web.port}`;
    bench.write('.', {
      'auth.json': JSON.stringify({ auths: { [host]: { auth: Buffer.from(`me:${password}`).toString('base64') } } }),
    });
    const forms = [password, token, Buffer.from(`me:${password}`).toString('base64')];
    for (const repository of ['basic/x', 'bearer/x'])
      for (const mode of ['plain', 'rawjson']) {
        const { code, err, out } = await bench.tsbuild(
          ['--debug', 'build', `--progress=${mode}`, bench.context(`FROM ${host}/${repository}\n`)],
          { env: { REGISTRY_AUTH_FILE: bench.path('auth.json') } },
        );
        expect(code).toBe(1);
        for (const form of forms) expect(err + out).not.toContain(form);
      }
    expect(web.seen.map(({ headers }) => headers.authorization)).toContain(`Bearer ${token}`);
    for (const form of forms) expect(await filesWith(bench, bench.store, form)).toEqual([]);
  });

  test('in proxies are in no history and no key, and those in ARG and ENV are warned of (SEC-10)', async () => {
    const { bench } = use;
    const value = randomValue();
    const context = bench.context('FROM base:1\nRUN echo "got ${#HTTP_PROXY} ${#https_proxy}"\n');
    const build = (secret: string) =>
      bench.ok([
        'build',
        '--progress=plain',
        `--build-arg=HTTP_PROXY=http://u:${secret}@p`,
        `--build-arg=https_proxy=http://u:${secret}@p`,
        '-o',
        'type=oci,compression=uncompressed,dest=out.tar',
        context,
      ]);
    expect((await build(value)).err).toContain('got 43 43');
    const { config, digest } = await readOciArchive(bench.path('out.tar'));
    expect(JSON.stringify(config)).not.toContain(value);
    expect((await build(randomValue())).err).toMatch(/^#\d+ CACHED$/m);
    expect((await readOciArchive(bench.path('out.tar'))).digest).toBe(digest);
    expect(await filesWith(bench, bench.store, value)).toEqual([]);
    const { out, err } = await bench.tsbuild([
      'build',
      '--check',
      bench.context('FROM base:1\nARG TOKEN\nENV API_KEY=x\n'),
    ]);
    expect(
      (out + err).match(/Do not use ARG or ENV instructions for sensitive data \((ARG "TOKEN"|ENV "API_KEY")\)/g),
    ).toHaveLength(2);
  });

  test('as build arguments are in nothing that is written for an image whose steps did not see them (SEC-11)', async () => {
    const { bench } = use;
    const value = randomValue();
    const context = bench.context(
      'FROM base:1 AS made\nARG FLAVOUR\nRUN echo ${#FLAVOUR} > /length\nFROM base:1\nCOPY --from=made /length /\n',
    );
    const args = ['build', '-q', `--build-arg=FLAVOUR=${value}`, '--metadata-file=md.json'];
    const output = 'type=oci,compression=uncompressed,dest=out.tar';
    await bench.ok([...args, '--provenance=false', '-o', output, context]);
    const { index, tree } = await readOciArchive(bench.path('out.tar'));
    expect(tree['/length']?.content).toBe(`${value.length}\n`);
    // Nothing but the image: no attestation, in whose parameters BuildKit has the arguments of a build with mode=max.
    expect(index.manifests).toHaveLength(1);
    for (const name of ['out.tar', 'md.json']) expect(readFileSync(bench.path(name)).includes(value)).toBe(false);
    const min = await bench.tsbuild([...args, '--provenance=mode=min', '-o', output, context]);
    expect([min.code, min.err]).toEqual([2, expect.stringContaining('attestations are not supported')]);
  });

  test('that are no plain files or no text say so, and nobody waits for them (SEC-13)', async () => {
    const { bench } = use;
    execFileSync('mkfifo', [bench.path('fifo')]);
    bench.write('.', { binary: Uint8Array.of(0, 255, 10, 0), 'directory/x': '' });
    const context = bench.context(
      'FROM base:1\nRUN --mount=type=secret,id=s,required=true od -An -tx1 /run/secrets/s\n',
    );
    const build = (source: string) =>
      bench.tsbuild(['build', '--progress=plain', `--secret=id=s,src=${source}`, context]);
    expect((await build('binary')).err).toMatch(/ 00 ff 0a 00$/m);
    const variable = bench.context('FROM base:1\nRUN --mount=type=secret,id=s,env=S env\n');
    const nul = await bench.tsbuild(['build', '--secret=id=s,src=binary', variable]);
    expect(nul.err).toMatch(/^error: .*Cannot give secret "s" to the step as variable S: it contains a NUL byte$/m);
    for (const source of ['fifo', 'directory', '/dev/zero']) {
      const outcome = await bench.tsbuild(['build', '--no-cache', `--secret=id=s,src=${source}`, context]);
      expect(outcome.code).not.toBe(0);
      expect(outcome.ms).toBeLessThan(60_000);
      expect(outcome.err).toMatch(/^error: .*Cannot read secret "s"/m);
    }
  });
});
