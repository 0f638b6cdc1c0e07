import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** So many test files run at a time at most, for each of which some ports are set aside. */
const WORKERS = 16;
const FIRST = 10_000;

/**
 * A TCP port of 127.0.0.1 for a program that cannot be told to take any. It lies below those that the kernel hands out, and among those that
 * no other test file looks for one, so that no connection and no other server of the tests gets it before the program does.
 */
export async function freePort(): Promise<number> {
  const [first = '32768'] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/);
  const share = Math.floor((Math.max(FIRST + 1600, Number(first)) - FIRST) / WORKERS);
  const start = FIRST + share * (Number(process.env['VITEST_POOL_ID'] ?? '1') % WORKERS);
  for (let tries = 0; tries < 1000; tries++) {
    const port = randomInt(start, start + share);
    if (await isFree(port)) return port;
  }
  throw new Error('No free port');
}

/** The first of `count` such ports in a row. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = await freePort();
    const rest = Array.from({ length: count - 1 }, (_, index) => isFree(first + 1 + index));
    if ((await Promise.all(rest)).every(Boolean)) return first;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
  });
  if (free) await new Promise((resolve) => server.close(resolve));
  return free;
}
