import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DoctorReport, findHelper, formatDoctor, probe } from '../../src/sandbox/index.ts';
import { everyone, runScenario } from './support/run-as.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-doctor-'));
  chmodSync(dir, 0o777);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('doctor', () => {
  test.each(everyone)('finds the strongest rung here and leaves nothing (%s)', async (who) => {
    const report = await runScenario<DoctorReport>(who, 'doctor', dir);
    expect([report.rung, report.usable]).toEqual([1, true]);
    expect(formatDoctor(report)).toMatch(/RUN steps work here/);
    // Linux 6.12 brought what keeps steps from them, and no kernel before has it.
    const [major = 0, minor = 0] = release().split('.').map(Number);
    const recent = major > 6 || (major === 6 && minor >= 12);
    expect(formatDoctor(report)).toMatch(
      recent ? /abstract sockets: out of reach|no Landlock/ : /steps can connect to abstract/,
    );
    const limits = report.lines.find(({ name }) => name === 'limits');
    expect(limits?.text).toMatch(/^memory, .*by cgroup v[12]|--memory for each process only/);
    expect(limits?.fix === undefined).toBe(limits?.state === 'ok');
    expect(readdirSync(dir)).toEqual([]);
  });

  test('says what is missing and what to type', async () => {
    const nobody = await probe({ user: { uid: 54_321, gid: 54_321, name: 'no-such-user' }, storeRoot: dir });
    expect(nobody.lines.find(({ name }) => name === 'ids')?.state).toBe('warning');
    expect(formatDoctor(nobody)).toMatch(/fix: sudo usermod --add-subuids (\d+-\d+) --add-subgids \1 no-such-user/);
    const without = await probe({ user: { uid: 0, gid: 0, name: 'root' }, storeRoot: dir, helper: '/does/not/exist' });
    expect(without.usable).toBe(false);
    expect(formatDoctor(without)).toMatch(/build-native\.sh/);
    // Nobody has looked at namespaces.
    expect(formatDoctor(without)).not.toMatch(/blocked|refuse/);
  });

  test('the helper is found, or the error says how to get it', () => {
    expect(findHelper()).toMatch(/tsbuild-helper$/);
    expect(() => findHelper('/nowhere')).toThrow(/"\/nowhere": it does not exist/);
  });
});
