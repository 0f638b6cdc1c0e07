import { TsbuildError } from '../util/index.ts';

/** Changes a mode as `--chmod` of COPY does. `isDir` matters to `X`. */
export type ModeChange = (mode: number, isDir: boolean) => number;

const STICKY = 0o1000;
/** What `=` without a class clears: all but the sticky bit. */
const STANDARD = 0o6777;
const CLASSES: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o0007, a: STANDARD };
const BITS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111 };
const SHIFTS: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

/** The bits to clear, to set, and to set where the file as it was can be executed or is a directory; `copy` is done instead of them. */
interface Step {
  readonly clear?: number;
  readonly set?: number;
  readonly setX?: number;
  readonly copy?: { readonly from: number; readonly to: readonly number[]; readonly operator: string };
}

/**
 * Parses an octal mode or a symbolic one (`u=rwX,go-w`, `a+x,g=u`) with a umask of 0. The language is that of setmode(3) of the BSDs,
 * which BuildKit reads with `tonistiigi/dchapes-mode`. It is not quite that of coreutils: `=` clears the setuid and setgid bits of
 * directories, `o` has no sticky bit, `X` asks for the mode before all changes, and `g=u` leaves the setgid bit.
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
export function parseMode(text: string): ModeChange {
  if (/^[0-7]{1,4}$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const steps = text.split(',').flatMap((clause) => parseClause(clause, text));
  return (mode, isDir) => apply(steps, mode & 0o7777, isDir);
}

function parseClause(clause: string, whole: string): Step[] {
  const match = /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause);
  if (!match) {
    throw new TsbuildError('TSB_DOCKERFILE', `Cannot use mode "${whole}": it is neither octal nor symbolic`, {
      hint: 'for example: 755, u=rwX,go=rX or a+x',
    });
  }
  const [, classes = '', changes = ''] = match;
  const who = Array.from(classes, (one) => CLASSES[one] ?? 0).reduce((a, b) => a | b, 0);
  return [...changes.matchAll(/([-+=])([rwxXstugo]*)/g)].flatMap(([, operator = '', letters = '']) =>
    stepsOf(operator, letters, who),
  );
}

/** The steps of one operator and its letters. A letter of a class ends what was named before it. */
function stepsOf(operator: string, letters: string, named: number): Step[] {
  const steps: Step[] = [];
  let who = named;
  let bits = 0;
  let setX = 0;
  let copied = false;
  const flush = (): void => {
    if (bits !== 0) steps.push(change(operator, bits, who));
    if (setX !== 0) steps.push({ setX: setX & (who || 0o7777) });
    bits = 0;
    setX = 0;
  };
  // Set-id and sticky bits mean nothing to others alone.
  const special = named === 0 || (named & ~0o7) !== 0;
  for (const letter of letters) {
    if (letter in SHIFTS) {
      flush();
      const to = who === 0 ? [6, 3, 0] : [6, 3, 0].filter((shift) => (who & (0o4 << shift)) !== 0);
      steps.push({ copy: { from: SHIFTS[letter] ?? 0, to, operator } });
      copied = true;
    } else if (letter === 's') bits |= special ? 0o6000 : 0;
    else if (letter === 't') {
      if (special) who |= STICKY;
      bits |= special ? STICKY : 0;
    } else if (letter === 'X' && operator !== '-') setX = 0o111;
    else bits |= letter === 'X' ? 0o111 : (BITS[letter] ?? 0);
  }
  if (bits === 0 && operator === '=' && !copied) steps.push(change(operator, 0, who));
  flush();
  return steps;
}

function change(operator: string, bits: number, who: number): Step {
  const within = bits & (who || 0o7777);
  if (operator === '+') return { set: within };
  if (operator === '-') return { clear: within };
  return { clear: who || STANDARD, set: within };
}

function apply(steps: readonly Step[], before: number, isDir: boolean): number {
  const executable = isDir || (before & 0o111) !== 0;
  return steps.reduce((mode, { clear = 0, set = 0, setX = 0, copy }) => {
    if (copy) return copyClass(mode, copy);
    return (mode & ~clear) | set | (executable ? setX : 0);
  }, before);
}

/** `g=u` and its like: permissions of one class for others. */
function copyClass(mode: number, { from, to, operator }: NonNullable<Step['copy']>): number {
  const value = (mode >> from) & 0o7;
  const at = (bits: number): number => to.reduce((all, shift) => all | (bits << shift), 0);
  if (operator === '+') return mode | at(value);
  if (operator === '-') return mode & ~at(value);
  return (mode & ~at(0o7)) | at(value);
}
