/** A mounted stack. Dispose it to unmount. */
export interface MountedStack extends Disposable {
  /** The merged root. */
  readonly path: string;
}

/** Where changes to a stack go. */
export interface Upper {
  readonly fs: string;
  readonly work: string;
}
