// Loads a bundle of dist, with its compiled code when that is kept beside it: the code is then as old and as trusted as the bundle.
'use strict';
const { chmodSync, closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, readFileSync } = require('node:fs');
const { fsyncSync, renameSync, rmSync, statSync, writeFileSync } = require('node:fs');
const { createRequire, wrap } = require('node:module');
const path = require('node:path');
const { Script } = require('node:vm');

/** Bundles end in their own SHA-256, in hex: see scripts/build.mjs. */
const STAMP = 64;
/** Whether a file or directory is its owner's alone to change, and that is who owns the bundle. */
const sealed = (stat, bundle) => stat.uid === bundle.uid && (stat.mode & 0o022) === 0;

/**
 * What stands behind compiled code: V8 itself compares no more of a source than its length, and of the code nothing. That it is there,
 * at the end, tells that the code is whole, as it is on disk before it gets its name. Hashing both at each start, or only loading what
 * could (node:crypto, node:zlib), takes longer than all else here; and against forgers a sum is none the better.
 */
function trailer(source, code, bundle) {
  const stamp = source.toString('latin1', source.length - STAMP);
  // Whole seconds: images and archives keep no more of a time.
  return Buffer.from(`\n${code.length} ${source.length} ${Math.floor(bundle.mtimeMs / 1000)} ${stamp}`, 'latin1');
}

/** The compiled code at `file`, if it was made from this bundle by whoever owns it. */
function read(file, source, bundle) {
  let fd;
  try {
    const directory = lstatSync(path.dirname(file));
    if (!directory.isDirectory() || !sealed(directory, bundle)) return undefined;
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isFile() || !sealed(stat, bundle)) return undefined;
    const kept = readFileSync(fd);
    const end = kept.lastIndexOf(0x0a);
    const code = kept.subarray(0, Math.max(end, 0));
    return code.length > 0 && trailer(source, code, bundle).equals(kept.subarray(end)) ? code : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Commands that end with the code of a program, whatever they did themselves; from OWN_CODES on, codes are mostly their own. */
const PASSES_CODE = /^(run|supervised|exec|start)$/;
const OWN_CODES = 125;

/** Writes what this run compiled, in one piece. That it cannot is no matter: an installation may be read-only. */
function write(file, source, code, bundle) {
  const temporary = `${file}.${process.pid}`;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
    if (!sealed(lstatSync(path.dirname(file)), bundle)) return;
    const fd = openSync(temporary, 'wx', 0o644);
    try {
      writeFileSync(fd, Buffer.concat([code, trailer(source, code, bundle)]));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    chmodSync(temporary, 0o644);
    renameSync(temporary, file);
  } catch {
    rmSync(temporary, { force: true });
  }
}

/** What was run, by its file. */
const loaded = new Map();

/**
 * Runs a bundle as `require` would, once.
 * @param name names the compiled code: what is kept is what the first run used, so each command has its own
 */
function load(file, name) {
  const known = loaded.get(file);
  if (known) return known.exports;
  const bundle = statSync(file);
  const source = readFileSync(file);
  // Flags and version decide whether V8 takes the code; it looks itself, too.
  const kind = [process.version, process.arch, ...process.execArgv].join('').replace(/[^\w.=-]/g, '');
  const kept = path.join(path.dirname(file), 'code', `${path.basename(file, '.cjs')}-${name}-${kind}`);
  const cachedData = read(kept, source, bundle);
  const script = new Script(wrap(source.toString('latin1')), { filename: file, cachedData });
  if ((cachedData === undefined || script.cachedDataRejected) && process.geteuid() === bundle.uid)
    process.once('exit', (code) => {
      // One that failed may have ended before it came to what all others need.
      if (code === 0 || (PASSES_CODE.test(name) && code < OWN_CODES))
        write(kept, source, script.createCachedData(), bundle);
    });
  // Modules of Node, of which there are a hundred, without asking for each who else might want to have a say in what it is.
  const required = (id) =>
    id.startsWith('./')
      ? load(path.resolve(path.dirname(file), id), name)
      : (process.getBuiltinModule(id) ?? createRequire(file)(id));
  const module = { exports: {} };
  loaded.set(file, module);
  script.runInThisContext().call(module.exports, module.exports, required, module, file, path.dirname(file));
  return module.exports;
}

exports.load = load;
