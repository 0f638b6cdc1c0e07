import { sanitizeLine } from '../util/index.ts';
import { withoutRunnerCommands } from './runner-commands.ts';

/** A line that a step printed, in plain progress: its number and the time since it began. */
const OUTPUT = /^#(\d+) \d+\.\d+ /;

/** A piece of a log: text, or a command of ours, which must reach the runner as it is. */
export interface LogPiece {
  readonly text: string;
  readonly command: boolean;
}

/**
 * Folds the output of steps in a log of GitHub Actions: what a step is and how it ended stay in sight, what it printed is a group beneath
 * (workflow command `group`). Takes plain progress in pieces of any size.
 */
export class GithubGroups {
  #part = '';
  /** The number of the step whose output is open. */
  #open: string | undefined;

  /** The text with groups in it. An unfinished line waits for its end. */
  fold(text: string): LogPiece[] {
    const pieces: LogPiece[] = [];
    const lines = (this.#part + text).split('\n');
    this.#part = lines.pop() ?? '';
    let plain = '';
    for (const line of lines) {
      const commands = this.#turn(OUTPUT.exec(line)?.[1]);
      if (commands !== '') {
        if (plain !== '') pieces.push({ text: plain, command: false });
        pieces.push({ text: commands, command: true });
        plain = '';
      }
      plain += `${line}\n`;
    }
    if (plain !== '') pieces.push({ text: plain, command: false });
    return pieces;
  }

  /** Commands between a line and the next one. @param step whose output that is, if it is any */
  #turn(step: string | undefined): string {
    if (step === this.#open) return '';
    const close = this.#open === undefined ? '' : '::endgroup::\n';
    this.#open = step;
    return step === undefined ? close : `${close}::group::output of #${step}\n`;
  }
}

/** Where an annotation is shown. */
export interface AnnotationPlace {
  /** From the top of the repository, with slashes. */
  readonly file?: string;
  readonly startLine?: number;
  readonly endLine?: number;
}

/** A workflow command that shows a message beside a line of a file, and on top of the run. With a line break at the end. */
export function githubAnnotation(
  kind: 'error' | 'warning',
  title: string,
  message: string,
  { file, startLine, endLine }: AnnotationPlace = {},
): string {
  const properties: readonly (readonly [string, string | number | undefined])[] = [
    ['file', file],
    ['line', file === undefined ? undefined : startLine],
    ['endLine', file === undefined ? undefined : endLine],
    ['title', sanitizeLine(title, 200)],
  ];
  const list = properties.flatMap(([name, value]) =>
    value === undefined
      ? []
      : [
          `${name}=${escaped(withoutRunnerCommands(String(value)))
            .replaceAll(':', '%3A')
            .replaceAll(',', '%2C')}`,
        ],
  );
  return `::${kind} ${list.join(',')}::${escaped(withoutRunnerCommands(message))}\n`;
}

/** What ends a command, and its own sign of escape. */
function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}
