import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { RecordedAnswer } from '../../src/pins/index.ts';
import { BuildRecording, type RecordMode, type StepRecording } from '../../src/recording/index.ts';
import type { StepSpec } from '../../src/sandbox/index.ts';
import { Store } from '../../src/store/index.ts';
import { TsbuildError } from '../../src/util/index.ts';
import { testTask } from './task.ts';

/** What a client got. */
export interface Got {
  readonly status: number;
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What of a build's recorded network a test chooses. */
export interface TestRecordingOptions {
  readonly known?: readonly RecordedAnswer[];
  readonly fresh?: boolean;
  readonly allowOwn?: boolean;
  readonly allowOther?: boolean;
  readonly offline?: boolean;
  readonly maxBody?: number;
  readonly certificates?: { readonly host: string; readonly dir: string };
  readonly proxy?: { readonly http?: string; readonly https?: string };
  readonly hosts?: readonly { readonly host: string; readonly ip: string }[];
}

const SPEC: StepSpec = {
  lowers: [], upper: '', work: '', args: ['x'], env: ['A=1', 'HTTP_PROXY=http://other', 'ALL_PROXY=socks://x'], cwd: '/', user: '',
  hostname: 'h', network: 'isolated', security: 'sandbox',
}; // oxfmt-ignore

/** A store, and builds with recorded networks in it. */
export class RecordingBench implements AsyncDisposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'tsbuild-recording-'));
  readonly store: Store = Store.open(join(this.dir, 'store'), { now: () => Date.now() });
  readonly #toDispose: AsyncDisposable[] = [];
  #count = 0;

  /** A build. */
  build(options: TestRecordingOptions = {}): BuildRecording {
    const { known = [], fresh = false, allowOwn = true, allowOther = false, proxy, certificates, hosts = [] } = options;
    const build = new BuildRecording({
      store: this.store,
      lease: this.store.leases.create(),
      now: () => Date.now(),
      temporary: () => {
        const path = join(this.dir, `step-${this.#count++}`);
        mkdirSync(path);
        return path;
      },
      known,
      fresh,
      lock: 'tsbuild.lock',
      allowOwn,
      allowOther,
      ...(options.maxBody === undefined ? {} : { maxBody: options.maxBody }),
      hosts,
      limits: { connectMs: 2000, idleMs: 2000 },
      offline: options.offline ? (what) => new TsbuildError('TSB_NETWORK', `${what} is not in the store`) : undefined,
      // As the program has it, where the environment names none.
      proxy: proxy ?? {},
      ...(certificates ? { certificateDirs: [certificates] } : {}),
    });
    this.#toDispose.push(build);
    return build;
  }

  /** A step of a build. */
  async step(build: BuildRecording, mode: RecordMode, name = '[1/2] RUN x'): Promise<TestStep> {
    const recording = await build.open(testTask(), mode, name);
    this.#toDispose.push(recording);
    const spec = await recording.within(SPEC, async (path) =>
      path === '/etc/ssl/certs/ca-certificates.crt' ? Buffer.from('theirs\n') : undefined,
    );
    return new TestStep(recording, spec);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#toDispose.toReversed()) await one[Symbol.asyncDispose]();
    this.store.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A step that speaks to its proxy, as from inside. */
export class TestStep {
  readonly recording: StepRecording;
  readonly spec: StepSpec;

  constructor(recording: StepRecording, spec: StepSpec) {
    this.recording = recording;
    this.spec = spec;
  }

  get socket(): string {
    return this.spec.proxy?.socket ?? '';
  }

  /** Of the authority. */
  get certificate(): string {
    const mount = this.spec.mounts?.find(({ target }) => target === '/dev/tsbuild-ca.crt');
    return mount?.type === 'file' ? Buffer.from(mount.data).toString() : '';
  }

  get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Got> {
    return this.ask('GET', url, headers);
  }

  ask(method: string, url: string, headers: Readonly<Record<string, string>> = {}, body?: string): Promise<Got> {
    const host = new URL(url).host;
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath: this.socket, path: url, method, headers: { host, ...headers } }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.once('error', reject);
        answer.once('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            reason: answer.statusMessage ?? '',
            headers: answer.headers,
            body: Buffer.concat(chunks).toString('latin1'),
          }),
        );
      });
      sent.once('error', reject);
      sent.end(body);
    });
  }

  /** A tunnel, as CONNECT opens it. */
  async tunnel(to: string): Promise<Socket> {
    const socket = connect(this.socket);
    socket.write(`CONNECT ${to} HTTP/1.1\r\nhost: ${to}\r\n\r\n`);
    const said = await new Promise<string>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('data', (data) => resolve(data.toString('latin1')));
    });
    if (!said.startsWith('HTTP/1.1 200')) throw new Error(said);
    return socket;
  }

  /** The same with TLS in it, by a client that believes the step's authority. */
  async tls(to: string, ca: string = this.certificate): Promise<TLSSocket> {
    const socket = await this.tunnel(to);
    const name = to.replace(/:\d+$/, '');
    return new Promise((resolve, reject) => {
      const secure = connectTls({ socket, ca, servername: /[a-z]/.test(name) ? name : '', host: name }, () =>
        resolve(secure),
      );
      secure.once('error', reject);
    });
  }

  /** All that is said to some bytes until the other side ends. */
  static async talk(socket: Socket, text: string): Promise<string> {
    let said = '';
    socket.on('data', (data: Buffer) => (said += data.toString('latin1')));
    const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => undefined);
    socket.write(text);
    await ended;
    return said;
  }

  /** Bytes to the proxy itself. */
  raw(text: string): Promise<string> {
    return TestStep.talk(connect(this.socket), text);
  }
}
