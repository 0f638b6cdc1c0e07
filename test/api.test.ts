import { mkdirSync, mkdtempDisposableSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { build, type BuildEvent, version } from '../src/index.ts';
import { BuildFailure } from '../src/engine/index.ts';
import { startRegistry } from './support/registry.ts';

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
