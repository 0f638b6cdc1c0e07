import type { MountSpec, StepSpec } from '../sandbox/index.ts';
import { shownLayers } from '../tree/index.ts';

/** The step with stacks of one layer, as a build context is, bound as they are where they are only read. */
export function withoutCopies(spec: StepSpec): StepSpec {
  const mounts = (spec.mounts ?? []).map((mount): MountSpec => {
    const [source, ...more] = mount.type === 'layers' ? shownLayers(mount.lowers) : [];
    if (mount.type !== 'layers' || source === undefined || more.length > 0 || !mount.readonly) return mount;
    const { target, subpath } = mount;
    return { type: 'bind', source, target, readonly: true, ...(subpath === undefined ? {} : { subpath }) };
  });
  return { ...spec, mounts };
}
