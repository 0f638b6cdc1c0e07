/** Methods on the files of a container, of a worker that was started with its rights. */
export interface ContainerMethods {
  /** Opens the root of a container's process, which stays open. Only after that may somebody ask whether it was that process. */
  openContainer(params: { readonly pid: number }): void;
  /** Copies files into or out of the root that is open. */
  copyFiles(params: CopyFilesParams): CopiedFiles;
  /** Writes the files of layers, bottom first, as an archive to standard output. */
  exportTree(params: { readonly layers: readonly string[] }): void;
  /** What a container has changed. */
  listChanges(params: ListChangesParams): readonly FileChange[];
}

/** Where a container writes, and on what. */
export interface ListChangesParams {
  readonly upper: string;
  readonly lowers: readonly string[];
  /** Paths that were made for mounts, without a leading slash. */
  readonly stubs: readonly string[];
}

/** A path that was added, changed or deleted. */
export interface FileChange {
  readonly kind: 'A' | 'C' | 'D';
  /** Absolute. */
  readonly path: string;
}

/** One side of a copy. */
export type CopyPlace =
  | { readonly kind: 'stream' }
  | {
      readonly kind: 'container' | 'host';
      /** Absolute, without `.` and `..`. */
      readonly path: string;
      /** It was written with a slash at its end, and must be a directory. */
      readonly directory: boolean;
      /** It was written with `/.` at its end: what is in the directory is meant. */
      readonly contents: boolean;
      /** As the user wrote it, for messages. */
      readonly typed: string;
    };

/** What is copied, and how. `cp` of docker has the rules. */
export interface CopyFilesParams {
  readonly from: CopyPlace;
  readonly to: CopyPlace;
  /** Owners stay; otherwise root of the container, or the user, gets what is made. */
  readonly archive: boolean;
  /** Of a symbolic link, its target is copied. */
  readonly follow: boolean;
}

/** What was copied. */
export interface CopiedFiles {
  /** Bytes of content. */
  readonly bytes: number;
  /** Devices and the like, which were left out; at most 100. */
  readonly skipped: readonly string[];
}
