import { csvField } from '../../exporter/index.ts';
import { TsbuildError } from '../../util/index.ts';

/**
 * Turns `[manifest|index|manifest-descriptor|index-descriptor[[PLATFORM]][,…]:]KEY=VALUE` of `--annotation` into an attribute of an
 * output.
 * @throws TsbuildError `TSB_USAGE`
 */
export function annotationAttribute(text: string): string {
  const match = /^(?:((?:index|manifest)(?:-descriptor)?)(\[[^\]]*\])?:)?([^=]+)=(.*)$/s.exec(text);
  if (!match) {
    throw new TsbuildError('TSB_USAGE', `Cannot use --annotation ${JSON.stringify(text)}: expected [TYPE:]NAME=VALUE`, {
      hint: 'for example: --annotation index:org.opencontainers.image.vendor=me',
    });
  }
  const [, type, platform = '', key = '', value = ''] = match;
  const attribute = `${type === undefined ? 'annotation' : `annotation-${type}`}${platform}.${key}=${value}`;
  return csvField(attribute);
}
