import type { Task } from '../events/index.ts';
import type { HttpAnswer } from '../registry/index.ts';
import { TsbuildError } from '../util/index.ts';
import { type AzureRequest, authorized } from './azure-key.ts';
import { type AzblobOptions, containerId, containerUrl } from './azure-container.ts';
import { codeOf, uploadBlob } from './azure-upload.ts';
import { download } from './download.ts';
import { keyOfName, nameOfKey } from './key-prefixes.ts';
import { checkObjectName } from './name.ts';
import { encodeKey, encodeQuery } from './s3-address.ts';
import type { Said } from './service-error.ts';
import { Service, type ServiceRequest, type Surroundings } from './service.ts';
import type { GetOptions, ObjectContent, ObjectStore, PutOptions, StoredObject } from './types.ts';
import { elements, textOf } from './xml.ts';

/** Blobs younger than this are not touched, in ms. */
const TOUCH_REFRESH_MS = 24 * 3_600_000;
/** A list that does not end is not followed; 5000 blobs each. */
const MAX_PAGES = 1000;

/** Objects in a container of Azure Blob Storage. */
export class AzblobStore implements ObjectStore, AsyncDisposable {
  readonly id: string;
  readonly #options: AzblobOptions;
  readonly #container: URL;
  readonly #service: Service;
  readonly #now: () => number;

