import { isTsbuildError, messageOf, suggest } from '../../util/index.ts';
import type { Expression, Node, Pipeline } from './ast.ts';
import { functions } from './functions.ts';
import { templateError } from './lex.ts';
import { parseTemplate } from './parse.ts';
import { display, isStruct, isTrue } from './values.ts';

/** A template that can be filled in. */
export type Template = (data: unknown) => string;

/**
 * Makes a function of a Go template, as `--format` has it.
 * @throws TsbuildError `TSB_USAGE` for one that cannot be parsed; the function does for one that the data does not fit
 */
export function compileTemplate(template: string): Template {
  const nodes = parseTemplate(template);
  return (data) => {
    const out: string[] = [];
    new Evaluation(template, out, data).run(nodes, data);
    return out.join('');
  };
}

/** `range` counts no further. */
const MAX_RANGE = 100_000;

/** What a list of nodes ended with. */
type End = 'break' | 'continue' | undefined;

class Evaluation {
  readonly #template: string;
  readonly #out: string[];
  /** `$` is under the empty name. Blocks have scopes of their own. */
  #variables: ReadonlyMap<string, { value: unknown }>;

  constructor(template: string, out: string[], root: unknown) {
    this.#template = template;
    this.#out = out;
    this.#variables = new Map([['', { value: root }]]);
  }

  run(nodes: readonly Node[], dot: unknown): End {
    for (const node of nodes) {
      const end = this.#node(node, dot);
      if (end !== undefined) return end;
    }
    return undefined;
  }

