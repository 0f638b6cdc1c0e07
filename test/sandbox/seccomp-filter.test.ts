import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileFilter, parseSyscalls } from '../../src/sandbox/seccomp/compile.ts';
import { ENOSYS, EPERM, type Machine, profileFor, type Rule } from '../../src/sandbox/seccomp/profile.ts';

const table = parseSyscalls(
  readFileSync(fileURLToPath(new URL('../../native/seccomp/syscalls.tsv', import.meta.url)), 'utf8'),
);

/** What the kernel says to a call: `allow`, `kill` or the number of an error. */
type Verdict = 'allow' | 'kill' | number;

/** A call as a filter sees it (struct seccomp_data). */
interface Call {
  readonly number: number;
  readonly arch: number;
  readonly args?: readonly bigint[];
}

/** Classic BPF as Documentation/networking/filter.rst of Linux has it, as far as filters here use it; anything else is refused. */
function run(filter: Buffer, { number, arch, args = [] }: Call): Verdict {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(arch, 4);
  for (const [at, arg] of args.entries()) data.writeBigUInt64LE(BigInt.asUintN(64, arg), 16 + 8 * at);
  let accumulator = 0;
  for (let at = 0; ; at++) {
    if ((at + 1) * 8 > filter.length) throw new Error('The filter runs over its end');
    const [code, jt, jf, k] = [filter.readUInt16LE(at * 8), filter[at * 8 + 2] ?? 0, filter[at * 8 + 3] ?? 0, filter.readUInt32LE(at * 8 + 4)]; // oxfmt-ignore
    const jump = (holds: boolean): void => void (at += holds ? jt : jf);
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x05) at += k;
    else if (code === 0x15) jump(accumulator === k);
    else if (code === 0x35) jump(accumulator >= k);
    else if (code === 0x45) jump((accumulator & k) !== 0);
    else if (code === 0x06) {
      if (k === 0x7fff0000) return 'allow';
      if (k === 0x80000000) return 'kill';
      expect(k >>> 16).toBe(5);
      return k & 0xffff;
    } else throw new Error(`Instruction ${code} is none that a filter has`);
  }
}

const ARCHES = { x86_64: 0xc000003e, i386: 0x40000003, x32: 0xc000003e, arm64: 0xc00000b7, arm: 0x40000028 } as const;
const BITS = { x32: 0x40000000 } as const;
const ABIS: Readonly<Record<Machine, readonly (keyof typeof ARCHES)[]>> = {
  x64: ['x86_64', 'i386', 'x32'],
  arm64: ['arm64', 'arm'],
};

/** What a rule says to arguments that are all 0. */
function plain(rule: Rule | undefined): Verdict {
  if (rule === undefined) return EPERM;
  if (rule.action === 'errno') return rule.errno;
  if (rule.action === 'allow') return 'allow';
  const { condition } = rule;
  if (condition.kind === 'in') return condition.values.includes(0) ? 'allow' : EPERM;
  return condition.kind === 'not-in' && condition.values.includes(0) ? EPERM : 'allow';
}

