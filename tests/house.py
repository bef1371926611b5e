"""The rules of the house, as functions from a source tree to what breaks them, one line each.

No rule runs the code it judges, so a half-written module is judged like any other.
"""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PUBLIC = {
    "clozebox",
    "clozebox.data",
    "clozebox.errors",
    "clozebox.evaluation",
    "clozebox.model",
    "clozebox.pretraining",
    "clozebox.training",
}
HEAVY = {"matplotlib", "numpy", "optuna", "scipy", "tensorboard", "torch", "transformers"}
LIGHT = {
    "clozebox.cli",
    "clozebox.components",
    "clozebox.config",
    "clozebox.errors",
    "clozebox.hookspecs",
    "clozebox.registry",
}
ROOMS = [  # from the ground up; a room imports from those below it
    {"config"},
    {"data", "model"},
    {"pretraining"},
    {"training", "evaluation"},
    {"sweep", "report", "testing"},
    {"skeletons"},
    {"cli"},
]
NEVER_CALLED = {"torch.load", "torch.save", "site.addsitedir", "exec", "eval"}
NEVER_IMPORTED = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NO_NAME = {"utils.py", "util.py", "common.py", "helpers.py", "misc.py"}
LONGEST = 300


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    when: str  # "at import", "in a function" or "for types"


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    tree: ast.Module
    imports: tuple[Import, ...]

    @property
    def room(self) -> str:
        """``data`` for ``clozebox.data.rows``; empty for a module that is in no room."""
        if self.name == "clozebox.__main__":
            return "cli"
        inner = self.name.split(".")[1:]
        return inner[0] if len(inner) > 1 or self.path.name == "__init__.py" and inner else ""


