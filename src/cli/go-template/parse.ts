import type { Assignment, Expression, Node, Pipeline } from './ast.ts';
import { Float } from './float.ts';
import { lex, templateError, type Token } from './lex.ts';

/** Templates that nest deeper are nobody's. */
const MAX_DEPTH = 100;

/**
 * Parses a template of Go's text/template, but for `define`, `template` and `block`.
 * @throws TsbuildError `TSB_USAGE` that names the place
 */
export function parseTemplate(template: string): readonly Node[] {
  return new Parser(template).parse();
}

class Parser {
  readonly #template: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;
  /** How many `range` are open. */
  #ranges = 0;

  constructor(template: string) {
    this.#template = template;
    this.#tokens = lex(template);
  }

  parse(): readonly Node[] {
    const { nodes, end } = this.#list();
    if (end !== undefined) throw this.#fail(end, `{{${end.text}}} without a beginning`);
    return nodes;
  }

  /** Nodes up to `{{end}}` or `{{else`, whose word is given back. */
  #list(): { readonly nodes: readonly Node[]; readonly end: Token | undefined } {
    const nodes: Node[] = [];
    for (let token = this.#take(); token !== undefined; token = this.#take()) {
      if (token.kind === 'text') {
        nodes.push({ kind: 'text', text: token.text });
        continue;
      }
      this.#space();
      const word = this.#peek();
      if (word?.kind === 'word' && (word.text === 'end' || word.text === 'else')) {
        this.#take();
        return { nodes, end: word };
      }
      nodes.push(this.#action(word));
    }
    return { nodes, end: undefined };
  }

  #action(word: Token | undefined): Node {
    if (word?.kind !== 'word') return this.#print();
    switch (word.text) {
      case 'if':
      case 'with':
      case 'range':
        this.#take();
        return this.#block(word.text, word);
      case 'break':
      case 'continue':
        if (this.#ranges === 0) throw this.#fail(word, `{{${word.text}}} outside of {{range}}`);
        this.#take();
        this.#close();
        return { kind: word.text };
      case 'define':
      case 'template':
      case 'block':
        throw this.#fail(word, `{{${word.text}}} is not supported`);
      default:
        return this.#print();
    }
  }

