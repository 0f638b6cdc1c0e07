import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Container, Network } from '../../src/containers/index.ts';
import { attachmentsOf, joinText, writeAttachments } from '../../src/containers/attachments.ts';
import { PortFile, readPorts } from '../../src/containers/port-file.ts';
import { processesOf } from '../../src/containers/processes.ts';

let directory = '';
beforeEach(() => void (directory = fs.mkdtempSync(join(tmpdir(), 'tsbuild-container-'))));
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));
const container = (record: object = {}): Container =>
  ({ id: 'a'.repeat(64), name: 'web', directory, record }) as unknown as Container;
const port = (containerPort: number, hostPort = 0) => ({ protocol: 'tcp', hostIp: undefined, hostPort, containerPort }) as const; // oxfmt-ignore

describe('ports that a container got', () => {
  test('are written when all of them are known, in the order in which they were asked for', () => {
    const ports = [port(80), port(443, 8443)];
    const file = new PortFile(container({ ports }));
    expect(readPorts(container())).toEqual([]);
    expect(file.take(1, 8443)).toEqual(ports[1]);
    // Who looks meanwhile sees none rather than half.
    expect(readPorts(container())).toEqual([]);
    expect(file.take(0, 40_000)).toEqual(ports[0]);
    expect(readPorts(container()).map(({ containerPort, hostPort }) => [containerPort, hostPort])).toEqual([
      [80, 40_000],
      [443, 8443],
    ]);
    expect(fs.readdirSync(directory)).toEqual(['ports.json']);
  });

  test('that nobody asked for are none', () => {
    expect(new PortFile(container({ ports: [port(80)] })).take(1, 5)).toBeUndefined();
    expect(new PortFile(container()).take(0, 5)).toBeUndefined();
    fs.writeFileSync(join(directory, 'ports.json'), '[{');
    expect(readPorts(container())).toEqual([]);
  });
});

describe('networks of a container', () => {
  const made = [{ network: 'ci', aliases: ['web'] }];

  test('are those that it was made with until they are changed', () => {
    const one = container({ networks: made });
    expect(attachmentsOf(one)).toEqual(made);
    writeAttachments(one, [...made, { network: 'db', aliases: [], ip: '10.0.0.7' }]);
    expect(attachmentsOf(one).map(({ network }) => network)).toEqual(['ci', 'db']);
    writeAttachments(one, []);
    expect(attachmentsOf(one)).toEqual([]);
    expect(fs.statSync(join(directory, 'networks.json')).mode & 0o777).toBe(0o600);
    fs.writeFileSync(join(directory, 'networks.json'), '');
    expect(attachmentsOf(one)).toEqual(made);
  });

  test('are none of one that has another kind of network', () => {
    writeAttachments(container(), made);
    expect(attachmentsOf(container())).toEqual([]);
  });

  test('what it says when it joins has a line for each thing', () => {
    const network = { directory: '/n/ci' } as Network;
    const attachment = { network: 'ci', aliases: ['a', 'b'], ip: '10.0.0.7', ip6: 'fd00::7' };
    expect(joinText(container(), network, attachment).split('\n')).toEqual([
      'network /n/ci',
      `id ${'a'.repeat(64)}`,
      'name web',
      'alias a',
      'alias b',
      'ip 10.0.0.7',
      'ip6 fd00::7',
    ]);
    expect(joinText(container(), network, { network: 'ci', aliases: [] }).split('\n')).toHaveLength(3);
  });
});

describe('processes of a container', () => {
  test('are those of its pid namespace, with what they are', () => {
    const own = processesOf(process.pid, false).find(({ pid }) => pid === process.pid);
    expect(own).toMatchObject({ parent: process.ppid, uid: process.getuid?.() ?? -1 });
    expect(own?.command).toMatch(/node|vitest/);
    expect(own?.memory).toBeGreaterThan(10_000_000);
    expect(own?.threads).toBeGreaterThan(1);
    expect(own?.cpu).toBeGreaterThan(0);
    expect(own?.started).toBeGreaterThan(0);
  });

  test('may have any name', async () => {
    const path = join(directory, 'x) S 1 (');
    fs.copyFileSync('/bin/busybox', path);
    fs.chmodSync(path, 0o755);
    const child = spawn(path, ['600'], { argv0: 'sleep' });
    await once(child, 'spawn');
    try {
      const found = processesOf(process.pid, false).find(({ pid }) => pid === child.pid);
      expect(found).toMatchObject({ parent: process.pid, command: 'sleep 600', threads: 1 });
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('are none of one that has ended', () => {
    expect(processesOf(2 ** 22 + 1, false)).toEqual([]);
  });
});
