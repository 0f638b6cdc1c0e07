/** What can be computed: the part of Go's template language that is an expression. */
export type Expression =
  | { readonly kind: 'literal'; readonly value: unknown }
  | { readonly kind: 'dot' }
  | { readonly kind: 'variable'; readonly name: string }
  | {
      readonly kind: 'field';
      readonly of: Expression;
      readonly name: string;
      readonly at: number;
      /** What a field that is a function is called with. */
      readonly args?: readonly Expression[];
    }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[]; readonly at: number };

/** `$x := pipeline`, or `$x = pipeline`; two names for `range`. */
export interface Assignment {
  readonly names: readonly string[];
  readonly declares: boolean;
}

/** An expression whose value may go into variables. */
export interface Pipeline {
  readonly value: Expression;
  readonly assigns?: Assignment;
}

/** A part of a template. */
export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | { readonly kind: 'break' | 'continue' };
