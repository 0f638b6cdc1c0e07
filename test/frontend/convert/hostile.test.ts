import { describe, expect, test } from 'vitest';
import { parsePlatform } from '../../../src/image/index.ts';
import { imageConfigBytes } from '../../../src/exporter/config.ts';
import { type Asked, compile, config, failure, history, names, vertices } from './support.ts';

const of = (...lines: readonly string[]): string => `FROM alpine\n${lines.join('\n')}\n`;
/** Words of a megabyte each, by way of a variable. */
const wide = [`ENV A=${'x'.repeat(60_000)}`, `ENV A=${'$A'.repeat(17)}`];

describe('what a Dockerfile comes to has an end (PAR-02)', () => {
  test.each<[string, string, RegExp]>([
    ['variables that double', of('ENV A=xx', ...Array(60).fill('ENV A=$A$A')), /the result is longer than \d+ characters @/],
    ['labels', of(...wide, ...Array(100_000 - 3).fill('LABEL a=$A')), /^with its variables expanded the Dockerfile has more than 64 MiB @\d+$/],
    ['arguments before FROM', `ARG A=${'x'.repeat(60_000)}\n${'ARG A2=$A$A$A$A$A$A$A\n'.repeat(1000)}FROM scratch`, /more than 64 MiB @\d+$/],
    ['arguments in the history of steps', of('ARG A=x', ...wide.map((line) => line.replace('ENV', 'ARG')), ...Array(1000).fill('RUN x')), /more than 64 MiB @\d+$/],
    ['names of steps', of(...wide, ...Array(1000).fill('COPY a$A /')), /more than 64 MiB/],
    ['files', of(...wide, ...Array(1000).fill('COPY <<E /\n$A\nE')), /more than 64 MiB/],
    ['the environment of steps', of(`ENV A=${'x'.repeat(60_000)}`, ...Array(1200).fill('RUN x')), /^The build graph has more than 64 MiB @$/],
  ])('%s', async (_name, text, message) => {
    expect(await failure(text)).toMatch(message);
  }); // oxfmt-ignore

  test('an image does not get a config that nobody reads', async () => {
    const { platform, config: image } = (await compile(of('LABEL a=b'))).platforms[0]!;
    const labels = (bytes: number) => ({ ...image, config: { ...image.config, Labels: { a: 'x'.repeat(bytes) } } });
    const write = (bytes: number) =>
      imageConfigBytes({ platform, config: labels(bytes), layers: [] }, undefined).bytes.length;
    expect(write(8_380_000)).toBeGreaterThan(8_380_000);
    expect(() => write(8_388_608)).toThrow(/Cannot write the image: its config has \d+ bytes, more than the 8388608/);
  });
});

describe('text that is not what it seems (PAR-05)', () => {
  test.each([
    ['a Cyrillic O', 'FR\u041eM alpine\n', /unknown instruction: FR\u041eM \(did you mean FROM\?\) @1/],
    ['a Kelvin sign', of('COP\u212a a b'), /unknown instruction: COP\u212a/],
    ['a dotless i', of('WORKD\u0131R /'), /unknown instruction: WORKD\u0131R/],
    ['a full-width R', of('\uff32UN x'), /unknown instruction/],
    ['a byte order mark that is not the first', of('\ufeffRUN x'), /unknown instruction/],
    ['NUL in a word', of('ENV a=\0'), /there is a NUL character @2/],
    ['an escape directive twice', '# escape=`\n# escape=`\nFROM alpine\n', /only one escape parser directive/],
    ['an escape of two characters', '# escape=\\\\\nFROM alpine\n', /invalid escape token/],
    ['a byte that is no UTF-8', Buffer.from(of('LABEL a=\u00ff'), 'latin1').toString(), /compiled/],
  ])('%s', async (_name, text, message) => {
    expect(await failure(text)).toMatch(message);
  });

  test('a directive after a comment, an empty line or an instruction is a comment', async () => {
    for (const head of ['# c\n', '\n', 'ARG x\n'])
      expect(history(await compile(`${head}# escape=\`\nFROM alpine\nRUN a \\\n b\n`)).at(-1)).toContain('a  b');
  });

  test('what changes the direction of text is warned about', async () => {
    const { diagnostics } = await compile(of('RUN if [ "$u" != "user\u202e \u2066# admin\u2069 \u2066" ]; then x; fi'));
    expect(diagnostics).toEqual([expect.objectContaining({ code: 'BidirectionalText' })]);
  });
});

describe('stages that name themselves or one another (PAR-06)', () => {
  test('a base of the name of its stage is an image', async () => {
    const asked: Asked = { images: [], files: [] };
    await compile('FROM alpine AS alpine\nRUN x\n', {}, {}, asked);
    expect(asked.images).toEqual(['docker.io/library/alpine:latest']);
    expect(await failure('FROM self AS self\n')).toMatch(/library\/self:latest: not found/);
    expect(await failure('FROM b AS a\nFROM a AS b\n')).toMatch(/library\/b:latest: not found/);
  });

  test.each([['COPY --from=s / /', 'COPY --from=0 / /', 'RUN --mount=from=s,target=/x true', 'ADD --from=s a b']])(
    'a stage that reads itself',
    async (...lines) => {
      for (const line of lines) {
        expect(await failure(`FROM alpine AS s\n${line}\n`)).toMatch(
          /circular dependency detected on stage: s @2|unknown flag: --from/,
        );
      }
    },
  );

  test('a circle of a thousand stages', async () => {
    const stages = Array.from(
      { length: 1000 },
      (_, at) => `FROM alpine AS s${at}\nCOPY --from=s${(at + 1) % 1000} / /\n`,
    );
    expect(await failure(stages.join(''))).toMatch(/circular dependency detected/);
  });
});

