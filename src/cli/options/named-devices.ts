import { type NewContainer, type Session, withNamedDevices } from '../../engine/index.ts';
import { isTsbuildError, TsbuildError } from '../../util/index.ts';
import { type MountOptions, namesDevice } from './mount-options.ts';

/** What vendors' programs call the devices that `--gpus` of docker means: `nvidia-ctk cdi generate` writes a specification of them. */
const GPU = 'nvidia.com/gpu';

/**
 * What runs in a container, with the devices that `--gpus` and `--device VENDOR/CLASS=NAME` name.
 * @throws TsbuildError `TSB_USAGE`, and `TSB_STEP` for a device that the machine does not have
 */
export async function withDeviceOptions(
  session: Session,
  process: NewContainer['process'],
  { device = [], gpus }: Pick<MountOptions, 'device' | 'gpus'>,
): Promise<NewContainer['process']> {
  const found = await withNamedDevices(session, process, device.filter(namesDevice));
  if (gpus === undefined) return found;
  const names = parseGpus(gpus);
  try {
    return await withNamedDevices(session, found, names);
  } catch (error) {
    if (!isTsbuildError(error, 'TSB_STEP')) throw error;
    throw new TsbuildError('TSB_STEP', `Cannot use --gpus ${gpus}: ${error.message}`, {
      hint: `${error.hint ?? 'see the specification'}; NVIDIA's toolkit writes one: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`,
      cause: error,
    });
  }
}

/**
 * The devices that `--gpus` means: `all`, a number of them, or docker's fields: `device=0`, `"device=0,1"`, `count=2`,
 * `driver=nvidia`, `capabilities=…`.
 * @returns names as a specification has them
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseGpus(text: string): readonly string[] {
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use --gpus ${JSON.stringify(text)}: ${why}`, {
      hint: 'expected all, a number, or device=ID; several: \'"device=0,1"\'',
    });
  let count: string | undefined;
  let ids: readonly string[] | undefined;
  for (const [, quoted, plain = ''] of text.matchAll(/"([^"]*)"(?:,|$)|([^,]+)(?:,|$)/g)) {
    const field = quoted ?? plain;
    const at = field.indexOf('=');
    const [key, value] = at < 0 ? ['count', field] : [field.slice(0, at), field.slice(at + 1)];
    if (key === 'device') ids = value.split(',');
    else if (key === 'count') count = value;
    else if (key === 'driver') {
      if (value !== 'nvidia') throw bad(`there is no driver ${JSON.stringify(value)}: devices are those of ${GPU}`);
      // What programs may do with a device is the specification's: it says the same for all of them.
    } else if (key !== 'capabilities') throw bad(`there is no ${JSON.stringify(key)}`);
  }
  if (ids !== undefined && count !== undefined) throw bad('cannot set both Count and DeviceIDs on device request');
  const wrong = ids?.find((id) => !/^[\w.:-]+$/.test(id));
  if (wrong !== undefined) throw bad(`${JSON.stringify(wrong)} is no name of a device`);
  if (ids !== undefined) return ids.map((id) => `${GPU}=${id}`);
  if (count === undefined || count === 'all' || count === '-1') return text === '' ? [] : [`${GPU}=all`];
  if (!/^\d{1,3}$/.test(count)) throw bad(`invalid count (${count}): value must be either "all" or an integer`);
  return Array.from({ length: Number(count) }, (_, index) => `${GPU}=${index}`);
}
