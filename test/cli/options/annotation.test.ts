import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { annotationAttributes } from '../../../src/cli/options/annotation.ts';
import { parseCsvLine } from '../../../src/exporter/index.ts';

// The forms of buildx: util/buildflags ParseAnnotations.
describe('--annotation', () => {
  test.each([
    ['a.b=c', ['annotation.a.b=c']],
    ['a=', ['annotation.a=']],
    ['a=b=c', ['annotation.a=b=c']],
    ['a=b:c=d', ['annotation.a=b:c=d']],
    ['index:a=b', ['annotation-index.a=b']],
    ['index:a=index:b', ['annotation-index.a=index:b']],
    ['manifest[linux/arm64]:a=b', ['annotation-manifest[linux/arm64].a=b']],
    ['manifest-descriptor:a=b=c', ['annotation-manifest-descriptor.a=b=c']],
    ['index:a:b=c', ['annotation-index.a:b=c']],
    ['index,manifest:a=b', ['annotation-index.a=b', 'annotation-manifest.a=b']],
    [
      'manifest[linux/arm64],manifest[linux/amd64],index-descriptor:a=b',
      [
        'annotation-manifest[linux/arm64].a=b',
        'annotation-manifest[linux/amd64].a=b',
        'annotation-index-descriptor.a=b',
      ],
    ],
    ['a=x,y', ['"annotation.a=x,y"']],
    ['a=say "hi"', ['"annotation.a=say ""hi"""']],
    ['a=one\ntwo', ['"annotation.a=one\ntwo"']],
  ])('%j is %j', (text, attributes) => {
    expect(annotationAttributes(text)).toEqual(attributes);
  });

  test('is read as what it was, wherever it goes and whatever its value is', () => {
    const type = fc.constantFrom('index', 'manifest', 'index-descriptor', 'manifest[linux/arm/v7]');
    fc.assert(
      fc.property(
        fc.array(type, { maxLength: 3 }),
        fc.stringMatching(/^[a-z][a-z.]{0,8}$/),
        fc.string(),
        (types, key, value) => {
          const text = `${types.length === 0 ? '' : `${types.join(',')}:`}${key}=${value}`;
          expect(annotationAttributes(text).map(parseCsvLine)).toEqual(
            (types.length === 0 ? [''] : types.map((each) => `-${each}`)).map((suffix) => [
              `annotation${suffix}.${key}=${value}`,
            ]),
          );
        },
      ),
    );
  });

  test.each([
    ['', 'expected [TYPE:]NAME=VALUE'],
    ['a', 'expected [TYPE:]NAME=VALUE'],
    ['=b', 'expected [TYPE:]NAME=VALUE'],
    ['index:=b', 'expected [TYPE:]NAME=VALUE'],
    ['indx:a=b', 'there is no type "indx": there are manifest, index, manifest-descriptor, index-descriptor'],
    ['Index:a=b', 'there is no type "Index"'],
    ['index,:a=b', 'there is no type ""'],
    [':a=b', 'there is no type ""'],
    ['index,layer:a=b', 'there is no type "layer"'],
    ['manifest[linux/arm64:a=b', 'there is no type "manifest[linux/arm64"'],
    ['http://x=y', 'there is no type "http"'],
  ])('%j is refused: %s', (text, why) => {
    expect(() => annotationAttributes(text)).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: expect.stringContaining(`Cannot use --annotation ${JSON.stringify(text)}: ${why}`) as string,
        hint: expect.stringContaining('--annotation index:') as string,
      }),
    );
  });
});
