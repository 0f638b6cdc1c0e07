import { describe, expect, test } from 'vitest';
import { processorTime } from '../../support/processor-time.ts';
import { compile, config, failure } from './support.ts';

const many = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => `${line(index)}\n`).join('');

/** Dockerfiles of which each line may cost what all lines before it come to: none of them is larger than a megabyte. */
const DOCKERFILES: readonly (readonly [string, string])[] = [
  ['variables, one by one', `FROM scratch\n${many(10_000, (at) => `ENV A${at}=1`)}`],
  ['variables, all at once', `FROM scratch\nENV ${many(10_000, (at) => `A${at}=1 \\`)}B=1\n`],
  ['arguments of a stage', `FROM scratch\n${many(10_000, (at) => `ARG A${at}=1`)}`],
  ['arguments before FROM', `${many(10_000, (at) => `ARG A${at}=1`)}FROM scratch\n`],
  ['one argument again and again, and steps', `FROM alpine\n${many(6000, () => 'ARG A=1\nRUN x')}`],
  [
    'names that are not there, and many that are like them',
    `FROM scratch\nENV ${many(5000, (at) => `aaaa${at}=1 \\`)}b=1\n${many(2000, (at) => `USER $aaax${at}`)}`,
  ],
  ['findings with a place', `FROM scratch\n${many(8000, () => 'MAINTAINER x')}`],
  [
    'stages on stages with variables',
    `FROM scratch AS s0\nENV ${many(300, (at) => `x${at}=${'y'.repeat(90)} \\`)}b=1\n${many(2000, (at) => `FROM s${at} AS s${at + 1}`)}`,
  ],
  ['commands that look like installs', `FROM scratch\n${many(30, () => `RUN ${'mvn '.repeat(4090)}`)}`],
  ['commands that look like updates', `FROM scratch\n${many(30, () => `RUN apt${' -apt'.repeat(3200)}`)}`],
  ['requirements of pip', `FROM scratch\n${many(30, () => `RUN ${'pip install '.repeat(1350)}`)}`],
];

describe('a Dockerfile takes time in proportion to its size', () => {
  test.each(DOCKERFILES)('%s', async (_name, text) => {
    expect(text.length).toBeLessThan(1 << 20);
    expect(await processorTime(async () => expect(await failure(text)).toBe('compiled'))).toBeLessThan(4000);
  });

  test('a name of sixty thousand letters, and another one', async () => {
    const text = `FROM scratch\nENV ${'a'.repeat(60_000)}x=1\nUSER $${'a'.repeat(60_000)}y\n`;
    expect(await processorTime(() => failure(text))).toBeLessThan(4000);
  });

  test('stages that take over what would not fit into memory are refused', async () => {
    const text = `FROM scratch AS s0\nENV ${many(2000, (at) => `x${at}=1 \\`)}b=1\n${many(20_000, (at) => `FROM s${at} AS s${at + 1}`)}`;
    expect(await failure(text)).toMatch(/^with its variables expanded the Dockerfile has more than 64 MiB @/);
    expect(process.memoryUsage().rss).toBeLessThan(2 ** 31);
  });
});

describe('and means the same', () => {
  test('a variable is set where it stands, whatever was set between', async () => {
    const text = `FROM scratch\n${many(2000, (at) => `ENV A${at % 700}=${at}`)}`;
    const { Env = [] } = config(await compile(text)).config;
    expect(Env.slice(1)).toEqual(Array.from({ length: 700 }, (_, at) => `A${at}=${at < 600 ? at + 1400 : at + 700}`));
  });

  test('of a base with a variable twice the first is set, as BuildKit does it', async () => {
    const images = { 'docker.io/library/twice:latest': { Env: ['PATH=/bin', 'A=1', 'A=2'] } };
    const { Env } = config(await compile('FROM twice\nENV A=3 B=4\nENV B=5\n', {}, { images })).config;
    expect(Env).toEqual(['PATH=/bin', 'A=3', 'A=2', 'B=5']);
  });

  test('stages that share a base do not see what the others set', async () => {
    const text =
      'FROM alpine AS a\nENV A=1\nLABEL l=1\nVOLUME /v\nFROM a AS b\nENV A=2 B=2\nLABEL l=2 m=2\nVOLUME /w\nFROM a\nENV C=3\nCOPY --from=b / /\n';
    const { Env = [], Labels, Volumes } = config(await compile(text)).config;
    expect(Env.slice(1)).toEqual(['A=1', 'C=3']);
    expect([Labels, Volumes]).toEqual([{ l: '1' }, { '/v': {} }]);
  });

  test('an argument that is declared again keeps its place in the history of steps', async () => {
    const result = await compile('FROM alpine\nARG A=1\nARG B=2\nARG A=3\nARG B\nRUN x\n');
    expect(config(result).history.at(-1)?.created_by).toBe('RUN |2 A=3 B=2 /bin/sh -c x # buildkit');
  });
});
