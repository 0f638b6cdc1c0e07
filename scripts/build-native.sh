#!/bin/sh
# Compiles the sandbox helper into dist/native/linux-<arch>/tsbuild-helper: static, against musl where musl-gcc is installed.
#   build-native.sh [output directory]      CC and ARCH (x64, arm64) choose a cross compiler
set -eu
cd "$(dirname -- "$0")/.."

machine=$(uname -m)
case $machine in
  x86_64) machine=x64 ;;
  aarch64) machine=arm64 ;;
esac
arch=${ARCH:-$machine}
out=${1:-dist/native/linux-$arch}
if [ -z "${CC:-}" ]; then
  if command -v musl-gcc >/dev/null 2>&1; then CC=musl-gcc; else CC=cc; fi
fi

mkdir -p "$out"
# Written beside its place and renamed: a running helper keeps its own file.
$CC -std=gnu11 -O2 -static -s -Wall -Wextra -Wshadow -Wformat=2 -Werror \
  -fno-strict-aliasing -fstack-protector-strong -D_FORTIFY_SOURCE=2 \
  -o "$out/tsbuild-helper.$$" native/src/*.c
mv "$out/tsbuild-helper.$$" "$out/tsbuild-helper"
