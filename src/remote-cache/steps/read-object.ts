import type { Task } from '../../events/index.ts';
import type { GetOptions, ObjectStore } from '../../object-store/index.ts';
import { collect } from '../../util/index.ts';

/** A small object in one piece; undefined when there is none. @throws as `ObjectStore.get` */
export async function readObject(
  task: Task,
  objects: ObjectStore,
  name: string,
  maxBytes: number,
  options: Pick<GetOptions, 'onlyLooks'> = {},
): Promise<Buffer | undefined> {
  const chunks = await objects.get(task, name, { maxBytes, ...options });
  return chunks && collect(chunks);
}
