"""Charts by their keys."""


def named(result):
    return {chart.key: chart for chart in result}
