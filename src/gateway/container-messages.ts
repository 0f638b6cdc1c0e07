import {
  bool,
  bytes,
  enumeration,
  hostIpSchema,
  message,
  type MessageSchema,
  metaSchema,
  mountSchema,
  networkMode,
  secretEnvSchema,
  securityMode,
  string,
  uint32,
} from '../llb/index.ts';
import { platformSchema, statusSchema } from './shared-messages.ts';

/** Messages of the calls for containers (frontend/gateway/pb/gateway.proto). */

const many = { repeated: true } as const;
const oneof = { oneof: true } as const;

/** `NewContainerRequest`. */
export const newContainerSchema: MessageSchema = {
  name: 'NewContainerRequest',
  fields: [
    string(1, 'containerId'),
    message(2, 'mounts', () => mountSchema, many),
    enumeration(3, 'network', networkMode),
    message(4, 'platform', () => platformSchema),
    message(5, 'constraints', () => ({ name: 'WorkerConstraints', fields: [string(1, 'filter', many)] })),
    message(6, 'extraHosts', () => hostIpSchema, many),
    string(7, 'hostname'),
  ],
};

/** `ReleaseContainerRequest`. */
export const releaseContainerSchema: MessageSchema = {
  name: 'ReleaseContainerRequest',
  fields: [string(1, 'containerId')],
};

const initSchema: MessageSchema = {
  name: 'InitMessage',
  fields: [
    string(1, 'containerId'),
    message(2, 'meta', () => metaSchema),
    uint32(3, 'fds', many),
    bool(4, 'tty'),
    enumeration(5, 'security', securityMode),
    message(6, 'secretEnv', () => secretEnvSchema, many),
  ],
};

/** `ExecMessage`, both ways. */
export const execMessageSchema: MessageSchema = {
  name: 'ExecMessage',
  oneof: { property: 'input' },
  fields: [
    string(1, 'processId'),
    message(2, 'init', () => initSchema, oneof),
    message(
      3,
      'file',
      () => ({ name: 'FdMessage', fields: [uint32(1, 'fd'), bool(2, 'eof'), bytes(3, 'data')] }),
      oneof,
    ),
    message(4, 'resize', () => ({ name: 'ResizeMessage', fields: [uint32(1, 'rows'), uint32(2, 'columns')] }), oneof),
    message(5, 'started', () => ({ name: 'StartedMessage', fields: [] }), oneof),
    message(
      6,
      'exit',
      () => ({ name: 'ExitMessage', fields: [uint32(1, 'code'), message(2, 'error', () => statusSchema)] }),
      oneof,
    ),
    message(7, 'done', () => ({ name: 'DoneMessage', fields: [] }), oneof),
    message(8, 'signal', () => ({ name: 'SignalMessage', fields: [string(1, 'name')] }), oneof),
  ],
};
