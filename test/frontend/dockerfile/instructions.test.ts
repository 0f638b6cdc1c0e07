import { describe, expect, test } from 'vitest';
import {
  type Command,
  expandCommand,
  expandWord,
  type Mount,
  parseDockerfile,
  parseTrigger,
} from '../../../src/frontend/dockerfile/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';
import { command, file, mistake, parse } from './support.ts';

const env = new Map([
  ['x', '1'],
  ['dir', '/d'],
]);
const expand = (word: string): string => expandWord(word, env).value;

describe('stages', () => {
  test('FROM with all its parts', () => {
    const { stages, metaArgs } = parse('ARG V=1\n# base the base\nFROM --platform=$P a:$V AS Base\nRUN x\nFrom base\n');
    expect(metaArgs[0]?.args).toEqual([{ key: 'V', value: '1', docComment: '' }]);
    expect(
      stages.map(({ name, baseName, platform, docComment, keyword }) => [
        name,
        baseName,
        platform,
        docComment,
        keyword,
      ]),
    ).toEqual([
      ['base', 'a:$V', '$P', 'the base', 'FROM'],
      ['', 'base', '', '', 'From'],
    ]);
    expect(stages[0]?.commands.map(({ type }) => type)).toEqual(['run']);
  });

  test.each([
    ['FROM', 'FROM requires either one or three arguments'],
    ['FROM a b', 'FROM requires either one or three arguments'],
    ['FROM a on b', 'FROM requires either one or three arguments'],
    ['FROM a AS 1b', `invalid name for build stage: "1b", name can't start with a number or contain symbols`],
    ['FROM a AS b@c', `invalid name for build stage: "b@c", name can't start with a number or contain symbols`],
    ['FROM --x=y a', 'unknown flag: --x'],
  ])('%s is refused', (line, reason) => {
    expect(mistake(() => parse(line))).toBe(`dockerfile parse error on line 1: ${reason}`);
  });

  test('nothing but ARG may stand before the first', () => {
    expect(mistake(() => parse('ARG a\nRUN x\nFROM a'))).toBe('no build stage in current context');
  });
});

