"""hatchling's hook: the binary becomes a program of the environment, beside the licences of the crates in it."""
import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProgramHook(BuildHookInterface):
    def initialize(self, version, build_data):
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + os.environ["OPAMP_WHEEL_PLATFORM"]
        build_data["shared_scripts"][os.environ["OPAMP_WHEEL_DEVSERVER"]] = "opamp-devserver"
        build_data["extra_metadata"][os.environ["OPAMP_WHEEL_THIRD_PARTY"]] = "THIRD-PARTY"
