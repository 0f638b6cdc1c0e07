/** What can be written to, as far as waiting for room is about it: streams and sockets. */
interface Drains {
  on(event: 'drain' | 'close', listener: () => void): unknown;
  off(event: 'drain' | 'close', listener: () => void): unknown;
}

/**
 * Calls once when a stream that was full takes more, or is gone: a reader that has gone away drains nothing. To be asked for right after
 * the write that said that it is full.
 */
export function onRoom(stream: Drains, call: () => void): void {
  const go = (): void => {
    stream.off('drain', go);
    stream.off('close', go);
    call();
  };
  stream.on('drain', go);
  stream.on('close', go);
}

/** The same as something to wait for. Never rejects. */
export function roomAgain(stream: Drains): Promise<void> {
  return new Promise((resolve) => onRoom(stream, resolve));
}
