import { dockerfileError } from '../failure.ts';
import { asHeredocWord, chompHeredoc } from '../parser/heredoc.ts';
import type { Request } from './request.ts';
import type { AddCommand, CopyCommand, SourceContent, SourcesAndDest } from '../types.ts';

/** COPY: at least one source and a destination. */
export function parseCopy(request: Request): CopyCommand {
  requireTwo(request, 'COPY');
  const { flags } = request;
  flags.parse({
    chmod: 'string',
    chown: 'string',
    exclude: 'strings',
    from: 'string',
    link: 'bool',
    parents: 'bool',
  });
  return {
    type: 'copy',
    ...request.base,
    ...sourcesAndDest(request, 'COPY'),
    from: flags.string('from'),
    chown: flags.string('chown'),
    chmod: flags.string('chmod'),
    link: flags.bool('link') ?? false,
    parents: flags.bool('parents') ?? false,
    exclude: flags.strings('exclude'),
  };
}

/** ADD: like COPY, with archives and remote sources. */
export function parseAdd(request: Request): AddCommand {
  requireTwo(request, 'ADD');
  const { flags } = request;
  flags.parse({
    checksum: 'string',
    chmod: 'string',
    chown: 'string',
    exclude: 'strings',
    'keep-git-dir': 'bool',
    link: 'bool',
    unpack: 'bool',
  });
  return {
    type: 'add',
    ...request.base,
    ...sourcesAndDest(request, 'ADD'),
    chown: flags.string('chown'),
    chmod: flags.string('chmod'),
    link: flags.bool('link') ?? false,
    checksum: flags.string('checksum'),
    exclude: flags.strings('exclude'),
    keepGitDir: flags.bool('keep-git-dir'),
    unpack: flags.bool('unpack'),
  };
}

function requireTwo({ args }: Request, name: string): void {
  if (args.length >= 2) return;
  throw dockerfileError(
    `${name} requires at least two arguments, but only one was provided. Destination could not be determined`,
  );
}

function sourcesAndDest({ args, heredocs }: Request, name: string): SourcesAndDest {
  const dest = args.at(-1) ?? '';
  if (asHeredocWord(dest)) throw dockerfileError(`${name} cannot accept a heredoc as a destination`);
  // Of several heredocs with one name the last one's body counts.
  const bodies = new Map(heredocs.map((heredoc) => [heredoc.name, heredoc.content]));
  const sources: string[] = [];
  const contents: SourceContent[] = [];
  for (const source of args.slice(0, -1)) {
    const head = asHeredocWord(source);
    if (!head) {
      sources.push(source);
      continue;
    }
    const body = bodies.get(head.name) ?? '';
    contents.push({ path: head.name, data: head.chomp ? chompHeredoc(body) : body, expand: head.expand });
  }
  return { dest, sources, contents };
}
