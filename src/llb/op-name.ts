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
      return cut(`merge (${inputNames.join(', ')})`);
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

/** Names made of names would double in length with every level. */
function cut(name: string): string {
  return name.length > 1000 ? `${name.slice(0, 999)}…` : name;
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
