import { findUserNetworks } from '../../network/index.ts';
import { currentUser, type DoctorLine, formatDoctor, probe } from '../../sandbox/index.ts';
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
  const probed = await probe({ user: currentUser(), storeRoot: root, ...(helper ? { helper } : {}) });
  // Without namespaces it is the container's, as the line about them says.
  const network = probed.plan?.how === 'none' || !probed.usable ? [] : [networkLine()];
  const report = { ...probed, lines: [...probed.lines, ...network] };
  await print(context, options.format === 'json' ? `${JSON.stringify(report, undefined, 2)}\n` : formatDoctor(report));
  return report.usable ? 0 : 1;
}

/** Whose network steps get. A warning only: they run in any case. */
function networkLine(): DoctorLine {
  const found = findUserNetworks();
  const name = 'network of steps';
  if ('reason' in found)
    return {
      name,
      state: 'warning',
      text: `this machine's, with its loopback services: ${found.reason}`,
      fix: found.fix,
    };
  return { name, state: 'ok', text: `one of their own, connected by ${found[0]?.program}` };
}
