/**
 * How much goes between two containers of a network, beside a pair of interfaces (veth) in namespaces of the same kind, and through a published port
 * beside pasta, which podman publishes with. All by one program (bench/stream.c); they take turns, and the medians are shown.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { has } from './measure.ts';

const BYTES = 1_500_000_000;
const PASTA_PORT = 5901;
/** ms that anything may take here; most takes one second. */
const LIMIT = 30_000;
const SERVE = ['/stream/stream', 'serve', '5001', String(BYTES)];

/** What a row needs of the bench. */
export interface ThroughputBench {
  readonly work: string;
  readonly env: NodeJS.ProcessEnv;
  readonly ours: readonly string[];
  readonly rounds: number;
  readonly median: (values: readonly number[]) => number;
}

/** Two namespaces of an ordinary user with a pair of interfaces between them. */
const VETH = `
ip link set lo up
mkfifo "$1/pid" "$1/go"
unshare --net sh -c 'echo $$ > "$1/pid"; read -r go < "$1/go"; ip addr add 10.1.1.2/24 dev eth0; ip link set eth0 up; exec "$2" serve 5001 "$3" >&2' sh "$@" &
read -r other < "$1/pid"
ip link add v0 type veth peer name eth0 netns "$other"
ip addr add 10.1.1.1/24 dev v0; ip link set v0 up
echo go > "$1/go"
"$2" take 10.1.1.2 5001
kill $!
`;

/** Prints the rows. */
export async function showThroughput(bench: ThroughputBench): Promise<void> {
  const { work, env, ours, rounds, median } = bench;
  const dir = join(work, 'stream');
  mkdirSync(dir);
  const program = join(dir, 'stream');
  execFileSync('musl-gcc', ['-static', '-O2', '-o', program, fileURLToPath(new URL('stream.c', import.meta.url))]);
  const mount = ['-v', `${dir}:/stream:ro`];
  const run = (command: readonly string[]): string => {
    const [name = '', ...args] = command;
    const { status, stdout, stderr } = spawnSync(name, args, { env, cwd: work, encoding: 'utf8', timeout: LIMIT });
    if (status !== 0)
      throw new Error(`${command.join(' ')} ended with ${status ?? `nothing in ${LIMIT} ms`}: ${stderr}`);
    return stdout.trim();
  };
  const show = (name: string, own: readonly number[], other: string, others: readonly number[]): void => {
    const one = median(own);
    const two = median(others);
    // Without the device that pasta needs there is no other.
    const beside =
      others.length === 0 ? '' : `  ${other} ${two.toFixed(0).padStart(6)} MB/s  ${(one / two).toFixed(2)}`;
    console.log(`${name.padEnd(28)} ${one.toFixed(0).padStart(6)} MB/s${beside}`);
  };

  run([...ours, 'network', 'create', 'stream']);
  run([...ours, 'run', '-d', '--name', 'serves', '--network', 'stream', ...mount, 'base:1', ...SERVE]);
  const address = run([...ours, 'inspect', '-f', '{{.NetworkSettings.Networks.stream.IPAddress}}', 'serves']);
  const own: number[] = [];
  const veth: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const take = ['/stream/stream', 'take', address, '5001'];
    own.push(Number(run([...ours, 'run', '--rm', '--network', 'stream', ...mount, 'base:1', ...take])));
    const pair = join(work, `veth${round}`);
    mkdirSync(pair);
    writeFileSync(join(pair, 'script'), VETH);
    copyFileSync(program, join(pair, 'stream'));
    const words = ['sh', join(pair, 'script'), pair, join(pair, 'stream'), String(BYTES)];
    veth.push(Number(run(['unshare', '--user', '--map-root-user', '--net', '--kill-child', '--fork', ...words])));
  }
  show('between two containers', own, 'veth', veth);
  run([...ours, 'rm', '-f', 'serves']);
  run([...ours, 'network', 'rm', 'stream']);

  const publish = ['-p', '127.0.0.1::5001', '--network', 'private', ...mount];
  run([...ours, 'run', '-d', '--name', 'serves', ...publish, 'base:1', ...SERVE]);
  const port =
    run([...ours, 'port', 'serves', '5001'])
      .split(':')
      .at(-1) ?? '';
  const published: number[] = [];
  const pasta: number[] = [];
  // As podman starts it, which knows it since version 4.4. It has no port that is free by itself.
  const words = [
    '-f',
    '-q',
    '--config-net',
    '--no-map-gw',
    '-u',
    'none',
    '-T',
    'none',
    '-U',
    'none',
    '-t',
    `127.0.0.1/${PASTA_PORT}`,
  ];
  const serve = [program, 'serve', String(PASTA_PORT), String(BYTES)];
  const other = has('pasta')
    ? spawn('pasta', [...words, '--', ...serve], { stdio: 'ignore', detached: true })
    : undefined;
  try {
    // So that its end is noticed, should it have failed. One that was started by root may pass nothing on.
    await sleep(500);
    const takeOther = (): string =>
      other?.exitCode === null
        ? spawnSync(program, ['take', '127.0.0.1', String(PASTA_PORT)], { encoding: 'utf8', timeout: LIMIT }).stdout
        : '';
    let isComparable = true;
    for (let round = 0; round < rounds; round++) {
      published.push(Number(run([program, 'take', '127.0.0.1', port])));
      const taken: string = isComparable ? takeOther().trim() : '';
      // Where it may not open the device that it needs, or gives nothing, there is nothing to compare with.
      isComparable = taken !== '';
      if (isComparable) pasta.push(Number(taken));
    }
  } finally {
    if (other?.pid !== undefined) endGroup(other.pid);
  }
  run([...ours, 'rm', '-f', 'serves']);
  show('through a published port', published, 'pasta', pasta);
}

/**
 * Ends all processes of a group: the first may be busy with itself, and deaf. Where it has failed, it has left one behind that waits for it.
 */
function endGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
