#!/bin/sh
# npm run lock: writes package-lock.json anew where package.json asks for more, and keeps the versions that it has.
# It happens in an empty folder: beside a node_modules npm leaves out what this platform did not install, and the lock that
# comes of it fails "npm ci" everywhere.
set -eu
cd "$(dirname -- "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp package.json package-lock.json .npmrc "$work"
# Addresses that are there already would be kept.
sed -i '/^ *"resolved": /d' "$work/package-lock.json"
(cd "$work" && npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error)
cp "$work/package-lock.json" package-lock.json
sh scripts/check-lock.sh
