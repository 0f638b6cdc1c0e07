import { bytes, int32, message, type MessageSchema, string } from '../llb/index.ts';

/** Messages that several calls have in theirs. */

const many = { repeated: true } as const;

/** `pb.Platform`. */
export const platformSchema: MessageSchema = {
  name: 'Platform',
  fields: [
    string(1, 'architecture'),
    string(2, 'os'),
    string(3, 'variant'),
    string(4, 'osVersion'),
    string(5, 'osFeatures', many),
  ],
};

/** `google.rpc.Status`. */
export const statusSchema: MessageSchema = {
  name: 'Status',
  lenient: true,
  fields: [
    int32(1, 'code'),
    string(2, 'message'),
    message(3, 'details', () => ({ name: 'Any', fields: [string(1, 'typeUrl'), bytes(2, 'value')] }), many),
  ],
};
