import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stepSettings } from '../../../src/frontend/convert/step-settings.ts';
import { formatDuration, isTsbuildError, parseDuration } from '../../../src/util/index.ts';

const settingsOf = (...comments: readonly string[]): object => stepSettings(comments, []);

describe('comments above a RUN', () => {
  test.each<[string, readonly string[], object]>([
    ['say nothing by themselves', ['any text', 'check=skip=all', 'tsbuild is good'], {}],
    ['set a time limit', ['tsbuild: timeout=1h30m'], { timeoutMs: 5_400_000 }],
    ['set a network', ['tsbuild:network=none'], { network: 'none' }],
    ['have a network recorded', ['tsbuild: network=locked'], { network: 'locked' }],
    ['set both, on one line or on two', ['tsbuild: timeout=5s   network=host'], { timeoutMs: 5000, network: 'host' }],
    ['set the last of several', ['tsbuild: timeout=5s', 'text', 'tsbuild: timeout=6s'], { timeoutMs: 6000 }],
    ['set memory and CPUs', ['tsbuild: memory=2g cpus=1.5'], { memory: 2 ** 31, cpuQuota: 150_000 }],
    ['set more CPUs than this machine has', ['tsbuild: cpus=500'], { cpuQuota: 5e7 }],
    ['lift limits', ['tsbuild: memory=0 cpus=0'], { memory: 0, cpuQuota: 0 }],
    ['may set nothing', ['tsbuild:'], {}],
  ])('%s', (_what, comments, expected) => {
    expect(settingsOf(...comments)).toEqual(expected);
  });

  test('that mean nothing are refused, whatever they are', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ -~]{0,30}$/), (text) => {
        try {
          const { timeoutMs, network, memory = 0 } = stepSettings([`tsbuild: ${text}`], []);
          expect(memory === 0 || memory >= 6 * 2 ** 20).toBe(true);
          expect(timeoutMs === undefined || timeoutMs > 0).toBe(true);
          expect([undefined, 'none', 'host', 'default', 'record', 'locked']).toContain(network);
        } catch (error) {
          expect(isTsbuildError(error, 'TSB_DOCKERFILE'), String(error)).toBe(true);
        }
      }),
    );
  });
});

test('a duration is written as it is read', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (ms) => parseDuration(formatDuration(ms)) === ms));
  expect([1500, 90_000, 5_400_000].map(formatDuration)).toEqual(['1s500ms', '1m30s', '1h30m']);
});
