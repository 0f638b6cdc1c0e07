import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseImageConfig } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';

const parse = (document: unknown) => parseImageConfig(Buffer.from(JSON.stringify(document)), 'config of "x"');
/** The least that the OCI asks for (image-spec config.md). */
const LEAST = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } };

describe('configs of other tools are read', () => {
  test('the example of the image-spec, as it stands there', () => {
    const example = {
      created: '2015-10-31T22:22:56.015925234Z',
      author: 'Alyssa P. Hacker <alyspdev@example.com>',
      architecture: 'amd64',
      os: 'linux',
      config: {
        User: 'alice',
        ExposedPorts: { '8080/tcp': {} },
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'FOO=oci_is_a', 'BAR=well_written_spec'],
        Entrypoint: ['/bin/my-app-binary'],
        Cmd: ['--foreground', '--config', '/etc/my-app.d/default.cfg'],
        Volumes: { '/var/job-result-data': {}, '/var/log/my-app-logs': {} },
        WorkingDir: '/home/alice',
        Labels: { 'com.example.project.git.url': 'https://example.com/project.git' },
      },
      rootfs: { diff_ids: [sha256('a'), sha256('b')], type: 'layers' },
      history: [
        { created: '2015-10-31T22:22:54.690851953Z', created_by: '/bin/sh -c #(nop) ADD file:a3bc1e842b69636f9df5256c49c5374fb4eef1e281fe3f282c65fb853ee171c5 in /' },
        { created: '2015-10-31T22:22:55.613815829Z', created_by: '/bin/sh -c #(nop) CMD ["sh"]', empty_layer: true },
        { created: '2015-10-31T22:22:56.329850019Z', created_by: '/bin/sh -c apk add curl' },
      ],
    }; // oxfmt-ignore
    expect(parse(example)).toEqual(example);
  });

  test('those of an old docker, with all that it wrote and null for what was not set', () => {
    const parsed = parse({
      architecture: 'amd64',
      os: 'linux',
      config: {
        Hostname: 'f1',
        Domainname: '',
        User: '',
        AttachStdin: false,
        Tty: false,
        Env: null,
        Cmd: null,
        ArgsEscaped: null,
        Image: '',
        Volumes: null,
        WorkingDir: '',
        Entrypoint: null,
        OnBuild: null,
        Labels: null,
        Healthcheck: null,
        ExposedPorts: null,
        Shell: null,
        StopSignal: null,
      },
      container: 'f1',
      container_config: { Cmd: ['/bin/sh', '-c', '#(nop) '] },
      docker_version: '1.13.1',
      'os.features': null,
      'os.version': null,
      variant: null,
      created: null,
      author: null,
      history: null,
      rootfs: { type: 'layers', diff_ids: null },
    });
    expect(parsed.config).toEqual({ Hostname: 'f1', Domainname: '', User: '', AttachStdin: false, Tty: false, Image: '', WorkingDir: '' });
    expect(parsed.rootfs).toEqual({ type: 'layers', diff_ids: [] });
    expect(parsed.history).toEqual([]);
    expect(parsed['docker_version']).toBe('1.13.1');
    for (const key of ['os.features', 'os.version', 'variant', 'created', 'author']) expect(parsed).not.toHaveProperty([key]);
  }); // oxfmt-ignore

  test.each([
    ['null', null],
    ['nothing', undefined],
    ['no type', {}],
    ['a type of null', { type: null, diff_ids: [] }],
  ])('those without layers, whose rootfs is %s', (_what, rootfs) => {
    expect(parse({ ...LEAST, rootfs }).rootfs).toEqual({ type: 'layers', diff_ids: [] });
  });

  test('a health check of docker, in nanoseconds', () => {
    const Healthcheck = {
      Test: ['CMD-SHELL', 'true'],
      Interval: 30_000_000_000,
      Timeout: 0,
      StartPeriod: null,
      Retries: 3,
    };
    expect(parse({ ...LEAST, config: { Healthcheck } }).config.Healthcheck).toEqual(Healthcheck);
  });
});

/** Values that are no text, list, object, number of the kinds that are wanted. */
const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  text: [1, true, [], {}, ['x']],
  'list of texts': ['x', 1, true, {}, [1], [null], [['x']], ['x', {}]],
  object: ['x', 1, true, []],
  'object of texts': ['x', 1, [], { a: 1 }, { a: null }, { a: ['x'] }],
  'whole number': ['1', 1.5, true, [], {}],
  truth: ['true', 1, [], {}],
};

