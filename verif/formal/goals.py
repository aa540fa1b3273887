"""Every goal of the project, gathered from the folders that state them."""

from importlib import import_module

from verif.formal.prove import Goal

__all__ = ["GOALS", "goals"]

#: Modules with a list `GOALS`.
_MODULES = (
    "verif.formal.common", "verif.memory.formal.timers", "verif.memory.formal.data_bus", "verif.memory.formal.code",
    "verif.memory.formal.arbiter", "verif.memory.formal.rows", "verif.memory.formal.refresh", "verif.memory.formal.mutants",
)


def goals() -> dict[str, Goal]:
    found: dict[str, Goal] = {}
    for module in _MODULES:
        for goal in import_module(module).GOALS:
            if goal.name in found:
                raise ValueError(f"two goals are named {goal.name}")
            found[goal.name] = goal
    return found


GOALS = goals()
