/** Words of GitHub's `::word …::value`. A list, since `::` stands in the names of half the world's languages. */
const GITHUB =
  'set-output|set-env|add-path|save-state|add-mask|add-matcher|remove-matcher|debug|notice|warning|error|group|endgroup|stop-commands|echo';

/** `##vso[…]` and `##[…]` (Azure, old GitHub), `##teamcity[…]`; `::…::`. The first are obeyed anywhere in a line; `core::error::Error` is no command. */
const COMMANDS = new RegExp(`##(?=(?:vso|teamcity)?\\[)|(?<![\\w>]):(?=:(?:${GITHUB})(?:::|\\s))`, 'gi');

/**
 * Takes the meaning from what a CI runner would obey when it reads it in a log: outputs, environment, masks. Whatever a step prints,
 * or a Dockerfile is called, is data. A space stands where the command was recognised, so that a reader still sees what was said.
 */
export function withoutRunnerCommands(text: string): string {
  return text.replace(COMMANDS, (found) => `${found} `);
}
