import { expandCommand, expandWord, parseDockerfile } from '../../../src/frontend/dockerfile/index.ts';
import { type Finding, lintFile, Linter, StageLinter } from '../../../src/frontend/lint/index.ts';

/** What is found in a Dockerfile without base images or a context: all rules on instructions, all stages. */
export function findings(text: string, override?: string): readonly Finding[] {
  const dockerfile = parseDockerfile({ name: 'Dockerfile', text });
  const linter = Linter.forDockerfile(dockerfile, override);
  lintFile(dockerfile, linter);
  for (const stage of dockerfile.stages) {
    const following = new StageLinter(linter, {
      hasShell: false,
      hasWorkdir: false,
      isAbsolute: (path) => path.startsWith('/'),
    });
    for (const command of stage.commands) {
      following.command(expandCommand(command, (word) => expandWord(word, new Map()).value));
    }
  }
  return linter.findings;
}

/** `Rule: message (line N)` for each finding. */
export function found(text: string, override?: string): string[] {
  return findings(text, override).map(
    ({ code, message, ranges }) => `${code}: ${message} (line ${ranges[0]?.startLine})`,
  );
}
