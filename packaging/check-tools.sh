#!/bin/sh
# Names everything a build needs and this machine lacks, in one line; silent when nothing is missing.
# usage: check-tools.sh C-COMPILER OLDEST-RUST PYTHON LD OBJCOPY AR
set -eu
cc=$1 oldest=$2 python=$3 ld=$4 objcopy=$5 ar=$6 missing=
lacks() { missing="$missing${missing:+, }$1"; }

if version=$(cargo --version 2>/dev/null) && rustc --version >/dev/null 2>&1; then
    version=${version#cargo } version=${version%% *}
    newest=$(printf '%s\n%s\n' "$oldest" "${version%%-*}" | sort -t. -k1,1n -k2,2n | tail -n 1)
    [ "$newest" = "${version%%-*}" ] || lacks "a Rust toolchain of at least $oldest (this one is $version)"
else
    lacks "a Rust toolchain of at least $oldest (cargo, rustc)"
fi
# A preprocessor alone is not enough: the C library's headers must be there too.
if ! printf '#include <stdio.h>\nint main(void) { return 0; }\n' | $cc -x c -o /dev/null - 2>/dev/null; then
    lacks "a C compiler with its C library's headers ($cc)"
fi
binutils=
case $($ld --version 2>/dev/null) in "GNU ld"*) ;; *) binutils="GNU ld ($ld)" ;; esac
for tool in "$objcopy" "$ar"; do
    $tool --version >/dev/null 2>&1 || binutils="$binutils${binutils:+, }$tool"
done
[ -z "$binutils" ] || lacks "binutils: $binutils"
$python -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || lacks "Python 3.8 or newer ($python)"

[ -z "$missing" ] && exit 0
echo "libopamp: missing on this machine: $missing" >&2
exit 1
