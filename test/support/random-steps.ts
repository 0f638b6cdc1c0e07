/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A Dockerfile whose steps make, change, link and remove files and directories of few names, so that they often meet what earlier ones made.
 * What an overlay does otherwise than a file system is left out: renaming directories, and reading of hard links that they are some.
 */
export function randomSteps(seed: number, count: number): string {
  const next = numbers(seed);
  const below = (limit: number): number => Math.floor(next() * limit);
  const pick = (choices: readonly string[]): string => choices[below(choices.length)] ?? '';
  const path = (): string =>
    `/w/${Array.from({ length: 1 + below(3) }, () => pick(['a', 'b', 'c', 'd', 'e'])).join('/')}`;
  const change = (): string => {
    const [one, other] = [path(), path()];
    return pick([
      `mkdir -p ${one}`,
      `rm -rf ${one}`,
      `rm -rf ${one}; mkdir -p ${one}`,
      `echo ${below(10)} > ${one}`,
      `echo ${below(10)} >> ${one}`,
      `: > ${one}`,
      `test -d ${one} || mv -T ${one} ${other}`,
      `ln ${one} ${other}`,
      `ln -f ${one} ${other}`,
      `ln -s ${pick(['a', 'b', '..'])} ${one}`,
      `cp -r ${one} ${other}`,
      `chmod ${pick(['700', '644', '755', '1777', '600'])} ${one}`,
      `chown -h ${pick(['0:0', '1000:50', '7:0'])} ${one}`,
      `touch ${one}`,
      `touch -d @${1 + below(1e9)} ${one}`,
      `rmdir ${one}`,
      `rm -f ${one}; echo same > ${one}; touch -d @1500000000 ${one}`,
    ]);
  };
  const step = (): string => Array.from({ length: 1 + below(14) }, change).join('; ');
  const steps = Array.from({ length: count }, () => `RUN cd /; mkdir -p /w; (${step()}) 2>/dev/null; true`);
  return `FROM base:1\n${steps.join('\n')}\n`;
}
