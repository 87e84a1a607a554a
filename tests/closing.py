"""How every runner of tests ends: what failed, with a part of its text, then the names alone, so that a log that is cut has them."""
import re

TEXT_LINES = 15
# Of names, and of their length.
MOST, LONGEST = 20, 200
HARMLESS = re.compile(r"error: (?:test failed|\d+ targets? failed)")


def failure(name, text):
    """With the end of its text, where the reason stands."""
    return "\n".join([f"FAILED: {name}"] + [f"    {line}" for line in text.splitlines() if line.strip()][-TEXT_LINES:])


def of_unittest(output):
    """The failures that unittest wrote down."""
    for found in re.finditer(r"^=+\n((?:FAIL|ERROR): .*)\n(?:.*\n)*?-+\n((?:(?!=====|-----).*\n)*)", output + "\n", re.MULTILINE):
        yield failure(*found.groups())


def of_process(name, output):
    """The same of tests in a process that failed; of one that died before it wrote any down, its last words."""
    return list(of_unittest(output)) or [failure(name, output)]


def say(failures):
    """Each is a text whose first line begins with `FAILED: NAME`."""
    for text in failures:
        print("\n".join(text.splitlines()[:TEXT_LINES + 1]), flush=True)
    if len(failures) > 1:
        print("\n".join(first_lines(failures)), flush=True)


def first_lines(failures):
    lines = list(dict.fromkeys(text.split("\n", 1)[0][:LONGEST] for text in failures))
    more = [f"FAILED: {len(lines) - MOST} more"] if len(lines) > MOST else []
    return lines[:MOST] + more


def named_in(log):
    """What failed as any runner, cargo or a compiler says it; the last line of a log that names nothing."""
    found = re.findall(r"^(?:FAILED\b(?! \().*|test .* \.\.\. FAILED|error(?:\[E\d+\])?: .*)$", log, re.MULTILINE)
    names = [line for line in found if not HARMLESS.match(line)]
    return first_lines(names or [line for line in log.splitlines() if line.strip()][-1:])
