import type { DeviceCatalog, RegisteredDevice } from '../../cdi/index.ts';
import type { CdiDevice } from '../../llb/index.ts';
import { isTsbuildError, TsbuildError } from '../../util/index.ts';

/** What `--allow device` and `--allow device=NAME[,alias=ALIAS]` grant. */
export interface DeviceGrants {
  /** Every device that steps ask for. */
  readonly all: boolean;
  /** Names as steps use them, see `DeviceCatalog.find`. */
  readonly names: ReadonlySet<string>;
  /** What steps call a device, and the device that they then get. */
  readonly aliases: ReadonlyMap<string, string>;
}

/** Nothing is granted. */
export const noDevices: DeviceGrants = { all: false, names: new Set(), aliases: new Map() };

/** A device for a step. */
export interface StepDevice {
  readonly device: RegisteredDevice;
  /** The step can do without it. */
  readonly optional: boolean;
}

/** Lets a specification hand out its devices without being asked; BuildKit's. */
const AUTO_ALLOW = 'org.mobyproject.buildkit.device.autoallow';
/** What Go reads as true. */
const TRUE = ['1', 't', 'T', 'true', 'TRUE', 'True'];

/** Which devices of the machine the steps of one build get. */
export class StepDevices {
  readonly #grants: DeviceGrants;
  readonly #catalog: () => Promise<DeviceCatalog>;

  /** @param catalog read when a step first asks for a device */
  constructor(grants: DeviceGrants, catalog: () => Promise<DeviceCatalog>) {
    this.#grants = grants;
    this.#catalog = catalog;
  }

  /**
   * The devices that a step asks for, by BuildKit's rules; optional ones that the machine does not have are left out.
   * @throws TsbuildError `TSB_STEP` with BuildKit's texts when one is missing or was not granted
   */
  async resolve(wanted: readonly CdiDevice[]): Promise<readonly StepDevice[]> {
    if (wanted.length === 0) return [];
    const catalog = await this.#catalog();
    const found = new Map<RegisteredDevice, StepDevice>();
    const forbidden = new Set<string>();
    const granted = this.#grants.all ? undefined : this.#granted(catalog);
    for (const { name, optional } of wanted) {
      const alias = this.#grants.aliases.get(name);
      const devices = catalog.find(alias ?? name);
      if (devices.length === 0 && !optional) throw missing(catalog, alias ?? name);
      for (const device of devices) {
        const allowed = alias !== undefined || granted === undefined || granted.has(device) || allowsItself(device);
        if (!allowed) forbidden.add(device.name);
        found.set(device, { device, optional: optional && found.get(device)?.optional !== false });
      }
    }
    if (forbidden.size > 0) throw notAllowed([...forbidden]);
    return [...found.values()];
  }

  #granted(catalog: DeviceCatalog): ReadonlySet<RegisteredDevice> {
    return new Set([...this.#grants.names].flatMap((name) => catalog.find(name)));
  }
}

function allowsItself({ annotations }: RegisteredDevice): boolean {
  return TRUE.includes(annotations.get(AUTO_ALLOW) ?? '');
}

function notAllowed(names: readonly string[]): TsbuildError {
  const what = names.length === 1 ? `device ${names[0]} is` : `devices ${names.join(', ')} are`;
  return new TsbuildError('TSB_STEP', `${what} requested by the build but not allowed`, {
    hint: `if the Dockerfile is to be trusted with it, build with ${names.map((name) => `--allow device=${name}`).join(' ')}`,
  });
}

function missing({ dirs, problems }: DeviceCatalog, name: string): TsbuildError {
  const unread = problems.length === 0 ? '' : `; what is there could not all be read: ${problems[0]}`;
  return new TsbuildError('TSB_STEP', `required device ${JSON.stringify(name)} is not registered`, {
    hint: `devices are registered by specifications (CDI) in ${dirs.join(' and ')}${unread}`,
  });
}

/** The same failure, found out before anything runs: it is the Dockerfile's, at that place. */
export function locateRefusal(error: unknown, ranges: TsbuildError['ranges']): unknown {
  if (!isTsbuildError(error, 'TSB_STEP')) return error;
  return new TsbuildError('TSB_DOCKERFILE', error.message, {
    ranges,
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
