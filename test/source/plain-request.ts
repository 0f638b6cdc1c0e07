import type { GitRequest } from '../../src/source/index.ts';

/** A request that asks for nothing in particular, for tests to add to. */
export const plainRequest: GitRequest = {
  url: '',
  ref: '',
  checksum: '',
  fetchByCommit: false,
  subdir: '',
  keepGitDir: false,
  submodules: true,
  access: {},
};
