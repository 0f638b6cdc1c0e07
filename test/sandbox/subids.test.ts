import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  isolationNotice,
  isPlan,
  parseSubIds,
  planNamespace,
  type PlanInputs,
  planSingle,
  refuseSteps,
  requirePlan,
} from '../../src/sandbox/index.ts';
import { planWithoutSteps } from '../../src/sandbox/namespace-plan.ts';
import { identityMap, isMapped, mappedFromZero, rootlessMap } from '../../src/sandbox/subids.ts';

const alice = { name: 'alice', uid: 1000 };

describe('/etc/subuid', () => {
  test.each([
    ['by name', 'alice:100000:65536\n', [{ start: 100_000, count: 65_536 }]],
    ['by number', '1000:100000:65536\n', [{ start: 100_000, count: 65_536 }]],
    [
      'several ranges',
      'alice:100000:10\nbob:1:1\nalice:200000:20\n',
      [
        { start: 100_000, count: 10 },
        { start: 200_000, count: 20 },
      ],
    ],
    ['others', 'bob:100000:65536\nalicex:1:1\nxalice:1:1\n', []],
    ['malformed', 'alice:a:1\nalice:1\nalice:-5:10\nalice:5:\n:1:1\n#alice:1:1\nalice:99999999999:1\n', []],
    ['overlapping', 'alice:100000:100\nalice:100050:100\n', [{ start: 100_000, count: 100 }]],
    ['beyond 32 bits', 'alice:4294967290:100\n', [{ start: 4_294_967_290, count: 5 }]],
    ['the machine’s root', 'alice:0:65536\n', []],
    ['no newline at the end', 'alice:7:8', [{ start: 7, count: 8 }]],
    ['empty', '', []],
  ])('%s', (_name, text, ranges) => {
    expect(parseSubIds(text, alice)).toEqual(ranges);
  });

  test('ranges never overlap and stay within 32 bits, whatever the file', () => {
    const line = fc
      .tuple(fc.nat(0xff_ff_ff_ff), fc.nat(0xff_ff_ff_ff))
      .map(([start, count]) => `alice:${start}:${count}`);
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        const ranges = parseSubIds(lines.join('\n'), alice);
        for (const [index, { start, count }] of ranges.entries()) {
          expect(start).toBeGreaterThan(0);
          expect(start + count).toBeLessThanOrEqual(0xff_ff_ff_ff);
          for (const other of ranges.slice(index + 1))
            expect(start >= other.start + other.count || other.start >= start + count).toBe(true);
        }
      }),
    );
  });
});

describe('subordinate ids that are told to be added', () => {
  const plan = (subuid: string, subgid = ''): string => {
    const maps = { uidMap: '0 0 4294967295\n', gidMap: '0 0 4294967295\n' };
    const programs = { newuidmap: '/usr/bin/newuidmap', newgidmap: '/usr/bin/newgidmap', noNewPrivileges: false };
    const found = planNamespace({ ...maps, ...programs, uid: 1000, gid: 1000, userName: 'alice', subuid, subgid });
    return isPlan(found) ? '' : found.fix;
  };
  const command = (range: string): string => `sudo usermod --add-subuids ${range} --add-subgids ${range} alice`;

  // useradd(8): from SUB_UID_MIN on (100000), SUB_UID_COUNT of them (65536).
  test.each([
    ['nobody has any', '', '', '100000-165535'],
    ['somebody has the first', 'bob:100000:65536\n', 'bob:100000:65536\n', '165536-231071'],
    ['groups are given otherwise', 'bob:100000:65536\n', 'bob:231072:65536\n', '165536-231071'],
    ['what is free in one file is taken in the other', '', 'bob:100000:1\n', '100001-165536'],
    ['between two there is room', 'bob:100000:65536\ncarol:231072:65536\n', '', '165536-231071'],
    ['between two there is too little', 'carol:200000:65536\nbob:100000:65536\n', '', '265536-331071'],
    ['others begin below', 'bob:50000:65536\n', '', '115536-181071'],
    ['lines say nothing', '# x\nbob:100000\nbob:a:b\n', '', '100000-165535'],
  ])('are nobody else’s: %s', (_why, subuid, subgid, range) => expect(plan(subuid, subgid)).toBe(command(range)));

  test('are nobody else’s, whatever the files have (property)', () => {
    const line = fc.tuple(fc.integer({ min: 1, max: 2_000_000 }), fc.integer({ min: 1, max: 200_000 }));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), fc.array(line, { maxLength: 12 }), (uids, gids) => {
        const file = (lines: readonly (readonly [number, number])[]): string =>
          lines.map(([start, count]) => `bob:${start}:${count}\n`).join('');
        const [, first = '', last = ''] = /--add-subuids (\d+)-(\d+) /.exec(plan(file(uids), file(gids))) ?? [];
        expect(Number(last) - Number(first)).toBe(65_535);
        for (const [start, count] of [...uids, ...gids])
          expect(start > Number(last) || start + count <= Number(first)).toBe(true);
      }),
    );
  });
});

