import { createServer, request as send, type Server } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { skopeo } from '../support/tools.ts';
import { until } from '../support/until.ts';

/** Stands before a registry, and lets whoever asks for a blob wait that is not a config, or for any. */
async function slowly(host: string, ms: number, quick = ''): Promise<{ readonly host: string } & AsyncDisposable> {
  const server: Server = createServer((incoming, answer) => {
    const pass = (): void => {
      const { method, url, headers } = incoming;
      const asked = send(`http://${host}${url}`, { method, headers }, (got) => {
        answer.writeHead(got.statusCode ?? 500, got.headers);
        got.pipe(answer);
      });
      incoming.pipe(asked);
    };
    const { url = '' } = incoming;
    setTimeout(pass, url.includes('/blobs/') && !(quick !== '' && url.endsWith(quick)) ? ms : 0);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    host: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describeAsUser('an image that takes its time to come', (who) => {
  const use = useBench(who);
  let registry: TestRegistry;
  let config = '';
  beforeAll(async () => {
    registry = await startRegistry();
    const { bench } = use;
    const context = bench.context('FROM base:1\nCOPY file /\nCMD ["echo", "hello"]\n', { file: 'x'.repeat(100_000) });
    await bench.ok(['build', '-q', '-o', 'type=oci,dest=pulled.tar', context]);
    const name = `docker://${registry.host}/pulled:1`;
    skopeo('copy', '--dest-tls-verify=false', `oci-archive:${bench.path('pulled.tar')}`, name);
    const manifest = JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', name)) as {
      config: { digest: string };
    };
    config = manifest.config.digest;
  });
  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
  });

  test('its transfer and whom it waits for are shown under FROM, and not as a step that hangs', async () => {
    const { bench } = use;
    await using slow = await slowly(registry.host, 4500, config);
    const context = bench.context(`FROM ${slow.host}/pulled:1\nRUN echo ran\n`);
    const { err } = await bench.ok(['build', '--progress=plain', context], { store: bench.path('build-store') });
    const from = /^#(\d+) \[1\/2\] FROM /m.exec(err)?.[1] ?? '';
    const lines = err.split('\n').filter((line) => line.startsWith(`#${from} `));
    expect(lines).toContainEqual(
      expect.stringMatching(new RegExp(`waiting for ${slow.host} to answer, in seconds \\d+ / 20`)),
    );
    expect(lines).toContainEqual(expect.stringMatching(/sha256:[0-9a-f]{64} .* done$/));
    // Once as a source whose layers nobody needed yet, and once when they were there.
    expect(lines.filter((line) => / DONE /.test(line))).toHaveLength(2);
    expect(lines.at(-1)).toMatch(/ DONE (?:[4-9]|\d\d+)\.\ds$/);
  });

  test('run says so on standard error, and nothing where it does not take long', async () => {
    const { bench } = use;
    await using slow = await slowly(registry.host, 1500);
    const store = { store: bench.path('run-store') };
    const first = await bench.ok(['run', `${slow.host}/pulled:1`], store);
    expect(first.out).toBe('hello\n');
    expect(first.err).toMatch(
      new RegExp(`looking for ${slow.host}/pulled:1[^]*pulling ${slow.host}/pulled:1[^]*sha256:`),
    );
    // As long as a second is what a busy machine may take for one.
    await until('one takes less', async () => {
      const { out, err, ms } = await bench.ok(['run', 'base:1', 'echo', 'quick']);
      expect(out).toBe('quick\n');
      if (ms < 1000) expect(err).toBe('');
      return ms < 1000;
    });
  });
});
