import fs from 'node:fs';
import { join } from 'node:path';
import { errnoOf, fromErrno, TsbuildError } from '../util/index.ts';
import { connectIn } from './frame-socket.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import type { Attachment, Network } from './network-types.ts';
import type { Container } from './types.ts';

/** What a container's networks are when they are no longer those that it was made with. */
const FILE = 'networks.json';
/** Where the process that made a container's own network takes requests (native/src/member.c). */
const SOCKET = 'network.socket';
const ANSWER_MS = 20_000;

/** The networks that a container is in, or will be when it is started; none for one that has another kind of network. */
export function attachmentsOf({ directory, record }: Pick<Container, 'directory' | 'record'>): readonly Attachment[] {
  if (record.networks === undefined) return [];
  try {
    return JSON.parse(fs.readFileSync(join(directory, FILE), 'utf8')) as readonly Attachment[];
  } catch {
    return record.networks;
  }
}

/** Remembers what networks a container is in. The caller has its lock. @throws TsbuildError `TSB_NOT_FOUND`, `TSB_STORE` */
export function writeAttachments({ directory, name }: Container, attachments: readonly Attachment[]): void {
  const path = join(directory, FILE);
  try {
    fs.writeFileSync(`${path}.new`, JSON.stringify(attachments), { mode: 0o600 });
    fs.renameSync(`${path}.new`, path);
  } catch (error) {
    // Removed while its lock was waited for.
    if (errnoOf(error) === 'ENOENT') throw new TsbuildError('TSB_NOT_FOUND', `No such container: ${name}`);
    throw fromErrno(error, `Cannot remember the networks of ${name}`, 'TSB_STORE');
  }
}

/** What a container says when it joins a network. */
export function joinText(
  { id, name }: Pick<Container, 'id' | 'name'>,
  network: Network,
  attachment: Attachment,
): string {
  return [
    `network ${network.directory}`,
    `id ${id}`,
    `name ${name}`,
    ...attachment.aliases.map((alias) => `alias ${alias}`),
    ...(attachment.ip === undefined ? [] : [`ip ${attachment.ip}`]),
    ...(attachment.ip6 === undefined ? [] : [`ip6 ${attachment.ip6}`]),
    ...(attachment.mac === undefined ? [] : [`mac ${attachment.mac}`]),
  ].join('\n');
}

/**
 * Has a container that runs join (`J`, with the text for it) or leave (`L`, with the network's directory).
 * @throws TsbuildError `TSB_USAGE` when that was refused
 */
export async function askMember(container: Container, kind: 'J' | 'L', text: string): Promise<void> {
  const socket = await connectIn(container.directory, SOCKET);
  const gone = new TsbuildError('TSB_SANDBOX', `Cannot reach the process of ${container.name}'s networks`, {
    hint: `start the container again: tsbuild restart ${container.name}`,
  });
  if (socket === undefined) throw gone;
  const reader = new FrameReader();
  try {
    await new Promise<void>((resolve, reject) => {
      socket.setTimeout(ANSWER_MS, () => reject(gone));
      socket.on('data', (piece: Buffer) => {
        for (const frame of reader.take(piece))
          if (frame.kind === 'a') resolve();
          else reject(new TsbuildError('TSB_USAGE', `Cannot do that: ${frame.data.toString('utf8')}`));
      });
      socket.once('close', () => reject(gone));
      socket.write(encodeFrame(kind, text));
    });
  } finally {
    socket.destroy();
  }
}
