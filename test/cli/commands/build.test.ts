import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandIn } from '../../fakes/command.ts';
import { TempDir } from '../../tree/support.ts';

// What is typed behind "build", in scripts whose variables are not always set: none of it runs a step.
let dir: TempDir;
beforeAll(() => {
  dir = new TempDir();
  dir.write('context/Dockerfile', 'FROM scratch\nMAINTAINER me\nCOPY file /file\n');
  dir.write('context/file', 'content');
  dir.write('file', 'outside');
  dir.write('Dockerfile', 'FROM scratch\nCOPY file /outside\n');
});
afterAll(() => dir[Symbol.dispose]());
const { run, ok } = commandIn(() => dir.path);

describe('a variable that is empty', () => {
  test('in place of the Dockerfile means the default one, as with docker', async () => {
    for (const words of [['-f', ''], ['--file='], ['--file', '']])
      expect(await ok('build', '-q', ...words, 'context')).toBe(await ok('build', '-q', 'context'));
    expect(await ok('llb', '--format=json', '-f', '', 'context')).toContain('/file');
    expect(await ok('build', '--call=targets', '-f', '', 'context')).toMatch(/^TARGET/);
  });

  test('in place of the stage, of a platform and of --call means what there is without', async () => {
    const usual = await ok('build', '-q', 'context');
    for (const words of [['--target', ''], ['--platform', ''], ['--call=']])
      expect(await ok('build', '-q', ...words, 'context')).toBe(usual);
  });

  test.each([['build', ''], ['build', '-q', ''], ['llb', '--format=json', ''], ['build', '--check', '']])(
    'in place of the context is refused: %j',
    async (...words) => {
      const { code, out, err } = await run(...words);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain('error: Cannot read build context "": it is empty\nhint: the argument is the directory');
    },
  ); // oxfmt-ignore
});

describe('--call', () => {
  test('says what the check finds without failing of it, where that is wanted', async () => {
    expect(await run('build', '--call=check', 'context')).toMatchObject({ code: 1 });
    const { code, out } = await run('build', '--call=check,ignorestatus=true', 'context');
    expect(code).toBe(0);
    expect(out).toContain('MaintainerDeprecated');
    const json = await run('build', '--check', '--call=lint,format=json,ignorestatus=1', 'context');
    expect(json.code).toBe(0);
    expect(JSON.parse(json.out)).toMatchObject({ warnings: [{ ruleName: 'MaintainerDeprecated' }] });
  });

  test.each(['check,format=yaml', 'outline,frmt=json', 'targets,', ',format=json'])(
    '%s is refused, and nothing is printed that a program could take for its answer',
    async (call) => {
      const { code, out, err } = await run('build', `--call=${call}`, 'context');
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain(`error: Cannot use --call=${call}: `);
    },
  );
});

describe('attestations', () => {
  test.each([
    ['--provenance=false'],
    ['--provenance=False'],
    ['--provenance=0'],
    ['--sbom=false'],
    ['--sbom=f'],
    ['--attest=type=provenance,disabled=true'],
    ['--attest', 'type=sbom,disabled=1'],
  ])('%j asks for none, which is what there is', async (...words) => {
    expect(await ok('build', '-q', ...words, 'context')).toBe(await ok('build', '-q', 'context'));
  });

  test.each([
    [['--provenance=mode=max'], 'Cannot use --provenance=mode=max: attestations are not supported'],
    [['--sbom=true'], 'Cannot use --sbom=true: attestations are not supported\nhint: leave it out, or write --sbom=false'],
    [['--sbom='], 'Cannot use --sbom=: attestations are not supported'],
    [['--attest=type=sbom'], 'Cannot use --attest: it is not supported'],
    [['--attest=type=sbom,disabled=false'], 'Cannot use --attest: it is not supported'],
    [['--attest', 'type=sbom,notdisabled=true'], 'Cannot use --attest: it is not supported'],
    [['--builder', 'x'], 'there is no daemon'],
    [['--ignorefile=x'], '.dockerignore'],
    [['--squash'], 'FROM scratch'],
    [['--timestamp=0'], '--source-date-epoch'],
  ])('%j is refused with what to do', async (words, why) => {
    const { code, out, err } = await run('build', '-q', ...words, 'context');
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(why);
    expect(err).toMatch(/^hint: /m);
  }); // oxfmt-ignore

  test('asked for without a mode, at the end of the line, are refused, too', async () => {
    const { code, err } = await run('build', '-q', 'context', '--provenance');
    expect(code).toBe(2);
    expect(err).toContain('Cannot use --provenance: attestations are not supported\nhint: leave it out');
  });

  test('switches of docker’s old builder change nothing', async () => {
    expect(await ok('build', '-q', '--rm', '--force-rm', '--compress', '--rm=false', 'context')).toBe(
      await ok('build', '-q', 'context'),
    );
  });
});
