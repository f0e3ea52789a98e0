"""The papers' formulas read slowly: loops over plain numbers, one line for each symbol.

Nothing here is clever, so that it can be compared with the formula by eye. Vectors are lists of
floats; labels and classes are numbers from 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import exp, log, sqrt

Vector = Sequence[float]


def dot(u: Vector, v: Vector) -> float:
    return sum(a * b for a, b in zip(u, v, strict=True))


def unit(u: Vector) -> list[float]:
    length = sqrt(dot(u, u))
    return [a / length for a in u]


def nt_xent(first: Sequence[Vector], second: Sequence[Vector], temperature: float) -> float:
    """SDCLR's NT-Xent: mean over 2n rows of -log(e^{z_r.z_r+/t} / sum_{s != r} e^{z_r.z_s/t})."""
    n = len(first)
    z = [unit(row) for row in (*first, *second)]
    total = 0.0
    for r in range(2 * n):
        partner = (r + n) % (2 * n)
        below = sum(exp(dot(z[r], z[s]) / temperature) for s in range(2 * n) if s != r)
        total += -log(exp(dot(z[r], z[partner]) / temperature) / below)
    return total / (2 * n)


def supervised_contrastive(
    features: Sequence[Vector], labels: Sequence[int], temperature: float
) -> float:
    """Khosla et al., equation 2: the mean over positives stands outside the logarithm."""
    total, counted = 0.0, 0
    for i in range(len(features)):
        others = [a for a in range(len(features)) if a != i]
        positives = [p for p in others if labels[p] == labels[i]]
        if not positives:
            continue
        below = sum(exp(dot(features[i], features[a]) / temperature) for a in others)
        item = [log(exp(dot(features[i], features[p]) / temperature) / below) for p in positives]
        total += -sum(item) / len(positives)
        counted += 1
    return total / counted if counted else 0.0


def k_positive_contrastive(
    features: Sequence[Vector], drawn: Sequence[Sequence[int]], temperature: float
) -> float:
    """Kang et al. as Li et al. (CVPR 2022) write it: the mean over the twin v~ and the drawn.

    L_i = -1/(k+1) sum_{v+ in {v~_i} u V+_i} log(e^{v_i.v+/t} / sum_{v in V - v_i} e^{v_i.v/t}); k
    is the number of those that are drawn. Rows 2i and 2i + 1 are views of one image.
    """
    total = 0.0
    for i, z in enumerate(features):
        twin = i + 1 if i % 2 == 0 else i - 1
        below = sum(exp(dot(z, v) / temperature) for j, v in enumerate(features) if j != i)
        likelihoods = [exp(dot(z, features[p]) / temperature) / below for p in (twin, *drawn[i])]
        total += -sum(log(likelihood) for likelihood in likelihoods) / (len(drawn[i]) + 1)
    return total / len(features)


def queued_contrastive(
    queries: Sequence[Vector],
    twins: Sequence[Vector],
    queue: Sequence[Vector],
    drawn: Sequence[Sequence[int]],
    temperature: float,
) -> float:
    """The same with the own twin and a queue for what a query is compared with."""
    total = 0.0
    for q, twin, places in zip(queries, twins, drawn, strict=True):
        below = sum(exp(dot(q, key) / temperature) for key in (twin, *queue))
        positives = [twin, *(queue[place] for place in places)]
        likelihoods = [exp(dot(q, key) / temperature) / below for key in positives]
        total += -sum(log(likelihood) for likelihood in likelihoods) / len(positives)
    return total / len(queries)


def class_weights(counts: Sequence[int], weight: float, power: float) -> list[float]:
    """alpha_k = w r_k / mean_j(r_j) with r_k = (n_max / n_k)^power."""
    clamped = [max(n, 1) for n in counts]
    r = [(max(clamped) / n) ** power for n in clamped]
    return [weight * r_k / (sum(r) / len(r)) for r_k in r]


