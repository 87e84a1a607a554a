"""The table of behaviours in docs/conformance.md against the tree: no id dangles, and what is promised is tested."""
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs/conformance.md"
FAMILIES = "HTTP|WS|SYNC|RCV|CONN|PKG|LIFE|TLS|PROXY|GUEST|LOG|FLEET"
ROW = re.compile(rf"^\| ((?:{FAMILIES})-\d\d) \| (\(?)[MSL]\)? \| (.*) \|$", re.M)
ID = re.compile(rf"(?<![\w-])(?:{FAMILIES})-\d\d(?!\d)")
NAMED = re.compile(rf"\[((?:{FAMILIES})-\d\d(?:\s*,\s*(?:{FAMILIES})-\d\d)*)\]")
NOT_OURS = {".git", "build", "target", "__pycache__"}
TESTS = ("tests/", "python/", "devserver/", "fuzz/")


def sources():
    """(path, text) of every text file of the project."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS]
        for file in files:
            path = pathlib.Path(folder, file)
            name = path.relative_to(ROOT).as_posix()
            yield name, path.read_text(encoding="utf-8", errors="replace")


def rows():
    """id -> (whether it is planned, its text)"""
    text = TABLE.read_text(encoding="utf-8")
    return {row: (planned == "(", behaviour) for row, planned, behaviour in ROW.findall(text)}


def every_id_is_a_row_and_every_row_is_tested():
    table = rows()
    dangling, named = {}, set()
    for name, text in sources():
        for used in set(ID.findall(text)) - set(table):
            dangling.setdefault(used, []).append(name)
        for group in NAMED.findall(text):
            # A comment in the library names a row too; only a test proves it.
            ids = re.split(r"\s*,\s*", group)
            named |= {row for row in ids if name.startswith(TESTS) or "(core" in table.get(row, ("", ""))[1]}
    assert not dangling, f"ids without a row in docs/conformance.md: {dangling}"
    untested = [row for row, (is_planned, _) in table.items() if not is_planned and row not in named]
    assert not untested, f"rows of docs/conformance.md that no test names: {untested}"
    planned = sum(is_planned for is_planned, _ in table.values())
    return f"{len(table)} behaviours: {len(table) - planned} tested, {planned} not implemented yet"
