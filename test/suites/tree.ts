import fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ReadableTree, toByteString, toText } from '../../src/tree/index.ts';
import { TempDir } from '../tree/support.ts';

/** A tree of an implementation that shows what is in a directory of the host. */
export type TreeFactory = (dir: string) => ReadableTree<unknown>;

function isLink(path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

/** Everything beneath a directory of a tree, by path: what it is and holds. */
function contentsOf(
  tree: ReadableTree<unknown>,
  dir: unknown,
  hasContent: boolean,
  prefix = '',
): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of tree.list(dir)) {
    const node = tree.lookup(dir, name);
    if (!node) throw new Error(`${toText(name)} is listed, and not there`);
    const path = prefix + toText(name);
    const mode = node.mode.toString(8);
    if (node.type === 'file' && !hasContent) found[path] = `file ${mode} ${node.size}`;
    else if (node.type === 'file') {
      const fd = tree.open(dir, name, node);
      found[path] = `file ${mode} ${node.size} ${fs.readFileSync(fd, 'latin1')}`;
      tree.close(fd, dir, name, node);
    } else if (node.type === 'symlink') found[path] = `symlink ${toText(node.linkname)}`;
    else found[path] = `${node.type} ${mode} ${node.size}`;
    if (node.type !== 'directory') continue;
    const child = tree.enter(dir, name);
    Object.assign(found, contentsOf(tree, child, hasContent, `${path}/`));
    tree.leave(child);
  }
  return found;
}

/** The same as Node sees it. */
function contentsOnHost(dir: string, hasContent: boolean, prefix = ''): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of fs.readdirSync(dir)) {
    const full = join(dir, name);
    const stats = fs.lstatSync(full);
    const mode = (stats.mode & 0o7777).toString(8);
    const path = prefix + name;
    if (stats.isFile())
      found[path] = `file ${mode} ${stats.size}${hasContent ? ` ${fs.readFileSync(full, 'latin1')}` : ''}`;
    else if (stats.isSymbolicLink()) found[path] = `symlink ${fs.readlinkSync(full)}`;
    else {
      found[path] = `directory ${mode} 0`;
      Object.assign(found, contentsOnHost(full, hasContent, `${path}/`));
    }
  }
  return found;
}

/**
 * The contract of `ReadableTree`: run it for every implementation.
 * @param hasContent whether files can be read; those of a tree that is known by its summary cannot
 */
