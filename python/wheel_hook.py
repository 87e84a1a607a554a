"""hatchling's hook: lays libopamp.so beside the package and tags the wheel with the platform that it was built for."""
import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LibraryHook(BuildHookInterface):
    def initialize(self, version, build_data):
        library = os.environ.get("OPAMP_WHEEL_LIBRARY")
        if library:
            build_data["pure_python"] = False
            build_data["tag"] = "py3-none-" + os.environ["OPAMP_WHEEL_PLATFORM"]
            build_data["force_include"][library] = "opamp/libopamp.so"
