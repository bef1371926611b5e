"""A sweep as a job for a cluster: the same command on every machine, which share the queue.

Nothing says which machine trains which run: each takes the next that is free, so one that is lost,
late or preempted costs no more than the steps since its last checkpoint.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clozebox.errors import UserError

STORAGE_VARIABLE = "CLOZEBOX_STORAGE"
SECONDS_TO_SAVE = 120
"""Between the signal that asks a machine to stop and the one that kills it."""


@dataclass(frozen=True)
class ClusterJob:
    """What a generated job needs to know; ``machines`` of them share the runs of an experiment."""

    name: str
    command: Sequence[str]
    """`clozebox sweep ...` as on one machine, without the storage."""
    folder: Path
    """Where it is given."""
    machines: int
    gpus: int
    """On each machine."""
    storage: str | None
    image: str | None = None
    claim: str | None = None

    def check(self, kind: str) -> None:
        """Raises `UserError` with all that a job of this kind lacks."""
        missing = []
        if self.storage is None or self.storage.startswith("sqlite"):
            missing.append("--storage postgresql://...: machines cannot share a SQLite file")
        if kind == "kubernetes" and self.image is None:
            missing.append("--image NAME: the container image in which clozebox is installed")
        if kind == "kubernetes" and self.claim is None:
            missing.append("--claim NAME: the persistent volume claim that holds this folder")
        if missing:
            raise UserError("\n".join([f"--emit {kind} needs", *(f"  {one}" for one in missing)]))


def slurm(job: ClusterJob) -> str:
    """An array job; the URL of the database is taken from the environment of `sbatch`."""
    job.check("slurm")
    gpus = f"#SBATCH --gpus-per-node={job.gpus}\n" if job.gpus else ""
    return f"""\
#!/bin/bash
# {job.name}: {job.machines} machine(s) share its runs; submitting it again continues.
# {STORAGE_VARIABLE}=postgresql://... sbatch THIS_FILE
#SBATCH --job-name={_name(job.name)}
#SBATCH --array=1-{job.machines}
#SBATCH --nodes=1
#SBATCH --ntasks=1
{gpus}#SBATCH --output={_name(job.name)}-%A-%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
# Before the time is up the sweep, which takes the place of this shell, is asked to save.
#SBATCH --signal=B:TERM@{SECONDS_TO_SAVE}
: "${{{STORAGE_VARIABLE}:?set it to the URL of the database that the machines share}}"
export {STORAGE_VARIABLE}
cd {shlex.quote(str(job.folder))} || exit 2
exec {shlex.join(job.command)}
"""


def kubernetes(job: ClusterJob) -> str:
    """An indexed Job (Kubernetes 1.29 or newer); the URL of the database comes from a Secret."""
    job.check("kubernetes")
    name, folder = _name(job.name), json.dumps(str(job.folder))
    words = ", ".join(json.dumps(word) for word in job.command)
    gpus = ""
    if job.gpus:
        gpus = f'          resources:\n            limits: {{ "nvidia.com/gpu": {job.gpus} }}\n'
    return f"""\
# {job.name}: {job.machines} machine(s) share its runs.
# kubectl create secret generic {name} --from-literal=storage=postgresql://...
# kubectl apply -f THIS_FILE
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
spec:
  completionMode: Indexed
  completions: {job.machines}
  parallelism: {job.machines}
  backoffLimitPerIndex: 6
  podFailurePolicy:
    rules:
      - action: Ignore  # preempted, drained: another takes its place, and its runs go on
        onPodConditions: [{{ type: DisruptionTarget }}]
      - action: FailJob  # bad input is bad on every machine
        onExitCodes: {{ operator: In, values: [2] }}
      - action: FailIndex  # a run failed: trying again would find it failed
        onExitCodes: {{ operator: In, values: [1] }}
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: {SECONDS_TO_SAVE}
      containers:
        - name: sweep
          image: {json.dumps(job.image)}
          workingDir: {folder}
          command: [{words}]
          env:
            - name: {STORAGE_VARIABLE}
              valueFrom: {{ secretKeyRef: {{ name: {name}, key: storage }} }}
{gpus}          volumeMounts:
            - {{ name: runs, mountPath: {folder} }}
      volumes:
        - name: runs
          persistentVolumeClaim: {{ claimName: {json.dumps(job.claim)} }}
"""


def _name(experiment: str) -> str:
    """Fit for both: lower-case letters, digits and dashes, as Kubernetes asks."""
    return re.sub(r"[^a-z0-9]+", "-", f"clozebox-{experiment}".lower()).strip("-")[:52].strip("-")
