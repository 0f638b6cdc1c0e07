import { describe, expect, test } from 'vitest';
import { parseCall } from '../../../src/cli/options/call-option.ts';

// buildx: util/buildflags ParseCallFunc.
describe('--call', () => {
  test.each([
    ['', { method: 'build', json: false, ignoresStatus: false }],
    ['build', { method: 'build', json: false, ignoresStatus: false }],
    ['check', { method: 'check', json: false, ignoresStatus: false }],
    ['lint', { method: 'check', json: false, ignoresStatus: false }],
    ['outline,format=json', { method: 'outline', json: true, ignoresStatus: false }],
    ['targets,format=text', { method: 'targets', json: false, ignoresStatus: false }],
    ['check,ignorestatus=true', { method: 'check', json: false, ignoresStatus: true }],
    ['check,ignorestatus=1,format=json', { method: 'check', json: true, ignoresStatus: true }],
    ['check,format=json,format=text,ignorestatus=false', { method: 'check', json: false, ignoresStatus: false }],
    // A frontend image may know others.
    ['subrequests.describe', { method: 'subrequests.describe', json: false, ignoresStatus: false }],
  ])('%j', (text, call) => {
    expect(parseCall(text)).toEqual(call);
  });

  test.each([
    ['check,frmt=json', '"frmt=json" is not understood'],
    ['check,format=yaml', '"format=yaml" is not understood'],
    ['check,format=JSON', '"format=JSON" is not understood'],
    ['check,json', '"json" is not understood'],
    ['check,', '"" is not understood'],
    ['check,ignorestatus', '"ignorestatus" is not understood'],
    ['check,ignorestatus=perhaps', '"ignorestatus=perhaps" is not understood'],
    [',format=json', 'the method is missing'],
    ['check, format=json', '" format=json" is not understood'],
  ])('%j is refused: %s', (text, why) => {
    expect(() => parseCall(text)).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: `Cannot use --call=${text}: ${why}`,
        hint: expect.stringContaining('--call=outline,format=json') as string,
      }),
    );
  });
});
