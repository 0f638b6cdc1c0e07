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

/** Outputs of images to the local store or to registries. */
const IS_IMAGE = /^type=(?:image|registry)\b/;

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
    if (!IS_IMAGE.test(text)) return text;
    const asked = [...(push ? ['push=true'] : []), ...(load ? ['store=true'] : [])];
    return [text, ...asked.filter((attribute) => !hasAttribute(text, attribute))].join(',');
  });
  if (push && !typed.some((text) => IS_IMAGE.test(text)))
    typed.push(load ? 'type=registry,store=true' : 'type=registry');
  const parse = (text: string): OutputSpec => {
    const isImage = text.startsWith('type=') && !/^type=(local|tar|cacheonly)\b/.test(text);
    const all = isImage ? [text, ...attributes].join(',') : text;
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

function hasAttribute(text: string, attribute: string): boolean {
  const [key = ''] = attribute.split('=');
  return new RegExp(`(?:^|,)"?${key}=`).test(text);
}
