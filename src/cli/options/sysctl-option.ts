import { TsbuildError } from '../../util/index.ts';

/** Of ipc_namespaces(7) and uts_namespaces(7); networks and POSIX message queues have theirs by their beginnings. */
const OWN = new Set(
  'kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni kernel.shm_rmid_forced kernel.domainname'.split(
    ' ',
  ),
);

/**
 * `--sysctl NAME=VALUE`: what belongs to namespaces that every container has of its own, and to its network.
 * @throws TsbuildError `TSB_USAGE` for all that would change the machine
 */
export function parseSysctls(values: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    values.map((text): [string, string] => {
      const [name, value] = [text.split('=', 1)[0] ?? '', text.slice(text.indexOf('=') + 1)];
      const bad = (why: string, hint: string): TsbuildError =>
        new TsbuildError('TSB_USAGE', `Cannot use --sysctl ${JSON.stringify(text)}: ${why}`, { hint });
      if (!text.includes('=') || !/^[\w-]+(\.[\w-]+)+$/.test(name) || /[\0-\x08\n-\x1f]/.test(value) || value === '')
        throw bad('expected NAME=VALUE', 'for example net.core.somaxconn=1024');
      if (!OWN.has(name) && !/^(net|fs\.mqueue)\./.test(name))
        throw bad(
          'it is not allowed',
          'it would change the machine: net.*, fs.mqueue.*, kernel.msg*, kernel.sem, kernel.shm* and kernel.domainname can be set',
        );
      return [name, value];
    }),
  );
}

/** Whether some are about the network, which has to be the container's own then. */
export function changesNetwork(values: readonly string[] = []): boolean {
  return values.some((text) => text.startsWith('net.'));
}