  #print(): Node {
    const pipeline = this.#pipeline();
    this.#close();
    return { kind: 'print', pipeline };
  }

  #block(kind: 'if' | 'with' | 'range', word: Token): Node {
    if (++this.#depth > MAX_DEPTH) throw this.#fail(word, `more than ${MAX_DEPTH} blocks within each other`);
    if (kind === 'range') this.#ranges++;
    const pipeline = this.#pipeline(kind === 'range' ? 2 : 1);
    this.#close();
    const { nodes: body, end } = this.#list();
    if (kind === 'range') this.#ranges--;
    const otherwise = end?.text === 'else' ? this.#otherwise(word) : [];
    if (end === undefined) throw this.#fail(word, `{{${kind}}} without {{end}}`);
    if (end.text === 'end') this.#close();
    this.#depth--;
    return { kind, pipeline, body, otherwise };
  }

  /** After `else`: `{{else}} … {{end}}`, or `{{else if …}}`, which shares the `{{end}}`. */
  #otherwise(word: Token): readonly Node[] {
    this.#space();
    const next = this.#peek();
    if (next?.kind === 'word' && (next.text === 'if' || next.text === 'with')) {
      this.#take();
      return [this.#block(next.text, next)];
    }
    this.#close();
    const { nodes, end } = this.#list();
    if (end?.text !== 'end') throw this.#fail(end ?? word, '{{else}} without {{end}}');
    this.#close();
    return nodes;
  }

  /** @param names how many variables its value can go to */
  #pipeline(names = 1): Pipeline {
    const assigns = this.#assignment(names);
    let value = this.#command(undefined);
    for (this.#space(); this.#isSign('|'); this.#space()) {
      this.#take();
      value = this.#command(value);
    }
    return { value, ...(assigns === undefined ? {} : { assigns }) };
  }

  /** `$a :=`, `$a =`, `$a, $b :=`, when that is what stands here. */
  #assignment(most: number): Assignment | undefined {
    const start = this.#next;
    const names: string[] = [];
    for (;;) {
      this.#space();
      const token = this.#take();
      if (token?.kind !== 'variable' || token.text === '') break;
      names.push(token.text);
      this.#space();
      const sign = this.#take();
      if (sign?.kind !== 'sign') break;
      if (sign.text === ':=' || sign.text === '=') return { names, declares: sign.text === ':=' };
      if (sign.text !== ',' || names.length === most) break;
    }
    this.#next = start;
    return undefined;
  }

  /** One operand, or a function with its arguments. @param piped what comes last among these */
  #command(piped: Expression | undefined): Expression {
    this.#space();
    const first = this.#peek();
    const args: Expression[] = [];
    const isCall = first?.kind === 'word' && !['true', 'false', 'nil'].includes(first.text);
    if (isCall) this.#take();
    while (this.#hasNext(isCall || args.length > 0)) args.push(this.#operand());
    if (piped !== undefined) args.push(piped);
    if (isCall) return { kind: 'call', name: first.text, args, at: first.at };
    const [only] = args;
    if (only === undefined) throw this.#fail(first, 'an expression is missing');
    if (only.kind === 'field' && args.length > 1) return { ...only, args: args.slice(1) };
    if (args.length > 1) throw this.#fail(first, 'only a function can have arguments');
    if (piped === undefined && first?.kind === 'word' && first.text === 'nil')
      throw this.#fail(first, 'nil alone is no expression');
    return only;
  }

  /** Whether an operand follows. @param isApart whether there has to be space before it */
  #hasNext(isApart: boolean): boolean {
    const before = this.#next;
    this.#space();
    if (this.#isEnd()) return false;
    if (isApart && this.#next === before)
      throw this.#fail(this.#peek(), `a space is missing before ${JSON.stringify(this.#peek()?.text ?? '')}`);
    return true;
  }

  #operand(): Expression {
    const token = this.#take();
    let value = this.#plain(token);
    const hasFields = value.kind !== 'dot' && value.kind !== 'literal';
    if (!hasFields && this.#peek()?.kind === 'field')
      throw this.#fail(token, `${JSON.stringify(token?.text)} has no fields`);
    for (let next = this.#peek(); next?.kind === 'field'; next = this.#peek()) {
      this.#take();
      value = { kind: 'field', of: value, name: next.text, at: next.at };
    }
    return value;
  }

  #plain(token: Token | undefined): Expression {
    switch (token?.kind) {
      case 'field':
        return { kind: 'field', of: { kind: 'dot' }, name: token.text, at: token.at };
      case 'dot':
        return { kind: 'dot' };
      case 'variable':
        return { kind: 'variable', name: token.text };
      case 'string':
        return { kind: 'literal', value: token.text };
      case 'number':
        return {
          kind: 'literal',
          value: /^-?\d+$/.test(token.text) ? Number(token.text) : new Float(Number(token.text)),
        };
      case 'word':
        if (token.text === 'nil') return { kind: 'literal', value: undefined };
        if (token.text === 'true' || token.text === 'false') return { kind: 'literal', value: token.text === 'true' };
        return { kind: 'call', name: token.text, args: [], at: token.at };
      case 'sign':
        if (token.text === '(') return this.#parentheses(token);
        break;
      default:
    }
    throw this.#fail(token, `${JSON.stringify(token?.text ?? '')} is no expression`);
  }

  #parentheses(open: Token): Expression {
    if (++this.#depth > MAX_DEPTH) throw this.#fail(open, `more than ${MAX_DEPTH} parentheses within each other`);
    const { value } = this.#pipeline();
    this.#space();
    if (!this.#isSign(')')) throw this.#fail(open, 'a parenthesis is not closed');
    this.#take();
    this.#depth--;
    return value;
  }

  #isEnd(): boolean {
    const token = this.#peek();
    return token === undefined || token.kind === 'close' || (token.kind === 'sign' && '|)'.includes(token.text));
  }

  #isSign(text: string): boolean {
    const token = this.#peek();
    return token?.kind === 'sign' && token.text === text;
  }

  #close(): void {
    this.#space();
    const token = this.#take();
    if (token?.kind !== 'close') throw this.#fail(token, `${JSON.stringify(token?.text ?? '')} stands where }} should`);
  }

  #space(): void {
    while (this.#peek()?.kind === 'space') this.#next++;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next];
  }

  #take(): Token | undefined {
    const token = this.#tokens[this.#next];
    if (token !== undefined) this.#next++;
    return token;
  }

  #fail(token: Token | undefined, why: string): Error {
    return templateError(this.#template, token?.at ?? this.#template.length, why);
  }
}
