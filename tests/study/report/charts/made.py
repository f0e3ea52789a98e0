"""Charts by their keys."""


def named(found):
    return {chart.key: chart for chart in found}