  #node(node: Node, dot: unknown): End {
    switch (node.kind) {
      case 'text':
        this.#out.push(node.text);
        return undefined;
      case 'print': {
        const value = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.assigns === undefined) this.#out.push(display(value));
        return undefined;
      }
      case 'if':
      case 'with': {
        const outer = this.#variables;
        const value = this.#pipeline(node.pipeline, dot);
        const inner = node.kind === 'with' && isTrue(value) ? value : dot;
        const end = this.run(isTrue(value) ? node.body : node.otherwise, inner);
        this.#variables = outer;
        return end;
      }
      case 'range':
        return this.#range(node, dot);
      case 'break':
      case 'continue':
        return node.kind;
      default:
        return node satisfies never;
    }
  }

  #range(node: Extract<Node, { kind: 'range' | 'if' | 'with' }>, dot: unknown): End {
    const { value, assigns } = node.pipeline;
    const entries = this.#entries(this.#value(value, dot), value, assigns?.names.length ?? 0);
    if (entries.length === 0) return this.run(node.otherwise, dot);
    const outer = this.#variables;
    for (const [key, item] of entries) {
      const [first, second] = assigns?.names ?? [];
      // One name is the element's, of two the first is the key's.
      const pairs: readonly (readonly [string | undefined, unknown])[] =
        second === undefined
          ? [[first, item]]
          : [
              [first, key],
              [second, item],
            ];
      for (const [name, content] of pairs)
        if (name !== undefined) this.#assign(name, content, assigns?.declares ?? true);
      const end = this.run(node.body, item);
      this.#variables = outer;
      if (end === 'break') break;
    }
    return undefined;
  }

  /** @param names how many variables an entry goes to */
  #entries(value: unknown, expression: Expression, names: number): readonly (readonly [unknown, unknown])[] {
    if (value === null || value === undefined) return [];
    if (Array.isArray(value)) return value.map((item, at): [number, unknown] => [at, item]);
    if (value instanceof Map) return [...(value as ReadonlyMap<string, unknown>)].sort(([a], [b]) => (a < b ? -1 : 1));
    if (typeof value === 'number' && Number.isInteger(value) && value <= MAX_RANGE && names < 2)
      return Array.from({ length: Math.max(0, value) }, (_, at) => [at, at] as const);
    throw this.#fail(expression, `range cannot go over ${display(value)}`);
  }

  #pipeline({ value, assigns }: Pipeline, dot: unknown): unknown {
    const result = this.#value(value, dot);
    for (const name of assigns?.names ?? []) this.#assign(name, result, assigns?.declares ?? true);
    return result;
  }

  #assign(name: string, value: unknown, declares: boolean): void {
    const known = this.#variables.get(name);
    if (declares) this.#variables = new Map([...this.#variables, [name, { value }]]);
    else if (known !== undefined) known.value = value;
    else throw templateError(this.#template, 0, `the variable $${name} is not declared`);
  }

  #value(expression: Expression, dot: unknown): unknown {
    switch (expression.kind) {
      case 'literal':
        return expression.value;
      case 'dot':
        return dot;
      case 'variable': {
        const known = this.#variables.get(expression.name);
        if (known === undefined)
          throw templateError(this.#template, 0, `the variable $${expression.name} is not declared`);
        return known.value;
      }
      case 'field':
        return this.#method(this.#field(this.#value(expression.of, dot), expression), expression, dot);
      case 'call':
        return this.#call(expression, dot);
      default:
        return expression satisfies never;
    }
  }

  #field(of: unknown, expression: Extract<Expression, { kind: 'field' }>): unknown {
    const { name, at } = expression;
    if (of instanceof Map) return (of as ReadonlyMap<string, unknown>).get(name);
    if (isStruct(of)) {
      if (Object.hasOwn(of, name)) return of[name];
      const names = Object.keys(of);
      const near = suggest(name, names);
      const meant = near === undefined ? `there are ${names.join(', ')}` : `did you mean ".${near}"?`;
      throw templateError(this.#template, at, `there is no field ".${name}": ${meant}`);
    }
    if (of === undefined || of === null) return undefined;
    throw templateError(this.#template, at, `${display(of).slice(0, 80)} has no field ".${name}"`);
  }

  /** What a field comes to: one that is a function, such as `.Label`, is called. */
  #method(value: unknown, { name, args, at }: Extract<Expression, { kind: 'field' }>, dot: unknown): unknown {
    if (typeof value !== 'function') {
      if (args !== undefined) throw templateError(this.#template, at, `".${name}" is no function, and has arguments`);
      return value;
    }
    const called = value as (...values: readonly unknown[]) => unknown;
    return this.#run(`.${name}`, at, () => called(...(args ?? []).map((arg) => this.#value(arg, dot))));
  }

  #call({ name, args, at }: Extract<Expression, { kind: 'call' }>, dot: unknown): unknown {
    const called = functions.get(name);
    if (called === undefined) {
      const near = suggest(name, [...functions.keys()]);
      throw templateError(
        this.#template,
        at,
        `there is no function "${name}"${near === undefined ? '' : `, did you mean "${near}"?`}`,
      );
    }
    const [least, most] = called.takes;
    if (args.length < least || args.length > most) {
      const wanted = most === Infinity ? `at least ${least}` : least === most ? least : `${least} to ${most}`;
      throw templateError(this.#template, at, `"${name}" has ${args.length} arguments, and takes ${wanted}`);
    }
    // These two stop at the first value that decides.
    if (name === 'and' || name === 'or') {
      let value: unknown;
      for (const arg of args) {
        value = this.#value(arg, dot);
        if (isTrue(value) === (name === 'or')) break;
      }
      return value;
    }
    const values = args.map((arg) => this.#value(arg, dot));
    return this.#run(name, at, () => called.call(...values));
  }

  /** @throws what is thrown, with its place */
  #run(name: string, at: number, work: () => unknown): unknown {
    try {
      return work();
    } catch (error) {
      if (isTsbuildError(error)) throw error;
      throw templateError(this.#template, at, `"${name}": ${messageOf(error)}`);
    }
  }

  #fail(expression: Expression, why: string): Error {
    return templateError(this.#template, 'at' in expression ? expression.at : 0, why);
  }
}
