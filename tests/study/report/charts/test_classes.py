import io

import numpy as np
from PIL import Image

from raylt.study.report.charts import classes, figure, html, png


def test_the_head_of_thousands_of_classes_does_not_fade():
    """Fifty hatched classes of 99 ... 50 images before 4,000 others, four classes to a pixel."""
    counts = [*range(99, 49, -1), *[10] * 4000]
    chart = classes.histogram(counts)
    drawn = np.asarray(Image.open(io.BytesIO(png.png(chart))).convert("RGB")).astype(int)
    orange = [int(figure.ORANGE[i : i + 2], 16) for i in (1, 3, 5)]
    column = (np.abs(drawn - orange).sum(2) < 90).sum(0).max()
    # From the foot of the axes to the largest class, which is all but a tenth of them.
    assert column > 0.6 * len(drawn)
    bars = html.drawing(chart)["data"]
    assert [bar["width"] for bar in bars] == [1, 1]
    apart = html.drawing(classes.histogram([30, 10, 5]))["data"]
    assert not any("width" in bar for bar in apart)
