import re

import pytest

from raylt.schema import EnvironmentError
from raylt.study.verdict import answer
from raylt.study.verdict.ablation import Ablation
from tests.study import made


def test_an_answer_that_is_damaged_is_named_with_the_command_that_asks_again(tmp_path):
    study = made.study(tmp_path, trials=1, failed=())
    assert answer.stored(study, Ablation) is None
    (study.folder / answer.FOLDER).mkdir()
    (study.folder / answer.FOLDER / "ablation.json").write_text('{"study": ')
    command = f"raylt ablate made --runs {study.folder.parent}"
    with pytest.raises(EnvironmentError, match=re.escape(f"ask again with `{command}`")):
        answer.stored(study, Ablation)
