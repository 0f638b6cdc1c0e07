/** Codes of the distribution spec ("Error Codes"), and docker-registry's for what the spec has none for. */
export type FaultCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'RANGE_INVALID'
  | 'SIZE_INVALID'
  | 'TAG_INVALID'
  | 'TOOMANYREQUESTS'
  | 'UNAUTHORIZED'
  | 'UNKNOWN'
  | 'UNSUPPORTED';

/** An answer that is an error, as clients read it. */
export class Fault extends Error {
  readonly status: number;
  readonly code: FaultCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: FaultCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'Fault';
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  /** The body: what the spec has clients expect. */
  get body(): string {
    return `${JSON.stringify({ errors: [{ code: this.code, message: this.message }] })}\n`;
  }
}
