/**
 * Milliseconds of processors that this process used while something was done. Unlike those of a clock they do not grow where others keep the
 * machine busy, or where the process is held up: what a test says of them is of the work alone.
 */
export async function processorTime(work: () => unknown): Promise<number> {
  const begun = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1000;
}
