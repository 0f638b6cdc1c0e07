import type { ChownOptions, FileAction } from '../llb/index.ts';
import type { Selector } from '../tree/index.ts';

/**
 * What a file op reads of each of its inputs, for content keys: the sources of copies and the files that owner names are
 * looked up in. An input that is built upon is missing: everything in it goes into the result.
 */
export function actionSelectors(actions: readonly FileAction[], inputs: number): Map<number, Selector[]> {
  const selectors = new Map<number, Selector[]>();
  const add = (input: number, selector: Selector): void => {
    if (input < 0 || input >= inputs) return;
    const known = selectors.get(input);
    if (known) known.push(selector);
    else selectors.set(input, [selector]);
  };
  const addOwner = (owner: ChownOptions | undefined): void => {
    if (owner?.user?.kind === 'byName') add(owner.user.input, file('/etc/passwd'));
    if (owner?.group?.kind === 'byName') add(owner.group.input, file('/etc/group'));
  };
  for (const action of actions) {
    if (action.kind !== 'rm') addOwner(action.owner);
    if (action.kind !== 'copy') continue;
    add(action.secondaryInput, {
      path: action.src,
      followLinks: action.followSymlink,
      wildcard: action.allowWildcard,
      include: action.includePatterns,
      exclude: action.excludePatterns,
      contents: action.dirCopyContents,
      required: action.requiredPaths,
    });
  }
  for (const { input } of actions) selectors.delete(input);
  return selectors;
}

function file(path: string): Selector {
  return { path, followLinks: true, wildcard: false, include: [], exclude: [], contents: false, required: [] };
}
