import { version } from '../util/index.ts';
import { processContext } from './context.ts';

const [first, ...others] = process.argv.slice(2);
// With more behind it, -v is podman's option for a volume.
if (first === '--version' || (first === '-v' && others.length === 0)) {
  process.stdout.write(`tsbuild ${version}\n`);
} else if (!hasWorkingDirectory()) {
  process.stderr.write('error: The working directory does not exist any more\nhint: change to one that does: cd ~\n');
  process.exit(1);
} else {
  void import('./program.ts').then(async ({ runCli }) => {
    const context = processContext();
    const code = await runCli(process.argv.slice(2), context);
    // A reader that is slower than we are gets the end, too.
    await context.written();
    // All is written and ended: leaving at once saves the time of taking the heap apart.
    process.exit(code);
  });
}

/** Somebody may have deleted it since; no relative path can be understood then. */
function hasWorkingDirectory(): boolean {
  try {
    return process.cwd() !== '';
  } catch {
    return false;
  }
}
