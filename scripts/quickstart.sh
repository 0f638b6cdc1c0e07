#!/bin/sh
# npm run quickstart: from a fresh clone to an image that answers over HTTP.
set -eu
cd "$(dirname -- "$0")/.."
sh scripts/setup.sh run
PATH=$PWD/node_modules/.bin:$PATH exec node scripts/quickstart.mjs
