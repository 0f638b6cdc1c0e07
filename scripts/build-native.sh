#!/bin/sh
# Compiles the sandbox helper into dist/native/linux-<arch>/tsbuild-helper: static and position-independent, against musl where
# musl-gcc is installed; and beside it tsbuild-files.node, which Node loads.
#   build-native.sh [--sanitize | --analyze | --fuzz] [output directory]      CC and ARCH (x64, arm64) choose a cross compiler
#   --sanitize: with AddressSanitizer and UBSan, for tests. --analyze: no program, only what gcc's analyzer has to say.
#   --fuzz: the fuzz targets of native/fuzz, with libFuzzer (clang) and both sanitizers; scripts/fuzz.sh runs them.
set -eu
cd "$(dirname -- "$0")/.."

mode=release
case ${1:-} in
  --sanitize | --analyze | --fuzz)
    mode=${1#--}
    shift
    ;;
esac
machine=$(uname -m)
case $machine in
  x86_64) machine=x64 ;;
  aarch64) machine=arm64 ;;
esac
arch=${ARCH:-$machine}
out=${1:-dist/native/linux-$arch}
if [ -z "${CC:-}" ]; then
  if [ "$mode" = release ] && command -v musl-gcc >/dev/null 2>&1; then CC=musl-gcc; else CC=cc; fi
fi
flags='-std=gnu11 -Wall -Wextra -Wshadow -Wformat=2 -Werror -fno-strict-aliasing'

case $mode in
  analyze)
    # Memory is never given back on purpose: every process of the helper ends with its step. So leaks are no findings.
    printf '%s\n' native/src/*.c native/files/*.c |
      xargs -P "$(nproc)" -n 1 $CC $flags -O2 -fanalyzer -Wno-analyzer-malloc-leak -S -o /dev/null
    exit
    ;;
  sanitize)
    mkdir -p "$out"
    # Leaks are no faults, as above; the program runs without an environment, which would say so.
    exec $CC $flags -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
      -o "$out/tsbuild-helper" native/src/*.c -x c - <<'C'
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }
C
    ;;
esac

if [ "$mode" = fuzz ]; then
  # What is allocated and mapped goes through the harness, which frees it: the helper itself leaves that to its end.
  wraps=
  for name in malloc calloc realloc free mmap vasprintf read_fd; do wraps="$wraps -Wl,--wrap=$name"; done
  mkdir -p "$out/objects/native/src" "$out/objects/native/fuzz"
  flags="$flags -Wno-format-nonliteral -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all"
  # Once, though every target has nearly all of it.
  printf '%s\n' native/src/*.c native/fuzz/*.c | grep -v '/src/main\.c$' |
    xargs -P "$(nproc)" -I '{}' clang $flags -fsanitize=fuzzer-no-link,address,undefined -c -o "$out/objects/{}.o" '{}'
  for target in native/fuzz/*.c; do
    if [ "$target" = native/fuzz/harness.c ]; then continue; fi
    clang $flags -fsanitize=fuzzer,address,undefined -o "$out/$(basename "$target" .c)" "$out/objects/$target.o" \
      "$out/objects/native/fuzz/harness.c.o" "$out"/objects/native/src/*.o $wraps
  done
  exit
fi

# The whole of a program that loads itself at a random address: rcrt1.o relocates it. musl-gcc's specs know no -static-pie and take
# the wrong start file, so that it is named here.
if $CC -print-file-name=libc.a | grep -q musl || [ "$(basename -- "$CC")" = musl-gcc ]; then
  # musl-gcc searches where its specs say, which -print-file-name does not tell.
  lib=$($CC -Wl,--trace -static -x c -o /dev/null - <<'C' 2>/dev/null | sed -n 's|/crt1\.o$||p; s|/Scrt1\.o$||p' | head -n 1
int main(void) { return 0; }
C
  )
  start="-nostartfiles -static -Wl,-pie,--no-dynamic-linker,-z,text $lib/rcrt1.o $lib/crti.o"
  end=$lib/crtn.o
else
  start=-static-pie
  end=
fi

mkdir -p "$out"
# Written beside its place and renamed: a running helper keeps its own file.
$CC $flags -O2 -fPIE -s -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wl,-z,relro,-z,now \
  $start -o "$out/tsbuild-helper.$$" native/src/*.c $end
mv "$out/tsbuild-helper.$$" "$out/tsbuild-helper"

# Of no C library: what it calls is there in the program that loads it.
$CC $flags -O2 -fPIC -s -shared -nostdlib -fvisibility=hidden -fno-stack-protector -Wl,-z,relro,-z,now \
  -o "$out/tsbuild-files.node.$$" native/files/files.c
mv "$out/tsbuild-files.node.$$" "$out/tsbuild-files.node"
