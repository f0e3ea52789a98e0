from raylt.study.report import page_tables


def test_texts_stay_texts_and_a_time_is_sorted_by_its_seconds():
    text = page_tables.table(["a_b"], [["<i>"], [("1m00s", 60.0)]], sortable=True)
    assert "&lt;i&gt;" in text
    assert "<td data-value='60.0'>1m00s</td>" in text
    assert "<button type='button'>a_<wbr>b</button>" in text


def test_a_row_of_one_cell_stands_above_others():
    text = page_tables.table(["a", "b"], [["both"], ["1", "2"]])
    assert "<td class='quiet' colspan='2'>both</td>" in text


def test_columns_without_a_value_are_left_out():
    rows = [["1", "-", ""], ["2", "", "3"]]
    assert page_tables.filled(["a", "b", "c"], rows) == (["a", "c"], [["1", ""], ["2", "3"]])


def test_facts_are_values_beside_their_names():
    assert "<tr><td>a</td><td>&amp;</td></tr>" in page_tables.facts({"a": "&"})
