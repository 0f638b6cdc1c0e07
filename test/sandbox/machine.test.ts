import { accessSync, constants, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { PassThrough } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { currentUser, findProgram, hostsFile, parseIsolation, readLines } from '../../src/sandbox/index.ts';
import { resolvConfFor } from '../../src/sandbox/network-files.ts';

describe('programs of the machine', () => {
  test('are looked for where distributions have them, whatever PATH says', () => {
    const before = process.env['PATH'];
    process.env['PATH'] = '/nonexistent';
    try {
      const found = findProgram('sh') ?? '';
      expect(isAbsolute(found)).toBe(true);
      accessSync(found, constants.X_OK);
      expect(statSync(found).isFile()).toBe(true);
    } finally {
      process.env['PATH'] = before;
    }
  });

  test('are files that can be executed, and nothing else', () => {
    // The last two are directories at such a place.
    for (const name of ['no-such-program', '', '.', '..']) expect(findProgram(name)).toBeUndefined();
  });

  test('run for somebody, who has a name', () => {
    expect(currentUser()).toMatchObject({
      uid: process.getuid?.() ?? -1,
      gid: process.getgid?.() ?? -1,
    });
    expect(currentUser().name).not.toBe('');
  });
});

describe('TSBUILD_ISOLATION', () => {
  test.each(['auto', 'userns', 'userns-noproc', 'copy', 'single-id', 'chroot', 'none'])('can be %s', (name) => {
    expect(parseIsolation(name)).toBe(name);
  });
  test.each(['', 'Auto', 'chroot ', 'root', '1', 'toString', '__proto__'])('cannot be %j', (text) => {
    expect(() => parseIsolation(text)).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: `Cannot use TSBUILD_ISOLATION=${JSON.stringify(text)}: there is no such isolation`,
        hint: 'it can be auto, userns, userns-noproc, copy, single-id, chroot, none',
      }),
    );
  });
});

describe('files of a step’s network', () => {
  test('a step that is called localhost is named once', () => {
    expect(hostsFile('localhost', [])).toBe('127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n');
    expect(hostsFile('a', [{ host: 'db', ip: 'fd00::7' }, { host: 'db', ip: '10.0.0.7' }]).split('\n').slice(2, 4)).toEqual([
      'fd00::7\tdb',
      '10.0.0.7\tdb',
    ]);
  }); // oxfmt-ignore

  test('a private network has a server that it can reach, and all else of the machine’s (property)', () => {
    const line = fc.constantFrom('nameserver 127.0.0.53', 'nameserver ::1', ' nameserver\t127.1.2.3', 'nameserver 0:0:0:0:0:0:0:1', 'nameserver 10.0.0.1', 'nameserver fd00::1', 'search a.test b.test', 'options edns0', '# nameserver 10.9.9.9', '', 'nameserver');
    fc.assert(
      fc.property(fc.array(line, { maxLength: 7 }), fc.option(fc.constant('169.254.1.1'), { nil: undefined }), (lines, forwarder) => {
        const machine = `${lines.join('\n')}\n`;
        const made = resolvConfFor('private', machine, forwarder);
        const servers = [...made.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)].map(([, server = '']) => server);
        expect(servers.length).toBeGreaterThan(0);
        for (const server of servers) expect(server).not.toMatch(/^127\.|^::1$|^0:/);
        const own = lines.filter((text) => /10\.0\.0\.1|fd00::1/.test(text)).map((text) => text.split(' ')[1]);
        if (own.length > 0) expect(servers).toEqual(own);
        else expect(servers).toEqual(forwarder === undefined ? ['8.8.8.8', '8.8.4.4', '2001:4860:4860::8888', '2001:4860:4860::8844'] : [forwarder]);
        for (const text of lines) if (/^(search|options|#)/.test(text)) expect(made.split('\n')).toContain(text);
        expect(made.endsWith('\n')).toBe(true);
        expect(resolvConfFor('host', machine)).toBe(machine);
      }),
      { numRuns: 300 },
    );
  }); // oxfmt-ignore
});

test('lines of a stream come whole, however it is cut, and one that never ends is none (property)', async () => {
  const text = fc.array(fc.constantFrom('a', 'é', '漢', '😀', '\n', ' '), { maxLength: 30 }).map((all) => all.join(''));
  await fc.assert(
    fc.asyncProperty(text, fc.array(fc.nat(80), { maxLength: 6 }), async (whole, cuts) => {
      const bytes = Buffer.from(whole);
      const stream = new PassThrough();
      const lines: string[] = [];
      readLines(stream, (line) => void lines.push(line));
      let from = 0;
      for (const end of [...cuts.filter((at) => at < bytes.length).toSorted((a, b) => a - b), bytes.length]) {
        stream.write(bytes.subarray(from, end));
        from = end;
      }
      const ended = new Promise((resolve) => stream.once('end', resolve));
      stream.end();
      await ended;
      expect(lines).toEqual(whole.split('\n').slice(0, -1));
    }),
  );
});
