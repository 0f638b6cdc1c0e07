/** Builds tar archives byte by byte, valid or not. */
export interface HeaderFields {
  readonly name?: Buffer | string;
  readonly mode?: string;
  readonly uid?: Buffer | string;
  readonly gid?: Buffer | string;
  readonly size?: Buffer | string | number;
  readonly mtime?: Buffer | string;
  readonly type?: string;
  readonly link?: Buffer | string;
  readonly magic?: string;
  readonly prefix?: Buffer | string;
  readonly major?: Buffer | string;
  readonly minor?: Buffer | string;
  /** Written last, anywhere in the block, before the checksum is made. */
  readonly raw?: ReadonlyArray<readonly [number, Buffer]>;
}

const bytes = (value: Buffer | string): Buffer => (typeof value === 'string' ? Buffer.from(value, 'latin1') : value);

/** One header block with a right checksum. */
export function header(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(512);
  const put = (value: Buffer | string, offset: number, length: number): void => {
    bytes(value).copy(block, offset, 0, Math.min(bytes(value).length, length));
  };
  const { size = 0 } = fields;
  put(fields.name ?? '', 0, 100);
  put(fields.mode ?? '0000644\0', 100, 8);
  put(fields.uid ?? '0000000\0', 108, 8);
  put(fields.gid ?? '0000000\0', 116, 8);
  put(typeof size === 'number' ? octal(size, 11) : size, 124, 12);
  put(fields.mtime ?? '00000000000\0', 136, 12);
  put(fields.type ?? '0', 156, 1);
  put(fields.link ?? '', 157, 100);
  put(fields.magic ?? 'ustar\u000000', 257, 8);
  put(fields.major ?? '', 329, 8);
  put(fields.minor ?? '', 337, 8);
  put(fields.prefix ?? '', 345, 155);
  for (const [offset, value] of fields.raw ?? []) put(value, offset, value.length);
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8);
  return block;
}

export function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\0`;
}

/** Base-256 in a field of `length` bytes, two's complement. */
export function base256(value: bigint, length: number): Buffer {
  const field = Buffer.alloc(length);
  let rest = BigInt.asUintN(length * 8, value);
  for (let index = length - 1; index >= 0; index--) {
    field[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  field[0] = (field[0] ?? 0) | 0x80;
  return field;
}

/** Content, padded to whole blocks. */
export function content(data: Buffer | string): Buffer {
  const raw = bytes(data);
  return Buffer.concat([raw, Buffer.alloc((512 - (raw.length % 512)) % 512)]);
}

/** A header with its content. */
export function entry(fields: HeaderFields, data: Buffer | string = ''): Buffer {
  return Buffer.concat([header({ size: bytes(data).length, ...fields }), content(data)]);
}

/** One PAX record, with its right length. */
export function record(key: string, value: Buffer | string): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), bytes(value), Buffer.from('\n')]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** A PAX extended header of records. */
export function pax(records: Readonly<Record<string, Buffer | string>> | Buffer, type = 'x'): Buffer {
  const data = Buffer.isBuffer(records)
    ? records
    : Buffer.concat(Object.entries(records).map(([key, value]) => record(key, value)));
  return entry({ name: 'PaxHeader', type }, data);
}

/** A GNU long name (L) or long link (K). */
export function gnuLong(type: 'L' | 'K', name: string): Buffer {
  return entry({ name: '././@LongLink', type, magic: 'ustar  \0' }, `${name}\0`);
}

export const END: Buffer = Buffer.alloc(1024);

export function archive(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([...parts, END]);
}

export const file = (name: Buffer | string, data: Buffer | string = '', fields: HeaderFields = {}): Buffer =>
  entry({ name, ...fields }, data);
export const dir = (name: Buffer | string, fields: HeaderFields = {}): Buffer =>
  header({ name, type: '5', mode: '0000755\0', ...fields });
export const symlink = (name: Buffer | string, link: Buffer | string): Buffer =>
  header({ name, type: '2', mode: '0000777\0', link });
export const hardlink = (name: Buffer | string, link: Buffer | string): Buffer => header({ name, type: '1', link });
