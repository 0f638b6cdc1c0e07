/** Path patterns in Go's terms: `filepath.Match`, and ignore rules as moby/patternmatcher has them. */
export { cleanPath, relativePattern } from './clean.ts';
export { BadPatternError, hasWildcards, matchPath } from './file-match.ts';
export { type MatchInfo, PatternMatcher } from './pattern-matcher.ts';
