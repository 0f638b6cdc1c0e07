import type { Definition, ResolveMode, SourceOp } from '../llb/index.ts';
import type { SourcePolicy } from '../source-policy/index.ts';
import type { Platform } from '../image/index.ts';
import type { SourceRange } from '../util/index.ts';
import type { ContainerRequest, GatewayContainer } from './container.ts';
import type { FileTree } from './file-tree.ts';

/**
 * All that a frontend image can see of the world: what its calls come to. The composition root implements it over registries, the
 * build's directories and the solver; with a fake one, a conversation is a test without a machine. `signal` fires when the frontend does
 * not want the answer any more.
 */
export interface GatewayHost {
  /** The platforms of this machine, the own one first. */
  readonly platforms: readonly Platform[];
  /** Definitions that stand for inputs by name, such as a context that is no directory. */
  readonly inputs: ReadonlyMap<string, Definition>;
  /**
   * Checks a definition; nothing of it runs before something is asked of the tree.
   * @param policies hold for its sources, besides those of the build
   * @throws TsbuildError `TSB_LLB`, `TSB_POLICY`
   */
  load(definition: Definition, policies: readonly SourcePolicy[]): LoadedDefinition;
  /** Lets a frontend solve that is called by name: `dockerfile.v0`, or `gateway.v0` with the option `source`. */
  frontend(request: NestedRequest, signal: AbortSignal): Promise<FrontendResult>;
  /** Digest and config of an image. */
  resolveImage(request: ImageConfigRequest, signal: AbortSignal): Promise<ImageConfigAnswer>;
  /** A source as the policies of the build and of the call want it. @throws TsbuildError `TSB_POLICY` */
  policed(source: Pick<GatewaySource, 'identifier' | 'attrs'>, policies: readonly SourcePolicy[]): SourceOp;
  /** What a git or web source stands for now. */
  resolveSource(source: GatewaySource, signal: AbortSignal): Promise<SourceAnswer>;
  /** Makes containers; undefined where this machine cannot have them. */
  readonly container?: ((request: ContainerRequest, signal: AbortSignal) => Promise<GatewayContainer>) | undefined;
  /** What a frontend may be told of a message: without paths of this machine. */
  conceal(message: string): string;
  /** Something that the user should know. */
  warn(warning: FrontendWarning): void;
}

/** A definition with its sources as the policies want them, and what it comes to. */
export interface LoadedDefinition {
  readonly definition: Definition;
  readonly tree: SolvedTree;
}

/** What a definition comes to, made when it is first asked for. */
export interface SolvedTree extends FileTree {
  evaluate(signal: AbortSignal): Promise<void>;
}

/** A frontend that solves for another one. */
export interface NestedRequest {
  readonly name: string;
  readonly options: ReadonlyMap<string, string>;
  readonly inputs: ReadonlyMap<string, Definition>;
  /** Hold for what it asks for, besides those of the build. */
  readonly policies: readonly SourcePolicy[];
}

/** What a frontend came to: definitions, whose results are the trees of the images. */
export interface FrontendResult {
  readonly refs: ResultRefs;
  /** `containerimage.config`, `refs.platforms` and others (BuildKit's exporter/containerimage/exptypes). */
  readonly metadata: ReadonlyMap<string, Uint8Array>;
}

/** One tree, or one by each key, which are platforms; undefined is scratch. */
export type ResultRefs =
  | { readonly kind: 'one'; readonly definition: Definition | undefined }
  | { readonly kind: 'map'; readonly definitions: ReadonlyMap<string, Definition | undefined> };

/** An image whose config is asked for. */
export interface ImageConfigRequest {
  /** As the frontend has it. */
  readonly reference: string;
  readonly platform: Platform;
  readonly mode: ResolveMode;
  /** The OCI layout that it is in, by the name under which the build has it. */
  readonly ociLayout?: string;
  /** For progress. */
  readonly name: string;
  /** Hold besides those of the build. */
  readonly policies: readonly SourcePolicy[];
}

/** What is known of an image. */
export interface ImageConfigAnswer {
  /** Normalised. */
  readonly reference: string;
  readonly digest: string;
  /** The config's own bytes. */
  readonly config: Uint8Array;
}

/** A source op by itself. */
export interface GatewaySource {
  readonly identifier: string;
  readonly attrs: ReadonlyMap<string, string>;
  readonly name: string;
}

/** What a source stands for. */
export type SourceAnswer =
  | { readonly kind: 'git'; readonly checksum: string; readonly ref: string; readonly commit: string }
  | {
      readonly kind: 'http';
      readonly checksum: string;
      readonly filename: string;
      /** Seconds since the epoch. */
      readonly lastModified?: number;
    };

/** What a frontend warns of. */
export interface FrontendWarning {
  readonly message: string;
  readonly ranges: readonly SourceRange[];
}
