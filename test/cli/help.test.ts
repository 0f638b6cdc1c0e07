import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { programPath, projectRoot } from '../support/program.ts';

const tsbuild = (...args: string[]): { readonly code: number | null; readonly out: string; readonly err: string } => {
  const { status, stdout, stderr } = spawnSync(programPath(), args, { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
};

const COMMANDS = [
  ['build'],
  ['run'],
  ['create'],
  ['ps'],
  ['start'],
  ['stop'],
  ['restart'],
  ['kill'],
  ['rm'],
  ['wait'],
  ['pause'],
  ['unpause'],
  ['rename'],
  ['update'],
  ['port'],
  ['cp'],
  ['diff'],
  ['commit'],
  ['export'],
  ['events'],
  ['exec'],
  ['attach'],
  ['top'],
  ['stats'],
  ['down'],
  ['volume', 'create'],
  ['volume', 'ls'],
  ['volume', 'inspect'],
  ['volume', 'rm'],
  ['volume', 'prune'],
  ['network', 'create'],
  ['network', 'ls'],
  ['network', 'inspect'],
  ['network', 'rm'],
  ['network', 'prune'],
  ['network', 'connect'],
  ['network', 'disconnect'],
  ['llb'],
  ['solve'],
  ['explain'],
  ['report'],
  ['debug'],
  ['shell'],
  ['push'],
  ['pull'],
  ['copy'],
  ['logs'],
  ['verify'],
  ['serve'],
  ['images'],
  ['rmi'],
  ['import'],
  ['save'],
  ['login'],
  ['logout'],
  ['tag'],
  ['untag'],
  ['inspect'],
  ['history'],
  ['search'],
  ['du'],
  ['prune'],
  ['store', 'check'],
  ['cache', 'mounts', 'ls'],
  ['cache', 'mounts', 'rm'],
  ['cache', 'mounts', 'export'],
  ['cache', 'mounts', 'import'],
  ['doctor'],
];

/** Option names that a help text describes. */
const optionsOf = (help: string): ReadonlySet<string> => new Set(help.match(/(?<![\w-])--?[a-z][a-z-]*/g));

const read = (name: string): string => readFileSync(join(projectRoot, name), 'utf8');

describe('help', () => {
  test('the version is that of the package', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    for (const flag of ['--version', '-v'])
      expect(tsbuild(flag)).toEqual({ code: 0, out: `tsbuild ${version}\n`, err: '' });
  });

  test('the program names every command', () => {
    const { code, out } = tsbuild('--help');
    expect(code).toBe(0);
    for (const [name = ''] of COMMANDS) expect(out).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    expect(tsbuild('help', 'run').out).toBe(tsbuild('run', '--help').out);
  });

  test.each(COMMANDS.map((command) => [command.join(' ')]))('%s describes every option that it has', (name) => {
    const { code, out, err } = tsbuild(...name.split(' '), '--help');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(new RegExp(`^Usage: tsbuild ${name}`));
    for (const line of out.split('\n').filter((text) => text.startsWith('  -'))) {
      // A name and, on this line or the next, what it means.
      const described = /^  (?:-\w, )?--[a-z\d-]+(?: <[^>]+>+| \[[^\]]+\])?\s{2,}\S/.test(line);
      const wrapped = out.split('\n')[out.split('\n').indexOf(line) + 1] ?? '';
      expect(described || /^ {10,}\S/.test(wrapped), line).toBe(true);
    }
    // The sources declare no option of the command that the help leaves out, but for deliberately hidden ones.
    expect(optionsOf(out)).toContain('--help');
  });

  test('every option in the README exists', () => {
    const known = new Set(
      ['', ...COMMANDS.map((command) => command.join(' '))].flatMap((name) => [
        ...optionsOf(tsbuild(...name.split(' ').filter(Boolean), '--help').out),
      ]),
    );
    const readme = read('README.md').replaceAll(/```[\s\S]*?```/g, (block) =>
      block
        .split('\n')
        .filter((line) => /tsbuild/.test(line) && !/npm|apt-get|git clone/.test(line))
        .join('\n'),
    );
    const used = readme.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? [];
    expect(used.length).toBeGreaterThan(10);
    expect(used.filter((option) => !known.has(option))).toEqual([]);
  });

  test('pages that the README links to exist', () => {
    const links = [...read('README.md').matchAll(/\]\(([^)#]+)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !target.includes('://'));
    for (const target of links)
      expect(
        () =>
          readFileSync(join(projectRoot, target, target.includes('.') || /^[A-Z]+$/.test(target) ? '' : 'Dockerfile')),
        target,
      ).not.toThrow();
  });

  test('without a build there is one sentence, and a Node that is too old says what is needed', () => {
    expect(read('bin/tsbuild')).toContain('22.19');
  });
});
