"""The files of a new plugin: what lies in the folders beside this one, under another name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

HERE = Path(__file__).parent
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "objective": "objective",
        "masking": "masking strategy",
        "corpus": "corpus",
        "task": "evaluation task",
        "size": "size preset",
        "reporter": "reporter",
    }
)
"""The name of each kind here and on the command line, and in the registry."""


@dataclass(frozen=True)
class NewPlugin:
    """A plugin that is to be written: a package, or a single file."""

    name: str
    kind: str
    single_file: bool
    folder: Path

    @property
    def path(self) -> Path:
        """The folder, or the one file, that it will be."""
        return self.folder / (f"{self.name}.py" if self.single_file else self.distribution)

    @property
    def distribution(self) -> str:
        return f"clozebox-{self.name.replace('_', '-')}"

    @property
    def module(self) -> Path:
        """What `-p` loads."""
        return self.path if self.single_file else self.path / "src" / f"clozebox_{self.name}"

    @property
    def camel(self) -> str:
        """The beginning of the names of its classes."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def needed(self) -> str:
        """What it cannot be checked without, as options of the command line."""
        return " --set folder=texts" if self.kind == "corpus" else ""

    def experiment(self) -> str:
        """The TOML of an experiment with it."""
        return self._named(HERE / self.kind / "skeleton.toml")

    def files(self) -> dict[Path, str]:
        """Every file of it, and what it says."""
        home = HERE / self.kind
        code = [file for file in sorted(home.glob("*.py")) if file.name != "test_skeleton.py"]
        single = [file for file in code if file.name == "single.py"]
        if self.single_file:
            # A kind without code that is better loaded late looks the same in either form.
            return {self.path: self._named(*(single or code))}
        return {
            self.path / "pyproject.toml": self._named(HERE / "project" / "pyproject.toml"),
            self.path / "README.md": self._readme(),
            **{self.module / file.name: self._named(file) for file in code if file not in single},
            self.module / "py.typed": "",
            self.path / "tests" / f"test_{self.name}.py": self._named(home / "test_skeleton.py"),
        }

    def write(self) -> list[Path]:
        """Write the files, none of which is there, and return their paths.

        Raises:
            FileExistsError: somebody was quicker.
        """
        files = self.files()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.single_file:
            self.path.mkdir()
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as opened:
                opened.write(text)
        return list(files)

    def _readme(self) -> str:
        text = self._named(HERE / "project" / "README.md")
        experiment = self.experiment().rstrip()
        text = text.replace("KIND", KINDS[self.kind]).replace("EXPERIMENT", experiment)
        return text.replace("NEEDED", self.needed)

    def _named(self, file: Path) -> str:
        names = {
            "clozebox-skeleton": self.distribution,
            "Skeleton": self.camel,
            "skeleton": self.name,
        }
        # In one go: a new name may hold the old one.
        return re.sub("|".join(names), lambda found: names[found[0]], file.read_text("utf-8"))
