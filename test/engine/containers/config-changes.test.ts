import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changedConfig } from '../../../src/engine/containers/config-changes.ts';
import type { ContainerConfig } from '../../../src/image/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';

const platform = { os: 'linux', architecture: 'amd64' } as const;
const changed = (changes: readonly string[], config: object = {}): Promise<ContainerConfig> =>
  changedConfig(config as ContainerConfig, platform, changes);

describe('commit --change', () => {
  test('without any the config is the container’s, as it is', async () => {
    const config = { Env: ['A=1'], Cmd: ['sh'] } as ContainerConfig;
    expect(await changedConfig(config, platform, [])).toBe(config);
  });

  test.each<[string, object, object]>([
    ['CMD ["a","b"]', {}, { Cmd: ['a', 'b'] }],
    ['cmd a b', {}, { Cmd: ['/bin/sh', '-c', 'a b'] }],
    ['ENTRYPOINT ["a"]', { Cmd: ['old'] }, { Entrypoint: ['a'] }],
    ['ENV A=2', { Env: ['PATH=/p', 'A=1', 'B=1'] }, { Env: ['PATH=/p', 'A=2', 'B=1'] }],
    ['ENV C=$A', { Env: ['PATH=/p', 'A=1'] }, { Env: ['PATH=/p', 'A=1', 'C=1'] }],
    ['EXPOSE 80 53/udp', {}, { ExposedPorts: { '80/tcp': {}, '53/udp': {} } }],
    ['LABEL a="b c"', { Labels: { z: '1' } }, { Labels: { z: '1', a: 'b c' } }],
    ['STOPSIGNAL SIGQUIT', {}, { StopSignal: 'SIGQUIT' }],
    ['USER 7', { User: 'root' }, { User: '7' }],
    ['VOLUME /data', {}, { Volumes: { '/data': {} } }],
    ['WORKDIR sub', { WorkingDir: '/srv' }, { WorkingDir: '/srv/sub' }],
    ['HEALTHCHECK NONE', {}, { Healthcheck: { Test: ['NONE'] } }],
    ['  LABEL a=b', {}, { Labels: { a: 'b' } }],
  ])('%s', async (change, before, after) => {
    expect(await changed([change], before)).toMatchObject(after);
  });

  test('they are carried out one after the other', async () => {
    expect(await changed(['ENV A=1', 'ENV B=$A', 'WORKDIR /a', 'WORKDIR b', 'CMD ["x"]', 'CMD ["y"]'])).toMatchObject({
      Env: expect.arrayContaining(['A=1', 'B=1']) as string[],
      WorkingDir: '/a/b',
      Cmd: ['y'],
    });
  });

  test('what the image has for those that are built on it stays for them, and is not carried out', async () => {
    const before = { OnBuild: ['RUN echo old', 'LABEL a=b'] };
    const after = await changed(['LABEL c=d', 'ONBUILD COPY . /'], before);
    expect(after).toMatchObject({ OnBuild: ['RUN echo old', 'LABEL a=b', 'COPY . /'] });
    expect(after.Labels).toEqual({ c: 'd' });
  });

  test.each(['RUN true', 'COPY a /', 'ADD a /', 'FROM x', 'ARG A', 'SHELL ["x"]', 'nonsense', '', 'CMD', 'LABEL a=b\nRUN x'])(
    '%j is refused: it makes files, or nothing',
    async (change) => {
      await expect(changed([change])).rejects.toMatchObject({
        code: 'TSB_USAGE',
        message: `Cannot change the image by ${JSON.stringify(change)}`,
        hint: expect.stringContaining('CMD, ENTRYPOINT') as string,
      });
    },
  ); // oxfmt-ignore

  test.each(['ENV A', 'LABEL "', 'EXPOSE x', 'HEALTHCHECK --interval=soon CMD x', 'STOPSIGNAL SIG NONE'])(
    '%j is refused: it cannot be understood',
    async (change) => {
      await expect(changed([change])).rejects.toMatchObject({
        code: 'TSB_USAGE',
        message: expect.stringMatching(/^Cannot change the image: ./) as string,
      });
    },
  );

  test('whatever is typed asks for no file and no other image', async () => {
    const word = fc.constantFrom('ENV A=1 \\', 'ONBUILD RUN x', 'LABEL a=<<E', 'CMD <<E', 'USER $X', 'ENV X=${A:-b}', 'LABEL `', 'VOLUME ["/a", "b"]');
    const change = fc.oneof(word, fc.tuple(fc.constantFrom('ENV ', 'LABEL ', 'CMD ', 'ONBUILD ', 'VOLUME '), fc.string()).map(([a, b]) => a + b));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const made = await changed(changes).catch((error: unknown) => error);
        if (made instanceof Error) {
          expect(isTsbuildError(made, 'TSB_USAGE'), String(made)).toBe(true);
          expect(made.message).not.toContain('there are no files here');
        }
      }),
    );
  }); // oxfmt-ignore
});
