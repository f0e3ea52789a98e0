import warnings

import pytest


@pytest.fixture(scope="module")
def client():
    with warnings.catch_warnings():
        # MLflow's server uses a part of starlette that is to go.
        warnings.simplefilter("ignore")
        from raylt.study.tracking import ui_app
    return ui_app.pages.test_client()


def test_the_first_page_chooses_machine_learning_unless_somebody_has_chosen(client):
    response = client.get("/")
    page = response.get_data(as_text=True)
    response.close()
    assert "localStorage['mlflow.workflowType_v1'] ??= '\"machine_learning\"'" in page
    assert page.index("localStorage") < page.index("src=")
    assert int(response.headers["Content-Length"]) == len(page.encode())


def test_other_answers_stay_as_they_are(client):
    assert client.get("/health").get_data() == b"OK"
