import { TsbuildError } from '../util/index.ts';

/** Changes a mode as chmod(1) does. `isDir` matters to `X`. */
export type ModeChange = (mode: number, isDir: boolean) => number;

const BITS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000, t: 0o1000 };
const CLASSES: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };

/**
 * Parses an octal mode or a symbolic one (`u=rwX,go-w`, `a+x,g=u`) with a umask of 0.
 * As in coreutils, `=` leaves the setuid and setgid bits of directories alone unless they are named.
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
export function parseMode(text: string): ModeChange {
  if (/^[0-7]{1,4}$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const changes = text.split(',').flatMap((clause) => parseClause(clause, text));
  return (mode, isDir) => changes.reduce((current, change) => change(current, isDir), mode & 0o7777);
}

function parseClause(clause: string, whole: string): ModeChange[] {
  const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause);
  if (!match) {
    throw new TsbuildError('TSB_DOCKERFILE', `Cannot use mode "${whole}": it is neither octal nor symbolic`, {
      hint: 'for example: 755, u=rwX,go=rX or a+x',
    });
  }
  const [, who = '', rest = ''] = match;
  const affected = Array.from(who === '' ? 'a' : who, (one) => CLASSES[one] ?? 0).reduce((a, b) => a | b, 0);
  return [...rest.matchAll(/([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)/g)].map(([, operator = '', what = '']) =>
    operation(operator, what, affected),
  );
}

function operation(operator: string, what: string, affected: number): ModeChange {
  return (mode, isDir) => {
    const wanted = valueOf(what, mode, isDir) & affected;
    if (operator === '+') return mode | wanted;
    if (operator === '-') return mode & ~wanted;
    const kept = isDir && !what.includes('s') ? 0o6000 : 0;
    return (mode & (~affected | kept)) | wanted;
  };
}

/** The bits that a permission list stands for in all classes. */
function valueOf(what: string, mode: number, isDir: boolean): number {
  if (what === 'u' || what === 'g' || what === 'o') {
    const bits = (mode >> { u: 6, g: 3, o: 0 }[what]) & 7;
    return bits * 0o111;
  }
  let value = 0;
  for (const letter of what) {
    if (letter === 'X') value |= isDir || (mode & 0o111) !== 0 ? 0o111 : 0;
    else value |= BITS[letter] ?? 0;
  }
  return value;
}
