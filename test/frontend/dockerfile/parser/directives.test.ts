import { describe, expect, test } from 'vitest';
import { outcomeOf, variables } from '../../convert/commands/support.ts';

describe('# escape=', () => {
  test.each<[string, unknown]>([
    ['# escape=`\nFROM scratch\nENV a=b`\n c=d\n', ['a=b', 'c=d']],
    ['# escape=`\nFROM scratch\nENV a="x\\\\y`"z"\n', ['a=x\\\\y"z']],
    ['#escape = `\nFROM scratch\nENV a=b`\n c=d\n', ['a=b', 'c=d']],
    ['#escape = `\nFROM scratch\nENV a="x\\\\y`"z"\n', ['a=x\\\\y"z']],
    ['# ESCAPE=`\nFROM scratch\nENV a=b`\n c=d\n', ['a=b', 'c=d']],
    ['# ESCAPE=`\nFROM scratch\nENV a="x\\\\y`"z"\n', ['a=x\\\\y"z']],
    ['# escape=x\nFROM scratch\nENV a=b`\n c=d\n', "invalid escape token 'x' does not match ` or \\"],
    ['# escape=x\nFROM scratch\nENV a="x\\\\y`"z"\n', "invalid escape token 'x' does not match ` or \\"],
    ['# escape=``\nFROM scratch\nENV a=b`\n c=d\n', "invalid escape token '``' does not match ` or \\"],
    ['# escape=``\nFROM scratch\nENV a="x\\\\y`"z"\n', "invalid escape token '``' does not match ` or \\"],
    ['# escape=\nFROM scratch\nENV a=b`\n c=d\n', 'unknown instruction: c=d (did you mean cmd?)'],
    ['# escape=\nFROM scratch\nENV a="x\\\\y`"z"\n', 'failed to process "\\"x\\\\\\\\y`\\"z\\"": unexpected end of statement while looking for matching double-quote'],
    ['# escape=`\n# escape=`\nFROM scratch\nENV a=b`\n c=d\n', 'only one escape parser directive can be used'],
    ['# escape=`\n# escape=`\nFROM scratch\nENV a="x\\\\y`"z"\n', 'only one escape parser directive can be used'],
    ['# foo=bar\n# escape=`\nFROM scratch\nENV a=b`\n c=d\n', 'unknown instruction: c=d (did you mean cmd?)'],
    ['# foo=bar\n# escape=`\nFROM scratch\nENV a="x\\\\y`"z"\n', 'failed to process "\\"x\\\\\\\\y`\\"z\\"": unexpected end of statement while looking for matching double-quote'],
    ['\n# escape=`\nFROM scratch\nENV a=b`\n c=d\n', 'unknown instruction: c=d (did you mean cmd?)'],
    ['\n# escape=`\nFROM scratch\nENV a="x\\\\y`"z"\n', 'failed to process "\\"x\\\\\\\\y`\\"z\\"": unexpected end of statement while looking for matching double-quote'],
    ['# comment\n# escape=`\nFROM scratch\nENV a=b`\n c=d\n', 'unknown instruction: c=d (did you mean cmd?)'],
    ['# comment\n# escape=`\nFROM scratch\nENV a="x\\\\y`"z"\n', 'failed to process "\\"x\\\\\\\\y`\\"z\\"": unexpected end of statement while looking for matching double-quote'],
    ['#escape=` x\nFROM scratch\nENV a=b`\n c=d\n', "invalid escape token '` x' does not match ` or \\"],
    ['#escape=` x\nFROM scratch\nENV a="x\\\\y`"z"\n', "invalid escape token '` x' does not match ` or \\"],
    ['# escape=`\r\nFROM scratch\nENV a=b`\n c=d\n', ['a=b', 'c=d']],
    ['# escape=`\r\nFROM scratch\nENV a="x\\\\y`"z"\n', ['a=x\\\\y"z']],
    ['#\tescape=`\nFROM scratch\nENV a=b`\n c=d\n', ['a=b', 'c=d']],
    ['#\tescape=`\nFROM scratch\nENV a="x\\\\y`"z"\n', ['a=x\\\\y"z']],
    ['//escape=`\nFROM scratch\nENV a=b`\n c=d\n', 'unknown instruction: //escape=`'],
    ['//escape=`\nFROM scratch\nENV a="x\\\\y`"z"\n', 'unknown instruction: //escape=`'],
    [' # escape=`\nFROM scratch\nENV a=b`\n c=d\n', ['a=b', 'c=d']],
    [' # escape=`\nFROM scratch\nENV a="x\\\\y`"z"\n', ['a=x\\\\y"z']],
  ])('%j', async (instruction, expected) => {
    expect(await outcomeOf(instruction, variables)).toEqual(expected);
  }); // oxfmt-ignore
});
