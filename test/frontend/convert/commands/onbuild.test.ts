import { describe, expect, test } from 'vitest';
import { lines, outcome, outcomeOf } from './support.ts';

describe('ONBUILD keeps the text of its instruction', () => {
  test.each<[string, unknown]>([
    ['ONBUILD', 'ONBUILD requires at least one argument'],
    ['ONBUILD RUN x', ['RUN x']],
    ['onbuild run x', ['run x']],
    ['ONBUILD FROM x', "FROM isn't allowed as an ONBUILD trigger"],
    ['ONBUILD ONBUILD RUN x', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ['ONBUILD MAINTAINER x', "MAINTAINER isn't allowed as an ONBUILD trigger"],
    ['ONBUILD foo', ['foo']],
    ['ONBUILD COPY a', ['COPY a']],
    ['ONBUILD COPY --from=x a b', ['COPY --from=x a b']],
    ['ONBUILD ENV a', 'ENV must have two arguments'],
    ['ONBUILD  ENV   a=b', ['ENV   a=b']],
    ['ONBUILD CMD ["a"]', ['CMD ["a"]']],
    ['ONBUILD CMD a \\\n b', ['CMD a  b']],
    ['ONBUILD --x RUN y', 'unknown flag: --x'],
    ['ONBUILD RUN --mount=foo x', ['RUN --mount=foo x']],
    ['ONBUILD COPY <<EOF /x\na\nEOF', ['COPY <<EOF /x\na\nEOF']],
    ['ONBUILD RUN <<EOF\na\nEOF', ['RUN <<EOF\na\nEOF']],
    ['ONBUILD ARG a\nONBUILD ENV b=$a', ['ARG a', 'ENV b=$a']],
    ['ONBUILD HEALTHCHECK NONE', ['HEALTHCHECK NONE']],
    ['ONBUILD HEALTHCHECK', ['HEALTHCHECK']],
    ['ONBUILD SHELL x', ['SHELL x']],
    ['ONBUILD\tRUN x', ['RUN x']],
    ['ONBUILD RUN\tx', ['RUN\tx']],
    ['ONBUILD EXPOSE foo', ['EXPOSE foo']],
    ['ONBUILD USER', ['USER']],
    ['ONBUILD "RUN" x', ['"RUN" x']],
  ])('%j', async (instruction, expected) => {
    expect(await outcome(instruction, ({ config }) => config.OnBuild)).toEqual(expected);
  }); // oxfmt-ignore
});

describe('ONBUILD is done by the stage that is built on it, and not by the next', () => {
  test.each<[string, unknown]>([
    ['FROM scratch AS base\nONBUILD ENV a=b\nFROM base\nENV last=1', ['ENV a=b', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD ENV a=b\nFROM base AS two\nFROM two\nENV last=1', ['ENV a=b', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD ENV a=$x\nFROM base\nENV last=1', ['ENV a=', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD ENV a=$x\nFROM base AS two\nFROM two\nENV last=1', ['ENV a=', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD CMD c\nFROM base\nENV last=1', ['CMD ["/bin/sh" "-c" "c"]', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD CMD c\nFROM base AS two\nFROM two\nENV last=1', ['CMD ["/bin/sh" "-c" "c"]', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD EXPOSE 80\nFROM base\nENV last=1', ['EXPOSE [80/tcp]', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD EXPOSE 80\nFROM base AS two\nFROM two\nENV last=1', ['EXPOSE [80/tcp]', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD ARG q=1\nONBUILD ENV z=$q\nFROM base\nENV last=1', ['ARG q=1', 'ENV z=1', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD ARG q=1\nONBUILD ENV z=$q\nFROM base AS two\nFROM two\nENV last=1', ['ARG q=1', 'ENV z=1', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD WORKDIR d\nFROM base\nENV last=1', ['WORKDIR /d', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD WORKDIR d\nFROM base AS two\nFROM two\nENV last=1', ['WORKDIR /d', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD COPY a\nFROM base\nENV last=1', 'COPY requires at least two arguments, but only one was provided. Destination could not be determined'],
    ['FROM scratch AS base\nONBUILD COPY a\nFROM base AS two\nFROM two\nENV last=1', 'COPY requires at least two arguments, but only one was provided. Destination could not be determined'],
    ['FROM scratch AS base\nONBUILD EXPOSE foo\nFROM base\nENV last=1', 'invalid containerPort: foo'],
    ['FROM scratch AS base\nONBUILD EXPOSE foo\nFROM base AS two\nFROM two\nENV last=1', 'invalid containerPort: foo'],
    ['FROM scratch AS base\nONBUILD USER\nFROM base\nENV last=1', 'USER requires exactly one argument'],
    ['FROM scratch AS base\nONBUILD USER\nFROM base AS two\nFROM two\nENV last=1', 'USER requires exactly one argument'],
    ['FROM scratch AS base\nONBUILD foo\nFROM base\nENV last=1', 'unknown instruction: foo (did you mean from?)'],
    ['FROM scratch AS base\nONBUILD foo\nFROM base AS two\nFROM two\nENV last=1', 'unknown instruction: foo (did you mean from?)'],
    ['FROM scratch AS base\nONBUILD LABEL a b\nFROM base\nENV last=1', ['LABEL a=b', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD LABEL a b\nFROM base AS two\nFROM two\nENV last=1', ['LABEL a=b', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD COPY <<EOF /x\na$x\nEOF\nFROM base\nENV last=1', ['COPY <<EOF /x # buildkit', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD COPY <<EOF /x\na$x\nEOF\nFROM base AS two\nFROM two\nENV last=1', ['COPY <<EOF /x # buildkit', 'ENV last=1']],
    ['FROM scratch AS base\nENV x=1\nONBUILD ENV a=$x\nFROM base\nENV last=1', ['ENV x=1', 'ENV a=1', 'ENV last=1']],
    ['FROM scratch AS base\nENV x=1\nONBUILD ENV a=$x\nFROM base AS two\nFROM two\nENV last=1', ['ENV x=1', 'ENV a=1', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD STOPSIGNAL x\nFROM base\nENV last=1', 'invalid signal: x'],
    ['FROM scratch AS base\nONBUILD STOPSIGNAL x\nFROM base AS two\nFROM two\nENV last=1', 'invalid signal: x'],
    ['FROM scratch AS base\nONBUILD HEALTHCHECK --interval=1 CMD x\nFROM base\nENV last=1', 'time: missing unit in duration "1"'],
    ['FROM scratch AS base\nONBUILD HEALTHCHECK --interval=1 CMD x\nFROM base AS two\nFROM two\nENV last=1', 'time: missing unit in duration "1"'],
    ['FROM scratch AS base\nONBUILD VOLUME /v\nFROM base\nENV last=1', ['VOLUME [/v]', 'ENV last=1']],
    ['FROM scratch AS base\nONBUILD VOLUME /v\nFROM base AS two\nFROM two\nENV last=1', ['VOLUME [/v]', 'ENV last=1']],
  ])('%j', async (instruction, expected) => {
    expect(await outcomeOf(`${instruction}\n`, lines)).toEqual(expected);
  }); // oxfmt-ignore
});
