import { describe, expect, test } from 'vitest';
import { accountOf, type AccountSources } from '../../../src/engine/account/account-of-build.ts';
import { Notes } from '../../../src/engine/notes.ts';
import { emptyRequest } from '../../../src/engine/request.ts';
import type { LlbVertex } from '../../../src/llb/index.ts';
import { hiddenForms, Mask } from '../../../src/secrets/index.ts';
import { execOf } from '../../ops/support.ts';

/** A RUN with these variables. */
function run(command: string, env: readonly string[]): LlbVertex {
  const body = execOf({ meta: { args: ['/bin/sh', '-c', command], env }, mounts: [] });
  return {
    digest: 'sha256:aa',
    name: `[1/1] RUN ${command}`,
    op: { inputs: [], body },
    inputs: [],
    ignoreCache: false,
    metadata: { ignoreCache: false, description: new Map(), caps: new Map() },
    ranges: [{ file: 'Dockerfile', startLine: 3, endLine: 3 }],
  };
}

function account(vertices: readonly LlbVertex[], more: Partial<AccountSources> = {}) {
  return accountOf({
    request: emptyRequest,
    lineage: { context: '/c', dockerfile: 'Dockerfile', target: '', platforms: [] },
    startedAt: 1,
    failed: false,
    vertices,
    solved: () => undefined,
    notes: new Notes(),
    durations: new Map(),
    salt: 'salt',
    mask: undefined,
    ...more,
  });
}

function partOf(of: ReturnType<typeof account>, name: string) {
  return of.steps[0]?.parts.find((part) => part.name === name);
}

const SECRETS = ['TOKEN', 'API_KEY', 'DB_PASSWORD', 'MYSQL_PWD', 'AWS_SECRET_ACCESS_KEY', 'NPM_AUTH', 'SSH_PRIVATE'];

describe('what a build says of itself', () => {
  test.each(SECRETS)('nothing of the value of %s, wherever it stands', (name) => {
    const vertex = run('echo not-for-you', [`${name}=not-for-you`, 'PLAIN=1']);
    for (const salt of ['salt', undefined]) {
      const of = account([vertex], { salt });
      expect(JSON.stringify(of)).not.toContain('not-for-you');
      expect(of.steps[0]?.name).toBe('[1/1] RUN echo ***');
    }
  });

  test('nothing of a secret that was handed to the build', () => {
    const mask = new Mask(hiddenForms(Buffer.from('not-for-you')));
    const of = account([run('echo not-for-you', ['X=so not-for-you'])], { mask });
    expect(JSON.stringify(of)).not.toContain('not-for-you');
    expect(partOf(of, 'X')?.shown).toBe('so ***');
  });

  test('whether a secret has changed can be told in one store, and not in another', () => {
    const id = (value: string, salt: string | undefined) =>
      partOf(account([run('x', [`TOKEN=${value}`])], { salt }), 'TOKEN')?.id;
    expect(id('1234', 'a')).toBe(id('1234', 'a'));
    expect(id('1234', 'a')).not.toBe(id('5678', 'a'));
    expect(id('1234', 'a')).not.toBe(id('1234', 'b'));
    // Other machines get nothing that values could be tried against.
    expect(id('1234', undefined)).toBe('');
  });

  test('what may be shown is told to other machines', () => {
    const of = account([run('make', ['MODE=fast'])], { salt: undefined });
    expect(partOf(of, 'MODE')).toMatchObject({ shown: 'fast', id: expect.stringMatching(/^[0-9a-f]{16}$/) as string });
    expect(partOf(of, 'command')).toMatchObject({ shown: 'make' });
    expect(of.steps[0]?.place).toBe('Dockerfile:3');
  });

  test('very many variables are told as one', () => {
    const env = Array.from({ length: 500 }, (_, at) => `V${at}=${at}`);
    const steps = Array.from({ length: 100 }, () => run('x', env));
    const all = account(steps).steps.map(({ parts }) => parts.length);
    expect([all[0], all.at(-1)]).toEqual([
      expect.toSatisfy((count: number) => count > 500),
      expect.toSatisfy((count: number) => count < 20),
    ]);
  });
});
