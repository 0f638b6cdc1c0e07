import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunOptions } from '../support/bench.ts';
import { describeAsRoot, describeAsUser, useBench } from '../support/e2e.ts';
import { buildFrontendImage } from '../support/frontend-image.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const IMAGE = 'test/frontend:1';

describeAsUser('frontend images', (who) => {
  const use = useBench(who);
  beforeAll(() => buildFrontendImage(use.bench, IMAGE));

  /** A context whose Dockerfile is a recipe of the tests' own frontend. */
  const context = (recipe: object, files: Readonly<Record<string, string>> = {}): string =>
    use.bench.context(`# syntax=${IMAGE}\n${JSON.stringify(recipe)}\n`, files);
  const build = (recipe: object, args: readonly string[] = [], options: RunOptions = {}) =>
    use.bench.tsbuild(
      ['build', '--progress=plain', '--allow', 'frontend', ...args, context(recipe, { file: 'content\n' })],
      options,
    );
  const failed = async (recipe: object, args: readonly string[] = []): Promise<string> => {
    const { code, err } = await build(recipe, args);
    expect(code, err).not.toBe(0);
    expect(err).not.toMatch(/^\s+at \w+ \(|TypeError|undefined/m);
    return err;
  };

  test('are not run by themselves, and the error says what to type', async () => {
    const { code, err } = await use.bench.tsbuild(['build', context({ behave: 'exit' })]);
    expect(code).toBe(1);
    expect(err).toMatch(/>>> # syntax=test\/frontend:1[\s\S]*"test\/frontend:1"[\s\S]*hint: .*--allow frontend/);
    expect(err).not.toContain('run frontend');
  });

  test('make the graph, whose steps come from the cache the next time', async () => {
    const recipe = { base: 'base:1', copy: ['file'], run: ['cat /file > /made'], cmd: ['/bin/cat', '/made'] };
    const dir = context(recipe, { file: 'content\n', other: 'x' });
    const args = ['build', '--progress=plain', '--allow', 'frontend', '-t', 'made:1', dir];
    const { err } = await use.bench.ok(args);
    expect(err).toMatch(/\[internal\] run frontend test\/frontend:1\n#\d+ DONE/);
    expect(err).toMatch(/TooMuchSalt: less would do \(line 2\)/);
    expect((await use.bench.ok(['run', '--rm', 'made:1'])).out).toBe('content\n');
    const again = (await use.bench.ok(args)).err;
    expect(again).toMatch(/cat \/file > \/made\n#\d+ CACHED/);
    expect(again).toContain('run frontend');
    const [inspected] = JSON.parse((await use.bench.ok(['inspect', 'made:1'])).out) as [{ Config: { Labels: object } }];
    expect(inspected.Config.Labels).toEqual({ by: 'test' });
  });

  test('are named by a build argument too, and make what a Dockerfile makes', async () => {
    const dockerfile =
      'FROM base:1\nCOPY file /file\nRUN cat /file > /made\nCMD ["/bin/cat", "/made"]\nFROM base:1 AS other\n';
    const last = dockerfile.replace('FROM base:1\n', 'FROM base:1 AS last\n');
    const dir = use.bench.context(last, { file: 'content\n', 'recipe.json': JSON.stringify({ dockerfile: last }) });
    const outcome = async (args: readonly string[]): Promise<string> => {
      const { out } = await use.bench.ok([
        'build',
        '-q',
        '--source-date-epoch',
        '1700000000',
        '-t',
        'same:1',
        ...args,
        dir,
      ]);
      return out;
    };
    const own = await outcome(['--target', 'last']);
    const byImage = await outcome([
      '--allow',
      'frontend',
      '--build-arg',
      `BUILDKIT_SYNTAX=${IMAGE}`,
      '-f',
      `${dir}/recipe.json`,
    ]);
    expect(byImage).toBe(own);
  });

  test('may make a Dockerfile of what they read, whose warnings and errors are those of that', async () => {
    const made = (lines: readonly string[]) => ({ dockerfile: lines.join('\n') });
    const warned = await build(made(['# made by the frontend', 'FROM base:1 as last', 'COPY file /file']), [
      '-t',
      'made:2',
    ]);
    expect(warned.code, warned.err).toBe(0);
    expect(warned.err).toMatch(/FromAsCasing.*line 2/);
    const wrong = await failed(made(['# made by the frontend', 'FROM base:1 AS last', 'RUNN true']));
    expect(wrong).toMatch(/Dockerfile:3\n-+\n[\s\S]*>>> RUNN true\n[\s\S]*error: .*unknown instruction: RUNN/);
    const step = await failed(made(['# made by the frontend', 'FROM base:1 AS last', 'RUN exit 9']));
    expect(step).toMatch(/>>> RUN exit 9\n[\s\S]*exit code: 9/);
  });

  test('are asked about their files by --call, and print what they say', async () => {
    const dir = context({ copy: ['file'] }, { file: 'x' });
    const ask = (call: string) =>
      use.bench.tsbuild(['build', '--allow', 'frontend', `--call=${call}`, '--target=t', dir]);
    // What a terminal would take for more than text is shown as text.
    expect(await ask('outline')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^asked for frontend\.outline[^\u001b]*\n$/) as string,
    });
    expect(JSON.parse((await ask('targets,format=json')).out)).toEqual({
      question: 'frontend.targets',
      caps: 'moby.buildkit.frontend.subrequests',
      target: 't',
      files: 2,
    });
    expect((await ask('subrequests.describe')).out).toMatch(/frontend\.subrequests\.describe/);
    expect(JSON.parse((await ask('other')).out)).toMatchObject({ question: 'frontend.other' });
    expect((await ask('strict')).code).toBe(3);
    const unheard = await ask('unheard');
    expect(unheard.code).toBe(1);
    expect(unheard.err).toMatch(
      /--call=unheard: frontend "test\/frontend:1" has no result\.json[\s\S]*hint: .*describe/,
    );
  });

  test('make images for several platforms', async () => {
    const recipe = { copy: ['file'], platforms: ['linux/amd64', 'linux/arm64'] };
    const { code, err } = await build(recipe, ['-t', 'several:1']);
    expect(code, err).toBe(0);
    for (const architecture of ['amd64', 'arm64']) {
      const { out } = await use.bench.ok(['inspect', '--platform', `linux/${architecture}`, 'several:1']);
      expect(JSON.parse(out)).toMatchObject([{ Architecture: architecture, Config: { Labels: { by: 'test' } } }]);
    }
  });

  test('read a context that came as an archive, and a file that came by standard input', async () => {
    const recipe = `# syntax=${IMAGE}\n${JSON.stringify({ copy: ['file'] })}\n`;
    const dir = use.bench.write('archived', { Dockerfile: recipe, file: 'content\n' });
    const archive = execFileSync('tar', ['-C', dir, '-c', '.']);
    const args = ['build', '-q', '--allow', 'frontend', '-o', 'type=cacheonly'];
    await use.bench.ok([...args, '-'], { stdin: archive });
    await use.bench.ok([...args, '-f', '-', dir], { stdin: recipe });
    const empty = `# syntax=${IMAGE}\n${JSON.stringify({ look: 'context' })}\n`;
    expect((await use.bench.tsbuild([...args, '-'], { stdin: empty })).err).not.toContain('no local directory');
  });

  test('see no network, no host and no more of the build than they need', async () => {
    const err = await failed({ tell: true }, [
      '--build-arg',
      'A=1',
      '--label',
      'l=m',
      '--build-context',
      `more=${use.bench.context('', {})}`,
    ]);
    const seen = JSON.parse(/error: (?:failed to solve: )?(\{.*\})/.exec(err)?.[1] ?? '') as Record<string, unknown>;
    expect(seen).toMatchObject({
      interfaces: expect.not.arrayContaining([expect.stringMatching(/^(?!lo$)/)]) as string[],
      uid: 0,
      metadata: true,
      product: 'tsbuild',
      workers: [{ platforms: [{ os: 'linux' }] }],
      session: true,
      own: '1',
      names: ['build-arg:A', 'cmdline', 'context:more', 'filename', 'label:l', 'source'],
      first: '/bin/node',
    });
  });

  test('reach the directories of the build, and no others', async () => {
    expect(await failed({ look: 'context' })).toContain('Dockerfile file');
    for (const name of ['etc', '/etc', '../..', 'named-9'])
      expect(await failed({ look: name })).toMatch(/Cannot read local directory|Cannot read LLB/);
  });

  test('get what a Dockerfile would get: entitlements and secrets as they were given', async () => {
    const host = { base: 'base:1', run: ['true'], network: 'host' };
    expect(await failed(host)).toMatch(/entitlement network.host is not allowed[\s\S]*--allow network.host/);
    expect((await build(host, ['--allow', 'network.host'])).code).toBe(0);
    const secret = { base: 'base:1', run: ['test "$SECRET" = hidden-value && echo "has $SECRET"'], secret: 's' };
    expect(await failed(secret)).toContain('secret s: not found');
    use.bench.write('secrets', { s: 'hidden-value' });
    const { code, err } = await build(secret, ['--secret', `id=s,src=${use.bench.path('secrets/s')}`]);
    expect(code, err).toBe(0);
    expect(err).not.toContain('hidden-value');
  });

  test('get no network that nobody records, where those of the build are recorded', async () => {
    const mounts = [{ dest: '/', resultID: 'base' }];
    for (const mode of ['record', 'locked'])
      for (const recipe of [
        { base: 'base:1', copy: ['file'], run: ['echo unrecorded'], contain: { mounts, programs: [] } },
        { base: 'base:1', copy: ['file'], contain: { mounts, programs: [] } },
      ]) {
        const err = await failed(recipe, [`--network=${mode}`]);
        expect(err).toMatch(/(?:its network would not be|those of this build are) recorded/);
        expect(err).not.toContain(' unrecorded\n');
      }
  });

  describe('that fail', () => {
    test.each([
      ['with an exit code', { behave: 'exit' }, /it ended with exit code 3 \(it said: the recipe is too hard\)/],
      ['without a word', { behave: 'silent' }, /it ended without a result/],
      ['by noise', { behave: 'noise' }, /does not speak gRPC/],
      ['after their result', { copy: ['file'], behave: 'dirty' }, /it ended with exit code 7/],
      ['at a step', { base: 'base:1', run: ['echo out; exit 5'] }, /did not complete successfully: exit code: 5/],
      ['at an image', { base: '127.0.0.1:1/none:1' }, /Cannot resolve "127\.0\.0\.1:1\/none:1"/],
    ] as const)('%s are told of', async (_how, recipe, said) => {
      const err = await failed(recipe);
      expect(err).toMatch(said);
      expect(err.match(/^error: /gm)).toHaveLength(1);
    });

    test('with an error of their own have its line shown', async () => {
      const err = await failed({ behave: 'complain' });
      expect(err).toMatch(/>>> \{"behave":"complain"\}[\s\S]*error: .*recipes with this are not cooked/);
    });

    test('by asking for nothing are ended, and leave nothing behind', async () => {
      const { code, err } = await build({ behave: 'hang' }, ['--step-timeout', '1s']);
      expect(code, err).toBe(124);
      expect(err).toMatch(/asked for nothing for 1s[\s\S]*hint: .*--step-timeout/);
      // A busy machine may not have come to it in a moment, but it has in half a minute.
      for (const limit of ['2s', '30s']) {
        const timed = await build({ behave: 'hang' }, ['--timeout', limit]);
        expect(timed.code, timed.err).toBe(124);
        expect(timed.err).toContain(`took longer than ${limit}; it was at `);
        if (limit === '2s' && !timed.err.includes('run frontend')) continue;
        expect(timed.err).toMatch(/it was at .*run frontend/);
        break;
      }
      expect(await use.bench.leftovers()).toEqual([]);
    });

    test('only to end have their result', async () => {
      for (const limit of ['1s', '20s']) {
        const { code, err } = await build({ copy: ['file'], behave: 'linger', attest: true }, [
          '--step-timeout',
          limit,
        ]);
        // One that is not even asked for its result in a second, for the machine is busy, is not what this is about.
        if (limit === '1s' && code === 124 && err.includes('asked for nothing')) continue;
        expect(code, err).toBe(0);
        expect(err).toMatch(/Attestations of frontend/);
        break;
      }
      expect(await use.bench.leftovers()).toEqual([]);
    });

    test('with the build that is interrupted', async () => {
      const running = use.bench.tsbuildStart([
        'build',
        '--progress=plain',
        '--allow',
        'frontend',
        context({ behave: 'hang' }),
      ]);
      await running.prints(/run frontend/);
      running.child.kill('SIGINT');
      expect((await running.ended).code).toBe(130);
      expect(await use.bench.leftovers()).toEqual([]);
    });
  });

  describe('in a registry', () => {
    let registry: TestRegistry;
    let reference: string;
    beforeAll(async () => {
      registry = await startRegistry();
      reference = `${registry.host}/frontend:1`;
      await use.bench.ok(['push', IMAGE, reference]);
    });
    afterAll(() => registry[Symbol.asyncDispose]());

    test('are pinned by the lock file, and run again without the registry', async () => {
      const dir = use.bench.context(`# syntax=${reference}\n${JSON.stringify({ copy: ['file'] })}\n`, { file: 'x' });
      const args = ['build', '-q', '--allow', 'frontend', '-o', 'type=cacheonly', dir];
      expect((await use.bench.tsbuild([...args, '--locked'])).err).toMatch(/lock/);
      await use.bench.ok([...args, '--update-lock']);
      const lock = JSON.parse(readFileSync(`${dir}/tsbuild.lock`, 'utf8')) as {
        readonly sources: readonly { readonly ref: string }[];
      };
      expect(lock.sources.map(({ ref }) => ref)).toEqual([reference]);
      await use.bench.ok([...args, '--locked']);
      await use.bench.ok([...args, '--offline']);
    });
  });
});

describeAsRoot('frontend images', (who) => {
  const use = useBench(who);

  test('run for root, too, as another user than the host’s root', async () => {
    await buildFrontendImage(use.bench, IMAGE);
    const dir = use.bench.context(
      `# syntax=${IMAGE}\n${JSON.stringify({ base: 'base:1', copy: ['file'], run: ['cat /file'] })}\n`,
      { file: 'x' },
    );
    const { err } = await use.bench.ok(['build', '--progress=plain', '--allow', 'frontend', '-t', 'made:1', dir]);
    expect(err).toMatch(/run frontend test\/frontend:1\n#\d+ DONE/);
    expect(await use.bench.leftovers()).toEqual([]);
  }, 120_000);
});
