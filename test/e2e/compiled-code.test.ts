import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { baseImageTar } from '../support/base-image.ts';
import { Bench } from '../support/bench.ts';
import { identities, ordinaryUser } from '../support/identity.ts';
import { placeProgram, projectRoot } from '../support/program.ts';
import { isRealRoot } from '../support/real-root.ts';

const [self] = await identities();
if (!self) throw new Error('Nobody runs the tests');

describe('compiled code of the programs', () => {
  const benches: Bench[] = [];
  const install = () => {
    const bench = new Bench(self);
    benches.push(bench);
    chmodSync(bench.dir, 0o755);
    mkdirSync(bench.path('program'));
    const program = placeProgram(bench.path('program'));
    return { bench, program, folder: bench.path('program/dist/code'), trace: bench.path('forged-ran') };
  };
  afterEach(async () => {
    for (const bench of benches.splice(0)) await bench[Symbol.asyncDispose]();
  });

  /** The file that is kept of the first bundle for a command. */
  const kept = (folder: string, command: string): string =>
    globSync(`cli-${command}-*`, { cwd: folder }).map((name) => join(folder, name))[0] ?? '';

  /**
   * Code that V8 takes for that of the program, because the source has the same length and flags and version are the same, with an end
   * that names the program: only who owns it can tell.
   */
  const forge = (file: string, bundle: string, trace: string): void => {
    const source = readFileSync(bundle);
    const flags =
      /x64(-.*)$|arm64(-.*)$/
        .exec(file)
        ?.slice(1)
        .find(Boolean)
        ?.split(/(?=--)/) ?? [];
    const [node = ''] = globSync('node_modules/node-linux-*/bin/node', { cwd: dirname(dirname(bundle)) });
    const program = `
      const { wrap } = require('node:module');
      const evil = "require('node:fs').appendFileSync(${JSON.stringify(trace).replaceAll('"', '\\"')}, 'ran');//";
      const { Script } = require('node:vm');
      const script = new Script(wrap(evil.padEnd(${source.length}, 'x')), { filename: ${JSON.stringify(bundle)} });
      script.runInThisContext()({}, require);
      process.stdout.write(script.createCachedData());`;
    const code = execFileSync(join(dirname(dirname(bundle)), node), [...flags, '-e', program], { maxBuffer: 64 << 20 });
    rmSync(trace);
    const seconds = Math.floor(statSync(bundle).mtimeMs / 1000);
    const stamp = source.toString('latin1', source.length - 64);
    writeFileSync(file, Buffer.concat([code, Buffer.from(`\n${code.length} ${source.length} ${seconds} ${stamp}`)]));
  };

  test('is kept beside them, as they are owned, and nothing is in the home directory', async () => {
    const { bench, program, folder } = install();
    const old = await bench.start(['sh', '-c', `umask 000; exec ${program} images`]).ended;
    expect(old.code, old.err).toBe(0);
    expect(existsSync(bench.path('.cache'))).toBe(false);
    expect(statSync(folder)).toMatchObject({ uid: self.uid, mode: 0o40755 });
    expect(statSync(kept(folder, 'images'))).toMatchObject({ uid: self.uid, mode: 0o100644 });
    const before = readFileSync(kept(folder, 'images'));
    expect((await bench.start([program, 'images']).ended).out).toBe(old.out);
    expect(readFileSync(kept(folder, 'images')).equals(before)).toBe(true);
    // One for each bundle that the command loads.
    expect(readdirSync(folder).map((name) => name.split('-')[0])).toEqual(['cli', 'rest', 'run']);
  });

  test('runs only when nobody else can have written it', async () => {
    const { bench, program, folder, trace } = install();
    const images = () => bench.start([program, 'images']).ended;
    await images();
    const file = kept(folder, 'images');
    const bundle = bench.path('program/dist/cli.cjs');
    const good = readFileSync(file);
    const ran = async (): Promise<boolean> => {
      await images();
      const was = existsSync(trace);
      rmSync(trace, { force: true });
      return was;
    };
    forge(file, bundle, trace);
    const forged = readFileSync(file);
    // Who owns the bundle owns the code: this is what shows that the forgery is good enough.
    expect(await ran()).toBe(true);

    chmodSync(file, 0o664);
    expect(await ran()).toBe(false);
    writeFileSync(file, forged);
    chmodSync(file, 0o644);
    chmodSync(folder, 0o1777);
    expect(await ran()).toBe(false);
    chmodSync(folder, 0o755);
    if (isRealRoot) {
      writeFileSync(file, forged);
      chownSync(file, 12345, 12345);
      expect(await ran()).toBe(false);
      rmSync(file, { force: true });
    }
    // Links lead to where others write.
    writeFileSync(bench.path('elsewhere'), forged);
    rmSync(file, { force: true });
    symlinkSync(bench.path('elsewhere'), file);
    expect(await ran()).toBe(false);
    rmSync(file, { force: true });
    writeFileSync(file, forged);
    renameSync(folder, bench.path('moved'));
    symlinkSync(bench.path('moved'), folder);
    expect(await ran()).toBe(false);
    rmSync(folder);
    renameSync(bench.path('moved'), folder);
    expect(await ran()).toBe(true);

    // Bound to the bundle, by the hash that ends it: another is compiled itself.
    const text = readFileSync(bundle);
    const { atime, mtime } = statSync(bundle);
    // Of the same length, too, as another build may be.
    for (const other of [Buffer.concat([text, Buffer.from('\n')]), anotherStamp(text)]) {
      rmSync(bundle, { force: true });
      writeFileSync(file, forged);
      writeFileSync(bundle, other);
      utimesSync(bundle, atime, mtime);
      expect(await ran()).toBe(false);
    }
    expect(readFileSync(file).length).toBeGreaterThan(good.length / 2);
  });

  /** Of another build: what it would hash to stands at its end. */
  const anotherStamp = (text: Buffer): Buffer => {
    const body = text.subarray(0, -64).toString('latin1').replace(/\/\/$/, '');
    expect(createHash('sha256').update(body, 'latin1').digest('hex')).toBe(text.toString('latin1', text.length - 64));
    return Buffer.from(`${body}//${createHash('sha256').update(`${body} `).digest('hex')}`, 'latin1');
  };

  test('that is damaged is made again', async () => {
    const { bench, program, folder } = install();
    const images = () => bench.start([program, 'images']).ended;
    const first = await images();
    const file = kept(folder, 'images');
    const good = readFileSync(file);
    for (const damaged of [
      Buffer.alloc(0),
      good.subarray(0, 20),
      good.subarray(0, good.length / 2),
      Buffer.concat([good.subarray(0, 5000), Buffer.alloc(good.length - 5000)]),
    ]) {
      writeFileSync(file, damaged);
      expect(await images()).toMatchObject({ code: 0, out: first.out, err: first.err });
      expect(readFileSync(file).length).toBeGreaterThan(good.length / 2);
    }
  });

  test('of builds is what a whole build needed, whatever was typed before', async () => {
    const { bench, program, folder } = install();
    const context = bench.context('FROM scratch\nCOPY one /\n', { one: 'one\n' });
    const run = async (...words: readonly string[]): Promise<number> =>
      (await bench.start([program, ...words]).ended).code;
    expect(await run('volume', 'ls')).toBe(0);
    expect(await run('logout', 'registry.test')).toBe(0);
    expect(await run('build', '--check', context)).toBe(0);
    expect(await run('build', '-q', bench.path('missing'))).not.toBe(0);
    expect(kept(folder, 'other')).not.toBe('');
    expect(kept(folder, 'check')).not.toBe('');
    expect(kept(folder, 'build')).toBe('');
    expect(await run('buildx', 'build', '-q', context)).toBe(0);
    expect(kept(folder, 'build')).not.toBe('');
  });

  test('of run is what a container needed, whatever its program ended with, and not what an error or one in the background needed', async () => {
    const { bench, program, folder } = install();
    const run = async (...words: readonly string[]): Promise<number> =>
      (await bench.start([program, ...words]).ended).code;
    expect(await run('run', '--pull=never', 'none:1')).toBe(125);
    expect(kept(folder, 'run')).toBe('');
    writeFileSync(bench.path('base.tar'), baseImageTar());
    expect(await run('import', bench.path('base.tar'), '-t', 'base:1')).toBe(0);
    expect(await run('run', '-d', '--network', 'host', '--name', 'one', 'base:1', 'true')).toBe(0);
    expect(await run('rm', '-f', 'one')).toBe(0);
    expect(kept(folder, 'supervised')).not.toBe('');
    expect(kept(folder, 'run')).toBe('');
    expect(await run('run', '--rm', 'base:1', 'none')).toBe(127);
    expect(kept(folder, 'run')).toBe('');
    expect(await run('run', '--rm', 'base:1', 'false')).toBe(1);
    expect(kept(folder, 'run')).not.toBe('');
  });

  test('is not written by others than the owner of the installation', async (context) => {
    if (!isRealRoot) return context.skip();
    const { bench, program, folder } = install();
    const user = await ordinaryUser();
    await using his = new Bench(user);
    const done = await his.start([program, 'images']).ended;
    expect(done.code, done.err).toBe(0);
    expect(existsSync(folder)).toBe(false);
    // The other way round: root leaves nothing in what belongs to him.
    for (const path of ['', ...globSync('**', { cwd: bench.path('program/dist') })].map((name) =>
      bench.path(`program/dist/${name}`),
    ))
      if (!path.includes('/native')) copyOwned(path, user.uid, user.gid);
    expect((await bench.start([program, 'images']).ended).code).toBe(0);
    expect(existsSync(folder)).toBe(false);
  });

  /** Gives a directory or a copy of a file away: the file itself is a hard link to the checkout's. */
  function copyOwned(path: string, uid: number, gid: number): void {
    if (!statSync(path).isDirectory()) {
      const bytes = readFileSync(path);
      rmSync(path);
      writeFileSync(path, bytes);
    }
    chownSync(path, uid, gid);
  }

  test('can be decoded byte by byte', () => {
    for (const bundle of globSync('dist/**/*.cjs', { cwd: projectRoot }))
      expect(
        readFileSync(join(projectRoot, bundle)).every((byte) => byte < 128),
        bundle,
      ).toBe(true);
  });
});