export function treeSuite(name: string, make: TreeFactory, hasContent = true): void {
  describe(`${name} is a tree`, () => {
    test('names come in the order of their bytes, whatever is in them', () => {
      using dir = new TempDir();
      const names = [
        'a',
        'B',
        'ä',
        '😀',
        '\uffff',
        'a b',
        'a\nb',
        '-',
        '.hidden',
        '...',
        'a.',
        'x'.repeat(255),
        '*',
        '[',
        '\\',
      ];
      for (const one of names) dir.write(one);
      const listed = make(dir.path).list(make(dir.path).root);
      const sorted = names.map((one) => Buffer.from(one)).toSorted((x, y) => Buffer.compare(x, y));
      expect(listed.map((one) => Buffer.from(one, 'latin1'))).toEqual(sorted);
    });

    test('nodes tell what is there, and nothing where nothing is', () => {
      using dir = new TempDir();
      dir.write('file', 'content', 0o4640);
      dir.link('../../etc', 'link');
      fs.linkSync(join(dir.path, 'file'), join(dir.path, 'second'));
      fs.utimesSync(join(dir.path, 'file'), 1, 1_234_567_890);
      const tree = make(dir.path);
      const lookup = (name: string): unknown => tree.lookup(tree.root, toByteString(name));
      expect(lookup('file')).toMatchObject({
        type: 'file',
        mode: 0o4640,
        size: 7,
        mtimeNs: 1_234_567_890_000_000_000n,
      });
      expect(lookup('link')).toMatchObject({ type: 'symlink', linkname: '../../etc', size: 0 });
      expect(lookup('none')).toBeUndefined();
      expect(tree.stat(tree.root)).toMatchObject({ type: 'directory' });
      const [one, two] = ['file', 'second'].map((name) => tree.lookup(tree.root, toByteString(name))?.hardlink);
      expect(one).toBeDefined();
      expect(two).toBe(one);
    });

    test.runIf(hasContent)('a file is read from its start, twice, and by its own name only', () => {
      using dir = new TempDir();
      dir.write('file', 'content');
      const tree = make(dir.path);
      const name = toByteString('file');
      const node = tree.lookup(tree.root, name);
      if (!node) throw new Error('no file');
      for (let time = 0; time < 2; time++) {
        const fd = tree.open(tree.root, name, node);
        expect(fs.readFileSync(fd, 'utf8')).toBe('content');
        tree.close(fd, tree.root, name, node);
      }
    });

    test.runIf(hasContent)('what takes the place of a file or a directory, once it was seen, leads nowhere', () => {
      using dir = new TempDir();
      dir.write('victim/file', 'canary');
      for (const name of ['entered', 'waiting', 'parent/child']) dir.write(`root/${name}/file`, 'own');
      dir.write('root/file', 'own');
      const tree = make(join(dir.path, 'root'));
      const read = (at: unknown, name: string): string => {
        const node = tree.lookup(at, toByteString(name));
        if (node?.type !== 'file') return 'nothing';
        const fd = tree.open(at, toByteString(name), node);
        const text = fs.readFileSync(fd, 'utf8');
        tree.close(fd, at, toByteString(name), node);
        return text;
      };
      // An error is as good as the file that was there.
      const attempt = (use: () => string): void => {
        let text = 'an error';
        try {
          text = use();
        } catch {
          // Whatever it says.
        }
        expect(['own', 'nothing', 'an error']).toContain(text);
      };
      tree.lookup(tree.root, 'file');
      tree.lookup(tree.root, 'waiting');
      const entered = tree.enter(tree.root, 'entered');
      const parent = tree.enter(tree.root, 'parent');
      for (const name of ['entered', 'waiting', 'parent', 'file']) {
        const path = join(dir.path, 'root', name);
        fs.renameSync(path, join(dir.path, `was-${name}`));
        fs.symlinkSync(name === 'file' ? '../victim/file' : '../victim', path);
      }
      fs.symlinkSync('.', join(dir.path, 'victim/child'));
      attempt(() => read(entered, 'file'));
      attempt(() => read(tree.root, 'file'));
      attempt(() => read(tree.enter(tree.root, 'waiting'), 'file'));
      attempt(() => read(tree.enter(parent, 'child'), 'file'));
    });

    test('handles stay good while very many others are made', () => {
      using dir = new TempDir();
      const names = Array.from({ length: 700 }, (_, index) => `d${index}`);
      for (const name of names) dir.write(`${name}/${name}/file`, name);
      const tree = make(dir.path);
      const handles = names.map((name) => {
        const outer = tree.enter(tree.root, name);
        return { name, outer, inner: tree.enter(outer, name) };
      });
      for (const { name, inner } of handles) {
        const node = tree.lookup(inner, 'file');
        if (!node) throw new Error('no file');
        expect(tree.list(inner)).toEqual(['file']);
        if (!hasContent) continue;
        const fd = tree.open(inner, 'file', node);
        expect(fs.readFileSync(fd, 'utf8')).toBe(name);
        tree.close(fd, inner, 'file', node);
      }
      for (const { outer, inner } of handles.toReversed()) for (const one of [inner, outer]) tree.leave(one);
    });

    test('any tree shows as it is', () => {
      const part = fc.constantFrom('a', 'b', 'c', 'ü', ' ');
      const entry = fc.record({
        path: fc.array(part, { minLength: 1, maxLength: 3 }),
        kind: fc.constantFrom('file', 'directory', 'link'),
        text: fc.string({ maxLength: 5 }),
        mode: fc.constantFrom(0o644, 0o755, 0o600, 0o700),
      });
      fc.assert(
        fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
          using dir = new TempDir();
          for (const { path, kind, text, mode } of entries) {
            try {
              // A link may lead anywhere, also to where whoever runs this may write.
              if (path.some((_, at) => isLink(join(dir.path, ...path.slice(0, at + 1))))) continue;
              if (kind === 'file') dir.write(path.join('/'), text, mode);
              else if (kind === 'link') dir.link(text.replaceAll('\0', '') || '.', path.join('/'));
              else dir.mkdir(path.join('/'));
            } catch {
              // Something is there, or in the way: what came first stays.
            }
          }
          const tree = make(dir.path);
          expect(contentsOf(tree, tree.root, hasContent)).toEqual(contentsOnHost(dir.path, hasContent));
        }),
        { numRuns: 40 },
      );
    });
  });
}
