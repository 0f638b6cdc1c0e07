// Asks BuildKit what each definition comes to, and writes answers.json beside the definitions. The README says how it is run.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeSolved } from '../../../test/support/solved.ts';
import { readTreeTar } from '../../../test/support/tree.ts';

const here = join(import.meta.dirname, '..');
const [buildctl, addr, src] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(join(here, 'cases.json'), 'utf8'));
const dir = mkdtempSync(join(tmpdir(), 'answers-'));
const out = join(dir, 'out.tar');
const answers = {};
solve(cases['image-local']);
const base = await readTreeTar(readFileSync(out));
for (const [name, wanted] of Object.entries(cases)) {
  const done = solve(wanted);
  answers[name] =
    done.status === 0
      ? await describeSolved(readFileSync(out), base)
      : { fails: plain(/^error: (.*)/m.exec(done.stderr)?.[1] ?? done.stderr) };
}
rmSync(dir, { recursive: true });
writeFileSync(join(here, 'answers.json'), `${JSON.stringify(answers, undefined, 1)}\n`);

function solve({ args = [], file }) {
  const words = args.map((word) => word.replace(/SECRET|POLICY|AGENT|LAYOUT/, (what) => process.env[what]));
  const all = ['--addr', addr, 'build', '--progress=plain', '--local', `src=${src}`, '-o', `type=tar,dest=${out}`, ...words];
  return spawnSync(buildctl, all, { input: readFileSync(join(here, 'definitions', file)), encoding: 'utf8' });
}

/** A failure without where it happened in this daemon. */
function plain(message) {
  return message
    .replace(/^(?:failed to (?:solve|load cache key|compute cache key|load LLB|calculate checksum of ref \S+): )+/, '')
    .replace(/\/\S*?\/(?:snapshots\/\d+\/fs|cachemounts\/buildkit\d+|buildkit-mount\d+)(?=\/)/g, '');
}
