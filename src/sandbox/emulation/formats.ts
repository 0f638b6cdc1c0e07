import { readdirSync, readFileSync } from 'node:fs';

/** A format of programs that the machine hands to an interpreter (Documentation/admin-guide/binfmt-misc.rst of Linux). */
export interface RegisteredFormat {
  readonly interpreter: string;
  /** The kernel holds the interpreter open, so that it need not be in a step's root (flag `F`). */
  readonly isFixed: boolean;
  /** Compared with the bytes of a program from `offset`, after masking. */
  readonly magic: Buffer;
  readonly mask: Buffer;
  readonly offset: number;
}

/** Where machines have them. */
const MACHINE_FORMATS = '/proc/sys/fs/binfmt_misc';

/** The enabled formats of the machine that look at content; none where the list cannot be read, as in most containers. */
export function readFormats(directory: string = MACHINE_FORMATS): readonly RegisteredFormat[] {
  try {
    if (readFileSync(`${directory}/status`, 'utf8').trim() !== 'enabled') return [];
    return readdirSync(directory)
      .filter((name) => name !== 'register' && name !== 'status')
      .map((name) => parseFormat(readFileSync(`${directory}/${name}`, 'utf8')))
      .filter((format) => format !== undefined);
  } catch {
    return [];
  }
}

/** One entry as the kernel prints it; undefined when it is disabled or goes by the name of files. */
export function parseFormat(text: string): RegisteredFormat | undefined {
  const lines = text.split('\n');
  if (lines[0] !== 'enabled') return undefined;
  const field = (name: string): string | undefined => {
    const line = lines.find((each) => each.startsWith(`${name} `));
    return line?.slice(name.length + 1);
  };
  const [interpreter, magic] = [field('interpreter'), field('magic')];
  if (interpreter === undefined || magic === undefined) return undefined;
  const bytes = Buffer.from(magic, 'hex');
  const mask = field('mask');
  return {
    interpreter,
    isFixed: lines.some((line) => line.startsWith('flags: ') && line.slice(7).includes('F')),
    magic: bytes,
    mask: mask === undefined ? Buffer.alloc(bytes.length, 0xff) : Buffer.from(mask, 'hex'),
    offset: Number(field('offset') ?? 0),
  };
}

/** Whether a format takes a program. */
export function takes({ magic, mask, offset }: RegisteredFormat, program: Buffer): boolean {
  const part = program.subarray(offset, offset + magic.length);
  if (part.length < magic.length) return false;
  return magic.every((byte, index) => (((part[index] ?? 0) ^ byte) & (mask[index] ?? 0xff)) === 0);
}
