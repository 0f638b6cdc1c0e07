import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type {
  ContainerProcess,
  ContainerRequest,
  GatewayContainer,
  OnOutput,
  ProcessEnd,
  ProcessRequest,
} from '../../src/gateway/container.ts';
import { CONTAINER_CAPABILITIES } from '../../src/gateway/capabilities.ts';
import type { GatewayHost } from '../../src/gateway/host.ts';
import type { GatewayLimits } from '../../src/gateway/limits.ts';
import { TsbuildError } from '../../src/util/index.ts';
import type { Message } from '../support/gateway-client.ts';
import { until } from '../support/until.ts';
import { definitionBytes, hostOf, serve, type Served, treeOf } from './support.ts';

/** A program of a fake container, which does what the test says. */
class FakeProgram implements ContainerProcess {
  readonly request: ProcessRequest;
  readonly log: string[] = [];
  readonly #end = Promise.withResolvers<ProcessEnd>();
  readonly ended: Promise<ProcessEnd> = this.#end.promise;
  readonly #output: OnOutput;
  /** What writing waits for. */
  room: Promise<void> = Promise.resolve();

  constructor(request: ProcessRequest, output: OnOutput) {
    this.request = request;
    this.#output = output;
  }

  async print(stream: 1 | 2, text: string): Promise<void> {
    await this.#output(stream, Buffer.from(text));
  }

  end(end: ProcessEnd): void {
    this.#end.resolve(end);
  }

  async write(data: Uint8Array): Promise<void> {
    this.log.push(`< ${data.length > 20 ? data.length : Buffer.from(data).toString()}`);
    await this.room;
  }

  closeInput(): void {
    this.log.push('eof');
  }

  resize(rows: number, columns: number): void {
    this.log.push(`${rows}x${columns}`);
  }

  signal(name: string): void {
    if (name === 'NONSENSE') throw new TsbuildError('TSB_USAGE', `Invalid signal: ${name}`);
    this.log.push(name);
    if (name === 'KILL') this.end({ exitCode: 137 });
  }
}

interface Fake {
  readonly host: GatewayHost;
  readonly made: ContainerRequest[];
  readonly programs: FakeProgram[];
  released: number;
}

/** A host whose containers are fakes. @param brief programs end at once */
function fakeHost(start?: (request: ProcessRequest) => void, brief = false): Fake {
  const fake: Fake = {
    made: [],
    programs: [],
    released: 0,
    host: hostOf(
      {},
      {
        container: async (request) => {
          fake.made.push(request);
          const container: GatewayContainer = {
            start: async (asked, output) => {
              start?.(asked);
              const program = new FakeProgram(asked, output);
              fake.programs.push(program);
              if (brief) program.end({ exitCode: 0 });
              return program;
            },
            files: (mount) => treeOf({ [`of-${mount}`]: 'text' }),
            async [Symbol.asyncDispose]() {
              fake.released++;
              for (const program of fake.programs) program.end({ exitCode: 255 });
            },
          };
          return container;
        },
      },
    ),
  };
  return fake;
}

/** A container on a result, and the call for its programs. */
async function contained({ client }: Served, more: Message = {}): Promise<ReturnType<typeof client.exec>> {
  const solved = await client.call('Solve', {
    allowResultReturn: true,
    allowResultArrayRef: true,
    Definition: definitionBytes(),
  });
  const resultID = solved['result'].ref.id as string;
  await client.call('NewContainer', {
    ContainerID: 'c',
    Mounts: [
      { dest: '/', resultID, input: 99, output: 12 },
      { dest: '/empty', input: -7 },
      { dest: '/again', resultID, selector: 'a' },
    ],
    ...more,
  });
  return client.exec();
}

const init = (id: string, more: Message = {}): Message => ({
  ProcessID: id,
  Init: { ContainerID: 'c', Meta: { args: ['run'] }, Fds: [0, 1, 2], ...more },
});
const limited = (limits: Partial<GatewayLimits>): Promise<Served> => serve(fakeHost().host, limits);

