/** A small terminal: rows of characters, a cursor, and the sequences that the display uses; anything else is an error. */
export class Terminal {
  columns: number;
  rows: number;
  /** Everything that was ever on screen, scrolled off or not. */
  lines: string[] = [''];
  cursorVisible = true;
  #row = 0;
  #column = 0;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  get screen(): string[] {
    return this.lines.slice(-this.rows).map((line) => line.trimEnd());
  }

  get text(): string {
    return this.lines
      .map((line) => line.trimEnd())
      .join('\n')
      .trimEnd();
  }

  write(text: string): void {
    // eslint-disable-next-line no-control-regex
    const parts = text.match(/\u001b\[\??[\d;]*[A-Za-z]|[\s\S]/gu) ?? [];
    for (const part of parts) {
      if (part.length > 2 && part.startsWith('\u001b')) this.#sequence(part);
      else if (part === '\n') this.#newline();
      else if (part === '\r') this.#column = 0;
      else if (part < ' ') throw new Error(`Unexpected control character ${JSON.stringify(part)}`);
      else this.#put(part);
    }
  }

  /** Rewraps long lines, as terminals do. */
  resize(columns: number): void {
    const full = this.lines.slice(0, this.#row).map((line) => line.trimEnd());
    this.columns = columns;
    this.lines = full.flatMap((line) => {
      const parts: string[] = [];
      for (let at = 0; at === 0 || at < line.length; at += columns) parts.push(line.slice(at, at + columns));
      return parts;
    });
    this.lines.push('');
    this.#row = this.lines.length - 1;
    this.#column = 0;
  }

  #sequence(sequence: string): void {
    const count = Number(/\d+/.exec(sequence)?.[0] ?? '1');
    if (sequence === '\u001b[?25l') this.cursorVisible = false;
    else if (sequence === '\u001b[?25h') this.cursorVisible = true;
    else if (sequence.endsWith('A'))
      this.#row = Math.max(Math.max(0, this.lines.length - this.rows), this.#row - count);
    else if (sequence === '\u001b[K') this.lines[this.#row] = (this.lines[this.#row] ?? '').slice(0, this.#column);
    else if (sequence === '\u001b[J') {
      this.lines[this.#row] = (this.lines[this.#row] ?? '').slice(0, this.#column);
      this.lines.length = this.#row + 1;
    } else if (!sequence.endsWith('m')) throw new Error(`Unexpected sequence ${JSON.stringify(sequence)}`);
  }

  #newline(): void {
    this.#row++;
    this.#column = 0;
    if (this.#row === this.lines.length) this.lines.push('');
  }

  #put(char: string): void {
    if (this.#column >= this.columns) this.#newline();
    const line = (this.lines[this.#row] ?? '').padEnd(this.#column);
    this.lines[this.#row] = line.slice(0, this.#column) + char + line.slice(this.#column + char.length);
    this.#column += char.length;
  }
}
