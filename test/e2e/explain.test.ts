import { chmodSync, cpSync, lchownSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Bench, type ContextFile, type Outcome } from '../support/bench.ts';
import { describeAsUser } from '../support/e2e.ts';
import { WebServer } from '../support/web-server.ts';

/** What `--explain` said: lines after the progress and its warnings. */
function said({ err }: Outcome): string {
  const at = err.search(/^(?:\d+ of \d+ steps|all \d+ steps)/m);
  return at < 0 ? '' : err.slice(at);
}

/** Lines of steps that missed, without places and times. */
function missed(outcome: Outcome): readonly string[] {
  return said(outcome)
    .split('\n')
    .filter((line) => line.includes(' missed'))
    .map((line) => line.trim().replace(/ \[[^\]]*\]$/, ''));
}

/** A context. */
type Files = { readonly Dockerfile: string } & Readonly<Record<string, ContextFile>>;

const DOCKERFILE = `FROM base:1 AS build
ARG VERSION=1
WORKDIR /app
COPY . /app
RUN cat /app/src/a.ts > /out
ENV MODE=fast
RUN echo done > /done

FROM base:1
COPY --from=build /out /out
`;
const FILES: Files = {
  Dockerfile: DOCKERFILE,
  '.dockerignore': 'Dockerfile\n.dockerignore\n',
  'src/a.ts': 'one',
  'src/b.ts': 'two',
  'run.sh': { text: 'echo', mode: 0o644 },
};

function contextOf(bench: Bench, { Dockerfile, ...files }: Files): string {
  return bench.context(Dockerfile, files);
}

/** Writes files of a context anew. */
function edit(context: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(context, name), text);
}

/** Builds with reasons. */
function explained(bench: Bench, context: string, ...options: readonly string[]): Promise<Outcome> {
  return bench.tsbuild(['build', '--explain', '--progress=plain', ...options, context]);
}

