import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type Command,
  type DockerfileNode,
  expandWord,
  expandWords,
  goQuote,
  parseDockerfile,
  parseLines,
  type Stage,
} from '../../../src/frontend/dockerfile/index.ts';
import { mistake } from './support.ts';

/** BuildKit's own test data and its recorded answers; not part of the project, so the tests run where it is at hand. */
const data = '../shared/conformance';

interface Row {
  readonly in: {
    readonly op: string;
    readonly src: string;
    readonly env?: readonly string[];
    readonly escape?: '' | '\\' | '`';
  };
  readonly out: Readonly<Record<string, unknown>> & { readonly error?: string };
}

function rows(name: string): Row[] {
  const text = readFileSync(join(data, 'oracle', `${name}.jsonl`), 'utf8').trim();
  return text.split('\n').map((line) => JSON.parse(line) as Row);
}

/** BuildKit does not say the line in the text of errors below the instruction level. */
function withoutLine(message: string): string {
  return message.replace(/^dockerfile parse error on line \d+: /, '');
}

function dump(node: DockerfileNode): string {
  const flags = node.flags.length > 0 ? ` [${node.flags.map(goQuote).join(' ')}]` : '';
  const child = node.child ? ` (${dump(node.child)})` : '';
  return node.keyword.toLowerCase() + flags + child + node.args.map((arg) => ` ${goQuote(arg)}`).join('');
}

function asOracleNode(node: DockerfileNode): object {
  return {
    cmd: node.keyword,
    args: node.args,
    start: node.startLine,
    end: node.endLine,
    orig: node.original,
    ...(node.flags.length > 0 && { flags: node.flags }),
    ...(node.json && { json: true }),
    ...(node.comments.length > 0 && { comments: node.comments }),
    ...(node.child && { kids: [asOracleNode(node.child)] }),
    ...(node.heredocs.length > 0 && {
      heredocs: node.heredocs.map((heredoc) => ({
        Name: heredoc.name,
        FileDescriptor: heredoc.fd,
        Expand: heredoc.expand,
        Chomp: heredoc.chomp,
        Content: heredoc.content,
      })),
    }),
  };
}

function orNull<T>(items: readonly T[]): readonly T[] | null {
  return items.length > 0 ? items : null;
}

/** Go tells an empty list of comments from none. */
function withoutEmptyComments(out: Row['out']): object {
  const stages = out['stages'] as readonly { readonly Comments: readonly string[] | null }[] | null;
  return { ...out, stages: stages?.map((stage) => ({ ...stage, Comments: orNull(stage.Comments ?? []) })) ?? null };
}

function asOracleStage(stage: Stage): object {
  return {
    Name: stage.name,
    Commands: stage.commands.map(asOracleCommand),
    OrigCmd: stage.keyword,
    BaseName: stage.baseName,
    Platform: stage.platform,
    DocComment: stage.docComment,
    SourceCode: stage.original,
    Location: stage.ranges.map(({ startLine, endLine }) => ({
      Start: { Line: startLine, Character: 0 },
      End: { Line: endLine, Character: 0 },
    })),
    Comments: orNull(stage.comments),
  };
}

function asOracleCommand(command: Command): object {
  const pairs = (list: readonly { key: string; value: string; legacy: boolean }[]): object[] =>
    list.map(({ key, value, legacy }) => ({ Key: key, Value: value, NoDelim: legacy }));
  switch (command.type) {
    case 'add':
    case 'copy':
      return {
        DestPath: command.dest,
        SourcePaths: orNull(command.sources),
        SourceContents: orNull(
          command.contents.map(({ path, data, expand }) => ({ Path: path, Data: data, Expand: expand })),
        ),
        Chown: command.chown,
        Chmod: command.chmod,
        Link: command.link,
        ExcludePatterns: orNull(command.exclude),
        ...(command.type === 'copy'
          ? { From: command.from, Parents: command.parents }
          : {
              Checksum: command.checksum,
              KeepGitDir: command.keepGitDir ?? null,
              Unpack: command.unpack ?? null,
            }),
      };
    case 'arg':
      return {
        Args: command.args.map(({ key, value, docComment }) => ({
          Key: key,
          Value: value ?? null,
          DocComment: docComment,
        })),
      };
    case 'env':
      return { Env: pairs(command.env) };
    case 'label':
      return { Labels: pairs(command.labels) };
    case 'run':
    case 'cmd':
    case 'entrypoint':
      return {
        CmdLine: command.type === 'entrypoint' ? orNull(command.cmdLine) : command.cmdLine,
        Files: orNull(command.files.map(({ name, data, chomp }) => ({ Name: name, Data: data, Chomp: chomp }))),
        PrependShell: command.prependShell,
        ...(command.type === 'run' && { FlagsUsed: command.flagsUsed }),
      };
    case 'expose':
      return { Ports: command.ports };
    case 'healthcheck':
      return { Health: command.health };
    case 'maintainer':
      return { Maintainer: command.maintainer };
    case 'onbuild':
      return { Expression: command.expression };
    case 'shell':
      return { Shell: command.shell };
    case 'stopsignal':
      return { Signal: command.signal };
    case 'user':
      return { User: command.user };
    case 'volume':
      return { Volumes: command.volumes };
    case 'workdir':
      return { Path: command.path };
  }
}

