import { type CompileResult, fixDockerfile, type FixedDockerfile, Linter } from '../../../src/frontend/index.ts';
import { parseDockerfile } from '../../../src/frontend/dockerfile/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';

/** What `--check --fix` makes of a text. */
export async function fixed(text: string, unsafe = false): Promise<FixedDockerfile> {
  const dockerfile = parseDockerfile({ name: 'Dockerfile', text });
  return fixDockerfile(dockerfile, Linter.forDockerfile(dockerfile), { unsafe });
}

/** What decides the image: the ops of the graph as bytes, without what is only shown of them, and the config. */
export async function outcome(lower: () => Promise<CompileResult>): Promise<unknown> {
  try {
    const { platforms } = await lower();
    return platforms.map(({ definition, config }) => ({
      ops: definition.def.map((bytes) => Buffer.from(bytes).toString('hex')),
      config,
    }));
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    // Its text may quote the instruction.
    return { error: error.code };
  }
}

/** The same file written worse: keywords in another case, more of it the higher the number. */
export function disfigured(text: string, seed: number): string {
  const { nodes, escape } = parseDockerfile({ name: 'Dockerfile', text });
  const lines = text.split('\n');
  let state = seed;
  const chance = (): number => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
  for (const { startLine, keyword } of nodes) {
    const line = lines[startLine - 1] ?? '';
    const at = line.indexOf(keyword);
    let made = line;
    if (chance() < 0.4) made = line.slice(0, at) + keyword.toLowerCase() + line.slice(at + keyword.length);
    if (chance() < 0.4) made = made.replace(/^(from .* )as( \S+)\s*$/i, '$1aS$2');
    // An empty line behind a line that goes on.
    if (chance() < 0.4 && made.endsWith(` ${escape}`) && !made.trimStart().startsWith('#')) made += '\n';
    lines[startLine - 1] = made;
  }
  return lines.join('\n');
}
