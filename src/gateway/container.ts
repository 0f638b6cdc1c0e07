import type { Definition, ExecOp } from '../llb/index.ts';
import type { Platform } from '../image/index.ts';
import type { TsbuildError } from '../util/index.ts';
import type { FileTree } from './file-tree.ts';

/** A container that a frontend wants: what every process in it shares. */
export interface ContainerRequest {
  /** An op whose mounts, network, extra hosts and host name are the container's; its command means nothing. It makes no outputs. */
  readonly exec: ExecOp;
  /** What the inputs of the op are made by. */
  readonly inputs: readonly Definition[];
  /** Of its programs. */
  readonly platform: Platform;
}

/** A program to run in a container. */
export interface ProcessRequest {
  /** The container's op, with command, environment, secrets, user, directory and security mode of this program. */
  readonly exec: ExecOp;
  readonly tty: boolean;
  /** Whether something will be written to its standard input; else that is empty. */
  readonly stdin: boolean;
}

/** Who listens to a program. Nothing more is read of what it prints until the promise, if any, is resolved. */
export type OnOutput = (stream: 1 | 2, data: Uint8Array) => Promise<void> | undefined;

/** How a program ended. */
export interface ProcessEnd {
  /** 128 and its number for a signal, as in BuildKit; 255 when it is not known. */
  readonly exitCode: number;
  /** Why it did not run, or was ended. */
  readonly error?: TsbuildError;
}

/** A program that runs in a container. */
export interface ContainerProcess {
  /** Resolves when it has ended and all that it printed was taken; never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /** Resolves when more can be written. What the program does not read any more is lost. */
  write(data: Uint8Array): Promise<void>;
  closeInput(): void;
  resize(rows: number, columns: number): void;
  /** @throws TsbuildError `TSB_USAGE` when there is no such signal */
  signal(name: string): void;
}

/** A container of a frontend, in the sandbox that steps have. */
export interface GatewayContainer extends AsyncDisposable {
  /**
   * Starts a program: the first one is PID 1, with whose end all others end.
   * @throws TsbuildError when it cannot be started
   */
  start(process: ProcessRequest, onOutput: OnOutput): Promise<ContainerProcess>;
  /**
   * The files at a mount, as they are now. It is told apart by its place among the mounts of the op.
   * @throws TsbuildError for what has no files outside of the container, such as a tmpfs
   */
  files(mount: number): FileTree;
}
