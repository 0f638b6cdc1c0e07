import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mediaTypes } from '../../src/image/index.ts';
import { Store } from '../../src/store/index.ts';
import { commandIn } from '../fakes/command.ts';
import { blobOf, tar, testImage, type TestImageOptions } from '../support/image.ts';
import { TempDir } from '../tree/support.ts';

const NOW = Date.UTC(2024, 0, 2);
let dir: TempDir;

/** An archive of one image, which is made by hand so that it may say what nobody should. */
function archive(file: string, options: TestImageOptions): ReturnType<typeof testImage> {
  const image = testImage(options);
  const { digest, size } = image.manifest;
  const index = blobOf({ schemaVersion: 2, manifests: [{ mediaType: mediaTypes.ociManifest, digest, size }] });
  const blobs = image.blobs.map((blob) => ({ name: `blobs/${blob.digest.replace(':', '/')}`, content: blob.bytes }));
  const layout = { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' };
  writeFileSync(join(dir.path, file), tar([layout, { name: 'index.json', content: index.bytes }, ...blobs]));
  return image;
}

let app: ReturnType<typeof testImage>;
beforeAll(async () => {
  dir = new TempDir();
  const text = `RUN /bin/sh -c ${'👍'.repeat(30)} # buildkit`;
  app = archive('app.tar', {
    layers: [[{ name: 'one', content: '1' }], [{ name: 'two', content: '22' }]],
    config: {
      created: '2024-01-01T00:00:00Z',
      config: { Labels: { team: 'a', 'com.example.x': 'y' }, Cmd: ['sh'], ExposedPorts: { '80/tcp': {} } },
      history: [
        { created: '2023-01-01T00:00:00Z', created_by: '/bin/sh -c #(nop) ADD file:1 in / ', comment: 'base' },
        { created: '2024-01-01T23:59:30Z', created_by: text },
        { created: 'garbage', created_by: 'ENV A=\u001b[31mb', empty_layer: true },
      ],
    },
  });
  archive('odd.tar', { config: { created: 'not a time' } });
  await ok('import', 'app.tar', '-t', 'app:1', '-t', 'reg.test:5000/team/app:v2');
  await ok('import', 'odd.tar', '-t', 'odd:1');
  // As pull leaves one that was asked for by its digest.
  using store = Store.open(join(dir.path, 'store'), { now: () => NOW });
  const { digest, size } = app.manifest;
  store.images.put(`docker.io/library/pinned@${digest}`, { mediaType: mediaTypes.ociManifest, digest, size });
});
afterAll(() => dir[Symbol.dispose]());

const { run, ok } = commandIn(() => dir.path, { now: () => NOW });
const id = (): string => app.config.digest.slice('sha256:'.length, 'sha256:'.length + 12);

describe('images', () => {
  test('have repository and tag apart, whatever port their registry has and however they were named', async () => {
    expect((await ok('images', '--format', '{{.Repository}} {{.Tag}}')).split('\n')).toEqual([
      'app 1',
      'odd 1',
      'pinned <none>',
      'reg.test:5000/team/app v2',
      '',
    ]);
  });

  test('are as old as they say, and not of now when they say nonsense', async () => {
    expect(await ok('images', 'app:1', '--format', '{{.CreatedSince}}|{{.CreatedAt}}')).toBe(
      '24 hours ago|2024-01-01T00:00:00Z\n',
    );
    expect(await ok('images', 'odd', '--format', '{{.CreatedSince}}|{{.Size}}')).toMatch(/^\|\d/);
  });

  test('have ids that are short unless they are to be whole', async () => {
    expect(await ok('images', 'app:1', '--format', '{{.ID}}')).toBe(`${id()}\n`);
    expect(await ok('images', 'app:1', '--format', '{{.ID}}', '--no-trunc')).toBe(`${app.config.digest}\n`);
    expect(await ok('images', 'app:1', '-q')).toBe(`${app.config.digest}\n`);
    expect(await ok('images', 'pinned', '--digests', '--format', 'table')).toContain(
      `  ${app.manifest.digest}  ${id()}  `,
    );
  });

  test('are chosen by label, name and age', async () => {
    const names = async (...words: string[]): Promise<readonly string[]> =>
      (await ok('images', '--format', '{{.Repository}}', ...words)).split('\n').filter(Boolean);
    expect(await names('-f', 'label=team=a', '-f', 'label=com.example.x')).toEqual([
      'app',
      'pinned',
      'reg.test:5000/team/app',
    ]);
    expect(await names('-f', 'label=team=b')).toEqual([]);
    expect(await names('-f', 'until=1h', '-f', 'reference=app')).toEqual(['app']);
    expect(await names('-f', 'until=2023-06-01')).toEqual([]);
    expect(await names('-f', 'dangling=true')).toEqual([]);
    expect(await names('none')).toEqual([]);
    expect(await ok('images', 'none')).toBe('IMAGE  ID  PLATFORM  CREATED  SIZE\n');
    expect(await ok('images', 'none', '--format=json')).toBe('[]\n');
  });
});

describe('history', () => {
  test('is newest first, with what made each layer and how large that is', async () => {
    const rows = JSON.parse(await ok('history', '--format=json', 'app:1')) as Record<string, unknown>[];
    expect(rows.map(({ id: one, size, layer }) => [one, size, layer])).toEqual([
      [app.config.digest, 0, undefined],
      ['<missing>', app.layers[1]?.size, app.layers[1]?.digest],
      ['<missing>', app.layers[0]?.size, app.layers[0]?.digest],
    ]);
    expect(await ok('history', '--format', '{{.ID}} {{.CreatedSince}} {{.Comment}}', 'app:1')).toBe(
      `${id()} N/A \n<missing> 30 seconds ago \n<missing> 12 months ago base\n`,
    );
    expect(await ok('history', '-q', '--no-trunc', 'app:1')).toBe(`${app.config.digest}\n<missing>\n<missing>\n`);
  });

  test('cuts what was run between characters, or shows it whole', async () => {
    const shown = async (...words: string[]): Promise<readonly string[]> =>
      (await ok('history', '--format', '{{.CreatedBy}}', ...words, 'app:1')).split('\n');
    const [env, cut, nop] = await shown();
    // A file or a program gets it as it is.
    expect(env).toBe('ENV A=\u001b[31mb');
    expect(nop).toBe('ADD file:1 in /');
    expect(cut).toMatch(/^RUN (?:👍)+…$/u);
    expect(cut?.isWellFormed()).toBe(true);
    expect((await shown('--no-trunc'))[1]).toBe(`RUN /bin/sh -c ${'👍'.repeat(30)} # buildkit`);
  });

  test('has bytes in figures, and times, where nobody is to read it', async () => {
    const text = await ok('history', '--human=false', '--format', '{{.Size}} {{.CreatedAt}}', 'app:1');
    expect(text.split('\n')[1]).toBe(`${app.layers[1]?.size} 2024-01-01T23:59:30Z`);
  });

  test.each([
    [['none:1'], 'no such image in the local image store'],
    [['--platform=linux/s390x', 'app:1'], 'Cannot find linux/s390x in image "app:1"'],
    [['--format', '{{.Created}}', 'app:1'], 'there is no field ".Created"'],
  ])('%j is refused', async (words, why) => {
    const { code, out, err } = await run('history', ...words);
    expect(code).toBeGreaterThan(0);
    expect(out).toBe('');
    expect(err).toContain(why);
  });
});

describe('inspect', () => {
  test('of several prints those that are there, tells the others, and ends with 1', async () => {
    const { code, out, err } = await run('inspect', 'none:1', 'app:1', 'none:2', 'odd:1');
    expect(code).toBe(1);
    expect((JSON.parse(out) as { RepoTags: string[] }[]).map(({ RepoTags }) => RepoTags[0])).toEqual([
      'app:1',
      'odd:1',
    ]);
    expect(err).toMatch(/No such object: none:1[^]*No such object: none:2/);
    const formatted = await run('inspect', '-f', '{{.Id}}', 'none:1', 'app:1');
    expect(formatted).toMatchObject({ code: 1, out: `${app.config.digest}\n` });
  });

  test('of none that is there prints the empty list that programs expect, and nothing for a template', async () => {
    expect(await run('inspect', 'none:1')).toMatchObject({ code: 1, out: '[]\n' });
    expect(await run('inspect', '--type', 'image', 'none:1')).toMatchObject({ code: 1, out: '[]\n' });
    expect(await run('inspect', '-f', '{{.Id}}', 'none:1')).toMatchObject({ code: 1, out: '' });
  });

  test('stops at a mistake in what was typed', async () => {
    const { code, out, err } = await run('inspect', '-f', '{{.Nope}}', 'app:1', 'odd:1');
    expect([code, out]).toEqual([2, '']);
    expect(err.match(/no field/g)).toHaveLength(1);
  });

  test.each([
    ['{{.Id}} {{.Os}}/{{.Architecture}}{{.Variant}}', () => `${app.config.digest} linux/amd64`],
    ['{{index .Config.Labels "com.example.x"}} {{.Config.Labels.none}}', () => 'y <no value>'],
    ['{{range $port, $_ := .Config.ExposedPorts}}{{$port}}{{end}}', () => '80/tcp'],
    ['{{json .Config.Cmd}} {{json .Config.Entrypoint}}', () => '["sh"] null'],
    ['{{len .RootFS.Layers}} {{.Created}}', () => '2 2024-01-01T00:00:00Z'],
    ['{{.RepoTags}}', () => '[app:1 reg.test:5000/team/app:v2]'],
    [
      '{{range .RepoDigests}}{{println .}}{{end}}',
      () => ['app', 'pinned', 'reg.test:5000/team/app'].map((name) => `${name}@${app.manifest.digest}\n`).join(''),
    ],
  ])('%s', async (format, text) => {
    expect(await ok('inspect', '-f', format, 'app:1')).toBe(`${text()}\n`);
  });

  test.each(['json', ''])('-f %j is the whole document, as with docker', async (format) => {
    expect(JSON.parse(await ok('inspect', '-f', format, 'app:1'))).toEqual(JSON.parse(await ok('inspect', 'app:1')));
  });

  test('takes an id, a short one and a digest for the image', async () => {
    for (const name of [app.config.digest, id(), `app@${app.manifest.digest}`, 'docker.io/library/app:1'])
      expect(await ok('inspect', '-f', '{{.Id}}', name), name).toBe(`${app.config.digest}\n`);
  });

  test.each([
    [['--raw', '--layers', 'app:1'], '--layers goes with neither --raw nor --config'],
    [['--raw', '-f', '{{.Id}}', 'app:1'], '--format goes with neither --raw nor --config'],
    [['--config', 'app:1', 'odd:1'], '--raw, --config and --layers are for one image'],
    [['--type=pod', 'app:1'], '--type'],
  ])('%j is refused', async (words, why) => {
    const { code, out, err } = await run('inspect', ...words);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(why);
  });

  test('prints documents as they are', async () => {
    expect(await ok('inspect', '--raw', 'app:1')).toBe(app.manifest.bytes.toString());
    expect(await ok('inspect', '--raw', '--config', 'app:1')).toBe(app.config.bytes.toString());
  });
});

describe('what is written to a file', () => {
  test('in a directory that is not there says which one, and how to make it', async () => {
    const { code, err } = await run('save', 'app:1', '-o', 'none/deep/app.tar');
    expect(code).toBe(1);
    const missing = JSON.stringify(join(dir.path, 'none/deep'));
    expect(err).toContain(`: the directory ${missing} does not exist\nhint: make it first: mkdir -p ${missing}`);
    expect(existsSync(join(dir.path, 'none'))).toBe(false);
  });

  test('in what is no directory, and over one, says so', async () => {
    expect((await run('save', 'app:1', '-o', 'app.tar/x')).err).toContain('a parent is not a directory');
    expect((await run('save', 'app:1', '-o', '.')).err).toMatch(/it is a directory\nhint: name a file$/m);
  });
});
