/**
 * Messages on their way to the other process. Each write wakes that one up, which costs either side a tenth of a millisecond: what can
 * wait until this process has nothing else at hand goes along with what cannot. The order stays.
 */
export class Outbox<Message> {
  readonly #send: (mail: readonly Message[]) => void;
  #kept: Message[] = [];
  #timer: NodeJS.Immediate | undefined;

  /** @param send writes messages to the channel, in one piece */
  constructor(send: (mail: readonly Message[]) => void) {
    this.#send = send;
  }

  /** Sends it with the next one that is posted; without one, as soon as what has come in was looked at. */
  keep(message: Message): void {
    this.#kept.push(message);
    this.#timer ??= setImmediate(() => this.#flush());
  }

  /** Sends it at once, and with it all that were kept. */
  post(message: Message): void {
    this.#kept.push(message);
    this.#flush();
  }

  #flush(): void {
    clearImmediate(this.#timer);
    this.#timer = undefined;
    const mail = this.#kept;
    this.#kept = [];
    this.#send(mail);
  }
}