describe.skipIf(!existsSync(data))("BuildKit's parser test files", () => {
  const parser = join(data, 'dockerfile/parser');

  test.each(existsSync(parser) ? readdirSync(parser) : ['every file'])('%s', (name) => {
    const text = readFileSync(join(parser, name, 'Dockerfile'), 'utf8');
    const result = readFileSync(join(parser, name, 'result'), 'utf8');
    const { nodes } = parseLines({ name: 'Dockerfile', text });
    expect(`${nodes.map((node) => `(${dump(node)})`).join('\n')}\n`).toBe(result);
  });

  const negative = join(data, 'dockerfile/parser-negative');

  test.each(existsSync(negative) ? readdirSync(negative) : ['every file'])('%s is refused', (name) => {
    const text = readFileSync(join(negative, name, 'Dockerfile'), 'utf8');
    expect(() => parseLines({ name: 'Dockerfile', text })).toThrow();
  });

  test('line numbers', () => {
    const text = readFileSync(join(data, 'dockerfile/parser-line/Dockerfile'), 'utf8');
    const { nodes } = parseLines({ name: 'Dockerfile', text });
    expect(nodes.map(({ startLine, endLine }) => [startLine, endLine])).toEqual([
      [5, 5],
      [11, 12],
      [17, 31],
    ]);
  });
});

describe.skipIf(!existsSync(data))("BuildKit's lexer test files", () => {
  test('envVarTest', () => {
    const env = new Map([
      ['PWD', '/home'],
      ['SHELL', 'bash'],
      ['KOREAN', '한국어'],
      ['NULL', ''],
    ]);
    let cases = 0;
    for (const line of readFileSync(join(data, 'dockerfile/envVarTest'), 'utf8').split('\n')) {
      if (line.startsWith('#') || line.trim() === '') continue;
      const [platform = '', source = '', expected = ''] = line.split('|').map((part) => part.trim());
      if (platform === 'W') continue;
      cases++;
      if (expected === 'error') expect(() => expandWord(source, env), line).toThrow();
      else expect(expandWord(source, env).value, line).toBe(expected);
    }
    expect(cases).toBeGreaterThan(150);
  });

  test('wordsTest', () => {
    const env = new Map<string, string>();
    let cases = 0;
    for (const line of readFileSync(join(data, 'dockerfile/wordsTest'), 'utf8').split('\n')) {
      if (line.startsWith('#') || line.trim() === '') continue;
      if (line.startsWith('ENV ')) {
        const equals = line.indexOf('=');
        env.set(line.slice(4, equals), line.slice(equals + 1));
        continue;
      }
      const [source = '', expected = ''] = line.split('|');
      cases++;
      if (expected.trim() === 'error') expect(() => expandWords(source.trim(), env), line).toThrow();
      else expect(expandWords(source.trim(), env).join(','), line).toBe(expected.trimStart());
    }
    expect(cases).toBeGreaterThan(20);
  });
});

describe.skipIf(!existsSync(data))("BuildKit's recorded answers", () => {
  test('syntax trees', () => {
    for (const { in: input, out } of rows('parse')) {
      const file = { name: 'Dockerfile', text: input.src };
      if (out.error !== undefined) {
        expect(withoutLine(mistake(() => parseLines(file))), input.src).toBe(out.error);
        continue;
      }
      const { escape, nodes, warnings } = parseLines(file);
      const short = orNull(warnings.map(({ message }) => message));
      const expected = out['warnings'] as readonly (string | { Short: string })[] | null;
      expect({ escape, nodes: nodes.map(asOracleNode), warnings: short }, input.src).toEqual({
        ...out,
        warnings: expected?.map((warning) => (typeof warning === 'string' ? warning : warning.Short)) ?? null,
      });
    }
  });

  test('typed instructions', () => {
    for (const { in: input, out } of rows('instr')) {
      const file = { name: 'Dockerfile', text: input.src };
      if (out.error !== undefined) {
        const message = mistake(() => parseDockerfile(file));
        expect([message, withoutLine(message)], input.src).toContain(out.error);
        continue;
      }
      const { stages, metaArgs } = parseDockerfile(file);
      expect(
        { meta: orNull(metaArgs.map(asOracleCommand)), stages: orNull(stages.map(asOracleStage)) },
        input.src,
      ).toEqual(withoutEmptyComments(out));
    }
  });

  test('word expansion', () => {
    for (const { in: input, out } of rows('word')) {
      const env = new Map(
        (input.env ?? []).map((item) => [item.slice(0, item.indexOf('=')), item.slice(item.indexOf('=') + 1)]),
      );
      const options = input.escape ? { escape: input.escape } : {};
      const run = (): object => {
        if (input.op === 'words') return { words: expandWords(input.src, env, options) };
        const { value, unmatched } = expandWord(input.src, env, options);
        const names = Object.fromEntries(Array.from(unmatched, (name) => [name, {}]));
        return { word: value, unmatched: unmatched.size > 0 ? names : null };
      };
      if (out.error === undefined)
        expect(run(), input.src).toEqual({ ...out, ...(out['words'] === null && { words: [] }) });
      else expect(mistake(run), input.src).toBe(out.error);
    }
  });
});
