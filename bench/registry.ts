import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FREE_PORT =
  "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close(); })";

/** Passes bytes on, each so many ms later, so that a registry on loopback is as far away as others are. */
const DELAY = `
const [port, to, ms] = process.argv.slice(1).map(Number);
const net = require('node:net');
net.createServer((near) => {
  const far = net.connect(to, '127.0.0.1');
  for (const [a, b] of [[near, far], [far, near]]) {
    a.on('data', (chunk) => setTimeout(() => b.write(chunk), ms));
    a.on('end', () => setTimeout(() => b.end(), ms));
    a.on('error', () => b.destroy());
  }
}).listen(port, '127.0.0.1');
`;

/** Debian's docker-registry on loopback, started when it is first needed; it ends with the bench. */
export class BenchRegistry {
  readonly #dir: string;
  #process: ChildProcess | undefined;
  #port = '';
  readonly #away = new Map<number, string>();

  constructor(work: string) {
    this.#dir = join(work, 'registry');
  }

  /** `127.0.0.1:port` */
  get host(): string {
    if (this.#process === undefined) this.#start();
    return `127.0.0.1:${this.#port}`;
  }

  /** The same registry as one that answers 20 ms later. */
  get distant(): string {
    return this.away(20);
  }

  /** The same registry as one that answers so many ms later. */
  away(ms: number): string {
    let host = this.#away.get(ms);
    if (host === undefined) {
      const to = this.host.split(':')[1] ?? '';
      const port = freePort();
      const child = spawn(process.execPath, ['-e', DELAY, port, to, String(ms / 2)], { stdio: 'ignore' });
      // It must not keep the bench from its end.
      child.unref();
      process.once('exit', () => child.kill());
      waitFor(port, 'what delays answers');
      this.#away.set(ms, (host = `127.0.0.1:${port}`));
    }
    return host;
  }

  /** Takes away all that was pushed. The registry has no memory of it. */
  empty(): void {
    rmSync(join(this.#dir, 'data'), { recursive: true, force: true });
  }

  #start(): void {
    mkdirSync(this.#dir, { recursive: true });
    this.#port = freePort();
    const config = join(this.#dir, 'config.yml');
    writeFileSync(
      config,
      `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: ${this.#dir}/data}, delete: {enabled: true}}
http: {addr: '127.0.0.1:${this.#port}'}
`,
    );
    const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
    this.#process = child;
    // It must not keep the bench from its end.
    child.unref();
    process.once('exit', () => child.kill());
    waitFor(this.#port, 'docker-registry');
  }
}

function freePort(): string {
  return spawnSync(process.execPath, ['-e', FREE_PORT], { encoding: 'utf8' }).stdout.trim();
}

/** @throws Error when nothing listens within 5 s */
function waitFor(port: string, what: string): void {
  const wait = `for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/${port}) 2>/dev/null && exit 0; sleep 0.05; done; exit 1`;
  if (spawnSync('bash', ['-c', wait]).status !== 0) throw new Error(`${what} did not start`);
}