describe('id maps', () => {
  test('an ordinary user is root, and sub-ids follow without a gap', () => {
    const map = rootlessMap(1000, [
      { start: 100_000, count: 10 },
      { start: 200_000, count: 5 },
    ]);
    expect(map).toEqual([
      { inside: 0, outside: 1000, count: 1 },
      { inside: 1, outside: 100_000, count: 10 },
      { inside: 11, outside: 200_000, count: 5 },
    ]);
    expect(mappedFromZero(map)).toBe(16);
  });

  test('root keeps the ids that it has', () => {
    expect(identityMap('         0          0 4294967295\n')).toEqual([
      { inside: 0, outside: 0, count: 4_294_967_295 },
    ]);
    expect(identityMap('0 1000 1\n1 100000 65536\n')).toEqual([
      { inside: 0, outside: 0, count: 1 },
      { inside: 1, outside: 1, count: 65_536 },
    ]);
    expect(isMapped(identityMap('0 0 100000\n'), 50_000, 60_000)).toBe(false);
  });
});

describe('the plan for namespace A', () => {
  const inputs: PlanInputs = {
    uid: 1000,
    gid: 1000,
    userName: 'alice',
    subuid: 'alice:100000:65536\nroot:300000:65536\n',
    subgid: 'alice:100000:65536\nroot:300000:65536\n',
    uidMap: '0 0 4294967295\n',
    gidMap: '0 0 4294967295\n',
    newuidmap: '/usr/bin/newuidmap',
    newgidmap: '/usr/bin/newgidmap',
    noNewPrivileges: false,
  };

  test('an ordinary user goes through newuidmap, unshifted', () => {
    expect(planNamespace(inputs)).toMatchObject({ how: 'newidmap', idShift: 0, idCount: 65_537 });
  });

  test('root writes the map itself and shifts images into its sub-ids', () => {
    const root = { ...inputs, uid: 0, gid: 0, userName: 'root' };
    expect(planNamespace(root)).toMatchObject({ how: 'direct', idShift: 300_000, idCount: 65_536 });
    expect(planNamespace({ ...root, subuid: '', subgid: '' })).toMatchObject({
      idShift: 1_879_048_192,
      idCount: 268_435_456,
    });
    // The two files disagree: neither is used.
    expect(planNamespace({ ...root, subgid: 'root:400000:65536' })).toMatchObject({ idShift: 1_879_048_192 });
  });

  test('root of a container makes do with what is mapped there', () => {
    const root = { ...inputs, uid: 0, gid: 0, userName: 'root', subuid: '', subgid: '' };
    const mapped = (count: number): PlanInputs => ({
      ...root,
      uidMap: `0 100000 ${count}\n`,
      gidMap: `0 100000 ${count}\n`,
    });
    expect(planNamespace(mapped(200_000))).toMatchObject({ idShift: 134_464, idCount: 65_536 });
    expect(planNamespace(mapped(65_536))).toMatchObject({ idShift: 0, idCount: 65_536 });
    expect(planNamespace(mapped(1))).toMatchObject({ problem: 'no-ids' });
  });

  test('one id for everything is for those who have no others', () => {
    const single = planSingle({ ...inputs, gid: 100, subuid: '' }, 'recorded');
    expect(single).toMatchObject({ how: 'direct', idShift: 0, idCount: 1_000_000_000, owners: 'recorded' });
    expect([single.uids, single.gids]).toEqual([
      [{ inside: 0, outside: 1000, count: 1 }],
      [{ inside: 0, outside: 100, count: 1 }],
    ]);
    expect(single.lacks?.fix).toMatch(/usermod --add-subuids/);
    expect(planSingle(inputs, 'told').lacks).toBeUndefined();
    const root = { ...inputs, uid: 0, gid: 0, userName: 'root' };
    expect(() => planSingle(root, 'recorded')).toThrow(/it would be root of this machine/);
    expect(planSingle({ ...root, uidMap: '0 1000 1\n', gidMap: '0 1000 1\n' }, 'recorded').uids).toEqual([
      { inside: 0, outside: 0, count: 1 },
    ]);
  });

  test('who has no namespace either has layers, and no steps', () => {
    const plan = planWithoutSteps({ ...inputs, subuid: '' });
    expect(plan).toMatchObject({ how: 'none', copies: true, owners: 'recorded', steps: false });
    expect(() => refuseSteps(plan, 'make all')).toThrow(/Cannot run "make all": steps run in user namespaces/);
    expect(isolationNotice(plan)).toBeUndefined();
  });

  test('an ordinary user of a container has those of its sub-ids that are there', () => {
    const within = (count: number, more: Partial<PlanInputs> = {}): ReturnType<typeof planNamespace> =>
      planNamespace({ ...inputs, uidMap: `0 100000 ${count}\n`, gidMap: `0 100000 ${count}\n`, ...more });
    // As podman's own image has them: what stands beyond the container's ids cannot be mapped (user_namespaces(7)).
    const podman = 'alice:1:999\nalice:1001:64535\n';
    expect(within(65_536, { subuid: podman, subgid: podman })).toMatchObject({ how: 'newidmap', idCount: 65_535 });
    expect(within(165_536)).toMatchObject({ how: 'newidmap', idCount: 65_537 });
    expect(within(150_000)).toMatchObject({ how: 'newidmap', idCount: 50_001 });
    expect(within(65_536)).toEqual({
      problem: 'no-ids',
      message: 'the subordinate ids that /etc/subuid and /etc/subgid give user "alice" are not there in this container',
      fix: 'start the container with more ids, for example: podman run --uidmap 0:100000:165536 --gidmap 0:100000:165536',
    });
    // Adding ids that are not there would not help.
    expect(within(65_536, { subuid: '', subgid: '' })).toMatchObject({
      problem: 'no-subids',
      fix: expect.stringMatching(
        /^start the container with more ids, .* 0:100000:165536; then: sudo usermod --add-subuids 100000-165535 /,
      ) as string,
    });
    expect(within(165_536, { subuid: '', subgid: '' })).toMatchObject({
      fix: expect.stringMatching(/^sudo usermod/) as string,
    });
  });

  test('a user without a name gets one first: newuidmap looks it up', () => {
    const plan = planNamespace({
      ...inputs,
      uid: 1_000_680_000,
      gid: 0,
      userName: '1000680000',
      subuid: '1000680000:1:65536\n',
    });
    expect(plan).toEqual({
      problem: 'no-name',
      message: 'user 1000680000 has no name in /etc/passwd, and newuidmap gives ids to users with names alone',
      fix: 'echo user1000680000:x:1000680000:0::/tmp:/bin/sh | sudo tee -a /etc/passwd && echo user1000680000:165536:65536 | sudo tee -a /etc/subuid /etc/subgid',
    });
  });

  test.each([
    ['no-newuidmap', { newuidmap: undefined }, 'apt-get install uidmap'],
    ['no-subids', { subuid: '' }, 'usermod --add-subuids'],
    ['no-subids', { subgid: 'bob:1:2\n' }, 'usermod --add-subuids'],
    ['no-new-privileges', { noNewPrivileges: true }, 'NoNewPrivileges=no'],
    ['few-subids', { subuid: 'alice:100000:10\n' }, 'usermod --add-subuids'],
  ] as const)('%s is said with a command to type', (problem, change, command) => {
    const plan = planNamespace({ ...inputs, ...change });
    expect(isPlan(plan)).toBe(false);
    expect(plan).toMatchObject({ problem, fix: expect.stringContaining(command) });
    expect(() => requirePlan({ ...inputs, ...change })).toThrow(/Cannot make a user namespace/);
  });
});
