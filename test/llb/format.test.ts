import { expect, test } from 'vitest';
import { formatDefinition, image, local, marshal } from '../../src/llb/index.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const definition = marshal(
  image('docker.io/library/alpine:latest', { platform, name: '[1/2] FROM "alpine" <3' }).file(
    [{ kind: 'copy', from: { output: local('context').output, dir: '/' }, src: '/a', dest: '/b', options: {} }],
    { name: 'COPY a\nb' },
  ),
  { platform },
);

function text(format: 'json' | 'dot' | 'mermaid'): string {
  return Buffer.from(formatDefinition(definition, format)).toString();
}

test('JSON has the ops by digest in protojson', () => {
  const json = JSON.parse(text('json')) as { def: Record<string, Record<string, unknown>>; metadata: object };
  expect(Object.values(json.def)[0]).toEqual({
    source: { identifier: 'docker-image://docker.io/library/alpine:latest' },
    platform: { Architecture: 'amd64', OS: 'linux' },
    constraints: {},
  });
  expect(Object.values(json.def)[2]?.['file']).toMatchObject({
    actions: [{ secondaryInput: '1', copy: { mode: -1, timestamp: '-1' } }],
  });
  expect(Object.keys(json.metadata)).toEqual(Object.keys(json.def));
});

test('dot quotes what it shows', () => {
  expect(text('dot')).toContain('label="[1/2] FROM \\"alpine\\" <3" shape="ellipse"');
  expect(text('dot')).toContain('label="COPY a\\nb" shape="note"');
  expect(text('dot')).toContain('[label="copy"]');
});

test('mermaid shows what looks like one of its names for a sign as it is', () => {
  const state = image('docker.io/library/a:1', { name: 'RUN echo "#lt;" & #1' });
  const chart = Buffer.from(formatDefinition(marshal(state, { platform }), 'mermaid')).toString();
  expect(chart).toContain('(["RUN echo #quot;#35;lt;#quot; #amp; #35;1"])');
});

test('mermaid escapes what it shows', () => {
  const chart = text('mermaid').split('\n');
  expect(chart[0]).toBe('flowchart TD');
  expect(chart[1]).toBe('  v0(["[1/2] FROM #quot;alpine#quot; #lt;3"])');
  expect(chart[3]).toBe('  v2[/"COPY a<br>b"/]');
  expect(chart).toContain('  v1 -->|"copy"| v2');
});
