// The action's step: builds what $INPUTS (JSON) say, and writes the outputs. Runs on any Node from 18 on.
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argumentsOf } from './arguments.mjs';

const { INPUTS, ...environment } = process.env;
const scratch = mkdtempSync(join(process.env['RUNNER_TEMP'] ?? tmpdir(), 'tsbuild-action-'));
try {
  process.exitCode = build(JSON.parse(INPUTS ?? '{}'));
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** @param {Readonly<Record<string, string>>} inputs */
function build(inputs) {
  const { args, environment: secrets } = argumentsOf(inputs);
  const files = { imageid: join(scratch, 'iid'), metadata: join(scratch, 'metadata.json') };
  const [command = '', ...rest] = args;
  const call = (inputs['call'] ?? '') === '' || inputs['call'] === 'build';
  const places = call ? [`--iidfile=${files.imageid}`, `--metadata-file=${files.metadata}`] : [];
  const done = spawnSync('tsbuild', [command, ...places, ...rest], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...environment, ...secrets },
  });
  if (done.error !== undefined) throw done.error;
  if (done.status !== 0) return done.status ?? 1;
  if (existsSync(files.imageid)) output('imageid', readFileSync(files.imageid, 'utf8').trim());
  if (existsSync(files.metadata)) {
    const metadata = readFileSync(files.metadata, 'utf8').trim();
    output('metadata', metadata);
    const digest = JSON.parse(metadata)['containerimage.digest'];
    if (typeof digest === 'string') output('digest', digest);
  }
  return 0;
}

/** With a mark that no value can hold, so that none adds outputs of its own. @param {string} name @param {string} value */
function output(name, value) {
  const file = process.env['GITHUB_OUTPUT'];
  if (file === undefined) return;
  const mark = `tsbuild-${randomUUID()}`;
  appendFileSync(file, `${name}<<${mark}\n${value}\n${mark}\n`);
}

/** @param {string} message */
function fail(message) {
  process.stdout.write(`::error::${message.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')}\n`);
  process.exitCode = 1;
}
