import { version } from '../util/index.ts';
import { processContext } from './context.ts';

const [first] = process.argv.slice(2);
if (first === '--version' || first === '-v') {
  process.stdout.write(`tsbuild ${version}\n`);
} else {
  void import('./program.ts').then(async ({ runCli }) => {
    const code = await runCli(process.argv.slice(2), processContext());
    // All is written and ended: leaving at once saves the time of taking the heap apart.
    process.exit(code);
  });
}