describe('a frontend with containers', () => {
  test('is told that it can have them only where it can', async () => {
    await using without = await serve(hostOf({}));
    expect(JSON.stringify(await without.client.call('Ping'))).not.toContain('gateway.exec');
    expect(await without.status('NewContainer', { ContainerID: 'c' })).toMatchObject({
      code: 12,
      details: expect.stringMatching(/gateway\.exec.*doctor/) as string,
    });
    await using served = await serve(fakeHost().host);
    const caps = (await served.client.call('Ping'))['FrontendAPICaps'] as Message[];
    expect(caps.map(({ ID }) => ID as string)).toEqual(expect.arrayContaining([...CONTAINER_CAPABILITIES]));
  });

  test('mounts its results, whatever it says of inputs and outputs', async () => {
    const fake = fakeHost();
    await using served = await serve(fake.host);
    await contained(served, { Network: 'NONE', hostname: 'h', extraHosts: [{ Host: 'a.b', IP: '::1' }] });
    expect(fake.made).toMatchObject([
      {
        inputs: [{}],
        platform: { architecture: expect.any(String) as string },
        exec: {
          network: 'none',
          meta: { hostname: 'h', extraHosts: [{ host: 'a.b', ip: '::1' }] },
          mounts: [
            { dest: '/', input: 0, output: -1 },
            { dest: '/empty', input: -1, output: -1 },
            { dest: '/again', input: 0, output: -1, selector: 'a' },
          ],
        },
      },
    ]);
  });

  test('starts, feeds and hears programs, each by its id, and is told of their ends', async () => {
    const fake = fakeHost();
    await using served = await serve(fake.host);
    const stream = await contained(served);
    stream.send(init('1', { Meta: { args: ['cat', '-'], env: ['A=b'], cwd: '/w', user: 'me' }, Tty: true }));
    expect(await stream.next('1')).toMatchObject({ Input: 'Started' });
    stream.send(init('2', { Fds: [1], secretenv: [{ ID: 's', name: 'S' }], Security: 'INSECURE' }));
    expect(await stream.next('2')).toMatchObject({ Input: 'Started' });
    const [first, second] = fake.programs;
    expect(first?.request).toMatchObject({
      tty: true,
      stdin: true,
      exec: { meta: { args: ['cat', '-'], env: ['A=b'], cwd: '/w', user: 'me' }, security: 'sandbox' },
    });
    expect(second?.request).toMatchObject({
      tty: false,
      stdin: false,
      exec: { meta: { cwd: '/' }, security: 'insecure', secretEnv: [{ id: 's', name: 'S' }] },
    });
    stream.send({ ProcessID: '1', File: { Fd: 0, Data: Buffer.from('fed') } });
    stream.send({ ProcessID: '1', Resize: { Rows: 3, Cols: 4 } });
    stream.send({ ProcessID: '1', Signal: { Name: 'HUP' } });
    stream.send({ ProcessID: '1', File: { Fd: 0, Data: Buffer.from('last'), EOF: true } });
    await until('its input has an end', () => first?.log.includes('eof') === true);
    expect(first?.log).toEqual(['< fed', '3x4', 'HUP', '< last', 'eof']);
    await second?.print(1, 'out');
    await second?.print(2, 'nobody asked for this');
    second?.end({ exitCode: 9 });
    expect(await stream.rest('2')).toMatchObject({
      out: 'out',
      err: '',
      kinds: ['File', 'Exit', 'File', 'Done'],
      exit: { Code: 9, Error: { code: 2, message: 'exit code: 9' } },
    });
    await first?.print(2, 'err');
    first?.end({ exitCode: 0 });
    expect(await stream.rest('1')).toMatchObject({ err: 'err', exit: { Code: 0, Error: null } });
    stream.end();
    expect(await stream.ended).toMatchObject({ code: 0 });
  });

  test('is told of what cannot be started as of an end, by the code that BuildKit’s client makes an error of', async () => {
    const fake = fakeHost(() => {
      throw new TsbuildError('TSB_STEP', 'secret s: not found in /home/me');
    });
    await using served = await serve(fake.host);
    const stream = await contained(served);
    for (const [id, more, message] of [
      ['1', {}, 'secret s: not found in <context>'],
      ['2', { Meta: { args: [] } }, 'without arguments'],
      ['3', { Meta: { args: ['a'], cwd: 'relative' } }, 'not absolute'],
      ['4', { Meta: { args: ['a\0b'] } }, 'NUL'],
    ] as const) {
      stream.send(init(id, more));
      const { kinds, exit } = await stream.rest(id);
      expect(kinds).toEqual(['Started', 'Exit', 'File', 'File', 'Done']);
      expect(exit).toMatchObject({ Code: 255, Error: { message: expect.stringContaining(message) as string } });
      const [detail] = exit['Error'].details as Message[];
      expect(detail?.['typeUrl']).toMatch(/gatewayapi\.ExitMessage\+json$/);
      expect(JSON.parse(String(detail?.['value']))).toEqual({ Code: 255 });
    }
  });

  test('reads files at mounts, and at no others', async () => {
    await using served = await serve(fakeHost().host);
    await contained(served);
    const { call } = served.client;
    const read = await call('ReadFileContainer', { Ref: 'c', MountIndex: 2, FilePath: 'of-2' });
    expect((read['Data'] as Buffer).toString()).toBe('text');
    expect((await call('ReadDirContainer', { Ref: 'c', DirPath: '/' }))['entries']).toMatchObject([{ path: 'of-0' }]);
    expect((await call('StatFileContainer', { Ref: 'c', MountIndex: 1, Path: 'of-1' }))['stat']).toMatchObject({
      size: '4',
    });
    for (const MountIndex of [-1, 3, 2_147_483_647])
      expect(await served.status('ReadFileContainer', { Ref: 'c', MountIndex, FilePath: 'x' })).toMatchObject({
        code: 11,
      });
    expect(await served.status('StatFileContainer', { Ref: 'other', Path: 'x' })).toMatchObject({ code: 5 });
  });

  test('has programs wait that print faster than it reads, and waits itself for those that read slowly', async () => {
    const fake = fakeHost();
    await using served = await serve(fake.host);
    const stream = await contained(served);
    stream.send(init('1'));
    await stream.next('1');
    const [program] = fake.programs;
    stream.pause();
    let printed = 0;
    const printing = (async () => {
      for (; printed < 400; printed++) await program?.print(1, 'x'.repeat(65_536));
    })();
    // 26 MB are more than the connection has room for.
    for (let last = -1; last !== printed; await served.client.call('Ping')) last = printed;
    expect(printed).toBeLessThan(400);
    stream.resume();
    await printing;
    const room = Promise.withResolvers<void>();
    if (program) program.room = room.promise;
    for (let at = 0; at < 3; at++) stream.send({ ProcessID: '1', File: { Fd: 0, Data: Buffer.from(`${at}`) } });
    await until('something is written', () => program?.log.length === 1);
    // The next one comes when the first was taken; another call does not wait for it.
    await served.client.call('Ping');
    expect(program?.log).toEqual(['< 0']);
    room.resolve();
    await until('all is written', () => program?.log.length === 3);
  });

  test('releases them, or has them released at its end, with what runs in them', async () => {
    const fake = fakeHost();
    const served = await serve(fake.host);
    const stream = await contained(served);
    stream.send(init('1'));
    await stream.next('1');
    await served.client.call('ReleaseContainer', { ContainerID: 'c' });
    expect((await stream.rest('1')).exit).toMatchObject({ Code: 255 });
    expect(fake.released).toBe(1);
    expect(await served.status('ReleaseContainer', { ContainerID: 'c' })).toMatchObject({ code: 5 });
    await contained(served);
    await contained(served, { ContainerID: 'd' });
    await served[Symbol.asyncDispose]();
    expect(fake.released).toBe(3);
  });

  test('ends programs with the call that they were started by', async () => {
    const fake = fakeHost();
    await using served = await serve(fake.host);
    const stream = await contained(served);
    stream.send(init('1'));
    await stream.next('1');
    stream.cancel();
    await until('it is killed', () => fake.programs[0]?.log.includes('KILL') === true);
  });
});

