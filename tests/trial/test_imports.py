"""What a fresh process of a trial imports before it trains: seconds of every first trial."""

import json
import subprocess
import sys

TRAIN = """
import json, sys, tempfile
from pathlib import Path
from raylt import recipe
from raylt.trial import worker

values = {
    "data": {"name": "digits"}, "method": {"name": "sdclr"}, "encoder": "small", "size": 8,
    "optimizer": {"lr": 0.1, "batch_size": 128}, "epochs": 1,
}
with tempfile.TemporaryDirectory() as folder:
    worker.work(
        recipe.parse(values), root=Path(folder), folder=Path(folder), report=lambda row: None,
        device="cpu",
    )
print(json.dumps(sorted(name for name in sys.modules if "." not in name or "dynamo" in name)))
"""


def test_a_trial_imports_neither_a_compiler_nor_a_table_library():
    ran = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, check=True)
    imported = set(json.loads(ran.stdout))
    assert "torch" in imported
    assert not imported & {"torch._dynamo", "sympy", "pandas", "sklearn", "ray", "mlflow"}
