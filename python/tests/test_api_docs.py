"""The pages under docs/ do as they say."""
import contextlib
import io
import re
import unittest

from kit import ROOT, Devserver, python


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.S | re.M)


class Pages(unittest.TestCase):
    def test_the_api_by_task(self):
        with Devserver() as server, contextlib.redirect_stdout(io.StringIO()):
            server.offer({"a.json": ("application/json", b'{"a": 1}')})
            names = {}
            for block in blocks("python.md"):
                exec(compile(block.replace("http://127.0.0.1:4320/v1/opamp", server.endpoint), "python.md", "exec"), names)
            server.wait("status=APPLIED:offered")
            server.wait("effective=offered")
            self.assertEqual(server.problems(), [])

    def test_the_migration(self):
        for block in blocks("python-migration.md"):
            python(block)


if __name__ == "__main__":
    unittest.main()
