#!/bin/sh
# npm test: sets up what the tests need, then runs them. Arguments go to vitest.
set -eu
cd "$(dirname -- "$0")/.."
sh scripts/setup.sh test
PATH=$PWD/node_modules/.bin:$PATH exec vitest run "$@"
