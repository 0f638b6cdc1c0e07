import { bool, bytes, int32, int64, message, type MessageSchema, nanoseconds, string, uint32 } from '../llb/index.ts';
import { newContainerSchema, releaseContainerSchema } from './container-messages.ts';
import { platformSchema, statusSchema } from './shared-messages.ts';
import type { Requests } from './types.ts';

/**
 * The messages of BuildKit's frontend/gateway/pb/gateway.proto. Definitions stand in them as bytes: `decodeDefinition` reads them. What
 * decides about a result is strict, so that nothing of a newer client is passed over silently; what only tells something is lenient.
 */

const many = { repeated: true } as const;
const map = { map: true } as const;
const oneof = { oneof: true } as const;

const refSchema: MessageSchema = { name: 'Ref', fields: [string(1, 'id'), bytes(2, 'def')] };

/** `Result`: what solving came to, and what a frontend returns. */
const resultSchema: MessageSchema = {
  name: 'Result',
  oneof: { property: 'result' },
  fields: [
    string(1, 'refDeprecated', oneof),
    message(2, 'refsDeprecated', () => ({ name: 'RefMapDeprecated', fields: [string(1, 'refs', map)] }), oneof),
    message(3, 'ref', () => refSchema, oneof),
    message(4, 'refs', () => ({ name: 'RefMap', fields: [message(1, 'refs', () => refSchema, map)] }), oneof),
    bytes(10, 'metadata', map),
    message(12, 'attestations', () => ({ name: 'Attestations', lenient: true, fields: [bytes(1, 'all', many)] }), map),
  ],
};

/** A message without fields. */
const emptySchema: MessageSchema = { name: 'Empty', lenient: true, fields: [] };

const returnSchema: MessageSchema = {
  name: 'ReturnRequest',
  fields: [message(1, 'result', () => resultSchema), message(2, 'error', () => statusSchema)],
};

const solveRequestSchema: MessageSchema = {
  name: 'SolveRequest',
  fields: [
    bytes(1, 'definition'),
    string(2, 'frontend'),
    string(3, 'frontendOpt', map),
    bool(5, 'allowResultReturn'),
    bool(6, 'allowResultArrayRef'),
    bool(10, 'final'),
    bytes(11, 'exporterAttr'),
    message(
      12,
      'cacheImports',
      () => ({ name: 'CacheOptionsEntry', fields: [string(1, 'type'), string(2, 'attrs', map)] }),
      many,
    ),
    bytes(13, 'frontendInputs', map),
    bool(14, 'evaluate'),
    bytes(15, 'sourcePolicies', many),
  ],
};

const solveResponseSchema: MessageSchema = {
  name: 'SolveResponse',
  fields: [string(1, 'ref'), message(3, 'result', () => resultSchema)],
};

const readFileRequestSchema: MessageSchema = {
  name: 'ReadFileRequest',
  fields: [
    string(1, 'ref'),
    string(2, 'path'),
    message(3, 'range', () => ({ name: 'FileRange', fields: [int64(1, 'offset'), int64(2, 'length')] })),
    int32(4, 'mountIndex'),
  ],
};

const readFileResponseSchema: MessageSchema = { name: 'ReadFileResponse', fields: [bytes(1, 'data')] };

/** `fsutil.types.Stat`, without the extended attributes that no image has. */
export const statSchema: MessageSchema = {
  name: 'Stat',
  fields: [
    string(1, 'path'),
    uint32(2, 'mode'),
    uint32(3, 'uid'),
    uint32(4, 'gid'),
    int64(5, 'size'),
    nanoseconds(6, 'modTime'),
    string(7, 'linkname'),
  ],
};

const readDirRequestSchema: MessageSchema = {
  name: 'ReadDirRequest',
  fields: [string(1, 'ref'), string(2, 'path'), string(3, 'includePattern'), int32(4, 'mountIndex')],
};

const readDirResponseSchema: MessageSchema = {
  name: 'ReadDirResponse',
  fields: [message(1, 'entries', () => statSchema, many)],
};

const statFileRequestSchema: MessageSchema = {
  name: 'StatFileRequest',
  fields: [string(1, 'ref'), string(2, 'path'), int32(3, 'mountIndex')],
};

const statFileResponseSchema: MessageSchema = {
  name: 'StatFileResponse',
  fields: [message(1, 'stat', () => statSchema)],
};

const evaluateRequestSchema: MessageSchema = { name: 'EvaluateRequest', fields: [string(1, 'ref')] };

const resolveImageRequestSchema: MessageSchema = {
  name: 'ResolveImageConfigRequest',
  fields: [
    string(1, 'ref'),
    message(2, 'platform', () => platformSchema),
    string(3, 'resolveMode'),
    string(4, 'logName'),
    int32(5, 'resolverType'),
    string(6, 'sessionId'),
    string(7, 'storeId'),
    bytes(8, 'sourcePolicies', many),
  ],
};

