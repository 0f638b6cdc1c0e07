#!/bin/sh
# BuildKit's buildctl with a daemon for one build; here there is none to start.
exec node "$(dirname -- "$(readlink -f -- "$0")")/buildctl" "$@"
