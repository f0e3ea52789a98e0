from raylt.study.report.charts import html


def test_json_cannot_end_the_script_that_holds_it():
    assert "</script>" not in html.script({"text": "</script><b>"})
