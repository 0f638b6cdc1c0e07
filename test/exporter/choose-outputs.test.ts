import { describe, expect, test } from 'vitest';
import { chooseOutputs, type OutputSpec } from '../../src/exporter/index.ts';

interface Asked {
  readonly outputs: readonly string[];
  readonly tags?: readonly string[];
  readonly push?: boolean;
  readonly load?: boolean;
  readonly attributes?: readonly string[];
}

const choose = ({ outputs, tags = [], push = false, load = false, attributes = [] }: Asked): readonly OutputSpec[] =>
  chooseOutputs({ cwd: '/dir', outputs, tags, push, load, attributes });

const annotationsOf = (spec: OutputSpec | undefined): unknown =>
  spec !== undefined && 'annotations' in spec ? spec.annotations?.all.manifest : undefined;

describe('what an output is', () => {
  // CSV has no order, and keys are read without regard to case.
  test.each([
    'type=image,name=r.example/app',
    'name=r.example/app,type=image',
    'TYPE=image,name=r.example/app',
    '"type=image",name=r.example/app',
    ' type=image,name=r.example/app',
    'unpack=false,name=r.example/app,Type=image',
  ])('does not hang on the place or the spelling of its type: %j', (text) => {
    const specs = choose({ outputs: [text], push: true, load: true, attributes: ['annotation.a=b'] });
    expect(specs).toHaveLength(1);
    expect(specs[0]).toMatchObject({
      type: 'image',
      names: ['r.example/app:latest'],
      store: true,
      push: { byDigest: false, insecure: false },
    });
    expect(annotationsOf(specs[0])).toEqual({ a: 'b' });
  });

  test.each(['type=oci,dest=x', 'dest=x,type=oci', 'dest=x,TYPE=docker', 'dest=x,"type=oci"'])(
    'what is for all images is for the archive %j as well',
    (text) => {
      const [spec] = choose({ outputs: [text], attributes: ['annotation.a=b', 'rewrite-timestamp=true'] });
      expect(spec).toMatchObject({ dest: '/dir/x', rewriteTimestamp: true });
      expect(annotationsOf(spec)).toEqual({ a: 'b' });
    },
  );

  test.each(['type=local,dest=x', 'dest=x,type=tar', 'type=cacheonly', 'out', '-', './type=oci'])(
    'what is for images is not for %j',
    (text) => {
      const specs = choose({ outputs: [text], attributes: ['annotation.a=b'] });
      expect(specs).toHaveLength(1);
      expect(['local', 'tar', 'cacheonly']).toContain(specs[0]?.type);
    },
  );

  test('what an output says of itself counts, whatever was asked for besides', () => {
    const push = ['push=false,type=image', 'type=image,Push=false', 'type=image,"push=false"'];
    for (const text of push) expect(choose({ outputs: [text], push: true })[0]).not.toHaveProperty('push');
    const [spec] = choose({ outputs: ['store=false,type=registry,name=r.example/a'], load: true });
    expect(spec).toMatchObject({ store: false });
  });

  test('a value that looks like an attribute is none', () => {
    const [spec] = choose({
      outputs: ['type=image,name=r.example/a,"annotation.k=x,push=false,store=false"'],
      push: true,
    });
    expect(spec).toMatchObject({ push: { byDigest: false }, store: true });
    expect(annotationsOf(spec)).toEqual({ k: 'x,push=false,store=false' });
  });
});

describe('several outputs', () => {
  test('are taken in their order, and the names of the build are for those that have none', () => {
    const specs = choose({
      outputs: ['dest=a.tar,type=docker', 'name=r.example/b:2,type=registry', 'type=local,dest=out'],
      tags: ['app'],
    });
    expect(specs.map((spec) => [spec.type, 'names' in spec ? spec.names : []])).toEqual([
      ['docker', ['docker.io/library/app:latest']],
      ['image', ['r.example/b:2']],
      ['local', []],
    ]);
  });

  test('a push is that of each image among them', () => {
    const specs = choose({
      outputs: ['type=image,name=r.example/a', 'name=r.example/b,type=image', 'type=tar,dest=x'],
      push: true,
    });
    expect(specs.map((spec) => 'push' in spec && spec.push !== undefined)).toEqual([true, true, false]);
  });
});

describe('a mistake is told before the build', () => {
  test.each<[string, Asked, string]>([
    ['a name that is none, where no output reads it', { outputs: ['type=local,dest=x'], tags: ['UPPER'] }, 'must be lowercase'],
    ['an attribute of all images that none has', { outputs: ['dest=x,type=oci'], attributes: ['nope=1'] }, 'has no "nope"'],
    ['a push of nothing', { outputs: [], push: true }, 'a name is needed to push'],
    ['a quote that is left open', { outputs: ['type=image,"name=a'], push: true }, 'a quote is not closed'],
    ['an attribute twice', { outputs: ['type=image,push=true,PUSH=false'], tags: ['a'], push: true }, '"push" is given twice'],
    ['a time after all years', { outputs: ['type=oci,dest=x,source-date-epoch=253402300800'] }, 'to the end of 9999'],
  ])('%s', (_what, asked, message) => {
    expect(() => choose(asked)).toThrow(
      expect.objectContaining({ code: 'TSB_USAGE', message: expect.stringContaining(message) as string }),
    );
  }); // oxfmt-ignore

  test('and the last second of all is one', () => {
    expect(choose({ outputs: ['type=oci,dest=x,source-date-epoch=253402300799'] })[0]).toMatchObject({
      epoch: 253_402_300_799,
    });
  });
});
