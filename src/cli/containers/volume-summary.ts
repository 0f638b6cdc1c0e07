import type { Volume } from '../../containers/index.ts';

/** What `inspect` says of a volume, with docker's names. */
export function summarizeVolume(volume: Volume): Readonly<Record<string, unknown>> {
  return {
    CreatedAt: volume.created,
    Driver: 'local',
    Labels: new Map(Object.entries(volume.labels)),
    Mountpoint: volume.directory,
    Name: volume.name,
    Options: new Map(),
    Scope: 'local',
    ...(volume.anonymous ? { Anonymous: true } : {}),
  };
}
