/** A range of a source file. Lines and columns count from 1; the end is inclusive. Columns are known only sometimes. */
export interface SourceRange {
  readonly file: string;
  readonly startLine: number;
  readonly endLine: number;
  readonly startColumn?: number;
  readonly endColumn?: number;
}

/** A message about the user's input, with the places that it is about. */
export interface Diagnostic {
  /** Stable id, e.g. a lint rule's name. */
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly ranges: readonly SourceRange[];
  /** What the rule is about, one sentence. */
  readonly description?: string;
  readonly help?: string;
  readonly url?: string;
}

/** A source file whose text error excerpts are cut from. */
export interface SourceFile {
  readonly name: string;
  readonly text: string;
}
