/** What formats have of something's labels: `{{.Labels}}`, and `{{.Label "NAME"}}`. */
export interface RowLabels {
  readonly Labels: string;
  readonly Label: (...args: readonly unknown[]) => string;
}

/** Fields of a row of a list. A label that is not there is empty, as docker has it. */
export function labelFields(labels: Readonly<Record<string, string>>): RowLabels {
  return {
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    Label: (...args) => {
      const name = labelName(args);
      return Object.hasOwn(labels, name) ? (labels[name] ?? '') : '';
    },
  };
}

/** The header of `{{.Label "com.example.build-number"}}` in a table: its last part in words. */
export function labelHeader(...args: readonly unknown[]): string {
  return (labelName(args).split('.').at(-1) ?? '').replaceAll(/[-_]/g, ' ');
}

function labelName(args: readonly unknown[]): string {
  const [name] = args;
  if (args.length === 1 && typeof name === 'string') return name;
  throw new Error('expected the name of one label');
}