def balanced_contrastive(
    features: Sequence[Vector],
    labels: Sequence[int],
    prototypes: Sequence[Vector],
    alpha: Sequence[float],
    temperature: float,
    absent: str,
    averaged: bool = True,
) -> float:
    """The generalised class-complement loss; alpha of 1 for all classes is BCL's.

    L_i = log D_i - P_i with the masses m_k(i) = n_k - [k = y_i] + alpha_k, mean over anchors with
    a positive mass M_i = m_{y_i}(i) > 0. Where nothing is averaged D_i divides by no mass.
    """

    def s(u: Vector, v: Vector) -> float:
        return dot(u, v) / temperature

    z, c, y = features, prototypes, labels
    n = [sum(label == k for label in y) for k in range(len(c))]
    losses: list[float] = []
    for i in range(len(z)):
        m = [n[k] - (k == y[i]) + alpha[k] for k in range(len(c))]
        big_m = m[y[i]]
        if big_m <= 0:
            continue
        d = 0.0
        for k in range(len(c)):
            if m[k] <= 0:
                continue
            if averaged and n[k] == 0:
                factor = {"count": 1.0, "scaled": min(1.0, alpha[k]), "linear": alpha[k]}[absent]
                d += factor * exp(s(z[i], c[k]))
                continue
            members = [j for j in range(len(z)) if j != i and y[j] == k]
            images = sum(exp(s(z[i], z[j])) for j in members)
            d += (images + alpha[k] * exp(s(z[i], c[k]))) / (m[k] if averaged else 1)
        own = [j for j in range(len(z)) if j != i and y[j] == y[i]]
        p = (sum(s(z[i], z[j]) for j in own) + alpha[y[i]] * s(z[i], c[y[i]])) / big_m
        losses.append(log(d) - p)
    return sum(losses) / len(losses) if losses else 0.0


def logit_adjusted_cross_entropy(
    logits: Sequence[Vector], labels: Sequence[int], counts: Sequence[int], tau: float
) -> float:
    """-log softmax(logits + tau log pi)_y, mean over images."""
    clamped = [max(n, 1) for n in counts]
    pi = [n / sum(clamped) for n in clamped]
    total = 0.0
    for row, y in zip(logits, labels, strict=True):
        adjusted = [f + tau * log(p) for f, p in zip(row, pi, strict=True)]
        total += -log(exp(adjusted[y]) / sum(exp(f) for f in adjusted))
    return total / len(labels)


