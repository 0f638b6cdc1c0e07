import { describe, expect, test } from 'vitest';
import { hostsFile } from '../../src/sandbox/index.ts';
import { isResolvedStub, resolvConfFor } from '../../src/sandbox/network-files.ts';

test('/etc/hosts names the step and the extra hosts', () => {
  expect(hostsFile('buildkitsandbox', [{ host: 'db', ip: '10.0.0.7' }])).toBe(
    '127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.7\tdb\n',
  );
});

describe('/etc/resolv.conf', () => {
  const machine = '# made by hand\nsearch example.org\nnameserver 127.0.0.53\nnameserver 10.0.0.2\noptions edns0\n';

  test('is the machine’s own in its network', () => {
    expect(resolvConfFor('host', machine)).toBe(machine);
  });

  test('loses servers on loopback elsewhere', () => {
    expect(resolvConfFor('private', machine)).toBe(
      '# made by hand\nsearch example.org\nnameserver 10.0.0.2\noptions edns0\n',
    );
  });

  test.each(['', 'nameserver 127.0.0.1\n', 'nameserver ::1\nsearch x\n'])(
    'gets public servers when none is left (%j)',
    (text) => {
      const result = resolvConfFor('private', text);
      expect(result).toContain('nameserver 8.8.8.8\nnameserver 8.8.4.4\n');
      expect(result).not.toMatch(/127|::1$/m);
    },
  );

  test('knows the stub of systemd-resolved', () => {
    expect(isResolvedStub('nameserver 127.0.0.53\noptions trust-ad\n')).toBe(true);
    expect(isResolvedStub(machine)).toBe(false);
    expect(isResolvedStub('')).toBe(false);
  });
});