describe('a hostile frontend with containers', () => {
  test.each([
    ['a program without id', { Init: {} }, 3, /ProcessID required/],
    ['an id without end', { ProcessID: 'x'.repeat(300), Init: {} }, 3, /longer than 256/],
    ['no container', { ProcessID: '1', Init: { ContainerID: 'other' } }, 5, /"other" previously released/],
    ['input for nobody', { ProcessID: '1', File: { Fd: 0 } }, 5, /IO for process "1" not found/],
    ['a signal for nobody', { ProcessID: '1', Signal: { Name: 'KILL' } }, 5, /not found/],
    ['a program twice', init('running'), 6, /already exists/],
    ['input to an output', { ProcessID: 'running', File: { Fd: 1 } }, 11, /fd 1 unavailable/],
    ['no signal', { ProcessID: 'running', Signal: { Name: 'NONSENSE' } }, 3, /Invalid signal/],
    ['an end that it has not', { ProcessID: 'running', Exit: { Code: 1 } }, 3, /"exit" is for the frontend/],
    ['many descriptors', init('2', { Fds: Array.from({ length: 50 }, (_, at) => at) }), 3, /three descriptors/],
  ])('that sends %s has its call ended, and what ran in it', async (_what, message, code, details) => {
    const fake = fakeHost();
    await using served = await serve(fake.host);
    const stream = await contained(served);
    stream.send(init('running'));
    await stream.next('running');
    stream.send(message);
    expect(await stream.ended).toMatchObject({ code, details: expect.stringMatching(details) as string });
    expect(fake.programs[0]?.log.at(-1)).toBe('KILL');
    // The others go on.
    await served.client.call('Ping');
  });

  test('is kept to its limits', async () => {
    await using served = await limited({ maxContainers: 2, maxProcesses: 2, maxCommandBytes: 100, maxMounts: 3 });
    const stream = await contained(served);
    expect(await served.status('NewContainer', { ContainerID: 'c' })).toMatchObject({ code: 6 });
    expect(await served.status('NewContainer', { ContainerID: '' })).toMatchObject({ code: 3 });
    const root = { dest: '/' };
    expect(await served.status('NewContainer', { ContainerID: 'd', Mounts: [root, root, root, root] })).toMatchObject({
      code: 8,
    });
    await contained(served, { ContainerID: 'd' });
    expect(await served.status('NewContainer', { ContainerID: 'e', Mounts: [root] })).toMatchObject({ code: 8 });
    stream.send(init('long', { Meta: { args: ['x'.repeat(200)] } }));
    expect((await stream.rest('long')).exit).toMatchObject({ Error: { code: 8 } });
    for (const id of ['1', '2', '3']) stream.send(init(id));
    expect(await stream.ended).toMatchObject({ code: 8, details: expect.stringContaining('2 programs') as string });
  });

  test.each([
    [{ Mounts: [] }, /exactly one root/],
    [{ Mounts: [{ dest: '/' }, { dest: '/' }] }, /exactly one root/],
    [{ Mounts: [{ dest: '/', mountType: 'TMPFS' }] }, /root of type tmpfs/],
    [{ Mounts: [{ dest: '/' }, { dest: '' }] }, /without destination/],
    [{ Mounts: [{ dest: '/' }, { dest: '/c', mountType: 'CACHE' }] }, /without id/],
    [{ Mounts: [{ dest: '/', resultID: 'nobody-knows' }] }, /no such ref/],
    [{ hostname: 'a\0b' }, /NUL/],
    [{ extraHosts: [{ Host: 'a', IP: '1.2.3.4\n::1 b' }] }, /extra host/],
  ])('gets no container of %j', async (more, details) => {
    const fake = fakeHost();
    await using served = await serve(fake.host);
    const answer = served.status('NewContainer', { ContainerID: 'x', Mounts: [{ dest: '/' }], ...more });
    expect(await answer).toMatchObject({ code: 3, details: expect.stringMatching(details) as string });
    expect(fake.made).toEqual([]);
  });

  test('sends what it likes in any order, and others are answered all the same', async () => {
    const fake = fakeHost(undefined, true);
    await using served = await serve(fake.host);
    await contained(served);
    const id = fc.constantFrom('1', '2', '');
    const message = fc.oneof(
      id.map((one) => init(one)),
      fc.record({ ProcessID: id, File: fc.record({ Fd: fc.nat(3), EOF: fc.boolean(), Data: fc.uint8Array() }) }),
      fc.record({ ProcessID: id, Resize: fc.record({ Rows: fc.nat(), Cols: fc.nat() }) }),
      fc.record({ ProcessID: id, Signal: fc.record({ Name: fc.string() }) }),
      fc.record({ ProcessID: id, Done: fc.constant({}) }),
      fc.constant({}),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 12 }), async (messages) => {
        const stream = served.client.exec();
        for (const one of messages) stream.send(one);
        stream.end();
        expect([0, 3, 5, 6, 11]).toContain((await stream.ended).code);
      }),
      { numRuns: 60 },
    );
    await served.client.call('Ping');
  });
});
