import { describe, expect, test } from 'vitest';
import { type FrontendBuild, FrontendHost } from '../../../src/engine/compile/frontend-host.ts';
import type { GatewaySource, ImageConfigRequest, NestedRequest } from '../../../src/gateway/index.ts';
import { hostPlatform } from '../../../src/image/index.ts';
import { type Definition, definitionOfSource } from '../../../src/llb/index.ts';
import { SourcePolicies, type SourcePolicy } from '../../../src/source-policy/index.ts';
import { sha256, TsbuildError } from '../../../src/util/index.ts';
import { testTask } from '../../support/task.ts';

const NEVER = new AbortController().signal;

/** A build with what a frontend reaches of it. */
function build({ resolve, sourceNow }: { readonly resolve?: unknown; readonly sourceNow?: unknown } = {}) {
  const task = testTask();
  const noted: unknown[] = [];
  const parts = {
    task,
    session: {
      now: () => 5,
      images: { resolve },
      store: { root: '/store', images: { list: () => [], get: () => ({}) } },
    },
    names: { locals: new Map(), layouts: new Map([['base', '/layouts/base']]) },
    solver: { sourceNow },
    imageTimes: { note: (...args: unknown[]) => void noted.push(args) },
    request: {},
    policies: new SourcePolicies(),
  } as unknown as FrontendBuild;
  const states = (): readonly string[] =>
    task.seen.flatMap((event) => (event.type === 'vertex' ? [`${event.name}: ${event.state}`] : []));
  return { parts, task, noted, states, host: new FrontendHost(parts, new Map()) };
}
const nested = (name: string, options: Readonly<Record<string, string>> = {}): NestedRequest => ({
  name,
  options: new Map(Object.entries(options)),
  inputs: new Map(),
  policies: [],
});

describe('policies of a build and of a call', () => {
  const policy = (name: string, action: 'DENY' | 'CONVERT', from: string, to = ''): SourcePolicy => ({
    name,
    rules: [
      {
        action,
        selector: { identifier: from, matchType: 'WILDCARD', constraints: [] },
        ...(to === '' ? {} : { updates: { identifier: to, attrs: new Map() } }),
      },
    ],
  });
  const hostWith = (policies: readonly SourcePolicy[], resolve?: unknown): FrontendHost =>
    new FrontendHost({ ...build({ resolve }).parts, policies: new SourcePolicies(policies) }, new Map());
  const page = (url: string): Definition => definitionOfSource({ kind: 'source', identifier: url, attrs: new Map() });

  test('hold for what it solves: it returns what they made of it', () => {
    const host = hostWith([policy('build', 'CONVERT', 'https://a/*', 'https://b/$1')]);
    const more = [policy('call', 'CONVERT', 'https://b/*', 'https://c/$1')];
    expect(host.load(page('https://a/x'), []).definition).toEqual(page('https://b/x'));
    expect(host.load(page('https://a/x'), more).definition).toEqual(page('https://c/x'));
    const untouched = page('https://d/x');
    expect(host.load(untouched, more).definition).toBe(untouched);
    expect(() => host.load(page('https://a/x'), [policy('call', 'DENY', 'https://b/*')])).toThrow(
      'source "https://b/x" denied by policy',
    );
  });

  test('hold for images that it asks about', async () => {
    const asked: string[] = [];
    const resolve = async (_task: unknown, ref: string) => {
      asked.push(ref);
      return { ref, digest: sha256('x'), config: {}, configBytes: Buffer.from('{}') };
    };
    const host = hostWith([policy('build', 'CONVERT', '*/a:*', 'docker-image://registry.test/b:$2')], resolve);
    const request = (policies: readonly SourcePolicy[]): ImageConfigRequest => ({
      reference: 'registry.test/a:1',
      platform: hostPlatform(),
      mode: 'default',
      name: 'n',
      policies,
    });
    expect(await host.resolveImage(request([]), NEVER)).toMatchObject({ reference: 'registry.test/b:1' });
    await expect(host.resolveImage(request([policy('call', 'DENY', '*/b:*')]), NEVER)).rejects.toMatchObject({
      code: 'TSB_POLICY',
      hint: expect.stringContaining('it was converted from "docker-image://registry.test/a:1"') as string,
    });
    const local = [policy('call', 'CONVERT', '*/b:*', 'local://context')];
    await expect(host.resolveImage(request(local), NEVER)).rejects.toMatchObject({
      message: 'ref mutated by policy to non-image: docker-image://registry.test/a:1 -> local://context',
    });
    expect(asked).toEqual(['registry.test/b:1']);
  });
});

describe('a frontend that asks for another', () => {
  test('of a kind that there is not gets an error that says which there are, however long its name', async () => {
    const asked = build().host.frontend(nested(`x${'y'.repeat(5000)}`), NEVER);
    await expect(asked).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: `Cannot solve with frontend "x${'y'.repeat(99)}": there is no such one`,
      hint: 'there are dockerfile.v0 and gateway.v0',
    });
  });

  test('may not do so without end', async () => {
    const { parts } = build();
    const deep = new FrontendHost(parts, new Map(), 5);
    await expect(deep.frontend(nested('gateway.v0', { source: 'registry.test/own:1' }), NEVER)).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: 'Cannot run frontend "registry.test/own:1": 5 frontends call each other already',
    });
  });
});

