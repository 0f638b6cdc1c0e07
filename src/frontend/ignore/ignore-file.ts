import { type MatchInfo, PatternMatcher, relativePattern } from '../../patterns/index.ts';
import { type SourceFile, TsbuildError } from '../../util/index.ts';

const MAX_LINE_BYTES = 65_535;
const MAX_FILE_CHARACTERS = 4 * 1024 * 1024;

/**
 * The patterns of an ignore file in order: comments (`#` in column 0) and empty lines dropped, blanks trimmed, paths cleaned and
 * made relative to the context. A pattern that starts with `!` takes back what earlier ones ignore.
 * @throws TsbuildError `TSB_IGNORE` for a line or file too long
 */
export function parseIgnoreFile(file: SourceFile): readonly string[] {
  if (file.text.length > MAX_FILE_CHARACTERS) throw tooLarge(file, 'it is larger than 4 MiB');
  const patterns: string[] = [];
  const lines = file.text.replace(/^\uFEFF/, '').split('\n');
  for (const [index, line] of lines.entries()) {
    if (line.length * 3 > MAX_LINE_BYTES && Buffer.byteLength(line) > MAX_LINE_BYTES) {
      throw tooLarge(file, `line ${index + 1} is longer than ${MAX_LINE_BYTES} bytes`, index + 1);
    }
    if (line.startsWith('#')) continue;
    const pattern = relativePattern(line);
    if (pattern !== '') patterns.push(pattern);
  }
  return patterns;
}

function tooLarge(file: SourceFile, reason: string, line?: number): TsbuildError {
  return new TsbuildError('TSB_IGNORE', `Cannot read ignore file ${JSON.stringify(file.name)}: ${reason}`, {
    ranges: line === undefined ? [] : [{ file: file.name, startLine: line, endLine: line }],
  });
}

/** Decides which entries of a build context are left out. Paths are relative, with slashes, without a slash at the end. */
export class IgnoreMatcher {
  readonly #matcher: PatternMatcher;

  /** @throws TsbuildError `TSB_IGNORE` for a malformed pattern */
  constructor(patterns: readonly string[]) {
    this.#matcher = new PatternMatcher(patterns);
  }

  /** @throws TsbuildError `TSB_IGNORE` */
  static fromFile(file: SourceFile): IgnoreMatcher {
    return new IgnoreMatcher(parseIgnoreFile(file));
  }

  get matcher(): PatternMatcher {
    return this.#matcher;
  }

  /**
   * Whether the entry is ignored.
   * @param parent what this function gave for the parent directory; without it, the parents are looked at here
   * @returns `info` to pass on to the entries of a directory
   */
  ignored(path: string, isDir: boolean, parent?: MatchInfo): { readonly ignored: boolean; readonly info?: MatchInfo } {
    if (!isDir) return { ignored: this.#matcher.matchesBelow(path, parent) };
    const { matched, info } = this.#matcher.match(path, parent);
    return { ignored: matched, info };
  }

  /** Whether nothing below this ignored directory can be taken back by a `!` pattern, so that it need not be walked. */
  canSkipDir(path: string): boolean {
    return !this.#matcher.mayExceptBelow(path);
  }
}
