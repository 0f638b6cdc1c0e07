/**
 * A cache mount is kept under the id that Dockerfiles have, with whatever tells it apart from others of that id behind a `#`. One within an
 * id is doubled, or somebody's `x#1` would be the directory of another one's copy of `x`.
 */
const NAME = /^((?:[^#]|##)*)(#[^#].*)?$/s;

/**
 * Under which id the store keeps a mount.
 * @param id as Dockerfiles have it, with its namespace
 * @param base what it starts with, where that is something
 */
export function mountId(id: string, base?: string): string {
  const escaped = id.replaceAll('#', '##');
  return base === undefined ? escaped : `${escaped}#${base}`;
}

/** The directory of another step that uses the mount at the same time. @param number from 1 on */
export function copyOfMount(mount: string, number: number): string {
  return `${mount}#${number}`;
}

/** The one of those whose files have owners in another form. @param form see `DirectoryForm` */
export function mountOfForm(mount: string, form: number): string {
  return `${mount}#owners-${form}`;
}

/** One that was taken out of use. @param random keeps it apart from others */
export function retiredMount(mount: string, random: string): string {
  return `${mount}#${RETIRED}${random}`;
}

const RETIRED = 'retired-';

/** Whether it was taken out of use: no step gets it any more. */
export function isRetired(mount: string): boolean {
  return NAME.exec(mount)?.[2]?.includes(`#${RETIRED}`) ?? false;
}

/** The id of a mount as Dockerfiles have it. */
export function idOfMount(mount: string): string {
  // What an earlier version called otherwise is its own.
  return NAME.exec(mount)?.[1]?.replaceAll('##', '#') ?? mount;
}

/** Whether it is the one mount of its id that starts empty. */
export function isPlainMount(mount: string): boolean {
  return NAME.exec(mount)?.[2] === undefined;
}
