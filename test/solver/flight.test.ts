import { expect, test } from 'vitest';
import { SolveError } from '../../src/solver/errors.ts';
import { Flight, type Leftovers } from '../../src/solver/flight.ts';
import { Scope } from '../../src/solver/scope.ts';
import { sha256 } from '../../src/util/index.ts';

/** A flight that takes one run after the other from `ends`, and counts them. */
function flightOf(ends: readonly (() => Promise<string>)[]): { flight: Flight<string>; runs: () => number } {
  const leftovers: Leftovers = new Set();
  let runs = 0;
  const flight = new Flight(
    (): Promise<string> => ends[runs++]?.() ?? Promise.reject(new Error('one run more')),
    leftovers,
  );
  return { flight, runs: () => runs };
}

const failure = new SolveError(sha256('vertex'), 'RUN false', new Error('exit code 1'));

test('a vertex that had failed when its only reader left is not run again', async () => {
  const first = Promise.withResolvers<string>();
  const { flight, runs } = flightOf([() => first.promise]);
  const reader = new Scope();
  const left = flight.join(reader);
  first.reject(failure);
  reader.abort(new Error('left'));
  await expect(left).rejects.toThrow('left');
  await expect(flight.join(new Scope())).rejects.toBe(failure);
  expect(runs()).toBe(1);
});

test('what was given up and came to its end all the same is not run again', async () => {
  const first = Promise.withResolvers<string>();
  const { flight, runs } = flightOf([() => first.promise]);
  const reader = new Scope();
  const left = flight.join(reader);
  reader.abort(new Error('left'));
  const next = flight.join(new Scope());
  first.resolve('made');
  await expect(left).rejects.toThrow('left');
  await expect(next).resolves.toBe('made');
  expect(runs()).toBe(1);
});

test('what was given up and stopped runs again for the next reader, after the first run has ended', async () => {
  const first = Promise.withResolvers<string>();
  const { flight, runs } = flightOf([() => first.promise, () => Promise.resolve('made')]);
  const reader = new Scope();
  const left = flight.join(reader);
  reader.abort(new Error('left'));
  const next = flight.join(new Scope());
  await expect(left).rejects.toThrow('left');
  expect(runs()).toBe(1);
  // Whatever is thrown after an abort: a broken pipe, a killed process.
  first.reject(new Error('socket hang up'));
  await expect(next).resolves.toBe('made');
  expect(runs()).toBe(2);
});
