"""Which files of src name which, and the circles among them."""
import pathlib
import re

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src"


def expanded(tree):
    """Each path of a `use` without blanks, such as `super::{a::B,c}`."""
    found = re.match(r"([\w:]*?)(?:::)?\{(.*)\}$", tree)
    if not found:
        yield tree
        return
    depth, item = 0, ""
    for char in found[2] + ",":
        if char == "," and depth == 0:
            if item:
                yield from expanded(f"{found[1]}::{item}")
            item = ""
            continue
        depth += (char == "{") - (char == "}")
        item += char


def resolved(path, own, files):
    """The file that a path leads into, seen from the module `own`."""
    first, *rest = path.split("::")
    at = () if first == "crate" else own[:-1] if first == "super" else own
    while rest and rest[0] == "super":
        at, rest = at[:-1], rest[1:]
    full = at + tuple(rest)
    while full and full not in files:
        full = full[:-1]
    return full


def uses():
    """Module -> the modules that it names. A layer's mod.rs only hands names on."""
    files = {}
    for path in SOURCES.rglob("*.rs"):
        parts = path.relative_to(SOURCES).with_suffix("").parts
        files[parts[:-1] if parts[-1] == "mod" else parts] = path
    found = {}
    for own, path in files.items():
        text = path.read_text(encoding="utf-8").split("\nmod tests {")[0]
        text = re.sub(r"\s+", "", re.sub(r"//.*", "", text))
        paths = set(re.findall(r"(?:crate|super|self)(?:::\w+)+", text))
        for tree in re.findall(r"use((?:crate|super|self)::[^;]*);", text):
            paths.update(expanded(tree))
        used = {resolved(path, own, files) for path in paths}
        used |= {child for child in files if child[:-1] == own
                 and re.search(rf"(?<![\w:]){child[-1]}::", text)}
        found[own] = {module for module in used if len(module) > 1 and module != own}
    return {own: used for own, used in found.items() if len(own) > 1}, files


def circles():
    """Sets of files that name each other, directly or around; paths below src."""
    graph, files = uses()

    def reached(start):
        seen, left = set(), [start]
        while left:
            for module in graph.get(left.pop(), ()):
                if module not in seen:
                    seen.add(module)
                    left.append(module)
        return seen

    from_each = {module: reached(module) for module in graph}
    found = {frozenset(other for other in from_each[module] if module in from_each[other])
             for module in graph if module in from_each[module]}
    return [{files[module].relative_to(SOURCES).as_posix() for module in circle}
            for circle in found]
