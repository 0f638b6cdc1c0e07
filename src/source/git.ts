import { existsSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { redactUrls, sanitizeLine, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { gitEnvironment } from './git-access.ts';
import { commitInBundle, fetchFromBundle, missing, stageBundle } from './git-bundle.ts';
import { GitFailure, type GitRun, runGit } from './git-command.ts';
import { explainFailure } from './git-failure.ts';
import { fetchCommit, type FetchOptions, runDeepIfNeedBe } from './git-fetch.ts';
import { peel, readObjects, recallObjects, rememberObjects } from './git-objects.ts';
import type {
  GitBundle,
  GitCommit,
  GitLimits,
  GitObjects,
  GitRequest,
  GitSourceOptions,
  GitTree,
} from './git-types.ts';
import { type GitUrl, isCommitHash, parseGitUrl } from './git-url.ts';
import { isRefName } from '../pins/index.ts';

const DEFAULT_LIMITS: GitLimits = {
  maxBytes: 64 * 1024 ** 3,
  maxFiles: 5_000_000,
  answerMs: 20_000,
  stallMs: 60_000,
  workMs: 5 * 60_000,
};

/** What each submodule runs to tell the sizes of its files. */
const LIST_HEAD = 'git ls-tree -r -l -z --full-tree HEAD';

type OnMessage = (data: Uint8Array) => void;

/** Trees of git commits, by the machine's own git. References are looked up once per source object, so that one build sees one state. */
export class GitSource {
  readonly #options: GitSourceOptions;
  readonly #limits: GitLimits;
  readonly #commits = new Map<string, GitCommit>();

  constructor(options: GitSourceOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
  }

  /**
   * What the request's reference points at now. A commit hash is taken as it is, without asking anybody.
   * @throws TsbuildError `TSB_CONTEXT` for an address or name that cannot be used, `TSB_NOT_FOUND`, `TSB_NETWORK`, `TSB_DIGEST` when it
   * is not the commit that the checksum names
   */
  async resolve(task: Task, request: GitRequest): Promise<GitCommit> {
    const url = parseGitUrl(request.url);
    const { ref, checksum } = request;
    if (checksum !== '' && !/^[0-9a-fA-F]+$/.test(checksum)) {
      throw new TsbuildError(
        'TSB_CONTEXT',
        `invalid checksum ${sanitizeLine(checksum, 100)} for Git URL, expected hex commit hash`,
      );
    }
    if (isCommitHash(ref)) return checkHash(request, { sha: ref });
    if (ref !== '' && !isRefName(ref))
      throw new TsbuildError('TSB_CONTEXT', `invalid git ref ${JSON.stringify(sanitizeLine(ref, 200))}`);
    if (request.bundle) return checkHash(request, await this.#resolveInBundle(task, request, url, request.bundle));
    if (request.fetchByCommit) {
      if (checksum === '')
        throw new TsbuildError('TSB_CONTEXT', 'fetch-by-commit requires a checksum or a commit SHA ref');
      if (!isCommitHash(checksum))
        throw new TsbuildError(
          'TSB_CONTEXT',
          `fetch-by-commit requires a full commit SHA checksum, got ${JSON.stringify(checksum)}`,
        );
      return { sha: checksum, ...(ref === '' ? {} : { ref: ref.startsWith('refs/') ? ref : `refs/heads/${ref}` }) };
    }
    const key = JSON.stringify([request.url, ref, request.access.authorization]);
    let commit = this.#commits.get(key);
    if (!commit) {
      commit = await this.#pinnedOr(request, () => this.#lookUp(task, request, url));
      this.#commits.set(key, commit);
    }
    return checkHash(request, commit);
  }

  /** What a bundle has under a name. It is what it is, so that neither a lock file nor a server has a say. */
  async #resolveInBundle(task: Task, request: GitRequest, url: GitUrl, bundle: GitBundle): Promise<GitCommit> {
    const { ref, checksum } = request;
    if (ref === '' && isCommitHash(checksum)) return { sha: checksum };
    const key = JSON.stringify([bundle.digest, ref, ref === '' ? checksum : '']);
    const known = this.#commits.get(key);
    if (known) return known;
    const temporary = this.#options.temporary();
    try {
      const staged = await stageBundle(task, this.#run(request, url, temporary, undefined), bundle);
      const found = ref === '' ? { sha: await commitInBundle(task, staged, checksum) } : chooseRef(staged.refs, ref);
      if (!found) throw missing(bundle, `ref ${ref}`);
      // Bundles list tag objects without the commits that they stand for.
      const sha = found.ref?.startsWith('refs/tags/') ? await commitInBundle(task, staged, found.sha) : found.sha;
      const commit = sha === found.sha ? found : { ...found, commit: sha };
      this.#commits.set(key, commit);
      return commit;
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }

  /** What a lock file has for a reference, or else what it stands for now. */
  async #pinnedOr({ url, ref }: GitRequest, lookUp: () => Promise<GitCommit>): Promise<GitCommit> {
    const { pins } = this.#options;
    const name = `${redactUrls(url)}${ref === '' ? '' : `#${ref}`}`;
    const pin = pins?.git(name);
    if (pin)
      return {
        sha: pin.pin,
        ...(pin.name === undefined ? {} : { ref: pin.name }),
        ...(pin.commit === undefined ? {} : { commit: pin.commit }),
      };
    const found = await lookUp();
    pins?.record({
      type: 'git',
      ref: name,
      pin: found.sha,
      ...(found.ref === undefined ? {} : { name: found.ref }),
      ...(found.commit === undefined ? {} : { commit: found.commit }),
    });
    return found;
  }

  /** Asks the remote what a name stands for now; nothing is fetched. */
  async #lookUp(task: Task, request: GitRequest, url: GitUrl): Promise<GitCommit> {
    const { offline } = this.#options;
    if (offline) throw offline.refuse(`git repository ${url.url}${request.ref === '' ? '' : `#${request.ref}`}`);
    const temporary = this.#options.temporary();
    try {
      const all = this.#run(request, url, temporary, undefined);
      const { answerMs, stallMs } = this.#limits;
      const run = { ...all, limits: { ...this.#limits, stallMs: Math.min(answerMs, stallMs) } };
      mkdirSync(run.dir);
      const names = request.ref === '' ? ['HEAD'] : [request.ref, `${request.ref}^{}`];
      const output = await this.#try(url, () =>
        runGit(task, run, ['ls-remote', ...(request.ref === '' ? ['--symref'] : []), '--', url.url, ...names]),
      );
      const found = chooseRef(output.toString('utf8'), request.ref);
      if (!found) {
        const what = request.ref === '' ? 'a default branch' : `ref ${request.ref}`;
        throw new TsbuildError(
          'TSB_NOT_FOUND',
          `Cannot load git repository ${JSON.stringify(url.url)}: repository does not contain ${what}`,
          {
            hint: 'name a branch, a tag or a full commit hash after "#"',
          },
        );
      }
      return found;
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }

  /**
   * Fetches a commit, with as little history as the server allows, and checks it out into a private directory.
   * @throws TsbuildError as `resolve`
   */
  async checkout(task: Task, request: GitRequest, commit: GitCommit, onMessage?: OnMessage): Promise<GitTree> {
    if (request.checkoutBundle) return this.#makeBundle(task, request, commit, onMessage);
    return this.#inRepository(task, request, commit, onMessage, {}, async (run, temporary) => {
      await this.#checkSize(task, run, commit);
      await runGit(task, run, ['checkout', '--quiet', '--force', '--detach', commit.sha]);
      const submodules = request.submodules && existsSync(`${run.dir}/.gitmodules`);
      if (submodules) {
        const { offline } = this.#options;
        if (offline) throw offline.refuse(`submodules of git repository ${parseGitUrl(request.url).url}`);
        await runDeepIfNeedBe(task, run, ['submodule', 'update', '--progress', '--init', '--recursive', '--depth=1']);
        await this.#checkSize(task, run, commit, ['submodule', 'foreach', '--quiet', '--recursive', LIST_HEAD]);
      }
      const commitTime = await commitTimeOf(task, run, commit);
      const subdir = request.subdir.split('/').filter((name) => name !== '' && name !== '.');
      if (request.keepGitDir && subdir.length === 0) {
        await runGit(task, run, ['reflog', 'expire', '--all', '--expire=now']);
        rmSync(`${run.dir}/.git/FETCH_HEAD`, { force: true });
      } else rmSync(`${run.dir}/.git`, { recursive: true, force: true });
      return { dir: directoryBeneath(run.dir, subdir), temporary, submodules, commitTime };
    });
  }

  /** A directory with nothing but `bundle`, which holds the commit under the name that it was asked for by, as BuildKit has it. */
  async #makeBundle(task: Task, request: GitRequest, commit: GitCommit, onMessage?: OnMessage): Promise<GitTree> {
    return this.#inRepository(task, request, commit, onMessage, { history: true }, async (run, temporary) => {
      const { ref, target } = bundledRef(request, commit);
      await runGit(task, run, ['update-ref', ref, target]);
      const dir = `${temporary}/out`;
      mkdirSync(dir, { mode: 0o755 });
      // One thread, so that the same objects make the same bundle.
      await runGit(task, run, ['-c', 'pack.threads=1', 'bundle', 'create', '--quiet', `${dir}/bundle`, ref]);
      const commitTime = await commitTimeOf(task, run, commit);
      rmSync(run.dir, { recursive: true, force: true });
      return { dir, temporary, submodules: false, commitTime };
    });
  }

  /** When a commit was made, in seconds since the epoch; its files are not fetched where the server can leave them out. */
  async commitTime(task: Task, request: GitRequest, commit: GitCommit): Promise<number> {
    return this.#inRepository(
      task,
      request,
      commit,
      undefined,
      { filter: ['--filter=blob:none'] },
      async (run, temporary) => {
        try {
          return await commitTimeOf(task, run, commit);
        } finally {
          rmSync(temporary, { recursive: true, force: true });
        }
      },
    );
  }

  /** The commit itself, and the tag object where it was asked for by one: what signatures are in. Of its files none is fetched. */
  async objects(task: Task, request: GitRequest, commit: GitCommit): Promise<GitObjects> {
    const { facts } = this.#options;
    const known = facts && recallObjects(facts, commit.sha);
    if (known) {
      checkPeeled(commit, known.commit.sha);
      return known;
    }
    const options = { filter: ['--filter=tree:0'] };
    return this.#inRepository(task, request, commit, undefined, options, async (run, temporary) => {
      const objects = await readObjects(task, run, commit.sha);
      if (facts) rememberObjects(facts, commit.sha, objects);
      rmSync(temporary, { recursive: true, force: true });
      return objects;
    });
  }

  /** A bare repository for one fetch, gone afterwards: nothing that a remote sent lies around as a repository. */
  async #inRepository<T>(
    task: Task,
    request: GitRequest,
    commit: GitCommit,
    onMessage: OnMessage | undefined,
    options: FetchOptions,
    work: (run: GitRun, temporary: string) => Promise<T>,
  ): Promise<T> {
    const url = parseGitUrl(request.url);
    const { offline } = this.#options;
    const { bundle } = request;
    if (offline && !bundle) throw offline.refuse(`commit ${commit.sha} of git repository ${url.url}`);
    const temporary = this.#options.temporary();
    try {
      const run = this.#run(request, url, temporary, onMessage);
      mkdirSync(run.dir, { mode: 0o755 });
      return await this.#try(url, async () => {
        await runGit(task, run, [
          'init',
          '--quiet',
          '--template=',
          ...(commit.sha.length === 64 ? ['--object-format=sha256'] : []),
        ]);
        await runGit(task, run, ['remote', 'add', '--', 'origin', url.url]);
        if (bundle) await fetchFromBundle(task, run, await stageBundle(task, run, bundle), commit, options);
        else await fetchCommit(task, run, commit, options);
        if (commit.commit !== undefined) checkPeeled(commit, await peel(task, run, commit.sha));
        return work(run, temporary);
      });
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true });
      throw error;
    }
  }

  #run(request: GitRequest, url: GitUrl, temporary: string, onMessage: OnMessage | undefined): GitRun {
    const environment = gitEnvironment(this.#options, request, url, temporary);
    return {
      limits: this.#limits,
      environment,
      dir: `${temporary}/tree`,
      ...(onMessage === undefined ? {} : { onMessage }),
    };
  }

  /**
   * Small packs can hold large trees. The sizes are known before anything is written, but for submodules, of which `list` tells
   * when git has written them.
   */
  async #checkSize(
    task: Task,
    run: GitRun,
    commit: GitCommit,
    list: readonly string[] = ['ls-tree', '-r', '-l', '-z', '--full-tree', commit.sha],
  ): Promise<void> {
    const { maxBytes, maxFiles } = this.#limits;
    let [bytes, files] = [0, 0];
    const output = await runGit(task, run, list);
    for (let start = 0, end = output.indexOf(0); end >= 0; start = end + 1, end = output.indexOf(0, start)) {
      const size = /^\d+ \w+ [0-9a-f]+ +(\d+)/.exec(output.toString('latin1', start, Math.min(end, start + 120)))?.[1];
      bytes += Number(size ?? 0);
      files++;
    }
    if (bytes > maxBytes || files > maxFiles)
      throw new TsbuildError(
        'TSB_NETWORK',
        `Cannot check out commit ${commit.sha}: it has ${files} files with ${bytes} bytes, more than is allowed`,
      );
  }

  async #try<T>(url: GitUrl, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof GitFailure) throw explainFailure(url, error);
      throw error;
    }
  }
}

