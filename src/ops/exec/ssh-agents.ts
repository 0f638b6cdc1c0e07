import type { Agent, AgentSocket } from '../../ssh/index.ts';
import type { RemoteSources } from '../source/remote-sources.ts';

/** The SSH agents that a build was given. Keys are in the memory of this process alone. */
export class SshAgents {
  readonly #agents: ReadonlyMap<string, Agent>;
  readonly #directories: Pick<RemoteSources, 'temporary' | 'discard'>;

  private constructor(agents: ReadonlyMap<string, Agent>, directories: Pick<RemoteSources, 'temporary' | 'discard'>) {
    this.#agents = agents;
    this.#directories = directories;
  }

  /**
   * Reads the keys.
   * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND`, `TSB_PERMISSION`
   */
  static async open(
    ssh: ReadonlyMap<string, readonly string[]>,
    directories: Pick<RemoteSources, 'temporary' | 'discard'>,
  ): Promise<SshAgents> {
    const agents = new Map<string, Agent>();
    if (ssh.size > 0) {
      const { openAgent } = await import('../../ssh/index.ts');
      for (const [id, paths] of ssh) agents.set(id, openAgent(id, paths));
    }
    return new SshAgents(agents, directories);
  }

  has(id: string): boolean {
    return this.#agents.has(id);
  }

  /** Lets an agent listen at a new socket, in a directory of its own; undefined when the build was given none with that id. */
  async serve(id: string): Promise<AgentSocket | undefined> {
    const agent = this.#agents.get(id);
    if (!agent) return undefined;
    const { serveAgent } = await import('../../ssh/index.ts');
    const directory = this.#directories.temporary();
    await using opening = new AsyncDisposableStack();
    opening.defer(() => this.#directories.discard(directory));
    const { path, address } = opening.use(await serveAgent(agent, directory));
    const held = opening.move();
    return { path, address, [Symbol.asyncDispose]: () => held.disposeAsync() };
  }
}
