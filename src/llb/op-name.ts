import type { FileAction, Op } from './ops.ts';

/** What a vertex is called when its maker gave it no name. Untrusted text: sanitize before printing. */
export function defaultName(op: Op, inputNames: readonly string[]): string {
  const { body } = op;
  switch (body?.kind) {
    case 'source':
      return body.identifier;
    case 'exec':
      return body.meta.args.join(' ');
    case 'file':
      return body.actions.map(actionName).join(', ');
    case 'merge':
      return cut(`merge (${joined(inputNames)})`);
    case 'diff': {
      const side = (index: number | undefined): string =>
        index === undefined || index < 0 ? 'scratch' : `(${inputNames[index] ?? ''})`;
      return cut(`diff ${side(body.lower?.input)} -> ${side(body.upper?.input)}`);
    }
    case 'build':
      return 'build';
    case 'passthrough':
      return `passthrough ${body.id}`;
    case undefined:
      return 'result';
    default:
      return body satisfies never;
  }
}

const MAX_LENGTH = 1000;

/** Names made of names would double in length with every level. */
function cut(name: string): string {
  return name.length > MAX_LENGTH ? `${name.slice(0, MAX_LENGTH - 1)}…` : name;
}

/** As many as will be shown: those of all inputs may be longer together than any string can be. */
function joined(names: readonly string[]): string {
  let text = names[0] ?? '';
  for (let index = 1; index < names.length && text.length <= MAX_LENGTH; index++) text += `, ${names[index]}`;
  return text;
}

function actionName(action: FileAction): string {
  switch (action.kind) {
    case 'copy':
      return `copy ${action.src} ${action.dest}`;
    case 'mkfile':
    case 'mkdir':
    case 'rm':
      return `${action.kind} ${action.path}`;
    case 'symlink':
      return `symlink ${action.newPath} -> ${action.oldPath}`;
    default:
      return action satisfies never;
  }
}
