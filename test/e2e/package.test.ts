import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { Bench } from '../support/bench.ts';
import { baseImageTar } from '../support/base-image.ts';
import { identities } from '../support/identity.ts';
import { projectRoot } from '../support/program.ts';

/** Everything that is published, but for type declarations. */
const contents = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'bin/launch.cjs',
  'bin/load.cjs',
  'bin/tsbuild',
  'dist/THIRD_PARTY_LICENSES.txt',
  'dist/cli.cjs',
  'dist/index.js',
  `dist/native/linux-${process.arch}/tsbuild-files.node`,
  `dist/native/linux-${process.arch}/tsbuild-helper`,
  'dist/packages/dockerfile-ast.cjs',
  'dist/packages/fast-glob.cjs',
  'dist/packages/undici.cjs',
  'dist/packages/yaml.cjs',
  'dist/report.html',
  'dist/rest.cjs',
  'dist/run.cjs',
  'dist/worker.cjs',
  'native/seccomp/arm64.bpf',
  'native/seccomp/syscalls.tsv',
  'native/seccomp/x64.bpf',
  'package.json',
];

const declarations = (): string[] =>
  globSync('**/*.ts', { cwd: join(projectRoot, 'src'), exclude: (name) => name === 'report/page' }).map(
    (path) => `dist/types/${path.replace(/ts$/, 'd.ts')}`,
  );

test('the packed package installs and builds without a compiler', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-pack-'));
  const [self] = await identities();
  if (!self) throw new Error('Nobody runs the tests');
  await using bench = new Bench(self);
  try {
    // What prepack would build is there already: other tests run from it at this moment.
    const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', dir], {
      cwd: projectRoot,
      encoding: 'utf8',
    });
    const [{ filename, files }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
    const paths = files.map(({ path }) => path);
    // A list, not a pattern: what else lies in the folders of a working copy is never published by accident.
    expect(paths.toSorted()).toEqual([...contents, ...declarations()].toSorted());
    const prefix = bench.write('prefix', {});
    const tarball = bench.write('package', { [filename]: readFileSync(join(dir, filename)) });
    // No compiler, no make, no python: only what the package brings.
    const tools = bench.write('tools', {
      node: { link: process.execPath },
      sh: { link: '/bin/sh' },
      dirname: { link: '/usr/bin/dirname' },
      readlink: { link: '/usr/bin/readlink' },
      stat: { link: '/usr/bin/stat' },
    });
    const npm = execFileSync('sh', ['-c', 'readlink -f "$(command -v npm)"'], { encoding: 'utf8' }).trim();
    // npm as it is set up here, whatever that is: mirrors, proxies, its cache.
    execFileSync(
      process.execPath,
      [
        npm,
        'install',
        '--global',
        '--prefer-offline',
        '--no-audit',
        '--no-fund',
        '--prefix',
        prefix,
        join(tarball, filename),
      ],
      { env: { ...process.env, PATH: `${tools}:${dirname(npm)}` }, stdio: 'pipe' },
    );
    const tsbuild = join(prefix, 'bin/tsbuild');
    const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string };
    const run = (...args: string[]) => bench.start([tsbuild, ...args], { env: { PATH: `${tools}:/usr/bin` } }).ended;
    expect((await run('--version')).out).toBe(`tsbuild ${version}\n`);
    expect(await run('doctor')).toMatchObject({ code: 0, err: '' });
    checkTypes(bench, join(prefix, 'lib/node_modules/tsbuildkit'));
    bench.write('.', { 'base.tar': baseImageTar() });
    expect((await run('import', 'base.tar', '-t', 'base:1')).code).toBe(0);
    const built = await run(
      'build',
      '-t',
      'app',
      bench.context('FROM base:1\nCOPY Dockerfile /d\nRUN echo installed > /out\nCMD ["cat", "/out"]\n'),
    );
    expect(built.code, built.err).toBe(0);
    expect((await run('run', 'app')).out).toBe('installed\n');
    const library = join(prefix, 'lib/node_modules/tsbuildkit');
    const context = bench.context('FROM scratch\nCOPY Dockerfile /\n');
    const program = `import { build, report, reportPage } from ${JSON.stringify(library + '/dist/index.js')};
      await build({ context: ${JSON.stringify(context)}, root: ${JSON.stringify(bench.store)} });
      console.log(reportPage(await report({ root: ${JSON.stringify(bench.store)} })).includes('COPY Dockerfile /'));`;
    expect(await bench.tool([process.execPath, '--input-type=module', '-e', program])).toBe('true\n');
    expect(await bench.leftovers()).toEqual([]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

/** A program of somebody else against the declarations of the package, with the compiler as strict as it gets. */
function checkTypes(bench: Bench, installed: string): void {
  const program = `import { build, type BuildEvent, type BuildOutcome, BuildFailure, explain, type ExplanationFacts, inspect, pull, push, report, type ReportFacts, reportPage, run, TsbuildError, verify } from 'tsbuildkit';
const controller = new AbortController();
const built: BuildOutcome = await build({
  context: '.',
  platforms: ['linux/amd64', 'linux/arm64'],
  secrets: { a: 'value', b: { file: 'path' } },
  ssh: { default: ['/run/agent.sock'] },
  push: true,
  lock: { update: ['debian:12'] },
  signal: controller.signal,
  onEvent(event: BuildEvent) {
    if (event.type === 'log') process.stderr.write(event.data);
    if (event.type === 'diagnostic') console.log(event.diagnostic.code);
  },
});
const digest: string | undefined = built.metadata['containerimage.digest'];
const { config } = await inspect('web', { platform: 'linux/arm64' });
const { isNew }: { isNew: boolean } = await pull('debian:12', { policy: 'missing' });
console.log(isNew);
const { exitCode } = await run('web', { onOutput: (stream: 1 | 2, data: Uint8Array) => console.log(stream, data.length) });
const { identical } = await verify('web', { context: '.' });
for (const { name } of await push('web')) console.log(name, digest, config.config?.Env, exitCode, identical);
const why: ExplanationFacts = await explain({ context: '.', target: 'web' });
for (const { name, reason, milliseconds } of why.steps) console.log(name, reason.kind, reason.differences[0]?.name, milliseconds ?? 0);
const facts: ReportFacts = await report({ signal: controller.signal });
const page: string = reportPage(facts);
console.log(page, facts.summary.hitRate, facts.steps.filter(({ critical }) => critical).map(({ ms }) => ms));
try {
  // @ts-expect-error: the context is not optional
  await build({});
} catch (error) {
  if (error instanceof BuildFailure) console.log(error.excerpt, error.ranges[0]?.startLine);
  else if (error instanceof TsbuildError) console.log(error.code, error.hint);
}
`;
  const dir = bench.write('consumer', {
    'program.ts': program,
    'package.json': '{"type":"module"}',
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'es2024',
        lib: ['esnext'],
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        types: ['node'],
        typeRoots: [join(projectRoot, 'node_modules/@types')],
      },
      files: ['program.ts'],
    }),
    'node_modules/tsbuildkit': { link: installed },
    'node_modules/@types': { link: join(projectRoot, 'node_modules/@types') },
  });
  execFileSync(join(projectRoot, 'node_modules/.bin/tsc'), ['-p', dir], { encoding: 'utf8', stdio: 'pipe' });
}
