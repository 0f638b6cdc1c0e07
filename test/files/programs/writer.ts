import { setTimeout as sleep } from 'node:timers/promises';
import { NewFile } from '../../../src/files/index.ts';

// Begins a file as on a file system where each file has a name, and waits to be killed. `node writer.ts PATH`
const file = NewFile.create(process.argv[2] ?? '', {}, { openUnnamed: () => undefined });
file.write(Buffer.from('half of it'));
process.stdout.write('writing\n');
await sleep(60_000);
