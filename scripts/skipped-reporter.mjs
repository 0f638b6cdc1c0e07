/**
 * A reporter of vitest for who runs the tests as an ordinary user: lists at last what was not tried, by file and group, so that nobody takes
 * it for tested. Why is known by the group: see CONTRIBUTING.md.
 */
export default class SkippedReporter {
  onTestRunEnd(modules) {
    const lines = modules.flatMap((module) => {
      const skipped = [...module.children.allTests()].filter((test) => test.result().state === 'skipped');
      if (skipped.length === 0) return [];
      const names = skipped.map(({ parent, name }) => (parent.type === 'suite' ? parent.name : name));
      return [`  ${module.relativeModuleId} (${skipped.length}): ${[...new Set(names)].join('; ')}\n`];
    });
    if (lines.length === 0) return;
    process.stdout.write(
      `\nSkipped: what takes the machine's root, limits where nobody gives this user cgroups, programs that this machine lacks, and\n` +
        `BuildKit's answers where they do not lie beside the checkout. As root all but the last two are tried.\n${lines.join('')}`,
    );
  }
}
