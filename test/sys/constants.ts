/** Of openat2(2): the directory is taken for `/`, links lead where they would in a chroot. */
export const RESOLVE_IN_ROOT = 0x10;

/** `flags` of renameat2(2). */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/** mount(2): a directory at a second place. */
export const MS_BIND = 4096;
