import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assembleImage, type AssembleOptions, type PlatformImage } from '../../src/exporter/index.ts';
import { type HistoryEntry, type ImageConfig, mediaTypes } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';

const T0 = Date.parse('2024-05-01T10:00:00.120Z');

function layer(name: string, createdAt?: number): PlatformImage['layers'][number] {
  return {
    descriptor: { mediaType: mediaTypes.ociLayerGzip, digest: sha256(`blob ${name}`), size: name.length },
    diffId: sha256(`tar ${name}`),
    ...(createdAt === undefined ? {} : { createdAt }),
    description: `made ${name}`,
  };
}

function config(history: HistoryEntry[], more: Partial<ImageConfig> = {}): ImageConfig {
  return {
    architecture: 'amd64',
    os: 'linux',
    config: { Env: ['PATH=/bin'], WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [] },
    history,
    ...more,
  };
}

function image(
  history: HistoryEntry[],
  layers: PlatformImage['layers'],
  more: Partial<PlatformImage> = {},
): PlatformImage {
  return { platform: { os: 'linux', architecture: 'amd64' }, config: config(history), layers, ...more };
}

function configOf(one: PlatformImage, options: AssembleOptions = {}): ImageConfig {
  const assembled = assembleImage([one], options);
  const { digest } = assembled.platforms[0]!.config;
  const document = assembled.documents.find(({ descriptor }) => descriptor.digest === digest);
  return JSON.parse(Buffer.from(document!.bytes).toString()) as ImageConfig;
}

describe('documents', () => {
  test('config and manifest, byte for byte in the form that BuildKit writes', () => {
    const assembled = assembleImage([
      {
        platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
        config: {
          os: 'linux',
          variant: 'v7',
          architecture: 'arm',
          'moby.buildkit.cache.v0': 'x',
          author: 'me',
          config: {
            Unknown: { b: 1, a: 2 },
            Shell: ['/bin/bash', '-c'],
            Healthcheck: { Retries: 3, Interval: 30_000_000_000, Test: ['CMD', 'a<b'] },
            Labels: { b: '2', a: '1 & 2' },
            Volumes: { '/v': {} },
            ArgsEscaped: true,
            Cmd: ['sh'],
            Entrypoint: [],
            Env: ['A=1'],
            ExposedPorts: { '80/tcp': {}, '22/tcp': {} },
            User: 'app',
            OnBuild: ['RUN x'],
            WorkingDir: '/w',
            StopSignal: 'SIGTERM',
          },
          rootfs: { type: 'layers', diff_ids: [] },
          history: [
            { created_by: 'RUN x # buildkit', comment: 'buildkit.dockerfile.v0' },
            { empty_layer: true, created_by: 'CMD ["sh"]' },
          ],
        },
        layers: [layer('a', T0)],
      },
    ]);
    const [configDocument, manifestDocument] = assembled.documents.map(({ bytes }) => Buffer.from(bytes).toString());
    expect(configDocument).toBe(
      '{"architecture":"arm","author":"me","config":{"User":"app","ExposedPorts":{"22/tcp":{},"80/tcp":{}},"Env":["A=1"],"Cmd":["sh"],' +
        '"Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"a":"1 \\u0026 2","b":"2"},"StopSignal":"SIGTERM","ArgsEscaped":true,' +
        '"Healthcheck":{"Test":["CMD","a\\u003cb"],"Interval":30000000000,"Retries":3},"OnBuild":["RUN x"],"Shell":["/bin/bash","-c"],' +
        '"Unknown":{"b":1,"a":2}},"created":"2024-05-01T10:00:00.12Z","history":[{"created":"2024-05-01T10:00:00.12Z",' +
        '"created_by":"RUN x # buildkit","comment":"buildkit.dockerfile.v0"},{"created":"2024-05-01T10:00:00.12Z",' +
        '"created_by":"CMD [\\"sh\\"]","empty_layer":true}],"moby.buildkit.cache.v0":"x","os":"linux","rootfs":{"type":"layers",' +
        `"diff_ids":["${sha256('tar a')}"]},"variant":"v7"}`,
    );
    expect(manifestDocument).toBe(`{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "${sha256(configDocument ?? '')}",
    "size": ${configDocument?.length}
  },
  "layers": [
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "${sha256('blob a')}",
      "size": 1
    }
  ]
}`);
    expect(assembled.root).toEqual({
      mediaType: mediaTypes.ociManifest,
      digest: sha256(manifestDocument ?? ''),
      size: manifestDocument?.length,
    });
  });

  test('several platforms have an index, in the order of the request', () => {
    const assembled = assembleImage([
      image([], [layer('a', T0)]),
      image([], [layer('a', T0)], { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }),
    ]);
    expect(assembled.root.mediaType).toBe(mediaTypes.ociIndex);
    const index = JSON.parse(Buffer.from(assembled.documents.at(-1)!.bytes).toString()) as { manifests: unknown[] };
    expect(index.manifests.map((entry) => (entry as { platform: unknown }).platform)).toEqual([
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ]);
    expect(Object.keys(index)).toEqual(['schemaVersion', 'mediaType', 'manifests']);
    expect(assembleImage([image([], [])], { forceIndex: true }).root.mediaType).toBe(mediaTypes.ociIndex);
  });

  test("Docker's media types on request", () => {
    const layers = [
      layer('a'),
      { ...layer('b'), descriptor: { mediaType: mediaTypes.ociLayerZstd, digest: sha256('z'), size: 1 } },
    ];
    const assembled = assembleImage([image([], layers)], { ociMediaTypes: false });
    expect(assembled.root.mediaType).toBe(mediaTypes.dockerManifest);
    expect(assembled.platforms[0]?.config.mediaType).toBe(mediaTypes.dockerConfig);
    expect(assembled.platforms[0]?.layers.map(({ mediaType }) => mediaType)).toEqual([
      mediaTypes.dockerLayerGzip,
      'application/vnd.docker.image.rootfs.diff.tar.zstd',
    ]);
  });

  test('layers of Docker base images get OCI types; internal annotations stay inside', () => {
    const descriptor = {
      mediaType: mediaTypes.dockerLayerGzip,
      digest: sha256('b'),
      size: 3,
      urls: ['https://x.example'],
      annotations: {
        'containerd.io/uncompressed': 'x',
        'containerd.io/distribution.source.docker.io': 'y',
        'buildkit/createdat': 'z',
        kept: 'yes',
      },
    };
    const { platforms } = assembleImage([image([], [{ descriptor, diffId: sha256('d') }])]);
    expect(platforms[0]?.layers).toEqual([
      { mediaType: mediaTypes.ociLayerGzip, digest: sha256('b'), size: 3, annotations: { kept: 'yes' } },
    ]);
  });

  test('no layers at all is an image too', () => {
    const parsed = configOf(image([], []));
    expect(parsed.rootfs.diff_ids).toEqual([]);
    expect('created' in parsed).toBe(false);
  });
});

