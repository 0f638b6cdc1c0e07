import { TsbuildError } from '../../util/index.ts';

/** What `--call` asks for. */
export interface Call {
  /** `lint` is BuildKit's name for `check`. */
  readonly method: string;
  readonly json: boolean;
  /** What the check finds is no failure. */
  readonly ignoresStatus: boolean;
}

/**
 * `--call METHOD[,format=json|text][,ignorestatus=true|false]`, as buildx has it; nothing is a build.
 * @throws TsbuildError `TSB_USAGE` for what is not understood: nobody must take text for the JSON that was meant
 */
export function parseCall(text: string): Call {
  const [method = '', ...fields] = text.split(',');
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use --call=${text}: ${why}`, {
      hint: 'for example --call=check, --call=outline,format=json or --call=check,ignorestatus=true',
    });
  if (method === '' && fields.length > 0) throw bad('the method is missing');
  let [json, ignoresStatus] = [false, false];
  for (const field of fields) {
    const [name = '', value = ''] = field.split(/=(.*)/s);
    if (name === 'format' && /^(?:json|text)$/.test(value)) json = value === 'json';
    else if (name === 'ignorestatus' && /^(?:true|1|false|0)$/i.test(value))
      ignoresStatus = /^(?:true|1)$/i.test(value);
    else throw bad(`${JSON.stringify(field)} is not understood`);
  }
  return { method: method === 'lint' ? 'check' : method || 'build', json, ignoresStatus };
}
