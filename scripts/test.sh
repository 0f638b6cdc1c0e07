#!/bin/sh
# npm test: sets up what the tests need, then runs them. Arguments go to vitest.
set -eu
cd "$(dirname -- "$0")/.."
sh scripts/setup.sh test
PATH=$PWD/node_modules/.bin:$PATH
if [ "$(id -u)" = 0 ]; then exec vitest run "$@"; fi
# Files or titles are named: just these.
for argument; do case $argument in -*) ;; *) exec vitest run "$@" ;; esac; done

# An ordinary user: what the worker does in its namespace, such as giving files to other ids, is tested in such a namespace. Devices and
# ids beyond the user's own are for root; those tests are skipped.
inside='test/layer test/fileop test/rootfs test/tree test/sys test/worker/layer-unpacks.test.ts'
result=0
# What was not tried is listed.
case " $* " in *' --reporter'*) ;; *) set -- --reporter=default --reporter=./scripts/skipped-reporter.mjs "$@" ;; esac
# The patterns are for vitest.
set -f
vitest run "$@" $(for place in $inside; do printf ' --exclude %s --exclude %s/**' "$place" "$place"; done) || result=1
buildah unshare vitest run "$@" $inside || result=1
exit "$result"
