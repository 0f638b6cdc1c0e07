import { TsbuildError } from '../util/index.ts';

const NO_CONTAINERS =
  'containers have create, run, start, stop, restart, kill, pause, rename, update, rm, wait, ps, port, logs, exec, attach, cp, diff, commit, export, events, top, stats, inspect and prune (container prune)';
const NO_DAEMON = 'there is no daemon, and there are no builders to choose from: "tsbuild build" builds right here';
const NO_TREE = 'what each layer adds: "tsbuild inspect --layers NAME"; the steps: "tsbuild history NAME"';
const MOUNT = 'write the files of an image to a directory: tsbuild build -o type=local,dest=DIR';
const STEPS = 'write the steps into a Dockerfile, and build it with "tsbuild build"';
const OTHER = '"tsbuild --help" lists the commands that there are';

/** Commands of docker, podman, buildah and nerdctl that are not here, with what to type instead. */
const ABSENT: Readonly<Record<string, readonly string[]>> = {
  [NO_TREE]: ['tree'],
  [MOUNT]: ['mount', 'umount', 'unmount'],
  [STEPS]: ['add', 'from', 'config'],
  [NO_CONTAINERS]: 'checkpoint cleanup clone container containers exists init initialize port restore runlabel'.split(
    ' ',
  ),
  [NO_DAEMON]: ['context', 'machine', 'node', 'daemon'],
  '"tsbuild doctor" says what this machine allows': ['info'],
  'what works is: image ls, rm, build, history, import, inspect, load, prune, pull, push, save, tag, untag': ['image'],
  'what works is: system df, prune': ['system'],
  [`what works is: builder prune, du, build; ${NO_DAEMON}`]: ['builder', 'buildx'],
  'what works is: manifest inspect; tsbuild build --platform linux/amd64,linux/arm64 makes an image index': [
    'manifest',
  ],
  [OTHER]: (
    'app artifact auto-update bake compose debug dial-stdio farm generate healthcheck imagetools kube mcp model offload pod ' +
    'play plugin quadlet sandbox sbom scout secret service stack swarm trust unshare'
  ).split(' '),
};

const HINTS: ReadonlyMap<string, string> = new Map(
  Object.entries(ABSENT).flatMap(([hint, words]) => words.map((word) => [word, hint])),
);

/** What `container NAME` is here. */
const OF_CONTAINERS =
  'attach commit cp create diff exec export inspect kill logs pause port ps rename restart rm run start stats stop top unpause update wait'.split(
    ' ',
  );

/** Forms that are here under another name, longest first. What follows is kept. */
const FORMS: readonly (readonly [from: string, to: readonly string[]])[] = [
  ...['image', 'builder', 'buildx'].map((group): [string, string[]] => [`${group} build`, ['build']]),
  ...['du', 'prune'].flatMap((name) =>
    ['builder', 'buildx'].map((group): [string, string[]] => [`${group} ${name}`, [name]]),
  ),
  ...OF_CONTAINERS.map((name): [string, string[]] => [
    `container ${name}`,
    name === 'inspect' ? ['inspect', '--type', 'container'] : [name],
  ]),
  ...['ls', 'list'].map((name): [string, string[]] => [`container ${name}`, ['ps']]),
  ['container prune', ['container-prune']],
  ['buildx b', ['build']],
  ['bud', ['build']],
  ['buildx imagetools inspect', ['inspect', '--remote']],
  ['manifest inspect', ['inspect', '--remote', '--raw']],
  ['image history', ['history']],
  ['image import', ['import']],
  ['image inspect', ['inspect', '--type', 'image']],
  ['image tag', ['tag']],
  ['image untag', ['untag']],
  ['image list', ['images']],
  ['image ls', ['images']],
  ['image pull', ['pull']],
  ['image push', ['push']],
  ['image remove', ['rmi']],
  ['image rm', ['rmi']],
  ['image save', ['save']],
  ['system df', ['du']],
  ['version', ['--version']],
];

/** Forms with a hint of their own. */
const REFUSED: readonly (readonly [form: string, hint: string])[] = [
  [
    'buildx imagetools create',
    'another name for one image: tsbuild copy SOURCE NAME; several platforms in one: tsbuild build --platform linux/amd64,linux/arm64 --push -t NAME .',
  ],
  ['image scp', 'by way of an archive: tsbuild copy NAME oci-archive:FILE, and there tsbuild import FILE'],
];

