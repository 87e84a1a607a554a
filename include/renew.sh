#!/bin/sh
# Renews include/opamp.h and include/opamp.ffi.h from src/ffi; with --check only says whether they are current.
set -eu
cd "$(dirname "$0")/.."
out=$(cargo check --locked --quiet -p libopamp --lib --message-format=json |
  sed -n '/"reason":"build-script-executed".*libopamp/s/.*"out_dir":"\([^"]*\)".*/\1/p')
[ -n "$out" ] || { echo "renew.sh: the build script of libopamp did not run" >&2; exit 1; }
# For parsers that know neither guards nor includes (cffi, LuaJIT, PHP).
sed '/^#include/d' "$out/opamp.h" | ${CC:-cc} -E -P -x c - >"$out/opamp.ffi.h"
status=0
for name in opamp.h opamp.ffi.h; do
  if cmp -s "$out/$name" "include/$name"; then continue; fi
  if [ "${1-}" = --check ]; then
    diff -u "include/$name" "$out/$name" >&2 || :
    echo "FAILED: include/$name is not what src/ffi says; run include/renew.sh" >&2
    status=1
  else
    cp "$out/$name" "include/$name"
    echo "include/$name renewed"
  fi
done
exit $status
