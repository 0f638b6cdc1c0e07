import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { fakeContext } from '../fakes/cli-context.ts';
import { TempDir } from '../tree/support.ts';

let dir: TempDir;
beforeAll(() => {
  dir = new TempDir();
  dir.write('context/Dockerfile', 'FROM scratch\nCOPY Dockerfile /\n');
  dir.write('image.tar', 'no archive');
});
afterAll(() => dir[Symbol.dispose]());

/** What a command line does, with a store of its own that is not there yet. */
async function run(line: string | readonly string[], env: Record<string, string> = {}) {
  const context = fakeContext({
    cwd: dir.path,
    env: { TSBUILD_ROOT: join(dir.path, 'store'), HOME: dir.path, ...env },
  });
  const code = await runCli(typeof line === 'string' ? line.split(' ') : line, context);
  return { code, out: context.out(), err: context.err() };
}

describe('a command line that cannot be meant ends with 2, or 125 for run, and says why', () => {
  test.each<[string, RegExp]>([
    // Words.
    ['rmi', /missing required argument 'image'/],
    ['save', /missing required argument 'image'/],
    ['tag app:1', /missing required argument 'name'/],
    ['run', /missing required argument 'image'/],
    ['push', /missing required argument 'name'/],
    ['pull', /missing required argument 'name'/],
    ['copy app:1', /missing required argument 'destination'/],
    ['verify', /missing required argument 'image'/],
    ['search', /missing required argument 'term'/],
    ['images one two', /too many arguments/],
    ['logs one two', /too many arguments/],
    ['push a b c', /too many arguments/],
    ['llb one two', /too many arguments/],
    ['store', /store.*check|Usage: tsbuild store/s],
    ['buidl context .', /Unknown command "buidl"[^]*did you mean "tsbuild build"/],
    ['iamges a b', /Unknown command "iamges"[^]*did you mean "tsbuild images"/],
    // Options that there are not, and values that they do not take.
    ['images --nope', /unknown option '--nope'/],
    // What asks for attestations is told that there are none, with a mode and without.
    ['build context --sbom', /Cannot use --sbom: attestations are not supported\nhint: .*--sbom=false/],
    ['build context --provenance', /Cannot use --provenance: attestations/],
    ['build context --provenance=mode=max', /Cannot use --provenance=mode=max: attestations/],
    ['build --tagg x .', /unknown option '--tagg'[^]*--tag/],
    ['doctor --format yaml', /argument 'yaml' is invalid[^]*text, json/],
    ['du --format yaml', /argument 'yaml' is invalid/],
    ['save app:1 --format tar', /argument 'tar' is invalid[^]*oci, docker/],
    ['llb --format text .', /argument 'text' is invalid[^]*binary, json, dot, mermaid/],
    ['pull --policy sometimes x', /argument 'sometimes' is invalid/],
    ['run --network colour=red x', /there is no "colour"\nhint: .*host, none, private/],
    ['run -p http:80 x', /"http" is no port/],
    // Told in the foreground, too, where nothing would come of them.
    ['run --stop-timeout x x', /--stop-timeout "x"/],
    ['run --stop-signal SIGFOO x', /SIGFOO/],
    ['run --health-retries -1 x', /--health-retries "-1"/],
    ['run --log-opt max-size=0 x', /max-size=0: expected a size, or -1/],
    ['run --log-opt size=1m x', /--log-opt size: there are max-size and max-file/],
    ['run --restart sometimes x', /--restart "sometimes"/],
    ['run --cpus 1 --cpu-quota 50000 x', /--cpus with --cpu-period or --cpu-quota/],
    ['run --cpu-shares 1 x', /--cpu-shares "1": expected a number from 2/],
    ['run --cpuset-cpus all x', /--cpuset-cpus "all": expected numbers such as 0-2/],
    ['run --log-driver syslog x', /argument 'syslog' is invalid[^]*json-file/],
    ['volume create --driver nfs x', /argument 'nfs' is invalid[^]*local/],
    ['copy --multi-arch some a b', /argument 'some' is invalid/],
    ['build --isolation hyperv .', /argument 'hyperv' is invalid/],
    ['build --progress fancy .', /argument 'fancy' is invalid/],
    ['build -t', /argument missing/],
    // Values that only the command can judge.
    ['build -t UPPER context', /UPPER/],
    ['build -o type=nonsense context', /nonsense/],
    ['build -o dest=x,dest=y context', /./],
    ['build --build-arg =x context', /the name is missing/],
    ['build --label =x context', /the name is missing/],
    ['build --build-context x context', /Cannot use --build-context/],
    ['build --platform linux/amd64/v8/x context', /platform/i],
    ['build --jobs none context', /--jobs/],
    ['build --jobs 0 context', /--jobs/],
    ['build --pids-limit x context', /--pids-limit/],
    ['build --shm-size big context', /Cannot use --shm-size "big": expected a number and a unit/],
    ['build --timeout 10parsec context', /Cannot use --timeout "10parsec": expected for example 90s/],
    ['build --step-timeout 0 context', /Cannot use --step-timeout "0": expected for example 90s/],
    ['build --ulimit nofile context', /--ulimit/],
    ['build --add-host name context', /--add-host/],
    ['build --allow everything context', /everything/],
    ['build --secret src=x context', /--secret/],
    ['build --cache-from type=nonsense context', /nonsense/],
    ['build --cache-to type=local context', /dest/],
    ['build --cache-to type=registry context', /ref/],
    ['build --annotation x context', /--annotation/],
    ['build --source-date-epoch soon context', /invalid SOURCE_DATE_EPOCH: soon[^]*git log/],
    ['build --call nonsense context', /--call/],
    ['build --network bridge context', /bridge/],
    ['build --push context', /a name is needed to push an image[^]*-t REGISTRY/],
    ['build one two', /./],
    ['build --fix context', /--fix/],
    ['build --locked --update-lock context', /exclude|cannot/i],
    ['build none', /none/],
    ['prune --keep-storage lots', /Cannot use --keep-storage "lots": expected a number/],
    ['prune --filter until=soon', /Cannot use --filter until=soon: expected[^]*24h/],
    ['prune --filter label=x', /filter/],
    ['images --filter nonsense', /filter/],
    ['images --format {{', /template|format/i],
    ['serve --addr nonsense', /Cannot use --addr "nonsense": expected HOST:PORT[^]*127\.0\.0\.1:5000/],
    ['serve --addr 127.0.0.1:70000', /--addr/],
    ['serve --addr [zz]:1', /--addr/],
    ['serve --tls-cert x', /--tls-key/],
    ['login -p x --password-stdin', /exclude each other/],
    ['login --password-stdin', /needs a user name/],
    ['login -u a:b -p x', /no colon/],
    ['login', /no terminal to ask on[^]*--password-stdin/],
    ['logout --all docker.io', /exclude each other/],
    ['copy --all --platform linux/amd64 docker://a oci:b', /exclude each other/],
    ['copy --multi-arch system --platform linux/amd64 docker://a oci:b', /exclude each other/],
    ['copy ftp://a oci:b', /unknown transport "ftp"/],
    ['copy docker-daemon:a oci:b', /not supported/],
    ['search --limit x a', /--limit/],
    ['search --filter x a', /filter/i],
    ['solve --local x none', /--local/],
    // Help is no answer to what is wrong.
    ['run --nosuch -h', /unknown option '--nosuch'[^]*tsbuild run --help/],
    ['run --nosuch --help', /unknown option '--nosuch'/],
    ['run --help --nosuch', /unknown option '--nosuch'/],
    ['run --help -it --pod x base:1', /Cannot use --pod: it is not supported/],
    ['run --nosuch base:1 sh -h', /unknown option '--nosuch'/],
    ['build --nosuch=x --help', /unknown option '--nosuch/],
    ['ps -h --nosuch', /unknown option '--nosuch'/],
    ['network create --subnett x --help', /Did you mean --subnet/],
    ['network --nosuch -h', /unknown option '--nosuch'/],
    ['run -h', /argument missing/],
  ])('tsbuild %s', async (line, why) => {
    const { code, out, err } = await run(line);
    expect([code, out], err).toEqual([line.startsWith('run') ? 125 : 2, '']);
    expect(err).toMatch(why);
    expect(err).not.toContain('fault of tsbuild');
    expect(err).not.toMatch(/^\s+at /m);
  });

  test.each<[line: string, why: RegExp, prints?: string]>([
    ['import none', /none/],
    ['serve --tls-cert none --tls-key none', /Cannot read "none": it does not exist/],
    ['build --ssh a=/none context', /Cannot use SSH agent or key "\/none": it does not exist\nhint: /],
    ['images --filter since=none', /Cannot filter by "none": no such image/],
    ['untag none', /Cannot untag "none": no such image[^]*tsbuild images/],
    ['history none', /Cannot show the history of "none": no such image[^]*--remote/],
    ['save none -o x', /Cannot save "none": no such image[^]*tsbuild images/],
    ['rmi none', /Cannot remove "none": no such image[^]*tsbuild images/],
    ['tag none a', /Cannot tag "none": no such image[^]*tsbuild images/],
    ['push none', /Cannot push "none": no such image[^]*--push -t NAME/],
    ['logs none', /Cannot show the log of "none"[^]*tsbuild logs/],
    ['copy store:none oci:x', /Cannot copy "none": no such image/],
    ['copy oci:none oci:x', /none/],
    ['inspect none', /No such object: none[^]*--remote/, '[]\n'],
    ['inspect --type image none', /Cannot inspect "none": no such image[^]*--remote/, '[]\n'],
  ])('what there is not is no wrong usage: tsbuild %s', async (line, why, prints = '') => {
    const { code, out, err } = await run(line);
    expect([code, out], err).toEqual([1, prints]);
    expect(err).toMatch(why);
    expect(err).not.toContain('fault of tsbuild');
  });

  test.each([
    'run --help', 'run -it --help', 'run -e --nosuch --help', 'run --help -it base:1 sh --nosuch', 'ps -h', 'network create --help',
    'network -h', '--help', '-h', 'help run',
  ])('and help is for who asks: tsbuild %s', async (line) => {
    const { code, out, err } = await run(line);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^Usage: tsbuild/);
  }); // oxfmt-ignore

  test('and words that could control a terminal are shown without that', async () => {
    for (const line of [
      ['images', '--\u001b[2J'],
      ['build', '-t', 'a\u001b]0;x\u0007', 'context'],
      ['\u001b[31mred', 'context', '.'],
      ['copy', '\u001b[2J:a', 'oci:b'],
    ]) {
      const { code, err } = await run(line);
      expect(code).not.toBe(0);
      expect(err).not.toMatch(/[\u001b\u0007]/);
    }
  });

  test('and makes no store', async () => {
    const store = join(dir.path, 'another-store');
    for (const line of ['images --nope', 'serve --addr nonsense', 'login -u a:b -p x', 'prune --format x'])
      await run(line, { TSBUILD_ROOT: store });
    expect(existsSync(store)).toBe(false);
    await run('images', { TSBUILD_ROOT: store });
    expect(existsSync(store)).toBe(true);
  });
});
