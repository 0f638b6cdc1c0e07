import { mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { formatDoctor, probe } from '../../sandbox/index.ts';
import { type CliContext, print } from '../context.ts';
import { storeRoot } from '../session-options.ts';

/** `tsbuild doctor`: 0 when RUN steps work here, 1 when they do not. */
export async function doctor(context: CliContext, options: { readonly format: 'text' | 'json' }): Promise<number> {
  const { uid, gid, username } = userInfo();
  const root = storeRoot(context);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const helper = context.env['TSBUILD_HELPER'];
  const report = await probe({ user: { uid, gid, name: username }, storeRoot: root, ...(helper ? { helper } : {}) });
  await print(context, options.format === 'json' ? `${JSON.stringify(report, undefined, 2)}\n` : formatDoctor(report));
  return report.usable ? 0 : 1;
}
