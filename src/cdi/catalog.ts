import { TsbuildError } from '../util/index.ts';
import { isKind } from './names.ts';
import type { DeviceSpec, RegisteredDevice } from './types.ts';

/** Groups devices of a kind under one more name; BuildKit's. */
const CLASS_ANNOTATION = 'org.mobyproject.buildkit.device.class';

/** The devices of this machine. */
export class DeviceCatalog {
  /** Where they were looked for. */
  readonly dirs: readonly string[];
  /** What could not be read. */
  readonly problems: readonly string[];
  /** Sorted by name. */
  readonly #devices: readonly RegisteredDevice[];

  /**
   * @param specs by directory, the later ones counting more
   * @param warn told of names that are given away twice in one directory, whose devices nobody gets (CDI's rule)
   */
  constructor(
    specs: readonly (readonly DeviceSpec[])[],
    dirs: readonly string[] = [],
    problems: readonly string[] = [],
    warn: (message: string) => void = () => undefined,
  ) {
    this.dirs = dirs;
    this.problems = problems;
    const all = new Map<string, RegisteredDevice>();
    for (const ofDirectory of specs) {
      const owners = new Map<string, string>();
      for (const { path, devices } of ofDirectory) {
        for (const device of devices) {
          const other = owners.get(device.name);
          owners.set(device.name, path);
          if (other === undefined) {
            all.set(device.name, device);
            continue;
          }
          all.delete(device.name);
          warn(
            `Cannot use device ${JSON.stringify(device.name)}: both ${JSON.stringify(other)} and ${JSON.stringify(path)} define it`,
          );
        }
      }
    }
    this.#devices = [...all.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * The devices that a name stands for, by BuildKit's rules: `vendor/class=name` is one device, or those of the kind with that class
   * annotation; `vendor/class=*` is all of the kind; `vendor/class` is the first. None when there is no such device.
   * @throws TsbuildError `TSB_STEP` when it is no name of a device
   */
  find(name: string): readonly RegisteredDevice[] {
    const equals = name.indexOf('=');
    const kind = equals < 0 ? name : name.slice(0, equals);
    const rest = equals < 0 ? '' : name.slice(equals + 1);
    if (!isKind(kind))
      throw new TsbuildError('TSB_STEP', `invalid device ${JSON.stringify(name)}`, {
        hint: 'devices are named VENDOR/CLASS=NAME, for example nvidia.com/gpu=all',
      });
    const ofKind = this.#devices.filter((device) => device.kind === kind);
    if (rest === '') return ofKind.slice(0, 1);
    if (rest === '*') return ofKind;
    const exact = ofKind.filter((device) => device.name === name);
    return exact.length > 0 ? exact : ofKind.filter(({ annotations }) => annotations.get(CLASS_ANNOTATION) === rest);
  }
}
