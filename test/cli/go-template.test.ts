import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileTemplate } from '../../src/cli/go-template/index.ts';
import { isTsbuildError } from '../../src/util/index.ts';

/** What `docker context inspect` shows without a configuration: data that a real engine of Go's templates can be asked about. */
const data = {
  Name: 'default',
  Endpoints: new Map([['docker', { Host: 'unix:///var/run/docker.sock', SkipTLSVerify: false }]]),
  TLSMaterial: new Map<string, unknown>(),
  Storage: { MetadataPath: '<IN MEMORY>', TLSPath: '<IN MEMORY>' },
};

/** Templates with what docker printed for them; undefined where it refused. */
const cases: readonly (readonly [string, string | undefined])[] = [
  ['{{.Name}}', 'default'],
  ['{{ .Name | upper }}', 'DEFAULT'],
  ['{{json .Storage}}', '{"MetadataPath":"<IN MEMORY>","TLSPath":"<IN MEMORY>"}'],
  ['{{json .Name}}', '"default"'],
  ['{{range $k, $v := .Endpoints}}{{$k}}={{$v.Host}};{{end}}', 'docker=unix:///var/run/docker.sock;'],
  ['{{range $v := .Endpoints}}{{$v.Host}}{{end}}', 'unix:///var/run/docker.sock'],
  ['{{(index .Endpoints "docker").Host}}', 'unix:///var/run/docker.sock'],
  ['{{.Endpoints.none}}', '<no value>'],
  ['{{.Endpoints}}', 'map[docker:{unix:///var/run/docker.sock false}]'],
  ['{{.Storage}}', '{<IN MEMORY> <IN MEMORY>}'],
  ['{{len .Name}} {{len .Endpoints}}', '7 1'],
  ['{{if eq .Name "a" "default"}}y{{else}}n{{end}}', 'y'],
  ['{{if false}}a{{else if true}}b{{else}}c{{end}}', 'b'],
  ['a  {{- .Name -}}  b', 'adefaultb'],
  ['{{ .Name   -}}   z', 'defaultz'],
  ['a {{/* c */}} b', 'a  b'],
  ['a {{- /* c */ -}} b', 'ab'],
  [
    '{{printf "%5s|%-6s|%05d|%v|%t|%d%%|%.2f" "a" "b" 42 .Name true 5 1.239}}',
    '    a|b     |00042|default|true|5%|1.24',
  ],
  ['{{printf "%05d|%07.2f|%3d|%-4d|" -42 -1.5 -1 -1}}', '-0042|-001.50| -1|-1  |'],
  ['{{print 1 2 "a" "b" 3}}', '1 2ab3'],
  ['{{println .Name 1}}', 'default 1\n'],
  ['{{with .Storage}}{{.TLSPath}}{{$.Name}}{{end}}', '<IN MEMORY>default'],
  ['{{with ""}}x{{else}}none{{end}}', 'none'],
  ['{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}', '2'],
  ['{{$x := 1}}{{if true}}{{$x := 2}}{{end}}{{$x}}', '1'],
  ['{{join (split .Name "e") "-"}}', 'd-fault'],
  ['{{title "hello wORLD x-y"}}', 'Hello WORLD X-Y'],
  ['{{truncate .Name 3}}{{pad .Name 1 2}}|', 'def default  |'],
  ['{{slice .Name 1 3}}', 'ef'],
  ['{{slice "äbc" 0 2}}{{slice "äbc" 2}}', 'äbc'],
  ['{{slice "日本" 0 (len "日本")}}', '日本'],
  ['{{slice .Name 3 3}}', ''],
  ['{{index "abc" 1}} {{index "ä" 0}}', '98 195'],
  ['{{index "abc" 3}}', undefined],
  ['{{slice .Name 3 2}}', undefined],
  ['{{slice .Name 0 8}}', undefined],
  ['{{range split .Name "a"}}[{{.}}]{{end}}', '[def][ult]'],
  ['{{lt 1 2}} {{ge "b" "a"}} {{ne 1 2}} {{not 1}}', 'true true true false'],
  ['{{or "" "z"}} {{and 1 0 2}}', 'z 0'],
  ['{{range $i, $e := split "a,b,c" ","}}{{if eq $i 1}}{{continue}}{{end}}{{$e}}{{end}}', 'ac'],
  ['{{range split "a,b,c" ","}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', 'a'],
  ['{{`raw\\n`}}{{"q\\t\\"x"}}', 'raw\\nq\t"x'],
  ['{{"a" | len | printf "%d"}}', '1'],
  ['{{index (split "a b" " ") 1}}', 'b'],
  ['{{urlquery "a b&c"}} {{html "<a>"}}', 'a+b%26c &lt;a&gt;'],
  ["{{1.5}} {{0x10}} {{'a'}}", '1.5 16 97'],
  ['{{index (split "a b" " ") 5}}', undefined],
  ['{{.Nope}}', undefined],
  ['{{.Name.X}}', undefined],
  ['{{.Name 1}}', undefined],
  ['{{nofunc 1}}', undefined],
  ['{{range .Name}}{{end}}', undefined],
  ['{{if}}', undefined],
  ['{{if true}}', undefined],
  ['{{', undefined],
  ['{{end}}', undefined],
  ['{{break}}', undefined],
  ['{{$x}}', undefined],
  ['{{"a}}', undefined],
  ['{{(.Name}}', undefined],
];

describe('templates of Go', () => {
  test.each(cases)('%s', (template, expected) => {
    if (expected !== undefined) expect(compileTemplate(template)(data)).toBe(expected);
    else expect(() => compileTemplate(template)(data)).toThrow(/^Cannot use the format .*column \d+\)$/s);
  });

  const hasDocker = spawnSync('docker', ['--version']).status === 0;
  test.skipIf(!hasDocker)('docker prints the same', () => {
    const config = mkdtempSync(join(tmpdir(), 'tsbuild-docker-'));
    for (const [template, expected] of cases) {
      const args = ['--config', config, 'context', 'inspect', 'default', '--format', template];
      const { status, stdout } = spawnSync('docker', args, { encoding: 'utf8', env: { PATH: process.env['PATH'] } });
      expect([template, status === 0 ? stdout.replace(/\n$/, '') : undefined]).toEqual([template, expected]);
    }
    rmSync(config, { recursive: true });
  });

  test('a field that is not there is named with those that are', () => {
    expect(() => compileTemplate('{{.Nam}}')(data)).toThrow(/there is no field "\.Nam": did you mean "\.Name"\?/);
    expect(() => compileTemplate('{{.constructor}}')(data)).toThrow(/no field/);
    expect(() => compileTemplate('{{jsn .}}')(data)).toThrow(/did you mean "json"/);
  });

  test('whatever is typed is printed or refused with its place', () => {
    const piece = constantFrom(
      '{{',
      '}}',
      '.Name',
      '.',
      '$x',
      ':=',
      'range ',
      'if ',
      'end',
      'else',
      '|',
      '(',
      ')',
      '"a"',
      ' ',
      '-',
      'json',
      'x',
      '5',
      '`',
    );
    assert(
      property(array(constantFrom(0, 1)), array(piece), string(), (kinds, pieces, noise) => {
        const template = pieces.map((text, at) => (kinds[at] === 1 ? noise + text : text)).join('');
        try {
          expect(typeof compileTemplate(template)(data)).toBe('string');
        } catch (error) {
          expect(isTsbuildError(error, 'TSB_USAGE')).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
