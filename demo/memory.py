"""What an earlier run of the demo has done already, kept in RECSITE_HOME/demo.json.

It knows the finished steps, the two API keys and the admin's login (the database holds
only their hashes). It promises that a step counts only once it has finished, that the file
is whole and its owner's alone, and that what was done to another database is forgotten.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Memory:
    """`database` names the cluster and database that all the rest is about."""

    path: Path
    database: str
    done: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)

    def has_done(self, step: str) -> bool:
        return step in self.done

    def keep(self, step: str, **secrets: str) -> None:
        """Remember that `step` is finished, and what it made."""
        self.done.append(step)
        self.secrets |= secrets
        _write(self.path, {k: v for k, v in asdict(self).items() if k != "path"})


def recall(path: Path, *, database: str) -> Memory:
    """The memory of this database: empty for a new one, or where the file is damaged."""
    try:
        kept = json.loads(path.read_text())
        if kept["database"] == database:
            return Memory(path, database, list(kept["done"]), dict(kept["secrets"]))
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        pass  # every step may be repeated: the commands change nothing the second time
    return Memory(path, database)


def _write(path: Path, content: dict[str, Any]) -> None:
    half = path.with_suffix(".half")
    with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=1)
    half.replace(path)
