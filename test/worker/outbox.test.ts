import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Outbox } from '../../src/worker/outbox.ts';

function outbox(): { readonly sent: (readonly string[])[]; readonly out: Outbox<string> } {
  const sent: (readonly string[])[] = [];
  return { sent, out: new Outbox((mail) => sent.push(mail)) };
}

test('what is posted takes along what was kept, in order and in one piece', async () => {
  const { sent, out } = outbox();
  out.keep('output');
  out.keep('usage');
  expect(sent).toEqual([]);
  out.post('result');
  expect(sent).toEqual([['output', 'usage', 'result']]);
  await turn();
  expect(sent).toHaveLength(1);
});

test('what is kept goes by itself when nothing is posted', async () => {
  const { sent, out } = outbox();
  out.keep('one');
  out.keep('two');
  await turn();
  expect(sent).toEqual([['one', 'two']]);
  out.keep('three');
  await turn();
  expect(sent).toEqual([['one', 'two'], ['three']]);
});
