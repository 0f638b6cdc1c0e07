import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changesNetwork, parseSysctls } from '../../../src/cli/options/sysctl-option.ts';

describe('--sysctl', () => {
  test.each([
    ['net.core.somaxconn=1024', { 'net.core.somaxconn': '1024' }],
    ['net.ipv4.ip_local_port_range=1024 65535', { 'net.ipv4.ip_local_port_range': '1024 65535' }],
    ['net.ipv4.tcp_rmem=4096\t87380\t6291456', { 'net.ipv4.tcp_rmem': '4096\t87380\t6291456' }],
    ['fs.mqueue.msg_max=20', { 'fs.mqueue.msg_max': '20' }],
    ['kernel.shmmax=1', { 'kernel.shmmax': '1' }],
    ['kernel.domainname=a=b', { 'kernel.domainname': 'a=b' }],
  ])('%s', (text, values) => {
    expect(parseSysctls([text])).toEqual(values);
  });

  test('the last of a name counts', () => {
    expect(parseSysctls(['kernel.sem=1', 'net.core.somaxconn=2', 'kernel.sem=3'])).toEqual({
      'kernel.sem': '3',
      'net.core.somaxconn': '2',
    });
  });

  test.each(['', 'net.core.somaxconn', 'net.core.somaxconn=', '=1', 'net=1', 'net.=1', 'net..a=1', 'net/core/somaxconn=1', 'net.a b=1', 'net.core.x=1\n2', 'net.core.x=\0', '../net.x=1'])(
    '%j is none',
    (text) => {
      expect(() => parseSysctls([text])).toThrow(
        expect.objectContaining({ code: 'TSB_USAGE', message: `Cannot use --sysctl ${JSON.stringify(text)}: expected NAME=VALUE` }),
      );
    },
  ); // oxfmt-ignore

  // Each of them is one value for the whole machine, or for the namespace of the host's users.
  test.each(['kernel.panic=1', 'kernel.pid_max=100', 'vm.swappiness=10', 'fs.file-max=1', 'kernel.hostname=x', 'kernel.shm=1', 'user.max_user_namespaces=1', 'network.x=1', 'kernel.msgmaxx=1'])(
    '%s would change the machine, and is not allowed',
    (text) => {
      expect(() => parseSysctls([text])).toThrow(
        expect.objectContaining({ message: `Cannot use --sysctl ${JSON.stringify(text)}: it is not allowed` }),
      );
    },
  ); // oxfmt-ignore

  test('whatever is taken stays below the directories of namespaces', () => {
    const word = fc.stringMatching(/^[a-z./_-]{1,12}$/);
    fc.assert(
      fc.property(fc.tuple(fc.constantFrom('net', 'fs.mqueue', 'kernel', 'vm', '..'), word, fc.string()), (parts) => {
        const text = `${parts[0]}.${parts[1]}=${parts[2]}`;
        let names: readonly string[] = [];
        try {
          names = Object.keys(parseSysctls([text]));
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_USAGE' });
        }
        for (const name of names) {
          expect(name).toMatch(/^(?:net|fs\.mqueue|kernel)\./);
          expect(name).not.toMatch(/\.\.|\/|^\.|\.$/);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('of the network wants one of the container’s own', () => {
    expect(changesNetwork()).toBe(false);
    expect(changesNetwork(['kernel.sem=1', 'fs.mqueue.msg_max=1'])).toBe(false);
    expect(changesNetwork(['kernel.sem=1', 'net.core.somaxconn=1'])).toBe(true);
  });
});
