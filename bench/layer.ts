// Layers: `node bench/layer.ts write DIR [gzip|zstd|none] [LEVEL]`, `node bench/layer.ts apply BLOB gzip|zstd|none`.
// Prints a line per round: seconds, processor seconds, bytes.
import { closeSync, lstatSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LayerCompression, type LayerEntry, type LayerSink, writeLayerFromEntries } from '../src/layer/index.ts';
import { applyLayer } from '../test/layer/support/apply-layer.ts';
import { compareBytes, toByteString } from '../src/tree/index.ts';
import { Hasher } from '../src/util/index.ts';

const [mode = 'write', path = '.', kind = 'gzip', level] = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'tsbuild-bench-'));
const compression = kind as LayerCompression['kind'];

function fileSink(): LayerSink {
  const hasher = new Hasher();
  const fd = openSync(join(scratch, 'blob'), 'w');
  return {
    write: (chunk) => {
      hasher.update(chunk);
      writeSync(fd, chunk);
    },
    commit: () => {
      closeSync(fd);
      return { digest: hasher.digest(), size: hasher.size };
    },
    abort: () => closeSync(fd),
  };
}

function listEntries(root: string): LayerEntry[] {
  const entries: LayerEntry[] = [];
  const dirfd = openSync(root, 'r');
  const visit = (relative: string): void => {
    for (const name of readdirSync(join(root, relative))) {
      const own = relative === '' ? name : `${relative}/${name}`;
      const stat = lstatSync(join(root, own));
      const base = {
        path: toByteString(own),
        mode: stat.mode & 0o7777,
        mtime: { sec: Math.floor(stat.mtimeMs / 1000) },
      };
      if (stat.isDirectory()) {
        entries.push({ ...base, type: 'directory' });
        visit(own);
      } else if (stat.isFile()) entries.push({ ...base, type: 'file', size: stat.size, content: { dirfd, path: own } });
    }
  };
  visit('');
  return entries.sort((a, b) => compareBytes(a.path, b.path));
}

async function round(): Promise<readonly [number, number]> {
  if (mode === 'write') {
    const options = { compression: { kind: compression, ...(level === undefined ? {} : { level: Number(level) }) } };
    const layer = await writeLayerFromEntries(listEntries(path), fileSink(), options);
    return [layer.uncompressedSize, layer.size];
  }
  const target = join(scratch, 'layer');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  const applied = await applyLayer({ blob: path, compression, target, lowers: [], idShift: 0 });
  return [applied.bytes, applied.size];
}

try {
  for (let count = 0; count < 3; count++) {
    const start = performance.now();
    const before = process.cpuUsage();
    const [content, blob] = await round();
    const used = process.cpuUsage(before);
    const seconds = ((performance.now() - start) / 1000).toFixed(3);
    const processor = ((used.user + used.system) / 1e6).toFixed(2);
    console.log(
      `${mode} ${kind} ${level ?? ''} ${seconds} s, processor ${processor} s, content ${content}, blob ${blob}`,
    );
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
