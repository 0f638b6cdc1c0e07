#!/bin/sh
# The last line of .ci/run: say-counts.sh FILE STATUS, where FILE is what count-reporter.mjs wrote, and STATUS vitest's exit code.
# A run that failed never has "0 failed", also where nobody counted why.
set -eu
exec node -e '
  const [file, status] = process.argv.slice(1);
  const text = require("node:fs").readFileSync(file, "utf8");
  const { passed, failed } = text === "" ? { passed: 0, failed: 1 } : JSON.parse(text);
  console.log(`${passed} passed, ${status === "0" ? failed : Math.max(failed, 1)} failed`);
' "$1" "$2"
