// npm run rungs [-- RUNG…]: runs on each rung of the ladder (docs/isolation.md) the tests that hold the attacks on steps, mounts and secrets
// of docs/dev/security-table.md, and prints which hold there. Ends with 1 when one does not. Some minutes; the tests in `npm test` are of rung 1.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
const isRoot = process.getuid() === 0;

/**
 * What a chroot keeps a step from; the processes, network and namespaces around it are not among that (docs/isolation.md), and secrets are
 * files while the step has them. Only by tests that look at nothing else.
 */
const BY_CHROOT = {
  as: 'root',
  files: /^test\/security\//,
  ids: /^(MNT-(01|02|05|16|19)|PRC-(01|07|10|16|17|22|23)|SEC-(04|05|07|08|09|10|11|13)|CTX-.*)$/,
};
/**
 * Not for root, and asked of builds only. Users of a step are one user of the machine, and are not kept from each other's files; where the
 * kernel itself is asked for groups it tells those of the caller, which give a step nothing.
 */
const WITH_ONE_ID = {
  as: 'user',
  files: /^test\/(security\/(?!races)|e2e\/)/,
  ids: /^(?!MNT-14|PRC-07|PRC-09)/,
};
const RUNGS = [
  { rung: 'userns', number: 1 },
  { rung: 'userns-noproc', number: 2 },
  { rung: 'copy', number: 3 },
  { rung: 'single-id', number: 4, ...WITH_ONE_ID },
  ...(isRoot ? [{ rung: 'chroot', number: 5, ...BY_CHROOT }] : []),
];

/** Files whose tests run steps: others are the same on every rung. */
const RUNS_STEPS = /^test\/(security|sandbox)\/|^test\/e2e\/(mounts|secrets|ssh|process-limit|devices)\.test/;

const table = readFileSync(join(root, 'docs/dev/security-table.md'), 'utf8');
const rows = [...table.matchAll(/^\| ((?:MNT|PRC|SEC)-\d\d|CTX-0[123]) +\| .*? \| (.*?) *\|$/gm)].map(
  ([, id, held]) => ({
    id,
    tests: [...held.replaceAll('\\|', '|').matchAll(/`(test\/[^`]+)`: (.*?)(?=<br>|$)/g)].map(([, file, title]) => ({
      file,
      title,
    })),
  }),
);

/** Runs tests of some titles. @returns for each file and title whether all that ran of it passed, as root and as an ordinary user */
function run(rung, tests, as) {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-rungs-'));
  const escaped = (text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('%s', '.*');
  const titles = [...new Set(tests.map(({ title }) => title))].map(escaped).join('|');
  const output = join(dir, 'results.json');
  try {
    spawnSync(
      process.execPath,
      [
        join(root, 'node_modules/vitest/vitest.mjs'),
        'run',
        ...new Set(tests.map(({ file }) => file)),
        '-t',
        `${as ?? ''}.*(${titles})`,
        '--reporter=json',
        `--outputFile=${output}`,
      ],
      { cwd: root, env: { ...process.env, TEST_ISOLATION: rung }, stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const results = JSON.parse(readFileSync(output, 'utf8')).testResults.flatMap(({ name, assertionResults }) =>
      assertionResults.map(({ title, status, failureMessages }) => ({
        file: relative(root, name),
        title,
        status,
        failureMessages,
      })),
    );
    return (test) => {
      const own = results.filter(
        ({ file, title, status }) =>
          file === test.file && new RegExp(`^${escaped(test.title)}$`).test(title) && /passed|failed/.test(status),
      );
      return { ran: own.length, failed: own.filter(({ status }) => status === 'failed') };
    };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !RUNGS.some(({ rung }) => rung === name));
if (unknown.length > 0) {
  process.stderr.write(`There is no rung ${unknown.join(', ')} here: ${RUNGS.map(({ rung }) => rung).join(', ')}\n`);
  process.exit(2);
}
let isBad = false;
const counts = [];
for (const { rung, number, ids: asked = /./, files = RUNS_STEPS, as } of RUNGS.filter(
  ({ rung }) => wanted.length === 0 || wanted.includes(rung),
)) {
  const isSame = ({ tests }) => !tests.some(({ file }) => RUNS_STEPS.test(file));
  const isAsked = ({ id, tests }) =>
    asked.test(id) && tests.some(({ file }) => RUNS_STEPS.test(file) && files.test(file));
  const ids = rows.filter((row) => isSame(row) || isAsked(row));
  const stepping = ids.map(({ id, tests }) => ({
    id,
    tests: tests.filter(({ file }) => RUNS_STEPS.test(file) && files.test(file)),
  }));
  const of = run(
    rung,
    stepping.flatMap(({ tests }) => tests),
    as,
  );
  let [held, same] = [0, 0];
  for (const { id, tests } of stepping) {
    if (tests.length === 0) same++;
    const outcomes = tests.map((test) => ({ ...test, ...of(test) }));
    const bad = outcomes.filter(({ ran, failed }) => ran === 0 || failed.length > 0);
    if (tests.length > 0 && bad.length === 0) held++;
    for (const { file, title, ran, failed } of bad) {
      isBad = true;
      const why =
        ran === 0 ? 'did not run' : failed.flatMap(({ failureMessages }) => failureMessages)[0]?.split('\n')[0];
      process.stdout.write(`${rung}: ${id} does not hold: ${file}: ${title}: ${why}\n`);
    }
  }
  const left = rows.length - ids.length;
  counts.push([`${number} (\`${rung}\`)`, held, same, rows.length - held - same - left, left]);
}
const line = (cells) => `| ${cells.join(' | ')} |\n`;
process.stdout.write(
  line(['rung', 'hold in steps there', 'the same on every rung', 'do not hold', 'not asked there']) +
    line(['---', '---:', '---:', '---:', '---:']) +
    counts.map(line).join(''),
);
process.exit(isBad ? 1 : 0);
