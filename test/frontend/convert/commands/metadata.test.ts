import { describe, expect, test } from 'vitest';
import { outcome } from './support.ts';

describe('STOPSIGNAL', () => {
  test.each<[string, unknown]>([
    ['STOPSIGNAL 9', { StopSignal: '9' }],
    ['STOPSIGNAL SIGKILL', { StopSignal: 'SIGKILL' }],
    ['STOPSIGNAL kill', { StopSignal: 'kill' }],
    ['STOPSIGNAL sigKill', { StopSignal: 'sigKill' }],
    ['STOPSIGNAL RTMIN+3', { StopSignal: 'RTMIN+3' }],
    ['STOPSIGNAL RTMIN+15', { StopSignal: 'RTMIN+15' }],
    ['STOPSIGNAL RTMIN+16', 'invalid signal: RTMIN+16'],
    ['STOPSIGNAL RTMAX-14', { StopSignal: 'RTMAX-14' }],
    ['STOPSIGNAL RTMAX-15', 'invalid signal: RTMAX-15'],
    ['STOPSIGNAL SIGRTMIN', { StopSignal: 'SIGRTMIN' }],
    ['STOPSIGNAL RTMIN+0', 'invalid signal: RTMIN+0'],
    ['STOPSIGNAL 0', 'invalid signal: 0'],
    ['STOPSIGNAL -1', { StopSignal: '-1' }],
    ['STOPSIGNAL 65', { StopSignal: '65' }],
    ['STOPSIGNAL 100000000000', { StopSignal: '100000000000' }],
    ['STOPSIGNAL 99999999999999999999', 'invalid signal: 99999999999999999999'],
    ['STOPSIGNAL abc', 'invalid signal: abc'],
    ['STOPSIGNAL SIGUSR3', 'invalid signal: SIGUSR3'],
    ['STOPSIGNAL SIGSIGKILL', 'invalid signal: SIGSIGKILL'],
    ['STOPSIGNAL $X', 'invalid signal:'],
    ['STOPSIGNAL ${X:-INT}', { StopSignal: 'INT' }],
    ['STOPSIGNAL "INT"', { StopSignal: 'INT' }],
    ['STOPSIGNAL 9 10', 'invalid signal: 9 10'],
    ['STOPSIGNAL 1.5', 'invalid signal: 1.5'],
    ['STOPSIGNAL 0x9', 'invalid signal: 0x9'],
    ['STOPSIGNAL +9', { StopSignal: '+9' }],
    ['STOPSIGNAL SIGCLD', { StopSignal: 'SIGCLD' }],
    ['STOPSIGNAL CHLD', { StopSignal: 'CHLD' }],
    ['STOPSIGNAL RTMIN+03', 'invalid signal: RTMIN+03'],
    ['STOPSIGNAL UNUSED', 'invalid signal: UNUSED'],
    ['STOPSIGNAL SIGIOT', { StopSignal: 'SIGIOT' }],
    ['STOPSIGNAL LOST', 'invalid signal: LOST'],
    ['STOPSIGNAL 9 ', { StopSignal: '9' }],
  ])('%j', async (instruction, expected) => {
    expect(await outcome(instruction, ({ config: { StopSignal } }) => ({ StopSignal }))).toEqual(expected);
  }); // oxfmt-ignore
});

describe('USER', () => {
  test.each<[string, unknown]>([
    ['USER', 'USER requires exactly one argument'],
    ['USER a', { User: 'a' }],
    ['USER a b', { User: 'a b' }],
    ['USER a:b', { User: 'a:b' }],
    ['USER ""', { User: '' }],
    ['USER "a b"', { User: 'a b' }],
    ['USER $X', { User: '' }],
    ['USER ${X:-1}:2', { User: '1:2' }],
    ['USER --x a', 'unknown flag: --x'],
    ['USER a:', { User: 'a:' }],
    ['USER :b', { User: ':b' }],
  ])('%j', async (instruction, expected) => {
    expect(await outcome(instruction, ({ config: { User = '' } }) => ({ User }))).toEqual(expected);
  }); // oxfmt-ignore
});

describe('WORKDIR', () => {
  test.each<[string, unknown]>([
    ['WORKDIR', 'WORKDIR requires exactly one argument'],
    ['WORKDIR a', { WorkingDir: '/a' }],
    ['WORKDIR /a/../b//c/', { WorkingDir: '/a/../b//c/' }],
    ['WORKDIR "/a b"', { WorkingDir: '/a b' }],
    ['WORKDIR /a b', { WorkingDir: '/a b' }],
    ['WORKDIR ""', { WorkingDir: '/' }],
    ['WORKDIR $X', { WorkingDir: '/' }],
    ['WORKDIR .', { WorkingDir: '/' }],
    ['WORKDIR ..', { WorkingDir: '/' }],
    ['WORKDIR /a\nWORKDIR b\nWORKDIR ../c', { WorkingDir: '/a/c' }],
    ['WORKDIR a\\b', { WorkingDir: '/ab' }],
    ['WORKDIR /', { WorkingDir: '/' }],
    ['WORKDIR //', { WorkingDir: '//' }],
    ['WORKDIR --x /a', 'unknown flag: --x'],
    ['WORKDIR ~', { WorkingDir: '/~' }],
    ['WORKDIR c:\\x', { WorkingDir: '/c:x' }],
  ])('%j', async (instruction, expected) => {
    expect(await outcome(instruction, ({ config: { WorkingDir } }) => ({ WorkingDir }))).toEqual(expected);
  }); // oxfmt-ignore
});

describe('VOLUME', () => {
  test.each<[string, unknown]>([
    ['VOLUME', 'VOLUME requires at least one argument'],
    ['VOLUME /a', ['/a']],
    ['VOLUME /a /b', ['/a', '/b']],
    ['VOLUME ["/a","/b c"]', ['/a', '/b c']],
    ['VOLUME []', 'VOLUME requires at least one argument'],
    ['VOLUME [""]', 'VOLUME specified can not be an empty string'],
    ['VOLUME ""', 'VOLUME specified can not be an empty string'],
    ['VOLUME $X', 'VOLUME specified can not be an empty string'],
    ['VOLUME "a b"', 'failed to process "\\"a": unexpected end of statement while looking for matching double-quote'],
    ['VOLUME ["$X/a"]', ['/a']],
    ['VOLUME ["a", 1]', 'when using JSON array syntax, arrays must be comprised of strings only'],
    ['VOLUME [" "]', 'VOLUME specified can not be an empty string'],
    ['VOLUME ["/a ", "/a"]', ['/a']],
    ['VOLUME a,b', ['a,b']],
  ])('%j', async (instruction, expected) => {
    expect(await outcome(instruction, ({ config }) => Object.keys(config.Volumes ?? {}).sort())).toEqual(expected);
  }); // oxfmt-ignore
});

test('MAINTAINER is the author as written, variables and quotes with it', async () => {
  for (const author of ['a b', '"a"', '$X', 'ä <a@b>'])
    expect(await outcome(`MAINTAINER ${author}`, (image) => image.author)).toBe(author);
});
