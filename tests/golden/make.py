"""Write the golden numbers: `python -m tests.golden.make`.

Each is computed from the formula in decimal arithmetic of 60 digits, and its gradient as a central
difference over 1e-20, so that all 17 digits of a float64 are right. This is a transcription by
itself: it shares no line with the package or with tests/references.py. The inputs are stored, not
a seed, because the numbers of a seed change between versions of a generator.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from decimal import Decimal, getcontext
from pathlib import Path
from typing import Any

D = Decimal
Matrix = list[list[Decimal]]
getcontext().prec = 60
STEP = D(10) ** -20


def scalar(u: list[Decimal], v: list[Decimal]) -> Decimal:
    return sum((a * b for a, b in zip(u, v, strict=True)), D(0))


def normal(m: Matrix) -> Matrix:
    return [[a / scalar(row, row).sqrt() for a in row] for row in m]


def nt_xent(m: dict[str, Matrix], *, temperature: Decimal, **_: Any) -> Decimal:
    first, second = normal(m["first"]), normal(m["second"])
    loss = D(0)
    for view, other in ((first, second), (second, first)):
        for i, z in enumerate(view):
            inside = [(scalar(z, x) / temperature).exp() for j, x in enumerate(view) if j != i]
            across = [(scalar(z, x) / temperature).exp() for x in other]
            loss -= (across[i] / (sum(inside) + sum(across))).ln()
    return loss / (2 * len(first))


def supervised_contrastive(
    m: dict[str, Matrix], *, labels: list[int], temperature: Decimal, **_: Any
) -> Decimal:
    z, losses = m["features"], []
    for i, y in enumerate(labels):
        e = {j: (scalar(z[i], z[j]) / temperature).exp() for j in range(len(z)) if j != i}
        positive = [j for j in e if labels[j] == y]
        if positive:
            logs = [(e[j] / sum(e.values())).ln() for j in positive]
            losses.append(-sum(logs) / len(logs))
    return sum(losses, D(0)) / len(losses)


def k_positive_contrastive(
    m: dict[str, Matrix], *, chosen: list[list[bool]], temperature: Decimal
) -> Decimal:
    z, loss = m["features"], D(0)
    for i, row in enumerate(chosen):
        e = {j: (scalar(z[i], z[j]) / temperature).exp() for j in range(len(z)) if j != i}
        wanted = [j for j in e if row[j] or j == i ^ 1]
        loss -= sum((e[j] / sum(e.values())).ln() for j in wanted) / len(wanted)
    return loss / len(z)


def queued_contrastive(
    m: dict[str, Matrix], *, chosen: list[list[bool]], temperature: Decimal
) -> Decimal:
    loss = D(0)
    for q, k, row in zip(m["anchors"], m["twins"], chosen, strict=True):
        e = [(scalar(q, key) / temperature).exp() for key in [k, *m["keys"]]]
        wanted = [e[0], *(x for x, positive in zip(e[1:], row, strict=True) if positive)]
        loss -= sum((x / sum(e)).ln() for x in wanted) / len(wanted)
    return loss / len(m["anchors"])


def targeted_contrastive(
    m: dict[str, Matrix],
    *,
    chosen: list[list[bool]],
    labels: list[int],
    temperature: Decimal,
    target_weight: Decimal,
) -> Decimal:
    z, t, loss = m["features"], m["targets"], D(0)
    for i, row in enumerate(chosen):
        near = {j: (scalar(z[i], z[j]) / temperature).exp() for j in range(len(z)) if j != i}
        far = [(scalar(z[i], target) / temperature).exp() for target in t]
        whole = sum(near.values()) + sum(far)
        wanted = [j for j in near if row[j] or j == i ^ 1]
        loss -= sum((near[j] / whole).ln() for j in wanted) / len(wanted)
        loss -= target_weight * (far[labels[i // 2]] / whole).ln()
    return loss / len(z)


def parametric_contrastive(
    m: dict[str, Matrix],
    *,
    labels: list[int],
    key_labels: list[int],
    class_counts: list[int],
    temperature: Decimal,
    alpha: Decimal,
    beta: Decimal,
    gamma: Decimal,
) -> Decimal:
    keys, loss, n = m["queries"] + m["keys"], D(0), sum(class_counts)
    for i, (q, row) in enumerate(zip(m["queries"], m["logits"], strict=True)):
        odds = [f.exp() * c / n for f, c in zip(row, class_counts, strict=True)]
        e = {j: (scalar(q, k) / temperature).exp() for j, k in enumerate(keys) if j != i}
        whole = sum(odds) + gamma * sum(e.values())
        own = [j for j in e if key_labels[j] == labels[i]]
        pulled = beta * (odds[labels[i]] / whole).ln() + alpha * sum(
            ((e[j] / whole).ln() for j in own), D(0)
        )
        loss -= pulled / (beta + alpha * len(own))
    return loss / len(labels)


def balanced_contrastive(
    m: dict[str, Matrix],
    *,
    labels: list[int],
    class_counts: list[int],
    temperature: Decimal,
    complement_weight: Decimal,
    complement_power: Decimal,
    absent: str,
) -> Decimal:
    z, c = m["features"], m["prototypes"]
    rarity = [(D(max(class_counts)) / n) ** complement_power for n in class_counts]
    alpha = [complement_weight * r * len(rarity) / sum(rarity) for r in rarity]
    total, anchors = D(0), 0
    for i, y in enumerate(labels):
        bottom, top, mass_of_positives = D(0), D(0), D(0)
        for k, weight in enumerate(alpha):
            others = [j for j, label in enumerate(labels) if label == k and j != i]
            prototype = scalar(z[i], c[k]) / temperature
            near = [scalar(z[i], z[j]) / temperature for j in others]
            mass = len(others) + weight
            if mass == 0:
                continue
            if k in labels:
                bottom += (sum((s.exp() for s in near), D(0)) + weight * prototype.exp()) / mass
            else:
                factors = {"count": D(1), "scaled": min(D(1), weight), "linear": weight}
                bottom += factors[absent] * prototype.exp()
            if k == y:
                top, mass_of_positives = (sum(near, D(0)) + weight * prototype) / mass, mass
        if mass_of_positives > 0:
            total += bottom.ln() - top
            anchors += 1
    return total / anchors


def logit_adjusted_cross_entropy(
    m: dict[str, Matrix], *, labels: list[int], class_counts: list[int], tau: Decimal, **_: Any
) -> Decimal:
    loss = D(0)
    for row, y in zip(m["logits"], labels, strict=True):
        odds = [f.exp() * D(n) ** tau for f, n in zip(row, class_counts, strict=True)]
        loss -= (odds[y] / sum(odds)).ln()
    return loss / len(labels)


def mass(squared: Decimal, dim: int) -> Decimal:
    """k^-v I_v(k), but for a constant, as a series in the square of k; v is a whole number."""
    order = dim // 2 - 1
    term = total = D(1)
    for m in range(1, 400):
        term *= squared / 4 / m / (m + order)
        total += term
    return total


def probabilistic_contrastive(
    m: dict[str, Matrix],
    *,
    labels: list[int],
    class_counts: list[int],
    temperature: Decimal,
    tau: Decimal,
) -> Decimal:
    loss, dim = D(0), len(m["means"][0])
    for z, y in zip(m["features"], labels, strict=True):
        odds = []
        for mean, n in zip(m["means"], class_counts, strict=True):
            r = scalar(mean, mean).sqrt()
            k = r * (dim - r * r) / (1 - r * r)
            moved = [k * a / r + b / temperature for a, b in zip(mean, z, strict=True)]
            odds.append(D(n) ** tau * mass(scalar(moved, moved), dim) / mass(k * k, dim))
        loss -= (odds[y] / sum(odds)).ln()
    return loss / len(labels)


def gradients(
    loss: Callable[[dict[str, Matrix]], Decimal], m: dict[str, Matrix]
) -> dict[str, Any]:
    """The derivative of the loss by every number of every matrix."""
    collected: dict[str, Any] = {}
    for name, matrix in m.items():
        collected[name] = [[0.0] * len(row) for row in matrix]
        for i, row in enumerate(matrix):
            for j, value in enumerate(row):
                row[j] = value + STEP
                above = loss(m)
                row[j] = value - STEP
                below = loss(m)
                row[j] = value
                collected[name][i][j] = float((above - below) / (2 * STEP))
    return collected


def golden(function: Callable[..., Decimal], matrices: dict[str, Any], **others: Any) -> Any:
    """One case: what goes in, what comes out; every float goes in exactly as it is stored."""
    exact = {name: [[D(x) for x in row] for row in m] for name, m in matrices.items()}
    options = {k: D(v) if isinstance(v, float) else v for k, v in others.items()}

    def loss(m: dict[str, Matrix]) -> Decimal:
        return function(m, **options)

    return {
        "inputs": {**matrices, **others},
        "value": float(loss(exact)),
        "gradients": gradients(loss, exact),
    }


def drawn(rows: int, columns: int, rng: random.Random, *, long: bool = False) -> list[list[float]]:
    """Rows of length 1, to six digits; or of any length."""
    raw = [[rng.gauss(0, 1) for _ in range(columns)] for _ in range(rows)]
    lengths = [1.0 if long else sum(x * x for x in row) ** 0.5 for row in raw]
    return [[round(x / n, 6) for x in row] for row, n in zip(raw, lengths, strict=True)]


def main() -> None:
    """Write all files beside this one."""
    rng = random.Random(2021)
    pairs = {"first": drawn(4, 3, rng, long=True), "second": drawn(4, 3, rng, long=True)}
    # Two views of four images lie beside each other; of five classes 0, 1 and 3 are present.
    batch = {"features": drawn(8, 3, rng), "prototypes": drawn(5, 3, rng)}
    labels, counts = [0, 0, 0, 0, 1, 1, 3, 3], [50, 20, 8, 4, 1]
    scores = {"logits": drawn(4, 5, rng, long=True)}

    def balanced(temperature: float, weight: float, power: float, absent: str) -> Any:
        return golden(
            balanced_contrastive,
            batch,
            labels=labels,
            class_counts=counts,
            temperature=temperature,
            complement_weight=weight,
            complement_power=power,
            absent=absent,
        )

    few = random.Random(2024)
    classes = [[round(x * 0.7, 6) for x in row] for row in drawn(2, 64, few)]
    result = {"features": drawn(2, 64, few), "means": classes}

    # Of the classes 0 0 1 1, whose images have two views each: three images of the other views of
    # the class, one, or none, as they may be drawn.
    drawn_views = [[False] * 8 for _ in range(8)]
    for anchor, key in ((0, 2), (0, 3), (1, 3), (2, 0), (4, 7), (6, 4), (6, 5)):
        drawn_views[anchor][key] = True
    queue = {
        name: drawn(rows, 3, few) for name, rows in (("anchors", 3), ("twins", 3), ("keys", 4))
    }
    drawn_keys = [[True, False, True, False], [False] * 4, [False, True, False, False]]

    centres = {
        "queries": drawn(3, 3, few),
        "keys": drawn(5, 3, few),
        "logits": drawn(3, 4, few, long=True),
    }

    places = {"features": batch["features"], "targets": drawn(3, 3, few)}

    files = {
        "targeted_contrastive": [
            golden(
                targeted_contrastive,
                places,
                chosen=drawn_views,
                labels=[0, 0, 2, 2],
                temperature=temperature,
                target_weight=weight,
            )
            for temperature, weight in ((0.07, 0.2), (0.5, 1.0))
        ],
        "parametric_contrastive": [
            golden(
                parametric_contrastive,
                centres,
                labels=[0, 2, 0],
                key_labels=[0, 2, 0, 0, 2, 0, 1, -1],
                class_counts=[50, 8, 4, 1],
                temperature=temperature,
                alpha=alpha,
                beta=1.0,
                gamma=gamma,
            )
            for temperature, alpha, gamma in ((0.05, 0.01, 1.0), (0.2, 0.5, 0.25))
        ],
        "k_positive_contrastive": [
            golden(
                k_positive_contrastive,
                {"features": batch["features"]},
                chosen=drawn_views,
                temperature=temperature,
            )
            for temperature in (0.07, 0.5)
        ],
        "queued_contrastive": [
            golden(queued_contrastive, queue, chosen=drawn_keys, temperature=temperature)
            for temperature in (0.07, 0.5)
        ],
        "probabilistic_contrastive": [
            golden(
                probabilistic_contrastive,
                result,
                labels=[0, 1],
                class_counts=[50, 2],
                temperature=temperature,
                tau=1.0,
            )
            for temperature in (0.1, 0.5)
        ],
        "nt_xent": [golden(nt_xent, pairs, temperature=t) for t in (0.07, 0.2, 1.0)],
        "supervised_contrastive": [
            golden(
                supervised_contrastive,
                {"features": batch["features"]},
                labels=labels,
                temperature=t,
            )
            for t in (0.1, 0.5)
        ],
        "balanced_contrastive": [
            balanced(0.1, 1.0, 0.0, "count"),
            balanced(0.1, 0.0, 0.0, "count"),
            balanced(0.2, 2.5, 0.5, "count"),
            balanced(0.2, 2.5, 0.5, "scaled"),
            balanced(0.2, 2.5, 0.5, "linear"),
            balanced(0.5, 0.25, -0.5, "linear"),
        ],
        "logit_adjusted_cross_entropy": [
            golden(
                logit_adjusted_cross_entropy,
                scores,
                labels=[0, 3, 1, 4],
                class_counts=counts,
                tau=tau,
            )
            for tau in (0.0, 1.0, 1.5)
        ],
    }
    origin = (
        "Computed by tests/golden/make.py: an own literal transcription of the formula in decimal "
        "arithmetic of 60 digits, gradients by central differences over 1e-20."
    )
    for name, cases in files.items():
        text = json.dumps({"origin": origin, "cases": cases}, indent=1)
        Path(__file__).with_name(f"{name}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
