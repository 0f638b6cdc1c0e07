import { IgnoreMatcher } from '../../frontend/index.ts';
import { PatternMatcher } from '../../patterns/index.ts';
import type { ContextIgnore } from '../../tree/index.ts';

/**
 * The patterns of a local source as the context walker wants them, or undefined when there are none.
 * @throws TsbuildError `TSB_IGNORE` for a malformed pattern
 */
export function hostIgnore(excludes: readonly string[], includes: readonly string[]): ContextIgnore | undefined {
  if (excludes.length === 0 && includes.length === 0) return undefined;
  const matcher = new IgnoreMatcher(excludes);
  if (includes.length === 0) return matcher;
  const included = new PatternMatcher(includes);
  return {
    ignored(path, isDir, parent) {
      const found = matcher.ignored(path, isDir, parent);
      return included.matchesBelow(path) ? found : { ...found, ignored: true };
    },
    // A directory that no pattern names is there for the sake of what is included beneath it.
    canSkipDir: (path) => (included.matchesBelow(path) ? matcher.canSkipDir(path) : !included.mayMatchBelow(path)),
  };
}