const resolveImageResponseSchema: MessageSchema = {
  name: 'ResolveImageConfigResponse',
  fields: [string(1, 'digest'), bytes(2, 'config'), string(3, 'ref')],
};

const sourceSchema: MessageSchema = { name: 'SourceOp', fields: [string(1, 'identifier'), string(2, 'attrs', map)] };

const resolveSourceRequestSchema: MessageSchema = {
  name: 'ResolveSourceMetaRequest',
  fields: [
    message(1, 'source', () => sourceSchema),
    message(2, 'platform', () => platformSchema),
    string(3, 'logName'),
    string(4, 'resolveMode'),
    message(5, 'git', () => ({ name: 'ResolveSourceGitRequest', fields: [bool(1, 'returnObject')] })),
    message(6, 'image', () => ({
      name: 'ResolveSourceImageRequest',
      fields: [bool(1, 'noConfig'), bool(2, 'attestationChain'), string(3, 'resolveAttestations', many)],
    })),
    message(7, 'http', () => ({ name: 'ResolveSourceHTTPRequest', fields: [bytes(1, 'checksumRequest')] })),
    bytes(8, 'sourcePolicies', many),
  ],
};

const resolveSourceResponseSchema: MessageSchema = {
  name: 'ResolveSourceMetaResponse',
  fields: [
    message(1, 'source', () => sourceSchema),
    message(2, 'image', () => ({
      name: 'ResolveSourceImageResponse',
      fields: [string(1, 'digest'), bytes(2, 'config')],
    })),
    message(3, 'git', () => ({
      name: 'ResolveSourceGitResponse',
      fields: [string(1, 'checksum'), string(2, 'ref'), string(3, 'commitChecksum')],
    })),
    message(4, 'http', () => ({
      name: 'ResolveSourceHTTPResponse',
      fields: [
        string(1, 'checksum'),
        string(2, 'filename'),
        message(3, 'lastModified', () => ({ name: 'Timestamp', fields: [int64(1, 'seconds'), int32(2, 'nanos')] })),
      ],
    })),
  ],
};

const inputsResponseSchema: MessageSchema = { name: 'InputsResponse', fields: [bytes(1, 'definitions', map)] };

const capabilitySchema: MessageSchema = { name: 'APICap', fields: [string(1, 'id'), bool(2, 'enabled')] };

const pongSchema: MessageSchema = {
  name: 'PongResponse',
  fields: [
    message(1, 'frontendApiCaps', () => capabilitySchema, many),
    message(2, 'llbCaps', () => capabilitySchema, many),
    message(
      3,
      'workers',
      () => ({
        name: 'WorkerRecord',
        fields: [string(1, 'id'), string(2, 'labels', map), message(3, 'platforms', () => platformSchema, many)],
      }),
      many,
    ),
  ],
};

const positionSchema: MessageSchema = { name: 'Position', lenient: true, fields: [int32(1, 'line')] };

const warnRequestSchema: MessageSchema = {
  name: 'WarnRequest',
  lenient: true,
  fields: [
    bytes(3, 'short'),
    message(6, 'info', () => ({ name: 'SourceInfo', lenient: true, fields: [string(1, 'filename')] })),
    message(
      7,
      'ranges',
      () => ({
        name: 'Range',
        lenient: true,
        fields: [message(1, 'start', () => positionSchema), message(2, 'end', () => positionSchema)],
      }),
      many,
    ),
  ],
};

/** Of the service for health checks (grpc.health.v1): what is served is healthy. */
export const healthResponseSchema: MessageSchema = { name: 'HealthCheckResponse', fields: [int32(1, 'status')] };

/** The messages of each method that is answered. */
export const methods: {
  readonly [N in keyof Requests]: { readonly request: MessageSchema; readonly response: MessageSchema };
} = {
  Ping: { request: emptySchema, response: pongSchema },
  Solve: { request: solveRequestSchema, response: solveResponseSchema },
  ReadFile: { request: readFileRequestSchema, response: readFileResponseSchema },
  ReadDir: { request: readDirRequestSchema, response: readDirResponseSchema },
  StatFile: { request: statFileRequestSchema, response: statFileResponseSchema },
  Evaluate: { request: evaluateRequestSchema, response: emptySchema },
  ResolveImageConfig: { request: resolveImageRequestSchema, response: resolveImageResponseSchema },
  ResolveSourceMeta: { request: resolveSourceRequestSchema, response: resolveSourceResponseSchema },
  Inputs: { request: emptySchema, response: inputsResponseSchema },
  Warn: { request: warnRequestSchema, response: emptySchema },
  Return: { request: returnSchema, response: emptySchema },
  NewContainer: { request: newContainerSchema, response: emptySchema },
  ReleaseContainer: { request: releaseContainerSchema, response: emptySchema },
  ReadFileContainer: { request: readFileRequestSchema, response: readFileResponseSchema },
  ReadDirContainer: { request: readDirRequestSchema, response: readDirResponseSchema },
  StatFileContainer: { request: statFileRequestSchema, response: statFileResponseSchema },
};
