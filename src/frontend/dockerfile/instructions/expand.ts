import { placed } from '../failure.ts';
import { parseMount, type WordExpander } from './mount.ts';
import type { Command, KeyValue, SourceContent, SourcesAndDest } from '../types.ts';

export type { WordExpander };

/**
 * A copy of the command with the variables expanded in every word that takes them; the same command where none does.
 * EXPOSE is left alone, because one of its words may become several, and so are COPY's heredoc bodies, see `expandContents`.
 * @throws TsbuildError `TSB_DOCKERFILE` with the command's ranges: what `expand` threw, or a malformed `--mount`
 */
export function expandCommand<C extends Command>(command: C, expand: WordExpander): C;
export function expandCommand(command: Command, expand: WordExpander): Command {
  return placed(command.ranges, () => expanded(command, expand));
}

function expanded(command: Command, expand: WordExpander): Command {
  switch (command.type) {
    case 'add':
      return {
        ...command,
        chown: expand(command.chown),
        chmod: expand(command.chmod),
        checksum: expand(command.checksum),
        ...paths(command, expand),
      };
    case 'copy':
      return { ...command, chown: expand(command.chown), chmod: expand(command.chmod), ...paths(command, expand) };
    case 'arg':
      return {
        ...command,
        args: command.args.map((arg) => ({
          ...arg,
          key: expand(arg.key),
          value: arg.value === undefined ? undefined : expand(arg.value),
        })),
      };
    case 'env':
      return { ...command, env: pairs(command.env, expand) };
    case 'label':
      return { ...command, labels: pairs(command.labels, expand) };
    case 'run':
      return { ...command, mounts: command.mountFlags.map((flag) => parseMount(flag, expand)) };
    case 'stopsignal':
      return { ...command, signal: expand(command.signal) };
    case 'user':
      return { ...command, user: expand(command.user) };
    case 'volume':
      return { ...command, volumes: command.volumes.map(expand1(expand)) };
    case 'workdir':
      return { ...command, path: expand(command.path) };
    case 'cmd':
    case 'entrypoint':
    case 'expose':
    case 'healthcheck':
    case 'maintainer':
    case 'onbuild':
    case 'shell':
      return command;
  }
}

/**
 * The bodies of COPY's and ADD's heredocs with the variables expanded, those of quoted delimiters as they are.
 * @param expand should treat quotes as ordinary characters (`skipProcessQuotes`)
 */
export function expandContents(contents: readonly SourceContent[], expand: WordExpander): readonly SourceContent[] {
  return contents.map((content) => (content.expand ? { ...content, data: expand(content.data) } : content));
}

function paths(command: SourcesAndDest, expand: WordExpander): Pick<SourcesAndDest, 'sources' | 'dest'> {
  return { sources: command.sources.map(expand1(expand)), dest: expand(command.dest) };
}

function pairs(values: readonly KeyValue[], expand: WordExpander): readonly KeyValue[] {
  return values.map((pair) => ({ ...pair, key: expand(pair.key), value: expand(pair.value) }));
}

function expand1(expand: WordExpander): (word: string) => string {
  return (word) => expand(word);
}
