import { compileDockerfile } from '../../frontend/index.ts';
import { type ContainerConfig, hostPlatform, type ImageConfig, type Platform } from '../../image/index.ts';
import { messageOf, TsbuildError } from '../../util/index.ts';

/** Those that docker has for `commit --change`, too: they make nothing but a config. */
const ALLOWED = /^\s*(?:CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|ONBUILD|STOPSIGNAL|USER|VOLUME|WORKDIR)\s/i;
const BASE = 'committed';

/**
 * A config with instructions of a Dockerfile carried out on it, as in a build on an image that has it.
 * @throws TsbuildError `TSB_USAGE` for those that make files, and what cannot be parsed
 */
export async function changedConfig(
  config: ContainerConfig,
  platform: Platform,
  changes: readonly string[],
): Promise<ContainerConfig> {
  if (changes.length === 0) return config;
  const wrong = changes.find((change) => !ALLOWED.test(change) || change.includes('\n'));
  if (wrong !== undefined)
    throw new TsbuildError('TSB_USAGE', `Cannot change the image by ${JSON.stringify(wrong)}`, {
      hint: 'CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR are possible',
    });
  // What the image has for those that are built on it is not for this one.
  const { OnBuild: later = [], ...own } = config as { readonly OnBuild?: readonly string[] } & ContainerConfig;
  const base: ImageConfig = {
    os: platform.os,
    architecture: platform.architecture,
    config: own,
    rootfs: { type: 'layers', diff_ids: [] },
    history: [],
  };
  const refuse = (): Promise<never> => Promise.reject(new TsbuildError('TSB_USAGE', 'there are no files here'));
  try {
    const { platforms } = await compileDockerfile(
      { resolveImage: () => Promise.resolve({ config: base }), readFile: refuse, sourceTime: refuse },
      {
        context: { kind: 'empty' },
        dockerfile: { name: '--change', text: [`FROM ${BASE}`, ...changes, ''].join('\n') },
        platforms: [platform],
        buildPlatform: hostPlatform(),
        buildArgs: new Map(),
        labels: new Map(),
        namedContexts: new Map(),
      },
    );
    const made = platforms[0]?.config.config ?? own;
    const all = [...later, ...((made.OnBuild ?? []) as readonly string[])];
    return all.length === 0 ? made : { ...made, OnBuild: all };
  } catch (error) {
    throw new TsbuildError('TSB_USAGE', `Cannot change the image: ${messageOf(error)}`, { cause: error });
  }
}
