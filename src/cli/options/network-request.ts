import { type Attachment, DEFAULT_NETWORK } from '../../containers/index.ts';
import { parseAddress, parseMac } from '../../network/index.ts';
import { TsbuildError } from '../../util/index.ts';

/** Options of `run` and `create` about networks that containers share. */
export interface SharedNetworkOptions {
  readonly network?: readonly string[];
  readonly networkAlias?: readonly string[];
  readonly ip?: string;
  readonly ip6?: string;
  readonly macAddress?: string;
  /** Docker's shorter words for the first two. */
  readonly net?: readonly string[];
  readonly netAlias?: readonly string[];
}

/** What `--network` says. */
export type NetworkChoice =
  | { readonly kind: 'host' | 'none' | undefined }
  | { readonly kind: 'private'; readonly mac?: string }
  | { readonly kind: 'container'; readonly name: string }
  | { readonly kind: 'shared'; readonly joins: readonly Attachment[] };

/**
 * Understands `--network` and what goes with it, before anything is looked up.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseNetworkChoice(options: SharedNetworkOptions): NetworkChoice {
  const { network = [], net = [], networkAlias = [], netAlias = [], ip, ip6, macAddress } = options;
  const names = [...networkAlias, ...netAlias];
  const choices = [...network, ...net].map(parseOne);
  const [first, ...others] = choices;
  if (first?.kind === 'shared') {
    const joins = choices.flatMap((choice) => (choice.kind === 'shared' ? choice.joins : []));
    if (joins.length < choices.length) throw mixed();
    const twice = joins.find(({ network: name }, at) => joins.findIndex((join) => join.network === name) < at);
    if (twice !== undefined) throw bad(twice.network, 'it is named twice');
    // As docker has it: what is said without naming a network is about the first, and names are the same in all.
    return {
      kind: 'shared',
      joins: joins.map((join, at) =>
        checkAttachment({
          ...(at === 0 && ip !== undefined ? { ip } : {}),
          ...(at === 0 && ip6 !== undefined ? { ip6 } : {}),
          ...(at === 0 && macAddress !== undefined ? { mac: macAddress } : {}),
          ...join,
          aliases: [...join.aliases, ...names],
        }),
      ),
    };
  }
  if (others.length > 0) throw mixed();
  const flag =
    names.length > 0 ? '--network-alias' : ip !== undefined ? '--ip' : ip6 !== undefined ? '--ip6' : undefined;
  if (flag !== undefined)
    throw new TsbuildError('TSB_USAGE', `Cannot use ${flag}: the container is in no network that others are in`, {
      hint: 'name one with --network; "tsbuild network create NAME" makes it',
    });
  if (macAddress !== undefined) return withMac(first?.kind, macAddress);
  return first ?? { kind: undefined };
}

/** A hardware address belongs to a network of the container's own, so that it decides where nothing else is said. */
function withMac(kind: NetworkChoice['kind'], text: string): NetworkChoice {
  const mac = parseMac('--mac-address', text);
  if (kind === undefined || kind === 'private') return { kind: 'private', mac };
  // What docker says; it would be no address of this container's.
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use --mac-address with --network ${kind === 'container' ? `${kind}:NAME` : kind}: conflicting options: mac-address and the network mode`,
    { hint: 'leave it out, or name a network that has interfaces for its containers: --network private' },
  );
}

function mixed(): TsbuildError {
  return new TsbuildError(
    'TSB_USAGE',
    'Cannot use several --network: host, none, private and container:NAME stand alone',
  );
}

function bad(text: string, why: string): TsbuildError {
  return new TsbuildError('TSB_USAGE', `Cannot use --network ${JSON.stringify(text)}: ${why}`, {
    hint: 'there are host, none, private, container:NAME, names of networks, and name=NETWORK,alias=NAME,ip=ADDRESS',
  });
}

function parseOne(text: string): NetworkChoice {
  if (text === 'host' || text === 'none' || text === 'private') return { kind: text };
  if (text.startsWith('container:')) {
    const name = text.slice('container:'.length);
    if (name === '') throw bad(text, 'it names no container');
    return { kind: 'container', name };
  }
  if (!/[=,:]/.test(text)) return joins({ network: nameOf(text), aliases: [] });
  // Docker's long form, and podman's: NETWORK:alias=NAME.
  const fields = (text.includes('name=') ? text : text.replace(/^([^:=,]+):/, 'name=$1,')).split(',');
  const attachment: { network?: string; aliases: string[]; ip?: string; ip6?: string; mac?: string } = {
    aliases: [],
  };
  for (const field of fields) {
    const [key = '', value = ''] = field.split(/=(.*)/s);
    if (value === '') throw bad(text, `${JSON.stringify(field)} has no value`);
    if (key === 'name') attachment.network = nameOf(value);
    else if (key === 'alias') attachment.aliases.push(value);
    else if (key === 'ip' || key === 'ip6') attachment[key] = value;
    else if (key === 'mac' || key === 'mac-address') attachment.mac = value;
    else throw bad(text, `there is no ${JSON.stringify(key)}`);
  }
  const { network } = attachment;
  if (network === undefined) throw bad(text, 'it names no network');
  return joins({ ...attachment, network });
}

function joins(attachment: Attachment): NetworkChoice {
  return { kind: 'shared', joins: [attachment] };
}

function nameOf(text: string): string {
  if (text === '') throw bad(text, 'it names no network');
  return text === 'default' ? DEFAULT_NETWORK : text;
}

/**
 * What was typed, with its hardware address as it is written here.
 * @throws TsbuildError `TSB_USAGE` when an alias or an address is none
 */
export function checkAttachment(attachment: Attachment): Attachment {
  for (const alias of attachment.aliases)
    if (!/^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,252}$/.test(alias))
      throw new TsbuildError('TSB_USAGE', `Cannot use alias ${JSON.stringify(alias)}`, {
        hint: 'it has letters, digits and "_", "." or "-"',
      });
  for (const [key, family] of [
    ['ip', 4],
    ['ip6', 6],
  ] as const) {
    const text = attachment[key];
    if (text !== undefined && parseAddress(text)?.family !== family)
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot use --${key} ${JSON.stringify(text)}: expected an IPv${family} address`,
      );
  }
  return attachment.mac === undefined ? attachment : { ...attachment, mac: parseMac('--mac-address', attachment.mac) };
}
