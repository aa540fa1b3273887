"""What `gcu regress --mutate` changes, and which tests must see it."""

from dataclasses import dataclass

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True)
class Target:
    """The design of class `design` in the tests of `modules` (files, from the root); below its submodule `inside`."""

    modules: tuple[str, ...]
    design: str
    inside: str = ""


#: By the name that the command takes: blocks, and those of their parts that have a testbench of their own.
TARGETS = {
    "pe": Target(("verif/tensor/test_pe.py",), "ProcessingElement"),
    "tensor": Target(("verif/tensor/test_core.py",), "TensorCore"),
    "vector": Target(("verif/vector/test_engine.py",), "EngineBench", "engine"),
    "data_engine": Target(("verif/data_engine/test_data_engine.py",), "DataEngine"),
    "sequencer": Target(("verif/sequencer/test_sequencer.py",), "Sequencer"),
    "l1": Target(("verif/l1/test_l1.py",), "L1"),
    "l2": Target(("verif/l2/test_l2.py",), "L2"),
    "fabric": Target(("verif/fabric/test_fabric.py",), "Assembly"),
    "host": Target(("verif/host/test_host.py",), "Host"),
    "scheduler": Target(("verif/memory/schedule/test_schedule.py",), "SchedulerSystem", "scheduler"),
    "guard": Target(("verif/memory/ecc/test_ecc.py",), "Guarded"),
    "codec": Target(("verif/memory/ecc/test_ecc.py",), "Codec"),
    "memory": Target(("verif/memory/test_memory.py",), "MemorySystem", "controller"),
}
