"""What a trial's machine does travels with the epochs, and costs no trial where it cannot."""

import time

import pytest

from raylt.study.workers import system_metrics

# What MLflow's monitors name them on a machine without a GPU.
NAMES = {
    "system/cpu_utilization_percentage",
    "system/system_memory_usage_megabytes",
    "system/system_memory_usage_percentage",
    "system/disk_usage_percentage",
    "system/disk_usage_megabytes",
    "system/disk_available_megabytes",
    "system/network_receive_megabytes",
    "system/network_transmit_megabytes",
}


def test_unasked_nothing_is_read():
    report = {}.update
    with system_metrics.read(report, on=False) as readings:
        assert readings is report


def test_every_epoch_comes_with_the_readings_since_the_last(monkeypatch):
    monkeypatch.setattr(system_metrics, "INTERVAL", 0.05)
    seen = []
    with system_metrics.read(seen.append, on=True) as report:
        report({"epoch": 1, "val/accuracy": 0.5})
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            pass
        report({"epoch": 2, "val/accuracy": 0.6})
        report({"epoch": 3, "val/accuracy": 0.7})
    assert [(item["epoch"], item["val/accuracy"]) for item in seen] == [
        (1, 0.5),
        (2, 0.6),
        (3, 0.7),
    ]
    assert all(item.keys() >= NAMES for item in seen)
    for item in seen:
        assert 0 < item["system/system_memory_usage_percentage"] <= 100
    # One core at least was busy in the second epoch.
    assert seen[1]["system/cpu_utilization_percentage"] > 1


def test_a_gauge_that_cannot_be_read_is_named_and_the_others_go_on(monkeypatch, capsys):
    from mlflow.system_metrics.metrics import network_monitor

    monkeypatch.setattr(network_monitor.psutil, "net_io_counters", lambda: None)
    seen = []
    with system_metrics.read(seen.append, on=True) as report:
        report({"epoch": 1})
    assert "cannot log the system metrics of NetworkMonitor" in capsys.readouterr().out
    assert "system/cpu_utilization_percentage" in seen[0]
    assert "system/network_receive_megabytes" not in seen[0]


def test_an_error_of_the_work_is_the_works_own():
    with pytest.raises(ValueError, match="wrong"), system_metrics.read(print, on=True):
        raise ValueError("wrong")
