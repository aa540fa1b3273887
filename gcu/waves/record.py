"""What a run leaves beside its waveforms, so that `gcu waves` can read them later: configuration, title, names of the tags."""

import json
from dataclasses import dataclass
from pathlib import Path

from gcu.errors import BadInput
from rtl.config import ChipConfig, ConfigError

__all__ = ["RunRecord"]

_FILE = "run.json"


@dataclass(frozen=True)
class RunRecord:
    """`waves` are the waveforms, that of the first back end first; `tags` names the layer of each command tag."""

    folder: Path
    config: ChipConfig
    title: str
    tags: dict[int, str]
    waves: tuple[Path, ...]

    def save(self):
        content = {
            "config": self.config.to_dict(), "title": self.title, "tags": {str(tag): name for tag, name in self.tags.items()},
            "waves": [file.name for file in self.waves],
        }
        (self.folder / _FILE).write_text(json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, run: Path) -> "RunRecord":
        """Of a run's folder, or of one waveform in it. Raises :class:`BadInput`."""
        folder = run.parent if run.is_file() else run
        if not folder.is_dir():
            raise BadInput(f"RUN {run}: there is no such folder or waveform; 'gcu run digits --waves -o {run}' would make one")
        try:
            content = json.loads((folder / _FILE).read_text())
            config = ChipConfig.from_dict(content["config"])
            tags = {int(tag): str(name) for tag, name in content["tags"].items()}
            waves = tuple(folder / str(name) for name in content["waves"])
            title = str(content["title"])
        except FileNotFoundError:
            raise BadInput(f"RUN {run}: holds no {_FILE}; only a run with --waves writes one") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
            raise BadInput(f"RUN {run}: {_FILE} can't be read: {error}") from None
        if run.is_file():
            if run.resolve() not in [file.resolve() for file in waves]:
                raise BadInput(f"RUN {run}: is none of the waveforms that {_FILE} names: {', '.join(file.name for file in waves)}")
            waves = (run,)
        for file in waves:
            if not file.is_file():
                raise BadInput(f"RUN {run}: {file.name} is missing; run again with --waves")
        return cls(folder, config, title, tags, waves)