describe.each(['x64', 'arm64'] as const)('the filter of %s', (machine) => {
  const filter = compileFilter(machine, table);
  const rules = profileFor(machine);

  test('is one that the kernel takes: whole instructions, and no more than 4096', () => {
    expect(filter.length % 8).toBe(0);
    expect(filter.length / 8).toBeLessThanOrEqual(4096);
  });

  test.each(ABIS[machine])('says of every call of %s what the profile says', (abi) => {
    const bit = abi === 'x32' ? BITS.x32 : 0;
    const wrong: string[] = [];
    const known = [...table].flatMap(([name, row]) => (row[abi] === undefined ? [] : [[name, row[abi]] as const]));
    expect(known.length).toBeGreaterThan(300);
    const highest = Math.max(
      ...known.filter(([name, number]) => rules.has(name) && number < 0x10000).map(([, number]) => number),
    );
    for (const [name, number] of known) {
      const rule = rules.get(name);
      const wanted = rule === undefined && number > highest ? ENOSYS : plain(rule);
      const got = run(filter, { number: number + bit, arch: ARCHES[abi] });
      // Two names may have one number: what one of them may, the other may.
      const shared = known.some(([other, same]) => same === number && other !== name && rules.has(other));
      if (got !== wanted && !shared) wrong.push(`${name} ${number}: ${got} instead of ${wanted}`);
    }
    expect(wrong).toEqual([]);
  });

  test('gives no number that nobody knows a way: gaps are refused, newer ones are unknown', () => {
    for (const abi of ABIS[machine]) {
      const bit = abi === 'x32' ? BITS.x32 : 0;
      const allowed = new Set(
        [...table].flatMap(([name, row]) => (rules.has(name) && row[abi] !== undefined ? [row[abi]] : [])),
      );
      const highest = Math.max(...[...allowed].filter((number) => number < 0x10000));
      fc.assert(
        fc.property(fc.oneof(fc.nat(700), fc.nat(0x3fffffff)), (number) => {
          if (allowed.has(number)) return;
          const verdict = run(filter, { number: number + bit, arch: ARCHES[abi] });
          expect([abi, number, verdict]).toEqual([abi, number, number > highest ? ENOSYS : EPERM]);
        }),
        { numRuns: 300 },
      );
    }
  });

  test('kills what comes by another ABI', () => {
    const own = new Set<number>(ABIS[machine].map((abi) => ARCHES[abi]));
    for (const arch of [...Object.values(ARCHES), 0, 0xffffffff, 0x80000016, 0xc00000f3])
      if (!own.has(arch)) expect([arch, run(filter, { number: 0, arch })]).toEqual([arch, 'kill']);
  });

  const call = (name: string, ...args: readonly bigint[]): Verdict => {
    const [abi] = ABIS[machine];
    return run(filter, { number: table.get(name)?.[abi!] ?? -1, arch: ARCHES[abi!], args });
  };

  test('looks at the 32 bits of an argument that the kernel looks at', () => {
    const high = 1n << 32n;
    expect([call('socket', 2n), call('socket', 38n), call('socket', 40n), call('socket', 39n)]).toEqual([
      'allow',
      EPERM,
      EPERM,
      'allow',
    ]);
    expect([call('socket', high + 38n), call('socket', high + 40n)]).toEqual([EPERM, EPERM]);
    expect(['0', '8', '0x20000', '0x20008', '0xffffffff'].map((text) => call('personality', BigInt(text)))).toEqual(
      Array(5).fill('allow'),
    );
    expect(['1', '0x40000', '0x20001', '0xfffffffe'].map((text) => call('personality', BigInt(text)))).toEqual(
      Array(4).fill(EPERM),
    );
  });

  test('lets nobody make a namespace by clone, whatever else is asked for', () => {
    const namespaces = [0x00020000n, 0x02000000n, 0x04000000n, 0x08000000n, 0x10000000n, 0x20000000n, 0x40000000n];
    for (const flag of namespaces) expect([flag, call('clone', flag | 0x11n)]).toEqual([flag, EPERM]);
    expect(call('clone', 0x01200011n)).toBe('allow');
    expect(call('clone3')).toBe(ENOSYS);
    for (const name of ['unshare', 'setns', 'mount', 'umount2', 'bpf', 'keyctl', 'init_module', 'reboot', 'pivot_root'])
      expect([name, call(name)]).toEqual([name, EPERM]);
  });
});

test('a table is read by its columns; comments and empty lines are none', () => {
  expect([...parseSyscalls('# x\n\nread\t0\t3\t0\t63\t3\nonly\t-\t7\t-\t-\t-\n')]).toEqual([
    ['read', { x86_64: 0, i386: 3, x32: 0, arm64: 63, arm: 3 }],
    ['only', { i386: 7 }],
  ]);
});
