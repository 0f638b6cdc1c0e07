import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BlobDir, check, prune, Store } from '../../../src/store/index.ts';
import { collectGarbage } from '../collect-garbage.ts';
import { fromErrno, sha256 } from '../../../src/util/index.ts';

/** Uses a store in ways that the tests watch or kill. `node store-user.ts <what> <root> <arguments>` */
const [what = '', root = '', ...rest] = process.argv.slice(2);
const removeTrees = (paths: readonly string[]): Promise<void> => {
  for (const path of paths) fs.rmSync(path, { recursive: true, force: true });
  return Promise.resolve();
};
const open = (): Store =>
  Store.open(root, { now: Date.now, onWarning: ({ message }) => process.stderr.write(`${message}\n`) });

/** What a build does: some blobs, a layer with directory and blob, a record that names it, an image. */
async function build(store: Store, seed: string): Promise<void> {
  const lease = store.leases.create();
  const content = `layer ${seed}`;
  const digest = sha256(content);
  const id = store.layers.create({ parents: [], id: digest.slice(7), description: seed }, lease);
  {
    await using _lock = await store.lock(`layer-${id}`);
    if (!store.layers.get(id)?.fs) {
      const paths = store.layers.prepareDirectory(id);
      try {
        fs.mkdirSync(join(paths.fs, 'dir'));
        fs.writeFileSync(join(paths.fs, 'dir', 'file'), content);
      } catch (error) {
        throw fromErrno(error, 'Cannot fill the layer', 'TSB_STORE');
      }
      store.layers.setFs(id, { bytes: content.length, inodes: 3, stamp: '1.2.3' });
    }
  }
  using writer = store.blobs.ingest();
  writer.write(Buffer.from(content));
  const blob = writer.commit({ digest, size: content.length });
  const mediaType = 'application/vnd.oci.image.layer.v1.tar';
  store.layers.addBlob(id, { compression: 'none', descriptor: { mediaType, ...blob }, diffId: digest });
  store.records.add({ id: `record ${seed}`, node: 'node', layers: [id], blobs: [], createdAt: 1 });
  const config = store.blobs.put(JSON.stringify({ rootfs: { type: 'layers', diff_ids: [digest] }, seed }));
  const manifest = store.blobs.put(
    JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: [{ mediaType, ...blob }],
    }),
  );
  lease.hold({ blobs: [blob.digest, config.digest, manifest.digest] });
  if (![blob, config, manifest].every(({ digest: one }) => store.blobs.verify(one)))
    throw new Error('a leased blob is not there');
  store.images.put(`image-${seed}`, { mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest });
  if (!fs.existsSync(join(store.layers.paths(id).fs, 'dir', 'file'))) throw new Error('a leased layer is not there');
  lease.release();
}

switch (what) {
  case 'build': {
    using store = open();
    for (const seed of rest) await build(store, seed);
    break;
  }
  case 'builds': {
    // Many builds of shared and own things; every third image is given up again.
    using store = open();
    const [name = '', count = '10'] = rest;
    for (let round = 0; round < Number(count); round++) {
      await build(store, `shared-${round % 4}`);
      await build(store, `${name}-${round}`);
      if (round % 3 === 0) store.images.remove(`image-${name}-${round}`);
    }
    break;
  }
  case 'prune': {
    using store = open();
    const report = await prune(store, { removeTrees, all: rest.includes('all') });
    process.stdout.write(`${report.removed.length}\n`);
    break;
  }
  case 'prunes': {
    using store = open();
    for (let round = 0; round < Number(rest[0]); round++) {
      await prune(store, { removeTrees, all: round % 2 === 0 });
      await collectGarbage(store, removeTrees);
      const { problems } = await check(store);
      const bad = problems.filter(({ harmless }) => !harmless);
      if (bad.length > 0) throw new Error(JSON.stringify(bad));
    }
    break;
  }
  case 'count': {
    // Adds one to a number in a file, which goes wrong unless the lock, or the turn, keeps the others out.
    using store = open();
    const [file = '', times = '1', kind] = rest;
    for (let round = 0; round < Number(times); round++) {
      await using _lock = await store[kind === 'turns' ? 'turns' : 'locks'].acquire('counter');
      const number = Number(fs.readFileSync(file, 'utf8'));
      await delay(1);
      fs.writeFileSync(file, String(number + 1));
    }
    break;
  }
  case 'hold': {
    // Holds a lock, a lease and a half-written blob until it is killed.
    const store = open();
    await store.lock('held');
    await store.turns.acquire('held');
    const lease = store.leases.create();
    lease.hold({ layers: rest });
    const writer = store.blobs.ingest();
    writer.write(Buffer.from('half'));
    const unfinished = store.layers.create({ parents: [] }, lease);
    store.layers.prepareDirectory(unfinished);
    process.stdout.write('ready\n');
    await delay(600_000);
    break;
  }
  case 'ingest': {
    // The worker's side: no index.
    const [session = '', text = ''] = rest;
    using writer = new BlobDir(root, session).ingest();
    writer.write(Buffer.from(text));
    process.stdout.write(`${writer.commit().digest}\n`);
    const { moduleLoadList } = process as unknown as { moduleLoadList: string[] };
    if (moduleLoadList.some((name) => name.includes('sqlite'))) throw new Error('sqlite was loaded');
    break;
  }
  case 'fill': {
    // Writes until the disk is full, says how it failed, then frees and goes on.
    using store = open();
    const lease = store.leases.create();
    try {
      for (let number = 0; ; number++) {
        using writer = store.blobs.ingest();
        writer.write(Buffer.alloc(200_000, number));
        lease.hold({ blobs: [writer.commit().digest] });
      }
    } catch (error) {
      const { code, message, hint } = error as { code: string; message: string; hint?: string };
      process.stdout.write(`${JSON.stringify({ code, message, hint })}\n`);
    }
    lease.release();
    break;
  }
  default:
    throw new Error(`unknown: ${what}`);
}
