import {
  bool,
  bytes,
  type EnumSchema,
  enumeration,
  int32,
  int64,
  message,
  type MessageSchema,
  nanoseconds,
  string,
  uint32,
  uint64,
} from './schema.ts';

const many = { repeated: true } as const;
const map = { map: true } as const;
const oneof = { oneof: true } as const;

/** `pb.NetMode`. */
export const networkMode: EnumSchema = {
  name: 'NetMode',
  values: ['sandbox', 'host', 'none'],
  json: ['UNSET', 'HOST', 'NONE'],
};
/** `pb.SecurityMode`. */
export const securityMode: EnumSchema = {
  name: 'SecurityMode',
  values: ['sandbox', 'insecure'],
  json: ['SANDBOX', 'INSECURE'],
};
const mountType: EnumSchema = {
  name: 'MountType',
  values: ['bind', 'secret', 'ssh', 'cache', 'tmpfs'],
  json: ['BIND', 'SECRET', 'SSH', 'CACHE', 'TMPFS'],
};
const contentCache: EnumSchema = {
  name: 'MountContentCache',
  values: ['default', 'on', 'off'],
  json: ['DEFAULT', 'ON', 'OFF'],
};
const cacheSharing: EnumSchema = {
  name: 'CacheSharingOpt',
  values: ['shared', 'private', 'locked'],
  json: ['SHARED', 'PRIVATE', 'LOCKED'],
};

const inputSchema: MessageSchema = { name: 'Input', fields: [string(1, 'digest'), int64(2, 'index')] };

const platformSchema: MessageSchema = {
  name: 'Platform',
  fields: [
    string(1, 'architecture', { json: 'Architecture' }),
    string(2, 'os', { json: 'OS' }),
    string(3, 'variant', { json: 'Variant' }),
    string(4, 'osVersion', { json: 'OSVersion' }),
    string(5, 'osFeatures', { json: 'OSFeatures', repeated: true }),
  ],
};

const constraintsSchema: MessageSchema = { name: 'WorkerConstraints', fields: [string(1, 'filter', many)] };

/** `pb.Op`. */
export const opSchema: MessageSchema = {
  name: 'Op',
  oneof: { property: 'body' },
  fields: [
    message(1, 'inputs', () => inputSchema, many),
    message(2, 'exec', () => execSchema, oneof),
    message(3, 'source', () => sourceOpSchema, oneof),
    message(4, 'file', () => fileSchema, oneof),
    message(5, 'build', () => buildSchema, oneof),
    message(6, 'merge', () => mergeSchema, oneof),
    message(7, 'diff', () => diffSchema, oneof),
    message(8, 'passthrough', () => passthroughSchema, oneof),
    message(10, 'platform', () => platformSchema),
    message(11, 'constraints', () => constraintsSchema),
  ],
};

const execSchema: MessageSchema = {
  name: 'ExecOp',
  fields: [
    message(1, 'meta', () => metaSchema),
    message(2, 'mounts', () => mountSchema, many),
    enumeration(3, 'network', networkMode),
    enumeration(4, 'security', securityMode),
    message(5, 'secretEnv', () => secretEnvSchema, { json: 'secretenv', repeated: true }),
    message(6, 'cdiDevices', () => cdiDeviceSchema, many),
  ],
};

/** `pb.Meta`. */
export const metaSchema: MessageSchema = {
  name: 'Meta',
  fields: [
    string(1, 'args', many),
    string(2, 'env', many),
    string(3, 'cwd'),
    string(4, 'user'),
    message(5, 'proxyEnv', () => proxyEnvSchema),
    message(6, 'extraHosts', () => hostIpSchema, many),
    string(7, 'hostname'),
    message(9, 'ulimits', () => ulimitSchema, { json: 'ulimit', repeated: true }),
    string(10, 'cgroupParent'),
    bool(11, 'removeMountStubsRecursive'),
    int32(12, 'validExitCodes', many),
  ],
};

/** `pb.HostIP`. */
export const hostIpSchema: MessageSchema = {
  name: 'HostIP',
  fields: [string(1, 'host', { json: 'Host' }), string(2, 'ip', { json: 'IP' })],
};

const ulimitSchema: MessageSchema = {
  name: 'Ulimit',
  fields: [string(1, 'name', { json: 'Name' }), int64(2, 'soft', { json: 'Soft' }), int64(3, 'hard', { json: 'Hard' })],
};

/** `pb.SecretEnv`. */
export const secretEnvSchema: MessageSchema = {
  name: 'SecretEnv',
  fields: [string(1, 'id', { json: 'ID' }), string(2, 'name'), bool(3, 'optional')],
};

