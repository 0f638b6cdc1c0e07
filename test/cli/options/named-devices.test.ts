import { describe, expect, test } from 'vitest';
import { parseAttach } from '../../../src/cli/options/attach-option.ts';
import { namesDevice } from '../../../src/cli/options/mount-options.ts';
import { parseGpus } from '../../../src/cli/options/named-devices.ts';

describe('--gpus, by docker’s rules', () => {
  test.each([
    ['all', ['all']],
    ['-1', ['all']],
    ['count=all', ['all']],
    ['driver=nvidia,capabilities=compute', ['all']],
    ['1', ['0']],
    ['count=2', ['0', '1']],
    ['0', []],
    ['device=1', ['1']],
    ['device=GPU-3a23c669-1f69-c64e-cf85-44e9b07e7a2a', ['GPU-3a23c669-1f69-c64e-cf85-44e9b07e7a2a']],
    ['"device=0,2"', ['0', '2']],
    ['"device=0,2",driver=nvidia,"capabilities=compute,utility"', ['0', '2']],
  ])('%s', (text, names) => {
    expect(parseGpus(text)).toEqual(names.map((name) => `nvidia.com/gpu=${name}`));
  });

  test.each([
    ['bogus', 'invalid count (bogus): value must be either "all" or an integer'],
    ['all,x=1', 'there is no "x"'],
    ['driver=amd', 'there is no driver "amd"'],
    ['count=1,device=0', 'cannot set both Count and DeviceIDs'],
    ['device=', 'is no name of a device'],
    ['device=a b', '"a b" is no name of a device'],
  ])('%s is refused', (text, why) => {
    expect(() => parseGpus(text)).toThrow(why);
  });
});

test.each([
  ['nvidia.com/gpu=all', true],
  ['example.com/zeros=z0', true],
  ['/dev/null', false],
  ['/dev/a=b', false],
  ['/dev/null:/dev/x:rw', false],
  ['kvm', false],
])('--device %s names a device of a specification: %s', (text, named) => {
  expect(namesDevice(text)).toBe(named);
});

describe('--attach, by docker’s rules', () => {
  test.each([
    [{}, ['stdout', 'stderr']],
    [{ interactive: true }, ['stdin', 'stdout', 'stderr']],
    [{ detach: true }, []],
    [{ detach: true, interactive: true }, []],
    [{ attach: ['STDOUT'] }, ['stdout']],
    [{ attach: ['stderr', 'stdin', 'stderr'] }, ['stdin', 'stderr']],
    [{ attach: ['stdout'], interactive: true }, ['stdin', 'stdout']],
  ])('%j', (options, streams) => {
    expect(parseAttach(options)).toEqual(streams);
  });

  test('streams that there are not, and nobody who could be at one, are refused', () => {
    expect(() => parseAttach({ attach: ['bogus'] })).toThrow('valid streams are STDIN, STDOUT and STDERR');
    expect(() => parseAttach({ attach: ['stdout'], detach: true })).toThrow(
      'conflicting options: cannot specify both --attach and --detach',
    );
  });
});