/** @throws TsbuildError `TSB_DIGEST` */
function checkHash({ checksum }: GitRequest, commit: GitCommit): GitCommit {
  if (checksum === '' || commit.sha.startsWith(checksum) || commit.commit?.startsWith(checksum)) return commit;
  const got = commit.commit === undefined ? commit.sha : `${commit.sha} or ${commit.commit}`;
  throw new TsbuildError('TSB_DIGEST', `expected checksum to match ${checksum}, got ${got}`);
}

/**
 * What a server lists beside a tag is its word alone, and what is kept of the files is kept by it.
 * @throws TsbuildError `TSB_DIGEST`
 */
function checkPeeled({ sha, commit }: GitCommit, peeled: string): void {
  if (commit === undefined || commit === peeled) return;
  throw new TsbuildError('TSB_DIGEST', `Cannot load tag ${sha}: it was listed as commit ${commit}, and is ${peeled}`);
}

/**
 * The name that a bundle is made with, and what it points at. BuildKit's: a bare name is a branch, and a commit that nobody named is
 * `refs/heads/main`.
 */
export function bundledRef({ ref }: GitRequest, commit: GitCommit): { readonly ref: string; readonly target: string } {
  if (ref.startsWith('refs/tags/')) return { ref, target: commit.sha };
  const name = ref === '' || isCommitHash(ref) ? 'main' : ref.replace(/^refs\//, '').replace(/^heads\//, '');
  return { ref: `refs/heads/${name}`, target: commit.commit ?? `${commit.sha}^{commit}` };
}

/** Picks the line of `git ls-remote` that `git checkout` would: a full name, else a branch, else a tag. */
export function chooseRef(output: string, wanted: string): GitCommit | undefined {
  const refs = new Map<string, string>();
  let head: string | undefined;
  for (const line of output.split('\n')) {
    const tab = line.indexOf('\t');
    if (tab < 0) continue;
    const [value, name] = [line.slice(0, tab), line.slice(tab + 1)];
    if (value.startsWith('ref: ') && name === 'HEAD') head = value.slice(5);
    else if (isCommitHash(value)) refs.set(name, value);
  }
  if (wanted === '') {
    const sha = refs.get('HEAD');
    // The server names its branch; what is no plain branch name is not used as one.
    return sha === undefined
      ? undefined
      : { sha, ...(head !== undefined && head.startsWith('refs/heads/') && isRefName(head) ? { ref: head } : {}) };
  }
  const full = `refs/${wanted.replace(/^refs\//, '')}`;
  const branch = `refs/heads/${wanted.replace(/^refs\/heads\//, '')}`;
  const tag = `refs/tags/${wanted.replace(/^refs\/tags\//, '')}`;
  for (const ref of [full, branch, tag]) {
    const sha = refs.get(ref);
    if (sha === undefined) continue;
    const commit = ref.startsWith('refs/tags/') ? refs.get(`${ref}^{}`) : undefined;
    return { ref, sha, ...(commit === undefined ? {} : { commit }) };
  }
  return undefined;
}

/** When the commit was made, in seconds since the epoch. */
async function commitTimeOf(task: Task, run: GitRun, { sha }: GitCommit): Promise<number> {
  const text = (await runGit(task, run, ['log', '-1', '--no-show-signature', '--format=%ct', `${sha}^{commit}`, '--']))
    .toString('latin1')
    .trim();
  const time = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(time))
    throw new TsbuildError('TSB_CONTEXT', `Cannot use commit ${sha}: its time is not a number`);
  return time;
}

/**
 * A directory of a checked-out tree; every name on the way must be a directory and no link (GIT-03).
 * @throws TsbuildError `TSB_CONTEXT`
 */
function directoryBeneath(root: string, names: readonly string[]): string {
  let dir = root;
  for (const name of names) {
    dir = `${dir}/${name}`;
    const stat = name === '..' ? undefined : lstatSync(dir, { throwIfNoEntry: false });
    if (!stat?.isDirectory()) {
      throw new TsbuildError(
        'TSB_CONTEXT',
        `invalid subdir ${JSON.stringify(names.join('/'))}: ${JSON.stringify(name)} is ${stat ? 'not a directory' : 'not in the repository'}`,
      );
    }
  }
  return dir;
}
