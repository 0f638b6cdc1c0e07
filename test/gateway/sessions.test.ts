import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LlbBridge } from '../../src/gateway/bridge.ts';
import { gatewayLimits } from '../../src/gateway/limits.ts';
import { imagesOf } from '../../src/gateway/result.ts';
import { loadGraph } from '../../src/llb/index.ts';
import { hostOf } from './support.ts';

/** One call of a session of BuildKit's own client (August 2026), that of `docker/dockerfile`, as it went over the wire. */
interface Recorded {
  readonly method: string;
  readonly request: string;
  readonly response: string;
}

const DOCKERFILE = `FROM base:1 AS a
COPY x /x
RUN --network=none cat /x > /y
from base:1
COPY --from=a --link /y /y
CMD ["/bin/cat","/y"]
`;
const CONFIG = '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}';
const DIGEST = 'sha256:f10999e28a138eb64afef6f220aa0d5a8cdcec12d1497aed47eef571b1eec7e0';

/**
 * Says what the client said, with the references that it is given now in place of those that it was given then: ids have one length, so that
 * bytes can be exchanged.
 */
async function replay(
  name: string,
  files: Readonly<Record<string, string>>,
): Promise<{ bridge: LlbBridge; log: readonly string[] }> {
  const host = hostOf(files, {
    resolveImage: async ({ reference }) => ({ reference, digest: DIGEST, config: Buffer.from(CONFIG) }),
  });
  const bridge = new LlbBridge(host, gatewayLimits);
  const text = readFileSync(new URL(`../../testdata/gateway/${name}.jsonl`, import.meta.url), 'utf8');
  const ids = new Map<string, string>();
  const idIn = (bytes: Buffer): readonly string[] =>
    bytes.toString('latin1').match(/(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])/g) ?? [];
  for (const line of text.trim().split('\n')) {
    const call = JSON.parse(line) as Recorded;
    let said = Buffer.from(call.request, 'base64').toString('latin1');
    for (const [then, now] of ids) said = said.replaceAll(then, now);
    const handler = bridge.handlers.get(`/moby.buildkit.v1.frontend.LLBBridge/${call.method}`);
    const answer = Buffer.from((await handler?.(Buffer.from(said, 'latin1'), AbortSignal.timeout(10_000))) ?? '');
    if (call.method !== 'Solve') continue;
    const [then, now] = [idIn(Buffer.from(call.response, 'base64')).at(0), idIn(answer).at(0)];
    if (then !== undefined && now !== undefined) ids.set(then, now);
  }
  return { bridge, log: host.log };
}

describe('what BuildKit’s own client says', () => {
  test('makes images for two platforms', async () => {
    const { bridge, log } = await replay('two-platforms', {
      Dockerfile: DOCKERFILE,
      '.dockerignore': '',
      'Dockerfile.dockerignore': '',
    });
    expect(log.filter((line) => line.startsWith('warning'))).toEqual([
      expect.stringContaining('ConsistentInstructionCasing'),
    ]);
    const { returned } = bridge;
    if (returned?.kind !== 'result') throw new Error('There is no result');
    const { images, multiPlatform } = imagesOf(returned.result);
    expect(multiPlatform).toBe(true);
    expect(images.map(({ id }) => id).toSorted()).toEqual(['linux/amd64', 'linux/arm64']);
    for (const { config, definition, platform, id } of images) {
      expect(id).toBe(`${platform.os}/${platform.architecture}`);
      expect(config).toMatchObject({
        os: 'linux',
        architecture: platform.architecture,
        config: { Cmd: ['/bin/cat', '/y'], Labels: { l: 'm' } },
      });
      const names = loadGraph(definition ?? { def: [], metadata: new Map() }).vertices.map(({ op }) => op.body?.kind);
      expect(names).toEqual(expect.arrayContaining(['source', 'exec', 'file', 'merge']));
    }
  });

  test('ends with an error and the line that it is about', async () => {
    const { bridge } = await replay('parse-error', { bad: 'FROM base:1\nRUNN x\n', 'bad.dockerignore': '' });
    expect(bridge.returned).toMatchObject({
      kind: 'error',
      error: {
        message: 'dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)',
        ranges: [{ file: 'bad', startLine: 2, endLine: 2 }],
      },
    });
  });
});
