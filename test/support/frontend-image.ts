import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import type { Bench } from './bench.ts';
import { tar, type TarMember } from './image.ts';

let root: Buffer | undefined;

/** The root of the frontend's image: this Node with what it is linked to, and the program. */
function frontendTar(): Buffer {
  return (root ??= tar([...programMembers(process.execPath), ...frontendMembers()]));
}

function programMembers(path: string): TarMember[] {
  const linked = execFileSync('ldd', [path], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  const directories = new Set(linked.flatMap((library) => parentsOf(library)));
  return [
    ...['bin', 'tmp', 'proc', 'dev', 'sys', 'run', ...directories].map((name): TarMember => ({
      name: `${name}/`,
      type: '5',
    })),
    { name: 'bin/node', content: readFileSync(path), mode: 0o755 },
    ...linked.map((library): TarMember => ({ name: library.slice(1), content: readFileSync(library), mode: 0o755 })),
  ];
}

function parentsOf(path: string): readonly string[] {
  const names = path.slice(1).split('/').slice(0, -1);
  return names.map((_, at) => names.slice(0, at + 1).join('/'));
}

function frontendMembers(): TarMember[] {
  const entry = fileURLToPath(new URL('../e2e/programs/frontend.ts', import.meta.url));
  const [bundle] = buildSync({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    target: 'node22',
    logLevel: 'error',
    external: ['koffi'],
  }).outputFiles;
  const proto = readFileSync(new URL('../../testdata/gateway/gateway.proto', import.meta.url));
  return [
    { name: 'frontend.cjs', content: bundle?.contents ?? '' },
    { name: 'gateway.proto', content: proto },
  ];
}

const DOCKERFILE = `FROM scratch
ADD root.tar /
ENV OF_THE_IMAGE=1 NODE_OPTIONS=--max-old-space-size=200
USER nobody
LABEL moby.buildkit.frontend.caps="moby.buildkit.frontend.inputs,moby.buildkit.frontend.subrequests" moby.buildkit.frontend.network.none="true"
ENTRYPOINT ["/bin/node", "/frontend.cjs"]
CMD ["not", "used"]
`;

/** Builds the image of the tests' frontend in a bench's store. */
export async function buildFrontendImage(bench: Bench, name: string): Promise<void> {
  await bench.ok(['build', '-q', '-t', name, bench.context(DOCKERFILE, { 'root.tar': frontendTar() })]);
}
