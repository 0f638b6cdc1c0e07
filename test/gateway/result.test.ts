import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FrontendResult } from '../../src/gateway/host.ts';
import { imagesOf, metadataOf } from '../../src/gateway/result.ts';
import type { Definition } from '../../src/llb/index.ts';
import { hostPlatform } from '../../src/image/index.ts';

const definition: Definition = { def: [Buffer.from('x')], metadata: new Map() };
const metadata = (values: Readonly<Record<string, unknown>>): Map<string, Uint8Array> =>
  new Map(
    Object.entries(values).map(([key, value]) => [
      key,
      Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    ]),
  );
const one = (values: Readonly<Record<string, unknown>> = {}): FrontendResult => ({
  refs: { kind: 'one', definition },
  metadata: metadata(values),
});
const many = (ids: readonly string[], values: Readonly<Record<string, unknown>>): FrontendResult => ({
  refs: { kind: 'map', definitions: new Map(ids.map((id) => [id, definition])) },
  metadata: metadata(values),
});
const named = (...ids: readonly string[]): object => ({
  Platforms: ids.map((ID) => ({ ID, Platform: { os: 'linux', architecture: ID.split('/')[1] ?? '' } })),
});

describe('the images of a result', () => {
  test('one without a word about it is for this machine, with an empty config', () => {
    const { images, multiPlatform } = imagesOf(one());
    expect(multiPlatform).toBe(false);
    expect(images).toEqual([expect.objectContaining({ platform: hostPlatform(), definition })]);
    expect(images[0]?.config).toBeUndefined();
  });

  test('one with a config is for the platform of that, and has its own layers only', () => {
    const config = {
      os: 'linux',
      architecture: 'arm',
      variant: 'v6',
      config: { Cmd: ['a'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${'0'.repeat(64)}`] },
    };
    const [image] = imagesOf(one({ 'containerimage.config': config })).images;
    expect(image).toMatchObject({ id: 'linux/arm/v6', config: { config: { Cmd: ['a'] }, rootfs: { diff_ids: [] } } });
    const [bare] = imagesOf(one({ 'containerimage.config': { config: {} } })).images;
    expect(bare?.config).toMatchObject({ os: 'linux', architecture: hostPlatform().architecture });
  });

  test('a map is an index, each with the config of its key, or the common one', () => {
    const config = (architecture: string, Cmd: string): object => ({
      os: 'linux',
      architecture,
      config: { Cmd: [Cmd] },
    });
    const { images, multiPlatform } = imagesOf(
      many(['linux/amd64', 'linux/arm64'], {
        'refs.platforms': named('linux/amd64', 'linux/arm64'),
        'containerimage.config': config('arm64', 'common'),
        'containerimage.config/linux/amd64': config('amd64', 'own'),
        'containerimage.base.config/linux/amd64': config('amd64', 'base'),
      }),
    );
    expect(multiPlatform).toBe(true);
    expect(images.map(({ id, config: image }) => [id, image?.config.Cmd])).toEqual([
      ['linux/amd64', ['own']],
      ['linux/arm64', ['common']],
    ]);
    expect(images[0]?.baseConfig?.config.Cmd).toEqual(['base']);
  });

  test('metadata says the same again', () => {
    const result = many(['linux/amd64'], {
      'refs.platforms': named('linux/amd64'),
      'containerimage.config/linux/amd64': { os: 'linux', architecture: 'amd64', config: { Cmd: ['x'] } },
    });
    const images = imagesOf(result);
    expect(imagesOf({ refs: result.refs, metadata: metadataOf(images) })).toEqual(images);
  });

  test.each([
    ['several references without platforms', many(['a', 'b'], {}), 'refs.platforms'],
    ['no references', many([], {}), 'is empty'],
    [
      'a platform without reference',
      many(['linux/amd64'], { 'refs.platforms': named('linux/arm64') }),
      '"linux/arm64"',
    ],
    [
      'several platforms for one reference',
      one({ 'refs.platforms': named('linux/amd64', 'linux/arm64') }),
      'several platforms',
    ],
    ['platforms twice', many(['linux/amd64'], { 'refs.platforms': named('linux/amd64', 'linux/amd64') }), 'twice'],
    ['no list of platforms', one({ 'refs.platforms': {} }), 'no list'],
    [
      'too long a list',
      one({ 'refs.platforms': named(...Array.from({ length: 300 }, (_, at) => `linux/a${at}`)) }),
      '256',
    ],
    ['platforms that are no JSON', one({ 'refs.platforms': '{' }), 'not JSON'],
    ['a platform that is a path', one({ 'refs.platforms': named('../../x') }), 'without id'],
    ['a platform without os', one({ 'refs.platforms': { Platforms: [{ ID: 'a', Platform: {} }] } }), 'without id'],
    ['a config that is no object', one({ 'containerimage.config': '7' }), 'no object'],
    ['a config with os alone', one({ 'containerimage.config': { os: 'linux' } }), 'specified together'],
    [
      'a config of another form',
      one({ 'containerimage.config': { os: 'linux', architecture: 'amd64', config: { Env: 7 } } }),
      'Env',
    ],
  ])('%s is an error', (_what, result, said) => {
    expect(() => imagesOf(result)).toThrow(said);
  });

  test('whatever metadata has, it is read or refused with a reason', () => {
    const keys = fc.constantFrom('refs.platforms', 'containerimage.config', 'containerimage.config/linux/amd64', 'x');
    const value = fc.oneof(fc.json(), fc.string(), fc.constant(JSON.stringify(named('linux/amd64'))));
    fc.assert(
      fc.property(
        fc.dictionary(keys, value),
        fc.array(fc.constantFrom('linux/amd64', 'b')),
        fc.boolean(),
        (values, ids, isMap) => {
          try {
            for (const { id } of imagesOf(isMap ? many(ids, values) : one(values)).images)
              expect(id).not.toContain('..');
          } catch (error) {
            expect(error).toMatchObject({
              name: 'TsbuildError',
              code: expect.stringMatching(/^TSB_(DOCKERFILE|IMAGE)$/) as string,
            });
          }
        },
      ),
    );
  });
});
