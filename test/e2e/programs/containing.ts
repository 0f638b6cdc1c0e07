import type { Ended, ExecStream, GatewayClient, Message } from '../../support/gateway-client.ts';

/** A container, what runs in it, and what is read of it. */
export interface Containing {
  /** As the gateway has them; `resultID` `base` is the recipe's base. */
  readonly mounts: readonly Message[];
  readonly more?: Message;
  readonly programs: readonly Program[];
  /** Places among the mounts and paths that are read, before the container is released. */
  readonly read?: readonly (readonly [number, string])[];
  /** All programs are waited for, before the container is released. */
  readonly wait?: boolean;
  /** Nothing is released: the frontend says so on standard error, and stays. */
  readonly stay?: boolean;
}

/** A program of a container. */
export interface Program {
  readonly args: readonly string[];
  readonly meta?: Message;
  readonly init?: Message;
  /** What it has printed before anything is done with it. */
  readonly until?: string;
  readonly window?: readonly [number, number];
  readonly stdin?: string;
  /** How often that is written, in one message. */
  readonly times?: number;
  readonly signal?: string;
  /** The next one does not wait for its end. */
  readonly goesOn?: boolean;
}

/** Runs it all, and tells what was seen. */
export async function contain(client: GatewayClient, what: Containing, base: string): Promise<object> {
  const { call } = client;
  const mounts = what.mounts.map((mount) => (mount['resultID'] === 'base' ? { ...mount, resultID: base } : mount));
  await call('NewContainer', { ContainerID: 'c', Mounts: mounts, ...what.more });
  const stream = client.exec();
  const ends: Promise<Ended>[] = [];
  for (const [index, program] of what.programs.entries()) {
    const end = start(stream, `c:${index}`, program);
    ends.push(end);
    if (program.goesOn !== true) await end;
    else await Promise.race([end, begun.get(`c:${index}`)]);
  }
  const read = await Promise.all((what.read ?? []).map(([at, path]) => look(call, at, path)));
  if (what.stay === true) {
    process.stderr.write('it stays\n');
    await new Promise(() => setInterval(() => undefined, 1000));
  }
  if (what.wait === true) await Promise.all(ends);
  await call('ReleaseContainer', { ContainerID: 'c' });
  const programs = await Promise.all(ends);
  stream.end();
  return { programs, read, status: (await stream.ended).code };
}

/** Resolves when all was done with a program that is to be done. */
const begun = new Map<string, Promise<void>>();

async function start(stream: ExecStream, id: string, program: Program): Promise<Ended> {
  const { args, meta, init, until, window, stdin, signal } = program;
  const { promise, resolve } = Promise.withResolvers<void>();
  begun.set(id, promise);
  const Fds = stdin === undefined ? [1, 2] : [0, 1, 2];
  stream.send({ ProcessID: id, Init: { ContainerID: 'c', Meta: { args, ...meta }, Fds, ...init } });
  const seen: Message[] = [await stream.next(id)];
  const waits = (): boolean => until !== undefined && !textOf(seen, 1).includes(until);
  while (waits()) {
    const next = await stream.next(id);
    seen.push(next);
    if (next['Input'] === 'Done') return ended(seen);
  }
  if (window !== undefined) stream.send({ ProcessID: id, Resize: { Rows: window[0], Cols: window[1] } });
  if (stdin !== undefined) {
    stream.send({ ProcessID: id, File: { Fd: 0, Data: Buffer.from(stdin.repeat(program.times ?? 1)) } });
    stream.send({ ProcessID: id, File: { Fd: 0, EOF: true } });
  }
  if (signal !== undefined) stream.send({ ProcessID: id, Signal: { Name: signal } });
  resolve();
  while (seen.at(-1)?.['Input'] !== 'Done') seen.push(await stream.next(id));
  return ended(seen);
}

function textOf(messages: readonly Message[], fd: number): string {
  const files = messages.filter((message) => message['Input'] === 'File' && message['File'].Fd === fd);
  return Buffer.concat(files.map((message) => message['File'].Data as Buffer)).toString();
}

function ended(messages: readonly Message[]): Ended {
  const { Exit: exit = {} } = messages.find((message) => message['Input'] === 'Exit') ?? {};
  const kinds = messages.map((message) => message['Input'] as string);
  return { out: textOf(messages, 1), err: textOf(messages, 2), exit: exit as Message, kinds };
}

async function look(call: GatewayClient['call'], MountIndex: number, path: string): Promise<string> {
  try {
    if (!path.endsWith('/'))
      return ((await call('ReadFileContainer', { Ref: 'c', MountIndex, FilePath: path }))['Data'] as Buffer).toString();
    const { entries } = await call('ReadDirContainer', { Ref: 'c', MountIndex, DirPath: path });
    return (entries as Message[]).map((entry) => entry['path'] as string).join(' ');
  } catch (error) {
    // Its words would be taken for the reason of what the frontend ends with.
    return `failed: ${(error as Message)['code'] as number}`;
  }
}
