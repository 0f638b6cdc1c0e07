/** A number that Go has as a `float64`: one that is written with a point or an exponent, whatever it is worth. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** What a `float64` is worth; undefined for all else. Of data, numbers that are not whole are some. */
export function floatOf(value: unknown): number | undefined {
  if (value instanceof Float) return value.value;
  return typeof value === 'number' && !Number.isInteger(value) ? value : undefined;
}

/** A `float64` as Go's `%g` has it: as few digits as tell the number, with an exponent where it is large or small. @param value not negative */
export function shortest(value: number, precision?: number): string {
  const exact = precision === undefined ? value : Number(value.toPrecision(Math.max(1, precision)));
  const power = exact === 0 ? 0 : Math.floor(Math.log10(exact));
  return power < -4 || power >= (precision === undefined ? 21 : Math.max(1, precision))
    ? longExponent(exact.toExponential())
    : String(exact);
}

/** Exponents of Go have two digits at least. */
export function longExponent(shown: string): string {
  return shown.replace(/e([-+])(\d)$/, 'e$10$2');
}
