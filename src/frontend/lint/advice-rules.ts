import type { SourceFile } from '../../util/index.ts';
import type { AddCommand, ArgCommand, Command, CopyCommand, RunCommand, Stage } from '../dockerfile/types.ts';
import type { Linter } from './linter.ts';
import { rules } from './rules.ts';

/**
 * Installs of dependencies from a manifest that is part of the sources. What may stand between has an end: commands are long where somebody
 * means it, and each word of one may be a start.
 */
const INSTALLS =
  /\b(?:npm (?:ci|install|i)|yarn install|pnpm (?:install|i)|bun install|pip3? install (?:[^&|;]{0,200} )?-r|poetry install|uv sync|pipenv install|bundle install|composer install|go mod download|cargo fetch|dotnet restore|mix deps\.get|mvn [^&|;]{0,200}dependency:|gradle [^&|;]{0,200}dependencies)\b/;
/** Arguments that hold another value for every build. */
const VOLATILE =
  /^(?:(?:BUILD|CREATED|COMMIT)_?(?:DATE|TIME|TIMESTAMP|NUMBER|ID|SHA|HASH)|TIMESTAMP|(?:GIT|VCS|CI|SOURCE)_?(?:\w+_)?(?:SHA|REF|COMMIT|HASH|REVISION)|REVISION|COMMIT|CACHE_?BUST(?:ER)?)$/i;
/** Files that hold credentials by convention. */
const SECRET_FILES =
  /(?:^|\/)(?:\.env(?:\.(?!example$|sample$|template$|dist$)[\w.-]+)?|id_(?:rsa|dsa|ecdsa|ed25519)|\.npmrc|\.yarnrc|\.pypirc|\.netrc|\.git-credentials|\.pgpass|\.htpasswd|kubeconfig|credentials\.json|service-account\.json|\.aws\/credentials|\.docker\/config\.json|\.ssh|[^/]+\.(?:pem|key|p12|pfx|jks|keystore))$/;
const DIRECTION = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const APT_UPDATE = /\b(apt|apt-get)\b(?: -\S+){0,20} update\b/;
const APT_INSTALL =
  /\b(?:apt|apt-get|aptitude)\b(?: -\S+){0,20} (?:install|upgrade|dist-upgrade|full-upgrade|build-dep|satisfy|download|source)\b/;

/** Reports the rules of our own: what makes builds slow or leaks secrets, with the reason and what to do. */
export function adviseStages(linter: Linter, stages: readonly Stage[]): void {
  for (const stage of stages) {
    adviseOnCache(linter, stage.commands);
    for (const command of stage.commands) {
      const scoped = linter.scoped(command.comments);
      if (command.type === 'copy' || command.type === 'add') adviseOnSecrets(scoped, command);
      else if (command.type === 'run') adviseOnApt(scoped, command);
    }
  }
}

/** Reports the control characters of bidirectional text (CVE-2021-42574), once for each line. */
export function adviseOnDirection(linter: Linter, file: SourceFile): void {
  if (!DIRECTION.test(file.text)) return;
  for (const [index, line] of file.text.split('\n').entries()) {
    const found = DIRECTION.exec(line);
    if (!found) continue;
    const place = { file: file.name, startLine: index + 1, endLine: index + 1 };
    const column = found.index + 1;
    linter.report(
      rules.BidirectionalText,
      [{ ...place, startColumn: column, endColumn: column }],
      [`U+${found[0].charCodeAt(0).toString(16).toUpperCase()}`],
    );
  }
}

/** One pass from the end keeps it linear: what stands below each command is known when it is reached. */
function adviseOnCache(linter: Linter, commands: readonly Command[]): void {
  let installLine: number | undefined;
  let runs = 0;
  const used = new Set<string>();
  for (const command of commands.toReversed()) {
    const scoped = linter.scoped(command.comments);
    if (command.type === 'run') {
      runs++;
      if (INSTALLS.test(shellText(command))) installLine = command.ranges[0]?.startLine;
    } else if (command.type === 'copy' && installLine !== undefined && copiesEverything(command)) {
      scoped.report(rules.CopyBeforeInstall, command.ranges, [command.sources.join(' '), String(installLine)]);
    } else if (command.type === 'arg') {
      adviseOnArg(scoped, command, runs, used);
    }
    for (const name of volatileNames(command)) used.add(name);
  }
}

/** An argument that a RUN below uses by name has to stand above it, so only the others are reported. */
function adviseOnArg(linter: Linter, command: ArgCommand, runs: number, used: ReadonlySet<string>): void {
  if (runs === 0) return;
  for (const { key } of command.args) {
    if (!VOLATILE.test(key) || used.has(key)) continue;
    linter.report(rules.VolatileArgTooEarly, command.ranges, [key, String(runs)], key);
  }
}

/** The volatile names among the variables that a RUN uses. */
function volatileNames(command: Command): string[] {
  if (command.type !== 'run') return [];
  return Array.from(shellText(command).matchAll(/\$\{?(\w+)/g), (match) => match[1] ?? '').filter((name) =>
    VOLATILE.test(name),
  );
}

/** `COPY . …` of the context. */
function copiesEverything({ from, sources }: CopyCommand): boolean {
  return from === '' && sources.some((source) => /^(?:\.|\.\/|\/|\.\/?\*|\*)$/.test(source));
}

function adviseOnSecrets(linter: Linter, command: CopyCommand | AddCommand): void {
  if (command.type === 'copy' && command.from !== '') return;
  for (const source of command.sources) {
    if (!SECRET_FILES.test(source.replace(/(?<!\/)\/+$/, '')) || /^[a-z]+:\/\//i.test(source)) continue;
    const name = source.slice(source.lastIndexOf('/') + 1);
    if (/\.pub$/i.test(name) || (/\.pem$/i.test(name) && /ca|cert|chain|public/i.test(name))) continue;
    linter.report(rules.SecretFileCopied, command.ranges, [command.keyword.toUpperCase(), source], source);
  }
}

function adviseOnApt(linter: Linter, command: RunCommand): void {
  const text = shellText(command);
  const update = APT_UPDATE.exec(text);
  if (!update || APT_INSTALL.test(text)) return;
  // With the index in a cache mount no layer holds it.
  if (command.mountFlags.some((flag) => flag.includes('type=cache') && flag.includes('/var/lib/apt'))) return;
  linter.report(rules.AptUpdateAlone, command.ranges, [update[1] ?? 'apt-get']);
}

/** As much of a command as the patterns look at: hostile ones are long. */
const MAX_TEXT = 16_384;

function shellText({ cmdLine, files }: RunCommand): string {
  const text = [...cmdLine, ...files.map((file) => file.data)].join(' ');
  return text.slice(0, MAX_TEXT).replaceAll(/[\t\n\r ]+/g, ' ');
}