describeAsUser('why steps run', (who) => {
  /** A context that was built once, in a store of its own: builds that look alike are compared. */
  async function built(
    files: Files = FILES,
    ...options: string[]
  ): Promise<{ readonly bench: Bench; readonly context: string } & AsyncDisposable> {
    const bench = new Bench(who);
    await bench.makeStore();
    const context = contextOf(bench, files);
    const first = await explained(bench, context, ...options);
    expect(first.err).toContain('there is no earlier build to compare with');
    expect(missed(first).length).toBeGreaterThan(0);
    for (const line of missed(first)) expect(line).toMatch(/missed: no earlier record$/);
    return { bench, context, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
  }

  test('files: changed, added, removed, another mode; what stands on them', async () => {
    await using prepared = await built();
    const { bench, context } = prepared;
    edit(context, { 'src/a.ts': 'other', 'src/new.ts': '' });
    rmSync(join(context, 'src/b.ts'));
    const outcome = await explained(bench, context);
    expect(missed(outcome)).toEqual([
      'COPY . /app missed: src/a.ts changed (sha256 7692… -> d929…), 2 more files',
      'RUN cat /app/src/a.ts > /out missed: it stands on COPY . /app (Dockerfile:4), which ran again',
      'RUN echo done > /done missed: it stands on RUN cat /app/src/a.ts > /out (Dockerfile:5), which ran again',
      'COPY --from=build /out /out missed: out of stage build changed (sha256 7692… -> d929…)',
    ]);
    expect(said(outcome)).toContain('      src/b.ts removed\n      src/new.ts added\n');
    chmodSync(join(context, 'run.sh'), 0o755);
    expect(missed(await explained(bench, context))[0]).toBe(
      'COPY . /app missed: run.sh has another mode (0644 -> 0755)',
    );
  });

  test('a fresh checkout elsewhere, with other times, hits', async () => {
    await using prepared = await built();
    const { bench, context } = prepared;
    const copy = bench.path('checkout');
    cpSync(context, copy, { recursive: true });
    for (const name of ['', ...readdirSync(copy, { recursive: true, encoding: 'utf8' })])
      lchownSync(join(copy, name), who.uid, who.gid);
    utimesSync(join(copy, 'src/a.ts'), 1_000_000_000, 1_000_000_000);
    const again = await explained(bench, copy);
    expect(said(again)).toMatch(/^all \d steps came from the cache: nothing that they read has changed\n$/);
    edit(copy, { 'src/a.ts': 'other' });
    expect(missed(await explained(bench, copy))[0]).toBe(
      'COPY . /app missed: src/a.ts changed (sha256 7692… -> d929…)',
    );
  });

  test('a build that is remembered says so too', async () => {
    await using prepared = await built();
    const { bench, context } = prepared;
    for (let round = 0; round < 3; round++)
      expect(said(await explained(bench, context))).toMatch(/^all \d steps came from the cache/);
  });

  test('ARG and ENV, with values that may be shown', async () => {
    await using prepared = await built();
    const { bench, context } = prepared;
    const arg = await explained(bench, context, '--build-arg', 'VERSION=2');
    expect(missed(arg)[0]).toBe('RUN cat /app/src/a.ts > /out missed: ARG or ENV VERSION changed (1 -> 2)');
    edit(context, { Dockerfile: DOCKERFILE.replace('MODE=fast', 'MODE=slow') });
    expect(missed(await explained(bench, context, '--build-arg', 'VERSION=2'))).toEqual([
      'RUN echo done > /done missed: ARG or ENV MODE changed (fast -> slow)',
    ]);
  });

  test('an ARG that looks like a secret is named, its value is nowhere', async () => {
    const dockerfile = 'FROM base:1\nARG API_TOKEN\nRUN echo > /x # $API_TOKEN\nCOPY . /in-$API_TOKEN/\n';
    await using prepared = await built({ Dockerfile: dockerfile }, '--build-arg', 'API_TOKEN=quietSecret1');
    const { bench, context } = prepared;
    const outcome = await explained(bench, context, '--build-arg', 'API_TOKEN=quietSecret2');
    expect(missed(outcome)[0]).toMatch(/missed: ARG or ENV API_TOKEN changed$/);
    const later = await bench.ok(['explain', '--format=json', '--context', context]);
    expect(said(outcome) + later.out).not.toContain('quietSecret');
    expect(later.out).toContain('API_TOKEN');
  });

  test('the value of a secret that stands in the Dockerfile is masked', async () => {
    await using bench = new Bench(who);
    await bench.makeStore();
    const text = (more: string): string => `FROM base:1\nRUN echo hidden-value-7 ${more}> /x\n`;
    const secret = ['--secret', 'id=s,env=HIDDEN'];
    const env = { HIDDEN: 'hidden-value-7' };
    const context = contextOf(bench, { Dockerfile: text('') });
    await bench.ok(['build', ...secret, context], { env });
    edit(context, { Dockerfile: text('more ') });
    const outcome = await bench.ok(['build', '--explain', ...secret, context], { env });
    expect(missed(outcome)[0]).toBe(
      'RUN echo *** more > /x missed: its command changed (echo *** > /x -> echo *** more > /x)',
    );
  });

  test('the text of an instruction, its flags, and a new instruction', async () => {
    await using prepared = await built();
    const { bench, context } = prepared;
    edit(context, {
      Dockerfile: DOCKERFILE.replace('COPY . /app', 'COPY --chmod=755 . /app').replace('echo done', 'echo over'),
    });
    const outcome = await explained(bench, context);
    expect(missed(outcome)[0]).toBe('COPY --chmod=755 . /app missed: --chmod added (none -> 755)');
    expect(missed(outcome)).toContain(
      'RUN echo over > /done missed: its command changed (echo done > /done -> echo over > /done)',
    );
    edit(context, { Dockerfile: DOCKERFILE.replace('WORKDIR', 'RUN true\nWORKDIR') });
    expect(missed(await explained(bench, context)).slice(0, 2)).toEqual([
      'RUN true missed: new: the earlier build had no such step',
      'WORKDIR /app missed: it stands on RUN true (Dockerfile:3), which ran again',
    ]);
  });

  test('the base image', async () => {
    await using bench = new Bench(who);
    for (const name of ['base:1', 'moving:1']) await bench.importBase(name);
    const context = contextOf(bench, { Dockerfile: 'FROM moving:1\nRUN echo > /x\n' });
    await bench.ok(['build', context]);
    const made = contextOf(bench, { Dockerfile: 'FROM base:1\nRUN echo > /newer\n' });
    await bench.ok(['build', '-t', 'moving:1', made]);
    const [base = '', step] = missed(await explained(bench, context));
    expect([base, step].join('\n')).toMatch(
      /moving:1 missed: base image docker.io\/library\/moving:1 changed \(sha256:[0-9a-f]{12}… -> sha256:[0-9a-f]{12}…\)/,
    );
    expect(step ?? base).toMatch(/RUN echo > \/x missed: it stands on FROM docker.io\/library\/moving:1/);
  });

  test('a file of a web address', async () => {
    let body = 'first';
    await using server = await WebServer.start((_request, response) => response.end(body));
    await using prepared = await built({ Dockerfile: `FROM base:1\nADD ${server.url}/file /f\n` });
    const { bench, context } = prepared;
    body = 'second';
    expect(missed(await explained(bench, context))[0]).toMatch(
      /missed: http:\/\/\S+\/file changed \(sha256:a7937b64b8ca… -> sha256:16367aacb67a…\)$/,
    );
  });

  test('a mount of the context', async () => {
    await using prepared = await built({
      Dockerfile: 'FROM base:1\nRUN --mount=type=bind,target=/in cat /in/data > /x\n',
      data: 'one',
    });
    const { bench, context } = prepared;
    edit(context, { data: 'two' });
    expect(missed(await explained(bench, context))).toEqual([
      expect.stringMatching(/missed: data changed \(sha256 7692… -> 3fc4…\)$/),
    ]);
  });

  test('--no-cache, and what failed', async () => {
    await using prepared = await built();
    const { bench, context } = prepared;
    expect(missed(await explained(bench, context, '--no-cache'))[0]).toMatch(/--no-cache/);
    edit(context, { Dockerfile: DOCKERFILE.replace('echo done', 'exit 7 #') });
    const failed = await explained(bench, context);
    expect(failed.code).toBe(1);
    expect(missed(failed)).toEqual([
      'RUN exit 7 # > /done missed, and failed: its command changed (echo done > /done -> exit 7 # > /done)',
    ]);
    // Compared with the time that it worked.
    edit(context, { Dockerfile: DOCKERFILE.replace('echo done', 'echo well') });
    expect(missed(await explained(bench, context))).toEqual([
      'RUN echo well > /done missed: its command changed (echo done > /done -> echo well > /done)',
    ]);
  });

  test('after pruning there is no earlier record, and "explain" knows of no build', async () => {
    await using bench = new Bench(who);
    await bench.makeStore();
    const context = contextOf(bench, FILES);
    await bench.ok(['build', context]);
    const usage = JSON.parse((await bench.ok(['du', '--format=json'])).out) as {
      records: { id: string; size: number }[];
    };
    expect(usage.records.find(({ id }) => id === 'accounts')?.size).toBeGreaterThan(1000);
    await bench.ok(['prune', '--all']);
    const gone = await bench.tsbuild(['explain']);
    expect([gone.code, gone.err]).toEqual([1, expect.stringContaining('the store knows of no build')]);
    const outcome = await explained(bench, context);
    for (const line of missed(outcome)) expect(line).toMatch(/no earlier record/);
    expect(missed(outcome).length).toBeGreaterThan(3);
  });

  test('"explain" tells of the last build, of one context or target, of one step, and in JSON', async () => {
    await using prepared = await built();
    const { bench, context } = prepared;
    await explained(bench, context, '--target=build');
    edit(context, { 'src/a.ts': 'other' });
    await bench.ok(['build', context]);
    const other = contextOf(bench, { Dockerfile: 'FROM scratch\nCOPY . /\n' });
    await bench.ok(['build', other]);
    const last = await bench.ok(['explain']);
    expect(last.out.split('\n')[0]).toContain(other);
    const of = await bench.ok(['explain', '--context', context]);
    expect(of.out).toContain('COPY . /app missed: src/a.ts changed (sha256 7692… -> d929…) [Dockerfile:4, ');
    const target = await bench.ok(['explain', '--context', context, '--target', 'build']);
    expect(target.out).toContain('all 5 steps came from the cache');
    for (const step of ['4', 'COPY . '])
      expect((await bench.ok(['explain', '--context', context, step])).out.split('\n')).toHaveLength(3);
    const json = JSON.parse((await bench.ok(['explain', '--context', context, '--format=json'])).out) as {
      steps: { name: string; outcome: string; place: string; reason: { kind: string; differences: unknown } }[];
    };
    expect(json.steps.find(({ name }) => name.includes('COPY . /app'))).toMatchObject({
      outcome: 'ran',
      place: 'Dockerfile:4',
      reason: {
        kind: 'changed',
        differences: [{ what: 'file', name: 'src/a.ts', change: 'changed', before: 'sha256 7692…', after: 'd929…' }],
      },
    });
    const none = await bench.tsbuild(['explain', '--context', context, 'no such step']);
    expect([none.code, none.err]).toEqual([1, expect.stringContaining('"tsbuild explain" lists the steps')]);
  });

  test('a COPY that makes dear steps run again is told, with what it cost', async () => {
    await using prepared = await built({
      Dockerfile: 'FROM base:1\nCOPY . /app\nRUN sleep 1.2\nRUN cat /app/data > /x\n',
      data: 'one',
    });
    const { bench, context } = prepared;
    edit(context, { data: 'two' });
    expect(said(await explained(bench, context))).toMatch(
      /\nhint: "COPY \. \/app" \(Dockerfile:2\) made 2 steps after it run again, \d+\.\ds\. Copy what "RUN sleep 1\.2" \(\d+\.\ds\) needs first/,
    );
  });

  test('a variable that is set too early is told', async () => {
    const dockerfile = 'FROM base:1\nARG COMMIT\nRUN sleep 1.2\nRUN echo $COMMIT > /x\n';
    await using prepared = await built({ Dockerfile: dockerfile }, '--build-arg', 'COMMIT=1');
    const { bench, context } = prepared;
    expect(said(await explained(bench, context, '--build-arg', 'COMMIT=2'))).toMatch(
      /\nhint: COMMIT has another value, and is set before 1 step that does not name it but ran again for it, \d+\.\ds\./,
    );
  });
});
