import { expect, test } from 'vitest';
import { withoutRunnerCommands } from '../../src/progress/index.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';

const commands = [
  '##vso[task.setvariable variable=x]y',
  'text ##VSO[task.prependpath]/evil',
  'a##[add-path]/evil',
  '##[set-env name=PATH;]/evil',
  "##teamcity[setParameter name='a' value='b']",
  '::set-output name=x::y',
  'text ::add-mask::y',
  '::stop-commands::token',
  '::error file=a,line=1::bad',
];

/** What a runner takes for a command: Azure and TeamCity anywhere in a line, GitHub's forms as GitHub reads them, and within lines. */
const obeyed = /##(vso|teamcity)?\[|::(set-output|add-mask|stop-commands|error)( |::)/i;

test.each(commands)('%s means nothing any more and can still be read', (command) => {
  expect(command).toMatch(obeyed);
  const said = withoutRunnerCommands(command);
  expect(said).not.toMatch(obeyed);
  expect(said.replaceAll('## ', '##').replaceAll(': :', '::')).toBe(command);
});

test.each(['std::vector::size', 'a::b::c', 'use core::error::Error;', '## heading', '[1/2] ##', 'fe80::1'])(
  '%s stays',
  (text) => {
    expect(withoutRunnerCommands(text)).toBe(text);
  },
);

describeAsEveryone('commands to a CI runner (TTY-03)', (who) => {
  const use = useBench(who);
  const dockerfile = `FROM base:1\n${commands.map((command) => `RUN printf '%s\\n' "${command}"\n`).join('')}RUN echo "##vso[at.the end]" && false\n`;
  const said = async (env: Record<string, string>, ...flags: string[]) =>
    (await use.bench.tsbuild(['build', '--no-cache', ...flags, use.bench.context(dockerfile)], { env })).err;

  test.each([{ CI: 'true' }, { TF_BUILD: 'True' }, { GITHUB_ACTIONS: 'true' }, { TEAMCITY_VERSION: '2026' }])(
    'under %o reach it neither from steps, nor their names, nor errors',
    async (env) => {
      // The one command that is ours: what failed, beside its line.
      const text = (await said(env)).replace(/^::error file=\S+,title=tsbuild::/m, 'error: ');
      expect(text).not.toMatch(obeyed);
      expect(text).toContain('## vso[task.setvariable variable=x]y');
      expect(text).toMatch(/^error: .*## vso\[at\.the end\]/m);
    },
  );

  test('stay what they are elsewhere, and with --raw-output', async () => {
    expect(await said({ CI: '' })).toContain('##vso[task.setvariable variable=x]y');
    expect(await said({ CI: 'true' }, '--raw-output')).toContain('##vso[task.setvariable variable=x]y');
  });
});
