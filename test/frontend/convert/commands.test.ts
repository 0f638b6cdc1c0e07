import { describe, expect, test } from 'vitest';
import { opToJson } from '../../../src/llb/index.ts';
import { compile, config, failure, history, names, opNamed, vertices } from './support.ts';

async function step(text: string, options: Parameters<typeof compile>[1] = {}): Promise<unknown> {
  const last = vertices(await compile(`FROM alpine\n${text}\n`, options)).at(-1);
  return last && opToJson({ ...last.op, inputs: [] });
}

describe('COPY and ADD', () => {
  test.each([
    ['COPY a b', 'a link or not: the destination is below the working directory', { src: '/a', dest: '/b' }],
    ['COPY a .', 'the working directory itself', { dest: '/' }],
    ['COPY ../../a /x/.', 'no source leaves the context', { src: '/a', dest: '/x/.' }],
    ['COPY --chmod=u+x a b', 'symbolic modes stay text', { modeStr: 'u+x' }],
    ['COPY --chmod=0644 a b', 'octal modes are numbers', { mode: 420 }],
    ['ADD a b', 'archives are unpacked', { attemptUnpackDockerCompatibility: true }],
    ['ADD https://h.test/a%20b?q#f /x', 'the file is named after the path', { src: '/a b', dest: '/x' }],
    ['ADD https://h.test/ /x', 'or has no name', { src: '/__unnamed__' }],
    ['COPY --parents a/**/b /x', 'wildcards need not match', { includePatterns: ['a/**/b'] }],
    [
      'COPY --parents x/./a/b /x',
      'what is named must be there',
      { src: '/x', includePatterns: ['a/b'], requiredPaths: ['/x/a/b'] },
    ],
  ])('%s: %s', async (text, _, copy) => {
    expect(await step(text)).toMatchObject({
      file: { actions: [{ copy }] },
    });
  });

  test.each([
    ['COPY https://h/x /', "source can't be a URL for COPY @2"],
    ['COPY https://h/x.git /', "source can't be a git ref for COPY @2"],
    ['ADD --checksum=sha256:00 a /', 'checksum requires HTTP(S) or Git sources @2'],
    ['ADD --checksum=sha256:00 http://h/a http://h/b /', "checksum can't be specified for multiple sources @2"],
    ['ADD --checksum=sha256:00 http://h/a /', 'invalid checksum digest length @2'],
    ['ADD --checksum=md5:00 http://h/a /', 'unsupported digest algorithm @2'],
    ['ADD --checksum=x http://h/a /', 'invalid checksum digest format @2'],
    ['ADD --keep-git-dir=false https://h/a.git?keep-git-dir=1 /', 'inconsistent keep-git-dir configuration @2'],
    ['ADD --checksum=aa https://h/a.git?checksum=bb /', 'checksum mismatch "aa" != "bb" @2'],
    ['COPY --chmod=99 a /', "invalid chmod parameter: '99'. it should be octal string and between 0 and 07777 @2"],
    [
      'COPY --chmod=17777 a /',
      "invalid chmod parameter: '17777'. it should be octal string and between 0 and 07777 @2",
    ],
    ['COPY --chown=${x?no} a /', 'failed to process "${x?no}": x: no @2'],
  ])('%s is refused', async (text, message) => expect(await failure(`FROM alpine\n${text}\n`)).toBe(message));

  test('--link copies into an empty tree that is laid on the stage', async () => {
    const result = await compile('FROM alpine\nWORKDIR /w\nCOPY --link --chown=1:2 a .\nRUN x\n');
    expect(names(result).slice(-3)).toEqual([
      '[3/4] COPY --link --chown=1:2 a .',
      '[3/4] LINK COPY --link --chown=1:2 a .',
      '[4/4] RUN x',
    ]);
    expect(opNamed(result, '] COPY')).toMatchObject({ file: { actions: [{ input: '-1', copy: { dest: '/w/' } }] } });
    expect(opNamed(result, 'LINK')).toMatchObject({ merge: { inputs: [{}, { input: '1' }] } });
  });

  test('what BuildKit does silently is said', async () => {
    const text = [
      'FROM alpine',
      'COPY --link --chmod=1 a b',
      'COPY --link --chown=me a b',
      'COPY --link --chown=root:0 a b',
      'COPY a b c',
      'ADD http://h/r.git /x',
      '# check=skip=CopyManyIntoFile',
      'COPY a b c',
    ].join('\n');
    const { diagnostics } = await compile(`# syntax=other/frontend\n${text}\n`);
    expect(diagnostics.map((one) => `${one.ranges[0]?.startLine}: ${one.code}`)).toEqual([
      '1: ForeignSyntax',
      '3: CopyLinkIgnored',
      '4: CopyLinkNamedOwner',
      '6: CopyManyIntoFile',
      '7: UnencryptedGitSource',
    ]);
    expect(diagnostics.every((one) => one.advice)).toBe(true);
  });
});

