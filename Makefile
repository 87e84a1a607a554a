# libopamp: `make help` lists what can be made. GNU make, on Linux.
ifneq ($(shell uname -s),Linux)
$(error libopamp builds on Linux with glibc or musl; this is $(shell uname -s))
endif

VERSION   := $(shell sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
MSRV      := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# Of its own, not the crate's version: it changes when the ABI does. build.rs holds the same number.
SOVERSION := 0

CC         ?= cc
PYTHON     ?= python3
CARGO      ?= cargo
CFLAGS     ?= -O2 -g
OBJCOPY    ?= objcopy
# Only GNU ld joins an archive into one object; `ld` may be another linker.
ifeq ($(origin LD),default)
LD         := $(if $(shell command -v ld.bfd),ld.bfd,ld)
endif
DESTDIR    ?=
PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR     ?= $(PREFIX)/bin
DOCDIR     ?= $(PREFIX)/share/doc/libopamp

# One place for what is built, whatever the environment says: rpaths and install rules count on it.
export CARGO_TARGET_DIR := $(CURDIR)/target
ifneq ($(findstring musl,$(shell rustc -vV 2>/dev/null)),)
export RUSTFLAGS := $(RUSTFLAGS) -C target-feature=-crt-static
endif

RELEASE    := target/release
SO         := $(RELEASE)/libopamp.so
ARCHIVE    := $(RELEASE)/libopamp.a
NATIVE     := $(RELEASE)/native-static-libs.txt
DEVSERVER  := target/tools/opamp-devserver
HEADERS    := include/opamp.h include/opamp.ffi.h
EXAMPLES   := build/examples
C_FLAGS    := -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Werror -Iinclude
# A program in build/examples finds the library of this checkout, wherever the checkout lies.
C_LIBS     := -L$(RELEASE) -lopamp -Wl,-rpath,'$$ORIGIN/../../$(RELEASE)'

.PHONY: all lib examples header devserver test fuzz demo bench bench-python install uninstall install-devserver uninstall-devserver \
	install-check wheel wheel-check wheel-check-old third-party check-tools clean help
.DELETE_ON_ERROR:

all: lib ## the libraries: target/release/libopamp.so and libopamp.a (the default)

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-20s %s\n", $$1, $$2 }'

check-tools: ## names what this machine lacks for a build, in one line
	@packaging/check-tools.sh "$(CC)" $(MSRV) "$(PYTHON)" "$(LD)" "$(OBJCOPY)" "$(AR)"

# cargo and the script know what is fresh, so this rule always runs.
lib: check-tools
	@$(PYTHON) packaging/library.py --cargo="$(CARGO)" --cc="$(CC)" --ld="$(LD)" --objcopy="$(OBJCOPY)" --ar="$(AR)" \
		--ldflags="$(LDFLAGS)" --soversion=$(SOVERSION)

OWN_TRANSPORT := $(if $(shell printf '\043include <curl/curl.h>\n' | $(CC) -E -x c - >/dev/null 2>&1 && echo yes),$(EXAMPLES)/own_transport,no-own-transport)

examples: lib $(EXAMPLES)/minimal $(EXAMPLES)/poll_loop $(EXAMPLES)/agent $(OWN_TRANSPORT) ## the C programs of examples-c/, into build/examples/

$(EXAMPLES)/%: examples-c/%.c $(HEADERS) | lib
	@mkdir -p $(@D)
	$(CC) $(C_FLAGS) $(CFLAGS) -o $@ $< $(C_LIBS)

AGENT_PARTS   := offer options output state_file command config_dir config_manifest config_names whole_file
AGENT_SOURCES := examples-c/agent.c $(AGENT_PARTS:%=examples-c/%.c)
$(EXAMPLES)/agent: $(AGENT_SOURCES) $(AGENT_PARTS:%=examples-c/%.h) $(HEADERS) | lib
	@mkdir -p $(@D)
	$(CC) $(C_FLAGS) $(CFLAGS) -o $@ $(AGENT_SOURCES) $(C_LIBS)

.PHONY: no-own-transport
no-own-transport:
	@echo "skipped: examples-c/own_transport.c (no libcurl headers)"

$(EXAMPLES)/own_transport: examples-c/own_transport.c $(HEADERS) | lib
	@mkdir -p $(@D)
	$(CC) $(C_FLAGS) $(CFLAGS) -o $@ $< $(C_LIBS) -lcurl

header: check-tools ## renews include/opamp.h and include/opamp.ffi.h from src/ffi
	CC="$(CC)" include/renew.sh

devserver: check-tools ## the development server: target/tools/opamp-devserver
	$(CARGO) build --locked --profile tools -p opamp-devserver

test: check-tools ## everything that proves something; what lacks a tool is skipped with one line (with CI=true that fails)
	@$(PYTHON) tests/run.py

FUZZ_SECONDS ?= 600
fuzz: check-tools ## the fuzz targets, each FUZZ_SECONDS long (600), with a seed of their own: fuzz/run.py
	@$(PYTHON) fuzz/run.py --seconds $(FUZZ_SECONDS) --seed 0

demo: examples devserver ## the development server and the example agent, told as a story
	@$(PYTHON) tests/demo.py

bench: examples devserver ## one table: this library beside a bare program that moves the same bytes
	@$(PYTHON) bench/run.py

bench-python: lib devserver ## one table: the Python package beside OpenTelemetry's own client (from PyPI, in an environment of its own)
	@$(PYTHON) bench/python.py

third-party: check-tools ## renews THIRD-PARTY from Cargo.lock
	$(PYTHON) tests/licences/third_party.py --write

# What is installed: one list, for install and uninstall, by name under its folder, whose path may have spaces.
SO_FILE    := libopamp.so.$(VERSION)
CMAKE_DIR   = $(LIBDIR)/cmake/opamp
DOCS       := README.md LICENSE THIRD-PARTY SECURITY.md CHANGELOG.md
IN_LIBDIR  := $(SO_FILE) libopamp.so.$(SOVERSION) libopamp.so libopamp.a pkgconfig/opamp.pc pkgconfig/opamp-static.pc \
	cmake/opamp/opamp-config.cmake cmake/opamp/opamp-config-version.cmake
FILL = $(PYTHON) packaging/fill.py packaging/$(1).in "$(DESTDIR)$(2)/$(1)" VERSION=$(VERSION) SOVERSION=$(SOVERSION) \
	PREFIX="$(PREFIX)" LIBDIR="$(LIBDIR)" INCLUDEDIR="$(INCLUDEDIR)" NATIVE_LIBS="$(shell cat $(NATIVE))" \
	LIBRARY=$(SO)

# As another user (sudo) there may be no toolchain: then what was built before is installed.
.PHONY: built absolute-paths
built: absolute-paths
	@if command -v $(CARGO) >/dev/null || ! test -f $(SO) -a -f $(ARCHIVE) -a -s $(NATIVE); then \
		$(MAKE) --no-print-directory lib; \
	elif ! command -v $(PYTHON) >/dev/null; then echo "libopamp: missing on this machine: Python 3 ($(PYTHON))" >&2; exit 1; fi

# The .pc files name them, and a build somewhere else reads those.
absolute-paths:
	@for path in "$(PREFIX)" "$(LIBDIR)" "$(INCLUDEDIR)"; do case "$$path" in /*) ;; \
		*) echo "libopamp: PREFIX, LIBDIR and INCLUDEDIR are absolute paths, which $$path is not" >&2; exit 1 ;; esac; done

install: built ## headers, libraries, .pc files, CMake package, documents; DESTDIR, PREFIX, LIBDIR, INCLUDEDIR say where
	install -d "$(DESTDIR)$(INCLUDEDIR)" "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(CMAKE_DIR)" "$(DESTDIR)$(DOCDIR)"
	install -m 644 $(HEADERS) "$(DESTDIR)$(INCLUDEDIR)"
	install -m 755 $(SO) "$(DESTDIR)$(LIBDIR)/$(SO_FILE)"
	ln -sf $(SO_FILE) "$(DESTDIR)$(LIBDIR)/libopamp.so.$(SOVERSION)"
	ln -sf libopamp.so.$(SOVERSION) "$(DESTDIR)$(LIBDIR)/libopamp.so"
	install -m 644 $(ARCHIVE) "$(DESTDIR)$(LIBDIR)"
	@$(call FILL,opamp.pc,$(LIBDIR)/pkgconfig)
	@$(call FILL,opamp-static.pc,$(LIBDIR)/pkgconfig)
	@$(call FILL,opamp-config.cmake,$(CMAKE_DIR))
	@$(call FILL,opamp-config-version.cmake,$(CMAKE_DIR))
	install -m 644 $(DOCS) "$(DESTDIR)$(DOCDIR)"

uninstall: absolute-paths ## takes away what install laid down, with the same variables
	rm -f $(patsubst include/%,"$(DESTDIR)$(INCLUDEDIR)/%",$(HEADERS))
	rm -f $(patsubst %,"$(DESTDIR)$(LIBDIR)/%",$(IN_LIBDIR))
	rm -f $(patsubst %,"$(DESTDIR)$(DOCDIR)/%",$(DOCS))
	@for folder in "$(DESTDIR)$(CMAKE_DIR)" "$(DESTDIR)$(DOCDIR)"; do \
		if [ -d "$$folder" ]; then rmdir "$$folder" 2>/dev/null || echo "left, not empty: $$folder"; fi; done

install-devserver: devserver ## the development server, into BINDIR (PREFIX/bin)
	install -d "$(DESTDIR)$(BINDIR)"
	install -m 755 $(DEVSERVER) "$(DESTDIR)$(BINDIR)/opamp-devserver"

uninstall-devserver: ## takes the development server away
	rm -f "$(DESTDIR)$(BINDIR)/opamp-devserver"

install-check: lib ## builds and runs programs against an installed tree: pkg-config and CMake, shared and static, a plugin
	@$(PYTHON) tests/install/run.py

wheel: lib ## the Python wheels, into build/wheels/; takes its tools from PyPI (packaging/wheel-tools.txt)
	@$(PYTHON) packaging/wheel.py

wheel-check: wheel ## what the wheels hold, installed into empty environments, with every Python that is here
	@$(PYTHON) tests/wheel/run.py

wheel-check-old: wheel ## the wheels on Debian 11 (glibc 2.31), which debootstrap lays into build/bullseye once; as root
	@$(PYTHON) tests/wheel/run.py --old

clean: ## removes build/ and target/
	rm -rf build target
