import type { Task } from '../events/index.ts';
import type { Repository } from '../image/index.ts';
import { type Digest, TsbuildError } from '../util/index.ts';
import { type Call, Caller } from './caller.ts';
import { emptyRegistriesConfig, endpointsFor } from './registries-conf.ts';
import type { RegistryOptions } from './types.ts';

/**
 * Takes manifests out of a repository, with all tags that are of them (distribution-spec, "Deleting Manifests"). Blobs that nothing else
 * names go when the registry next looks for garbage.
 */
export class ManifestRemover implements AsyncDisposable {
  readonly #caller: Caller;
  readonly #repository: Repository;
  readonly #insecure: boolean;

  constructor(repository: Repository, options: RegistryOptions) {
    const { host, path } = repository;
    this.#caller = new Caller(options);
    this.#repository = repository;
    // The registry itself, not its mirrors.
    this.#insecure = endpointsFor({ host, path }, options.config ?? emptyRegistriesConfig).at(-1)?.insecure ?? false;
  }

  /** One that is not there is no error. @throws TsbuildError `TSB_REGISTRY` where the registry deletes nothing, or not for this user; `TSB_NETWORK` */
  async remove(task: Task, digest: Digest): Promise<void> {
    const { host, path } = this.#repository;
    const call: Call = {
      doing: `Cannot delete ${digest} of ${JSON.stringify(`${host}/${path}`)}`,
      endpoint: { host, path, insecure: this.#insecure, mirror: false },
      method: 'DELETE',
      path: `manifests/${digest}`,
      scope: `repository:${path}:pull,push,delete`,
    };
    const answer = await this.#caller.call(task, call);
    if ([200, 202, 404].includes(answer.status)) return answer.discard();
    if (answer.status !== 405 && answer.status !== 400) throw await this.#caller.failure(task, call, answer);
    answer.discard();
    throw new TsbuildError('TSB_REGISTRY', `${call.doing}: the registry deletes nothing (${answer.status})`, {
      hint: 'Distribution does when it is started with REGISTRY_STORAGE_DELETE_ENABLED=true; others have rules of their own for what is old',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#caller[Symbol.asyncDispose]();
  }
}