class _Imports(ast.NodeVisitor):
    def __init__(self, package: str, known: frozenset[str]) -> None:
        self.package, self.known = package, known
        self.when, self.found = "at import", list[Import]()

    def _within(self, when: str, nodes: list[ast.stmt]) -> None:
        outer, self.when = self.when, when if self.when == "at import" else self.when
        for node in nodes:
            self.visit(node)
        self.when = outer

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:  # noqa: N802
        self._within("in a function", node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:  # noqa: N802
        self._within("in a function", node.body)

    def visit_If(self, node: ast.If) -> None:  # noqa: N802
        typing_only = ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        self._within("for types" if typing_only else self.when, node.body)
        self._within(self.when, node.orelse)

    def visit_Import(self, node: ast.Import) -> None:  # noqa: N802
        self.found += [Import(alias.name, node.lineno, self.when) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:  # noqa: N802
        climb = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
        base = ".".join([*(climb if node.level else []), *filter(None, [node.module])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            module = inner if inner in self.known else base
            self.found.append(Import(module, node.lineno, self.when))


def name_of(path: Path, source_root: Path) -> str:
    parts = path.relative_to(source_root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def parse(text: str) -> ast.Module:
    return ast.parse(text)


def read(house: Path) -> dict[str, Module]:
    """Every module under core/ and plugins/, by its import name."""
    paths = {name_of(p, r): p for r in (house / "core", house / "plugins") for p in r.rglob("*.py")}
    modules = {}
    for name, path in sorted(paths.items()):
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        visitor = _Imports(package, frozenset(paths))
        visitor.visit(tree := parse(path.read_text()))
        modules[name] = Module(name, path.relative_to(house), tree, tuple(visitor.found))
    return modules


def core(house: Path) -> list[Module]:
    return [module for module in read(house).values() if top(module.name) == "clozebox"]


def plugins(house: Path) -> list[Module]:
    return [module for module in read(house).values() if top(module.name) != "clozebox"]


def top(name: str) -> str:
    return name.partition(".")[0]


def core_knows_no_plugin(house: Path) -> list[str]:
    names = {top(module.name) for module in plugins(house)}
    found = []
    for module in core(house):
        found += [
            f"{module.path}:{i.line}: core imports the plugin {i.module}"
            for i in module.imports
            if top(i.module) in names
        ]
        found += [
            f"{module.path}:{text.lineno}: core names the plugin {plugin}"
            for text in strings(module.tree)
            for plugin in names & set(re.findall(r"\w+", text.value))
        ]
    return found


@functools.cache
def strings(tree: ast.Module) -> list[ast.Constant]:
    """Every string that the code uses: docstrings are not among them."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [node for node in constants if isinstance(node.value, str) and id(node) not in said]


def plugins_import_what_is_public(house: Path) -> list[str]:
    bundled = {top(module.name) for module in plugins(house)} | {"clozebox"}
    return [
        f"{module.path}:{i.line}: {i.module} is not public"
        for module in plugins(house)
        for i in module.imports
        if top(i.module) in bundled - {top(module.name)} and i.module not in PUBLIC
    ]


def light_modules_stay_light(house: Path) -> list[str]:
    """No heavy library is loaded by importing a light module, however long the way to it."""
    modules = read(house)
    return [
        finding for name in modules if is_light(name) for finding in heavy_imports(name, modules)
    ]


def is_light(name: str) -> bool:
    """Whether a module is listed, completed or validated with, before any work begins."""
    return name == top(name) or ".".join(name.split(".")[:2]) in LIGHT


def heavy_imports(start: str, modules: dict[str, Module]) -> Iterator[str]:
    ways = {start: start}
    queue = [start]
    while queue:
        module = modules[queue.pop()]
        for i in module.imports:
            if i.when != "at import":
                continue
            if top(i.module) in HEAVY:
                yield f"{module.path}:{i.line}: importing {ways[module.name]} loads {i.module}"
            parts = i.module.split(".")
            for name in (".".join(parts[: end + 1]) for end in range(len(parts))):
                if name in modules and name not in ways:
                    ways[name] = f"{ways[module.name]} > {name}"
                    queue.append(name)


def imports_go_down(house: Path) -> list[str]:
    level = {room: height for height, rooms in enumerate(ROOMS) for room in rooms}
    found = []
    edges: dict[tuple[str, str], str] = {}
    for module in core(house):
        if module.room and module.room not in level:
            found.append(f"{module.path}: the room {module.room} has no place in ROOMS")
        for i in module.imports:
            other = i.module.split(".")[1] if i.module.startswith("clozebox.") else ""
            if i.when == "for types" or other not in level or other == module.room:
                continue
            where = f"{module.path}:{i.line}: {module.room or 'the ground floor'}"
            if level.get(module.room, -1) < level[other]:
                found.append(f"{where} imports {other}, which is above it")
            elif (other, module.room) in edges:
                found.append(f"{where} and {other} import each other")
            edges[module.room, other] = where
    return found


def folders_are_declared(house: Path) -> list[str]:
    project = tomllib.loads((house / "pyproject.toml").read_text())["project"]
    declared = set(project["entry-points"]["clozebox"].values())
    folders = {path.parent.name for path in (house / "plugins").glob("*/__init__.py")}
    lone = [f"plugins/{name} has no entry point in pyproject.toml" for name in folders - declared]
    return lone + [f"pyproject.toml names {name}; no such plugin" for name in declared - folders]


def files_are_short_and_named(house: Path) -> list[str]:
    found = []
    for module in read(house).values():
        lines = len((house / module.path).read_text().splitlines())
        if lines > LONGEST:
            found.append(f"{module.path}: {lines} lines; {LONGEST} is the most")
        if module.path.name in NO_NAME:
            found.append(f"{module.path}: the name does not say what is in it")
    return found


def nothing_dangerous(house: Path) -> list[str]:
    return [
        f"{module.path}:{line}: {what}"
        for module in read(house).values()
        for line, what in [*dangerous_imports(module), *dangerous_code(module.tree)]
    ]


def dangerous_imports(module: Module) -> Iterator[tuple[int, str]]:
    for i in module.imports:
        if top(i.module) in NEVER_IMPORTED:
            yield i.line, f"{i.module} runs code that a file brings"


@functools.cache
def dangerous_code(tree: ast.Module) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if (called := ast.unparse(node.func)) in NEVER_CALLED:
                found.append((node.lineno, f"{called} is not used here"))
            written = [ast.unparse(keyword) for keyword in node.keywords]
            for keyword in {"shell=True", "allow_pickle=True"} & set(written):
                found.append((node.lineno, f"{keyword} lets data run as code"))
        edit = r"sys\.path(\.(insert|append|extend|remove)\(| \+?= |\[.*\] = )"
        plain = isinstance(node, ast.Expr | ast.Assign | ast.AugAssign)
        if plain and re.match(edit, ast.unparse(node)):
            found.append((node.lineno, "sys.path is not edited"))
    for statement in tree.body:
        at_import = not isinstance(statement, ast.FunctionDef | ast.ClassDef)
        if at_import and re.search(r"os\.(environ|getenv)\b", ast.unparse(statement)):
            found.append((statement.lineno, "the environment is read while importing"))
    return found


def every_room_has_a_readme(house: Path) -> list[str]:
    rooms = [house / name for name in ("core", "plugins", "experiments", "tests")]
    rooms += sorted(path.parent for path in (house / "core/clozebox").glob("*/__init__.py"))
    return [
        f"{r.relative_to(house)}: no README.md" for r in rooms if not (r / "README.md").exists()
    ]


def every_hook_is_in_the_readme(house: Path) -> list[str]:
    readme = (house / "plugins/README.md").read_text()
    hooks = {
        f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns or node)}"
        for node in parse((house / "core/clozebox/hookspecs.py").read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    written = set(re.findall(r"`(register_\w+\(.*?\) -> .+?)`", readme))
    missing = [f"plugins/README.md lacks `{hook}`" for hook in sorted(hooks - written)]
    return missing + [f"plugins/README.md invents `{hook}`" for hook in sorted(written - hooks)]
