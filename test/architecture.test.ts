import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** From the top of the house to its ground: a folder may import folders of later rows only. */
const floors: readonly (readonly string[])[] = [
  ['cli', 'api'],
  ['engine'],
  ['ops'],
  ['snapshots', 'secrets'],
  ['remote-cache'],
  ['recall', 'transfer', 'report', 'containers'],
  ['frontend', 'solver', 'exporter', 'runtime', 'progress', 'verify', 'inspect', 'serve', 'explain'],
  ['source', 'cache', 'object-store', 'recording', 'signatures'],
  ['registry', 'worker', 'ssh', 'cdi', 'openpgp'],
  ['network'],
  ['sandbox', 'fileop', 'rootfs', 'chunks'],
  ['layer'],
  ['tree'],
  ['store', 'gateway'],
  ['source-policy'],
  ['llb', 'pins'],
  ['files'],
  ['sys', 'image', 'events', 'patterns', 'limits'],
  ['util'],
];

/** Imports that the floors alone would forbid, each with its reason. */
const exceptions: Readonly<Record<string, string>> = {
  'cache -> solver': 'the cache implements the interface that the solver defines (types only)',
};

const dependencies: Readonly<Record<string, string>> = {
  aws4fetch: 'signatures of requests to S3',
  bcryptjs: 'passwords of `tsbuild serve`',
  commander: 'the command line',
  'dockerfile-ast': 'token columns for error excerpts',
  'fast-glob': 'patterns of files that users write',
  koffi: 'system calls that Node lacks',
  'p-limit': 'bounded concurrency',
  'smol-toml': 'registries.conf',
  'tar-stream': 'archives around blobs',
  undici: 'HTTP to registries',
  'xxhash-wasm': 'quick looks at chunks of cache mounts',
  yaml: 'device specifications',
};

const files = globSync('src/**/*.ts', { cwd: root });
const floorOf = (folder: string): number => floors.findIndex((floor) => floor.includes(folder));

function importsOf(file: string): { specifier: string; typeOnly: boolean }[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found: { specifier: string; typeOnly: boolean }[] = [];
  for (const match of text.matchAll(
    /^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|(?:import|\brequire|ownPackage)\('([^']+)'\)/gm,
  )) {
    found.push({ specifier: match[2] ?? match[3] ?? '', typeOnly: match[1] !== undefined });
  }
  return found;
}

function linesOf(file: string): string[] {
  return readFileSync(join(root, file), 'utf8').trimEnd().split('\n');
}

/** Names that a file takes from others of the project, or hands on. */
function namesFrom(file: string): { target: string; name: string; isType: boolean }[] {
  const text = readFileSync(join(root, file), 'utf8');
  const forms = [
    /^(?:import|export) (?<type>type )?\{(?<names>[^}]*)\} from '(?<path>\.[^']*)'/gm,
    /\{(?<names>[^{}]*)\} = await import\('(?<path>\.[^']*)'\)/g,
    /import\('(?<path>\.[^']*)'\)\)\.(?<names>\w+)/g,
    /import\('(?<path>\.[^']*)'\)\.then\((?:async )?\(\{(?<names>[^}]*)\}/g,
    // Several at once: const [{ a }, { b }] = await Promise.all([import('./a.ts'), import('./b.ts')]).
    /\{ (?<names>\w+) \}[^=;]*= await Promise\.all\(\[\s*import\('(?<path>\.[^']*)'\)/g,
  ];
  return forms.flatMap((form) =>
    [...text.matchAll(form)].flatMap(({ groups = {} }) =>
      (groups['names'] ?? '')
        .split(',')
        .map((one) => one.trim())
        .filter((one) => one !== '')
        .map((one) => ({
          target: join(dirname(file), groups['path'] ?? ''),
          name: one.replace(/^type /, '').replace(/(?: as |:).*$/, ''),
          isType: groups['type'] !== undefined || one.startsWith('type '),
        })),
    ),
  );
}

/** Lines that are nothing but comment. */
function commentLines(lines: readonly string[]): number {
  let within = false;
  let count = 0;
  for (const line of lines) {
    const text = line.trim();
    if (within || text.startsWith('//') || text.startsWith('/*')) count++;
    if (text.startsWith('/*')) within = true;
    if (within && text.includes('*/')) within = false;
  }
  return count;
}

/** Groups of files that reach each other: the strongly connected components of more than one (Tarjan 1972). */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const order = new Map<string, number>();
  const path: string[] = [];
  /** The earliest file on the path that `file` reaches. */
  const visit = (file: string): number => {
    const own = order.size;
    order.set(file, own);
    const start = path.push(file) - 1;
    let lowest = own;
    for (const next of graph.get(file) ?? []) {
      if (!order.has(next)) lowest = Math.min(lowest, visit(next));
      else if (path.includes(next)) lowest = Math.min(lowest, order.get(next) ?? own);
    }
    if (lowest === own) {
      const group = path.splice(start);
      if (group.length > 1) found.push(group);
    }
    return lowest;
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return found;
}

test('cycles are found', () => {
  const graph = { a: ['b'], b: ['c', 'd'], c: ['a'], d: ['e'], e: [] };
  expect(cyclesOf(new Map(Object.entries(graph)))).toEqual([['a', 'b', 'c']]);
});

/** Exports that nothing but tests uses yet, and why they are no fakes. */
const onlyTested: Readonly<Record<string, string>> = {
  diff: 'graphs of other frontends have this op, and those in tests are written with it; no instruction of a Dockerfile is one',
};