describe('mistakes', () => {
  test.each([
    ['FNTRYPOINT x', 'unknown instruction: FNTRYPOINT (did you mean ENTRYPOINT?)'],
    ['copyy a b', 'unknown instruction: copyy (did you mean copy?)'],
    ['XYZ a', 'unknown instruction: XYZ'],
    ['\u0421OPY a b', 'unknown instruction: \u0421OPY (did you mean COPY?)'],
    ['COPY a', 'COPY requires at least two arguments, but only one was provided. Destination could not be determined'],
    ['ADD', 'ADD requires at least two arguments, but only one was provided. Destination could not be determined'],
    ['COPY --from a b', 'missing a value on flag: --from'],
    ['COPY --link=maybe a b', 'expecting boolean value for flag --link, not: maybe'],
    ['COPY --link= a b', 'missing a value on flag: --link'],
    ['COPY --from=a --from=b a b', 'duplicate flag specified: --from'],
    ['COPY --chwon=1 a b', 'unknown flag: --chwon (did you mean chown?)'],
    ['ADD --from=x a b', 'unknown flag: --from'],
    ['ENV =x', 'ENV names can not be blank'],
    ['LABEL', 'LABEL requires at least one argument'],
    ['ARG', 'ARG requires at least one argument'],
    ['ARG =x', 'ARG names can not be blank'],
    ['EXPOSE', 'EXPOSE requires at least one argument'],
    ['WORKDIR', 'WORKDIR requires exactly one argument'],
    ['USER', 'USER requires exactly one argument'],
    ['STOPSIGNAL', 'STOPSIGNAL requires exactly one argument'],
    ['MAINTAINER', 'MAINTAINER requires exactly one argument'],
    ['VOLUME', 'VOLUME requires at least one argument'],
    ['VOLUME [" "]', 'VOLUME specified can not be an empty string'],
    ['SHELL sh -c', 'SHELL requires the arguments to be in JSON form'],
    ['SHELL []', 'SHELL requires at least one argument'],
    ['ONBUILD', 'ONBUILD requires at least one argument'],
    ['ONBUILD ONBUILD RUN x', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ['ONBUILD from a', "FROM isn't allowed as an ONBUILD trigger"],
    ['ONBUILD MAINTAINER a', "MAINTAINER isn't allowed as an ONBUILD trigger"],
    ['HEALTHCHECK', 'HEALTHCHECK requires at least one argument'],
    ['HEALTHCHECK NONE x', 'HEALTHCHECK NONE takes no arguments'],
    ['HEALTHCHECK http x', 'Unknown type "HTTP" in HEALTHCHECK (try CMD)'],
    ['HEALTHCHECK CMD', 'Missing command after HEALTHCHECK CMD'],
    ['HEALTHCHECK --interval=1us CMD x', 'Interval "interval" cannot be less than 1ms'],
    ['HEALTHCHECK --timeout=5 CMD x', 'time: missing unit in duration "5"'],
    ['HEALTHCHECK --timeout=x CMD x', 'time: invalid duration "x"'],
    ['HEALTHCHECK --timeout=1d CMD x', 'time: unknown unit "d" in duration "1d"'],
    ['HEALTHCHECK --interval=1e99h CMD x', 'time: unknown unit "e" in duration "1e99h"'],
    ['HEALTHCHECK --interval=99999999h CMD x', 'time: invalid duration "99999999h"'],
    ['HEALTHCHECK --retries=-1 CMD x', '--retries cannot be negative (-1)'],
    ['HEALTHCHECK --retries=a CMD x', 'strconv.ParseInt: parsing "a": invalid syntax'],
    ['RUN --network=bridge x', 'invalid network mode "bridge"'],
    ['RUN --security=none x', 'security "none" is not valid'],
    ['RUN --mount=from=$x,target=/y z', "'from' doesn't support variable expansion, define alias stage instead"],
    ['RUN --mount= x', 'failed to parse csv mounts: EOF'],
    ['RUN --device=a,b x', "invalid field 'b' must be a key=value pair"],
    ['CMD --x y', 'unknown flag: --x'],
  ])('%s', (line, reason) => {
    expect(mistake(() => parse(`FROM a\n${line}\n`))).toBe(`dockerfile parse error on line 2: ${reason}`);
  });
});

describe('commands', () => {
  test('COPY and ADD', () => {
    expect(
      command('copy', 'COPY --from=b --chown=1:2 --chmod=u=rwX --link --parents --exclude=a --exclude=b ["x y", "/z"]'),
    ).toMatchObject({
      from: 'b',
      chown: '1:2',
      chmod: 'u=rwX',
      link: true,
      parents: true,
      exclude: ['a', 'b'],
      sources: ['x y'],
      dest: '/z',
    });
    expect(command('add', 'ADD --checksum=sha256:0 --keep-git-dir=false http://x /y')).toMatchObject({
      checksum: 'sha256:0',
      keepGitDir: false,
      unpack: undefined,
      link: false,
    });
  });

  test('shell and exec form', () => {
    expect(command('cmd', 'CMD a  b')).toMatchObject({ cmdLine: ['a  b'], prependShell: true });
    expect(command('entrypoint', 'ENTRYPOINT ["a", "b"]')).toMatchObject({ cmdLine: ['a', 'b'], prependShell: false });
    expect(command('entrypoint', 'ENTRYPOINT []')).toMatchObject({ cmdLine: [], prependShell: false });
    expect(command('run', 'RUN')).toMatchObject({ cmdLine: [], prependShell: true });
  });

  test('HEALTHCHECK', () => {
    expect(
      command('healthcheck', 'HEALTHCHECK --interval=1m30s --timeout=1.5s --retries=3 --start-period=0 CMD a b').health,
    ).toEqual({
      Test: ['CMD-SHELL', 'a b'],
      Interval: 90e9,
      Timeout: 1.5e9,
      Retries: 3,
    });
    expect(command('healthcheck', 'HEALTHCHECK CMD ["a", "b"]').health).toEqual({ Test: ['CMD', 'a', 'b'] });
    expect(command('healthcheck', 'healthcheck none').health).toEqual({ Test: ['NONE'] });
  });

  test('EXPOSE sorts its words', () => {
    expect(command('expose', 'EXPOSE 90 443/udp $P 8080').ports).toEqual(['$P', '443/udp', '8080', '90']);
  });

  test('ARG takes several, with comments for each', () => {
    expect(command('arg', '# A first\n# B second\nARG A=1 B C=').args).toEqual([
      { key: 'A', value: '1', docComment: 'first' },
      { key: 'B', value: undefined, docComment: 'second' },
      { key: 'C', value: '', docComment: '' },
    ]);
  });

  test('ENV, LABEL and ARG take any name', () => {
    const { commands } = parse('FROM a AS constructor\nENV __proto__=1 toString=2\nLABEL __proto__ x').stages[0] ?? {
      commands: [],
    };
    expect(commands).toMatchObject([
      { env: [{ key: '__proto__', value: '1', legacy: false }, { key: 'toString' }] },
      { labels: [{ key: '__proto__', value: 'x', legacy: true }] },
    ]);
  });

  test('RUN with everything', () => {
    expect(
      command(
        'run',
        'RUN --network=none --security=insecure --device=vendor.com/gpu=all,required --mount=from=b,target=/x make',
      ),
    ).toMatchObject({
      network: 'none',
      security: 'insecure',
      devices: [{ name: 'vendor.com/gpu=all', required: true }],
      flagsUsed: ['device', 'mount', 'network', 'security'],
      mounts: [{ from: 'b', target: '' }],
      cmdLine: ['make'],
    });
  });
});

describe('expansion of commands', () => {
  function expanded(instruction: string): Command | undefined {
    const [first] = parse(`FROM a\n${instruction}`).stages[0]?.commands ?? [];
    return first && expandCommand(first, expand);
  }

  test.each([
    [
      'COPY --chown=$x --chmod=$x --from=s --exclude=$x a$x "$dir/"',
      { chown: '1', chmod: '1', from: 's', exclude: ['$x'], sources: ['a1'], dest: '/d/' },
    ],
    ['ADD --checksum=$x a $dir', { checksum: '1', dest: '/d' }],
    ['ENV $x="a $x"', { env: [{ key: '1', value: 'a 1', legacy: false }] }],
    ['LABEL a $x', { labels: [{ key: 'a', value: '1', legacy: true }] }],
    [
      'ARG a$x=$x b',
      {
        args: [
          { key: 'a1', value: '1' },
          { key: 'b', value: undefined },
        ],
      },
    ],
    ['WORKDIR $dir/x', { path: '/d/x' }],
    ['USER $x', { user: '1' }],
    ['VOLUME $dir /x', { volumes: ['/d', '/x'] }],
    ['STOPSIGNAL $x', { signal: '1' }],
    ['CMD $x', { cmdLine: ['$x'] }],
    ['EXPOSE $x', { ports: ['$x'] }],
  ])('%s', (instruction, fields) => {
    expect(expanded(instruction)).toMatchObject(fields);
  });

  test('errors name the lines of the command', () => {
    try {
      expanded('WORKDIR ${');
      expect.unreachable();
    } catch (error) {
      if (!isTsbuildError(error)) throw error;
      expect(error.ranges).toEqual([{ file: 'Dockerfile', startLine: 2, endLine: 2 }]);
    }
  });
});

describe('mounts', () => {
  function mount(value: string): Mount | undefined {
    return expandCommand(command('run', `RUN --mount=${value} x`), expand).mounts[0];
  }

  test.each([
    ['target=/a', { type: 'bind', target: '/a', readOnly: true }],
    ['type=bind,dst=$dir,src=s,rw', { target: '/d', source: 's', readOnly: false }],
    [
      'type=CACHE,Target=/a,sharing=locked,id=i,mode=0700,uid=1,gid=2',
      { type: 'cache', id: 'i', sharing: 'locked', mode: 0o700, uid: 1, gid: 2, readOnly: false },
    ],
    ['type=cache,destination=/a,ro=true', { readOnly: true }],
    ['type=tmpfs,target=/a,size=128m', { type: 'tmpfs', size: 128 * 1024 * 1024, readOnly: false }],
    ['type=secret,id=s,env=TOKEN,required', { type: 'secret', env: 'TOKEN', required: true, readOnly: true }],
    ['type=ssh,required=false', { type: 'ssh', required: false }],
    ['type=bind,target=/a,readwrite=false', { readOnly: true }],
    // As in BuildKit, the last counts.
    ['target=/a,ro,rw,target=/b', { target: '/b', readOnly: false }],
  ])('%s', (value, fields) => {
    expect(mount(value)).toMatchObject(fields);
  });

  test.each([
    ['typ=tmpfs', "unexpected key 'typ' in 'typ=tmpfs' (did you mean type?)"],
    ['type=tmp', 'unsupported mount type "tmp"'],
    ['type=tmpf', 'unsupported mount type "tmpf" (did you mean tmpfs?)'],
    ['type=cache,sharing=lock', 'unsupported sharing value "lock" (did you mean locked?)'],
    ['bind-propagation=suid', "unexpected key 'bind-propagation' in 'bind-propagation=suid'"],
    ['rshared', "invalid field 'rshared' must be a key=value pair"],
    ['type=tmpfs,size=1e99', 'invalid value for size: 1e99'],
    ['type=tmpfs,size=-1', 'invalid value for size: -1'],
    ['type=cache,mode=0o777', 'invalid value 0o777 for mode'],
    ['target', "invalid field 'target' must be a key=value pair"],
    ['type=bind,required', "unexpected key 'required' for mount type 'bind'"],
    ['type=bind,size=1m', "unexpected key 'size' for mount type 'bind'"],
    ['type=tmpfs,size=x', 'invalid value for size: x'],
    ['type=bind,mode=0700', 'mode not allowed for "bind" type mounts'],
    ['type=tmpfs,uid=1', 'uid not allowed for "tmpfs" type mounts'],
    ['type=cache,mode=9', 'invalid value 9 for mode'],
    ['type=cache,uid=-1', 'invalid value -1 for uid'],
    ['type=cache,gid=4294967296', 'invalid value 4294967296 for gid'],
    ['type=bind,ro=maybe', 'invalid value for ro: maybe'],
    ['type=secret', 'invalid secret mount. one of source, target required'],
    ['type=secret,id=a,source=b', "both source and id can't be set"],
    ['type=secret,id=a,from=b', 'secret mount should not have a from'],
    ['type=secret,id=a,sharing=shared', 'secret mount should not define sharing'],
    ['type=bind,sharing=shared', 'invalid cache sharing set for bind mount'],
    ['target=\\"a,b', 'failed to parse csv mounts: parse error on line 1, column 8: bare " in non-quoted field'],
  ])('%s is refused (MNT-11)', (value, message) => {
    expect(mistake(() => mount(value))).toContain(message);
  });
});

describe('triggers', () => {
  test('are read back from the config, with the lines of the FROM', () => {
    const ranges = [{ file: 'Dockerfile', startLine: 7, endLine: 7 }];
    expect(parseTrigger('COPY <<E /x\nhi\nE', ranges)).toMatchObject({
      type: 'copy',
      contents: [{ data: 'hi\n' }],
      ranges,
    });
    expect(mistake(() => parseTrigger('RUN a\nRUN b'))).toBe('onbuild trigger should be a single expression');
    expect(mistake(() => parseTrigger('FROM a'))).toBe("FROM isn't allowed as an ONBUILD trigger");
  });

  test('a Dockerfile is plain data', () => {
    const dockerfile = parseDockerfile(file('FROM a\nRUN --mount=target=/x y\n'));
    expect(structuredClone(dockerfile)).toEqual(dockerfile);
  });
});
