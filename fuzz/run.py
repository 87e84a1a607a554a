#!/usr/bin/env python3
"""Runs the fuzz targets side by side, each from its corpus, and closes with a line for each.

usage: fuzz/run.py [--seconds N] [--jobs N] [--seed N] [TARGET ...]     no target: all of them
       fuzz/run.py --play TARGET FILE ...                              plays finds again

Built with AddressSanitizer and the compiler's counters of edges, which stable compilers have behind RUSTC_BOOTSTRAP. A find's
input is kept under build/fuzz, and the command that plays it again is printed. With the same seed a target that has no threads
goes the same way, as far as its time takes it; `--seed 0` draws one.
"""
import argparse
import os
import secrets
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "fuzz/corpus"
FINDS = ROOT / "build/fuzz"
FLAGS = ("-Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3"
         " -Cllvm-args=-sanitizer-coverage-inline-8bit-counters")
# Beyond its time a target has that long to begin and to end, on a busy machine, too.
SPARE = 300


def build():
    """The program, in the folder of the archive with AddressSanitizer: what runs on this machine alone is built once."""
    machine = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    machine = next(line.split()[1] for line in machine.splitlines() if line.startswith("host:"))
    environment = {**os.environ, "RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": FLAGS, "CARGO_TARGET_DIR": str(ROOT / "target/address")}
    subprocess.run(["cargo", "build", "--locked", "--quiet", "--profile", "fuzz", "--target", machine, "-p", "opamp-fuzz"],
                   cwd=ROOT, env=environment, check=True)
    return ROOT / "target/address" / machine / "fuzz/opamp-fuzz"


def fuzz(program, target, seconds, seed):
    """Whether nothing was found, and what there is to say."""
    with tempfile.TemporaryDirectory(prefix="opamp-fuzz-") as folder:
        current = Path(folder) / "current"
        corpus = [str(path) for path in [CORPUS / target] if path.is_dir()]
        command = [str(program), target, "--seconds", str(seconds), "--seed", str(seed), "--current", str(current), *corpus]
        # What a test of the host's may have left in the environment is none of the targets' business.
        environment = {"PATH": os.environ["PATH"], "TMPDIR": folder, "RUST_BACKTRACE": "1",
                       "ASAN_OPTIONS": "detect_leaks=0:hard_rss_limit_mb=3000:allocator_may_return_null=1"}
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  env=environment, timeout=seconds + SPARE)
        except subprocess.TimeoutExpired as late:
            done = subprocess.CompletedProcess(command, "a hang", late.stdout or b"")
        text = done.stdout.decode(errors="replace").strip()
        if done.returncode == 0:
            return True, text.splitlines()[-1]
        path = keep(target, current)
    lines = "\n".join(text.splitlines()[-60:])
    return False, f"{lines}\nFOUND by {target}, which ended with {done.returncode}: {path}\nreplay: fuzz/run.py --play {target} {path}"


def keep(target, current):
    """The input that was under way, as a file of its own."""
    noted = current.read_bytes() if current.exists() else bytes(8)
    found = noted[8:8 + int.from_bytes(noted[:8], "little")]
    FINDS.mkdir(parents=True, exist_ok=True)
    path = FINDS / f"{target}-{sha256(found).hexdigest()[:12]}"
    path.write_bytes(found)
    return path.relative_to(ROOT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--play", action="store_true")
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args()
    program = build()
    if asked.play:
        sys.exit(subprocess.run([program, *asked.names], cwd=ROOT).returncode)
    targets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    unknown = set(asked.names) - set(targets)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(targets)}")
    seed = asked.seed or secrets.randbits(60) + 1
    with ThreadPoolExecutor(asked.jobs) as pool:
        results = pool.map(lambda target: fuzz(program, target, asked.seconds, seed), asked.names or targets)
    failed = 0
    for is_good, text in results:
        failed += not is_good
        print(text, flush=True)
    count = len(asked.names or targets)
    print(f"fuzz: {count - failed} targets without a find, {failed} with one, {asked.seconds} s each, seed {seed}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
