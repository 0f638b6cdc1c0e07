import { userInfo } from 'node:os';

/** Who runs this process. A user that is in no database, as in many containers, is called by its number. */
export function currentUser(): { readonly uid: number; readonly gid: number; readonly name: string } {
  try {
    const { uid, gid, username } = userInfo();
    return { uid, gid, name: username };
  } catch {
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    return { uid, gid, name: String(uid) };
  }
}
