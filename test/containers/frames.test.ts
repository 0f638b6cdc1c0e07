import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askMember, type Container } from '../../src/containers/index.ts';
import { connectIn } from '../../src/containers/frame-socket.ts';
import { encodeFrame, FrameReader } from '../../src/containers/frames.ts';
import { FrameReader as StepFrameReader } from '../../src/sandbox/step-frames.ts';
import { TempDir } from '../tree/support.ts';

describe('frames', () => {
  test('are a letter, a length in the order of the machine, and that many bytes (native/src/frame.c)', () => {
    expect([...encodeFrame('A', 'io')]).toEqual([0x41, 2, 0, 0, 0, 0x69, 0x6f]);
    expect([...encodeFrame('c')]).toEqual([0x63, 0, 0, 0, 0]);
    expect([...encodeFrame('i', Buffer.from([0xff]))]).toEqual([0x69, 1, 0, 0, 0, 0xff]);
    expect(encodeFrame('o', '漢').readUInt32LE(1)).toBe(3);
  });

  test('come out as they went in, however the stream is cut (property)', () => {
    const frame = fc.record({
      kind: fc.constantFrom('o', 'e', 's', 'x', '\u0000', 'ÿ'),
      data: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 12 }), (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(({ kind, data }) => encodeFrame(kind, data)));
        const ends = [...cuts.filter((at) => at < bytes.length).toSorted((a, b) => a - b), bytes.length];
        const pieces = ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
        const reader = new FrameReader();
        const all = pieces.flatMap((piece) => [...reader.take(piece)]);
        expect(all.map(({ kind, data }) => [kind, data.toString('hex')])).toEqual(frames.map(({ kind, data }) => [kind, data.toString('hex')]));
        // Both ends of the program read them in the same way.
        const others: [string, string][] = [];
        const step = new StepFrameReader((kind, data) => void others.push([kind, data.toString('hex')]));
        for (const piece of pieces) step.push(piece);
        expect(others).toEqual(frames.map(({ kind, data }) => [kind, data.toString('hex')]));
      }),
    );
  }); // oxfmt-ignore

  test('that are not whole are waited for', () => {
    const reader = new FrameReader();
    const bytes = encodeFrame('o', 'text');
    for (let end = 1; end < bytes.length; end++) expect([...reader.take(bytes.subarray(end - 1, end))]).toEqual([]);
    expect([...reader.take(bytes.subarray(-1))]).toEqual([{ kind: 'o', data: Buffer.from('text') }]);
  });
});

describe('sockets of a container', () => {
  let dir: TempDir;
  const closers: (() => Promise<void>)[] = [];
  beforeEach(() => void (dir = new TempDir()));
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
    dir[Symbol.dispose]();
  });

  async function listen(directory: string, serve: (socket: Socket) => void): Promise<void> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(join(directory, 'network.socket'), resolve));
    closers.push(() => new Promise((resolve) => server.close(() => resolve())));
  }
  const member = (directory: string): Container => ({ name: 'web', directory }) as unknown as Container;

  test('that nobody listens at are none', async () => {
    expect(await connectIn(dir.path, 'none')).toBeUndefined();
    expect(await connectIn(join(dir.path, 'gone'), 'socket')).toBeUndefined();
    // Left by a process that was killed.
    await listen(dir.path, () => undefined);
    const stale = join(dir.path, 'network.socket');
    await closers.pop()?.();
    writeFileSync(stale, '');
    expect(await connectIn(dir.path, 'network.socket')).toBeUndefined();
    await expect(askMember(member(dir.path), 'J', 'network x')).rejects.toMatchObject({
      code: 'TSB_SANDBOX',
      message: "Cannot reach the process of web's networks",
      hint: 'start the container again: tsbuild restart web',
    });
  });

  test('are asked, and answer with yes or with a reason', async () => {
    const asked: string[] = [];
    await listen(dir.path, (socket) => {
      const reader = new FrameReader();
      socket.on('data', (piece: Buffer) => {
        for (const { kind, data } of reader.take(piece)) {
          asked.push(`${kind} ${data.toString()}`);
          // In two pieces, as a stream may have it.
          const answer = kind === 'J' ? encodeFrame('a') : encodeFrame('r', 'there is no such network');
          socket.write(answer.subarray(0, 3));
          setImmediate(() => socket.end(answer.subarray(3)));
        }
      });
    });
    await askMember(member(dir.path), 'J', 'network /n\nid 1');
    await expect(askMember(member(dir.path), 'L', '/n')).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: 'Cannot do that: there is no such network',
    });
    expect(asked).toEqual(['J network /n\nid 1', 'L /n']);
  });

  test('that close without a word have not done it', async () => {
    await listen(dir.path, (socket) => {
      socket.once('data', () => socket.end(encodeFrame('a').subarray(0, 2)));
    });
    await expect(askMember(member(dir.path), 'J', 'x')).rejects.toMatchObject({ code: 'TSB_SANDBOX' });
  });

  test('may have a longer path than the kernel takes', async () => {
    const deep = join(dir.path, 'd'.repeat(100), 'e'.repeat(100));
    mkdirSync(deep, { recursive: true });
    const { listenIn } = await import('./support/fake-helper.ts');
    const server = createServer((socket) => socket.end(encodeFrame('x', '0')));
    await listenIn(server, deep);
    closers.push(() => new Promise((resolve) => server.close(() => resolve())));
    const socket = await connectIn(deep, 'socket');
    const [first] = await new Promise<Buffer[]>((resolve) => socket?.on('data', (piece: Buffer) => resolve([piece])));
    expect(first?.[0]).toBe('x'.charCodeAt(0));
    socket?.destroy();
  });
});
