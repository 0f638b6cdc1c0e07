import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Task } from '../../src/events/index.ts';
import {
  decodeRecord,
  openEnvelope,
  readPolicy,
  readSigningKey,
  readVerifyKey,
  seal,
  encodeRecord,
  type StepPlace,
  type StepRecord,
} from '../../src/remote-cache/index.ts';
import type { SolverVertex } from '../../src/solver/index.ts';
import type { Digest } from '../../src/util/index.ts';
import { type TestOp, vtx } from '../solver/rig.ts';
import { layerOf, Machine } from '../support/shared-cache.ts';
import { testTask } from '../support/task.ts';
import { sharedMountsSuite } from './shared-mounts.ts';
import { sharedTreesSuite } from './shared-trees.ts';

/** A backend that is empty, and the ways to damage what comes to be in it. */
export interface SharedCacheFixture extends AsyncDisposable {
  /** As another machine opens it. */
  open(scope: string): StepPlace;
  /** Puts other bytes in the place of the envelope of a record; undefined takes it away. */
  setRecord(scope: string, name: string, envelope: Uint8Array | undefined): Promise<void>;
  setIndex(scope: string, index: Uint8Array | undefined): Promise<void>;
  /** Puts other bytes in the place of a layer; undefined takes it away. */
  setLayer(digest: Digest, bytes: Uint8Array | undefined): Promise<void>;
  /** Requests so far, where they can be counted. */
  requests?(): number;
  /** Ends whatever answers. */
  stop?(): Promise<void>;
}

/** A base image and what is made of it: `last` is step number `steps`. */
function chain(steps: number, change: Partial<Record<number, string>> = {}): SolverVertex<TestOp> {
  let vertex = vtx('base', { value: 'base' });
  for (let at = 1; at <= steps; at++) vertex = vtx(`step ${at}${change[at] ?? ''}`, { inputs: [vertex] });
  return vertex;
}

/** A stage whose one file another one copies by its content. */
function copyOf(source: string): SolverVertex<TestOp> {
  const stage = vtx(source, { inputs: [vtx('base', { value: 'base' })], value: 'out same' });
  const copy = vtx('copy', {
    inputs: [vtx('base', { value: 'base' }), stage],
    byContent: [1],
    selectors: { 1: 'out' },
    value: 'copied',
  });
  return vtx('after', { inputs: [copy] });
}

/** Keys of one who may write, and of one who may not. */
function keyPair(dir: string, name: string): { readonly key: string; readonly pub: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const paths = { key: join(dir, `${name}.key`), pub: join(dir, `${name}.pub`) };
  writeFileSync(paths.key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(paths.pub, publicKey.export({ type: 'spki', format: 'pem' }));
  return paths;
}

async function envelopeOf(place: StepPlace, name: string): Promise<Uint8Array> {
  const envelope = await place.record(testTask(), name);
  if (envelope === undefined) throw new Error(`No record ${name}`);
  return envelope;
}

/** The result of a record: what is made later has a longer name. */
async function textOf(place: StepPlace, scope: string, name: string): Promise<string> {
  const { payload } = openEnvelope(await envelopeOf(place, name), 'test');
  return decodeRecord(payload, { scope, name }, 'test').layers?.[0]?.description ?? '';
}

async function contentOf(place: StepPlace, task: Task, text: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of place.content(task).stream(layerOf(text).descriptor)) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts).toString();
}

