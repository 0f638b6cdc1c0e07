import { writeFileSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findEmulated } from '../../src/sandbox/doctor-emulation.ts';
import {
  canListen,
  chooseIsolation,
  hasCapability,
  hasOneId,
  isConfinedRoot,
  isolationNotice,
  namespaceRefusal,
  refuseSteps,
} from '../../src/sandbox/isolation.ts';
import type { Isolation, NamespacePlan } from '../../src/sandbox/index.ts';
import type { PlanInputs } from '../../src/sandbox/namespace-plan.ts';
import { alice } from './plan-inputs.ts';
import type { TrialProgram } from '../../src/sandbox/trial-step.ts';
import { TempDir } from '../tree/support.ts';

let dir: TempDir;
beforeEach(() => void (dir = new TempDir()));
afterEach(() => dir[Symbol.dispose]());

const withoutIds: PlanInputs = { ...alice, subuid: '', subgid: '' };
const root: PlanInputs = { ...alice, uid: 0, gid: 0, userName: 'root' };

/** A helper on a machine that refuses namespaces with this errno, and where somebody can listen to system calls or not. */
function helper(refusal: number, listens: boolean): string {
  const path = join(dir.path, 'helper');
  const script = `#!/bin/sh\ncase $1 in namespaces) echo ${refusal};; listening) echo ${listens ? 1 : 0};; *) exit 125;; esac\n`;
  writeFileSync(path, script, { mode: 0o755 });
  return path;
}

const choose = (
  isolation: Isolation,
  inputs: PlanInputs,
  { refusal = 0, listens = true }: { readonly refusal?: number; readonly listens?: boolean } = {},
): Promise<NamespacePlan> =>
  chooseIsolation({
    isolation,
    inputs,
    helperPath: helper(refusal, listens),
    seccompPath: '/nonexistent',
    storeRoot: dir.path,
  });

describe('what is chosen for an ordinary user', () => {
  test('with subordinate ids is a namespace that has them', async () => {
    const plan = await choose('auto', alice);
    expect(plan).toMatchObject({ how: 'newidmap', idShift: 0, idCount: 65_537 });
    for (const word of ['copies', 'steps', 'owners', 'proc']) expect(plan).not.toHaveProperty(word);
    expect(isolationNotice(plan)).toBeUndefined();
  });

  test('is what was asked for beside', async () => {
    expect(await choose('copy', alice)).toMatchObject({ how: 'newidmap', copies: true });
    expect(await choose('userns', alice)).toMatchObject({ how: 'newidmap', proc: 'own' });
    expect(await choose('userns-noproc', alice)).toMatchObject({ how: 'newidmap', proc: 'around' });
    expect(await choose('none', alice)).toMatchObject({ how: 'newidmap', steps: false });
  });

  test('without such ids has one id, whose owners are remembered where somebody can listen', async () => {
    expect(await choose('auto', withoutIds)).toMatchObject({
      owners: 'recorded',
      uids: [{ inside: 0, outside: 1000, count: 1 }],
    });
    expect(await choose('auto', withoutIds, { listens: false })).toMatchObject({ owners: 'told' });
    expect(await choose('none', withoutIds)).toMatchObject({ owners: 'recorded', steps: false });
    // EPERM, as of a security module: nothing but files of images is left.
    expect(await choose('auto', withoutIds, { refusal: 1 })).toMatchObject({ how: 'none', steps: false });
  });

  test('is one id where that was asked for, ids or not', async () => {
    expect(await choose('single-id', alice)).toMatchObject({ how: 'direct', owners: 'recorded' });
    expect((await choose('single-id', alice)).steps).not.toBe(false);
    // Then it is no answer that there are no steps.
    expect((await choose('single-id', withoutIds, { refusal: 1 })).steps).not.toBe(false);
  });

  test.each<[Isolation, PlanInputs, RegExp, RegExp]>([
    ['chroot', alice, /Cannot run steps by chroot: only root can/, /tsbuild doctor/],
    ['userns', withoutIds, /Cannot make a user namespace for image files: .*no subordinate ids/, /usermod --add-subuids/],
    ['copy', { ...alice, newuidmap: undefined }, /newuidmap and newgidmap are not installed/, /uidmap/],
    ['single-id', root, /Cannot run steps with one id as root/, /leave --isolation out/],
  ])('%s is refused where it cannot be had', async (isolation, inputs, message, hint) => {
    await expect(choose(isolation, inputs)).rejects.toMatchObject({
      code: 'TSB_SANDBOX',
      message: expect.stringMatching(message) as string,
      hint: expect.stringMatching(hint) as string,
    });
  });
}); // oxfmt-ignore

test('root who asks for chroot has a plan without namespaces, with the ids that are mapped', async () => {
  expect(await choose('chroot', { ...root, uidMap: '0 100000 65536\n', gidMap: '0 100000 65536\n' })).toMatchObject({
    how: 'none',
    copies: true,
    idShift: 0,
    idCount: 65_536,
  });
});

