import io

import numpy as np
from PIL import Image

from raylt.study.report.charts import classes, figure, html, png
from raylt.trial.evaluation.classes import Scored


def test_the_head_of_thousands_of_classes_does_not_fade():
    """Fifty hatched classes of 99 ... 50 images before 4,000 others, four classes to a pixel."""
    counts = [*range(99, 49, -1), *[10] * 4000]
    chart = classes.histogram(counts, [*map(str, range(len(counts)))])
    drawn = np.asarray(Image.open(io.BytesIO(png.png(chart))).convert("RGB")).astype(int)
    orange = [int(figure.ORANGE[i : i + 2], 16) for i in (1, 3, 5)]
    column = (np.abs(drawn - orange).sum(2) < 90).sum(0).max()
    # From the foot of the axes to the largest class, which is all but a tenth of them.
    assert column > 0.6 * len(drawn)
    bars = html.drawing(chart)["data"]
    assert [bar["width"] for bar in bars] == [1, 1]
    apart = html.drawing(classes.histogram([30, 10, 5], "abc"))["data"]
    assert all(bar["width"] < 1 for bar in apart)


def test_classes_are_called_by_their_names():
    names = ["cat", "a name that is too long for an axis", "dog"]
    scored = Scored(3, 0.5, ((0, 0, 4), (0, 2, 1), (1, 1, 2), (2, 0, 3)))
    histogram = classes.histogram([5, 30, 120], names)
    assert histogram.body[0].x.ticks == ("dog", "a name that is …", "cat")
    assert "class cat: 5 images" in str(histogram)
    table = classes.confusion(scored, names)
    assert table.body.x.ticks == ("cat", "a name that is …", "dog")
    assert table.body.hover[0][2] == "class cat taken for dog: 1 of 5 images"
    drawn = classes.per_class([5, 30, 120], [("one", scored)], names)
    assert "class dog: 0.0 %, 120 training images" in str(drawn)
