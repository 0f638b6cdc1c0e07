import { pullImage, type Session } from '../../engine/index.ts';
import type { Task } from '../../events/index.ts';
import { parseReference, type Platform } from '../../image/index.ts';
import { emptyRegistriesConfig, resolveAlias } from '../../registry/index.ts';

/** `--pull=always`: asks the registry for what an image's name stands for now. A path to an archive or layout is what it is. */
export async function pullFirst(session: Session, task: Task, image: string, platform: Platform): Promise<void> {
  if (/^[./]|^oci-|^docker-archive:/.test(image)) return;
  const config = (await session.registriesConfig()) ?? emptyRegistriesConfig;
  await pullImage(session, task, parseReference(resolveAlias(image, config) ?? image), {
    selection: { what: 'part', platform },
    policy: 'always',
  });
}
