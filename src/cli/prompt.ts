import { StringDecoder } from 'node:string_decoder';
import { collect, TsbuildError } from '../util/index.ts';
import type { CliContext } from './context.ts';

/** Longer answers are no names and no passwords. Bytes. */
const MAX_ANSWER = 64 * 1024;

/** Whether somebody can be asked something. */
export function isInteractive({ stdin }: CliContext): boolean {
  return stdin.isTTY === true;
}

/**
 * Asks for a line on the terminal. The question goes to standard error, so that it is seen where the output is redirected. The terminal
 * is told to show nothing by itself; what is typed is shown again here when it is no secret, and the terminal is as before when this returns.
 * @throws TsbuildError `TSB_CANCELED` for Ctrl-C, and for the end of the input before a line
 */
export async function ask(
  context: CliContext,
  question: string,
  options: { readonly secret: boolean },
): Promise<string> {
  const stdin = context.stdin as CliContext['stdin'] & { setRawMode?: (raw: boolean) => unknown };
  const show = (text: string): void => void (options.secret || context.stderr.write(text));
  const line = new Line();
  stdin.setRawMode?.(true);
  context.stderr.write(question);
  try {
    for await (const chunk of chunksOf(stdin)) {
      for (const char of line.decode(chunk)) {
        if (char === '\r' || char === '\n') return line.text();
        if (char === '\u0003' || (char === '\u0004' && line.isEmpty())) throw canceled();
        show(line.type(char));
      }
    }
    throw canceled();
  } finally {
    stdin.setRawMode?.(false);
    context.stderr.write('\n');
  }
}

/** The chunks of a stream, which is only paused in the end: another question may follow. */
async function* chunksOf(stream: CliContext['stdin']): AsyncGenerator<Buffer> {
  try {
    yield* stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } finally {
    stream.pause();
  }
}

function canceled(): TsbuildError {
  return new TsbuildError('TSB_CANCELED', 'Canceled: nothing was entered');
}

/** A line that is being typed, with the two keys that take back. */
class Line {
  readonly #decoder = new StringDecoder('utf8');
  readonly #chars: string[] = [];

  decode(chunk: Buffer): string {
    return this.#decoder.write(chunk);
  }

  /** @returns what to show of it */
  type(char: string): string {
    if (char === '\u007f' || char === '\b') return this.#chars.pop() === undefined ? '' : '\b \b';
    // Ctrl-U
    if (char === '\u0015') return '\b \b'.repeat(this.#chars.splice(0).length);
    if (char < ' ' || this.#chars.length >= MAX_ANSWER) return '';
    this.#chars.push(char);
    return char;
  }

  isEmpty(): boolean {
    return this.#chars.length === 0;
  }

  text(): string {
    return this.#chars.join('');
  }
}

/**
 * A secret from standard input: all of it, without the line break at its end.
 * @throws TsbuildError `TSB_USAGE` when it is empty or too long
 */
export async function readSecret(context: CliContext, flag: string): Promise<string> {
  const tooMuch = (): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use ${flag}: standard input has more than ${MAX_ANSWER} bytes`);
  const bytes = await collect(context.stdin as AsyncIterable<Buffer>, { maxBytes: MAX_ANSWER, tooMuch });
  const text = bytes.toString('utf8').replace(/\r?\n$/, '');
  if (text !== '') return text;
  throw new TsbuildError('TSB_USAGE', `Cannot use ${flag}: standard input is empty`, {
    hint: `for example: tsbuild login ${flag} -u NAME REGISTRY < token.txt`,
  });
}