def targeted_contrastive(
    features: Sequence[Vector],
    drawn: Sequence[Sequence[int]],
    targets: Sequence[Vector],
    labels: Sequence[int],
    temperature: float,
    target_weight: float,
) -> float:
    """Li et al. (CVPR 2022), supplement: KCL with the targets U in the denominator, and
    lambda log(e^{v_i.c*_i/t} / sum_{V_i u U} e^{v_i.v_j/t}). Rows 2i and 2i + 1 are of image i.
    """
    total = 0.0
    for i, v in enumerate(features):
        others = [u for j, u in enumerate(features) if j != i] + list(targets)
        below = sum(exp(dot(v, u) / temperature) for u in others)
        twin = i + 1 if i % 2 == 0 else i - 1
        positives = [features[j] for j in (twin, *drawn[i])]
        total -= sum(log(exp(dot(v, u) / temperature) / below) for u in positives) / len(positives)
        own = targets[labels[i // 2]]
        total -= target_weight * log(exp(dot(v, own) / temperature) / below)
    return total / len(features)


def parametric_contrastive(
    keys: Sequence[Vector],
    logits: Sequence[Vector],
    labels: Sequence[int],
    key_labels: Sequence[int],
    counts: Sequence[int],
    *,
    temperature: float,
    alpha: float,
    beta: float,
    gamma: float,
) -> float:
    """Cui et al. (ICCV 2021): L_i = -sum_{z in P(i) u {c_y}} w(z) log(e^{z.T(x_i)} / S_i) / sum w.

    S_i = sum_k pi_k e^{c_k.x_i} + gamma sum_{j != i} e^{z_j.z_i/t}; w is alpha for a key of the
    class and beta for its centre, whose e^{...} has its pi, too. Key i is query i.
    """
    total = 0.0
    for i, (row, y) in enumerate(zip(logits, labels, strict=True)):
        centres = [n / sum(counts) * exp(f) for f, n in zip(row, counts, strict=True)]
        near = {j: exp(dot(keys[i], key) / temperature) for j, key in enumerate(keys) if j != i}
        s = sum(centres) + gamma * sum(near.values())
        positives = [(beta, centres[y])]
        positives += [(alpha, e) for j, e in near.items() if key_labels[j] == y]
        pulled = sum(w * log(e / s) for w, e in positives)
        total += -pulled / sum(w for w, _ in positives)
    return total / len(labels)


def label_distribution_aware_margin(
    cosines: Sequence[Vector],
    labels: Sequence[int],
    class_counts: Sequence[int],
    *,
    largest: float,
    scale: float,
    beta: float,
) -> float:
    """LDAM with class weights: Cao et al., NeurIPS 2019; the weights of Cui et al., CVPR 2019."""
    margins = [1 / count**0.25 for count in class_counts]
    margins = [largest * margin / max(margins) for margin in margins]
    total = weight_sum = 0.0
    for row, label in zip(cosines, labels, strict=True):
        own = math.exp(scale * (row[label] - margins[label]))
        others = sum(math.exp(scale * value) for k, value in enumerate(row) if k != label)
        weight = (1 - beta) / (1 - beta ** class_counts[label])
        total -= weight * math.log(own / (own + others))
        weight_sum += weight
    return total / weight_sum


def tau_normalised(weight: Sequence[Vector], tau: float) -> list[list[float]]:
    """Kang et al. (ICLR 2020): w~_i = w_i / |w_i|^tau."""
    return [[a / sqrt(dot(w, w)) ** tau for a in w] for w in weight]


def nearest_mean(
    features: Sequence[Vector], labels: Sequence[int], rows: Sequence[Vector], classes: int
) -> list[list[float]]:
    """classifier-balancing's "cl2n": centred, then of length 1; -|f - mean of the class|^2."""
    n = len(features)
    centre = [sum(f[d] for f in features) / n for d in range(len(features[0]))]
    z = [unit([a - b for a, b in zip(f, centre, strict=True)]) for f in features]
    logits: list[list[float]] = []
    for row in rows:
        q = unit([a - b for a, b in zip(row, centre, strict=True)])
        logits.append([])
        for k in range(classes):
            members = [x for x, label in zip(z, labels, strict=True) if label == k]
            if not members:
                logits[-1].append(-math.inf)
                continue
            mean = [sum(x[d] for x in members) / len(members) for d in range(len(q))]
            logits[-1].append(-sum((a - b) ** 2 for a, b in zip(q, mean, strict=True)))
    return logits


def log_bessel(order: float, x: float) -> float:
    """log I_v(x) = log sum_m (x/2)^(2m + v) / (m! Gamma(m + v + 1)), x > 0."""
    terms = [
        (2 * m + order) * log(x / 2) - math.lgamma(m + 1) - math.lgamma(m + order + 1)
        for m in range(int(x) + 200)
    ]
    largest = max(terms)
    return largest + log(math.fsum(exp(term - largest) for term in terms))


def probabilistic_contrastive(
    features: Sequence[Vector],
    labels: Sequence[int],
    means: Sequence[Vector],
    counts: Sequence[int],
    temperature: float,
    tau: float,
) -> float:
    """ProCo's L_in: -log(pi_y E_y / sum_j pi_j E_j) with E_j = C(k_j) / C(|k_j m_j + z/t|).

    C(k) = k^v / ((2 pi)^(p/2) I_v(k)) with v = p/2 - 1; k = R (p - R^2) / (1 - R^2).
    """
    p = len(means[0])

    def log_c(k: float) -> float:
        v = p / 2 - 1
        return v * log(k) - p / 2 * log(2 * math.pi) - log_bessel(v, k)

    total = 0.0
    for z, y in zip(features, labels, strict=True):
        weighed: list[float] = []
        for mean, n in zip(means, counts, strict=True):
            r = sqrt(dot(mean, mean))
            k = r * (p - r**2) / (1 - r**2)
            moved = [k * a / r + b / temperature for a, b in zip(mean, z, strict=True)]
            e = log_c(k) - log_c(sqrt(dot(moved, moved)))
            weighed.append(tau * log(n / sum(counts)) + e)
        largest = max(weighed)
        below = largest + log(sum(exp(w - largest) for w in weighed))
        total += below - weighed[y]
    return total / len(labels)


def shot_accuracy(
    predictions: Sequence[int], labels: Sequence[int], counts: Sequence[int]
) -> dict[str, float]:
    """Mean over classes of the share of hits, over all classes and over >100, 20..100, <20."""
    groups = {
        "accuracy": [k for k, _ in enumerate(counts)],
        "many": [k for k, n in enumerate(counts) if n > 100],
        "medium": [k for k, n in enumerate(counts) if 20 <= n <= 100],
        "few": [k for k, n in enumerate(counts) if n < 20],
    }
    collected: dict[str, float] = {}
    for name, classes in groups.items():
        shares: list[float] = []
        for k in classes:
            hits = [p == y for p, y in zip(predictions, labels, strict=True) if y == k]
            if hits:
                shares.append(sum(hits) / len(hits))
        if shares:
            collected[name] = sum(shares) / len(shares)
    return collected


def kept_by_magnitude(weights: Sequence[float], ratio: float) -> list[bool]:
    """Keep w iff |w| >= the value at rank min(ceil(ratio N), N - 1) of all, in ascending order."""
    n = len(weights)
    threshold = sorted(abs(w) for w in weights)[min(math.ceil(ratio * n), n - 1)]
    return [abs(w) >= threshold for w in weights]
