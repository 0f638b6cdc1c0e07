import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Outcome } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { onTerminal } from '../support/terminal.ts';
import { readOciArchive } from '../support/tree.ts';

const randomValue = (): string => randomBytes(12).toString('hex');

/** Output of steps as `--progress=rawjson` has it, put together for each stream of each step. */
function rawLogs({ err }: Outcome): readonly string[] {
  const streams = new Map<string, Buffer[]>();
  for (const line of err.split('\n').filter((text) => text.startsWith('{'))) {
    const { logs = [] } = JSON.parse(line) as { logs?: { vertex: string; stream: number; data: string }[] };
    for (const { vertex, stream, data } of logs) {
      const key = `${vertex} ${stream}`;
      streams.set(key, [...(streams.get(key) ?? []), Buffer.from(data, 'base64')]);
    }
  }
  return [...streams.values()].map((parts) => Buffer.concat(parts).toString());
}

describeAsEveryone('secrets that steps print', (who) => {
  const use = useBench(who);

  test('are stars in every display, however they are printed and by whichever step', async () => {
    const { bench } = use;
    const [file, line1, line2, variable] = [randomValue(), randomValue(), randomValue(), randomValue()];
    bench.write('.', { 'file.txt': `${file}\n`, 'lines.txt': `${line1}\n${line2}\n` });
    const context = bench.context(`FROM base:1
RUN --mount=type=secret,id=file --mount=type=secret,id=lines --mount=type=secret,id=var,env=TOKEN \\
    echo "out <$(cat /run/secrets/file)>"; echo "err <$TOKEN>" >&2; \\
    echo "byte by byte:"; dd if=/run/secrets/file bs=1 2>/dev/null; \\
    echo "in two:"; head -c 7 /run/secrets/file; sleep 0.2; tail -c +8 /run/secrets/file; \\
    echo "one line <$(tail -n 1 /run/secrets/lines)>"; echo "all:"; cat /run/secrets/lines; \\
    echo "Basic $(printf 'users:%s' "$TOKEN" | base64 -w 0)"; \\
    printf %s "$TOKEN" | tr 0-9a-f 9a-f0-8 > /changed; echo "only the start: $(head -c 6 /run/secrets/file)"
RUN tr 9a-f0-8 0-9a-f < /changed; echo; printf 'not a line yet'
`);
    const args = ['--secret=id=file,src=file.txt', '--secret=id=lines,src=lines.txt', '--secret=id=var,env=VALUE'];
    const env = { VALUE: variable };
    const run = (mode: string): Promise<Outcome> =>
      bench.ok(['build', '--no-cache', `--progress=${mode}`, ...args, context], { env });

    const plain = await run('plain');
    const lines = [...plain.err.matchAll(/^#\d+ \d+\.\d+ (.*)$/gm)].map(([, text]) => text);
    expect(lines).toContain('err <***>');
    // The two streams have no order between them.
    expect(lines.filter((text) => text !== 'err <***>')).toEqual([
      'out <***>',
      'byte by byte:',
      '***',
      'in two:',
      '***',
      'one line <***>',
      'all:',
      '***',
      'Basic dXNlcnM6***',
      `only the start: ${file.slice(0, 6)}`,
      '***',
      'not a line yet',
    ]);

    const raw = await run('rawjson');
    const logs = rawLogs(raw);
    expect(logs).toContain('err <***>\n');
    expect(logs).toContain('***\nnot a line yet');
    expect(logs.find((log) => log.startsWith('out'))).toContain('out <***>\nbyte by byte:\n***\nin two:\n***\n');

    const tty = await onTerminal(bench, ['build', '--no-cache', '--progress=tty', ...args, context], [], {
      env: { ...env, TERM: 'xterm' },
    });
    expect(tty.code).toBe(0);

    const shown = [plain.err, raw.err, ...logs, tty.out].join('\n');
    const encoded = Buffer.from(`users:${variable}`).toString('base64').slice(8, -4);
    for (const value of [file, line1, line2, variable, encoded]) expect(shown).not.toContain(value);
  });

  test('are stars in what is said about a failure, also where the Dockerfile itself says them', async () => {
    const { bench } = use;
    const [token, written] = [randomValue(), randomValue()];
    const context = bench.context(`FROM base:1
RUN --mount=type=secret,id=token cat /run/secrets/token; echo "with ${written}" >&2; exit 3
`);
    const args = ['--secret=id=token,env=TOKEN', '--secret=id=written,env=WRITTEN', context];
    const env = { TOKEN: token, WRITTEN: written };
    const build = (mode: string): string[] => ['build', '--no-cache', `--progress=${mode}`, ...args];
    const [plain, quiet, raw, tty] = await Promise.all([
      bench.tsbuild(build('plain'), { env }),
      bench.tsbuild(build('quiet'), { env }),
      bench.tsbuild(build('rawjson'), { env }),
      onTerminal(bench, build('tty'), [], { env: { ...env, TERM: 'xterm' } }),
    ]);
    for (const outcome of [plain, quiet, raw, tty]) {
      const shown = [outcome.out, outcome.err, ...rawLogs(outcome)].join('\n');
      expect(outcome.code).toBe(1);
      expect(shown).toContain('echo "with ***" >&2; exit 3');
      expect(shown).toMatch(/process ".*with \*\*\*.*" did not complete successfully: exit code: 3/);
      for (const value of [token, written]) expect(shown).not.toContain(value);
    }
    // eslint-disable-next-line no-control-regex
    const terminal = tty.out.replaceAll(/\u001b\[[0-9;?]*[a-zA-Z]|\r/g, '');
    for (const err of [plain.err, quiet.err, terminal]) {
      const [, tail] = /\n?------\n > [^\n]*with \*\*\*[^\n]*:\n(.*?)------\n/s.exec(err) ?? [];
      expect(
        tail
          ?.replaceAll(/^[\d.]+ /gm, '')
          .split('\n')
          .sort(),
      ).toEqual(['', '***', 'with ***']);
    }
    expect(rawLogs(raw).toSorted()).toEqual(['***', 'with ***\n']);
  });

  test('leave nothing in the image, its config and history, the metadata and the store', async () => {
    const { bench } = use;
    const [file, variable] = [randomValue(), randomValue()];
    bench.write('.', { 'kept.txt': file });
    const context = bench.context(`FROM base:1
RUN --mount=type=secret,id=file --mount=type=secret,id=var,env=TOKEN cat /run/secrets/file; echo "$TOKEN"; touch /done
RUN --mount=type=secret,id=file,target=/root/.key sha256sum /root/.key > /dev/null
LABEL done=yes
`);
    const { stdout } = await bench.ok(
      [
        'build',
        '--secret=id=file,src=kept.txt',
        '--secret=id=var,env=VALUE',
        `--metadata-file=${bench.path('metadata.json')}`,
        `--iidfile=${bench.path('id')}`,
        '-t',
        'kept:1',
        '-o',
        'type=oci,dest=-,compression=uncompressed',
        context,
      ],
      { env: { VALUE: variable } },
    );
    const { layers, config } = await readOciArchive(stdout);
    expect(layers.slice(-2)).toEqual([['done'], []]);
    expect(JSON.stringify(config)).toContain('touch /done');
    const metadata = readFileSync(bench.path('metadata.json'), 'utf8');
    expect(metadata).toContain('sha256:');
    for (const value of [file, variable]) {
      // Layers are not compressed in it.
      expect(stdout.includes(value)).toBe(false);
      expect(metadata).not.toContain(value);
      // The store with its index, blobs and layers. grep ends with 1 when nothing is found.
      expect((await bench.start(['grep', '-rlaF', '--devices=skip', value, bench.store]).ended).out).toBe('');
    }
    // What is looked for would be found.
    expect(stdout.includes('touch /done')).toBe(true);
  });

  test('are stars in the names that the store keeps', async () => {
    const { bench } = use;
    const written = randomValue();
    const context = bench.context(`FROM base:1\nRUN touch /${written}-done\n`);
    await bench.ok(['build', '--secret=id=written,env=WRITTEN', context], { env: { WRITTEN: written } });
    const { out } = await bench.ok(['du', '--format=json']);
    expect(out).toContain('RUN touch /***-done');
    expect(out).not.toContain(written);
  });

  test('shorter than four bytes are not hidden, and a missing one that nobody asks for is no failure', async () => {
    const { bench } = use;
    const context = bench.context(
      'FROM base:1\nRUN --mount=type=secret,id=pin cat /run/secrets/pin; echo; echo 1234\n',
    );
    const { err } = await bench.ok(
      ['build', '--progress=plain', '--secret=id=pin,env=PIN', '--secret=id=other,src=not-there', context],
      { env: { PIN: '123' } },
    );
    expect(err).toMatch(/ 123\n#\d+ [\d.]+ 1234\n/);
  });

  test('a file that is missing fails the step that mounts it, when it runs', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN --mount=type=secret,id=gone cat /run/secrets/gone\n');
    await bench.ok([
      'build',
      '--target=0',
      '--secret=id=gone,src=gone.txt',
      bench.context('FROM base:1\nFROM base:1\nRUN true\n'),
    ]);
    const { code, err } = await bench.tsbuild(['build', '--secret=id=gone,src=gone.txt', context]);
    expect(code).toBe(1);
    expect(err).toMatch(/Cannot read secret "gone" from ".*gone.txt"/);
    // From the cache it is not asked for.
    bench.write('.', { 'gone2.txt': 'x' });
    await bench.ok(['build', '--secret=id=gone,src=gone2.txt', context]);
    await bench.ok(['build', '--secret=id=gone,src=gone.txt', context]);
  });
});
