import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Case } from './conformance-cases.ts';
import type { ArchivedImage, Tree, TreeEntry } from './tree.ts';

/** A file of a recorded result. */
interface RecordedFile {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sha256?: string;
  readonly linkname?: string;
  /** The first, by name, of the paths that are one file. */
  readonly hardlink?: string;
}

/** The image that BuildKit made of a case. */
export interface RecordedImage {
  readonly layers: number;
  /** By path, without a slash in front. */
  readonly files: Readonly<Record<string, RecordedFile>>;
}

/** What every builder puts into the directories of steps. */
const LEFT_BY_STEPS = ['etc/resolv.conf', 'etc/hosts', 'etc/hostname', 'dev', 'dev/*', 'proc', 'sys', 'run/lock'];

const TYPES: Readonly<Record<string, string>> = {
  directory: 'dir',
  'character-device': 'char',
  'block-device': 'block',
};

/** What BuildKit made of a case for the platform that graphs were recorded on, or for the first one. */
export function recordedImage(root: string, id: string): RecordedImage {
  const dir = join(root, 'expected', id);
  const { images } = JSON.parse(readFileSync(join(dir, 'result.json'), 'utf8')) as {
    images: { platform: string; config: { layers: number } }[];
  };
  const files = JSON.parse(gunzipSync(readFileSync(join(dir, 'files.json.gz'))).toString()) as RecordedImage['files'][];
  const at = Math.max(
    images.findIndex(({ platform }) => platform === 'linux/amd64'),
    0,
  );
  return { layers: images[at]?.config.layers ?? 0, files: files[at] ?? {} };
}

/** In what an image is another than the recorded one: `layers`, and the paths of files with what is other in them. */
export function differences(one: Case, image: ArchivedImage, recorded: RecordedImage): readonly string[] {
  const ignored = [...LEFT_BY_STEPS, ...(one.ignore ?? []).filter(({ attr }) => attr === '*').map(({ path }) => path)];
  const ours = listed(image.tree);
  const theirs = recorded.files;
  const paths = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])].filter(
    (path) => path !== '.' && !ignored.some((pattern) => matchesGlob(path, pattern)),
  );
  const found = paths.toSorted().flatMap((path) => {
    const [a, b] = [ours[path], theirs[path]];
    if (a === undefined || b === undefined) return [`${path}: ${a === undefined ? 'missing' : 'too much'}`];
    const isOther = (key: keyof RecordedFile): boolean => a[key] !== b[key];
    const other = (['type', 'mode', 'uid', 'gid', 'linkname', 'hardlink'] as const).filter(isOther);
    const content = !one.unstable && isOther('sha256') ? ['content'] : [];
    return [...other, ...content].map((what) => `${path}: ${what}`);
  });
  return image.manifest.layers.length === recorded.layers ? found : ['layers', ...found];
}

/** A tree in the form of a recorded one. */
function listed(tree: Tree): Readonly<Record<string, RecordedFile>> {
  const paths = new Map<TreeEntry, string[]>();
  for (const [path, entry] of Object.entries(tree))
    if (entry.type !== 'directory') paths.set(entry, [...(paths.get(entry) ?? []), path.slice(1)]);
  return Object.fromEntries(
    Object.entries(tree).map(([path, entry]) => {
      const { type, mode, uid, gid, content } = entry;
      const links = paths.get(entry) ?? [];
      const more = {
        ...(type === 'file' ? { sha256: hashOf(content) } : {}),
        ...(type === 'symlink' ? { linkname: content } : {}),
        ...(links.length > 1 ? { hardlink: links.toSorted()[0] ?? '' } : {}),
      };
      return [path.slice(1) || '.', { type: TYPES[type] ?? type, mode, uid, gid, ...more }];
    }),
  );
}

function hashOf(content: string): string {
  const [, hash] = /^sha256:([0-9a-f]{64})$/.exec(content) ?? [];
  return hash ?? createHash('sha256').update(content, 'latin1').digest('hex');
}
