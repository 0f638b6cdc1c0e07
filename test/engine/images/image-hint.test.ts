import { describe, expect, test } from 'vitest';
import { withImageHint } from '../../../src/engine/images/image-hint.ts';
import { type ErrorCode, isTsbuildError, TsbuildError } from '../../../src/util/index.ts';
import { openStore, putImage } from '../../store/support.ts';

/** The hint of an image that could not be had, in a store with these images. */
function hintOf(
  reference: string,
  code: ErrorCode,
  options: { readonly stored?: readonly string[]; readonly hint?: string } = {},
): string | undefined {
  using opened = openStore();
  for (const name of options.stored ?? []) putImage(opened.store, name, ['layer']);
  const error = new TsbuildError(code, 'Cannot load', options.hint === undefined ? {} : { hint: options.hint });
  const shown = withImageHint(error, opened.store, reference);
  if (!isTsbuildError(shown)) throw new Error('Another error');
  expect(shown).toMatchObject({ code, message: 'Cannot load' });
  return shown.hint;
}

describe('an image that cannot be had', () => {
  const stored = ['docker.io/library/python:3', 'ghcr.io/team/service:1'];

  test.each<[string, string]>([
    ['docker.io/library/pyton:3', 'python:3'],
    ['docker.io/library/python:2', 'python:3'],
    ['ghcr.io/team/servise:1', 'ghcr.io/team/service:1'],
  ])('%s may be a slip for %s', (typed, meant) => {
    for (const code of ['TSB_NETWORK', 'TSB_NOT_FOUND', 'TSB_REGISTRY'] as const)
      expect(hintOf(typed, code, { stored })).toBe(
        `did you mean ${JSON.stringify(meant)}, which is in the local image store?`,
      );
  });

  test('without a network and with no name near: how an image comes here', () => {
    expect(hintOf('docker.io/library/debian:12', 'TSB_NETWORK', { stored })).toMatch(/tsbuild import FILE -t NAME/);
    expect(hintOf('docker.io/library/debian:12', 'TSB_NOT_FOUND', { stored })).toBeUndefined();
  });

  test('its own name is no suggestion', () => {
    expect(hintOf('docker.io/library/python:3', 'TSB_NOT_FOUND', { stored: stored.slice(0, 1) })).toBeUndefined();
  });

  test('a hint that it has stays, unless a name is near', () => {
    expect(hintOf('docker.io/library/debian:12', 'TSB_NETWORK', { stored, hint: 'log in' })).toBe('log in');
    expect(hintOf('docker.io/library/pyton:3', 'TSB_NETWORK', { stored, hint: 'wait' })).toContain('did you mean');
  });

  test('who is not let in wants no other name', () => {
    expect(hintOf('docker.io/library/pyton:3', 'TSB_REGISTRY', { stored, hint: 'log in' })).toBe('log in');
  });

  test('other failures, layouts, and what is no error of ours stay as they are', () => {
    expect(hintOf('docker.io/library/pyton:3', 'TSB_NO_SPACE', { stored })).toBeUndefined();
    expect(hintOf('oci-layout:///x/pyton:3', 'TSB_NOT_FOUND', { stored })).toBeUndefined();
    using opened = openStore();
    const fault = new TypeError('x');
    expect(withImageHint(fault, opened.store, 'docker.io/library/a:1')).toBe(fault);
  });
});
