import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const TYPES = { A: 1, PTR: 12, MX: 15, AAAA: 28, ANY: 255 } as const;

interface Asked {
  readonly tables: string;
  readonly message: Uint8Array;
}

/** A question as RFC 1035 (4.1) has it, made apart from what reads it. */
function question(
  name: string,
  type: number,
  options: { readonly id?: number; readonly extended?: number } = {},
): Buffer {
  const labels = name.split('.').filter(Boolean);
  const head = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, options.extended === undefined ? 0 : 1]);
  head.writeUInt16BE(options.id ?? 7);
  const parts = labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]));
  const room = options.extended ?? 0;
  const opt = options.extended === undefined ? [] : [0, 0, 41, room >> 8, room & 255, 0, 0, 0, 0, 0, 0];
  return Buffer.concat([head, ...parts, Buffer.from([0, 0, type, 0, 1, ...opt])]);
}

interface Answer {
  readonly id: number;
  readonly code: number;
  readonly truncated: boolean;
  readonly records: readonly string[];
}

/** Reads an answer; fails at what is no whole message. */
function readAnswer(bytes: Buffer): Answer {
  const flags = bytes.readUInt16BE(2);
  expect(flags & 0x8000).toBe(0x8000);
  let at = 12;
  if (bytes.readUInt16BE(4) === 1) {
    while (bytes.readUInt8(at) !== 0) at += bytes.readUInt8(at) + 1;
    at += 5;
  }
  const records: string[] = [];
  for (let count = bytes.readUInt16BE(6); count > 0; count--) {
    expect(bytes.readUInt16BE(at)).toBe(0xc00c);
    const type = bytes.readUInt16BE(at + 2);
    const length = bytes.readUInt16BE(at + 10);
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(data).toHaveLength(length);
    records.push(textOf(type, data));
    at += 12 + length;
  }
  if (bytes.readUInt16BE(10) === 1) at += 11;
  expect(at).toBe(bytes.length);
  return { id: bytes.readUInt16BE(0), code: flags & 15, truncated: (flags & 0x200) !== 0, records };
}

function textOf(type: number, data: Buffer): string {
  if (type === TYPES.A) return [...data].join('.');
  if (type === TYPES.AAAA) return data.toString('hex');
  const labels: string[] = [];
  for (let at = 0; data.readUInt8(at) !== 0; at += data.readUInt8(at) + 1)
    labels.push(data.subarray(at + 1, at + 1 + data.readUInt8(at)).toString('latin1'));
  return labels.join('.');
}

