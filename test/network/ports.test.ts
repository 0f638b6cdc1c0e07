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
          for (const { containerPort, hostPort } of parsePublish(text)) {
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
