import { parseCsvLine } from './csv.ts';
import { parseNames } from './names.ts';
import { type OutputSpec, parseOutput } from './output.ts';

/** What decides where the results of a build go. */
export interface OutputChoice {
  readonly cwd: string;
  /** As `--output` takes them. */
  readonly outputs: readonly string[];
  /** Names of the image. */
  readonly tags: readonly string[];
  readonly push: boolean;
  readonly load: boolean;
  /** Attributes of every output that is an image, `KEY=VALUE` as CSV has it. */
  readonly attributes?: readonly string[];
}

/** Types of images that go to the local store or to registries. */
const STORED = ['image', 'registry'];
/** Types of what is no image. */
const FILES = ['local', 'tar', 'cacheonly'];

/**
 * The outputs of a build. `push` is for those of type image, and makes one of type registry where there is none; `load` and names keep
 * the image in the local store.
 * @throws TsbuildError `TSB_USAGE`
 */
export function chooseOutputs({
  cwd,
  outputs,
  tags,
  push,
  load,
  attributes = [],
}: OutputChoice): readonly OutputSpec[] {
  const typed = outputs.map((text) => {
    const keys = keysOf(text);
    if (!STORED.includes(keys.get('type') ?? '')) return text;
    return [
      text,
      ...(push && !keys.has('push') ? ['push=true'] : []),
      ...(load && !keys.has('store') ? ['store=true'] : []),
    ].join(',');
  });
  if (push && !typed.some((text) => STORED.includes(keysOf(text).get('type') ?? '')))
    typed.push(load ? 'type=registry,store=true' : 'type=registry');
  const parse = (text: string): OutputSpec => {
    const type = keysOf(text).get('type');
    const all = type === undefined || FILES.includes(type) ? text : [text, ...attributes].join(',');
    // Names are read by the output, which knows what may be one.
    return parseOutput(all, { cwd, names: tags });
  };
  const specs = typed.map(parse);
  if (specs.every((spec) => spec.type !== 'image')) parseNames(tags);
  // A name without an output of its own is for the local image store.
  const toStore = tags.length > 0 || load || specs.length === 0;
  if (toStore && !specs.some((spec) => spec.type === 'image')) specs.push(parse('type=image'));
  return specs;
}

/** The attributes of an output, which may come in any order. What is wrong with them is told by `parseOutput`. */
function keysOf(text: string): ReadonlyMap<string, string> {
  return new Map(
    parseCsvLine(text).map((field) => {
      const [key = '', ...value] = field.split('=');
      return [key.trim().toLowerCase(), value.join('=')];
    }),
  );
}
