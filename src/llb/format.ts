import { sha256 } from '../util/index.ts';
import { decodeOp, encodeDefinition, metadataToJson, opToJson, sourceMapToJson } from './definition.ts';
import type { Json } from './json.ts';
import { defaultName } from './op-name.ts';
import type { Definition, Op } from './ops.ts';

/** What `tsbuild llb --format` can write. */
export type LlbFormat = 'binary' | 'json' | 'dot' | 'mermaid';

/** Writes a definition for another program (`binary`, `json`) or for a person to look at (`dot`, `mermaid`). */
export function formatDefinition(definition: Definition, format: LlbFormat): Uint8Array {
  switch (format) {
    case 'binary':
      return encodeDefinition(definition);
    case 'json':
      return Buffer.from(`${JSON.stringify(definitionToJson(definition), undefined, 2)}\n`);
    case 'dot':
      return Buffer.from(toDot(definition));
    case 'mermaid':
      return Buffer.from(toMermaid(definition));
    default:
      return format satisfies never;
  }
}

/** `{def: {digest: op}, metadata: {digest: …}, source}`, the shape of BuildKit's own conversion request, in protojson. */
export function definitionToJson(definition: Definition): Json {
  return {
    def: Object.fromEntries(definition.def.map((bytes) => [sha256(bytes), opToJson(decodeOp(bytes))])),
    metadata: Object.fromEntries([...definition.metadata].map(([digest, entry]) => [digest, metadataToJson(entry)])),
    ...(definition.source === undefined ? {} : { source: sourceMapToJson(definition.source) }),
  };
}

/** A vertex as it is drawn. */
interface Drawn {
  readonly id: string;
  readonly label: string;
  readonly op: Op;
}

function drawn(definition: Definition): readonly Drawn[] {
  return definition.def.map((bytes) => {
    const op = decodeOp(bytes);
    const digest = sha256(bytes);
    const name = definition.metadata.get(digest)?.description.get('llb.customname');
    return { id: digest, label: name || defaultName(op, []), op };
  });
}

/** What an edge carries: where the input is mounted, or that files are copied from it. */
function edgeLabel(op: Op, input: number): string {
  const { body } = op;
  if (body?.kind === 'exec') {
    return body.mounts
      .filter((mount) => mount.input === input && mount.dest !== '/')
      .map((mount) => mount.dest)
      .join(', ');
  }
  if (body?.kind === 'file' && body.actions.some((action) => action.secondaryInput === input)) return 'copy';
  return '';
}

/** As `buildctl debug dump-llb --dot` draws them. */
const DOT_SHAPES: Readonly<Record<string, string>> = {
  source: 'ellipse',
  exec: 'box',
  file: 'note',
  merge: 'invtriangle',
  diff: 'doublecircle',
  build: 'box3d',
};

function toDot(definition: Definition): string {
  const all = drawn(definition);
  const nodes = all.map(
    ({ id, label, op }) =>
      `  ${dotText(id)} [label=${dotText(label)} shape=${dotText(DOT_SHAPES[op.body?.kind ?? ''] ?? 'plaintext')}];`,
  );
  const edges = all.flatMap(({ id, op }) =>
    op.inputs.map(
      (input, index) => `  ${dotText(input.digest)} -> ${dotText(id)} [label=${dotText(edgeLabel(op, index))}];`,
    ),
  );
  return ['digraph {', ...nodes, ...edges, '}', ''].join('\n');
}

function dotText(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

function toMermaid(definition: Definition): string {
  const all = drawn(definition);
  const short = new Map(all.map(({ id }, index) => [id, `v${index}`]));
  const nodes = all.map(({ id, label, op }) => {
    const [open, close] = mermaidShape(op);
    return `  ${short.get(id)}${open}"${mermaidText(label)}"${close}`;
  });
  const edges = all.flatMap(({ id, op }) =>
    op.inputs.map((input, index) => {
      const label = edgeLabel(op, index);
      const arrow = label === '' ? '-->' : `-->|"${mermaidText(label)}"|`;
      return `  ${short.get(input.digest)} ${arrow} ${short.get(id)}`;
    }),
  );
  return ['flowchart TD', ...nodes, ...edges, ''].join('\n');
}

/** The brackets around a label, which are mermaid's way of naming shapes. */
function mermaidShape(op: Op): readonly [string, string] {
  switch (op.body?.kind) {
    case 'source':
      return ['([', '])'];
    case 'exec':
      return ['[', ']'];
    case 'file':
      return ['[/', '/]'];
    case 'merge':
    case 'diff':
      return ['{{', '}}'];
    default:
      return ['((', '))'];
  }
}

/** Labels come from Dockerfiles; mermaid reads quotes, angle brackets and `#NAME;` as its own. */
function mermaidText(text: string): string {
  return text
    .replaceAll('#', '#35;')
    .replaceAll('&', '#amp;')
    .replaceAll('"', '#quot;')
    .replaceAll('<', '#lt;')
    .replaceAll('>', '#gt;')
    .replaceAll('\n', '<br>');
}
