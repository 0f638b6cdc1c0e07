/** What the tables of messages.ts describe, as objects. */

/** A platform in a message; empty strings are absent. */
export interface PbPlatform {
  readonly architecture: string;
  readonly os: string;
  readonly variant: string;
  readonly osVersion: string;
  readonly osFeatures: readonly string[];
}

/** A reference to what was solved; an empty id is scratch. */
export interface PbRef {
  readonly id: string;
  readonly def: Uint8Array;
}

/** One reference or one for each platform, in the forms of old and new clients. */
export type PbRefs =
  | { readonly kind: 'refDeprecated'; readonly refDeprecated: string }
  | { readonly kind: 'refsDeprecated'; readonly refs: ReadonlyMap<string, string> }
  | ({ readonly kind: 'ref' } & PbRef)
  | { readonly kind: 'refs'; readonly refs: ReadonlyMap<string, PbRef> };

export interface PbResult {
  readonly result?: PbRefs;
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  readonly attestations: ReadonlyMap<string, { readonly all: readonly Uint8Array[] }>;
}

/** Something that is typed by its URL: `google.protobuf.Any`. */
export interface PbAny {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export interface ReturnRequest {
  readonly result?: PbResult;
  readonly error?: { readonly code: number; readonly message: string; readonly details: readonly PbAny[] };
}

export interface SolveRequest {
  readonly definition: Uint8Array;
  readonly frontend: string;
  readonly frontendOpt: ReadonlyMap<string, string>;
  readonly allowResultReturn: boolean;
  readonly allowResultArrayRef: boolean;
  readonly final: boolean;
  readonly cacheImports: readonly { readonly type: string; readonly attrs: ReadonlyMap<string, string> }[];
  readonly frontendInputs: ReadonlyMap<string, Uint8Array>;
  readonly evaluate: boolean;
  readonly sourcePolicies: readonly Uint8Array[];
}

export interface ReadFileRequest {
  readonly ref: string;
  readonly path: string;
  readonly range?: { readonly offset: number; readonly length: number };
}

export interface ReadDirRequest {
  readonly ref: string;
  readonly path: string;
  readonly includePattern: string;
}

export interface StatFileRequest {
  readonly ref: string;
  readonly path: string;
}

export interface ResolveImageRequest {
  readonly ref: string;
  readonly platform?: PbPlatform;
  readonly resolveMode: string;
  readonly logName: string;
  /** 0 is a registry, 1 an OCI layout. */
  readonly resolverType: number;
  readonly storeId: string;
  readonly sourcePolicies: readonly Uint8Array[];
}

export interface ResolveSourceRequest {
  readonly source?: { readonly identifier: string; readonly attrs: ReadonlyMap<string, string> };
  readonly platform?: PbPlatform;
  readonly logName: string;
  readonly resolveMode: string;
  readonly git?: { readonly returnObject: boolean };
  readonly image?: {
    readonly noConfig: boolean;
    readonly attestationChain: boolean;
    readonly resolveAttestations: readonly string[];
  };
  readonly http?: { readonly checksumRequest: Uint8Array };
  readonly sourcePolicies: readonly Uint8Array[];
}

export interface WarnRequest {
  readonly short: Uint8Array;
  readonly info?: { readonly filename: string };
  readonly ranges: readonly { readonly start?: { readonly line: number }; readonly end?: { readonly line: number } }[];
}

/** What each method of the service is asked with. */
export interface Requests {
  readonly Ping: object;
  readonly Solve: SolveRequest;
  readonly ReadFile: ReadFileRequest;
  readonly ReadDir: ReadDirRequest;
  readonly StatFile: StatFileRequest;
  readonly Evaluate: { readonly ref: string };
  readonly ResolveImageConfig: ResolveImageRequest;
  readonly ResolveSourceMeta: ResolveSourceRequest;
  readonly Inputs: object;
  readonly Warn: WarnRequest;
  readonly Return: ReturnRequest;
}
