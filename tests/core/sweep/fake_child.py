"""Stands in for `python -m clozebox.training`: the same files and exit codes, no model.

It reads ``child.json`` in the experiment's folder: how many steps, how long each takes, and which
runs meet an accident. Every start, with the step it starts from, goes to ``starts.txt``.
"""

import json
import math
import os
import signal
import sys
import time
from pathlib import Path

run = Path(sys.argv[1])
resolved = json.loads((run / "resolved.json").read_text())
manner = json.loads((run.parents[1] / "child.json").read_text())
accident = manner["accidents"].get(f"{run.parent.name}/{run.name}")
steps, evals = manner["steps"], resolved["settings"]["train"]["evals"]
badness = abs(math.log10(resolved["settings"]["optim"]["lr"]) + 3)
flops = resolved["settings"]["size"]["hidden_size"] ** 2
stop = []


def write_status(state: str, **facts: object) -> None:
    status = {"state": state, "step": step, "steps": steps, "pid": os.getpid(), **facts}
    (run / "status.tmp").write_text(json.dumps(status))
    (run / "status.tmp").replace(run / "status.json")


def loss() -> float:
    """Best at a learning rate of 1e-3, and falling with every step."""
    return 4 + badness - step / steps


signal.signal(signal.SIGTERM, lambda number, frame: stop.append(number))
saved = run / "saved.txt"
step = int(saved.read_text()) if saved.exists() else 0
with (run / "starts.txt").open("a") as starts:
    starts.write(f"{step}\n")
write_status("running")
while step < steps:
    if accident == "doomed":  # always at the same place
        os.kill(os.getpid(), signal.SIGKILL)
    if accident == "stuck":
        time.sleep(3600)
    if accident == "busy":  # what training says when another process holds the run
        sys.exit(os.EX_TEMPFAIL)
    time.sleep(manner["delay"] + manner["drag"] * badness**4)
    step += 1
    (run / "saved.tmp").write_text(str(step))
    (run / "saved.tmp").replace(saved)
    if accident == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if accident == "crash":
        print("something\nZeroDivisionError: by zero\n")
        sys.exit(1)
    if accident in ("failed", "diverged"):
        write_status(accident, reason=f"{accident} at step {step}")
        sys.exit(1)
    if step * evals % steps < evals:
        with (run / "metrics.jsonl").open("a") as metrics:
            line = {"step": step, "flops": flops * step, "eval/cloze_loss": loss()}
            metrics.write(json.dumps(line) + "\n")
    write_status("running")
    if stop and accident != "deaf":
        write_status("interrupted")
        sys.exit(128 + stop[0])
name = "eval/other" if accident == "silent" else "eval/cloze_loss"
write_status("done", result={name: loss()})
