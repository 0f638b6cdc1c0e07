import { csvField } from '../../exporter/index.ts';
import { TsbuildError } from '../../util/index.ts';

const TYPES = ['manifest', 'index', 'manifest-descriptor', 'index-descriptor'];

/**
 * Turns `[TYPE[[PLATFORM]][,…]:]NAME=VALUE` of `--annotation` into attributes of an output, one for each place that is named.
 * @throws TsbuildError `TSB_USAGE`
 */
export function annotationAttributes(text: string): readonly string[] {
  const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  const [, places, key = ''] = /^(?:([^:]*):)?(.*)$/s.exec(name) ?? [];
  if (key === '') throw bad(text, 'expected [TYPE:]NAME=VALUE');
  const suffixes = places === undefined ? [''] : places.split(',').map((place) => suffixOf(text, place));
  return suffixes.map((suffix) => csvField(`annotation${suffix}.${key}=${value}`));
}

/** What a place is in the name of an attribute: `-index[linux/arm64]`. */
function suffixOf(text: string, place: string): string {
  const [, type = '', platform = ''] = /^([^[]*)(\[[^\]]*\])?$/.exec(place) ?? ['', place];
  // As with buildx: what stands before a colon is a type, and no part of a name.
  if (TYPES.includes(type)) return `-${type}${platform}`;
  throw bad(text, `there is no type ${JSON.stringify(type)}: there are ${TYPES.join(', ')}`);
}

function bad(text: string, why: string): TsbuildError {
  return new TsbuildError('TSB_USAGE', `Cannot use --annotation ${JSON.stringify(text)}: ${why}`, {
    hint: 'for example: --annotation index:org.opencontainers.image.vendor=me, or --annotation index,manifest:NAME=VALUE',
  });
}
