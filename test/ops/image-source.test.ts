import { describe, expect, test } from 'vitest';
import { loadGraph, marshal, ociLayout } from '../../src/llb/index.ts';
import { imageOf } from '../../src/ops/image-source.ts';
import type { Origins } from '../../src/ops/pieces.ts';
import { testTask } from '../support/task.ts';

const layers = ['one', 'two', 'three'];
const origins = {
  image: () => Promise.resolve({ manifestDigest: 'manifest', chainId: 'three', layers }),
} as unknown as Origins;

describe('an image of which a graph wants the lowest layers only', () => {
  const limited = (limit: string) => {
    const [vertex] = loadGraph(marshal(ociLayout('image@sha256:0'))).vertices;
    const { body } = vertex?.op ?? {};
    if (vertex === undefined || body?.kind !== 'source') throw new Error('it is no source');
    return imageOf(origins, testTask(), vertex, { ...body, attrs: new Map([['oci.layerlimit', limit]]) });
  };

  test('has these, and is another base than the whole image', async () => {
    expect(await limited('2')).toEqual({ manifestDigest: 'two', chainId: 'two', layers: ['one', 'two'] });
    expect(await limited('')).toMatchObject({ manifestDigest: 'manifest', layers });
    expect(await limited('3')).toMatchObject({ manifestDigest: 'manifest', layers });
  });

  test.each([
    ['4', 'Cannot use 4 layers of "oci-layout://image@sha256:0": the image has 3'],
    ['0', 'it is not a number of layers'],
    ['-1', 'it is not a number of layers'],
    ['1e1', 'it is not a number of layers'],
  ])('%s is refused', async (limit, message) => {
    await expect(limited(limit)).rejects.toThrow(message);
  });
});
