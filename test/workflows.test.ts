import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { projectRoot } from './support/program.ts';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Workflow {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly uses?: string;
        readonly permissions?: Readonly<Record<string, string>>;
        readonly steps?: readonly Step[];
        readonly 'timeout-minutes'?: number;
      }
    >
  >;
}

const files = globSync('.github/workflows/*.yml', { cwd: projectRoot }).toSorted();
const { scripts } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
  scripts: Readonly<Record<string, string>>;
};

describe.each(files)('%s', (file) => {
  const text = readFileSync(join(projectRoot, file), 'utf8');
  const workflow = parse(text, { merge: false }) as Workflow;
  const jobs = Object.entries(workflow.jobs);
  const steps = jobs.flatMap(([, job]) => job.steps ?? []);

  test('actions are pinned by hash, and say which version it is', () => {
    for (const { uses } of steps) if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
    for (const line of text.split('\n').filter((one) => /uses: [\w-]+\//.test(one)))
      expect(line).toMatch(/ # v[\d.]+$/);
  });

  test('nothing needs a secret, and nothing is written to the repository', () => {
    expect(text).not.toMatch(/secrets[.[]|pull_request_target/);
    expect(workflow.permissions).toBeDefined();
    const granted = [workflow, ...jobs.map(([, job]) => job)].flatMap(({ permissions = {} }) =>
      Object.entries(permissions),
    );
    for (const [what, how] of granted) expect(`${what}: ${how}`).toMatch(/^(contents: read|id-token: write)$/);
    for (const { uses, with: options } of steps)
      if (uses?.startsWith('actions/checkout@') === true) expect(options?.['persist-credentials']).toBe(false);
  });

  test('no text of others becomes a part of a script', () => {
    for (const { run = '' } of steps) expect(run).not.toContain('${{');
  });

  test('jobs end some day, and call scripts that exist', () => {
    for (const [name, job] of jobs) if (job.uses === undefined) expect(job['timeout-minutes'], name).toBeGreaterThan(0);
    const called = steps.flatMap(({ run = '' }) => run.match(/(?<![\w/])\.ci\/\w+|scripts\/[\w.-]+/g) ?? []);
    for (const path of called) expect(existsSync(join(projectRoot, path)), path).toBe(true);
    for (const { run = '' } of steps)
      for (const [, name = ''] of run.matchAll(/npm run ([\w:-]+)/g)) expect(scripts).toHaveProperty([name]);
  });
});

test('scripts of .ci can be run', () => {
  const names = globSync('.ci/*', { cwd: projectRoot });
  expect(names).toContain('.ci/run');
  for (const name of names) expect(statSync(join(projectRoot, name)).mode & 0o111, name).toBe(0o111);
});
