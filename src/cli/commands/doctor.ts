import { currentUser, formatDoctor, probe } from '../../sandbox/index.ts';
import { fromErrno, makeDirectories } from '../../util/index.ts';
import { type CliContext, print } from '../context.ts';
import { storeRoot } from '../store-root.ts';

/** `tsbuild doctor`: 0 when RUN steps work here, 1 when they do not. */
export async function doctor(context: CliContext, options: { readonly format: 'text' | 'json' }): Promise<number> {
  const root = storeRoot(context);
  try {
    makeDirectories(root, 0o700);
  } catch (error) {
    throw fromErrno(error, `Cannot use store ${JSON.stringify(root)}`, 'TSB_STORE', {
      hint: 'set TSBUILD_ROOT to a directory that you can write to',
    });
  }
  const helper = context.env['TSBUILD_HELPER'];
  const report = await probe({ user: currentUser(), storeRoot: root, ...(helper ? { helper } : {}) });
  await print(context, options.format === 'json' ? `${JSON.stringify(report, undefined, 2)}\n` : formatDoctor(report));
  return report.usable ? 0 : 1;
}
