import type { ImageConfig } from '../../../../src/image/index.ts';
import type { CompileOptions } from '../../../../src/frontend/index.ts';
import { compile, config, failure } from '../support.ts';

/** The message that a Dockerfile is refused with, without its line; `compiled` where it is not. */
export async function mistakeOf(text: string, options?: Partial<CompileOptions>): Promise<string> {
  const told = await failure(text, options);
  return told
    .replace(/^dockerfile parse error on line \d+: /, '')
    .replace(/ @[\d,]*$/, '')
    .trim();
}

/** What an image comes to, or the message that its Dockerfile is refused with. */
export async function outcomeOf<T>(
  text: string,
  pick: (image: ImageConfig) => T,
  options?: Partial<CompileOptions>,
): Promise<T | string> {
  const mistake = await mistakeOf(text, options);
  return mistake === 'compiled' ? pick(config(await compile(text, options))) : mistake;
}

/** The same of one instruction in an empty image. */
export async function outcome<T>(instruction: string, pick: (image: ImageConfig) => T): Promise<T | string> {
  return outcomeOf(`FROM scratch\n${instruction}\n`, pick);
}

/** The environment, but for the PATH that every image has. */
export function variables({ config: { Env = [] } }: ImageConfig): readonly string[] {
  return Env.filter((entry) => !/^PATH=.*:\/bin$/.test(entry));
}

/** The history, line by line. */
export function lines({ history }: ImageConfig): readonly string[] {
  return history.map((entry) => entry.created_by ?? '');
}
