import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runStep, type RunStepOptions, StepServers } from '../../src/sandbox/index.ts';
import { isTsbuildError } from '../../src/util/index.ts';

/** Speaks as native/src/steps.c does; what a description says is what is done. */
const HELPER = `#!${process.execPath}
const { readSync, writeSync } = require('node:fs');
const read = (length) => {
  const data = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const got = readSync(3, data, at, length - at);
    if (got === 0) process.exit(0);
    at += got;
  }
  return data;
};
const say = (kind, text) => {
  const header = Buffer.alloc(5);
  header.write(kind);
  header.writeUInt32LE(Buffer.byteLength(text), 1);
  writeSync(3, Buffer.concat([header, Buffer.from(text)]));
};
for (;;) {
  const wanted = read(read(4).readUInt32LE(0)).toString();
  if (wanted === 'die') process.exit(3);
  if (wanted === 'hang') setInterval(() => {}, 1000);
  if (wanted === 'hang') break;
  if (wanted === 'nonsense') say('?', '');
  if (wanted === 'killed') say('x', 'killed');
  if (wanted === 'error') say('s', 'error 2 exec nothing\\nexit 125\\n');
  if (wanted === 'error') say('x', '125');
  if (wanted === 'flood') {
    for (let at = 0; at < 200; at++) say('o', 'x'.repeat(65536));
    say('s', 'exit 0\\n');
    say('x', '0');
  }
  if (wanted.startsWith('step')) {
    say('o', process.pid + ' ' + wanted);
    say('e', 'warned');
    say('s', 'exit 7\\n');
    say('x', '7');
  }
}
`;

/** Bytes of its longest output. */
const FLOOD = 200 * 65_536;

let dir = '';
let helper = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-servers-'));
  helper = join(dir, 'helper.cjs');
  writeFileSync(helper, HELPER);
  chmodSync(helper, 0o755);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Ended {
  readonly out: string;
  readonly err: string;
  readonly status?: unknown;
  readonly error?: unknown;
}

async function run(servers: StepServers, what: string, more: Partial<RunStepOptions> = {}): Promise<Ended> {
  let out = '';
  let err = '';
  const options: RunStepOptions = {
    servers,
    encoded: Buffer.from(what),
    onOutput: (stream, data) => {
      if (stream === 1) out += data.toString();
      else err += data.toString();
      return undefined;
    },
    ...more,
  };
  return runStep(options).then(
    (status) => ({ out, err, status }),
    (error: unknown) => ({ out, err, error }),
  );
}

test('steps that follow each other share a helper, those at the same time do not', async () => {
  const servers = new StepServers(helper);
  const first = await run(servers, 'step one');
  const second = await run(servers, 'step two');
  expect(first).toEqual({
    out: expect.stringMatching(/^\d+ step one$/),
    err: 'warned',
    status: { kind: 'exited', code: 7 },
  });
  expect(second.out.split(' ')[0]).toBe(first.out.split(' ')[0]);
  const together = await Promise.all([run(servers, 'step three'), run(servers, 'step four')]);
  expect(new Set(together.map(({ out }) => out.split(' ')[0])).size).toBe(2);
});

test('the first end that was reported counts, whatever else is in the same piece', async () => {
  const { status } = await run(new StepServers(helper), 'error');
  expect(status).toEqual({ kind: 'not-executed', path: 'nothing', errno: 'ENOENT' });
});

test.each([
  ['die', /exit code 3/],
  ['killed', /it was killed/],
  ['nonsense', /it was killed/],
])('a helper that fails (%s) is told of, and the next step has another one', async (how, text) => {
  const servers = new StepServers(helper);
  const before = await run(servers, 'step');
  const { error } = await run(servers, how);
  expect(isTsbuildError(error, 'TSB_SANDBOX') ? error.message : error).toMatch(text);
  const after = await run(servers, 'step');
  expect(after.status).toEqual({ kind: 'exited', code: 7 });
  // One that only lost its step goes on.
  expect(after.out === before.out).toBe(how === 'killed');
});

test('a helper that cannot be started is an error of each step', async () => {
  const servers = new StepServers(join(dir, 'nothing'));
  for (const _ of [1, 2]) {
    const { error } = await run(servers, 'step');
    expect(isTsbuildError(error, 'TSB_SANDBOX') ? error.message : error).toMatch(/Cannot start the sandbox helper/);
  }
});

test('a step that is canceled before it has a process ends with its helper', async () => {
  const servers = new StepServers(helper);
  const controller = new AbortController();
  const running = run(servers, 'hang', { signal: controller.signal });
  await delay(300);
  controller.abort(new Error('enough'));
  const { error } = await running;
  expect(isTsbuildError(error, 'TSB_CANCELED')).toBe(true);
  expect((await run(servers, 'step')).status).toEqual({ kind: 'exited', code: 7 });
});

test('whoever takes no more output holds the step up', async () => {
  let got = 0;
  const { promise: wait, resolve: go } = Promise.withResolvers<void>();
  const running = run(new StepServers(helper), 'flood', {
    onOutput: (_stream, data) => {
      got += data.length;
      return wait;
    },
  });
  await delay(500);
  expect(got).toBeLessThan(FLOOD / 4);
  go();
  expect((await running).status).toEqual({ kind: 'exited', code: 0 });
  expect(got).toBe(FLOOD);
});
