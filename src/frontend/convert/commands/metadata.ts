import type {
  MaintainerCommand,
  OnbuildCommand,
  StopsignalCommand,
  UserCommand,
  VolumeCommand,
} from '../../dockerfile/types.ts';
import { dockerfileError } from '../../dockerfile/failure.ts';
import { goList } from '../go-format.ts';
import { addHistory } from '../image-config.ts';
import type { Lowering } from '../lowering.ts';
import type { StageState } from '../stage-state.ts';
import { checkSignal } from '../signals.ts';
import { applyUser } from './workdir.ts';

/** MAINTAINER sets the author of the image. */
export function lowerMaintainer(lowering: Lowering, state: StageState, command: MaintainerCommand): void {
  state.image.author = command.maintainer;
  addHistory(state.image, `MAINTAINER ${command.maintainer}`, lowering);
}

/** ONBUILD is kept as text. It makes no history entry, in BuildKit neither. */
export function lowerOnbuild(state: StageState, command: OnbuildCommand): void {
  (state.image.config.OnBuild ??= []).push(command.expression);
}

/**
 * STOPSIGNAL.
 * @throws TsbuildError `TSB_DOCKERFILE` for a signal that Linux does not have
 */
export function lowerStopsignal(lowering: Lowering, state: StageState, command: StopsignalCommand): void {
  checkSignal(command.signal);
  state.image.config.StopSignal = command.signal;
  addHistory(state.image, `STOPSIGNAL ${command.signal}`, lowering);
}

/** USER, for the steps to come and for the container. */
export function lowerUser(lowering: Lowering, state: StageState, command: UserCommand): void {
  applyUser(state, command.user);
  addHistory(state.image, `USER ${command.user}`, lowering);
}

/** VOLUME. A volume is a key like any other, so it is defined and not assigned (`__proto__`). */
export function lowerVolume(lowering: Lowering, state: StageState, command: VolumeCommand): void {
  const volumes = (state.image.config.Volumes ??= {});
  for (const volume of command.volumes) {
    if (volume === '') throw dockerfileError('VOLUME specified can not be an empty string');
    Object.defineProperty(volumes, volume, { value: {}, enumerable: true, configurable: true, writable: true });
  }
  addHistory(state.image, `VOLUME ${goList(command.volumes)}`, lowering);
}
