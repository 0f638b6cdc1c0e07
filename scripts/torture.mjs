// npm run torture -- --kills N --files N --rows N --cuts N --containers N --seed S: kills builds, harms files and rows of their stores, cuts the power
// of a disk that is a model, and looks at what the next build makes of it. The tests in test/torture do it; this gives them numbers. Ends as they do.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const option = (value) => ({ type: 'string', default: value });
const { values } = parseArgs({
  options: {
    kills: option('500'),
    files: option('500'),
    rows: option('500'),
    cuts: option('1000'),
    containers: option('100'),
    seed: option(String(Date.now() % 1e6)),
  },
});
for (const [name, value] of Object.entries(values)) {
  if (/^\d+$/.test(value)) continue;
  process.stderr.write(`--${name} takes a number, not "${value}"\n`);
  process.exit(2);
}
const root = join(import.meta.dirname, '..');
const env = Object.fromEntries(Object.entries(values).map(([name, value]) => [`TORTURE_${name.toUpperCase()}`, value]));
process.stdout.write(`seed ${values.seed}\n`);
const { status } = spawnSync(
  process.execPath,
  [join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'test/torture', 'test/e2e/containers-killed.test.ts'],
  {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: 'inherit',
  },
);
process.exit(status ?? 1);
