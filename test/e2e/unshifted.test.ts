import { expect } from 'vitest';
import { enterArguments, findHelper } from '../../src/sandbox/index.ts';
import { Bench } from '../support/bench.ts';
import { identities } from '../support/identity.ts';
import { testAsRoot } from '../support/real-root.ts';

testAsRoot('doctor tells root with few ids that steps run as the root of its container', async () => {
  const [self] = await identities();
  if (!self) throw new Error('Nobody runs the tests');
  await using bench = new Bench(self);
  const ids = [{ inside: 0, outside: 0, count: 70_000 }];
  const plan = { how: 'direct', uids: ids, gids: ids, idShift: 0, idCount: 70_000 } as const;
  const inside = (...args: string[]) =>
    bench.start([findHelper(), ...enterArguments({ plan, parentPid: process.pid }, bench.command(args))]).ended;
  const said = /steps run as root of this container: only 70000 ids are mapped/;
  const doctor = await inside('doctor');
  expect(doctor.out).toMatch(said);
  expect((await bench.tsbuild(['doctor'])).out).not.toMatch(said);
});
