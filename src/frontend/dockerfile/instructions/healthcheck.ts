import { dockerfileError } from '../failure.ts';
import { goQuote } from '../text.ts';
import { commandWords, type Request } from './request.ts';
import type { HealthcheckCommand } from '../types.ts';
import { parseGoDuration, parseInt32 } from './values.ts';

const MILLISECOND = 1e6;

/** HEALTHCHECK NONE or CMD. */
export function parseHealthcheck(request: Request): HealthcheckCommand {
  const [first, ...args] = request.args;
  if (first === undefined) throw dockerfileError('HEALTHCHECK requires at least one argument');
  const type = first.toUpperCase();
  if (type === 'NONE') {
    if (args.length > 0) throw dockerfileError('HEALTHCHECK NONE takes no arguments');
    return { type: 'healthcheck', ...request.base, health: { Test: ['NONE'] } };
  }
  const { flags } = request;
  flags.parse({
    interval: 'string',
    retries: 'string',
    'start-interval': 'string',
    'start-period': 'string',
    timeout: 'string',
  });
  if (type !== 'CMD') throw dockerfileError(`Unknown type ${goQuote(type)} in HEALTHCHECK (try CMD)`);
  const command = commandWords(args, request.json);
  if (command.length === 0) throw dockerfileError('Missing command after HEALTHCHECK CMD');
  const Interval = interval(request, 'interval');
  const Timeout = interval(request, 'timeout');
  const StartPeriod = interval(request, 'start-period');
  const StartInterval = interval(request, 'start-interval');
  const Retries = retries(flags.string('retries'));
  return {
    type: 'healthcheck',
    ...request.base,
    health: {
      Test: [request.json ? 'CMD' : 'CMD-SHELL', ...command],
      ...(Interval > 0 && { Interval }),
      ...(Timeout > 0 && { Timeout }),
      ...(StartPeriod > 0 && { StartPeriod }),
      ...(StartInterval > 0 && { StartInterval }),
      ...(Retries > 0 && { Retries }),
    },
  };
}

function interval({ flags }: Request, name: string): number {
  const text = flags.string(name);
  if (text === '') return 0;
  const nanoseconds = parseGoDuration(text);
  if (nanoseconds !== 0 && nanoseconds < MILLISECOND) {
    throw dockerfileError(`Interval ${goQuote(name)} cannot be less than 1ms`);
  }
  return nanoseconds;
}

function retries(text: string): number {
  if (text === '') return 0;
  const value = parseInt32(text);
  if (value < 0) throw dockerfileError(`--retries cannot be negative (${value})`);
  return value;
}
