import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { useBench } from '../support/e2e.ts';
import { ordinaryUser } from '../support/identity.ts';
import { startScriptedRegistry } from '../support/registry-script.ts';
import { expectFailure } from '../support/sound.ts';
import { onTerminal } from '../support/terminal.ts';

/** Sequences that set titles and clipboards, open links, clear, ask the terminal to answer, or turn text around. */
const EVIL = [
  '\u001b]0;TITLE\u0007', '\u001b]8;;http://evil\u001b\\', '\u001b]52;c;RVZJTA==\u0007', '\u001b[2J', '\u001b[6n', '\u001b[c', '\u001bP+q\u001b\\',
  '\u001b_x\u001b\\', '\u009b6n', '\u0007', '\u0008', '\u202e', '\u2066', '\u001bc', '\u001b[?1049h', '\u001b[>c',
]; // oxfmt-ignore
const text = EVIL.map((part, at) => `${at}${part}`).join('');

/** What is left of a screen's bytes without the sequences of the display itself: colours, its cursor, what it clears of its own lines. */
function rest(shown: string): string {
  // eslint-disable-next-line no-control-regex
  return shown.replaceAll(/\u001b\[(?:[0-9;]*m|\d*A|K|J|\?25[lh]|\?7[lh])|\r\n|\r/g, '');
}

// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

// Who builds makes no difference to what is shown.
const who = await ordinaryUser();

describe('a terminal', () => {
  const use = useBench(who);

  test('is done nothing to by names, output and errors of steps, and is asked nothing (TTY-01, TTY-02)', async () => {
    const { bench } = use;
    const context = bench.context(
      `FROM base:1\nENV A="${text}"\nRUN cat /proc/self/environ; echo "$A"\nRUN echo "${text}" >&2; false\n`,
    );
    for (const mode of ['tty', 'plain']) {
      const { out, code } = await onTerminal(bench, ['build', '--no-cache', `--progress=${mode}`, context], []);
      expect(code).toBe(1);
      expect(rest(out)).not.toMatch(CONTROL);
      expect(out).not.toContain('\u001b[2J');
      expect(rest(out)).toContain('exit code: 1');
    }
  });

  test('of odd sizes, of changing size, a dumb one, and one without colours keep the exit code (TTY-05)', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN for i in 1 2 3 4; do echo line $i of some length; sleep 0.1; done; exit 3\n');
    const sizes: (readonly [number, number])[] = [[0, 0], [1, 1], [2, 300], [300, 2], [24, 80]];
    const steps = sizes.flatMap((resize) => [{ resize }, { wait: 0.1 }]);
    for (const env of [{}, { TERM: 'dumb' }, { NO_COLOR: '1' }, { TERM: 'xterm', COLUMNS: '0', LINES: '0' }, ]) {
      const { code, out } = await onTerminal(bench, ['build', '--no-cache', context], steps, { env });
      expect([env, code]).toEqual([env, 1]);
      expect(out).toContain('exit code: 3');
      if ('NO_COLOR' in env) expect(out).not.toMatch(/\u001b\[[0-9;]*m/); // eslint-disable-line no-control-regex
    }
  }); // oxfmt-ignore

  test('or file gets a flood without line ends in bounded memory, and the exit code (TTY-04)', async () => {
    const { bench } = use;
    const context = bench.context("FROM base:1\nRUN head -c 200000000 /dev/zero | tr '\\0' '\\303'; exit 7\n");
    const script =
      'import subprocess,sys,resource as r; c=subprocess.run(sys.argv[1:]).returncode; print("PEAK", r.getrusage(r.RUSAGE_CHILDREN).ru_maxrss); sys.exit(c)';
    const { code, out, err, ms } = await bench.start([
      '/usr/bin/python3',
      '-c',
      script,
      ...bench.command(['build', '--progress=plain', '--no-cache', context]),
    ]).ended;
    expect(code).toBe(1);
    expect(err).toContain('exit code: 7');
    expect(err.length).toBeLessThan(16 << 20);
    expect(Number(/PEAK (\d+)/.exec(out)?.[1])).toBeLessThan(400 * 1024);
    expect(ms).toBeLessThan(60_000);
  });

  test('is done nothing to by registries and by names of files, tags and stages (TTY-06)', async () => {
    const { bench } = use;
    await using registry = await startScriptedRegistry();
    bench.write('.', { 'registries.conf': `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n` });
    const env = { CONTAINERS_REGISTRIES_CONF: bench.path('registries.conf') };
    registry.on('/v2/', { status: 200, headers: { warning: '299 - "\u009b2Jwarned"' } });
    const pull = bench.context(`FROM ${registry.host}/x:1\n`);
    const outcomes = [];
    for (const body of [JSON.stringify({ errors: [{ code: text, message: text, detail: text }] }), text, `<html>${text}`]) {
      for (const status of body === text ? [401, 404] : [403]) {
        registry.on('/v2/x/manifests/1', { status, headers: { warning: '299 - "x\u009b2J"', 'content-type': 'application/json' }, body });
        outcomes.push(await bench.tsbuild(['build', '--progress=plain', pull], { env: { ...env } }));
      }
    }
    registry.on('/v2/x/manifests/1', { status: 200, headers: { 'content-type': text.replaceAll(/[^\u0020-\u007e]/g, '') }, body: text });
    outcomes.push(await bench.tsbuild(['build', pull], { env }));
    const name = 'file\u001b]0;x\u0007\u202e\u009b2J';
    const odd = bench.write('odd', { Dockerfile: `FROM base:1 AS base\nCOPY ${name}2 /\n`, [name]: 'x' });
    const dockerfiles = [`FROM base:1 AS ${name}\n`, `FROM ${name}\n`, `FROM base:1\nCOPY --from=${name} a b\n`, `FROM base:1\nCOPY <<${name} /\n`];
    const others = [
      ['build', odd], ['build', '-f', join(odd, name), odd], ['build', '-t', `x:${name}`, odd], ['build', '--target', name, odd],
      [`\u001b[2J${name}`], ['rmi', name], ['run', name], ['build', `--${name}`, odd], ...dockerfiles.map((one) => ['build', bench.context(one)]),
    ];
    outcomes.push(...(await Promise.all(others.map((args) => bench.tsbuild(args)))));
    for (const outcome of outcomes) {
      expect(outcome.code).toBeGreaterThan(0);
      expect(outcome.err).not.toMatch(CONTROL);
      expectFailure(outcome, { code: outcome.code, says: [] });
    }
  }); // oxfmt-ignore
});
