// Exchanges two names of a directory without end. Arguments: the directory and the names.
import { RENAME_EXCHANGE } from '../../sys/constants.ts';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY, openat, renameat2 } from '../../../src/sys/index.ts';

const [root = '', a = '', b = ''] = process.argv.slice(2);
const fd = openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY);
console.log('ready');
for (;;) {
  try {
    renameat2(fd, a, fd, b, RENAME_EXCHANGE);
  } catch {
    // They are not there at the moment.
  }
}
