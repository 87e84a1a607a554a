"""What README.md and docs/architecture.md say, against the library and the tree."""
import ctypes
import pathlib
import re

import imports

ROOT = pathlib.Path(__file__).resolve().parents[2]
SO = ROOT / "target/release/libopamp.so"
SOURCES = ROOT / "src"
OK, UNSUPPORTED = 0, -5


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def table(heading):
    """The rows below `| heading |..`, each as its cells."""
    found = re.search(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", read("README.md"), re.M)
    assert found, f"README.md has no table of {heading}"
    return [[cell.strip() for cell in row.strip("|").split("|")]
            for row in found.group(1).splitlines()]


def capabilities():
    """Name in lower case, without underscores -> bit, as the header has them."""
    found = re.findall(r"OPAMP_CAPABILITY_([A-Z_]+) = (\d+)", read("include/opamp.h"))
    assert len(found) == 16, found
    return {name.replace("_", "").lower(): int(bit) for name, bit in found}


class Client:
    """One client of the built library."""

    def __init__(self):
        self.library = ctypes.CDLL(str(SO))
        self.handle = ctypes.c_void_p()
        assert self.new("http://127.0.0.1/", self.handle) == OK

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.opamp_client_unref(self.handle)

    def new(self, url, out):
        return self.library.opamp_client_new(url.encode(), ctypes.byref(out), None)

    def declares(self, bits):
        return self.library.opamp_client_set_capabilities(self.handle, ctypes.c_uint64(bits), None)

    def default(self):
        bits = ctypes.c_uint64()
        assert self.library.opamp_client_capabilities(self.handle, ctypes.byref(bits)) == OK
        return bits.value

    def takes_endpoint(self, scheme):
        place = "%2Frun%2Fx.sock" if scheme.endswith("unix") else "127.0.0.1"
        url = f"{scheme}://{place}/".encode()
        return self.library.opamp_client_set_endpoint(self.handle, url, None) == OK

    def takes_proxy(self, scheme):
        url = f"{scheme}://127.0.0.1:1".encode()
        return self.library.opamp_client_set_proxy(self.handle, url, None) == OK


def readme_lists_the_capabilities_that_can_be_declared():
    """Each bit of the header is in one row, and its row says what the library says."""
    bits, rows = capabilities(), table("capability")
    with Client() as client:
        default = client.default()
        said = {}
        for names, state in rows:
            for name in names.split(", "):
                said[name.lower()] = state
        assert set(said) - {"custom messages"} == set(bits), set(said) ^ set(bits)
        for name, bit in bits.items():
            status = client.declares(bit | bits["reportsstatus"])
            assert status in (OK, UNSUPPORTED), f"{name}: {status}"
            wanted = "yes" if status == OK else "not yet"
            assert said[name].startswith(wanted), f"{name}: README.md says {said[name]!r}"
            is_default = "by default" in said[name]
            assert is_default == bool(bit & default), f"{name}: {said[name]!r}"
    accepted = sum(said[name].startswith("yes") for name in bits)
    return f"README.md: {accepted} of {len(bits)} capabilities, as the library accepts them"


def readme_lists_the_schemes_that_are_accepted():
    ways = dict(table("way to the server"))
    listed = set(re.findall(r"`([a-z+]+)://`", ways["plain HTTP"] + ways["WebSocket"]))
    known = (SOURCES / "transport/endpoint.rs").read_text(encoding="utf-8")
    in_code = set(re.findall(r'Scheme::\w+ => "([a-z+]+)"', known))
    assert listed == in_code, f"README.md {sorted(listed)}, code {sorted(in_code)}"
    proxies = re.findall(r"`(\w+)`", ways["proxy"])
    with Client() as client:
        refused = [scheme for scheme in listed if not client.takes_endpoint(scheme)]
        refused += [scheme for scheme in proxies if not client.takes_proxy(scheme)]
        assert not refused, f"the library refuses {refused}"
        assert not client.takes_endpoint("ftp") and not client.takes_proxy("socks4")
    return f"README.md: {len(listed)} schemes, {len(proxies)} kinds of proxies, all accepted"


def readme_lists_the_languages_that_are_tested():
    languages = dict(table("language"))
    tested = read("tests/c/run.py")
    for name in ("C", "C++"):
        oldest = languages[name].split()[0]
        assert f'"-std={oldest.lower()}"' in tested, f"{oldest} is compiled by no test"
    python = languages["Python"].split()[0]
    assert f'requires-python = ">={python}"' in read("python/pyproject.toml"), python
    return f"README.md: {languages['C']}, {languages['C++']}, Python {languages['Python'][:12]}"


def architecture_names_the_files_that_are_there():
    """Files, functions and locks that it names exist; each file of the core is named."""
    text = read("docs/architecture.md")
    named = set(re.findall(r"`([a-z_/]+\.rs)`", text))
    there = [path.relative_to(ROOT).as_posix() for top in ("src", "devserver/src", "tests")
             for path in (ROOT / top).rglob("*.rs")]
    missing = [name for name in named
               if not any(f"/{path}".endswith(f"/{name}") for path in there)]
    assert not missing, f"docs/architecture.md names files that are not there: {sorted(missing)}"
    words = {word for path in SOURCES.rglob("*.rs")
             for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
    stale = {word for word in re.findall(r"`([A-Za-z]+_\w+)`", text)} - words
    assert not stale, f"docs/architecture.md names what src does not: {sorted(stale)}"
    core = {path.name for path in (SOURCES / "protocol").glob("*.rs")} - {"mod.rs"}
    unnamed = core - {name.rsplit("/", 1)[-1] for name in named}
    assert not unnamed, f"docs/architecture.md leaves out {sorted(unnamed)} of src/protocol"
    folders = {path.name for path in SOURCES.iterdir() if path.is_dir()}
    folders |= {path.name for path in (ROOT / "devserver/src").iterdir() if path.is_dir()}
    absent = [name for name in folders if f"`src/{name}`" not in text and f"`{name}`" not in text]
    assert not absent, f"docs/architecture.md leaves out the directories {absent}"
    locks = set(re.findall(r"^\| \w+ \| `(\w+)::(\w+)`, `(src/[\w/]+\.rs)`", text, re.M))
    found = {lock for path in SOURCES.rglob("*.rs") for lock in locks_of(path)}
    assert locks == found, f"the lock order and src disagree about {sorted(locks ^ found)}"
    return f"docs/architecture.md: {len(named)} files, {len(locks)} locks, all there"



def architecture_names_the_circles_that_are_there():
    """One bullet for each set of files that name each other, and none without."""
    section = read("docs/architecture.md").split("\n## Files that use each other\n")[1]
    section = section.split("\n## ")[0]
    bullets = [frozenset(re.findall(r"`([a-z_/]+\.rs)`", bullet))
               for bullet in section.split("\n- ")[1:]]
    found = {frozenset(circle) for circle in imports.circles()}
    new = [sorted(circle) for circle in found - set(bullets)]
    gone = [sorted(bullet) for bullet in set(bullets) - found]
    assert not new, f"files use each other, which docs/architecture.md does not say: {new}"
    assert not gone, f"docs/architecture.md names circles that are not there: {gone}"
    return f"docs/architecture.md: {len(found)} circles of files, as the imports have them"


def locks_of(path):
    """(struct, field, file) of each mutex but builders', which are only tried and have no order."""
    code = path.read_text(encoding="utf-8").split("\nmod tests {")[0]
    name = path.relative_to(ROOT).as_posix()
    for kind, fields in re.findall(r"struct (\w+) \{\n(.*?)^\}", code, re.M | re.S):
        for field in re.findall(r"^    (?:pub(?:\(\w+\))? )?(\w+): (?:Arc<)?Mutex<", fields, re.M):
            if f"self.{field}.try_lock()" not in code:
                yield kind, field, name
