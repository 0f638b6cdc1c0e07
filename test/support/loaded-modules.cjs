// Required before the program: writes what it has loaded by its end to the file that $TSBUILD_TEST_LOADED names, as JSON.
'use strict';
const fs = require('node:fs');
const { basename } = require('node:path');

const before = new Set(process.moduleLoadList);
const bundles = new Set();
const { readFileSync, writeFileSync } = fs;
fs.readFileSync = (file, ...options) => {
  if (/[\\/]dist[\\/].*\.cjs$/.test(String(file))) bundles.add(basename(String(file)));
  return readFileSync(file, ...options);
};
process.on('exit', () => {
  const builtin = process.moduleLoadList
    .filter((name) => !before.has(name) && /^NativeModule (?!internal\/)/.test(name))
    .map((name) => name.slice('NativeModule '.length))
    .sort((a, b) => (a < b ? -1 : 1));
  const loaded = { builtin, bundles: [...bundles].sort((a, b) => (a < b ? -1 : 1)) };
  writeFileSync(process.env.TSBUILD_TEST_LOADED, JSON.stringify(loaded));
});