describe('history', () => {
  test('metadata before the first new layer takes its time, metadata after it the time of the layer before', () => {
    const base = { created: '2020-01-01T00:00:00Z', created_by: 'base' };
    const { history, created } = configOf(
      image(
        [
          base,
          { created_by: 'ENV', empty_layer: true },
          { created_by: 'RUN 1' },
          { created_by: 'CMD', empty_layer: true },
          { created_by: 'RUN 2' },
          { created_by: 'USER', empty_layer: true },
        ],
        [layer('base'), layer('1', T0), layer('2', T0 + 5000)],
      ),
    );
    expect(history.map(({ created_by: by, created }) => `${by} ${created}`)).toEqual([
      'base 2020-01-01T00:00:00Z',
      'ENV 2024-05-01T10:00:00.12Z',
      'RUN 1 2024-05-01T10:00:00.12Z',
      'CMD 2024-05-01T10:00:00.12Z',
      'RUN 2 2024-05-01T10:00:05.12Z',
      'USER 2024-05-01T10:00:05.12Z',
    ]);
    expect(created).toBe('2024-05-01T10:00:05.12Z');
  });

  test('without new layers the times are those of the base', () => {
    const { history, created } = configOf(
      image([{ created: '2020-01-01T00:00:00Z' }, { created_by: 'ENV', empty_layer: true }], [layer('base')]),
    );
    expect(history[1]?.created).toBe('2020-01-01T00:00:00Z');
    expect(created).toBe('2020-01-01T00:00:00Z');
  });

  test('layers without an entry get one', () => {
    const { history } = configOf(image([{ created_by: 'RUN 1' }], [layer('1', T0), layer('2', T0)]));
    expect(history[1]).toEqual({
      created: '2024-05-01T10:00:00.12Z',
      created_by: 'made 2',
      comment: 'buildkit.exporter.image.v0',
    });
  });

  test('entries without a layer become empty ones', () => {
    const { history } = configOf(image([{ created_by: 'RUN 1' }, { created_by: 'RUN 2' }], [layer('1', T0)]));
    expect(history.map(({ empty_layer: empty }) => empty)).toEqual([undefined, true]);
  });

  test('entries and layers always match in number, and every entry has a time once one has', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ empty_layer: fc.boolean(), created: fc.constantFrom(undefined, '2021-01-01T00:00:00Z') })),
        fc.array(fc.constantFrom(undefined, T0)),
        (entries, times) => {
          const history = entries.map(({ empty_layer: empty, created }) => ({
            empty_layer: empty,
            ...(created === undefined ? {} : { created }),
          }));
          const parsed = configOf(
            image(
              history,
              times.map((time, index) => layer(String(index), time)),
            ),
          );
          expect(parsed.history.filter(({ empty_layer: empty }) => empty !== true)).toHaveLength(times.length);
          const timed = parsed.history.filter(({ created }) => created !== undefined).length;
          expect(timed === 0 || timed === parsed.history.length).toBe(true);
        },
      ),
    );
  });
});

