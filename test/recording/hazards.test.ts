import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RecordedAnswer } from '../../src/pins/index.ts';
import { sha256, TsbuildError } from '../../src/util/index.ts';
import { startProxy } from '../support/proxy.ts';
import { RecordingBench } from '../support/recorded-step.ts';
import { WebServer } from '../support/web-server.ts';

/** An address of this machine, as one in an office has it. */
const OWN = '10.77.1.2';
vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  networkInterfaces: () => ({ eth0: [{ address: OWN }] }),
}));

let bench: RecordingBench;
beforeEach(() => {
  bench = new RecordingBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

/** Files beneath a directory whose text is to be looked at; sockets have none. */
function filesOf(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  );
}

test('the key of the authority is written nowhere and given to nobody, and ends with its build (REC-01)', async () => {
  const [first, second] = [bench.build(), bench.build()];
  const steps = [
    await bench.step(first, 'record'),
    await bench.step(first, 'record'),
    await bench.step(second, 'record'),
  ];
  const [one, same, other] = steps.map(({ certificate }) => new X509Certificate(certificate));
  if (!one || !same || !other) throw new Error('three steps');
  expect(same.fingerprint256).toBe(one.fingerprint256);
  // What a step keeps of one build is worth nothing in the next.
  expect(other.publicKey.export({ format: 'jwk' })).not.toEqual(one.publicKey.export({ format: 'jwk' }));
  expect(other.verify(one.publicKey)).toBe(false);
  const days = (one.validToDate.getTime() - one.validFromDate.getTime()) / 86_400_000;
  expect(days).toBeLessThanOrEqual(32);
  for (const { spec } of steps) {
    const given = [
      JSON.stringify({ ...spec, mounts: [] }),
      ...(spec.mounts ?? []).map((mount) => (mount.type === 'file' ? Buffer.from(mount.data).toString('latin1') : '')),
    ].join('\n');
    expect(given).toContain('BEGIN CERTIFICATE');
    expect(given).not.toContain('PRIVATE KEY');
  }
  // TLS is spoken with it, so that it has been used by now.
  (await steps[0]?.tls('far.test:443'))?.destroy();
  for (const path of filesOf(bench.dir)) expect(readFileSync(path, 'latin1'), path).not.toContain('PRIVATE KEY');
});

test('an answer without end is cut, told of, and neither recorded nor kept (REC-07)', async () => {
  const closed = Promise.withResolvers<void>();
  const web = await WebServer.start((_request, response) => {
    response.once('close', () => closed.resolve());
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(10_000))) continue;
    };
    response.on('drain', more);
    more();
  });
  try {
    const build = bench.build({ maxBody: 100_000 });
    const step = await bench.step(build, 'record');
    await expect(step.get(`${web.url}/endless`)).rejects.toThrow();
    await closed.promise;
    expect(await step.recording.finish()).toMatch(/\/endless could not be had: it has more than 100000 bytes/);
    expect(build.toWrite()).toEqual([]);
    expect(filesOf(bench.store.root).filter((path) => readFileSync(path, 'latin1').includes('xxxx'))).toEqual([]);
  } finally {
    await web[Symbol.asyncDispose]();
  }
});

test('an origin in a lock file leads to this machine by no redirect, whoever wrote it there (REC-06)', async () => {
  const web = await WebServer.start((request, response) => {
    if (request.url === '/from') response.writeHead(302, { location: `http://${OWN}:${web.port}/own?sig=1` }).end();
    else response.end('own');
  });
  await using proxy = await startProxy(['far.test', OWN]);
  try {
    const known = (via: string): readonly RecordedAnswer[] => [
      {
        method: 'GET',
        url: `http://far.test:${web.port}/signed?sig=REDACTED`,
        via,
        status: 200,
        headers: {},
        digest: sha256('own'),
        size: 3,
        steps: ['RUN x'],
      },
    ];
    for (const via of [
      `http://far.test:${web.port}/from`,
      `http://${OWN}:${web.port}/own`,
      `http://[::1]:${web.port}/own`,
    ]) {
      const build = bench.build({ known: known(via), proxy: { http: proxy.url }, allowOwn: false });
      const step = await bench.step(build, 'locked');
      const got = await step.get(`http://far.test:${web.port}/signed?sig=2`);
      expect([got.status, got.body], via).toEqual([expect.any(Number), expect.not.stringContaining('own')]);
      expect(got.status, via).toBeGreaterThanOrEqual(400);
      const failed = step.recording.explain(new TsbuildError('TSB_STEP', 'it failed'));
      expect((failed as Error).message, via).toMatch(/could not be had: /);
    }
    expect(proxy.tunnels).toEqual([`far.test:${web.port}`]);
    expect(web.seen.map(({ path }) => path)).toEqual(['/from']);
    // With the permission it does.
    const allowed = await bench.step(
      bench.build({ known: known(`http://far.test:${web.port}/from`), proxy: { http: proxy.url } }),
      'locked',
    );
    expect((await allowed.get(`http://far.test:${web.port}/signed?sig=2`)).body).toBe('own');
  } finally {
    await web[Symbol.asyncDispose]();
  }
});
