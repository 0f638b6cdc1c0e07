import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempDisposableSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  build,
  type BuildEvent,
  BuildFailure,
  explain,
  inspect,
  pull,
  push,
  report,
  reportPage,
  run,
  verify,
  version,
} from '../src/index.ts';
import { baseImageTar } from './support/base-image.ts';
import { programPath } from './support/program.ts';
import { startRegistry } from './support/registry.ts';

/** A store with the base image, and a context. */
function prepare(dir: string, dockerfile: string): { readonly root: string; readonly context: string } {
  const [root, context] = [join(dir, 'store'), join(dir, 'context')];
  mkdirSync(context);
  writeFileSync(join(context, 'Dockerfile'), dockerfile);
  execFileSync(programPath(), ['import', '-', '-t', 'base:1'], {
    input: baseImageTar(),
    env: { ...process.env, TSBUILD_ROOT: root, SOURCE_DATE_EPOCH: '1600000000' },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  return { root, context };
}

describe('the front door', () => {
  test('builds, tells what happens, and uses the cache the second time', async () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-api-'));
    const context = join(dir.path, 'context');
    mkdirSync(context);
    writeFileSync(join(context, 'file'), 'hello');
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nARG NAME\nLABEL name=$NAME\nCOPY file /\n');
    const events: BuildEvent[] = [];
    const options = {
      context,
      root: join(dir.path, 'store'),
      tags: ['api:1'],
      buildArgs: { NAME: 'me' },
      onEvent: (event: BuildEvent) => void events.push(event),
    };
    const first = await build(options);
    expect(first.metadata['image.name']).toBe('docker.io/library/api:1');
    expect(
      events.some((event) => event.type === 'vertex' && event.name.includes('COPY file /') && event.state === 'done'),
    ).toBe(true);
    events.length = 0;
    const second = await build(options);
    expect(second.descriptor).toEqual(first.descriptor);
    expect(
      events.some((event) => event.type === 'vertex' && event.name.includes('COPY file /') && event.state === 'cached'),
    ).toBe(true);
  });

  test('tells why a step ran, when asked', async () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-api-'));
    const context = join(dir.path, 'context');
    mkdirSync(context);
    writeFileSync(join(context, 'file'), 'hello');
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY file /\n');
    const reasons = async (explain: boolean): Promise<readonly string[]> => {
      const told: string[] = [];
      const onEvent = (event: BuildEvent): void => {
        if (event.type === 'reason') told.push(`${event.reason.outcome} ${event.reason.kind}`);
      };
      await build({ context, root: join(dir.path, 'store'), explain, onEvent });
      return told;
    };
    expect(await reasons(true)).toEqual(['ran no-record']);
    expect(await reasons(true)).toEqual(['cached hit']);
    expect(await reasons(false)).toEqual([]);
  });

  test('remembers builds, as the command does, and says what happened in them', async () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-api-'));
    const { root, context } = prepare(
      dir.path,
      'FROM base:1\nCOPY file /\nRUN echo it is here; test "$(cat /file)" = good\n',
    );
    const command = (...args: string[]): string =>
      execFileSync(programPath(), args, {
        env: { ...process.env, TSBUILD_ROOT: root },
        encoding: 'utf8',
        stdio: 'pipe',
      });
    await expect(explain({ root })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    await expect(report({ root })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });

    writeFileSync(join(context, 'file'), 'bad');
    await expect(build({ context, root, tags: ['api:1'] })).rejects.toThrow('exit code: 1');
    const failed = await report({ root });
    expect(failed.build).toMatchObject({ title: 'api:1', result: 'failed', outputs: [] });
    expect(failed.steps.find(({ state }) => state === 'failed')?.log?.lines).toEqual(['it is here']);
    expect(JSON.parse(command('report', '--format=json'))).toEqual(failed);
    expect(command('logs')).toContain('RUN echo it is here');

    writeFileSync(join(context, 'file'), 'good');
    const built = await build({ context, root, tags: ['api:1'] });
    const facts = await report({ root });
    expect(facts.build).toMatchObject({
      result: 'done',
      outputs: [{ names: ['docker.io/library/api:1'], digest: built.descriptor?.digest }],
    });
    expect(facts.layers.length).toBeGreaterThan(1);
    expect(reportPage(facts)).toContain('api:1');
    const { steps, comparedWith, failed: isFailed } = await explain({ root, context });
    expect([isFailed, comparedWith?.context]).toEqual([false, context]);
    expect(steps.find(({ name }) => name.includes('COPY file'))?.reason).toMatchObject({
      kind: 'changed',
      differences: [{ what: 'file', name: 'file', change: 'changed' }],
    });
    expect(JSON.parse(command('explain', '--format=json'))).toEqual(await explain({ root }));
    await expect(explain({ root, target: 'other' })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });

    const [, first] = (JSON.parse(command('report', '--list', '--format=json')) as { id: string }[]).map(
      ({ id }) => id,
    );
    expect((await report({ root, build: first ?? '' })).build).toEqual(failed.build);
    await expect(report({ root, build: 'other' })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });

  test('closes the blobs that it pushes', async () => {
    await using registry = await startRegistry();
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-api-'));
    writeFileSync(join(dir.path, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
    const root = join(dir.path, 'store');
    const cacheTo = [`type=registry,ref=${registry.host}/api:cache,ignore-error=false`];
    await build({ context: dir.path, root, cacheTo });
    const open = readdirSync('/proc/self/fd').map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return ''; // the directory's own
      }
    });
    expect(open.filter((path) => path.startsWith(`${root}/blobs/`))).toEqual([]);
  });

  test('a failure names its place in the Dockerfile', async () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-api-'));
    writeFileSync(join(dir.path, 'Dockerfile'), 'FROM scratch\nCOPY missing /\n');
    const failure = await build({ context: dir.path, root: join(dir.path, 'store') }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(BuildFailure);
    expect(failure).toMatchObject({ solving: true, ranges: [{ startLine: 2 }] });
    expect((failure as BuildFailure).message).toContain('"/missing": not found');
  });

  test('the version is that of the package', () => {
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(version).toBe(manifest.version);
  });
});