describe('RUN', () => {
  test('gets what the build was given for all steps', async () => {
    const made = await step('RUN x', {
      network: 'host',
      extraHosts: [{ host: 'H', ip: '0::1' }],
      hostname: 'box',
      shmSize: 7,
      ulimits: [{ name: 'nofile', soft: 1, hard: 2 }],
      cgroupParent: 'cg',
      buildArgs: new Map([
        ['https_proxy', 'p'],
        ['NO_PROXY', 'q'],
      ]),
    });
    expect(made).toMatchObject({
      exec: {
        network: 'HOST',
        meta: {
          hostname: 'box',
          cgroupParent: 'cg',
          extraHosts: [{ Host: 'h', IP: '::1' }],
          ulimit: [{ Name: 'nofile', Soft: '1', Hard: '2' }],
          proxyEnv: { httpsProxy: 'p', noProxy: 'q' },
        },
        mounts: [{ dest: '/' }, { dest: '/dev/shm', mountType: 'TMPFS', TmpfsOpt: { size: '7' } }],
      },
    });
  });

  test('its resource limits are no part of its identity', async () => {
    const linuxResources = {
      memory: 1,
      memorySwap: 0,
      cpuShares: 0,
      cpuPeriod: 0,
      cpuQuota: 0,
      cpusetCpus: '',
      cpusetMems: '',
    };
    const plain = vertices(await compile('FROM alpine\nRUN x\n')).at(-1);
    const limited = vertices(await compile('FROM alpine\nRUN x\n', { linuxResources })).at(-1);
    expect(limited?.digest).toBe(plain?.digest);
    expect(limited?.metadata.linuxResources?.memory).toBe(1);
  });

  test('limits of the comment above it stand in for those of all', async () => {
    const linuxResources = {
      memory: 1,
      memorySwap: 2,
      cpuShares: 3,
      cpuPeriod: 4,
      cpuQuota: 5,
      cpusetCpus: '6',
      cpusetMems: '7',
    };
    const of = async (comment: string, options: Parameters<typeof compile>[1]): Promise<unknown> =>
      vertices(await compile(`FROM alpine\n# tsbuild: ${comment}\nRUN x\n`, options)).at(-1)?.metadata.linuxResources;
    expect(await of('memory=1g', { linuxResources })).toEqual({ ...linuxResources, memory: 2 ** 30, memorySwap: 0 });
    expect(await of('cpus=2', { linuxResources })).toEqual({
      ...linuxResources,
      cpuPeriod: 100_000,
      cpuQuota: 200_000,
    });
    expect(await of('cpus=0', { linuxResources })).toEqual({ ...linuxResources, cpuPeriod: 0, cpuQuota: 0 });
    expect(await of('memory=1g', {})).toMatchObject({ memory: 2 ** 30, memorySwap: 0, cpuQuota: 0 });
    expect(await of('timeout=1s', {})).toBeUndefined();
  });

  test('what it takes from outside is listed', async () => {
    const text = [
      'FROM alpine',
      'RUN --network=host --security=insecure x',
      'RUN --mount=type=secret,id=a --mount=type=secret,id=b,required --mount=type=ssh,required y',
      'RUN --mount=type=secret,id=a,required --mount=type=cache,target=/c z',
    ].join('\n');
    const { usage, outline } = await compile(text, { buildArgs: new Map([['BUILDKIT_CACHE_MOUNT_NS', 'ns']]) });
    expect([...usage.entitlements.keys()]).toEqual(['network.host', 'security.insecure']);
    expect([...usage.secrets.values()].map(({ id, required }) => [id, required])).toEqual([
      ['a', true],
      ['b', true],
    ]);
    expect([...usage.ssh.values()].map(({ id, required }) => [id, required])).toEqual([['default', true]]);
    expect([...usage.caches]).toEqual(['ns//c']);
    expect(outline.secrets.map((one) => one.name)).toEqual(['a', 'b']);
  });

  test.each([
    ['RUN --mount=target=/ x', 'invalid mount target "/" @2'],
    ['RUN --mount=type=ssh,source=a x', 'ssh does not support source @2'],
    ['RUN --mount=type=secret x', /one of source, target required|@2/],
  ])('%s is refused', async (text, message) => {
    const given = await failure(`FROM alpine\n${text}\n`);
    if (typeof message === 'string') expect(given).toBe(message);
    else expect(given).toMatch(message);
  });
});

