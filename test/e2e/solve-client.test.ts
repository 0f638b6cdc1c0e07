import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { hasGit, Repositories } from '../support/git-server.ts';
import { projectRoot } from '../support/program.ts';
import { type Answer, describeSolved } from '../support/solved.ts';
import { readTreeTar, type Tree } from '../support/tree.ts';
import { WebServer } from '../support/web-server.ts';

const CORPUS = join(projectRoot, 'testdata/client');

interface Case {
  readonly args?: readonly string[];
  readonly file: string;
}

const read = (name: string): unknown => JSON.parse(readFileSync(join(CORPUS, name), 'utf8'));
const cases = read('cases.json') as Readonly<Record<string, Case>>;
const answers = read('answers.json') as Readonly<Record<string, Answer>>;

/**
 * What is not as with BuildKit: a failure in other words, or another answer. Those that matter are explained in testdata/client/README.md.
 */
const OURS: Readonly<Record<string, string | Answer>> = {
  build: 'failed to open buildkit.llb.definition: no such file or directory',
  'build-file': 'Cannot read LLB',
  'copy-no-parent': 'failed to stat /no/where: no such file or directory',
  'copy-owner-of-destination': 'Cannot look up owner "alice": what is built on scratch has no /etc/passwd',
  'owner-without-passwd': 'Cannot look up owner "alice": what is built on scratch has no /etc/passwd',
  // BuildKit compares what is required, as it is written, with paths that begin with "/", and finds nothing that does not.
  'copy-required': {
    files: { '/out': 'directory 755 0:0 ""', '/out/a': 'directory 755 0:0 ""', ...filesOfA('/out/a') },
  },
  'copy-required-missing': '"/a/q": not found',
  'copy-wildcard-none': '"/a/q*" not found',
  'git-no-ref': 'repository does not contain ref none',
  // BuildKit says that it cannot get the commit's time, and not why.
  'git-options': {
    files: {
      '/in': 'file 644 0:0 @1600000000 "in\\n"',
      '/link': 'symlink 777 0:0 @1600000000 "in"',
      '/run': 'file 755 0:0 @1600000000 "#!/bin/sh\\n"',
    },
  },
  'image-missing': 'Cannot resolve "docker.io/library/no-such-image:1"',
  'layout-missing': `Cannot find blob sha256:${'0'.repeat(64)} of OCI layout`,
  'local-missing': 'Cannot read local directory "nowhere": the build was not given one of that name',
  'merge-none': 'it is empty',
  scratch: 'it is empty',
  'mount-source-missing': 'cannot open "/none" in the source of the mount at "/m"',
  'rm-not-found': 'rm /nothing: no such file or directory',
  'rm-root': 'the root of an image cannot be removed',
  'rm-wildcard-in-nothing': { files: {} },
  'run-no-program': '"/bin/none" was not found in the image',
  'run-scratch': '"/bin/true" was not found in the image',
  'run-user-unknown': 'user "mallory" is not in the image\'s /etc/passwd',
  'ssh-missing': 'unset ssh forward key absent',
  'symlink-exists': 'symlink /there: file exists',
};

function filesOfA(at: string): Readonly<Record<string, string>> {
  return {
    [`${at}/run.sh`]: 'file 755 0:0 @1400000000 "#!/bin/sh\\n"',
    [`${at}/x`]: 'file 644 0:0 @1400000000 "x"',
    [`${at}/y`]: 'file 600 0:0 @1400000000 "y"',
  };
}

describeAsUser("graphs of BuildKit's client package", (who) => {
  const use = useBench(who);
  const repositories = new Repositories();
  const servers: WebServer[] = [];
  const names = new Map<string, string>();
  let base: Tree = {};
  beforeAll(async () => {
    const { bench } = use;
    const src = bench.write('src', {});
    await bench.tool(['tar', '-xf', join(CORPUS, 'src.tar'), '-C', src, '--no-same-owner']);
    bench.write('secrets', { s: 'very secret' });
    await bench.tool(['ssh-keygen', '-q', '-N', '', '-t', 'ed25519', '-f', 'key']);
    names.set('SECRET', bench.path('secrets/s')).set('AGENT', bench.path('key')).set('LAYOUT', join(CORPUS, 'layout'));
    const web = await serveFiles(readFileSync(join(src, 'pack.tar.gz')));
    const executable = '#!/bin/sh\n';
    repositories.create('repo.git', {
      file: 'first\n',
      'sub/in': 'in\n',
      'sub/run': { executable },
      'sub/link': { link: 'in' },
    });
    repositories.git('repo.git', 'tag', 'v1');
    repositories.commit('repo.git', { file: 'second\n' });
    const git = await repositories.serve();
    servers.push(web, git);
    const rule = (identifier: string, updates: object) => ({ action: 'CONVERT', selector: { identifier }, updates });
    const rules = [
      rule('http://files.test/*', { identifier: `${web.url}/$1` }),
      rule('git://git.test/*', {
        identifier: `git://127.0.0.1:${git.port}/$1`,
        attrs: { 'git.fullurl': `${git.url}/repo.git` },
      }),
    ];
    writeFileSync(bench.path('policy.json'), JSON.stringify({ version: 1, rules }));
    names.set('POLICY', bench.path('policy.json'));
    base = await readTreeTar((await solve('image-local')).stdout);
  });
  afterAll(async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    repositories[Symbol.dispose]();
  });

  function solve(name: string) {
    const { args = [], file = '' } = cases[name] ?? {};
    const words = args.map((word) => word.replace(/SECRET|POLICY|AGENT|LAYOUT/, (what) => names.get(what) ?? what));
    const definition = join(CORPUS, 'definitions', file);
    const all = ['solve', definition, '--local', `src=${use.bench.path('src')}`, '-o', 'type=tar,dest=-', ...words];
    return use.bench.tsbuild(all);
  }

  describe.runIf(hasGit)('come to what BuildKit makes of them', () => {
    test.concurrent.each(Object.keys(cases))('%s', { timeout: 120_000 }, async (name) => {
      const { code, stdout, err } = await solve(name);
      const ours = OURS[name] ?? answers[name] ?? {};
      const wanted = typeof ours === 'string' ? { fails: ours } : ours;
      if (wanted.fails === undefined) {
        expect(code, err).toBe(0);
        expect(await describeSolved(stdout, base)).toEqual(wanted);
      } else {
        expect([1, 2]).toContain(code);
        expect(err).toMatch(/^error: /m);
        expect(err).toContain(wanted.fails);
        expect(err).not.toMatch(/at \w+ \(|Error:/);
      }
    });
  });
});

/** The web server that `files.test` stands for. */
function serveFiles(pack: Uint8Array): Promise<WebServer> {
  return WebServer.start(({ url, headers }, response) => {
    if (url === '/dir/file.txt') {
      response.setHeader('last-modified', 'Wed, 21 Oct 2015 07:28:00 GMT');
      return void response.end('from the server\n');
    }
    if (url === '/pack.tar.gz') return void response.end(pack);
    if (url === '/private' && headers.authorization === 'very secret') return void response.end('private\n');
    response.statusCode = url === '/private' ? 401 : 404;
    return void response.end();
  });
}