describe('images, as the command line has them', () => {
  test('are built with secrets, pushed, inspected, verified and run', async () => {
    await using registry = await startRegistry();
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-api-'));
    const { root, context } = prepare(
      dir.path,
      [
        'FROM base:1',
        'RUN --mount=type=secret,id=token --mount=type=secret,id=file cat /run/secrets/token /run/secrets/file | wc -c > /length',
        'RUN --mount=type=secret,id=token echo "it is $(cat /run/secrets/token)"',
        'CMD ["cat", "/length"]',
        '',
      ].join('\n'),
    );
    const file = join(dir.path, 'secret');
    writeFileSync(file, 'from a file');
    const name = `${registry.host}/api/app:1`;
    const printed: string[] = [];
    const secrets = { token: 'SECRET VALUE', file: { file } };
    const built = await build({
      context,
      root,
      tags: [name],
      secrets,
      push: true,
      load: true,
      reproducible: true,
      onEvent: (event) => void (event.type === 'log' && printed.push(Buffer.from(event.data).toString())),
    });
    expect(printed.join('')).toBe('it is ***\n');
    const { descriptor, manifest, config } = await inspect(name, { root, remote: true });
    expect(descriptor.digest).toBe(built.descriptor?.digest);
    expect(config.config?.Cmd).toEqual(['cat', '/length']);
    expect(JSON.stringify([manifest, config])).not.toContain('SECRET');

    const output: string[] = [];
    const ended = await run(name, {
      root,
      onOutput: (stream, data) => void output.push(`${stream}:${Buffer.from(data).toString()}`),
    });
    expect([ended, output]).toEqual([{ exitCode: 0 }, ['1:23\n']]);
    const failed = await run(name, {
      root,
      command: ['sh', '-c', 'echo "$A" >&2; exit 3'],
      env: { A: 'b' },
      onOutput: (stream, data) => void output.push(`${stream}:${Buffer.from(data).toString()}`),
    });
    expect([failed, output.at(-1)]).toEqual([{ exitCode: 3 }, '2:b\n']);

    expect(await verify(name, { context, root, secrets })).toMatchObject({ identical: true, differences: [] });
    const copied = await push(name, { root, to: `${registry.host}/copied:2` });
    expect(copied).toEqual([{ name: `${registry.host}/copied:2`, digest: built.descriptor?.digest }]);
    const other = join(dir.path, 'other');
    const pulled = { name: `${registry.host}/copied:2`, digest: built.descriptor?.digest };
    expect(await pull(`${registry.host}/copied:2`, { root: other })).toEqual({ ...pulled, isNew: true });
    expect(await pull(`${registry.host}/copied:2`, { root: other, policy: 'missing' })).toEqual({
      ...pulled,
      isNew: false,
    });
    await expect(pull(`${registry.host}/none:1`, { root: other })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });

  test('what is canceled ends, and rejects with that', async () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-api-'));
    const { root, context } = prepare(dir.path, 'FROM base:1\nRUN sleep 1000\n');
    const controller = new AbortController();
    const building = build({
      context,
      root,
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'vertex' && event.state === 'started' && event.name.includes('sleep')) controller.abort();
      },
    });
    await expect(building).rejects.toMatchObject({ code: 'TSB_CANCELED' });
    const ending = new AbortController();
    const running = run('base:1', {
      root,
      command: ['sh', '-c', 'echo ready; sleep 1000'],
      signal: ending.signal,
      onOutput: () => ending.abort(),
    });
    await expect(running).rejects.toMatchObject({ code: 'TSB_CANCELED' });
  });

  test('what cannot be is said as on the command line', async () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-api-'));
    const root = join(dir.path, 'store');
    await expect(build({ context: '.', root, lock: { locked: true, update: true } })).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
    await expect(build({ context: '.', root, platforms: ['x/y/z/w'] })).rejects.toMatchObject({ code: 'TSB_USAGE' });
    await expect(run('nothing:here', { root, command: ['x'] })).rejects.toMatchObject({
      code: expect.stringContaining('TSB_') as string,
    });
    await expect(inspect('nothing:here', { root })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    await expect(push('nothing:here', { root })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });
});