const cdiDeviceSchema: MessageSchema = { name: 'CDIDevice', fields: [string(1, 'name'), bool(2, 'optional')] };

const proxyEnvSchema: MessageSchema = {
  name: 'ProxyEnv',
  fields: [
    string(1, 'httpProxy'),
    string(2, 'httpsProxy'),
    string(3, 'ftpProxy'),
    string(4, 'noProxy'),
    string(5, 'allProxy'),
  ],
};

/** `pb.Mount`. */
export const mountSchema: MessageSchema = {
  name: 'Mount',
  fields: [
    int64(1, 'input'),
    string(2, 'selector'),
    string(3, 'dest'),
    int64(4, 'output'),
    bool(5, 'readonly'),
    enumeration(6, 'type', mountType, { json: 'mountType' }),
    message(19, 'tmpfs', () => tmpfsSchema, { json: 'TmpfsOpt' }),
    message(20, 'cache', () => cacheSchema, { json: 'cacheOpt' }),
    message(21, 'secret', () => credentialSchema('SecretOpt'), { json: 'secretOpt' }),
    message(22, 'ssh', () => credentialSchema('SSHOpt'), { json: 'SSHOpt' }),
    string(23, 'resultId', { json: 'resultID' }),
    enumeration(24, 'contentCache', contentCache),
  ],
};

const tmpfsSchema: MessageSchema = { name: 'TmpfsOpt', fields: [int64(1, 'size')] };

const cacheSchema: MessageSchema = {
  name: 'CacheOpt',
  fields: [string(1, 'id', { json: 'ID' }), enumeration(2, 'sharing', cacheSharing)],
};

/** SecretOpt and SSHOpt have the same fields. */
function credentialSchema(name: string): MessageSchema {
  return {
    name,
    fields: [
      string(1, 'id', { json: 'ID' }),
      uint32(2, 'uid'),
      uint32(3, 'gid'),
      uint32(4, 'mode'),
      bool(5, 'optional'),
    ],
  };
}

const sourceOpSchema: MessageSchema = { name: 'SourceOp', fields: [string(1, 'identifier'), string(2, 'attrs', map)] };

const fileSchema: MessageSchema = { name: 'FileOp', fields: [message(2, 'actions', () => actionSchema, many)] };

const actionSchema: MessageSchema = {
  name: 'FileAction',
  oneof: 'inline',
  fields: [
    int64(1, 'input'),
    int64(2, 'secondaryInput'),
    int64(3, 'output'),
    message(4, 'copy', () => copySchema, oneof),
    message(5, 'mkfile', () => mkfileSchema, oneof),
    message(6, 'mkdir', () => mkdirSchema, oneof),
    message(7, 'rm', () => rmSchema, oneof),
    message(8, 'symlink', () => symlinkSchema, oneof),
  ],
};

const copySchema: MessageSchema = {
  name: 'FileActionCopy',
  fields: [
    string(1, 'src'),
    string(2, 'dest'),
    message(3, 'owner', () => chownSchema),
    int32(4, 'mode'),
    bool(5, 'followSymlink'),
    bool(6, 'dirCopyContents'),
    bool(7, 'attemptUnpack', { json: 'attemptUnpackDockerCompatibility' }),
    bool(8, 'createDestPath'),
    bool(9, 'allowWildcard'),
    bool(10, 'allowEmptyWildcard'),
    nanoseconds(11, 'timestamp'),
    string(12, 'includePatterns', many),
    string(13, 'excludePatterns', many),
    bool(14, 'alwaysReplaceExistingDestPaths'),
    string(15, 'modeStr'),
    string(16, 'requiredPaths', many),
  ],
};

const mkfileSchema: MessageSchema = {
  name: 'FileActionMkFile',
  fields: [
    string(1, 'path'),
    int32(2, 'mode'),
    bytes(3, 'data'),
    message(4, 'owner', () => chownSchema),
    nanoseconds(5, 'timestamp'),
  ],
};

const mkdirSchema: MessageSchema = {
  name: 'FileActionMkDir',
  fields: [
    string(1, 'path'),
    int32(2, 'mode'),
    bool(3, 'makeParents'),
    message(4, 'owner', () => chownSchema),
    nanoseconds(5, 'timestamp'),
  ],
};

const rmSchema: MessageSchema = {
  name: 'FileActionRm',
  fields: [string(1, 'path'), bool(2, 'allowNotFound'), bool(3, 'allowWildcard')],
};

