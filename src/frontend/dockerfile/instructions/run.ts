import { dockerfileError } from '../failure.ts';
import { didYouMean } from '../suggestion.ts';
import { goQuote } from '../text.ts';
import { parseMount } from './mount.ts';
import { commandWords, type Request } from './request.ts';
import type { CommandLine, Device, NetworkMode, RunCommand, SecurityMode } from '../types.ts';
import { csvFields } from './values.ts';
import { goBool } from '../../../util/index.ts';

/** RUN with its mounts, devices, network and security. */
export function parseRun(request: Request): RunCommand {
  const { flags } = request;
  flags.parse({ device: 'strings', mount: 'strings', network: 'string', security: 'string' });
  const mountFlags = flags.strings('mount');
  return {
    type: 'run',
    ...request.base,
    ...commandLine(request),
    flagsUsed: flags.used(),
    devices: flags.strings('device').map(parseDevice),
    mountFlags,
    mounts: mountFlags.map((value) => parseMount(value, undefined)),
    network: networkMode(flags.used().includes('network') ? flags.string('network') : 'default'),
    security: securityMode(flags.used().includes('security') ? flags.string('security') : 'sandbox'),
  };
}

/** The command line of RUN, CMD and ENTRYPOINT. */
export function commandLine({ args, json, heredocs }: Request): CommandLine {
  return {
    cmdLine: commandWords(args, json),
    files: heredocs.map(({ name, content, chomp }) => ({ name, data: content, chomp })),
    prependShell: !json,
  };
}

function networkMode(value: string): NetworkMode {
  if (value === 'default' || value === 'none' || value === 'host') return value;
  throw dockerfileError(`invalid network mode ${goQuote(value)}`);
}

function securityMode(value: string): SecurityMode {
  if (value === 'sandbox' || value === 'insecure') return value;
  throw dockerfileError(`security ${goQuote(value)} is not valid`);
}

/** `name[,required]`, or `name=…,required=…`. A name may itself hold `=`, as CDI's do. */
export function parseDevice(value: string): Device {
  let name = '';
  let required = false;
  for (const field of csvFields(value, 'devices')) {
    const equals = field.indexOf('=');
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const text = field.slice(equals + 1);
    if (key === 'required') {
      const given = equals < 0 ? true : goBool(text);
      if (given === undefined) throw dockerfileError(`invalid value for ${key}: ${text}`);
      required = given;
    } else if (equals >= 0 && key === 'name') {
      if (name !== '') throw dockerfileError(`device name already set to ${name}`);
      name = text;
    } else if (name === '') {
      name = field;
    } else if (equals < 0) {
      throw dockerfileError(`invalid field '${field}' must be a key=value pair`);
    } else {
      throw dockerfileError(didYouMean(`unexpected key '${key}' in '${field}'`, key, ['name', 'required']));
    }
  }
  return { name, required };
}
