import { expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { onTerminal } from '../support/terminal.ts';

const FAILING = `FROM base:1 AS tools
ENV A=5
WORKDIR /w
RUN echo file > f
RUN --mount=type=cache,target=/c --mount=type=secret,id=s,target=/s echo half > half; echo kept > /c/x; exit 3
RUN echo never
`;

describeAsEveryone('a look into steps', (who) => {
  const use = useBench(who);
  const build = (...args: string[]): readonly string[] => [
    'build',
    '--progress=plain',
    '-o',
    'type=cacheonly',
    ...args,
  ];

  test('--on-failure=shell is a shell with the files, mounts, variables and directory of the step', async () => {
    const context = use.bench.context(FAILING, {});
    use.bench.write('secrets', { s: 'of-the-step' });
    const secret = `--secret=id=s,src=${use.bench.path('secrets/s')}`;
    const stdin = 'pwd; ls; cat half /c/x; echo A=$A; cat /s; echo; echo changed > f\n';
    const { code, out, err } = await use.bench.tsbuild(build('--on-failure=shell', secret, context), { stdin });
    expect(code).toBe(1);
    expect(out).toBe('/w\nf\nhalf\nhalf\nkept\nA=5\nof-the-step\n');
    expect(err).toContain('did not complete successfully: exit code: 3\nThis is a shell in the sandbox of the step');
    expect(err).toContain('  echo half > half; echo kept > /c/x; exit 3\n');
    expect(err).toContain('>>> RUN --mount=type=cache');
    // What was done there is gone, and what was cached before is as it was.
    const again = await use.bench.tsbuild(['debug'], { stdin: 'cat f\n' });
    expect(again.out).toBe('file\n');
    expect(await use.bench.leftovers()).toEqual([]);
    expect(await use.bench.damage()).toEqual([]);
  });

  test('on a terminal it is one that can be typed into', async () => {
    const context = use.bench.context('FROM base:1\nRUN echo made > /made; false\n', {});
    const { code, out } = await onTerminal(use.bench, ['build', '--on-failure=shell', '-o', 'type=cacheonly', context], [
      { expect: 'This is a shell' },
      { expect: '# ' },
      { type: 'cat /made; tty\n' },
      { expect: 'made' },
      { expect: '/dev/pts/' },
      { type: 'exit\n' },
      { expect: 'error: failed to solve' },
    ]); // oxfmt-ignore
    expect(out).not.toContain('timed out');
    expect(code).toBe(1);
  });

  test('debug does the last build again, wherever it is typed, and exports nothing', async () => {
    const context = use.bench.context('FROM base:1\nARG V\nRUN echo $V > /v; false\n', {});
    await use.bench.tsbuild(['build', '-t', 'debugged:1', '--build-arg', 'V=typed', '.'], { cwd: context });
    const { code, out } = await use.bench.tsbuild(['debug'], { stdin: 'cat /v\n', cwd: '/' });
    expect({ code, out }).toEqual({ code: 1, out: 'typed\n' });
    use.bench.write(context.slice(use.bench.dir.length + 1), { Dockerfile: 'FROM base:1\nARG V\nRUN echo $V > /v\n' });
    const mended = await use.bench.tsbuild(['debug'], { stdin: 'exit 9\n' });
    expect(mended.code).toBe(0);
    expect(mended.err).toContain('Nothing fails any more');
    expect((await use.bench.ok(['images'])).out).not.toContain('debugged');
  });

  test('debug with a part of a name opens the step before it runs, cached or not', async () => {
    const context = use.bench.context(FAILING, {});
    await use.bench.tsbuild(build(context));
    const { out, err } = await use.bench.tsbuild(['debug', 'RUN echo file'], { stdin: 'ls -A; echo A=$A\n' });
    expect(out).toBe('A=5\n');
    expect(err).toContain('RUN echo file > f", which did not run');
    const missing = await use.bench.tsbuild(['debug', 'RUN nothing like it']);
    expect(missing.code).toBe(1);
    expect(missing.err).toMatch(/no such step\nhint: its steps are: .*RUN echo file > f; /);
  });

  test('shell is a container of a stage, with its own exit code', async () => {
    const context = use.bench.context(
      'FROM base:1 AS tools\nENV A=5\nWORKDIR /w\nRUN echo file > f\nFROM scratch\n',
      {},
    );
    const { code, out } = await use.bench.tsbuild(['shell', 'tools', context, '-c', 'pwd; cat f; echo $A; exit 4']);
    expect({ code, out }).toEqual({ code: 4, out: '/w\nfile\n5\n' });
    expect((await use.bench.tsbuild(['shell', 'tools', context], { stdin: 'cat f\n' })).out).toBe('file\n');
    const none = await use.bench.tsbuild(['shell', 'tool', context]);
    expect(none.code).toBe(1);
    expect(none.err).toMatch(/tool/);
  });

  test('an image without a shell says so', async () => {
    const context = use.bench.context(
      'FROM base:1 AS b\nFROM scratch\nCOPY --from=b /bin/busybox /busybox\nRUN ["/busybox", "false"]\n',
      {},
    );
    const { code, err } = await use.bench.tsbuild(build('--on-failure=shell', context), { stdin: 'true\n' });
    expect(code).toBe(1);
    expect(err).toContain('Cannot open a shell in the step: its image has no /bin/sh');
    expect(err).toMatch(/>>> RUN \["\/busybox", "false"\]/);
  });

  test('a store that knows of no build says what to do', async () => {
    const { code, err } = await use.bench.tsbuild(['debug'], { store: use.bench.path('empty-store') });
    expect(code).toBe(1);
    expect(err).toContain('build with --on-failure=shell');
  });
});
