def test_failed_trials_can_be_tried_again_under_new_numbers(study):
    from raylt.study.search.searcher import TruthfulSearcher

    made = study("study.trials=2")
    search = TruthfulSearcher(made, [], str)
    for name in "ab":
        search.suggest(name)
        search.started(name)
        search.on_trial_complete(
            name, {"failure": "no"} if name == "a" else {"epoch": 6, "val/accuracy": 1}
        )
    assert made.requeue_failed() == 1
    search = TruthfulSearcher(made, [], str)
    assert (search.suggest("c")["number"], search.suggest("d")) == (2, "FINISHED")
    assert made.outcome(2).role == "baseline"
    assert made.outcome(2).digest == made.outcome(0).digest
