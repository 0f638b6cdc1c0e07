import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { namesForFrontend } from '../../../src/engine/compile/compile-frontend.ts';
import type { Session } from '../../../src/engine/session.ts';

test.each(['Dockerfile', 'sub/dir/Dockerfile', '../../../out', '/etc/passwd', 'a/../../b'])(
  'the text of a Dockerfile called %j is given to a frontend in a directory of its own',
  (filename) => {
    const root = fs.mkdtempSync(join(tmpdir(), 'tsbuild-frontend-'));
    try {
      const dir = join(root, 'one/two');
      fs.mkdirSync(dir, { recursive: true });
      const session = { remote: { temporary: () => dir } } as unknown as Session;
      const options = { dockerfile: { name: filename, text: 'FROM scratch' }, filename, context: { kind: 'local' } };
      const names = { locals: new Map([['context', '/context']]) };
      const known = namesForFrontend(session, names as never, options as never);
      expect([...known.locals]).toEqual([
        ['context', '/context'],
        ['dockerfile', dir],
      ]);
      const files = fs.readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
      expect(files.map(({ parentPath }) => parentPath.startsWith(dir))).toEqual([true]);
    } finally {
      fs.rmSync(root, { recursive: true });
    }
  },
);
