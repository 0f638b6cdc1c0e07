import { cpus } from 'node:os';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseResources, parseUlimit, type ResourceOptions } from '../../../src/cli/options/resource-options.ts';
import { ULIMITS } from '../../../src/sandbox/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';

const M = 2 ** 20;

describe('limits of a step or container', () => {
  test.each<[ResourceOptions, unknown]>([
    [{}, {}],
    [{ memory: '0', cpus: '0' }, {}],
    [{ memory: '64m' }, { resources: { memory: 64 * M } }],
    [{ memory: '64m', memorySwap: '-1' }, { resources: { memory: 64 * M, memorySwap: -1 } }],
    [{ memory: '64m', memorySwap: '96m' }, { resources: { memory: 64 * M, memorySwap: 96 * M } }],
    [{ cpus: '0.5' }, { resources: { cpuQuota: 50_000 } }],
    [{ resource: ['memory=64m,cpu-shares=2'] }, { resources: { memory: 64 * M, cpuShares: 2 } }],
    // Lists have commas of their own.
    [{ resource: ['cpuset-cpus=0,2-3,cpuset-mems=0'] }, { resources: { cpusetCpus: '0,2-3', cpusetMems: '0' } }],
    // Swap contains memory, whichever is typed first, and by whichever option.
    [{ resource: ['memory-swap=96m,memory=64m'] }, { resources: { memory: 64 * M, memorySwap: 96 * M } }],
    [{ memory: '64m', resource: ['memory-swap=96m'] }, { resources: { memory: 64 * M, memorySwap: 96 * M } }],
    [{ resource: ['memory=64m'], memorySwap: '96m' }, { resources: { memory: 64 * M, memorySwap: 96 * M } }],
    // The last one counts; 0 is the default of what the kernel counts itself.
    [{ resource: ['cpu-quota=1000', 'cpu-quota=2000'] }, { resources: { cpuQuota: 2000 } }],
    [{ resource: ['cpu-period=0'] }, {}],
  ])('%j', (options, wanted) => {
    expect(parseResources(options)).toEqual(wanted);
  });

  test.each<[ResourceOptions, string, string?]>([
    [{ memory: '1m' }, 'Cannot use --memory "1m": the least memory is 6m'],
    [{ cpus: '0.001' }, 'Cannot use --cpus "0.001": the least is 0.01'],
    [{ cpus: '100000' }, `Cannot use --cpus "100000": there are only ${cpus().length}`],
    [{ cpus: 'two' }, 'Cannot use --cpus "two": expected a number such as 1.5'],
    [{ memorySwap: '1g' }, 'Cannot use --memory-swap "1g": it takes a limit of memory as well, which it contains'],
    [
      { memory: '64m', memorySwap: '32m' },
      'Cannot use --memory-swap "32m": it is less than the memory, which it contains',
    ],
    [{ resource: ['cpu-shares=1'] }, 'Cannot use --resource cpu-shares=1: expected a number from 2 to 262144'],
    [{ resource: ['cpu-quota=1e9'] }, 'Cannot use --resource cpu-quota=1e9: expected a number from 1000 to 1000000000'],
    [{ resource: ['cpuset-cpus=all'] }, 'Cannot use --resource cpuset-cpus=all: expected numbers such as 0-2'],
    [{ resource: ['cpuset-cpus=0-'] }, 'Cannot use --resource cpuset-cpus=0-: expected numbers such as 0-2'],
    [
      { resource: ['memroy=64m'] },
      'Cannot use --resource "memroy=64m": there is no such limit',
      'did you mean memory=?',
    ],
    [
      { resource: ['64m'] },
      'Cannot use --resource "64m": there is no such limit',
      'the limits are memory, memory-swap, cpu-quota, cpu-period, cpu-shares, cpuset-cpus, cpuset-mems',
    ],
    [
      { resource: ['constructor=1'] },
      'Cannot use --resource "constructor=1": there is no such limit',
      'the limits are',
    ],
  ])('%j is refused, with the option', (options, message, hint = '') => {
    expect(() => parseResources(options)).toThrow(expect.objectContaining({ code: 'TSB_USAGE', message }));
    try {
      parseResources(options);
    } catch (error) {
      expect(isTsbuildError(error) ? (error.hint ?? '') : error).toContain(hint);
    }
  });
});

describe('--ulimit', () => {
  test.each([
    ['nofile=1024:2048', { name: 'nofile', soft: 1024, hard: 2048 }],
    ['nofile=1024', { name: 'nofile', soft: 1024, hard: 1024 }],
    ['core=-1', { name: 'core', soft: -1, hard: -1 }],
    ['core=0:-1', { name: 'core', soft: 0, hard: -1 }],
  ])('%s', (text, limit) => {
    expect(parseUlimit(text)).toEqual(limit);
  });

  test.each([
    ['nofile', 'expected NAME=SOFT[:HARD], for example nofile=1024:2048'],
    ['nofile=', 'expected NAME=SOFT[:HARD]'],
    ['nofile=-2', 'expected NAME=SOFT[:HARD]'],
    ['nofile=99999999999999999999', 'expected NAME=SOFT[:HARD]'],
    ['nofile=2:1', 'the soft limit is above the hard one'],
    ['nofile=-1:1', 'the soft limit is above the hard one'],
    ['nofiles=1', 'there is no such limit'],
    ['constructor=1', 'there is no such limit'],
  ])('%s is refused', (text, why) => {
    expect(() => parseUlimit(text)).toThrow(`Cannot use --ulimit ${JSON.stringify(text)}: ${why}`);
  });

  test('what was probably meant is told, else all there are', () => {
    expect(() => parseUlimit('nofiles=1')).toThrow(expect.objectContaining({ hint: 'did you mean nofile?' }));
    expect(() => parseUlimit('xyzzyxyzzy=1')).toThrow(
      expect.objectContaining({ hint: `the limits are ${ULIMITS.join(', ')}` }),
    );
  });

  test('every pair of numbers is a limit exactly where the soft one is within the hard one', () => {
    const number = fc.integer({ min: -1, max: 5000 });
    fc.assert(
      fc.property(fc.constantFrom(...ULIMITS), number, number, (name, soft, hard) => {
        const parse = () => parseUlimit(`${name}=${soft}:${hard}`);
        const unlimited = (value: number): number => (value < 0 ? Number.POSITIVE_INFINITY : value);
        if (unlimited(soft) <= unlimited(hard)) expect(parse()).toEqual({ name, soft, hard });
        else expect(parse).toThrow('above the hard one');
      }),
    );
  });
});
