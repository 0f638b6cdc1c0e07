/** Patterns in Go's terms: `filepath.Match`, ignore rules as moby/patternmatcher has them, and regular expressions. */
export { cleanPath, relativePattern } from './clean.ts';
export { type ExpressionMatch, GoExpression, quoteExpression } from './expression.ts';
export { BadPatternError, hasWildcards, matchPath } from './file-match.ts';
export { type MatchInfo, PatternMatcher } from './pattern-matcher.ts';
