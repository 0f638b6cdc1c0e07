import { isIP } from 'node:net';
import type { ExposeCommand } from '../../dockerfile/types.ts';
import { expandWords } from '../../dockerfile/shell/lex.ts';
import { dockerfileError } from '../../dockerfile/failure.ts';
import { goQuote } from '../../dockerfile/text.ts';
import { lintExposedPort } from '../../lint/stage-rules.ts';
import { goList } from '../go-format.ts';
import { addHistory } from '../image-config.ts';
import type { Lowering } from '../lowering.ts';
import type { StageState } from '../stage-state.ts';

/** All ports of all protocols. */
const MAX_PORTS = 3 * 65_536;

/** EXPOSE; one of its words may become several once variables are expanded. */
export function lowerExpose(lowering: Lowering, state: StageState, command: ExposeCommand): void {
  const { env } = state.state.meta;
  const words = command.ports.flatMap((port) => expandWords(port, env, { escape: lowering.dockerfile.escape }));
  const exposed = state.image.config.ExposedPorts ?? {};
  const ports: string[] = [];
  for (const word of words) {
    for (const port of parsePorts(lowering, word, command)) {
      exposed[port] ??= {};
      ports.push(port);
    }
    // A range of a few characters stands for 65,536 ports.
    if (ports.length > MAX_PORTS) throw dockerfileError(`EXPOSE has more than ${MAX_PORTS} ports`);
  }
  // A variable may be empty, and then there is nothing to expose.
  if (ports.length > 0) state.image.config.ExposedPorts = exposed;
  addHistory(state.image, `EXPOSE ${goList(ports)}`, lowering);
}

/** `[[ip:]host:]port[-port][/proto]` as `port/proto`; address and host port are checked and dropped. */
function parsePorts(lowering: Lowering, word: string, command: ExposeCommand): readonly string[] {
  const parts = word.split(':');
  const container = parts.pop() ?? '';
  const host = parts.pop() ?? '';
  const address = parts.join(':');
  const slash = container.indexOf('/');
  const range = slash < 0 ? container : container.slice(0, slash);
  const protocol = (slash < 0 ? '' : container.slice(slash + 1)) || 'tcp';
  if (range === '') throw dockerfileError(`invalid port: ${goQuote(word)}: no port specified`);
  if (!/^(tcp|udp|sctp)$/i.test(protocol)) {
    throw dockerfileError(`invalid port: ${goQuote(word)}: invalid proto: ${protocol}`);
  }
  lintExposedPort(lowering.linter.scoped(command.comments), command.ranges, word);
  checkAddress(address);
  const [first, last] = parseRange(range) ?? invalid('containerPort', range);
  if (host !== '') {
    const [hostFirst, hostLast] = parseRange(host) ?? invalid('hostPort', host);
    if (last - first !== hostLast - hostFirst && first !== last) {
      throw dockerfileError(`invalid ranges specified for container and host Ports: ${range} and ${host}`);
    }
  }
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol.toLowerCase()}`);
}

function invalid(what: string, text: string): never {
  throw dockerfileError(`invalid ${what}: ${text}`);
}

function checkAddress(address: string): void {
  if (address === '') return;
  const bare = address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address;
  if (isIP(bare) === 0) throw dockerfileError(`invalid IP address: ${bare}`);
}

function parseRange(text: string): readonly [number, number] | undefined {
  const dash = text.indexOf('-');
  const first = parsePort(dash < 0 ? text : text.slice(0, dash));
  const last = dash < 0 ? first : parsePort(text.slice(dash + 1));
  if (first === undefined || last === undefined || last < first) return undefined;
  return [first, last];
}

function parsePort(text: string): number | undefined {
  if (!/^\+?\d{1,10}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}