test('a frontend that the Dockerfile names is neither asked for nor fetched (PAR-07)', async () => {
  for (const name of ['evil/frontend', 'docker.io/evil/frontend:latest@sha256:00', 'evil/frontend arg']) {
    const asked: Asked = { images: [], files: [] };
    const result = await compile(`# syntax=${name}\n${of('RUN x')}`, {}, {}, asked);
    expect(asked.images).toEqual(['docker.io/library/alpine:latest']);
    expect(names(result)).toHaveLength(2);
  }
});

describe('names that JavaScript gives a meaning (PAR-09)', () => {
  const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];

  test('are variables like any other, and unset unless they are set', async () => {
    expect(history(await compile(of(...NAMES.map((name) => `LABEL a=[$${name}]`)))).slice(-4)).toEqual(
      Array(4).fill('LABEL a=[]'),
    );
    for (const name of NAMES) {
      const text = `ARG ${name}=1\nFROM alpine\nARG ${name}\nENV E${name}=$${name} ${name}=2\nRUN x\n`;
      const given = await compile(text, { buildArgs: new Map([[name, '3']]) });
      for (const [result, value] of [
        [await compile(text), '1'],
        [given, '3'],
      ] as const) {
        expect(config(result).config.Env).toEqual([expect.stringMatching(/^PATH/), `E${name}=${value}`, `${name}=2`]);
        const run = vertices(result).at(-1)?.op.body;
        expect(
          JSON.stringify(run, (_key, item: unknown) => (typeof item === 'bigint' ? Number(item) : item)),
        ).toContain(`"${name}=2"`);
      }
    }
  });

  test('are labels, volumes, stages and contexts, and come out in the config', async () => {
    for (const name of NAMES) {
      const result = await compile(of(`LABEL ${name}=own`, `VOLUME ${name}`), {
        labels: new Map([
          [`x${name}`, 'x'],
          [name, 'given'],
        ]),
      });
      const { platform, config: image } = result.platforms[0]!;
      const { bytes } = imageConfigBytes({ platform, config: image, layers: [] }, undefined);
      expect(Buffer.from(bytes).toString()).toContain(`"${name}":"given"`);
      expect(Buffer.from(bytes).toString()).toContain(`"Volumes":{"${name}":{}}`);
    }
    expect(
      await failure('FROM alpine AS hasOwnProperty\nRUN x\nFROM hasownproperty\nCOPY --from=hasownproperty a b\n'),
    ).toBe('compiled');
    expect(await failure('FROM alpine AS __proto__\n')).toMatch(/invalid name for build stage: "__proto__"/);
    expect(await failure('FROM constructor\n')).toMatch(/library\/constructor:latest: not found/);
    expect(await failure(of('RUN x'), { target: 'constructor' })).toMatch(
      /target stage "constructor" could not be found/,
    );
    expect(await failure(of('RUN --mount=type=bind,constructor=x,target=/x y'))).toMatch(
      /unexpected key 'constructor'/,
    );
  });
});

describe('values that are checked (PAR-10)', () => {
  test.each([
    ['EXPOSE 70000', /invalid containerPort: 70000 @2/],
    ['EXPOSE 1-70000', /invalid containerPort: 1-70000 @2/],
    ['EXPOSE 9-1', /invalid containerPort: 9-1 @2/],
    ['EXPOSE -1', /invalid containerPort|invalid port/],
    ['EXPOSE 1/../x', /invalid proto/],
    ['HEALTHCHECK --interval=1e99h CMD x', /invalid duration|unknown unit/],
    ['HEALTHCHECK --retries=1e99 CMD x', /invalid syntax/],
    ['STOPSIGNAL SIGFOO', /invalid signal: SIGFOO @2/],
    ['STOPSIGNAL 0', /invalid signal: 0/],
    ['USER\t', /USER requires exactly one argument/i],
    ['SHELL sh', /SHELL requires the arguments to be in JSON form/i],
  ])('%s is refused', async (line, message) => {
    expect(await failure(of(line))).toMatch(message);
  });

  test('a range that is repeated comes to an end', async () => {
    expect(await failure(of(`EXPOSE ${'0-65535 '.repeat(8000)}`))).toBe('EXPOSE has more than 196608 ports @2');
  });

  test('all ports at once are named', async () => {
    const image = config(await compile(of('EXPOSE 1-65535 8080/udp', 'EXPOSE 1-65535/UDP')));
    expect(Object.keys(image.config.ExposedPorts ?? {})).toHaveLength(2 * 65_535);
  });

  test.each([
    '../../x',
    '..',
    './amd64',
    'linux/..',
    'linux/amd64/..',
    'linux(..)/amd64',
    'linux/../../x',
    '/',
    'a b',
    'linux/amd64\0',
  ])('platform %j is none', async (text) => {
    expect(() => parsePlatform(text)).toThrow('Cannot use platform');
    if (!text.includes(' '))
      expect(await failure(`FROM --platform=${text} alpine\n`)).toMatch(/failed to parse platform|NUL/);
  });
});
