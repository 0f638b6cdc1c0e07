import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FREE_PORT =
  "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close(); })";

/** Debian's docker-registry on loopback, started when it is first needed; it ends with the bench. */
export class BenchRegistry {
  readonly #dir: string;
  #process: ChildProcess | undefined;
  #port = '';

  constructor(work: string) {
    this.#dir = join(work, 'registry');
  }

  /** `127.0.0.1:port` */
  get host(): string {
    if (this.#process === undefined) this.#start();
    return `127.0.0.1:${this.#port}`;
  }

  /** Takes away all that was pushed. The registry has no memory of it. */
  empty(): void {
    rmSync(join(this.#dir, 'data'), { recursive: true, force: true });
  }

  #start(): void {
    mkdirSync(this.#dir, { recursive: true });
    this.#port = spawnSync(process.execPath, ['-e', FREE_PORT], { encoding: 'utf8' }).stdout.trim();
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
    process.once('exit', () => child.kill());
    const wait = `for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/${this.#port}) 2>/dev/null && exit 0; sleep 0.05; done; exit 1`;
    if (spawnSync('bash', ['-c', wait]).status !== 0) throw new Error('docker-registry did not start');
  }
}
