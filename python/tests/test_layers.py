"""How the modules of the package lie over one another."""
import ast
import re
import unittest

from kit import PACKAGE

HOME = PACKAGE / "opamp"
# The two public types name each other in their signatures, for type checkers alone.
BY_TYPES = {"opamp.callbacks", "opamp.agent"}


def modules():
    """Path by name."""
    names = {}
    for path in HOME.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(name, path, known, with_types):
    """Which modules of the package one imports, wherever in it that stands."""
    found, waiting = set(), [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ImportFrom) and node.level:
            above = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            above = above[:len(above) + 1 - node.level]
            base = ".".join(above + ([node.module] if node.module else []))
            for each in node.names:
                inner = f"{base}.{each.name}"
                found.add(inner if inner in known else base)
        if not is_for_types(node) or with_types:
            waiting.extend(ast.iter_child_nodes(node))
        else:
            waiting.extend(node.orelse)
    return found - {name}


def circles(graph):
    """The sets of modules that reach one another."""
    def reached(begin):
        seen, waiting = set(), [begin]
        while waiting:
            for each in graph[waiting.pop()] - seen:
                seen.add(each)
                waiting.append(each)
        return seen

    reach = {name: reached(name) for name in graph}
    return {frozenset(other for other in reach[name] if name in reach[other])
            for name in graph if name in reach[name]}


class Layers(unittest.TestCase):
    def graph(self, with_types):
        known = modules()
        return {name: imports(name, path, known, with_types) for name, path in known.items()}

    def test_the_imports_are_seen(self):
        graph = self.graph(False)
        self.assertLessEqual({"opamp.client", "opamp._run", "opamp._fork"}, graph["opamp.agent"])
        self.assertIn("opamp._message", graph["opamp.proto._classes"])
        self.assertIn("opamp.agent", graph["opamp"])

    def test_no_module_imports_one_that_imports_it(self):
        self.assertEqual(circles(self.graph(False)), set())

    def test_for_types_alone_the_agent_and_its_callbacks_do(self):
        self.assertEqual(circles(self.graph(True)), {frozenset(BY_TYPES)})

    def test_private_names_are_looked_at_in_every_file(self):
        for path in modules().values():
            with self.subTest(path.name):
                switches = re.findall(r"pyright:.*reportPrivate\w+", path.read_text(encoding="utf-8"))
                self.assertEqual(switches, [])


if __name__ == "__main__":
    unittest.main()
