import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { programPath, projectRoot } from './support/program.ts';

/** Pages for people, by path. The log of changes names what is gone; the licence is not ours to check. */
const pages = globSync('{*.md,docs/**/*.md,.github/**/*.md}', { cwd: projectRoot })
  .filter((page) => page !== 'CHANGELOG.md')
  .toSorted();
const textOf = (page: string): string => readFileSync(join(projectRoot, page), 'utf8');

/** The text of a page without fenced blocks, and those blocks with their language. */
function parts(text: string): { readonly prose: string; readonly blocks: readonly { lang: string; body: string }[] } {
  const blocks: { lang: string; body: string }[] = [];
  const prose = text.replaceAll(/^```(.*)\n([\s\S]*?)^```$/gm, (_, lang: string, body: string) => {
    blocks.push({ lang: lang.trim(), body });
    return '';
  });
  return { prose, blocks };
}

/** The first column of these tables is what other builders have. */
const withoutFirstColumns = (text: string): string => text.replaceAll(/^\| [^|]*\|/gm, '|');

const codeSpans = (prose: string): readonly string[] =>
  [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);

/** Anchors of a page's headings, as GitHub makes them. */
function anchors(text: string): ReadonlySet<string> {
  const headings = [...parts(text).prose.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title);
  return new Set(
    headings.map((title) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** Folders of the project that pages name files of. A path may have `*`, `{a,b}`, or `…` and upper case for what varies. */
const PATH = /^(?:src|test|testdata|docs|native|scripts|bench|bin|ci|examples|\.ci|\.github)\/[^\s`]+$/;

describe('pages', () => {
  test('links lead somewhere', () => {
    const wrong: string[] = [];
    for (const page of pages) {
      for (const [, target = ''] of parts(textOf(page)).prose.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [path = '', anchor] = target.split('#');
        const file = path === '' ? page : relative(projectRoot, resolve(projectRoot, dirname(page), path));
        if (!existsSync(join(projectRoot, file))) wrong.push(`${page}: ${target}`);
        else if (anchor !== undefined && !anchors(textOf(file)).has(anchor)) wrong.push(`${page}: ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('files and folders that they name exist', () => {
    const wrong: string[] = [];
    let count = 0;
    for (const page of pages) {
      for (const code of codeSpans(parts(textOf(page)).prose)) {
        if (!PATH.test(code) || /[…<>]|[A-Z]{2,}(?!\w*\.md)/.test(code)) continue;
        count++;
        if (globSync(code.replace(/\/$/, ''), { cwd: projectRoot }).length === 0) wrong.push(`${page}: ${code}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(count).toBeGreaterThan(100);
  });

  test('npm scripts that they name exist', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
    const wrong = pages.flatMap((page) =>
      [...textOf(page).matchAll(/\bnpm (?:run (?:--silent |-s )?)([a-z][\w:-]*)/g)]
        .map(([, name = '']) => name)
        .filter((name) => !(name in scripts))
        .map((name) => `${page}: npm run ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  test('options of tsbuild that they name exist', () => {
    const help = (name: string): string =>
      spawnSync(programPath(), [...name.split(' ').filter(Boolean), '--help'], { encoding: 'utf8' }).stdout;
    const listed = (help('').split('\nCommands:\n')[1] ?? '').matchAll(/^ {2}([a-z]+)/gm);
    const within = [
      'store check',
      'network create',
      'network connect',
      ...['ls', 'rm', 'export', 'import'].map((name) => `cache mounts ${name}`),
    ];
    const commands = ['', ...within, ...[...listed].map(([, name = '']) => name).filter((name) => name !== 'help')];
    expect(commands).toContain('build');
    const known = new Set(commands.flatMap((name) => help(name).match(/(?<![\w-])--[a-z][a-z\d-]*/g) ?? []));
    const wrong: string[] = [];
    for (const page of pages) {
      // A table of what differs from BuildKit also says what is not here.
      if (page === 'docs/compat.md') continue;
      const { prose, blocks } = parts(page === 'docs/migrate.md' ? withoutFirstColumns(textOf(page)) : textOf(page));
      const shell = blocks.filter(({ lang }) => lang !== 'dockerfile').flatMap(({ body }) => body.split('\n'));
      const lines = [...codeSpans(prose), ...shell];
      for (const line of lines) {
        // Other programs' lines, and flags of instructions.
        const command = /(?:^|\$ |\| )(?:[A-Z_]+=\S+ )*([a-z][\w./-]*)/.exec(line)?.[1];
        if (command !== undefined && !/(^|\/)tsbuild$/.test(command)) continue;
        if (/^[A-Z]+ /.test(line)) continue;
        for (const option of line.match(/(?<![\w-])--[a-z][a-z\d-]+/g) ?? [])
          if (!known.has(option) && !OTHERS.has(option)) wrong.push(`${page}: ${option}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('every code of an error has a row, and no other', () => {
    const declared = [...textOf('src/util/errors.ts').matchAll(/^ {2}\| '(TSB_[A-Z_]+)'/gm)].map(([, code]) => code);
    const described = [...textOf('docs/errors.md').matchAll(/^\| `(TSB_[A-Z_]+)` \|/gm)].map(([, code]) => code);
    expect(declared.length).toBeGreaterThan(15);
    expect(new Set(described)).toEqual(new Set(declared));
    expect(described).toHaveLength(declared.length);
  });

  test('every page about developing is in a list', () => {
    const lists = textOf('ARCHITECTURE.md') + textOf('CONTRIBUTING.md') + textOf('docs/dev/decisions/README.md');
    const orphans = pages
      .filter((page) => page.startsWith('docs/dev/') && !page.endsWith('README.md'))
      .filter((page) => !lists.includes(page) && !lists.includes(`](${page.slice(page.lastIndexOf('/') + 1)})`));
    expect(orphans).toEqual([]);
  });
});

/** Options that are written alone and are those of instructions (RUN, COPY, ADD, FROM, HEALTHCHECK) or of other programs. */
const OTHERS: ReadonlySet<string> = new Set(
  (
    '--mount --network --security --device --from --chown --chmod --link --parents --exclude --checksum --keep-git-dir --unpack ' +
    '--platform --interval --timeout --retries --start-period'
  ).split(' '),
);

/** What a line of a drawing may be: enough of mermaid's language for our drawings, so that a slip of the pen is noticed. */
const NODE = String.raw`\w+(?:\[\(".*"\)\]|\(\[".*"\]\)|\[/".*"/\]|\[".*"\]|\(".*"\)|\{".*"\})?`;
const ARROW = String.raw`(?:-->|---|-\.-|-\.->|==>|-- ".*" -->|-\. ".*" \.->)`;
const GRAMMARS: Readonly<Record<string, readonly RegExp[]>> = {
  flowchart: [
    /^flowchart (?:TD|TB|LR|RL|BT)$/,
    new RegExp(`^${NODE}(?: ${ARROW} ${NODE})*$`),
    /^subgraph \w+(?:\[".*"\])?$/,
    /^end$/,
  ],
  sequenceDiagram: [
    /^sequenceDiagram$/,
    /^(?:participant|actor) \w+(?: as .+)?$/,
    /^\w+(?:->>|-->>|-\)|--\))[+-]?\w+: .+$/,
    /^(?:loop|alt|opt|par|critical|else|and) .+$/,
    /^(?:note|Note) (?:over|left of|right of) [\w,]+: .+$/,
    /^end$/,
  ],
};

describe('drawings', () => {
  const drawings = pages.flatMap((page) =>
    parts(textOf(page))
      .blocks.filter(({ lang }) => lang === 'mermaid')
      .map(({ body }, index) => [`${page} ${index + 1}`, body] as const),
  );

  test('there are some', () => {
    expect(drawings.length).toBeGreaterThan(3);
  });

  test.each(drawings)('%s is one that mermaid reads', (_, body) => {
    const lines = body.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
    const grammar = GRAMMARS[lines[0]?.split(' ')[0] ?? ''];
    expect(grammar, lines[0]).toBeDefined();
    expect(lines.filter((line) => !grammar?.some((form) => form.test(line)))).toEqual([]);
    const opened = lines.filter((line) => /^(?:subgraph|loop|alt|opt|par|critical) /.test(line)).length;
    expect(lines.filter((line) => line === 'end')).toHaveLength(opened);
    // In quotes or not, these end a label too early.
    for (const [, label = ''] of body.matchAll(/"([^"\n]*)"/g)) expect(label).not.toMatch(/[<>#;]/);
  });
});