describe('one id for all users of an image', () => {
  test.each<[Isolation, PlanInputs, boolean]>([
    ['auto', alice, false],
    ['auto', withoutIds, true],
    ['none', withoutIds, true],
    ['none', alice, false],
    ['single-id', alice, true],
    // Who asks for namespaces is told what is missing.
    ['userns', withoutIds, false],
    ['copy', withoutIds, false],
    ['chroot', withoutIds, false],
  ])('with %s', (isolation, inputs, has) => expect(hasOneId(isolation, inputs)).toBe(has));
});

describe('a helper', () => {
  test('says whether namespaces are refused, and why', () => {
    expect(namespaceRefusal(helper(0, true))).toBe(0);
    expect(namespaceRefusal(helper(28, true))).toBe(28);
  });
  test('says whether anybody can listen to system calls', () => {
    expect([canListen(helper(0, true)), canListen(helper(0, false))]).toEqual([true, false]);
  });
  test('that cannot be asked refuses nothing, and hears nothing', () => {
    for (const path of [join(dir.path, 'none'), '/bin/false']) {
      expect(namespaceRefusal(path)).toBe(0);
      expect(canListen(path)).toBe(false);
    }
  });
});

describe('root of a container', () => {
  test('is nobody but root', () => {
    for (const uid of [1, 1000, 65_534]) expect(isConfinedRoot(uid)).toBe(false);
  });
  test('is no root who may do all: of this process the one excludes the other', () => {
    expect(isConfinedRoot(0) && hasCapability('SYS_ADMIN')).toBe(false);
  });
});

describe('what is said of a plan that is not the strongest', () => {
  const plan = (more: object): NamespacePlan => ({ how: 'direct', uids: [], gids: [], idShift: 100_000, idCount: 65_536, ...more });

  test.each<[NamespacePlan, RegExp | undefined]>([
    [plan({}), undefined],
    [plan({ how: 'newidmap', idShift: 0 }), undefined],
    [plan({ copies: true }), /^Slower than usual \(rung 3\): the file system of the store takes no overlays/],
    [plan({ idShift: 0 }), /^Less isolation than usual \(rung 1-unshifted\): steps run as root of this container/],
    [plan({ idShift: 0, copies: true }), /^Less isolation than usual \(rung 3\): steps run as root .*takes no overlays/],
    [plan({ idShift: 0, owners: 'recorded' }), /^Less isolation than usual \(rung 4\): there is one id .* are remembered$/],
    [plan({ idShift: 0, owners: 'told' }), /\(rung 4\): .* owners that steps set are lost/],
    [plan({ idShift: 0, owners: 'recorded', copies: true }), /\(rung 4\): .*\(the file system of the store takes no overlays/],
    [plan({ owners: 'recorded', lacks: { message: 'no ids', fix: 'add some' } }), /\(rung 4\): no ids \(fix: add some\): there is one id/],
    [plan({ how: 'none', idShift: 0, copies: true }), /^Less isolation than usual \(rung 5\): steps run one at a time as root of this container/],
    // Nothing runs.
    [plan({ how: 'none', steps: false }), undefined],
    [plan({ idShift: 0, steps: false }), undefined],
  ])('%#', (one, text) => {
    if (text === undefined) expect(isolationNotice(one)).toBeUndefined();
    else expect(isolationNotice(one)).toMatch(text);
  });

  test('steps are refused where there are none, and by whom', () => {
    expect(() => refuseSteps(plan({}), 'make')).not.toThrow();
    expect(() => refuseSteps(plan({ steps: false }), 'make "it"')).toThrow(
      String.raw`Cannot run "make \"it\"": --isolation=none runs no steps`,
    );
  });
}); // oxfmt-ignore

describe('other platforms', () => {
  const own = { x64: 'linux/amd64', arm64: 'linux/arm64' }[arch() as string] ?? '';
  const find = (runs: (trial: TrialProgram) => boolean): ReturnType<typeof findEmulated> =>
    findEmulated(dir.path, async (trial) => runs(trial));

  test('for which a program ends well are named as for --platform, and this one is not', async () => {
    const { text, fix } = await find(() => true);
    const names = text.replace('steps also run for ', '').split(', ');
    expect(names).toContain('linux/arm/v7');
    expect(names).not.toContain('linux/arm');
    expect(names).not.toContain(own);
    for (const name of names) expect(name).toMatch(/^linux\/[a-z0-9]+(\/v\d)?$/);
    expect(fix).toBeUndefined();
  });

  test('of which none runs are a matter of what is installed', async () => {
    const { text, fix } = await find(() => false);
    expect(text).toMatch(/^steps run for this platform only/);
    expect(fix).toContain('qemu-user-static');
  });

  test('among which the processor has 386 itself want more for the others', async () => {
    // e_machine EM_386 (elf.h).
    const { text, fix } = await find(({ program, emulator }) => emulator === undefined && program.readUInt16LE(18) === 3);
    if (own === 'linux/amd64') expect(text).toMatch(/^steps also run for linux\/386(;|$)/);
    expect(fix).toMatch(/apt-get install .*qemu-user-static/);
  });
}); // oxfmt-ignore