const symlinkSchema: MessageSchema = {
  name: 'FileActionSymlink',
  fields: [
    string(1, 'oldPath', { json: 'oldpath' }),
    string(2, 'newPath', { json: 'newpath' }),
    message(3, 'owner', () => chownSchema),
    nanoseconds(4, 'timestamp'),
  ],
};

const chownSchema: MessageSchema = {
  name: 'ChownOpt',
  fields: [message(1, 'user', () => userSchema), message(2, 'group', () => userSchema)],
};

const userSchema: MessageSchema = {
  name: 'UserOpt',
  oneof: 'inline',
  fields: [
    message(1, 'byName', () => namedUserSchema, oneof),
    uint32(2, 'id', { json: 'byID', oneof: true, tag: 'byId' }),
  ],
};

const namedUserSchema: MessageSchema = { name: 'NamedUserOpt', fields: [string(1, 'name'), int64(2, 'input')] };

const indexSchema: MessageSchema = { name: 'MergeInput', fields: [int64(1, 'input')] };
const mergeSchema: MessageSchema = { name: 'MergeOp', fields: [message(1, 'inputs', () => indexSchema, many)] };
const diffSchema: MessageSchema = {
  name: 'DiffOp',
  fields: [message(1, 'lower', () => indexSchema), message(2, 'upper', () => indexSchema)],
};

const buildSchema: MessageSchema = {
  name: 'BuildOp',
  fields: [
    int64(1, 'builder'),
    message(2, 'inputs', () => indexSchema, map),
    message(3, 'def', () => definitionSchema),
    string(4, 'attrs', map),
  ],
};

const passthroughSchema: MessageSchema = {
  name: 'PassthroughOp',
  fields: [string(1, 'id'), int64(2, 'outputs', many)],
};

/** `pb.Definition`. */
export const definitionSchema: MessageSchema = {
  name: 'Definition',
  fields: [
    bytes(1, 'def', many),
    message(2, 'metadata', () => metadataSchema, map),
    message(3, 'source', () => sourceMapSchema, { json: 'Source' }),
  ],
};

/** `pb.OpMetadata`: about the build, not part of any digest. */
export const metadataSchema: MessageSchema = {
  name: 'OpMetadata',
  lenient: true,
  fields: [
    bool(1, 'ignoreCache'),
    string(2, 'description', map),
    message(4, 'exportCache', () => ({ name: 'ExportCache', fields: [bool(1, 'value', { json: 'Value' })] })),
    bool(5, 'caps', map),
    message(6, 'progressGroup', () => progressGroupSchema),
    message(7, 'linuxResources', () => linuxResourcesSchema),
  ],
};

const progressGroupSchema: MessageSchema = {
  name: 'ProgressGroup',
  lenient: true,
  fields: [string(1, 'id'), string(2, 'name'), bool(3, 'weak')],
};

const linuxResourcesSchema: MessageSchema = {
  name: 'LinuxResources',
  lenient: true,
  fields: [
    int64(1, 'memory'),
    int64(2, 'memorySwap'),
    uint64(3, 'cpuShares'),
    uint64(4, 'cpuPeriod'),
    int64(5, 'cpuQuota'),
    string(6, 'cpusetCpus'),
    string(7, 'cpusetMems'),
  ],
};

/** `pb.Source`: where vertices come from. */
export const sourceMapSchema: MessageSchema = {
  name: 'Source',
  lenient: true,
  fields: [message(1, 'locations', () => locationsSchema, map), message(2, 'infos', () => sourceInfoSchema, many)],
};

const sourceInfoSchema: MessageSchema = {
  name: 'SourceInfo',
  lenient: true,
  fields: [
    string(1, 'filename'),
    bytes(2, 'data'),
    message(3, 'definition', () => definitionSchema),
    string(4, 'language'),
  ],
};

const locationsSchema: MessageSchema = {
  name: 'Locations',
  lenient: true,
  fields: [message(1, 'locations', () => locationSchema, many)],
};

const locationSchema: MessageSchema = {
  name: 'Location',
  lenient: true,
  fields: [int32(1, 'sourceIndex'), message(2, 'ranges', () => rangeSchema, many)],
};

const rangeSchema: MessageSchema = {
  name: 'Range',
  lenient: true,
  fields: [message(1, 'start', () => positionSchema), message(2, 'end', () => positionSchema)],
};

const positionSchema: MessageSchema = {
  name: 'Position',
  lenient: true,
  fields: [int32(1, 'line'), int32(2, 'character')],
};
