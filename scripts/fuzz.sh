#!/bin/sh
# Fuzzes the sandbox helper: its reader of descriptions (spec), its lookup of users (user), its walker of paths (paths), its name
# server of containers (names). Needs clang.
#   fuzz.sh [seconds for each target, default 15] [directory for what is learned]
# With a directory, what a run learns is where the next one starts: an hour each, now and then: sh scripts/fuzz.sh 3600 ~/fuzz
# Ends with an error and prints the input, as base64 too, when a target finds something.
set -eu
cd "$(dirname -- "$0")/.."
seconds=${1:-15}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
corpus=${2:-$work/corpus}
sh scripts/build-native.sh --fuzz "$work/bin"

# One description that is whole, one of every key, one user that is found, one tree with a link: the fuzzer makes the rest of them.
seed() { # seed TARGET NAME FORMAT: printf's format, \377 between fields
  mkdir -p "$work/seeds/$1"
  printf "$3" >"$work/seeds/$1/$2"
}
whole='upper\377/u\377work\377/w\377cwd\377/\377user\3770\377hostname\377h\377shm-size\37764m\377id-count\37765536\377insecure\3771\377arg\377sh'
seed spec whole "\\001\\000$whole\\377end"
seed spec mounts "\\001\\000$whole\\377lower\\377/l\\377env\\377A=b\\377group\\3775\\377limit\\3777:1:2\\377mount\\377layers\\377m.target\\377/t\\377m.lower\\377/x\\377m.lower\\377/y\\377m.upper\\377/z\\377mount\\377file\\377m.target\\377/f\\377m.data\\377d\\377m.mode\\377511\\377m.readonly\\3771\\377end"
seed user name 'bob:staff\377root:x:0:0::/root:/bin/sh\nbob:x:1000:1000:Bob:/home/bob:/bin/sh\377staff:x:50:bob\nother:x:51:alice,bob\n'
seed user groups 'bob\377bob:x:7:7:::\377a:x:1:bob\nb:x:2:bob\nc:x:3:bob\n'
seed paths link '\003\000\001\000\003\001\001\201\000\001\001\000\003\003\000\001\002'
seed paths absolute '\003\000\001\000\000\001\001\003\002\000\002\201\001\003\002\000\002'
tables='self 0123456789abcdef me\nnetwork ci 1\nat 0123456789abcdef web 10.0.0.2 fd00::2 www\nat fedcba9876543210 db 10.0.0.3 - web\n\377'
seed names address "$tables\\000\\001\\001\\000\\000\\001\\000\\000\\000\\000\\000\\000\\003web\\002ci\\000\\000\\001\\000\\001"
seed names extended "$tables\\000\\001\\001\\000\\000\\001\\000\\000\\000\\000\\000\\001\\002me\\000\\000\\377\\000\\001\\000\\000\\051\\020\\000\\000\\000\\000\\000\\000\\000"
seed names pointer "$tables\\000\\001\\001\\000\\000\\001\\000\\000\\000\\000\\000\\000\\0013\\0010\\0010\\00210\\007in-addr\\004arpa\\000\\000\\014\\000\\001"
keys='upper work cwd user hostname shm-size id-count insecure arg env lower group limit mount seccomp capabilities shift prepare-upper tty init
end bind device layers tmpfs file m.target m.source m.subpath m.lower m.upper m.work m.size m.mode m.uid m.gid m.readonly m.data'
for key in $keys; do printf '"%s\\xff"\n' "$key"; done >"$work/spec.dict"
printf '"root:x:0:0:"\n"4294967296"\n"2147483648"\n"65536"\n"\\x0a"\n"::"\n' >"$work/user.dict"

for target in spec user paths names; do
  mkdir -p "$corpus/$target"
  options="-max_total_time=$seconds -max_len=2000 -timeout=10 -rss_limit_mb=1024 -detect_leaks=0 -artifact_prefix=$work/ -print_final_stats=1"
  if [ -e "$work/$target.dict" ]; then options="$options -dict=$work/$target.dict"; fi
  if ! "$work/bin/$target" $options "$corpus/$target" "$work/seeds/$target" >"$work/$target.log" 2>&1; then
    tail -n 60 "$work/$target.log" >&2
    echo "fuzz target \"$target\" found a fault" >&2
    exit 1
  fi
  echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log") inputs, $(ls "$corpus/$target" | wc -l) kept"
done
