import type { PlanInputs } from '../../src/sandbox/namespace-plan.ts';

/** The map of ids of a machine, where every id is itself. */
const WHOLE = '0 0 4294967295\n';

/** An ordinary user with sub-ids, on a machine where nothing is missing. */
export const alice: PlanInputs = {
  uid: 1000,
  gid: 1000,
  userName: 'alice',
  subuid: 'alice:100000:65536\n',
  subgid: 'alice:100000:65536\n',
  uidMap: WHOLE,
  gidMap: WHOLE,
  newuidmap: '/usr/bin/newuidmap',
  newgidmap: '/usr/bin/newgidmap',
  noNewPrivileges: false,
};