describe('SOURCE_DATE_EPOCH', () => {
  const epoch = Date.parse('2022-01-01T00:00:00Z') / 1000;
  const base = [{ created: '2023-06-01T00:00:00Z', created_by: 'base' }];

  test("limits the times of the build and leaves the base's history", () => {
    const parsed = configOf(
      image(
        [...base, { created_by: 'RUN' }, { created: '2021-01-01T00:00:00Z', created_by: 'old', empty_layer: true }],
        [layer('base'), layer('1', T0)],
        {
          baseHistory: base,
        },
      ),
      { epoch },
    );
    expect(parsed.history.map(({ created }) => created)).toEqual([
      '2023-06-01T00:00:00Z',
      '2022-01-01T00:00:00Z',
      '2021-01-01T00:00:00Z',
    ]);
    expect(parsed.created).toBe('2021-01-01T00:00:00Z');
  });

  test("a history that differs from the base is the build's own", () => {
    const parsed = configOf(image(base, [layer('base')], { baseHistory: [{ ...base[0], comment: 'x' }] }), { epoch });
    expect(parsed.history[0]?.created).toBe('2022-01-01T00:00:00Z');
  });

  test('a time in the config is limited', () => {
    const one = image([], []);
    const later = { ...one, config: config([], { created: '2024-01-01T00:00:00.5Z' }) };
    expect(configOf(later, { epoch }).created).toBe('2022-01-01T00:00:00Z');
    expect(configOf(later).created).toBe('2024-01-01T00:00:00.5Z');
  });

  test('two builds at different times give the same bytes', () => {
    const at = (time: number) =>
      assembleImage([image([{ created_by: 'RUN' }], [layer('1', time)])], { epoch }).root.digest;
    expect(at(T0)).toBe(at(T0 + 86_400_000));
  });
});

describe('annotations', () => {
  const annotations = {
    all: { manifest: { b: '1', a: 'all' }, manifestDescriptor: { d: 'x' } },
    platforms: new Map([['linux/arm64', { manifest: { a: 'arm' } }]]),
    index: { i: '1' },
    indexDescriptor: { j: '2' },
  };
  const arm = image([], [], { platform: { os: 'linux', architecture: 'arm64' } });

  test('go where they belong', () => {
    const assembled = assembleImage([image([], []), arm], { annotations });
    const parsed = assembled.documents.map(
      ({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>,
    );
    expect(parsed.flatMap((document) => document['annotations'] ?? [])).toEqual([
      { a: 'all', b: '1' },
      { a: 'arm', b: '1' },
      { i: '1' },
    ]);
    expect((parsed.at(-1) as { manifests: { annotations: unknown }[] }).manifests[0]?.annotations).toEqual({ d: 'x' });
    expect(assembled.root.annotations).toEqual({ j: '2' });
  });

  test('cannot go where there is no place', () => {
    expect(() => assembleImage([arm], { annotations })).toThrow(
      'index annotations not supported for single platform export',
    );
    expect(() => assembleImage([arm, arm], { annotations, ociMediaTypes: false })).toThrow(
      'cannot export annotations with "oci-mediatypes=false"',
    );
  });
});
