#ifndef TSBUILD_BESIDE_H
#define TSBUILD_BESIDE_H

/*
 * The user namespace of the process that listens at `socket` in a directory: the topmost one of those below this process's own. -1 when
 * nobody listens there.
 */
int namespace_beside(const char *directory);

#endif
