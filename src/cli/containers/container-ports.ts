import type { ContainerRecord } from '../../containers/index.ts';
import { exposedPorts, portName } from '../../network/index.ts';

/** What a container says that it listens at: what its image exposes, `--expose`, and what is published. `80/tcp` */
export function exposedBy({ imageConfig, exposed = [], ports = [] }: ContainerRecord): readonly string[] {
  const names = [...exposedPorts(imageConfig.config.ExposedPorts).map(portName), ...exposed, ...ports.map(portName)];
  return [...new Set(names)].toSorted();
}