describe('names of containers', () => {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-names-'));
  const program = join(dir, 'answers');
  beforeAll(() => {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const sources = readdirSync(join(root, 'native/src'))
      .filter((name) => name.endsWith('.c') && name !== 'main.c')
      .map((name) => join(root, 'native/src', name));
    const flags = [
      '-std=gnu11',
      '-O1',
      '-g',
      '-Wall',
      '-Werror',
      '-fsanitize=address,undefined',
      '-fno-sanitize-recover=all',
    ];
    execFileSync('cc', [...flags, '-o', program, join(root, 'test/native/answers.c'), ...sources]);
  }, 120_000);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  /** What the program makes of several questions; an empty answer is none. */
  function answersTo(asked: readonly Asked[]): readonly Buffer[] {
    const input = asked.map(({ tables, message }) => {
      const sizes = Buffer.alloc(4);
      sizes.writeUInt32BE(Buffer.byteLength(tables));
      const size = Buffer.alloc(2);
      size.writeUInt16BE(message.length);
      return Buffer.concat([sizes, Buffer.from(tables), size, message]);
    });
    const env = { ASAN_OPTIONS: 'detect_leaks=0' };
    const { status, stdout, stderr } = spawnSync(program, { input: Buffer.concat(input), env, maxBuffer: 2 ** 28 });
    expect(status, stderr.toString()).toBe(0);
    const answers: Buffer[] = [];
    for (let at = 0; at < stdout.length; at += 2 + stdout.readUInt16BE(at))
      answers.push(stdout.subarray(at + 2, at + 2 + stdout.readUInt16BE(at)));
    expect(answers).toHaveLength(asked.length);
    return answers;
  }
  const ask = (tables: string, name: string, type: number): Answer =>
    readAnswer(answersTo([{ tables, message: question(name, type) }])[0] ?? Buffer.alloc(0));

  const TABLES = `self ${'a1'.repeat(32)} myself
network ci 1
at ${'a1'.repeat(32)} web 10.89.0.2 fd00::2 www shared
at ${'b2'.repeat(32)} db 10.89.0.3 - shared
network back 0
at ${'b2'.repeat(32)} db 10.77.0.9 - store
`;

  test('are those of its networks: by name, alias, id and host name, in any case', () => {
    for (const [name, type, ...records] of [
      ['web', TYPES.A, '10.89.0.2'],
      ['WeB', TYPES.A, '10.89.0.2'],
      ['www', TYPES.AAAA, 'fd000000000000000000000000000002'],
      ['web.ci', TYPES.A, '10.89.0.2'],
      ['a1a1a1a1a1a1', TYPES.A, '10.89.0.2'],
      ['myself', TYPES.A, '10.89.0.2'],
      ['db', TYPES.A, '10.77.0.9', '10.89.0.3'],
      ['db.back', TYPES.A, '10.77.0.9'],
      ['shared', TYPES.A, '10.89.0.2', '10.89.0.3'],
      ['db', TYPES.AAAA],
      ['web', TYPES.MX],
      ['3.0.89.10.in-addr.arpa', TYPES.PTR, 'db.ci'],
      [`2.${'0.'.repeat(27)}0.0.d.f.ip6.arpa`, TYPES.PTR, 'web.ci'],
    ] as const) {
      const answer = ask(TABLES, name, type);
      expect([name, answer.code, ...answer.records.toSorted()]).toEqual([name, 0, ...records]);
    }
    for (const name of [
      'we',
      'webb',
      'web.back',
      'a1a1a1a1a1',
      'web.ci.ci',
      'store.ci',
      'ci',
      '9.0.89.10.in-addr.arpa',
    ])
      expect([name, ask(TABLES, name, name.endsWith('arpa') ? TYPES.PTR : TYPES.A).code]).toEqual([name, 3]);
  });

  test('of many with one name as many as a datagram has room for are told, and that there are more', () => {
    const members = Array.from(
      { length: 60 },
      (_, at) => `at ${at.toString(16).padStart(64, 'c')} n${at} 10.89.0.${at + 2} - all`,
    );
    const tables = `network ci 0\n${members.join('\n')}\n`;
    const [small, large] = answersTo([
      { tables, message: question('all', TYPES.A) },
      { tables, message: question('all', TYPES.A, { extended: 4096 }) },
    ]).map(readAnswer);
    expect(small?.truncated).toBe(true);
    expect(small?.records.length).toBeLessThan(32);
    expect(large?.truncated).toBe(false);
    expect(new Set(large?.records).size).toBe(60);
  });

  test('whoever is in the tables is found, and nobody else (property)', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 2, maxLength: 12 }), ([absent = '', ...present]) => {
        const lines = present.map((each, at) => `at ${at.toString(16).padStart(64, 'f')} ${each} 10.1.0.${at + 1} -`);
        const tables = `self - -\nnetwork net 0\n${lines.join('\n')}\n`;
        const answers = answersTo([...present, absent].map((each) => ({ tables, message: question(each, TYPES.A) })));
        const read = answers.map(readAnswer);
        for (const [at] of present.entries()) expect(read[at]?.records).toEqual([`10.1.0.${at + 1}`]);
        expect(read.at(-1)).toMatchObject({ code: 3, records: [] });
      }),
      { numRuns: 40 },
    );
  });

  test('hostile messages get an answer to themselves or none (property)', () => {
    const broken = fc
      .tuple(
        fc.constantFrom('web', 'db.ci', 'x'.repeat(63), 'a.b.c.d.e.f'),
        fc.array(fc.tuple(fc.nat(60), fc.nat(255))),
        fc.nat(60),
      )
      .map(([name, changes, cut]) => {
        const message = question(name, TYPES.A, { extended: 1232 });
        for (const [at, byte] of changes) message[at % message.length] = byte;
        return message.subarray(0, Math.max(0, message.length - cut));
      });
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.uint8Array({ maxLength: 600 }), broken), { minLength: 50, maxLength: 100 }),
        (messages) => {
          const answers = answersTo(messages.map((message) => ({ tables: TABLES, message })));
          for (const [at, answer] of answers.entries()) {
            const message = Buffer.from(messages[at] ?? []);
            if (message.length < 12 || (message[2] ?? 0) >= 128) expect(answer).toHaveLength(0);
            else expect(readAnswer(answer).id).toBe(message.readUInt16BE(0));
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});
