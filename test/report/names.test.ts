import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RecordedVertex } from '../../src/report/record.ts';
import { parseStepName } from '../../src/report/step-name.ts';
import { transfersOf } from '../../src/report/transfers.ts';

describe('the name of a vertex', () => {
  test.each<[string, boolean, object]>([
    ['[2/3] RUN make', true, { kind: 'step', number: '2/3', text: 'RUN make' }],
    ['[build 2/3] RUN make', true, { kind: 'step', stage: 'build', number: '2/3', text: 'RUN make' }],
    ['[ 2/12] RUN make', true, { kind: 'step', number: '2/12', text: 'RUN make' }],
    ['[build  2/12] RUN make', true, { kind: 'step', stage: 'build', number: '2/12', text: 'RUN make' }],
    [
      '[linux/arm64 build   2/100] RUN make',
      true,
      { kind: 'step', platform: 'linux/arm64', stage: 'build', number: '2/100', text: 'RUN make' },
    ],
    ['[linux/arm64  1/12] FROM a', true, { kind: 'source', platform: 'linux/arm64', number: '1/12', text: 'FROM a' }],
    [
      '[linux/arm/v7 build 12/13] COPY a b',
      true,
      { kind: 'step', platform: 'linux/arm/v7', stage: 'build', number: '12/13', text: 'COPY a b' },
    ],
    [
      '[linux/arm64 1/2] FROM alpine',
      true,
      { kind: 'source', platform: 'linux/arm64', number: '1/2', text: 'FROM alpine' },
    ],
    [
      '[stage-1 1/1] FROM docker.io/a@sha256:b',
      true,
      { kind: 'source', stage: 'stage-1', number: '1/1', text: 'FROM docker.io/a@sha256:b' },
    ],
    ['[internal] load build context', false, { kind: 'internal', text: 'load build context' }],
    ['[internal] load build context', true, { kind: 'source', text: 'load build context' }],
    ['[auth] registry.test', false, { kind: 'internal', text: 'registry.test' }],
    ['exporting to image', false, { kind: 'output', text: 'exporting to image' }],
    ['pushing layers', false, { kind: 'output', text: 'pushing layers' }],
    ['https://example.com/x.tar', true, { kind: 'source', text: 'https://example.com/x.tar' }],
    ['anything else', false, { kind: 'internal', text: 'anything else' }],
  ])('%s', (name, inGraph, parts) => {
    expect(parseStepName(name, inGraph)).toEqual(parts);
  });

  test('loses nothing of the instruction', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.boolean(), (text, inGraph) => {
        expect(parseStepName(`[a 1/2] ${text}`, inGraph).text).toBe(text);
        expect(`[internal] ${text}`.endsWith(parseStepName(`[internal] ${text}`, inGraph).text)).toBe(true);
      }),
    );
  });
});

describe('transfers', () => {
  const vertex = (name: string, ...parts: RecordedVertex['parts']): RecordedVertex => ({
    digest: name,
    name,
    inputs: [],
    state: 'done',
    spans: [],
    inGraph: true,
    parts,
  });
  const part = (id: string, more: Partial<RecordedVertex['parts'][number]> = {}): RecordedVertex['parts'][number] => ({
    id,
    span: [0, 1],
    current: 5,
    unit: 'bytes',
    ...more,
  });
  const directions = (...vertices: readonly RecordedVertex[]): readonly string[] =>
    transfersOf(vertices).map(({ direction }) => direction);

  test('go down for images and sources, up for pushes, and nowhere for what stays here', () => {
    expect(directions(vertex('[1/2] FROM alpine', part('sha256:a')))).toEqual(['down']);
    expect(directions(vertex('[internal] load build context', part('transferring context')))).toEqual(['local']);
    expect(directions(vertex('pushing layers', part('pushing layer sha256:a')))).toEqual(['up']);
    expect(directions(vertex('exporting cache to registry', part('writing layer sha256:a')))).toEqual(['up']);
    expect(directions(vertex('exporting cache to registry', part('preparing')))).toEqual([]);
    expect(directions(vertex('exporting to image', part('exporting layer sha256:a')))).toEqual([]);
    expect(
      directions(vertex('[1/2] FROM alpine', part('files', { unit: 'count' }), part('sha256:b', { current: 0 }))),
    ).toEqual([]);
  });

  test('stand in the order in which they began, each with its step', () => {
    const found = transfersOf([
      vertex('a', part('late', { span: [9, 10], total: 7 })),
      vertex('b', part('early', { span: [1, 2] }), part('also late', { span: [9, 12] })),
    ]);
    expect(found).toEqual([
      { step: 1, id: 'early', direction: 'down', span: [1, 2], bytes: 5 },
      { step: 0, id: 'late', direction: 'down', span: [9, 10], bytes: 5, total: 7 },
      { step: 1, id: 'also late', direction: 'down', span: [9, 12], bytes: 5 },
    ]);
  });
});
