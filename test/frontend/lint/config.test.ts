import { describe, expect, test } from 'vitest';
import { foundIn } from './found.ts';

const BODY = 'FROM scratch AS x\n# not descr\nARG foo=1\nMAINTAINER me\nCMD a\n';

describe('# check=', () => {
  test.each<[string, unknown]>([
    ['# check=skip=all', []],
    ['# check=skip=JSONArgsRecommended', ['MaintainerDeprecated @5']],
    ['# check=skip=JSONArgsRecommended,MaintainerDeprecated', []],
    ['# check=skip= JSONArgsRecommended , MaintainerDeprecated', ['JSONArgsRecommended @6', 'MaintainerDeprecated @5']],
    ['# check=skip=jsonargsrecommended', ['JSONArgsRecommended @6', 'MaintainerDeprecated @5']],
    ['# check=error=x', 'failed to parse check options: failed to parse check option "error=x": strconv.ParseBool: parsing "x": invalid syntax'],
    ['# check=foo=bar', 'failed to parse check options: invalid check option "foo"'],
    ['# check=x', 'failed to parse check options: invalid check option "x"'],
    ['# check=', ['JSONArgsRecommended @6', 'MaintainerDeprecated @5']],
    ['# check=skip=', ['JSONArgsRecommended @6', 'MaintainerDeprecated @5']],
    ['# check=;', 'failed to parse check options: invalid check option ""'],
    ['# check=skip=none;experimental=all', ['InvalidDefinitionDescription @4', 'JSONArgsRecommended @6', 'MaintainerDeprecated @5']],
    ['# check=experimental=InvalidDefinitionDescription', ['InvalidDefinitionDescription @4', 'JSONArgsRecommended @6', 'MaintainerDeprecated @5']],
    ['# check=experimental=x', ['JSONArgsRecommended @6', 'MaintainerDeprecated @5']],
    ['# check=skip=a;error=false;experimental=b;skip=c', ['JSONArgsRecommended @6', 'MaintainerDeprecated @5']],
    ['# CHECK=skip=all', []],
    ['#check = skip=all', []],
    ['# check=skip=all\n# check=skip=all', 'only one check parser directive can be used'],
    ['# check=SKIP=all', 'failed to parse check options: invalid check option "SKIP"'],
    ['# check=skip=ALL', ['JSONArgsRecommended @6', 'MaintainerDeprecated @5']],
  ])('%j', async (instruction, expected) => {
    expect(await foundIn(`${instruction}\n${BODY}`)).toEqual(expected);
  }); // oxfmt-ignore
});