describe('a warning of a frontend', () => {
  const warned = (message: string, ranges: readonly unknown[] = []) => {
    const { host, task } = build();
    host.warn({ message, ranges } as Parameters<FrontendHost['warn']>[0]);
    const [event] = task.seen;
    return event?.type === 'diagnostic' ? { at: event.at, ...event.diagnostic } : undefined;
  };
  const range = { file: 'Dockerfile', startLine: 3, endLine: 3 };

  test('has the code of its rule, and not the number of the line that is shown with it', () => {
    expect(warned('StageNameCasing: Stage name is in upper case (line 3)', [range])).toEqual({
      at: 5,
      code: 'StageNameCasing',
      severity: 'warning',
      message: 'Stage name is in upper case',
      ranges: [range],
    });
    expect(warned('StageNameCasing: it is in upper case (line 3)')?.message).toBe('it is in upper case (line 3)');
  });

  test.each(['what it says', 'x: too short a name', 'nota rule: it has a blank', 'lowercase: is none'])(
    'without a rule is the frontend’s own: %j',
    (message) => {
      expect(warned(message)).toMatchObject({ code: 'Frontend', message });
    },
  );

  test('does nothing to the terminal, and has an end', () => {
    const { message = '' } = warned(`a\u001B[31m\u0007b${'c'.repeat(5000)}`) ?? {};
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(message).not.toMatch(/[\u0000-\u001F]/);
    expect(message.length).toBeLessThan(1100);
  });
});

describe('an image that a frontend asks about', () => {
  const asked: ImageConfigRequest = {
    reference: `base@${sha256('manifest')}`,
    ociLayout: 'base',
    name: 'look at base',
    platform: hostPlatform(),
    mode: 'default',
    policies: [],
  };

  test('of a layout is named as it was asked for: no path of this machine is told', async () => {
    const image = {
      ref: '/layouts/base',
      digest: sha256('manifest'),
      config: { created: 'then' },
      configBytes: Buffer.from('{}'),
    };
    const { host, noted, states } = build({ resolve: () => Promise.resolve(image) });
    expect(await host.resolveImage(asked, NEVER)).toEqual({
      reference: asked.reference,
      digest: image.digest,
      config: image.configBytes,
    });
    expect(noted).toEqual([[image.digest, image.config]]);
    expect(states()).toEqual(['look at base: started', 'look at base: done']);
  });

  test('that is not there fails the step that asked, and is noted nowhere', async () => {
    const gone = new TsbuildError('TSB_REGISTRY', 'It is not there');
    const { host, noted, states } = build({ resolve: () => Promise.reject(gone) });
    await expect(host.resolveImage(asked, NEVER)).rejects.toThrow('It is not there');
    expect(noted).toEqual([]);
    expect(states()).toEqual(['look at base: started', 'look at base: failed']);
  });

  test('is asked for no longer than the frontend, or the build, wants it', async () => {
    const own = new AbortController();
    const signals: AbortSignal[] = [];
    const resolve = ({ signal }: { readonly signal: AbortSignal }): Promise<never> => {
      signals.push(signal);
      own.abort(new Error('It hung up'));
      return Promise.reject(signal.reason as Error);
    };
    await expect(build({ resolve }).host.resolveImage(asked, own.signal)).rejects.toThrow('It hung up');
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });
});

describe('a source that a frontend asks about', () => {
  const source = { identifier: 'git://host.test/repo', attrs: {}, name: 'git://me:pw@host.test/repo' };
  const told = (now: unknown) => {
    const made = build({ sourceNow: () => Promise.resolve(now) });
    return { ...made, answer: made.host.resolveSource(source as unknown as GatewaySource, NEVER) };
  };
  const [TAG, COMMIT] = ['a'.repeat(40), 'b'.repeat(40)];

  test('of git is its commit; that of an annotated tag beside the tag’s own', async () => {
    const git = (commit: object) => told({ kind: 'git', commit }).answer;
    expect(await git({ sha: COMMIT, commit: COMMIT, ref: 'refs/heads/main' })).toEqual({
      kind: 'git',
      checksum: COMMIT,
      ref: 'refs/heads/main',
      commit: '',
    });
    expect(await git({ sha: TAG, commit: COMMIT })).toEqual({ kind: 'git', checksum: TAG, ref: '', commit: COMMIT });
    expect(await git({ sha: COMMIT })).toMatchObject({ commit: '' });
  });

  test('of the web is its digest and name, with a time where the server told one', async () => {
    const http = (content: object) => told({ kind: 'http', content, filename: 'file.tgz' }).answer;
    const digest = sha256('content');
    expect(await http({ digest })).toEqual({ kind: 'http', checksum: digest, filename: 'file.tgz' });
    expect(await http({ digest, lastModified: 7 })).toMatchObject({ lastModified: 7 });
  });

  test('is shown without the credentials in its address', async () => {
    const { states, answer } = told({ kind: 'git', commit: { sha: COMMIT } });
    await answer;
    expect(states().join(' ')).toContain('host.test/repo');
    expect(states().join(' ')).not.toContain('pw');
  });
});
