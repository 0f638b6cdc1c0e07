import { type Command, Option } from 'commander';
import { TsbuildError } from '../util/index.ts';

/** Options of `docker buildx build` and `buildah bud` that scripts use and that do not exist here, with what to do instead. */
const UNSUPPORTED: readonly (readonly [flags: string, hint: string])[] = [
  ['--attest <attestation>', 'attestations are not made; --provenance=false and --sbom=false are accepted'],
  ['--builder <name>', 'there is no daemon and there are no builders to choose from'],
  [
    '--cgroup-parent <cgroup>',
    'steps get groups beneath that of tsbuild itself: "systemd-run --user --scope --slice NAME tsbuild build …" chooses it',
  ],
  ['--ignorefile <path>', 'put the patterns beside the Dockerfile as <name of the Dockerfile>.dockerignore'],
  ['--squash', 'finish with a stage "FROM scratch" that copies everything: COPY --from=<stage> / /'],
  [
    '-v, --volume <volume>',
    'a step gets directories by RUN --mount=type=bind, from the build context or from --build-context NAME=DIR',
  ],
  ['--timestamp <seconds>', 'use --source-date-epoch SECONDS, and --rewrite-timestamp for the files'],
];

/** Switches of docker's old builder that change nothing about a result. */
const WITHOUT_EFFECT: readonly string[] = ['--compress', '--force-rm', '--rm'];

/** Makes options that other builders have fail with a reason and a way out, instead of as unknown ones. They are not in the help. */
export function addUnsupported(command: Command): Command {
  for (const [flags, hint] of UNSUPPORTED) {
    const option = new Option(flags).hideHelp();
    command.addOption(option);
    command.on(`option:${option.name()}`, (value: unknown) => {
      // To have none made is what is done here.
      if (option.name() === 'attest' && /(?:^|,)disabled=(?:true|1)(?:,|$)/i.test(String(value))) return;
      throw new TsbuildError('TSB_USAGE', `Cannot use ${option.long ?? flags}: it is not supported`, { hint });
    });
  }
  for (const flags of WITHOUT_EFFECT) command.addOption(new Option(flags).hideHelp());
  for (const name of ['provenance', 'sbom']) {
    command.addOption(new Option(`--${name} [mode]`).hideHelp());
    // Without a mode they ask for attestations, too.
    command.on(`option:${name}`, (mode: string | null) => {
      if (mode !== null && /^(false|0|f)$/i.test(mode)) return;
      const typed = mode === null ? `--${name}` : `--${name}=${mode}`;
      throw new TsbuildError('TSB_USAGE', `Cannot use ${typed}: attestations are not supported`, {
        hint: `leave it out, or write --${name}=false`,
      });
    });
  }
  return command;
}