describe('what is of another kind than the image-spec says is refused, with its place', () => {
  test.each<[place: string, kind: string, make: (value: unknown) => object]>([
    ...['architecture', 'os', 'created', 'author', 'variant', 'os.version'].map((key): [string, string, (value: unknown) => object] => [key, 'text', (value) => ({ [key]: value })]),
    ['os.features', 'list of texts', (value) => ({ 'os.features': value })],
    ...['User', 'WorkingDir', 'StopSignal'].map((key): [string, string, (value: unknown) => object] => [`config.${key}`, 'text', (value) => ({ config: { [key]: value } })]),
    ...['Env', 'Entrypoint', 'Cmd', 'OnBuild', 'Shell'].map((key): [string, string, (value: unknown) => object] => [`config.${key}`, 'list of texts', (value) => ({ config: { [key]: value } })]),
    ['config.ExposedPorts', 'object', (value) => ({ config: { ExposedPorts: value } })],
    ['config.Volumes', 'object', (value) => ({ config: { Volumes: value } })],
    ['config.Labels', 'object of texts', (value) => ({ config: { Labels: value } })],
    ['config.ArgsEscaped', 'truth', (value) => ({ config: { ArgsEscaped: value } })],
    ['config.Healthcheck', 'object', (value) => ({ config: { Healthcheck: value } })],
    ['config.Healthcheck.Test', 'list of texts', (value) => ({ config: { Healthcheck: { Test: value } } })],
    ...['Interval', 'Timeout', 'StartPeriod', 'StartInterval', 'Retries'].map((key): [string, string, (value: unknown) => object] => [`config.Healthcheck.${key}`, 'whole number', (value) => ({ config: { Healthcheck: { [key]: value } } })]),
    ['rootfs', 'object', (value) => ({ rootfs: value })],
    ['rootfs.diff_ids', 'list of texts', (value) => ({ rootfs: { diff_ids: value } })],
    ['config', 'object', (value) => ({ config: value })],
    ...['created', 'author', 'created_by', 'comment'].map((key): [string, string, (value: unknown) => object] => [`history[1].${key}`, 'text', (value) => ({ history: [{}, { [key]: value }] })]),
    ['history[0].empty_layer', 'truth', (value) => ({ history: [{ empty_layer: value }] })],
  ])('%s, which is to be a %s', (place, kind, make) => {
    for (const value of WRONG[kind] ?? [])
      expect(() => parse({ ...LEAST, ...make(value) }), JSON.stringify(value)).toThrow(
        expect.objectContaining({ code: 'TSB_IMAGE', message: expect.stringContaining(`Cannot use config of "x": "${place}`) as string }),
      );
  }); // oxfmt-ignore

  test.each(['sha512:x', `sha256:${'A'.repeat(64)}`, `sha256:${'a'.repeat(63)}`, 'sha256:../../x', ''])('the layer id %j', (id) => {
    expect(() => parse({ ...LEAST, rootfs: { type: 'layers', diff_ids: [sha256('x'), id] } })).toThrow('"rootfs.diff_ids[1]"');
  }); // oxfmt-ignore

  test('and a config that is none at all', () => {
    for (const value of [null, [], 'x', 1, true]) expect(() => parse(value)).toThrow('is not an object');
    expect(() => parse({ ...LEAST, os: null })).toThrow('"os" is not a string');
  });
});

test('what was read is read again as it was (property)', () => {
  const key = fc.constantFrom('User', 'Cmd', 'Env', 'Labels', 'Healthcheck', 'Own', 'constructor', 'toString', '');
  const value = fc.jsonValue({ maxDepth: 2 });
  fc.assert(
    fc.property(
      fc.dictionary(key, value),
      fc.dictionary(fc.constantFrom('created', 'author', 'history', 'own', 'variant'), value),
      (config, more) => {
        let once: ReturnType<typeof parse>;
        try {
          once = parse({ ...LEAST, ...more, config });
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_IMAGE' });
          return;
        }
        expect(parse(once)).toEqual(once);
        // What tsbuild does not know stays, also under names that every object has.
        if (config['Own'] !== undefined && config['Own'] !== null) expect(once.config['Own']).toEqual(config['Own']);
        if (more['own'] !== undefined) expect(once['own']).toEqual(more['own']);
      },
    ),
    { numRuns: 300 },
  );
});
