import { json, table } from './format.ts';

/** A request other than a build that a frontend answers. */
export interface Subrequest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
}

/** All that tsbuild answers. */
export const subrequests: readonly Subrequest[] = [
  { name: 'frontend.outline', version: '1.0.0', description: 'List all parameters current build target supports' },
  { name: 'frontend.targets', version: '1.0.0', description: 'List all targets current build supports' },
  { name: 'frontend.lint', version: '1.0.0', description: 'Lint a Dockerfile' },
  { name: 'frontend.subrequests.describe', version: '1.0.0', description: 'List available subrequest types' },
];

/** The table for people. */
export function formatSubrequests(): string {
  const rows = subrequests.map(({ name, version, description }) => [
    name.replace(/^frontend\./, ''),
    version,
    description,
  ]);
  return table([['NAME', 'VERSION', 'DESCRIPTION'], ...rows], 1);
}

/** BuildKit's `frontend.subrequests.describe` JSON. */
export function formatSubrequestsJson(): string {
  return json(subrequests.map(({ name, version, description }) => ({ name, version, type: 'rpc', description })));
}
