import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { context, type Row } from '../row.ts';

const START = 'llb of one instruction: start-up';

/** Dockerfiles to graphs, without building. */
export function lowerRows(work: string): Row[] {
  const lines = ['LABEL l$=v', 'RUN echo $', 'COPY a /a$', 'WORKDIR /w$'];
  const long = Array.from({ length: 2999 }, (_, i) => (lines[i % 4] ?? '').replace('$', String(i)));
  const folder = context(work, 'lowered', ['FROM scratch', ...long, ''].join('\n'));
  const chain = Array.from(
    { length: 60 },
    (_, i) => `FROM scratch AS s${i}\nCOPY ${i > 0 ? `--from=s${i - 1} ` : ''}/a /a\nRUN echo ${i}\n`,
  );
  writeFileSync(join(folder, 'chain'), chain.join(''));
  writeFileSync(join(folder, 'one'), 'FROM scratch\nCOPY a /a\n');
  const row = (name: string, file: string, more?: number): Row => ({
    name,
    rounds: 9,
    folder,
    tsbuild: ({ bin }) => [bin, 'llb', '-f', join(folder, file), folder],
    goal: more === undefined ? '(for information)' : `<= start-up + ${more} ms`,
    met: (ours, { others }) => more === undefined || ours.wall <= (others.get(START)?.wall ?? Infinity) + more,
  });
  return [row(START, 'one'), row('llb of 3,000 instructions', 'Dockerfile', 150), row('llb of 60 stages', 'chain', 30)];
}
