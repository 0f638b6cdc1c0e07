import type { Pins, Refusals } from '../pins/index.ts';
import type { Digest } from '../util/index.ts';
import type { FactStore } from './image-types.ts';

/** A commit of a git repository and how to get it. */
export interface GitRequest {
  /** `https://host/repo.git`, `ssh://…`, `git://…` or `user@host:path`; may hold credentials. */
  readonly url: string;
  /** Branch, tag, full reference name or commit; empty for the default branch. */
  readonly ref: string;
  /** Start of the hash of the commit, or of the tag object, that it must be. */
  readonly checksum: string;
  /** The commit is `checksum`, and `ref` is only its name. */
  readonly fetchByCommit: boolean;
  /** A directory in the repository; empty for all of it. */
  readonly subdir: string;
  readonly keepGitDir: boolean;
  readonly submodules: boolean;
  readonly access: GitAccess;
  /** Stands in for the repository, but for its submodules. */
  readonly bundle?: GitBundle;
  /** Instead of the files, a bundle of the commit with its history. */
  readonly checkoutBundle?: boolean;
}

/** A file that `git bundle` made. */
export interface GitBundle {
  readonly digest: Digest;
  /** Brings it to this machine, where it is not there already, and gives its path. */
  readonly bring: () => Promise<string>;
}

/** What a request may use to get in. */
export interface GitAccess {
  /** Value of an `Authorization` header for HTTP. */
  readonly authorization?: string;
  /** Path of an SSH agent's socket. */
  readonly sshSocket?: string;
  /** Text of the `known_hosts` file that replaces the user's. */
  readonly knownHosts?: string;
}

/** What a reference stands for. */
export interface GitCommit {
  /** Full name, e.g. `refs/heads/main`; absent when a commit was named by its hash. */
  readonly ref?: string;
  /** What the reference points at: a commit or a tag object. */
  readonly sha: string;
  /** The commit, where `sha` is known to be a tag object. */
  readonly commit?: string;
}

/** A commit or a tag as git keeps it. */
export interface GitRawObject {
  readonly kind: 'commit' | 'tag';
  readonly sha: string;
  readonly raw: Buffer;
}

/** What a reference stands for: a commit, and the tag object that led to it. */
export interface GitObjects {
  readonly commit: GitRawObject;
  readonly tag?: GitRawObject;
}

/** A checked-out commit. */
export interface GitTree {
  /** The directory with the files: the repository's root, or the subdirectory that was asked for. */
  readonly dir: string;
  /** A private directory around it, to be removed after use. */
  readonly temporary: string;
  /** Submodules left `.git` files in the tree. */
  readonly submodules: boolean;
  /** When the commit was made, seconds since the epoch. */
  readonly commitTime: number;
}

/** What git sources need of their build. */
export interface GitSourceOptions {
  /** Makes an empty private directory that is removed when the command ends. */
  readonly temporary: () => string;
  /** The user's home directory, for `known_hosts`. */
  readonly home: string;
  /** Proxy variables for git, e.g. `https_proxy`. */
  readonly proxies?: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly limits?: Partial<GitLimits>;
  /** What references stand for by a lock file; told of what others stand for. */
  readonly pins?: Pins;
  /** Set: no server is asked. */
  readonly offline?: Refusals;
  /** Remembers commits and tags, so that signatures can be verified without asking for them again. */
  readonly facts?: FactStore;
}

/** How much a repository may ask of us. */
export interface GitLimits {
  /** Of packs in transfer and of the checked-out files, each. Default 64 GiB. */
  readonly maxBytes: number;
  /** Files in a commit. Default 5 million. */
  readonly maxFiles: number;
  /** To say what a name stands for, which is little to send: without a word for so long it is given up. Milliseconds, default 20 s. */
  readonly answerMs: number;
  /**
   * A transfer without any sign of life ends after so long: neither bytes of a pack nor progress that git or the server tells. Messages
   * alone keep it alive ten times as long. Milliseconds, default 60 s.
   */
  readonly stallMs: number;
  /** What git does on this machine (checking out) may be silent for so long. Milliseconds, default 5 minutes. */
  readonly workMs: number;
}
