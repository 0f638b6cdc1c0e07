/**
 * Prints what one id for everything costs (rung 4) beside all ids (rung 1), as an ordinary user with subordinate ids:
 *
 *   node bench/one-id.ts [ROUNDS]
 *
 * `apt-get install` of some sixty Debian packages, which are downloaded before, on a base that mmdebstrap makes: both need Debian's mirror.
 * Rungs take turns; medians are shown. Ends with 1 where the two images have files of different owners, modes or kinds.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { medianOf } from './measure.ts';

const PACKAGES =
  'curl git openssh-client dbus man-db postgresql python3 ca-certificates vim-tiny less rsync iputils-ping cron sudo';
const DOCKERFILE = `FROM debian:bench
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install -y --download-only --no-install-recommends ${PACKAGES}
ARG ROUND
RUN apt-get install -y --no-download --no-install-recommends ${PACKAGES} && echo $ROUND
`;
const rounds = Number(process.argv[2] ?? 3);
const work = mkdtempSync(join(tmpdir(), 'tsbuild-bench-'));
const tsbuild = fileURLToPath(new URL('../bin/tsbuild', import.meta.url));
const context = join(work, 'context');

/** Runs a command, which must succeed. @returns what it has printed */
function run(command: readonly string[], store = join(work, 'store')): string {
  const [program = '', ...args] = command;
  const env = { ...process.env, TSBUILD_ROOT: store, HOME: work };
  const { status, stdout, stderr } = spawnSync(program, args, { env, cwd: work, encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stderr.slice(-2000)}`);
  return stdout;
}

/** Seconds of the last step, as plain progress has them; what the image holds, without times and sizes. */
function build(rung: string, round: number): { readonly seconds: number; readonly files: string } {
  const store = join(work, rung);
  const output = join(work, `${rung}.tar`);
  const command = `"$0" build --progress=plain --isolation=${rung} --build-arg=ROUND=${round} -o type=tar,dest=${output} ${context} 2>&1`;
  const said = run(['sh', '-c', command, tsbuild], store);
  const steps = [...said.matchAll(/^#(\d+) \[3\/3\] RUN/gm)].map(([, number]) => number);
  const seconds = Number(new RegExp(`^#${steps[0]} DONE ([\\d.]+)s`, 'm').exec(said)?.[1] ?? Number.NaN);
  const listed = run(['tar', '--numeric-owner', '-tvf', output]).split('\n');
  const files = listed.map((line) => line.replace(/^(\S+ +\S+) +\S+ \S+ \S+ /, '$1 ')).sort();
  return { seconds, files: files.join('\n') };
}

try {
  mkdirSync(context);
  writeFileSync(join(context, 'Dockerfile'), DOCKERFILE);
  const base = join(work, 'base.tar');
  run(['mmdebstrap', '--variant=minbase', '--quiet', 'bookworm', base]);
  const rungs = ['userns', 'single-id'];
  const took: Record<string, number[]> = { userns: [], 'single-id': [] };
  for (const rung of rungs) run([tsbuild, 'import', base, '-t', 'debian:bench'], join(work, rung));
  for (let round = 0; round < rounds; round++) {
    const made = rungs.map((rung) => {
      const { seconds, files } = build(rung, round);
      took[rung]?.push(seconds);
      return files;
    });
    if (made[0] !== made[1]) {
      rungs.forEach((rung, at) => writeFileSync(join(tmpdir(), `bench-one-id-${rung}.txt`), made[at] ?? ''));
      throw new Error(`The images differ: compare ${tmpdir()}/bench-one-id-*.txt`);
    }
  }
  const [all = Number.NaN, one = Number.NaN] = rungs.map((rung) => medianOf(took[rung] ?? []));
  console.log(`all ids ${all.toFixed(1)} s, one id ${one.toFixed(1)} s: ${(one / all).toFixed(2)} times`);
} finally {
  for (const rung of ['userns', 'single-id'])
    spawnSync(tsbuild, ['prune', '--all', '--images'], {
      env: { ...process.env, TSBUILD_ROOT: join(work, rung), HOME: work },
    });
  rmSync(work, { recursive: true, force: true });
}