describe('the plan of the house', () => {
  test('every folder of src has a floor', () => {
    const folders = new Set(files.map((file) => file.split(sep)[1] ?? '').filter((name) => !name.endsWith('.ts')));
    expect([...folders].filter((folder) => floorOf(folder) < 0)).toEqual([]);
  });

  test('is drawn in ARCHITECTURE.md, floor by floor', () => {
    const [, drawing = ''] =
      /^## The house$[\s\S]*?^```\n([\s\S]*?)^```/m.exec(readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')) ?? [];
    // Two spaces stand between folders, and more before what they are for.
    const drawn = drawing.match(/^[a-z-]+(?: {2}[a-z-]+(?= {2}|$))*/gm) ?? [];
    expect(drawn.map((row) => row.split('  ').toSorted())).toEqual(floors.map((floor) => floor.toSorted()));
  });

  test('imports go downwards only, and enter a folder through its index.ts', () => {
    const wrong: string[] = [];
    for (const file of files) {
      const from = file.split(sep)[1] ?? '';
      for (const { specifier, typeOnly } of importsOf(file)) {
        if (!specifier.startsWith('.')) continue;
        const target = relative(root, join(root, dirname(file), specifier));
        if (!existsSync(join(root, target))) wrong.push(`${file}: ${specifier} does not exist`);
        const parts = target.split(sep);
        const to = parts[1] ?? '';
        if (from === to || from.endsWith('.ts')) continue;
        const allowed = floorOf(to) > floorOf(from) || (`${from} -> ${to}` in exceptions && typeOnly);
        if (!allowed) wrong.push(`${file}: ${from} must not import ${to}`);
        if (parts.length !== 3 || (parts[2] !== 'index.ts' && !typeOnly))
          wrong.push(`${file}: enters ${to} by ${specifier}, not by its index.ts`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('what a folder exports is used, and not by tests alone', () => {
    const isDoor = (file: string): boolean => file.endsWith('/index.ts') && file !== 'src/index.ts';
    const asked = new Set<string>();
    const exported: { readonly door: string; readonly origin: string; readonly name: string }[] = [];
    for (const file of files)
      for (const { target, name, isType } of namesFrom(file)) {
        if (!isDoor(file)) asked.add(`${target} ${name}`);
        else if (!isType) exported.push({ door: file, origin: target, name });
      }
    // A door may stand behind another: what is asked of one is asked of whatever it has the name from.
    for (let size = -1; size !== asked.size;) {
      size = asked.size;
      for (const { door, origin, name } of exported) if (asked.has(`${door} ${name}`)) asked.add(`${origin} ${name}`);
    }
    /** What a file needs itself is no less used. */
    const isUsedWithin = (file: string, name: string): boolean =>
      linesOf(file)
        .filter((line) => !/^ *(?:\/?\*|\/\/)/.test(line))
        .join('\n')
        .split(new RegExp(`\\b${name}\\b`)).length > 2;
    const forTests = exported.filter(
      ({ origin, name }) => !asked.has(`${origin} ${name}`) && !isDoor(origin) && !isUsedWithin(origin, name),
    );
    expect(forTests.map(({ name }) => name).toSorted()).toEqual(Object.keys(onlyTested).toSorted());
  });

  test('no file imports itself by way of others, for types or at run time', () => {
    const graph = new Map(
      files.map((file) => [
        file,
        importsOf(file)
          .filter(({ specifier }) => specifier.startsWith('.'))
          .map(({ specifier }) => join(dirname(file), specifier)),
      ]),
    );
    expect(cyclesOf(graph)).toEqual([]);
  });

  test('the folders of a room depend on each other in one direction only', () => {
    const graph = new Map<string, string[]>();
    for (const file of files) {
      const folder = dirname(file);
      const found = graph.get(folder) ?? [];
      graph.set(folder, found);
      for (const { specifier } of importsOf(file)) {
        const target = dirname(join(folder, specifier));
        // What stands above a folder is its door (index.ts, program.ts), and what all beside it use.
        const within = `${target}/`.startsWith(`${folder}/`) || folder.startsWith(`${target}/`);
        if (specifier.startsWith('.') && !within) found.push(target);
      }
    }
    expect(cyclesOf(graph)).toEqual([]);
  });

  test('a folder can be read at a glance: at most fifty files', () => {
    const sizes = new Map<string, number>();
    for (const file of files) sizes.set(dirname(file), (sizes.get(dirname(file)) ?? 0) + 1);
    expect([...sizes].filter(([, count]) => count > 50)).toEqual([]);
  });

  test('files do one thing: half of them in 100 lines, nine tenths in 250, none above 450', () => {
    const lengths = files.map((file) => linesOf(file).length).sort((a, b) => a - b);
    const share = (part: number): number => lengths[Math.floor(lengths.length * part)] ?? 0;
    expect(files.filter((file) => linesOf(file).length > 450)).toEqual([]);
    expect(share(0.5)).toBeLessThanOrEqual(100);
    expect(share(0.9)).toBeLessThanOrEqual(250);
  });

  test('the why is written down: 12 lines in 100 are comments', () => {
    const lines = files.flatMap(linesOf);
    expect(commentLines(lines) / lines.length).toBeGreaterThanOrEqual(0.12);
  });

  test('npm packages are the listed ones, and all of them are used', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
      string,
      Record<string, string> | undefined
    >;
    const declared = { ...manifest['dependencies'], ...manifest['optionalDependencies'] };
    expect(Object.keys(declared).sort()).toEqual(Object.keys(dependencies).sort());
    const used = new Set<string>();
    for (const file of files) {
      for (const { specifier } of importsOf(file)) {
        if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
        used.add(
          specifier
            .split('/')
            .slice(0, specifier.startsWith('@') ? 2 : 1)
            .join('/'),
        );
      }
    }
    expect([...used].sort()).toEqual(Object.keys(dependencies).sort());
  });
});