  /** @throws TsbuildError `TSB_USAGE` */
  constructor(options: AzblobOptions, surroundings: Surroundings) {
    this.#options = options;
    this.#now = surroundings.now;
    this.#container = containerUrl(options);
    this.id = containerId(options);
    const { access } = options;
    this.#service = new Service(surroundings, {
      secrets: () =>
        access.kind === 'key' ? [access.key] : [access.token, new URLSearchParams(access.token).get('sig') ?? ''],
      hint: (said) => hintFor(said, options),
    });
  }

  async get(task: Task, name: string, options: GetOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
    const url = this.#url(name);
    return download(task, this.#service, {
      ...options,
      doing: `Cannot read ${JSON.stringify(name)} in ${this.id}`,
      make: (range) => this.#authorized({ method: 'GET', url, headers: range === undefined ? {} : { range } }),
      isAbsent: ({ status }) => status === 404,
    });
  }

  async head(task: Task, name: string): Promise<{ readonly size: number } | undefined> {
    const answer = await this.#head(task, name);
    return answer && { size: Number(answer.header('content-length') ?? 0) };
  }

  async put(task: Task, name: string, content: ObjectContent, { ifAbsent = false }: PutOptions = {}): Promise<void> {
    const url = this.#url(name);
    // Nothing much is sent in vain.
    if (ifAbsent && (await this.head(task, name)) !== undefined) return;
    await uploadBlob(task, this.#service, {
      doing: `Cannot write ${JSON.stringify(name)} to ${this.id}`,
      url,
      content,
      ifAbsent,
      authorize: (request) => this.#authorized(request),
      mend: (own, code) => this.#makeContainer(own, code),
    });
  }

  async *list(task: Task, prefix: string): AsyncGenerator<StoredObject, void, undefined> {
    const doing = `Cannot list ${this.id}`;
    const [first, blobs] = [prefix, 'blobs/'].map((start) => keyOfName(this.#options, start)) as [string, string];
    const starts = 'blobs/'.startsWith(prefix) && !blobs.startsWith(first) ? [first, blobs] : [first];
    for (const start of starts) {
      for await (const { key, ...object } of this.#listKeys(task, doing, start)) {
        const name = nameOfKey(this.#options, key);
        if (name?.startsWith(prefix)) yield { name, ...object };
      }
    }
  }

  async touch(task: Task, name: string): Promise<void> {
    const answer = await this.#head(task, name);
    if (answer === undefined || this.#now() - Date.parse(answer.header('last-modified') ?? '') < TOUCH_REFRESH_MS)
      return;
    // To set its metadata, none as before, changes when it was modified and copies nothing.
    await this.#change(
      task,
      `Cannot touch ${JSON.stringify(name)} in ${this.id}`,
      'PUT',
      this.#url(name, { comp: 'metadata' }),
    );
  }

  async delete(task: Task, name: string): Promise<void> {
    await this.#change(task, `Cannot delete ${JSON.stringify(name)} in ${this.id}`, 'DELETE', this.#url(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service[Symbol.asyncDispose]();
  }

  #url(name: string, query: Readonly<Record<string, string>> = {}): URL {
    const url = new URL(this.#container);
    url.pathname += encodeKey(keyOfName(this.#options, checkObjectName(name)));
    url.search = encodeQuery(query);
    return url;
  }

  #authorized(request: AzureRequest): ServiceRequest {
    return authorized(this.#options.access, this.#now(), request);
  }

  async #head(task: Task, name: string): Promise<HttpAnswer | undefined> {
    const url = this.#url(name);
    const doing = `Cannot look for ${JSON.stringify(name)} in ${this.id}`;
    const answer = await this.#service.send(task, doing, () => this.#authorized({ method: 'HEAD', url }));
    answer.discard();
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw await this.#service.failure(doing, answer, Buffer.alloc(0));
    return answer;
  }

  /** What is not there is fine. */
  async #change(task: Task, doing: string, method: 'PUT' | 'DELETE', url: URL): Promise<void> {
    const body = method === 'PUT' ? { body: Buffer.alloc(0) } : {};
    const { answer, body: said } = await this.#service.exchange(task, doing, () =>
      this.#authorized({ method, url, ...body }),
    );
    if (answer.status !== 404 && (answer.status < 200 || answer.status > 299))
      throw await this.#service.failure(doing, answer, said);
  }

  async #makeContainer(task: Task, code: string): Promise<boolean> {
    if (code !== 'ContainerNotFound') return false;
    const doing = `Cannot make container "${this.#options.container}"`;
    const url = new URL(this.#container);
    url.pathname = url.pathname.replace(/\/$/, '');
    url.search = 'restype=container';
    const { answer, body } = await this.#service.exchange(task, doing, () =>
      this.#authorized({ method: 'PUT', url, body: Buffer.alloc(0) }),
    );
    // Somebody else may have been faster.
    if (answer.status !== 201 && codeOf(answer, body) !== 'ContainerAlreadyExists')
      throw await this.#service.failure(doing, answer, body);
    return true;
  }

  async *#listKeys(
    task: Task,
    doing: string,
    prefix: string,
  ): AsyncGenerator<{ readonly key: string; readonly size: number; readonly modifiedAt: number }, void, undefined> {
    let marker = '';
    for (let page = 0; page < MAX_PAGES; page++) {
      const url = new URL(this.#container);
      url.pathname = url.pathname.replace(/\/$/, '');
      url.search = encodeQuery({ restype: 'container', comp: 'list', prefix, ...(marker === '' ? {} : { marker }) });
      const { answer, body } = await this.#service.exchange(task, doing, () =>
        this.#authorized({ method: 'GET', url }),
      );
      if (answer.status === 404) return;
      if (answer.status !== 200) throw await this.#service.failure(doing, answer, body);
      const xml = body.toString();
      for (const blob of elements(xml, 'Blob')) {
        const size = Number(textOf(blob, 'Content-Length'));
        const modifiedAt = Date.parse(textOf(blob, 'Last-Modified') ?? '');
        if (Number.isSafeInteger(size) && !Number.isNaN(modifiedAt))
          yield { key: textOf(blob, 'Name') ?? '', size, modifiedAt };
      }
      const next = textOf(xml, 'NextMarker') ?? '';
      if (next === '') return;
      if (next === marker) break;
      marker = next;
    }
    throw new TsbuildError('TSB_REGISTRY', `${doing}: the list does not end`);
  }
}

function hintFor(said: Said, { access, accessFrom, container }: AzblobOptions): string | undefined {
  const used =
    access.kind === 'key'
      ? `the request was signed with the key of account "${access.account}"`
      : 'the request had a shared access token';
  switch (said.code) {
    case 'ContainerNotFound':
      return `there is no container "${container}": it is made when something is written`;
    case 'AuthenticationFailed':
      return `${used} from ${accessFrom}, which is not accepted: it may be another one, or have expired, or the clock of this machine may be wrong`;
    default:
  }
  return said.status === 401 || said.status === 403
    ? `${used} from ${accessFrom}: it needs to read, write and list the container`
    : undefined;
}
