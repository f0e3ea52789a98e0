"""Settings of every method that the tests go through."""

from raylt import plugins

COUNTS = (60, 20, 7, 3)
SWING = {"temperature": 1.0, "temperature_schedule": "cosine"}
# Settings that take another way through the code than the defaults.
VARIANTS = {
    "bcl": [
        {"complement_weight": 0.0},
        {"complement_weight": 3.0, "complement_power": 0.5, "absent": "linear"},
        {"classifier": "cosine", "share_bn_views": False},
        {"classification_weight": 0.0},
        {"classification_weight": 0.0, "complement_weight": 0.0},
        {"contrastive_weight": 0.0},
        SWING,
    ],
    "cross_entropy": [{"classifier": "cosine", "tau": 0.0}],
    "decoupled": [{"classifier": "tau"}, {"classifier": "ncm"}, {"classifier": "linear"}],
    "kcl": [
        {"positives": 0},
        {"positives": 1, "queue": 12, "momentum": 0.9},
        SWING,
    ],
    "paco": [{"query_view": "weak", "queue": 12, "momentum": 0.9, "gamma": 0.5}, SWING],
    "sdclr": [
        {"own_norms": False, "head_depth": 3},
        {"prune": 0.0},
        {"prune": 0.5, "random_share": 0.5},
        SWING,
    ],
    "proco": [{"classifier": "cosine", "tau": 0.0}, SWING],
    "simclr": [{"head_depth": 3}, SWING],
    "supcon": [SWING],
    "tsc": [{"out_dim": 3}, {"warmup": 1000, "positives": 0}, SWING],
}
NAMES = plugins.names("methods")
CASES = [(name, changes) for name in NAMES for changes in ({}, *VARIANTS.get(name, []))]
