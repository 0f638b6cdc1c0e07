/**
 * Ignore files. A context walker uses `IgnoreMatcher`: it passes what it got for a directory to the entries in
 * it, and asks `canSkipDir` whether it may leave an ignored directory out.
 */
export { IgnoreMatcher, parseIgnoreFile } from './ignore-file.ts';
