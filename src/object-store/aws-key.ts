/** A key that requests are signed with. */
export interface AwsKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** When it ends to be valid, in milliseconds since the epoch. */
  readonly expiresAt?: number;
  /** For messages, e.g. `the variable AWS_ACCESS_KEY_ID`. */
  readonly from: string;
}
