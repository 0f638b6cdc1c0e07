import { describe, expect, test } from 'vitest';
import type { CliContext } from '../../../src/cli/context.ts';
import { parseSsh } from '../../../src/cli/options/ssh.ts';

const parse = (values: readonly string[], env: Readonly<Record<string, string>> = {}): object =>
  Object.fromEntries(parseSsh({ cwd: '/project', env } as Partial<CliContext> as CliContext, values));

describe('--ssh', () => {
  test.each([
    ['default', { default: ['/run/agent'] }],
    ['', { default: ['/run/agent'] }],
    ['default=', { default: ['/run/agent'] }],
    ['deploy', { deploy: ['/run/agent'] }],
    ['default=key', { default: ['/project/key'] }],
    ['=key', { default: ['/project/key'] }],
    ['x=/a/one.pem,two.pem', { x: ['/a/one.pem', '/project/two.pem'] }],
    ['x=/a/with=sign', { x: ['/a/with=sign'] }],
  ])('%s', (value, agents) => {
    expect(parse([value], { SSH_AUTH_SOCK: '/run/agent' })).toEqual(agents);
  });

  test('several, and the same one twice', () => {
    expect(parse(['a=x', 'b=y', 'a=x'])).toEqual({ a: ['/project/x'], b: ['/project/y'] });
  });

  test.each([
    [['default'], /there is no SSH agent, because SSH_AUTH_SOCK is not set/],
    [['a=x', 'a=y'], /there is another agent with id "a"/],
    [['a=x,,y'], /a path is empty/],
    [['a=x,raw=true'], /raw sockets are not supported/],
  ])('%j is refused', (values, message) => {
    expect(() => parse(values)).toThrow(
      expect.objectContaining({ code: 'TSB_USAGE', message: expect.stringMatching(message) as string }),
    );
  });
});