/** Whether docker, podman or buildah know this word as a command. Such a word is never taken for a build context. */
export function isForeign(word: string): boolean {
  return HINTS.has(word) || ['load', 'bud', 'version'].includes(word);
}

/**
 * What a command line of docker, podman or buildah is here.
 * @param words the command and what follows; `isForeign` of the first
 * @throws TsbuildError `TSB_USAGE` with what to type instead
 */
export function translate(words: readonly string[]): readonly string[] {
  const [first = '', second = ''] = words;
  if (first === 'load') return importOf(words.slice(1));
  if (first === 'image' && second === 'load') return importOf(words.slice(2));
  // What docker calls all is other than what `tsbuild prune --all` means.
  if (first === 'image' && second === 'prune') return pruneOf(words.slice(2), ['--images']);
  if (first === 'system' && second === 'prune') return pruneOf(words.slice(2), ['--all', '--images']);
  for (const [form, hint] of REFUSED)
    if (words.join(' ').startsWith(form))
      throw new TsbuildError('TSB_USAGE', `tsbuild has no command "${form}"`, { hint });
  for (const [from, to] of FORMS) {
    const length = from.split(' ').length;
    if (words.slice(0, length).join(' ') === from) return [...to, ...words.slice(length)];
  }
  const isGroup = ['image', 'container', 'builder', 'buildx', 'system'].includes(first);
  const known = isGroup && HINTS.has(second) && first !== 'builder' && first !== 'buildx';
  throw new TsbuildError(
    'TSB_USAGE',
    `tsbuild has no command ${JSON.stringify(isGroup && second ? `${first} ${second}` : first)}`,
    {
      hint: `${hintOf(known ? second : first)}; a directory of this name is built with "tsbuild ./${first}"`,
    },
  );
}

function hintOf(word: string): string {
  return HINTS.get(word) ?? OTHER;
}

/** `docker load [-i FILE] [-q]`. */
function importOf(words: readonly string[]): readonly string[] {
  let file = '-';
  const others: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    // The value of a short option may stand right behind it, and other letters before it.
    const short = /^-q*i=?(.*)$/s.exec(word)?.[1];
    if (word === '--input' || short === '') {
      const next = words[++at];
      if (next === undefined)
        throw new TsbuildError('TSB_USAGE', `Cannot use ${word}: the file is missing`, { hint: `write ${word} FILE` });
      file = next;
    } else if (short !== undefined) file = short;
    else if (word.startsWith('--input=')) file = word.slice('--input='.length);
    else if (!/^-q+$|^--quiet(?:=|$)/.test(word)) others.push(word);
  }
  return ['import', file, ...others];
}

/** `docker image prune` and `docker system prune`. @param all what `-a` is here */
function pruneOf(words: readonly string[], all: readonly string[]): readonly string[] {
  const switches = words.flatMap(switchesOf);
  // Docker asks before it does this. Images that were imported cannot be fetched again.
  if (switches.includes('--all') && !switches.includes('--force'))
    throw new TsbuildError('TSB_USAGE', 'This removes the images of the local store, and there is no question first', {
      hint: 'add --force to do it; "tsbuild prune --images --dry-run" says what would go',
    });
  return [
    'prune',
    ...switches.flatMap((word) => {
      if (word === '--all') return all;
      return word === '--volumes' ? [] : [word];
    }),
  ];
}

/** A word of `image prune` by the long names of its switches, however they were written: `-af`, `--all=true`. */
function switchesOf(word: string): readonly string[] {
  if (/^-[af]+$/.test(word)) return Array.from(word.slice(1), (letter) => (letter === 'a' ? '--all' : '--force'));
  const [, long, short, value = ''] = /^(?:(--(?:all|force|volumes))|-([af]))(?:=(.*))?$/.exec(word) ?? [];
  const name = long ?? (short === undefined ? undefined : short === 'a' ? '--all' : '--force');
  if (name === undefined) return [word];
  return /^(?:|1|t|true)$/i.test(value) ? [name] : /^(?:0|f|false)$/i.test(value) ? [] : [word];
}
