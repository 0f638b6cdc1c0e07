import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Definition,
  diff,
  encodeDefinition,
  encodeOp,
  image,
  marshal,
  type MarshalOptions,
  merge,
  type OpBody,
  scratch,
  type State,
} from '../../src/llb/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { execOf, mountOf } from '../ops/support.ts';
import { describeAsEveryone, onceAsUser, useBench } from '../support/e2e.ts';
import { hasGit, Repositories } from '../support/git-server.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { readOciArchive, readTar, readTreeTar, type Tree } from '../support/tree.ts';

const AMD64: MarshalOptions = { platform: { os: 'linux', architecture: 'amd64' } };

/** A definition with one op on top of others, which the tests' own client has no words for. */
function on(inputs: readonly Definition[], body: OpBody): Definition {
  const ops = new Map(inputs.flatMap(({ def }) => def.slice(0, -1)).map((bytes) => [sha256(bytes), bytes]));
  const last = inputs.map(({ def }) => ({ digest: sha256(def.at(-2) ?? new Uint8Array()), index: 0 }));
  const op = encodeOp({ inputs: last, body });
  return { def: [...ops.values(), op, encodeOp({ inputs: [{ digest: sha256(op), index: 0 }] })], metadata: new Map() };
}

const build = (input: Definition, attrs: Readonly<Record<string, string>> = {}): Definition =>
  on([input], {
    kind: 'build',
    builder: -1,
    inputs: new Map([['buildkit.llb.definition', { input: 0 }]]),
    attrs: new Map(Object.entries(attrs)),
  });
const source = (identifier: string, attrs: Readonly<Record<string, string>> = {}): Definition =>
  on([], { kind: 'source', identifier, attrs: new Map(Object.entries(attrs)) });

