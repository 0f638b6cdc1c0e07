import { StepServer } from './step-server.ts';

/** Helpers without a step that are kept for the next ones; more ran side by side, and may never again. */
const MOST_IDLE = 4;

/** The helpers that run steps: started when there are more steps than helpers, and kept. */
export class StepServers {
  readonly #helperPath: string;
  readonly #idle: StepServer[] = [];

  constructor(helperPath: string) {
    this.#helperPath = helperPath;
  }

  /** One that runs nothing, for one step. Give it back when that has ended. */
  take(): StepServer {
    return this.#idle.pop() ?? this.#start();
  }

  /** What was taken and has ended its step. */
  giveBack(server: StepServer): void {
    if (server.gone) return;
    if (this.#idle.length < MOST_IDLE) this.#idle.push(server);
    else server.kill();
  }

  #start(): StepServer {
    return new StepServer(this.#helperPath, (gone) => {
      const index = this.#idle.indexOf(gone);
      if (index >= 0) this.#idle.splice(index, 1);
    });
  }
}
