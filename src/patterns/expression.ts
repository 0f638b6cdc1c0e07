import { type Expression, parseExpression } from './expression-parser.ts';
import { BadPatternError } from './file-match.ts';
import { TsbuildError } from '../util/index.ts';
import { isPlace, type Place } from './regex-place.ts';
import { type CharSet, codeOf, contains } from './regex-reader.ts';

/** Instructions. `split` goes on at both places, and what comes of the first counts before the other. */
type Instruction =
  | { readonly op: 'set'; readonly set: CharSet }
  | { readonly op: 'place'; readonly place: Place }
  | { readonly op: 'split'; first: number; second: number }
  | { readonly op: 'save'; readonly slot: number }
  | { readonly op: 'match' };

/** Starts and ends of the whole and of the groups, in characters; undefined for a group that took no part. */
type Slots = readonly (number | undefined)[];

/** A way through the program, and what it has found. */
interface Thread {
  readonly at: number;
  readonly slots: Slots;
}

/** Larger ones are refused: a repetition of a repetition is written in a few characters. */
const MAX_INSTRUCTIONS = 10_000;

/** Steps that one call may take: to replace all matches takes as long for each of them as to find one. */
const MAX_STEPS = 50_000_000;

/** What an expression matched in a text, for templates. */
export interface ExpressionMatch {
  /** A template with `$1`, `${1}` and `${name}` replaced, as Go's `Expand` does it; `$$` is a dollar. */
  expand(template: string): string;
}

/**
 * A regular expression of Go's regexp package, with what it finds: the leftmost match, of which the earlier alternatives count before the
 * later ones. Takes time linear in the text, whatever the expression is, as these come from elsewhere.
 */
export class GoExpression {
  readonly #program: readonly Instruction[];
  readonly #names: readonly string[];
  #steps = 0;

  /** @throws BadPatternError for what Go refuses, for Unicode classes, and for what has more than 10,000 instructions */
  constructor(source: string) {
    const { root, names } = parseExpression(source);
    this.#program = assemble(root);
    this.#names = names;
  }

  /** The first match; undefined when there is none. @throws TsbuildError `TSB_POLICY` where that takes too long */
  match(text: string): ExpressionMatch | undefined {
    this.#steps = 0;
    const chars = Array.from(text);
    const slots = this.#find(chars.map(codeOf), 0);
    return slots && { expand: (template) => this.#expand(template, chars, slots) };
  }

  /**
   * The text with each match replaced by what the template makes of it (Go's `ReplaceAllString`).
   * @throws TsbuildError `TSB_POLICY` where that takes too long
   */
  replaceAll(text: string, template: string): string {
    this.#steps = 0;
    const chars = Array.from(text);
    const codes = chars.map(codeOf);
    let out = '';
    let done = 0;
    for (let from = 0; from <= chars.length;) {
      const slots = this.#find(codes, from);
      if (slots === undefined) break;
      const [start = 0, end = 0] = slots;
      out += chars.slice(done, start).join('');
      // An empty match right after another one is none.
      if (end > done || start === 0) out += this.#expand(template, chars, slots);
      done = end;
      from = Math.max(from + 1, end);
    }
    return out + chars.slice(done).join('');
  }

  #expand(template: string, chars: readonly string[], slots: Slots): string {
    return template.replaceAll(
      /\$(?:(\$)|\{(\w+)\}|(\w+))?/g,
      (all, dollar?: string, braced?: string, plain?: string) => {
        if (dollar !== undefined) return '$';
        const name = braced ?? plain;
        if (name === undefined) return all;
        const index = /^(?:0|[1-9]\d{0,7})$/.test(name)
          ? Number(name)
          : this.#names.findIndex((one, at) => one === name && slots[2 * at] !== undefined);
        return index < 0 ? '' : chars.slice(slots[2 * index] ?? 0, slots[2 * index + 1] ?? 0).join('');
      },
    );
  }

