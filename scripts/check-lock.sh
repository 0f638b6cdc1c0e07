#!/bin/sh
# Whether package-lock.json is whole, so that "npm ci" works in a fresh clone: every package that package.json asks for, on
# every platform, stands in it, and no line names a registry's address.
# What mends it: npm run lock
set -eu
cd "$(dirname -- "$0")/.."
if ! said=$(npm ci --dry-run --offline --ignore-scripts --no-audit --no-fund 2>&1); then
  printf '%s\n' "$said" | grep -E 'npm error (Missing|Invalid|code)' >&2 || printf '%s\n' "$said" >&2
  echo "package-lock.json does not match package.json; type: npm run lock" >&2
  exit 1
fi
if grep -n '"resolved"' package-lock.json >&2; then
  echo "package-lock.json names a registry's address; type: npm run lock" >&2
  exit 1
fi
