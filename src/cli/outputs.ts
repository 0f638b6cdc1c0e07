import { type OutputSpec, parseNames, parseOutput } from '../exporter/index.ts';
import { annotationAttribute } from './annotation.ts';
import type { BuildOptions } from './commands/build-display.ts';
import type { CliContext } from './context.ts';

/** Outputs of images to the local store or to registries. */
const IS_IMAGE = /^type=(?:image|registry)\b/;

/**
 * The outputs of a build, by `-o`, `-t`, `--push`, `--load` and what is for all images among them. `--push` is for the outputs of type
 * image, and makes one of type registry where there is none.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseOutputs(context: CliContext, options: BuildOptions): readonly OutputSpec[] {
  const { push = false, load = false } = options;
  const tags = options.tag ?? [];
  const attributes = [
    ...(options.annotation ?? []).map(annotationAttribute),
    ...(options.rewriteTimestamp ? ['rewrite-timestamp=true'] : []),
  ];
  const typed = (options.output ?? []).map((text) => {
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
    return parseOutput(all, { cwd: context.cwd, names: tags });
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
