import { posix } from 'node:path';

/** One change to a file system below a root, or one wait for the disk. Paths are relative to the root; '' is the root itself. */
export type DiskOp =
  | { readonly kind: 'create'; readonly path: string; readonly truncate: boolean }
  | { readonly kind: 'write'; readonly path: string; readonly offset: number | undefined; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly path: string; readonly size: number }
  | { readonly kind: 'mkdir'; readonly path: string }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'link' | 'rename'; readonly from: string; readonly path: string }
  | { readonly kind: 'unlink'; readonly path: string }
  | { readonly kind: 'sync'; readonly path: string }
  | { readonly kind: 'sync-all' };

const CALLS =
  'openat,open,creat,write,pwrite64,writev,pwritev,ftruncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,symlink,symlinkat,fsync,fdatasync,syncfs';

/** What stands before a command so that strace writes what it does to `file`, in a form that `readTrace` reads. */
export function tracing(file: string): readonly string[] {
  const size = String(64 << 20);
  return ['strace', '-f', '-y', '-xx', '-qq', '-s', size, '-o', file, '--seccomp-bpf', '-e', `trace=${CALLS}`];
}

/**
 * The changes to what lies below a root, in the order in which the calls ended. What a step writes it writes through an overlay,
 * under other paths: that is not among them.
 */
export function readTrace(text: string, root: string): readonly DiskOp[] {
  const begun = new Map<string, string>();
  const ops: DiskOp[] = [];
  for (const line of text.split('\n')) {
    const [, pid = '', said = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (said.endsWith('<unfinished ...>')) {
      begun.set(pid, said.slice(0, -'<unfinished ...>'.length));
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(said);
    const whole = resumed ? (begun.get(pid) ?? '') + (resumed[1] ?? '') : said;
    const call = /^(\w+)\((.*)\) += (-?\d+)/.exec(whole);
    if (call && Number(call[3]) >= 0)
      ops.push(...opsOf(call[1] ?? '', argumentsOf(call[2] ?? ''), Number(call[3]), root));
  }
  return ops;
}

/** An argument: its word, the path of a descriptor, the bytes of a string. */
interface Argument {
  readonly word: string;
  readonly path: string;
  readonly bytes: Buffer;
}

function argumentsOf(text: string): readonly Argument[] {
  // In hex nothing has quotes, commas or brackets of its own.
  const buffers = [...text.matchAll(/iov_base="([^"]*)"/g)].map(([, hex]) => bytesOf(hex ?? ''));
  const hex = Buffer.concat(buffers)
    .toString('hex')
    .replace(/../g, String.raw`\x$&`);
  const flat = text.replace(/\[\{.*\}\]/, () => `"${hex}"`);
  return flat.split(', ').map((one) => ({
    word: one,
    path: bytesOf(/<([^>]*)>/.exec(one)?.[1] ?? '').toString(),
    bytes: bytesOf(/^"([^"]*)"/.exec(one)?.[1] ?? ''),
  }));
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex');
}

function opsOf(call: string, args: readonly Argument[], result: number, root: string): readonly DiskOp[] {
  const below = (path: string): string | undefined => {
    if (path === root) return '';
    // A file that was deleted while it is open, and the memory that SQLite shares, which is no part of what it keeps.
    if (!path.startsWith(`${root}/`) || path.endsWith(' (deleted)') || path.endsWith('-shm')) return undefined;
    return path.slice(root.length + 1);
  };
  const named = (at: number): string | undefined => below(args[at]?.bytes.toString() ?? '');
  const beneath = (at: number): string | undefined =>
    below(posix.resolve(args[at]?.path ?? '/', args[at + 1]?.bytes.toString() ?? ''));
  const opened = below(args[0]?.path ?? '');
  const at = <T extends DiskOp>(path: string | undefined, op: (path: string) => T): readonly T[] =>
    path === undefined ? [] : [op(path)];
  const between = (kind: 'link' | 'rename', from: string | undefined, path: string | undefined): readonly DiskOp[] =>
    from === undefined || path === undefined ? [] : [{ kind, from, path }];
  switch (call) {
    case 'open':
    case 'creat':
    case 'openat': {
      const flags = call === 'creat' ? 'O_CREAT|O_TRUNC' : (args[call === 'open' ? 1 : 2]?.word ?? '');
      if (!/O_CREAT|O_TRUNC/.test(flags)) return [];
      return at(call === 'openat' ? beneath(0) : named(0), (path) => ({
        kind: 'create',
        path,
        truncate: flags.includes('O_TRUNC'),
      }));
    }
    case 'write':
    case 'writev':
      return at(opened, (path) => ({
        kind: 'write',
        path,
        offset: undefined,
        bytes: args[1]?.bytes.subarray(0, result) ?? Buffer.alloc(0),
      }));
    case 'pwrite64':
    case 'pwritev':
      return at(opened, (path) => ({
        kind: 'write',
        path,
        offset: Number(args.at(-1)?.word),
        bytes: args[1]?.bytes.subarray(0, result) ?? Buffer.alloc(0),
      }));
    case 'ftruncate':
      return at(opened, (path) => ({ kind: 'truncate', path, size: Number(args[1]?.word) }));
    case 'rename':
    case 'link':
      return between(call, named(0), named(1));
    case 'renameat':
    case 'renameat2':
    case 'linkat':
      return between(call === 'linkat' ? 'link' : 'rename', beneath(0), beneath(2));
    case 'unlink':
    case 'rmdir':
      return at(named(0), (path) => ({ kind: 'unlink', path }));
    case 'unlinkat':
      return at(beneath(0), (path) => ({ kind: 'unlink', path }));
    case 'mkdir':
      return at(named(0), (path) => ({ kind: 'mkdir', path }));
    case 'mkdirat':
      return at(beneath(0), (path) => ({ kind: 'mkdir', path }));
    case 'symlink':
      return at(named(1), (path) => ({ kind: 'symlink', path, target: args[0]?.bytes.toString() ?? '' }));
    case 'symlinkat':
      return at(beneath(1), (path) => ({ kind: 'symlink', path, target: args[0]?.bytes.toString() ?? '' }));
    case 'fsync':
    case 'fdatasync':
      return at(opened, (path) => ({ kind: 'sync', path }));
    case 'syncfs':
      return opened === undefined ? [] : [{ kind: 'sync-all' }];
    default:
      return [];
  }
}