/** The contract of a place for the records of steps, with what reads and writes them: run it for every backend. */
export function sharedCacheSuite(name: string, make: () => Promise<SharedCacheFixture>): void {
  sharedMountsSuite(name, make);
  sharedTreesSuite(name, make);
  describe(`a shared cache in ${name}`, () => {
    /** Names of the records of a chain, first to last, as one who built it knows them. */
    async function filled(
      cache: SharedCacheFixture,
      scope = 'main',
      steps = 4,
      options: Parameters<Machine['build']>[1] = {},
    ): Promise<readonly string[]> {
      const place = cache.open(scope);
      const names: string[] = [];
      const put = place.putRecord.bind(place);
      place.putRecord = async (task, name, ...rest) => {
        names.push(name);
        return put(task, name, ...rest);
      };
      await new Machine().build(chain(steps), { to: place, ...options });
      const records = await Promise.all(names.map(async (name) => [name, await textOf(place, scope, name)] as const));
      return records.toSorted(([, a], [, b]) => a.length - b.length).map(([name]) => name);
    }

    test('gives another machine every step, and none of its bytes', async () => {
      await using cache = await make();
      const one = await new Machine().build(chain(6), { to: cache.open('main') });
      expect(one.executed).toHaveLength(7);
      expect(one.report).toMatchObject({ written: 6, kept: 0, layersSent: 6 });
      const place = cache.open('main');
      const read: string[] = [];
      place.content = () => {
        read.push('content');
        throw new Error('Nothing is read');
      };
      const two = await new Machine().build(chain(6), { from: [place] });
      // Sources are asked for anew anyway; here nothing needs them.
      expect(two).toMatchObject({ result: one.result, executed: [], warnings: [] });
      expect(read).toEqual([]);
      expect(await contentOf(cache.open('main'), testTask(), one.result)).toBe(one.result);
    });

    test('gives what did not change, and takes what did', async () => {
      await using cache = await make();
      await filled(cache, 'main', 5);
      const place = cache.open('main');
      const two = await new Machine().build(chain(5, { 4: 'x' }), { from: [place], to: cache.open('main') });
      expect(two.executed).toEqual(['step 4x', 'step 5']);
      expect(two.report).toMatchObject({ written: 2 });
      const three = await new Machine().build(chain(5, { 4: 'x' }), { from: [cache.open('main')] });
      expect(three.executed).toEqual([]);
      expect((await new Machine().build(chain(5), { from: [cache.open('main')] })).executed).toEqual([]);
    });

    test('is found without its index, by names alone', async () => {
      await using cache = await make();
      await filled(cache);
      for (const index of [undefined, Buffer.from('nonsense'), Buffer.alloc(0)]) {
        await cache.setIndex('main', index);
        const { executed } = await new Machine().build(chain(4), { from: [cache.open('main')] });
        expect(executed).toEqual([]);
      }
    });

    test('has what a machine made that died before it was done', async () => {
      await using cache = await make();
      const dying = await new Machine().build(chain(3), { to: cache.open('main'), dies: true });
      expect(dying.report).toBeUndefined();
      await expect
        .poll(async () => (await new Machine().build(chain(3), { from: [cache.open('main')] })).executed)
        .toEqual([]);
    });

    test('knows a step by the content of what it reads, and what was made of it', async () => {
      await using cache = await make();
      await new Machine().build(copyOf('stage'), { to: cache.open('main') });
      // Another stage comes to the same file.
      const { executed } = await new Machine().build(copyOf('stage, with a comment'), { from: [cache.open('main')] });
      expect(executed).not.toContain('copy');
      expect(executed).not.toContain('after');
      expect(executed).toContain('stage, with a comment');
      // The same stage need not even be looked at.
      expect((await new Machine().build(copyOf('stage'), { from: [cache.open('main')] })).executed).toEqual([]);
    });

    test('with mode=min has what is part of the result, and the names that lead there', async () => {
      await using cache = await make();
      const made = await new Machine().build(copyOf('stage'), { to: cache.open('main'), mode: 'min' });
      expect(made.report).toMatchObject({ layersSent: 1 });
      expect((await new Machine().build(copyOf('stage'), { from: [cache.open('main')] })).executed).toEqual([]);
    });

    test('is not written again by those who found everything there', async () => {
      await using cache = await make();
      await filled(cache);
      const place = cache.open('main');
      const written: string[] = [];
      for (const method of ['putRecord', 'putIndex', 'putLayer'] as const)
        place[method] = () => {
          written.push(method);
          throw new Error('Nothing is written');
        };
      const again = await new Machine().build(chain(4), { from: [cache.open('main')], to: place });
      expect(again.report).toMatchObject({ written: 0, layersSent: 0 });
      expect(written).toEqual([]);
    });

    test('takes what was made anew on purpose', async () => {
      await using cache = await make();
      await filled(cache, 'main', 2);
      const fresh = vtx('step 2', { inputs: [vtx('step 1', { inputs: [vtx('base', { value: 'base' })] })], value: 'newer', ignoreCache: true }); // oxfmt-ignore
      await new Machine().build(fresh, { to: cache.open('main') });
      const { result, executed } = await new Machine().build(chain(2), { from: [cache.open('main')] });
      expect({ result, executed }).toEqual({ result: 'newer', executed: [] });
    });

    test('keeps the scopes apart (CAC-02)', async () => {
      await using cache = await make();
      await filled(cache, 'pr-1');
      const main = await new Machine().build(chain(4), { from: [cache.open('main')] });
      expect(main).toMatchObject({ executed: ['base', 'step 1', 'step 2', 'step 3', 'step 4'], warnings: [] });
      const both = await new Machine().build(chain(4), { from: [cache.open('main'), cache.open('pr-1')] });
      expect(both.executed).toEqual([]);
      // What is read from one is written to the other, which then stands alone.
      await new Machine().build(chain(4), { from: [cache.open('pr-1')], to: cache.open('pr-2') });
      expect((await new Machine().build(chain(4), { from: [cache.open('pr-2')] })).executed).toEqual([]);
    });

    test('loses nothing when two machines write at once, in 20 of 20 runs', async () => {
      await using cache = await make();
      const outcomes: string[][] = [];
      for (let run = 0; run < 20; run++) {
        const graphs = ['a', 'b'].map((who) => chain(3, { 2: ` of ${who} in run ${run}` }));
        await Promise.all(graphs.map((graph) => new Machine().build(graph, { to: cache.open('main') })));
        for (const graph of graphs)
          outcomes.push([...(await new Machine().build(graph, { from: [cache.open('main')] })).executed]);
      }
      expect(outcomes).toEqual(outcomes.map(() => []));
    });

    describe('that is damaged', () => {
      const damages: Readonly<Record<string, (envelope: Uint8Array) => Uint8Array | undefined>> = {
        missing: () => undefined,
        empty: () => Buffer.alloc(0),
        'cut in half': (bytes) => bytes.subarray(0, bytes.length / 2),
        'with a flipped bit': (bytes) => Buffer.from(bytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte))),
        nonsense: () => Buffer.from('no JSON'),
        'of another version': (bytes) => changed(bytes, (record) => ({ ...record, version: 2 })),
        'with a layer of no size': (bytes) =>
          changed(bytes, (record) => ({ ...record, layers: [{ ...(record['layers'] as [object])[0], size: -1 }] })),
        'with layers that are none': (bytes) => changed(bytes, (record) => ({ ...record, layers: 'x' })),
        'for another scope': (bytes) => changed(bytes, (record) => ({ ...record, scope: 'other' })),
        'in the place of another': (bytes) => changed(bytes, (record) => ({ ...record, name: '0'.repeat(64) })),
      };
      test.each(Object.entries(damages))(
        'a record that is %s is a miss, and made again (CAC-09, CAC-10)',
        async (damage, apply) => {
          await using cache = await make();
          const names = await filled(cache, 'main', 2);
          const name = names.at(-1) ?? '';
          const envelope = await envelopeOf(cache.open('main'), name);
          await cache.setIndex('main', undefined);
          await cache.setRecord('main', name, apply(envelope));
          const built = await new Machine().build(chain(2), { from: [cache.open('main')], to: cache.open('main') });
          expect(built.executed).toEqual(['step 2']);
          expect(built.warnings.filter((warning) => warning.includes(name)).length).toBe(damage === 'missing' ? 0 : 1);
          expect((await new Machine().build(chain(2), { from: [cache.open('main')] })).executed).toEqual([]);
        },
      );

      test('a layer that is missing, cut or flipped makes its records misses, until it is made again (CAC-09)', async () => {
        const { result } = await new Machine().build(chain(2));
        const layer = layerOf(result);
        for (const bytes of [undefined, Buffer.from(result.slice(1)), Buffer.from(result.toUpperCase())]) {
          await using cache = await make();
          await filled(cache, 'main', 2);
          await cache.setLayer(layer.descriptor.digest, bytes);
          const reading = await new Machine().build(chain(2), { from: [cache.open('main')] });
          expect(reading.executed).toEqual([]);
          // As whoever needs the bytes finds out.
          const read = contentOf(cache.open('main'), testTask(), result);
          await expect(read.then((text) => (text === result ? 'right' : Promise.reject(new Error('wrong'))))).rejects.toThrow();
          const [shared] = reading.caches;
          shared?.damage(new Error('wrong digest'), layer);
          const name = [...(reading.known.at(-1)?.nodes ?? [])];
          expect(name).not.toEqual([]);
          expect(shared?.damages).toBe(1);
          expect(reading.warnings).toEqual([expect.stringContaining(layer.descriptor.digest)]);
        }
      }); // oxfmt-ignore

      test('an index that lies is no more than a hint', async () => {
        await using cache = await make();
        await filled(cache, 'main', 2);
        await filled(cache, 'other', 3);
        const other = await cache.open('other').index(testTask());
        await cache.setIndex('main', other);
        const { executed, warnings } = await new Machine().build(chain(2), { from: [cache.open('main')] });
        expect(executed).toEqual([]);
        expect(warnings).toEqual([expect.stringMatching(/index of cache .*another/)]);
      });

      test('gives the same hits in whatever order its records were written (CAC-08)', async () => {
        const order = [1, 2, 3, 4];
        for (const rotated of order.map((_, at) => [...order.slice(at), ...order.slice(0, at)])) {
          await using cache = await make();
          const place = cache.open('main');
          for (const steps of rotated) await new Machine().build(chain(steps), { to: place });
          expect((await new Machine().build(chain(4), { from: [cache.open('main')] })).executed).toEqual([]);
        }
      });

      test('that cannot be reached is warned of once, and done without', async () => {
        await using cache = await make();
        if (cache.stop === undefined) return;
        await filled(cache);
        await cache.stop();
        const built = await new Machine().build(chain(4), { from: [cache.open('main')] });
        expect(built.executed).toHaveLength(5);
        expect(built.warnings).toEqual([expect.stringContaining('building without it')]);
      });
    });

    describe('with keys', () => {
      test('is used only as far as somebody who may write there has signed it (CAC-01, CVE-2025-36852)', async () => {
        const dir = mkdtempSync(join(tmpdir(), 'tsbuild-keys-'));
        await using cache = await make();
        try {
          const [main, pull] = [keyPair(dir, 'main'), keyPair(dir, 'pr')];
          const policyFile = join(dir, 'policy.json');
          writeFileSync(policyFile, JSON.stringify({ version: 1, scopes: { main: ['main.pub'], 'pr-*': ['main.pub', 'pr.pub'] } })); // oxfmt-ignore
          const policy = readPolicy({ policyFile });
          const use = async (scope: string) => new Machine().build(chain(1), { from: [cache.open(scope)], policy });
          const names = await filled(cache, 'main', 1, { key: readSigningKey(main.key) });
          const [name = ''] = names;
          expect((await use('main')).executed).toEqual([]);
          const signed = await envelopeOf(cache.open('main'), name);
          const right = decodeRecord(openEnvelope(signed, 'x').payload, { scope: 'main', name }, 'x');
          const forged: StepRecord = { ...right, layers: [layerOf('pwned')] };
          await cache.setIndex('main', undefined);
          // Whoever can write to the bucket tries everything that is not the key.
          const attempts: Readonly<Record<string, Uint8Array>> = {
            'not signed': seal(encodeRecord(forged), undefined),
            'signed by one who may not write to this scope': seal(encodeRecord(forged), readSigningKey(pull.key)),
            'with the signature of another record': withPayload(signed, encodeRecord(forged)),
            'signed for another scope': seal(encodeRecord({ ...forged, scope: 'pr-1' }), readSigningKey(pull.key)),
          };
          for (const [how, envelope] of Object.entries(attempts)) {
            await cache.setRecord('main', name, envelope);
            const { result, executed, warnings } = await use('main');
            expect([how, result]).toEqual([how, 'step 1(base)']);
            expect(executed).toEqual(['base', 'step 1']);
            expect(warnings).toEqual([expect.stringContaining(`record ${name}`)]);
          }
          await cache.setRecord('main', name, signed);
          expect((await use('main')).executed).toEqual([]);
          // A scope that the policy does not name is nobody's.
          await filled(cache, 'scratch', 1, { key: readSigningKey(main.key) });
          expect((await use('scratch')).warnings).toEqual([expect.stringContaining('trusts nobody')]);
          // What was signed for one scope is not valid in another, whoever is trusted there.
          await cache.setRecord('pr-2', name, signed);
          expect((await use('pr-2')).executed).toContain('step 1');
          await filled(cache, 'pr-3', 1, { key: readSigningKey(pull.key) });
          expect((await use('pr-3')).executed).toEqual([]);
          expect(right.author).toEqual({ who: 'alice', ref: 'refs/heads/main', commit: 'c0ffee' });
          const keys = [readVerifyKey(main.pub)];
          expect(readPolicy({ verifyKeys: [main.pub] }).keysFor('any scope')).toMatchObject(keys.map(({ id }) => ({ id })));
        } finally {
          rmSync(dir, { recursive: true });
        }
      }); // oxfmt-ignore

      test('does not believe an index what it would not believe a record', async () => {
        const dir = mkdtempSync(join(tmpdir(), 'tsbuild-keys-'));
        await using cache = await make();
        try {
          const main = keyPair(dir, 'main');
          await filled(cache, 'main', 2);
          const policy = readPolicy({ verifyKeys: [main.pub] });
          const { executed, warnings } = await new Machine().build(chain(2), { from: [cache.open('main')], policy });
          expect(executed).toHaveLength(3);
          expect(warnings).toEqual([expect.stringContaining('not signed'), expect.stringContaining('not signed')]);
        } finally {
          rmSync(dir, { recursive: true });
        }
      });
    });
  });
}

/** An envelope whose record says something else. */
function changed(envelope: Uint8Array, change: (record: Record<string, unknown>) => unknown): Buffer {
  const { payload } = openEnvelope(envelope, 'test');
  return withPayload(envelope, Buffer.from(JSON.stringify(change(JSON.parse(payload.toString()) as Record<string, unknown>)))); // oxfmt-ignore
}

function withPayload(envelope: Uint8Array, payload: Buffer): Buffer {
  const document = JSON.parse(Buffer.from(envelope).toString()) as object;
  return Buffer.from(JSON.stringify({ ...document, payload: payload.toString('base64') }));
}
