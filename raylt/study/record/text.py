"""Values in few characters, as tables, reports and charts show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from raylt.data.reading.paths import shown
from raylt.schema import Value

_NAMED = 12
"""Classes that are named at most."""
SHOWN = ("val/accuracy", "val/many", "val/medium", "val/few")
"""Metrics with a column of their own; an objective that is not among them gets one too."""
KEPT = "what was reported before is kept"
"""What an error says that ends a search."""
_LEAST_HOURS = 0.0001
"""Less than this, a third of a second, is not told from it."""


def short(paths: Sequence[str]) -> tuple[str, ...]:
    """The last word of each path, or the whole path where two end alike."""
    last = [path.rpartition(".")[2] for path in paths]
    return tuple(
        path if last.count(word) > 1 else word for path, word in zip(paths, last, strict=True)
    )


def plain(value: Value) -> str:
    """A leaf's value in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def at(point: Mapping[str, Value], path: str) -> str:
    """A point's value of a leaf in few characters, a dash where it has none."""
    return plain(point[path]) if path in point else "-"


def assignments(values: Mapping[str, Value]) -> str:
    """Values by their names, as `method.prune=0.9 method.head_depth=2`."""
    return " ".join(f"{name}={plain(value)}" for name, value in values.items())


def score(metric: str, value: float | None) -> str:
    """A metric's value: fractions as percentages, losses as they are."""
    if value is None or metric.startswith("val/"):
        return percent(value)
    return f"{value:.4g}"


def scores(metrics: Mapping[str, float]) -> list[str]:
    """The accuracies of an epoch by their names, as `few 71.3`; the loss where nothing is held
    out."""
    known = [name for name in SHOWN if name in metrics]
    known = known or [name for name in ("train/loss",) if name in metrics]
    return [f"{name.removeprefix('val/')} {score(name, metrics[name])}" for name in known]


def lead(metric: str, gap: float) -> str:
    """How far one trial is from another in a metric, as `+1.2 points in few`."""
    size = f"{100 * gap:+.1f} points" if metric.startswith("val/") else f"{gap:+.4g}"
    return f"{size} in {metric.removeprefix('val/')}"


def decimal(number: float) -> str:
    """A number with one decimal; halves go away from zero, whatever the last bit of a sum says."""
    # Adding 0 takes the minus from a zero.
    return f"{Decimal(f'{number:.6f}').quantize(Decimal('0.1'), ROUND_HALF_UP) + 0}"


def percent(value: float | None) -> str:
    """A fraction as a percentage with one decimal."""
    return "-" if value is None else decimal(100 * value)


def points(difference: float | None) -> str:
    """A difference of fractions in points, with its sign."""
    return "-" if difference is None else f"{float(decimal(100 * difference)):+.1f}"


def interval(low: float | None, high: float | None) -> str:
    """The ends of a difference; nothing where they are not known."""
    return "" if low is None else f"[{points(low)}, {points(high)}]"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def as_sentence(words: str) -> str:
    """Words with a capital and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def duration(seconds: float) -> str:
    """Seconds in the two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def hours(count: float | None) -> str:
    """Hours with three digits, at most four of them after the point, where they are known."""
    if count is None:
        return "-"
    if 0 < count < _LEAST_HOURS:
        return f"<{_LEAST_HOURS:g}"
    return f"{count:.0f}" if count >= 999.5 else f"{round(count, 4):.3g}"


def class_names(facts: Mapping[str, Any], classes: int) -> tuple[str, ...]:
    """The names of a study's classes; their numbers where there are none."""
    names: Sequence[str] = facts.get("data", {}).get("classes", ())
    return tuple(names) or tuple(map(str, range(classes)))


def unseen_classes(counts: Mapping[str, Sequence[int]], names: Sequence[str]) -> list[str]:
    """A warning for each part that is held out and has no image of some classes."""
    lines: list[str] = []
    for part in ("validation", "test"):
        of_part = counts.get(part, ())
        if any(of_part) and not all(of_part) and names:
            unseen = [repr(shown(n)) for n, k in zip(names, of_part, strict=True) if not k]
            more = f" and {len(unseen) - _NAMED} more" if len(unseen) > _NAMED else ""
            lines.append(
                f"warning: no {part} image is of {len(unseen)} of the {len(names)} classes, whose "
                f"scores are unknown: {', '.join(unseen[:_NAMED])}{more}"
            )
    return lines


def images_by_class(facts: Mapping[str, Any], part: str = "validation") -> Sequence[int]:
    """Images of a part by class, as a study has them; of old studies validation images in one."""
    known = facts.get("data", {}).get("counts", {}).get(part)
    return known or ([facts.get("validation", 0)] if part == "validation" else ())


def worth(counts: Sequence[int]) -> float:
    """What an image of the smallest class is worth, in points of the accuracy, in which all
    classes that have images count alike; 0 without any.

    Args:
        counts: Images of each class.
    """
    seen = [*filter(None, counts)]
    return 100 / (len(seen) * min(seen)) if seen else 0.0


def worth_in_words(counts: Sequence[int]) -> str:
    """The same in words: `5.9 points of accuracy`."""
    seen = [*filter(None, counts)]
    if len({*seen}) < 2:
        return f"{worth(counts):.2g} points of accuracy"
    return (
        f"up to {worth(counts):.3g} points of accuracy (classes count alike, and the smallest has "
        f"{min(seen)})"
    )


def small_sample(counts: Sequence[int], *, part: str = "validation") -> str | None:
    """What to know of few images of a class in a part: one is worth more than a point."""
    if worth(counts) <= 1:
        return None
    return (
        f"One of the {sum(counts)} {part} images is worth {worth_in_words(counts)}: "
        f"differences of less than {min(100, 2 * worth(counts)):.3g} points are noise"
    )
