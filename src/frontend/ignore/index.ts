/**
 * Ignore files and path patterns. A context walker uses `IgnoreMatcher`: it passes what it got for a directory to the entries in
 * it, and asks `canSkipDir` whether it may leave an ignored directory out.
 */
export { clean } from './clean.ts';
export { BadPatternError, matchPath } from './file-match.ts';
export { IgnoreMatcher, parseIgnoreFile } from './ignore-file.ts';
export { type MatchInfo, PatternMatcher } from './pattern-matcher.ts';
