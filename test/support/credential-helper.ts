import { randomBytes } from 'node:crypto';

/**
 * The text of a program that keeps credentials as docker's helpers do: a JSON document beside itself. Every call is noted in `NAME.calls`
 * with its arguments and the names of its variables.
 * @param node the program that runs it
 */
export function keepingHelper(node: string = process.execPath): string {
  return `#!${node}
const fs = require('node:fs');
const [, self, verb] = process.argv;
const input = fs.readFileSync(0, 'utf8');
const kept = fs.existsSync(self + '.json') ? JSON.parse(fs.readFileSync(self + '.json', 'utf8')) : {};
const call = { args: process.argv.slice(2), input: verb === 'store' ? JSON.parse(input).ServerURL : input, variables: Object.keys(process.env) };
fs.appendFileSync(self + '.calls', JSON.stringify(call) + '\\n');
const save = () => fs.writeFileSync(self + '.json', JSON.stringify(kept));
if (verb === 'get') {
  if (kept[input] === undefined) { console.log('credentials not found in native keychain'); process.exit(1); }
  console.log(JSON.stringify({ ServerURL: input, ...kept[input] }));
} else if (verb === 'store') {
  const { ServerURL, Username, Secret } = JSON.parse(input);
  kept[ServerURL] = { Username, Secret };
  save();
} else if (verb === 'erase') {
  delete kept[input];
  save();
} else if (verb === 'list') {
  console.log(JSON.stringify(Object.fromEntries(Object.entries(kept).map(([server, { Username }]) => [server, Username]))));
}
`;
}

/** A secret that can be looked for. */
export const canary = (): string => `canary${randomBytes(12).toString('hex')}`;
