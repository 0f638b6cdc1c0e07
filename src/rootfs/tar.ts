import { closeSync, openSync } from 'node:fs';
import { LayersTree } from '../tree/index.ts';
import { fromErrno } from '../util/index.ts';
import { BufferedOutput } from './buffered-output.ts';
import { RootfsTar } from './rootfs-tar.ts';
import type { Checkpoint, RootfsReport, WriteRootfsOptions } from './types.ts';

/**
 * Writes root file systems as one tar archive to a file (or fifo) that exists, in the dialect of layers: entries in byte
 * order, parents first, numeric owners, whole seconds, attributes that images keep. The same trees give the same bytes.
 * @throws TsbuildError `TSB_NO_SPACE`, `TSB_EXPORT`
 */
export function writeRootfsTar(
  path: string,
  options: WriteRootfsOptions,
  checkpoint: Checkpoint = () => {},
): RootfsReport {
  const doing = `Cannot write archive ${JSON.stringify(path)}`;
  let fd: number;
  try {
    fd = openSync(path, 'w');
  } catch (error) {
    throw fromErrno(error, doing, 'TSB_EXPORT');
  }
  try {
    const output = BufferedOutput.ofFile(fd);
    const archive = new RootfsTar(output, options, checkpoint);
    for (const { layers, prefix, label } of options.trees) {
      using tree = new LayersTree(layers, { idShift: options.idShift });
      archive.add(tree, prefix, label);
    }
    archive.end();
    output.flush();
    return archive.report();
  } catch (error) {
    throw fromErrno(error, doing, 'TSB_EXPORT');
  } finally {
    closeSync(fd);
  }
}
