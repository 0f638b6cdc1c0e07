import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exposedPorts, parsePublish, type PublishedPort } from '../../src/network/index.ts';

const port = (
  containerPort: number,
  hostPort: number,
  hostIp?: string,
  protocol: 'tcp' | 'udp' = 'tcp',
): PublishedPort => ({ protocol, hostIp, hostPort, containerPort });

describe('-p', () => {
  test.each<[string, readonly PublishedPort[]]>([
    ['80', [port(80, 0)]],
    ['80/udp', [port(80, 0, undefined, 'udp')]],
    ['8080:80', [port(80, 8080)]],
    ['0:80', [port(80, 0)]],
    ['127.0.0.1:8080:80', [port(80, 8080, '127.0.0.1')]],
    ['127.0.0.1::80', [port(80, 0, '127.0.0.1')]],
    ['[::1]:8080:80/tcp', [port(80, 8080, '::1')]],
    ['8000-8002:90-92', [port(90, 8000), port(91, 8001), port(92, 8002)]],
    ['90-91', [port(90, 0), port(91, 0)]],
    // A range for one port of the container is what that may choose from; one of a single port is that port.
    ['8000-9000:80', [{ ...port(80, 8000), hostPortEnd: 9000 }]],
    ['127.0.0.1:8000-8001:53/udp', [{ ...port(53, 8000, '127.0.0.1', 'udp'), hostPortEnd: 8001 }]],
    ['[::1]:1-65535:80', [{ ...port(80, 1, '::1'), hostPortEnd: 65_535 }]],
    ['8000-8000:80', [port(80, 8000)]],
    ['80/UDP', [port(80, 0, undefined, 'udp')]],
    ['8080:80/', [port(80, 8080)]],
  ])('%s', (text, ports) => expect(parsePublish(text)).toEqual(ports));

  test.each([
    ['', /expected/],
    ['http', /"http" is no port/],
    ['80:0', /"0" is no port/],
    ['8080:65536', /"65536" is no port/],
    ['65536:80', /"65536" is no port/],
    ['8080:80/sctp', /no protocol "sctp"/],
    ['localhost:8080:80', /"localhost" is no IP address/],
    ['::1:8080:80', /./],
    ['[127.0.0.1]:8080:80', /is no IP address/],
    ['8000-8002:90-91', /different lengths/],
    ['8000-8001:90-92', /different lengths/],
    ['0-5:80', /"0-5" is no port/],
    ['0-1:80-81', /"0-1" is no port/],
    ['9000-8000:80', /"9000-8000" is no port/],
    ['65000-65536:80', /"65000-65536" is no port/],
    ['90-80', /no port/],
    ['1:2:3:4', /./],
    ['8080:80\n', /./],
  ])('%j is refused', (text, why) => {
    expect(() => parsePublish(text)).toThrow(why);
    expect(() => parsePublish(text)).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }) as Error);
  });

  test('any text is ports or an error of usage', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\d:./[\]-]{0,20}$/)), (text) => {
        try {
          for (const { containerPort, hostPort, hostPortEnd = 65_535 } of parsePublish(text)) {
            expect(hostPortEnd).toBeGreaterThan(hostPort);
            expect(containerPort).toBeGreaterThan(0);
            expect(Math.max(containerPort, hostPort)).toBeLessThan(65_536);
          }
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_USAGE' });
        }
      }),
    );
  });

  test('what an image exposes, each at a free port, and nonsense not at all (-P)', () => {
    expect(exposedPorts({ '80/tcp': {}, '53/udp': {}, '90': {}, 'x/tcp': {}, '1:2': {}, '0/tcp': {} })).toEqual([
      // Names that are numbers come first, as JavaScript has it.
      port(90, 0),
      port(80, 0),
      port(53, 0, undefined, 'udp'),
    ]);
    expect(exposedPorts(undefined)).toEqual([]);
  });
});