  /** Follows all ways at once, character by character, in the order in which they count. */
  #find(codes: readonly number[], from: number): Slots | undefined {
    const program = this.#program;
    // The last position at which each instruction was reached: a later way to it counts less.
    const reached = new Int32Array(program.length).fill(-1);
    let threads: Thread[] = [];
    let found: Slots | undefined;
    const follow = (into: Thread[], start: Thread, position: number): void => {
      const pending = [start];
      for (let thread = pending.pop(); thread !== undefined; thread = pending.pop()) {
        const { at, slots } = thread;
        const instruction = program[at];
        if (instruction === undefined || reached[at] === position) continue;
        reached[at] = position;
        switch (instruction.op) {
          case 'split':
            pending.push({ at: instruction.second, slots }, { at: instruction.first, slots });
            break;
          case 'save':
            pending.push({ at: at + 1, slots: slots.with(instruction.slot, position) });
            break;
          case 'place':
            if (isPlace(instruction.place, codes, position)) pending.push({ at: at + 1, slots });
            break;
          default:
            into.push(thread);
        }
      }
    };
    const empty: Slots = Array.from({ length: 2 * this.#names.length }, () => undefined);
    for (let position = from; position <= codes.length; position++) {
      if (found === undefined) follow(threads, { at: 0, slots: empty }, position);
      if (threads.length === 0 && found !== undefined) break;
      const next: Thread[] = [];
      this.#steps += threads.length + 1;
      if (this.#steps > MAX_STEPS)
        throw new TsbuildError('TSB_POLICY', 'Cannot apply a regular expression: it takes too many steps on this text');
      for (const { at, slots } of threads) {
        const instruction = program[at];
        if (instruction?.op === 'match') {
          found = slots;
          // All others count less than this one.
          break;
        }
        if (instruction?.op === 'set' && position < codes.length && contains(instruction.set, codes[position] ?? 0))
          follow(next, { at: at + 1, slots }, position + 1);
      }
      threads = next;
    }
    return found;
  }
}

/** A text as an expression that matches nothing else (Go's `QuoteMeta`). */
export function quoteExpression(text: string): string {
  return text.replaceAll(/[\\.+*?()|[\]{}^$]/g, (char) => `\\${char}`);
}

function assemble(root: Expression): readonly Instruction[] {
  const program: Instruction[] = [];
  const add = (instruction: Instruction): number => {
    if (program.length >= MAX_INSTRUCTIONS) throw new BadPatternError();
    return program.push(instruction) - 1;
  };
  /** A split of which one side is what follows right here, and the other is known later. */
  const split = (greedy: boolean): ((to: number) => void) => {
    const instruction = { op: 'split' as const, first: 0, second: 0 };
    const here = add(instruction) + 1;
    return (to) => {
      instruction.first = greedy ? here : to;
      instruction.second = greedy ? to : here;
    };
  };
  const jump = (): ((to: number) => void) => {
    const instruction = { op: 'split' as const, first: 0, second: 0 };
    add(instruction);
    return (to) => {
      instruction.first = to;
      instruction.second = to;
    };
  };
  const emit = (expression: Expression): void => {
    switch (expression.kind) {
      case 'set':
        add({ op: 'set', set: expression.set });
        return;
      case 'place':
        add({ op: 'place', place: expression.place });
        return;
      case 'sequence':
        for (const part of expression.parts) emit(part);
        return;
      case 'group':
        add({ op: 'save', slot: 2 * expression.index });
        emit(expression.part);
        add({ op: 'save', slot: 2 * expression.index + 1 });
        return;
      case 'choice': {
        const ends: ((to: number) => void)[] = [];
        for (const option of expression.options.slice(0, -1)) {
          const other = split(true);
          emit(option);
          ends.push(jump());
          other(program.length);
        }
        const last = expression.options.at(-1);
        if (last !== undefined) emit(last);
        for (const end of ends) end(program.length);
        return;
      }
      case 'repeat':
        emitRepeat(expression);
        return;
      default:
        return expression satisfies never;
    }
  };
  const emitRepeat = ({ part, min, max, greedy }: Extract<Expression, { kind: 'repeat' }>): void => {
    const ends: ((to: number) => void)[] = [];
    if (max === undefined) {
      for (let count = 1; count < min; count++) emit(part);
      // As Go has it, for what may be empty: `x*` is `(?:x+)?`.
      if (min === 0) ends.push(split(greedy));
      const start = program.length;
      emit(part);
      split(!greedy)(start);
      for (const end of ends) end(program.length);
      return;
    }
    for (let count = 0; count < min; count++) emit(part);
    for (let count = min; count < max; count++) {
      ends.push(split(greedy));
      emit(part);
    }
    for (const end of ends) end(program.length);
  };
  emit({ kind: 'group', part: root, index: 0 });
  add({ op: 'match' });
  return program;
}
