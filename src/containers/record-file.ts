import fs from 'node:fs';
import { errnoOf } from '../util/index.ts';

/** What is there and is no record: a power cut or a full disk has left part of one, or another version of tsbuild has written it. */
export type Damaged = 'damaged';

/**
 * Reads a record of the store, a file of JSON.
 * @param isWhole whether an object has what everybody relies on
 * @returns undefined where there is none
 * @throws the system error where it cannot be read
 */
export function readRecord<T extends object>(
  path: string,
  isWhole: (value: Partial<T>) => boolean,
): T | Damaged | undefined {
  let text: string;
  try {
    text = fs.readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'damaged';
  }
  return isObject(value) && isWhole(value as Partial<T>) ? (value as T) : 'damaged';
}

/** Whether a value of a record is an object, and no list. */
export function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
