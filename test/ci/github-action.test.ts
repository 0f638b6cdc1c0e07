import { array, assert, property, string } from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadFromCi } from '../support/ci.ts';
import { projectRoot } from '../support/program.ts';

type Inputs = Readonly<Record<string, string>>;
const { parseList } = await loadFromCi<{
  parseList: (text: string, form?: { lines?: boolean; quotes?: boolean }) => string[];
}>('github/list.mjs');
const { argumentsOf } = await loadFromCi<{
  argumentsOf: (inputs: Inputs) => { args: string[]; environment: Record<string, string> };
}>('github/arguments.mjs');

describe('lists', () => {
  test.each([
    ['a,b\nc', {}, ['a', 'b', 'c']],
    [' a , b \n\n# comment\n c#d ', {}, ['a', 'b', 'c#d']],
    ['a=1,2\nb', { lines: true }, ['a=1,2', 'b']],
    ['"a=1\n2,3"\nb', { lines: true }, ['a=1\n2,3', 'b']],
    ['"say ""hi"""', { lines: true }, ['say "hi"']],
    ['a="b"', { lines: true }, ['a="b"']],
    ['type=local,"dest=a,b"', { lines: true, quotes: false }, ['type=local,"dest=a,b"']],
    ['a\r\nb\r\n', {}, ['a', 'b']],
    ['', {}, []],
  ])('%j', (text, form, items) => {
    expect(parseList(text, form)).toEqual(items);
  });

  test('any value comes through quotes as it was', () => {
    assert(
      property(array(string().filter((one) => one.trim() === one && one !== '')), (values) => {
        const text = values.map((value) => `"${value.replaceAll('"', '""')}"`).join('\n');
        expect(parseList(text, { lines: true })).toEqual(values);
      }),
    );
  });
});

describe('inputs', () => {
  test.each<readonly [Inputs, readonly string[]]>([
    [{ context: 'app', file: 'D', target: 't' }, ['--file=D', '--target=t', 'app']],
    [{ tags: 'r/a:1\nr/a:2,r/b' }, ['--tag=r/a:1', '--tag=r/a:2', '--tag=r/b']],
    [{ platforms: 'linux/amd64,linux/arm64' }, ['--platform=linux/amd64,linux/arm64']],
    [{ 'build-args': 'A=1,2\nB=3' }, ['--build-arg=A=1,2', '--build-arg=B=3']],
    [{ labels: 'a=b,c', annotations: 'index:a=b' }, ['--label=a=b,c', '--annotation=index:a=b']],
    [{ push: 'true', load: 'true', pull: 'true', 'no-cache': 'True' }, ['--push', '--load', '--pull', '--no-cache']],
    [
      { outputs: 'type=oci,dest=a.tar\ntype=local,dest=out' },
      ['--output=type=oci,dest=a.tar', '--output=type=local,dest=out'],
    ],
    [
      { 'cache-from': 'type=registry,ref=r/c', 'cache-to': 'type=registry,ref=r/c,mode=max' },
      ['--cache-from=type=registry,ref=r/c', '--cache-to=type=registry,ref=r/c,mode=max'],
    ],
    [{ 'no-cache-filters': 'a,b', ssh: 'default' }, ['--no-cache-filter=a', '--no-cache-filter=b', '--ssh=default']],
    [{ 'build-contexts': 'a=docker-image://b' }, ['--build-context=a=docker-image://b']],
    [
      { 'add-hosts': 'a:1.1.1.1,b=::1,c:fe80::1' },
      ['--add-host=a=1.1.1.1', '--add-host=b=::1', '--add-host=c=fe80::1'],
    ],
    [
      { network: 'none', 'shm-size': '1g', ulimit: 'nofile=1:2', allow: 'network.host' },
      ['--network=none', '--shm-size=1g', '--ulimit=nofile=1:2', '--allow=network.host'],
    ],
    [{ call: 'check', provenance: 'false', sbom: 'false' }, ['--call=check', '--provenance=false', '--sbom=false']],
    [
      { 'secret-envs': 'a=TOKEN', 'secret-files': 'b=dir/f,g' },
      ['--secret=id=a,env=TOKEN', '--secret=id=b,"src=dir/f,g"'],
    ],
  ])('%j', (inputs, wanted) => {
    expect(argumentsOf(inputs).args).toEqual(expect.arrayContaining([...wanted]));
  });

  test('none at all build the workspace', () => {
    expect(argumentsOf({}).args).toEqual(['build', '--', '.']);
  });

  test('secrets are in the environment and in no argument', () => {
    const { args, environment } = argumentsOf({ secrets: 'token=sesame\n"key=line 1\nline 2"' });
    expect(args).toEqual(expect.arrayContaining(['--secret=id=token,env=TSBUILD_ACTION_SECRET_0']));
    expect(args.join(' ')).not.toMatch(/sesame|line/);
    expect(Object.values(environment)).toEqual(['sesame', 'line 1\nline 2']);
  });

  test('what cannot be meant is an error that tells no secret', () => {
    expect(() => argumentsOf({ push: 'yes' })).toThrow(/push takes true or false/);
    expect(() => argumentsOf({ secrets: 'sesame' })).toThrow(/^The input secrets takes ID=VALUE$/);
  });

  test('a context is never taken for an option', () => {
    expect(argumentsOf({ context: '--push' }).args.slice(-2)).toEqual(['--', '--push']);
  });
});

describe('action.yml', () => {
  const text = readFileSync(join(projectRoot, 'ci/github/action.yml'), 'utf8');
  const action = parse(text) as {
    inputs: Record<string, { description?: string; default?: string }>;
    outputs: Record<string, { value: string }>;
    runs: { using: string; steps: readonly { run?: string; shell?: string; env?: Record<string, string> }[] };
  };

  test('every input is one of docker/build-push-action or ours, is described, and reaches the command line or the installation', () => {
    const own = ['version', 'prepare'];
    const values: Record<string, string> = { load: 'true', push: 'true', pull: 'true', 'no-cache': 'true' };
    for (const [name, { description }] of Object.entries(action.inputs)) {
      expect(description, name).toBeTruthy();
      if (own.includes(name)) continue;
      const { args } = argumentsOf({ [name]: values[name] ?? 'a=b' });
      expect(args, name).not.toEqual(argumentsOf({}).args);
    }
    expect(Object.keys(action.outputs)).toEqual(['imageid', 'digest', 'metadata']);
  });

  test('no input becomes a part of a script', () => {
    expect(action.runs.using).toBe('composite');
    for (const { run, shell } of action.runs.steps) {
      expect(run).not.toContain('${{');
      expect(shell).toBe('sh');
    }
  });

  test('it installs the version that it comes with', () => {
    const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string };
    expect(action.inputs['version']?.default).toBe(version);
  });
});
