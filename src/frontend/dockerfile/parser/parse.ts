import { type SourceFile, TsbuildError } from '../../../util/index.ts';
import { dockerfileError, lineRanges, parseError } from '../failure.ts';
import type { Directive, Directives, DockerfileNode, EscapeToken, Heredoc, ParseWarning } from '../types.ts';
import { trimNewline, trimSpace, trimStart } from '../text.ts';
import { type DirectiveName, DirectiveScanner, escapeToken } from './directives.ts';
import { type HeredocHead, heredocsOfLine, takesHeredocs } from './heredoc.ts';
import { parseInstructionLine } from './line-parsers.ts';
import { SourceLines } from './source-lines.ts';

/** A Dockerfile cut into instructions. */
export interface ParsedLines {
  readonly file: SourceFile;
  readonly nodes: readonly DockerfileNode[];
  readonly directives: Directives;
  readonly escape: EscapeToken;
  readonly warnings: readonly ParseWarning[];
}

/** No Dockerfile that a person or program writes comes near; above it memory and time are the issue. */
const MAX_FILE_CHARACTERS = 16 * 1024 * 1024;
const MAX_INSTRUCTIONS = 100_000;

/**
 * Cuts a Dockerfile into instructions, without judging their names, flags or the number of their arguments.
 * @throws TsbuildError `TSB_DOCKERFILE` with ranges
 */
export function parseLines(file: SourceFile): ParsedLines {
  return new LineParser(file).parse();
}

class LineParser {
  readonly #file: SourceFile;
  readonly #lines: SourceLines;
  readonly #scanner = new DirectiveScanner();
  readonly #directives = new Map<DirectiveName, Directive>();
  readonly #nodes: DockerfileNode[] = [];
  readonly #warnings: ParseWarning[] = [];
  #escape: EscapeToken = '\\';
  #comments: string[] = [];

  constructor(file: SourceFile) {
    this.#file = file;
    this.#lines = new SourceLines(file);
  }

  /** All instructions of a Dockerfile with their heredocs. */
  parse(): ParsedLines {
    if (this.#file.text.length > MAX_FILE_CHARACTERS) {
      throw dockerfileError(`Cannot parse ${JSON.stringify(this.#file.name)}: it is larger than 16 MiB`);
    }
    for (let raw = this.#lines.next(); raw !== undefined; raw = this.#lines.next()) this.#instruction(raw);
    const error = this.#lines.error();
    if (error) throw error;
    if (this.#nodes.length === 0) {
      throw dockerfileError('file with no instructions', [], 'a Dockerfile starts with FROM');
    }
    return {
      file: this.#file,
      nodes: this.#nodes,
      directives: Object.fromEntries(this.#directives) as Directives,
      escape: this.#escape,
      warnings: this.#warnings,
    };
  }

  /** Handles one line that is outside any instruction, and the whole instruction if one starts there. */
  #instruction(raw: string): void {
    const startLine = this.#lines.number;
    const trimmed = trimStart(trimNewline(raw));
    if (trimmed.startsWith('#')) {
      this.#comment(raw, trimmed);
      return;
    }
    // Whatever is not a comment ends the directives.
    this.#scanner.scan(trimmed);
    const { text, continues } = this.#withoutContinuation(trimmed);
    if (!continues && text === '') return;
    const line = continues ? this.#continued(text) : text;
    const node = this.#node(line, startLine);
    const heads = takesHeredocs(node) && line.includes('<<') ? this.#heads(line, startLine) : [];
    const heredocs = heads.map((head) => this.#heredoc(head, startLine));
    this.#nodes.push({ ...node, heredocs, endLine: this.#lines.number });
    this.#comments = [];
    if (this.#nodes.length > MAX_INSTRUCTIONS) {
      this.#fail(`more than ${MAX_INSTRUCTIONS} instructions`, startLine, startLine);
    }
  }

  /** A comment may be documentation for the instruction below it. */
  #comment(raw: string, trimmed: string): void {
    const line = this.#lines.number;
    // As in BuildKit, only the first character goes, so an indented comment keeps its `#`.
    const comment = trimSpace(raw.slice(1));
    let directive;
    try {
      directive = this.#scanner.scan(trimmed);
      if (directive?.name === 'escape') this.#escape = escapeToken(directive.value);
    } catch (error) {
      if (error instanceof TsbuildError) this.#fail(error.message, line, line);
      throw error;
    }
    if (directive) {
      this.#directives.set(directive.name, { value: directive.value, ranges: lineRanges(this.#file.name, line, line) });
    } else if (comment === '') {
      this.#comments = [];
    } else {
      this.#comments.push(comment);
    }
  }

  /** Joins the lines of an instruction. Comments among them vanish; so do empty lines, with a warning. */
  #continued(first: string): string {
    const parts = [first];
    let hasEmptyLine = false;
    for (let raw = this.#lines.next(); raw !== undefined; raw = this.#lines.next()) {
      const line = trimNewline(raw);
      const start = trimStart(line);
      if (start.startsWith('#')) continue;
      if (start === '') {
        hasEmptyLine = true;
        continue;
      }
      const { text, continues } = this.#withoutContinuation(line);
      parts.push(text);
      if (!continues) break;
    }
    const line = parts.join('');
    if (hasEmptyLine) {
      this.#warnings.push({
        rule: 'NoEmptyContinuation',
        message: `Empty continuation line found in: ${line}`,
        ranges: lineRanges(this.#file.name, this.#lines.number, this.#lines.number),
      });
    }
    return line;
  }

  /** An escape character at the end of the line, blanks aside, continues it, unless another one stands before. */
  #withoutContinuation(line: string): { text: string; continues: boolean } {
    let end = line.length;
    while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--;
    const isContinuation = line[end - 1] === this.#escape && line[end - 2] !== this.#escape;
    return isContinuation ? { text: line.slice(0, end - 1), continues: true } : { text: line, continues: false };
  }

  /** One instruction, its continuation lines joined. */
  #node(line: string, startLine: number): DockerfileNode {
    const place = { startLine, endLine: this.#lines.number, comments: this.#comments };
    try {
      return parseInstructionLine(line, this.#escape, place);
    } catch (error) {
      if (error instanceof TsbuildError) this.#fail(error.message, startLine, this.#lines.number);
      throw error;
    }
  }

  /** The heredocs that an instruction announces; their bodies follow in this order. */
  #heads(line: string, startLine: number): HeredocHead[] {
    try {
      return heredocsOfLine(line);
    } catch (error) {
      if (error instanceof TsbuildError) this.#fail(error.message, startLine, this.#lines.number);
      throw error;
    }
  }

  /** Reads a heredoc's body up to its terminator. */
  #heredoc(head: HeredocHead, startLine: number): Heredoc {
    const body: string[] = [];
    for (let raw = this.#lines.next(); raw !== undefined; raw = this.#lines.next()) {
      const line = trimNewline(raw);
      if ((head.chomp ? line.replace(/^\t+/, '') : line) === head.name) return { ...head, content: body.join('') };
      body.push(raw);
    }
    const error = this.#lines.error();
    if (error) throw error;
    return this.#fail('unterminated heredoc', startLine, this.#lines.number);
  }

  #fail(message: string, first: number, last: number): never {
    throw parseError(message, first, lineRanges(this.#file.name, first, last));
  }
}
