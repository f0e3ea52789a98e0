"""What a trial would take, as if it had been measured."""

from raylt.trial.cost.cost import Cost


def trial_cost(**changes):
    fixed = {
        "start": 10.0,
        "epoch": 5.0,
        "score": 1.0,
        "save": 0.5,
        "disk": 2**20,
        "memory": 2**30,
        "gpu_memory": 0,
        "gpu_size": 0,
        "gpu_busy": 0.0,
        "device": "cpu",
    }
    return Cost(**{**fixed, **changes})