describe('docs/api.md', () => {
  const page = readFileSync(new URL('../docs/api.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code = '']) => code);

  test('has examples that run', async () => {
    await using registry = await startRegistry();
    using dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-docs-'));
    const { root } = prepare(dir.path, '');
    const service = join(dir.path, 'service');
    mkdirSync(service);
    writeFileSync(join(dir.path, 'npmrc'), 'x');
    const lines = ['FROM base:1', 'ARG VERSION', 'RUN --mount=type=secret,id=token test -s /run/secrets/token'];
    writeFileSync(join(dir.path, 'Dockerfile'), [...lines, 'COPY Dockerfile /file', ''].join('\n'));
    writeFileSync(
      join(service, 'Dockerfile'),
      'FROM base:1\nRUN --mount=type=secret,id=npm_token,env=NPM_TOKEN test "$NPM_TOKEN" = t && mkdir -p /bin && printf "#!/bin/sh\\necho tested\\n" > /bin/npm && chmod 755 /bin/npm\n',
    );
    const printed: string[] = [];
    for (const [index, code] of blocks.entries()) {
      const script = join(dir.path, `example${index}.mjs`);
      const library = new URL('../dist/index.js', import.meta.url).href;
      writeFileSync(
        script,
        code
          .replaceAll("'tsbuildkit'", JSON.stringify(library))
          .replaceAll('registry.example.com', registry.host)
          .replaceAll('/home/me/.npmrc', join(dir.path, 'npmrc')),
      );
      const env = { ...process.env, TSBUILD_ROOT: root, TOKEN: 'secret', NPM_TOKEN: 't', HOME: dir.path };
      printed.push(execFileSync(process.execPath, [script], { cwd: dir.path, env, encoding: 'utf8' }));
    }
    expect(blocks).toHaveLength(3);
    expect(printed[0]).toMatch(/^sha256:[0-9a-f]{64}$/m);
    expect(printed[1]).toMatch(/^\[[^\]]+\] .*: [\d.]+ ms of [\d.]+$/m);
    expect(readFileSync(join(dir.path, 'build.html'), 'utf8')).toContain(`${registry.host}/web:2`);
    expect(printed[2]).toBe('tested\n');
    const { descriptor } = await inspect(`${registry.host}/web:1`, { root, remote: true });
    expect(printed[0]).toContain(descriptor.digest);
  });
});
