"""TOML in, validated settings out: layers, origins, ``file:line`` and did-you-mean."""

from clozebox.config.arms import arm_of, fingerprint, settings_of, with_overrides
from clozebox.config.experiment import Reading, load_experiment, read_experiment
from clozebox.config.layers import Table, dotted, written
from clozebox.config.problems import ConfigError
from clozebox.config.sandbox import Sandbox, find_sandbox
from clozebox.config.schema import json_schema
from clozebox.config.settings import (
    Arm,
    Budget,
    DataSettings,
    Experiment,
    ModelSettings,
    Optim,
    SearchSpace,
    Speed,
    Sweep,
    TokenizerSettings,
    Train,
)

__all__ = [
    "Arm",
    "Budget",
    "ConfigError",
    "DataSettings",
    "Experiment",
    "ModelSettings",
    "Optim",
    "Reading",
    "Sandbox",
    "SearchSpace",
    "Speed",
    "Sweep",
    "Table",
    "TokenizerSettings",
    "Train",
    "arm_of",
    "dotted",
    "find_sandbox",
    "fingerprint",
    "json_schema",
    "load_experiment",
    "read_experiment",
    "settings_of",
    "with_overrides",
    "written",
]
