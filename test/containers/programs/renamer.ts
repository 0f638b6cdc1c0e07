import { type ContainerRecord, Containers } from '../../../src/containers/index.ts';
import { Store } from '../../../src/store/index.ts';

/** Makes a container with a long event, and renames it many times. `node renamer.mjs <root> <letter> <times>` */
const [root = '', letter = 'a', times = '1'] = process.argv.slice(2);
using store = Store.open(root, { now: Date.now });
const containers = new Containers(store);
const record = {
  format: 1,
  id: letter.repeat(64),
  created: new Date().toISOString(),
  image: { name: 'image:1', id: 'sha256:1', manifest: 'sha256:2' },
  labels: { much: 'x'.repeat(200_000) },
  step: { args: ['true'] },
} as unknown as ContainerRecord;
let container = containers.create(record, `${letter}-0`, { layers: [], blobs: [] }, 0);
for (let at = 1; at <= Number(times); at++) {
  containers.rename(container, `${letter}-${at}`);
  container = { ...container, name: `${letter}-${at}` };
}
