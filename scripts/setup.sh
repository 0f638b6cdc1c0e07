#!/bin/sh
# Brings a fresh checkout to the point where it can run: npm packages, the Debian packages it lacks, the build.
#   setup.sh [run|test|fuzz]     what the packages are for (default: run)
set -eu
cd "$(dirname -- "$0")/.."
purpose=${1:-run}

need() { # need COMMAND-OR-FILE PACKAGE
  case $1 in
    /*) [ -e "$1" ] || missing="$missing $2" ;;
    *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1 || missing="$missing $2" ;;
  esac
}

missing=
need newuidmap uidmap
need cc gcc
need /usr/include/stdio.h libc6-dev
need mmdebstrap mmdebstrap
if [ "$purpose" = fuzz ]; then
  if ! echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | clang -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null; then
    missing="$missing clang libclang-rt-dev"
  fi
fi
if [ "$purpose" = test ]; then
  need musl-gcc musl-tools
  need /bin/busybox busybox-static
  need skopeo skopeo
  need umoci umoci
  need oci-image-tool oci-image-tool
  need docker-registry docker-registry
  need buildah buildah
  need /usr/bin/qemu-aarch64-static qemu-user-static
  need podman podman
  need /usr/sbin/runc runc
  need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
  need /usr/aarch64-linux-gnu/include/stdio.h libc6-dev-arm64-cross
  need xz xz-utils
  need git git
  need gpg gnupg
  need ssh-keygen openssh-client
  need /usr/sbin/sshd openssh-server
  need strace strace
  need faketime faketime
  need python3 python3
  need setpriv util-linux
  need mke2fs e2fsprogs
  need linux.uml user-mode-linux
  need pasta passt
  need slirp4netns slirp4netns
  need redis-server redis-server
  need nginx nginx-light
  need dnsmasq dnsmasq-base
  need /usr/lib/postgresql/15/bin/initdb postgresql-15
  need ip iproute2
  need /usr/bin/chromium chromium
fi
if [ -n "$missing" ]; then
  install="apt-get install -y --no-install-recommends$missing"
  if [ "$(id -u)" = 0 ]; then
    apt-get update -q && DEBIAN_FRONTEND=noninteractive $install
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo apt-get update -q && sudo DEBIAN_FRONTEND=noninteractive $install
  else
    echo "Some Debian packages are missing. Type this, then run the same command again:" >&2
    echo "  sudo apt-get update && sudo $install" >&2
    exit 1
  fi
fi

if [ "$(id -u)" != 0 ] && ! grep -q "^$(id -un):" /etc/subuid 2>/dev/null && ! grep -q "^$(id -u):" /etc/subuid 2>/dev/null; then
  echo "This user has no subordinate ids, which rootless builds need. Type this, then run the same command again:" >&2
  echo "  sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)" >&2
  exit 1
fi

stamp=node_modules/.package-lock.json
if [ ! -e "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  touch "$stamp"
fi
PATH=$PWD/node_modules/.bin:$PATH
if [ ! -e dist/cli.cjs ] || [ -n "$(find src native scripts package-lock.json -newer dist/cli.cjs -type f 2>/dev/null | head -n 1)" ]; then
  npm run --silent build
fi
