import { describe, expect, test } from 'vitest';
import { type Isolation, ownerForm } from '../../src/sandbox/index.ts';
import type { PlanInputs } from '../../src/sandbox/namespace-plan.ts';
import { alice } from './plan-inputs.ts';

const root: PlanInputs = { ...alice, uid: 0, gid: 0, userName: 'root' };
const few = (count: number): Partial<PlanInputs> => ({ uidMap: `0 0 ${count}\n`, gidMap: `0 0 ${count}\n` });

/** Nobody asks the kernel here: this is a root with all of its capabilities, or a user. */
const form = (isolation: Isolation, inputs: PlanInputs): number =>
  ownerForm(isolation, inputs, () => {
    throw new Error('the helper is not needed');
  });

describe('files have the same owners on disk', () => {
  const usual = form('auto', alice);

  test('on all rungs that map the same ids', () => {
    for (const isolation of ['userns', 'userns-noproc', 'copy', 'none'] as const) {
      expect(form(isolation, alice)).toBe(usual);
      expect(form(isolation, root)).toBe(form('auto', root));
    }
  });

  test('for root without a shift, in namespaces and by chroot', () => {
    expect(form('chroot', { ...root, ...few(70_000) })).toBe(form('auto', { ...root, ...few(70_000) }));
  });

  test('however many ids there are behind those of an image', () => {
    expect(form('auto', { ...alice, subuid: 'alice:100000:200000\n' })).toBe(usual);
    expect(form('auto', { ...root, ...few(70_000) })).toBe(form('auto', { ...root, ...few(80_000) }));
  });

  test('with one id for all, which files remember', () => {
    const without = { ...alice, subuid: '', subgid: '' };
    expect(form('single-id', alice)).toBe(form('auto', without));
  });
});

test.each<[string, Isolation, PlanInputs, Isolation, PlanInputs]>([
  ['root in namespaces and by chroot', 'auto', root, 'chroot', root],
  ['ids that are mapped and remembered', 'auto', alice, 'single-id', alice],
  ['another range of ids', 'auto', alice, 'auto', { ...alice, subuid: 'alice:200000:65536\n' }],
  ['another range of groups', 'auto', alice, 'auto', { ...alice, subgid: 'alice:200000:65536\n' }],
  ['another range of root', 'auto', root, 'auto', { ...root, subuid: 'root:1000000:65536\n', subgid: 'root:1000000:65536\n' }],
  ['another user', 'auto', alice, 'auto', { ...alice, uid: 1001, gid: 1001 }],
])('files of %s have others', (_, isolation, inputs, other, otherInputs) => {
  expect(form(isolation, inputs)).not.toBe(form(other, otherInputs));
}); // oxfmt-ignore

test('what is asked for in vain is left to the plan, which says so', () => {
  expect(form('chroot', alice)).toBe(form('auto', alice));
  expect(() => form('userns', { ...alice, newuidmap: undefined })).not.toThrow();
});
