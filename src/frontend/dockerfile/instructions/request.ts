import type { SourceRange } from '../../../util/index.ts';
import type { CommandBase, DockerfileNode, Heredoc } from '../types.ts';
import { trimSpace } from '../text.ts';
import { Flags } from './flags.ts';

/** What the typing functions get: one instruction with its nested one flattened into the words. */
export interface Request {
  readonly args: readonly string[];
  readonly json: boolean;
  readonly heredocs: readonly Heredoc[];
  readonly flags: Flags;
  /** The text before trimming. */
  readonly original: string;
  readonly base: CommandBase;
}

/** What the parsers of instructions need of a node. */
export function requestOf(node: DockerfileNode, ranges: readonly SourceRange[]): Request {
  return {
    args: wordsOf(node),
    json: node.json,
    heredocs: node.heredocs,
    flags: new Flags(node.flags),
    original: node.original,
    base: { keyword: node.keyword, original: trimSpace(node.original), ranges, comments: node.comments },
  };
}

function wordsOf(node: DockerfileNode): readonly string[] {
  return node.child ? [node.child.keyword, ...wordsOf(node.child)] : node.args;
}

/** Exec form as it is; the shell form is one string. */
export function commandWords(args: readonly string[], json: boolean): readonly string[] {
  return json || args.length === 0 ? args : [args.join(' ')];
}

/** The text behind `name` in the first comment line that starts with it. */
export function docComment(comments: readonly string[], name: string): string {
  if (name === '') return '';
  const prefix = `${name} `;
  return comments.find((comment) => comment.startsWith(prefix))?.slice(prefix.length) ?? '';
}
