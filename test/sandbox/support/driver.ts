// Runs one scenario as whoever started this process and prints its result as JSON.
import * as securityScenarios from '../../security/scenarios.ts';
import * as workerScenarios from '../../worker/scenarios.ts';
import * as executorScenarios from './executor-scenarios.ts';
import * as sandboxScenarios from './scenarios.ts';
import * as spareScenarios from './spare-scenarios.ts';

const [, , name = '', argument = 'null'] = process.argv;
const scenarios = {
  ...executorScenarios,
  ...sandboxScenarios,
  ...spareScenarios,
  ...securityScenarios,
  ...workerScenarios,
};
const scenario = (scenarios as unknown as Readonly<Record<string, (argument: never) => unknown>>)[name];
if (!scenario) throw new Error(`there is no scenario ${name}`);
try {
  const result = await scenario(JSON.parse(argument) as never);
  process.stdout.write(`${JSON.stringify(result)}\n`);
} catch (error) {
  for (let at: unknown = error; at !== undefined; at = (at as { suppressed?: unknown }).suppressed) {
    console.error((at as { error?: unknown }).error ?? at, (at as { cause?: unknown }).cause);
  }
  process.exitCode = 1;
}