describeAsEveryone('graphs of other programs', (who) => {
  const use = useBench(who);
  const once = onceAsUser(who);
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startRegistry();
  });
  afterAll(async () => registry[Symbol.asyncDispose]());

  const solve = (definition: Definition | State, args: readonly string[] = []) =>
    use.bench.tsbuild(['solve', '--progress=plain', ...args], {
      stdin: encodeDefinition('def' in definition ? definition : marshal(definition, AMD64)),
    });
  const filesOf = async (definition: Definition | State, args: readonly string[] = []): Promise<Tree> => {
    const { code, stdout, err } = await solve(definition, ['-o', 'type=tar,dest=-', ...args]);
    expect(code, err).toBe(0);
    return readTreeTar(stdout);
  };
  const refused = async (definition: Definition | State, args: readonly string[] = []): Promise<string> => {
    const { code, err } = await solve(definition, args);
    expect(code).toBe(1);
    expect(err).toMatch(/^error: /m);
    expect(err).not.toMatch(/at \w+ \(|Error:/);
    return err;
  };
  const step = (command: string, from: State = image('docker.io/library/base:1', AMD64)): State =>
    from.run({ args: ['/bin/sh', '-euc', command] });

  const LOWER =
    'mkdir -p /t/d/e /t/gone; echo 1 > /t/d/same; echo 2 > /t/d/other; ln /t/d/same /t/d/link; ln -s a /t/s; echo x > /t/kind; echo y > /t/gone/y';
  const UPPER =
    'mkdir -p /t/d/new /t/kind; echo 1 > /t/d/same; echo 3 > /t/d/other; ln /t/d/other /t/d/link; ln -s b /t/s; chown 7:8 /t/s 2>/dev/null || :; chmod 1750 /t/d/new';
  const DATES = '; find /t -exec touch -h -d @1500000000 {} +';

  test('differ by files where none was built on the other: laid on the lower tree, the difference gives the upper one', async () => {
    const [lower, upper] = [step(`${LOWER}${DATES}`), step(`${UPPER}${DATES}`)];
    const difference = diff(lower, upper);
    const alone = await filesOf(difference);
    expect(Object.keys(alone).toSorted()).toEqual([
      '/t',
      '/t/d',
      '/t/d/link',
      '/t/d/new',
      '/t/d/other',
      '/t/kind',
      '/t/s',
    ]);
    expect(await filesOf(merge([lower, difference]))).toEqual(await filesOf(upper));
    // The base, which both have, is no part of it.
    const archive = use.bench.path('difference.tar');
    await filesOf(merge([lower, difference]), ['-o', `type=oci,dest=${archive}`]);
    const { layers, manifest } = await readOciArchive(archive);
    expect(layers.at(-1)).toEqual([
      't/',
      't/.wh.gone',
      't/d/',
      't/d/.wh.e',
      't/d/link',
      't/d/new/',
      't/d/other',
      't/kind/',
      't/s',
    ]);
    // Elsewhere the same layer is made, and it is taken from the cache.
    const store = await use.bench.otherStore();
    const again = use.bench.path('again.tar');
    const args = ['solve', '--progress=plain', '-o', `type=oci,dest=${again}`];
    const stdin = encodeDefinition(marshal(merge([lower, difference]), AMD64));
    await use.bench.ok(args, { stdin, store });
    expect((await readOciArchive(again)).manifest.layers.at(-1)).toEqual(manifest.layers.at(-1));
    expect((await use.bench.ok(args, { stdin, store })).err).toMatch(/merge .*\n#\d+ CACHED/);
  });

  test('show nothing of what a difference takes away from a tree that does not have it', async () => {
    const base = image('docker.io/library/base:1', AMD64);
    const [lower, upper] = [step(`${LOWER}${DATES}`), step(`${UPPER}${DATES}`)];
    // A step sees the tree through the kernel, and in a directory that only the difference has.
    const list = 'find /t /w 2>&1 | sort > /list';
    const listed = async (on: State): Promise<unknown> => (await filesOf(step(list, on)))['/list']?.content;
    const made = 'mkdir -p /t/d/new /t/kind /w; : > /t/d/link; : > /t/d/other; : > /t/s';
    const wanted = await listed(step(made));
    expect(await listed(merge([step('mkdir /w'), diff(lower, upper)]))).toEqual(wanted);
    // So it is with what a step took away, which is moved as it is.
    const [full, less] = [
      'mkdir -p /t/d/new /t/kind /w; : > /t/d/link; : > /t/d/other; : > /t/s; : > /t/d/no',
      'rm /t/d/no; : > /t/d/other',
    ];
    const before = step(full);
    const other = await listed(step('mkdir -p /t/d /w; : > /t/d/other'));
    expect(
      await listed(merge([step('mkdir /w', base), diff(before, before.run({ args: ['/bin/sh', '-euc', less] }))])),
    ).toEqual(other);
  });

  once('differ from scratch by all that is gone', async () => {
    const files = scratch().file([
      { kind: 'mkfile', path: '/a', mode: 0o644, data: new Uint8Array(), options: {} },
      { kind: 'mkfile', path: '/b', mode: 0o644, data: new Uint8Array(), options: {} },
    ]);
    const more = files.file([{ kind: 'mkfile', path: '/c', mode: 0o644, data: new Uint8Array(), options: {} }]);
    expect(Object.keys(await filesOf(merge([more, diff(files, scratch())])))).toEqual(['/c']);
    expect(await filesOf(diff(files, scratch()))).toEqual({});
  });

  const held = (definition: Definition, name = '/buildkit.llb.definition'): Definition =>
    marshal(
      scratch().file([{ kind: 'mkfile', path: name, mode: 0o600, data: encodeDefinition(definition), options: {} }]),
      AMD64,
    );
  const made = (text: string): Definition => marshal(step(`echo ${text} > /made`), AMD64);

  test('hold graphs in files, which are built in their place', async () => {
    expect((await filesOf(build(held(made('one')))))['/made']?.type).toBe('file');
    const inside = build(build(held(held(made('two'), '/x'))), { 'llbbuild.filename': 'x' });
    expect((await filesOf(inside))['/made']?.type).toBe('file');
    const dir = use.bench.write('graphs', { 'a/def': encodeDefinition(made('three')), link: { link: '/a/def' } });
    const named = build(source('local://graphs'), { 'llbbuild.filename': '/link' });
    const args = ['--local', `graphs=${dir}`];
    expect((await filesOf(named, args))['/made']?.type).toBe('file');
    // What the graph in the file comes to has the keys that it has anywhere.
    expect((await solve(named, args)).err).toMatch(/echo three > \/made\n#\d+ CACHED/);
    expect(await filesOf(build(held({ def: [], metadata: new Map() })))).toEqual({});
    // A step that wrote the graph, and one that stands on what it gives.
    const written = Buffer.from(encodeDefinition(made('four'))).toString('base64');
    const fromStep = build(marshal(step(`echo ${written} | base64 -d > /buildkit.llb.definition`), AMD64));
    expect((await filesOf(on([fromStep], reading('/made'))))['/seen']?.content).toBe(
      (await filesOf(fromStep))['/made']?.content,
    );
  });

  once('refuse files that are no graphs, graphs that are within themselves, and what is not granted', async () => {
    const text = (content: string): Definition =>
      marshal(
        scratch().file([{ kind: 'mkfile', path: '/x', mode: 0o600, data: Buffer.from(content), options: {} }]),
        AMD64,
      );
    expect(await refused(build(text('x')))).toContain(
      'failed to open buildkit.llb.definition: no such file or directory',
    );
    expect(await refused(build(text('nonsense'), { 'llbbuild.filename': '/x' }))).toContain('Cannot read LLB');
    expect(await refused(build(text('x'), { 'llbbuild.filename': '/' }))).toContain('it is a directory');
    const body = {
      kind: 'build',
      builder: 0,
      inputs: new Map([['buildkit.llb.definition', { input: 0 }]]),
      attrs: new Map<string, string>(),
    } as const;
    expect(await refused(on([text('x')], body))).toContain('only LLB builder is currently allowed');
    expect(await refused(on([text('x')], { ...body, builder: -1, inputs: new Map() }))).toContain(
      'no llb definition input',
    );

    const inDirectory = (name: string): Definition => build(source('local://graphs'), { 'llbbuild.filename': name });
    const numbers = Array.from(
      { length: 12 },
      (_, at) => [`n${at}`, encodeDefinition(inDirectory(`n${at + 1}`))] as const,
    );
    const dir = use.bench.write('nested', {
      self: encodeDefinition(inDirectory('self')),
      ...Object.fromEntries(numbers),
    });
    const args = ['--local', `graphs=${dir}`];
    expect(await refused(inDirectory('self'), args)).toContain('the graph that it builds is within itself');
    expect(await refused(inDirectory('n0'), args)).toContain('10 graphs are within each other already');

    const base = image('docker.io/library/base:1', AMD64);
    const host = marshal(base.run({ args: ['/bin/true'], meta: { network: 'host' } }), AMD64);
    expect(await refused(build(held(host)))).toContain('entitlement network.host is not allowed');
    const mode = source('docker-image://docker.io/library/base:1', { 'image.resolvemode': 'often' });
    expect(await refused(mode)).toContain('invalid resolvemode: "often"');
    const secret = marshal(
      base.run({
        args: ['/bin/true'],
        secrets: [{ id: 's', target: '/s', uid: 0, gid: 0, mode: 0o400, optional: false }],
      }),
      AMD64,
    );
    expect(await refused(build(held(secret)))).toContain('secret s: not found');
    const rules = [{ action: 'DENY', selector: { identifier: 'docker-image://docker.io/library/base:1' } }];
    use.bench.write('policies', { 'deny.json': JSON.stringify({ version: 1, rules }) });
    const policy = ['--source-policy', use.bench.path('policies/deny.json')];
    expect(await refused(build(held(made('denied'))), policy)).toContain('denied by policy');
  });

  once('take blobs of registries as files, once', async () => {
    const context = use.bench.context('FROM scratch\nCOPY file /file\n', { file: 'in a layer\n' });
    const name = `${registry.host}/blobs/app`;
    await use.bench.ok(['build', '-q', '--push', '-t', `${name}:1`, context]);
    const headers = { accept: 'application/vnd.oci.image.manifest.v1+json' };
    const manifest = await (await fetch(`http://${registry.host}/v2/blobs/app/manifests/1`, { headers })).bytes();
    const { config, layers } = JSON.parse(Buffer.from(manifest).toString()) as Readonly<
      Record<'config', { digest: string }>
    > & { readonly layers: readonly { digest: string }[] };
    const blob = (digest: string, attrs: Readonly<Record<string, string>> = {}): Definition =>
      source(`docker-image+blob://${name}@${digest}`, attrs);
    const store = await use.bench.otherStore();
    const fileOf = async (definition: Definition, more: readonly string[] = []): Promise<string> => {
      const { code, stdout, err } = await use.bench.tsbuild(['solve', '-o', 'type=tar,dest=-', ...more], {
        stdin: encodeDefinition(definition),
        store,
      });
      expect(code, err).toBe(0);
      return (await readTar(stdout))
        .map(
          ({ header, body }) => `${header.name} ${header.mode?.toString(8)} ${header.mtime?.getTime()} ${sha256(body)}`,
        )
        .join();
    };
    const layer = layers[0]?.digest ?? '';
    expect(await fileOf(blob(layer, { 'http.filename': '../x', 'http.perm': '0640' }))).toBe(`x 640 0 ${layer}`);
    expect(await fileOf(blob(config.digest))).toBe(`${config.digest.slice(7)} 600 0 ${config.digest}`);
    // What is in the store is asked for nowhere; what is damaged there is.
    expect(await fileOf(blob(layer, { 'http.filename': 'y' }), ['--offline'])).toBe(`y 600 0 ${layer}`);
    const path = join(store, 'blobs/sha256', layer.slice(7));
    expect(readdirSync(join(store, 'blobs/sha256'))).toContain(layer.slice(7));
    chmodSync(path, 0o600);
    writeFileSync(path, Buffer.alloc(readFileSync(path).length));
    expect(await fileOf(blob(layer, { 'http.filename': 'z' }))).toBe(`z 600 0 ${layer}`);
    const none = sha256('nobody has it');
    expect(await refused(blob(none))).toContain(`Cannot find blob ${none}`);
    expect(await refused(blob(none), ['--offline'])).toContain('--offline asks nobody');
    expect(await refused(source(`docker-image+blob://${name}:1@${layer}`))).toContain(
      'tagged image reference not allowed',
    );
    expect(await refused(source(`docker-image+blob://${name}:1`))).toContain('checksum required in blob reference');
    const rules = [{ action: 'DENY', selector: { identifier: 'docker-image+blob://*' } }];
    use.bench.write('policies', { 'blobs.json': JSON.stringify({ version: 1, rules }) });
    expect(await refused(blob(layer), ['--source-policy', use.bench.path('policies/blobs.json')])).toContain(
      'denied by policy',
    );
  });

  once('take of a directory what is known of its files, and some of them whole', async () => {
    const dir = use.bench.write('tree', {
      'a/x': 'xx',
      'a/y': 'y',
      link: { link: 'a/x' },
      '.fsutil-metadata': 'not this',
    });
    const attrs = { 'local.metadatatransfer': 'true', 'local.metadatatransferexclude': '["a/y"]' };
    const { code, stdout, err } = await solve(source('local://tree', attrs), [
      '-o',
      'type=tar,dest=-',
      '--local',
      `tree=${dir}`,
    ]);
    expect(code, err).toBe(0);
    const files = await readTar(stdout);
    expect(files.map(({ header }) => header.name)).toEqual(['.fsutil-metadata', 'a/', 'a/y']);
    const records = files[0]?.body ?? Buffer.alloc(0);
    const names: string[] = [];
    for (let at = 0; at < records.length; at += 4 + records.readUInt32LE(at)) {
      const record = records.subarray(at + 4, at + 4 + records.readUInt32LE(at));
      names.push(record.subarray(2, 2 + (record[1] ?? 0)).toString());
    }
    expect(names).toEqual(['a', 'a/x', 'a/y', 'link']);
    expect(
      await refused(source('local://tree', { 'local.metadatatransfer': 'maybe' }), ['--local', `tree=${dir}`]),
    ).toContain('invalid value for local.metadatatransfer');
  });

  test.runIf(hasGit)('make bundles of commits, and take commits from bundles', async () => {
    using repositories = new Repositories();
    repositories.create('app', { file: 'one\n', 'dir/inner': 'inner\n' });
    const commit = repositories.commit('app', { file: 'two\n' });
    await using server = await repositories.serve();
    const of = (attrs: Readonly<Record<string, string>>, name = `${server.url.slice('http://'.length)}/app`) =>
      source(`git://${name}`, { 'git.fullurl': `http://${name.replace(/#.*/, '')}`, 'git.checksum': commit, ...attrs });
    const out = use.bench.path('made-of-git');
    const made = of({ 'git.checkoutbundle': 'true' }, `${server.url.slice('http://'.length)}/app#main`);
    expect(await solve(made, ['-o', `type=local,dest=${out}`])).toMatchObject({ code: 0 });
    expect(readdirSync(out)).toEqual(['bundle']);
    const bytes = readFileSync(join(out, 'bundle'));
    // Neither the repository nor its history is needed any more.
    const layout = use.bench.write('bundles', {
      'oci-layout': '{"imageLayoutVersion":"1.0.0"}',
      'index.json': '{"schemaVersion":2,"manifests":[]}',
      [`blobs/sha256/${sha256(bytes).slice(7)}`]: bytes,
    });
    const bundle = { 'git.bundle': `oci-layout+blob://bundles@${sha256(bytes)}` };
    for (const name of ['git.invalid/app#main', 'git.invalid/app']) {
      const tree = await filesOf(of(bundle, name), ['--offline', '--oci-layout', `bundles=${layout}`]);
      expect(Object.keys(tree).toSorted()).toEqual(['/dir', '/dir/inner', '/file']);
    }
    const err = await refused(of(bundle, 'git.invalid/app#other'), ['--oci-layout', `bundles=${layout}`]);
    expect(err).toContain(`Cannot load ref other: git bundle ${sha256(bytes)} does not have it`);
  });
});

/** A step on the first input that shows what is in a file. */
function reading(path: string): OpBody {
  return execOf({
    meta: { args: ['/bin/sh', '-c', `cat ${path} > /seen`] },
    mounts: [mountOf({ input: 0 })],
    network: 'none',
  });
}