describe('variables', () => {
  test('an instruction sees what was set before it, ARG or ENV, whichever came last', async () => {
    const result = await compile('FROM alpine\nENV a=1\nENV a=2 b=$a\nARG b=$b$b\nRUN x\nENV b=3\nRUN y\n');
    expect(config(result).config.Env).toEqual([expect.stringMatching(/^PATH/), 'a=2', 'b=3']);
    expect(history(result).slice(-3)).toEqual([
      'RUN |1 b=11 /bin/sh -c x # buildkit',
      'ENV b=3',
      'RUN |1 b=3 /bin/sh -c y # buildkit',
    ]);
  });

  test('names that are no good as object keys are ordinary ones', async () => {
    const text = 'FROM alpine\nENV __proto__=1 constructor=2\nLABEL __proto__=3\nVOLUME __proto__\nEXPOSE 1\nRUN x\n';
    const made = await compile(text, { labels: new Map([['constructor', 'c']]) });
    expect(Object.entries(config(made).config.Labels ?? {})).toEqual([
      ['__proto__', '3'],
      ['constructor', 'c'],
    ]);
    expect(Object.keys(config(made).config.Volumes ?? {})).toEqual(['__proto__']);
    expect(opNamed(made, 'RUN')).toMatchObject({ exec: { meta: { env: expect.arrayContaining(['__proto__=1']) } } });
  });

  test.each([
    ['EXPOSE 1-3/UDP', ['1/udp', '2/udp', '3/udp']],
    ['EXPOSE 127.0.0.1:80:8080', ['8080/tcp']],
    ['EXPOSE 81-82:90', ['90/tcp']],
  ])('%s', async (text, ports) => {
    expect(Object.keys(config(await compile(`FROM alpine\n${text}\n`)).config.ExposedPorts ?? {})).toEqual(ports);
  });

  test.each([
    ['EXPOSE 70000', 'invalid containerPort: 70000 @2'],
    ['EXPOSE 80/http', 'invalid port: "80/http": invalid proto: http @2'],
    ['EXPOSE x:1:2', 'invalid IP address: x @2'],
    ['EXPOSE a:2', 'invalid hostPort: a @2'],
    ['EXPOSE 1-2:3-5', 'invalid ranges specified for container and host Ports: 3-5 and 1-2 @2'],
    ['STOPSIGNAL SIGNOPE', 'invalid signal: SIGNOPE @2'],
    ['STOPSIGNAL 0', 'invalid signal: 0 @2'],
    ['VOLUME [""]', /VOLUME specified can not be an empty string @2/],
  ])('%s is refused', async (text, message) => {
    const given = await failure(`FROM alpine\n${text}\n`);
    if (typeof message === 'string') expect(given).toBe(message);
    else expect(given).toMatch(message);
  });

  test.each(['SIGTERM', 'int', '9', 'RTMIN+3', 'SIGRTMAX-1'])('STOPSIGNAL %s', async (signal) => {
    expect(config(await compile(`FROM alpine\nSTOPSIGNAL ${signal}\n`)).config.StopSignal).toBe(signal);
  });

  test('checks can be turned into an error', async () => {
    const result = await compile('# check=error=true\nFROM alpine\nENV password=$x\n');
    expect(result.lintError?.message).toBe('lint violation found for rules: SecretsUsedInArgOrEnv, UndefinedVar');
  });

  test('what is scanned for an SBOM is a matter of arguments', async () => {
    const text =
      'ARG BUILDKIT_SBOM_SCAN_STAGE=a\nFROM alpine AS a\nFROM alpine AS b\nFROM scratch\nARG BUILDKIT_SBOM_SCAN_CONTEXT=true\nCOPY --from=a / /\nCOPY --from=b / /\n';
    const result = await compile(text);
    expect([...(result.platforms[0]?.scans.keys() ?? [])]).toEqual(['context', 'a']);
  });
});
