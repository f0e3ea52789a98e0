"""Models in MLflow: logged into the run of their trial, and registered under a name."""

from __future__ import annotations

import logging
import os
import warnings
from typing import cast

import mlflow
import numpy as np
import torch
from mlflow import MlflowClient, pytorch
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from torch import Tensor, nn

from raylt import uris
from raylt.schema import EnvironmentError
from raylt.study.tracking.mlflow_runs import is_active
from raylt.trial.portable import Portable


class _Logits(nn.Module):
    """MLflow's models have one output."""

    def __init__(self, model: Portable) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)[0]


def has_run(uri: str, run: str) -> bool:
    """Whether a store has a run that nobody has deleted."""
    try:
        return is_active(MlflowClient(tracking_uri=uri), run)
    except MlflowException as error:
        raise _refusal(error, uri) from error


def register(model: Portable, *, run: str, uri: str, name: str) -> int:
    """Log a model into a run, register it, and leave the run's status and end as they were.

    Raises:
        EnvironmentError: MLflow does not take it.
    """
    client = MlflowClient(tracking_uri=uri)
    image = np.dtype(np.float32)
    signature = ModelSignature(
        Schema([TensorSpec(image, (-1, model.channels, -1, -1))]),
        Schema([TensorSpec(image, (-1, len(model.names)))]),
    )
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    uri_of_user = os.environ.get("MLFLOW_TRACKING_URI")
    try:
        before = client.get_run(run).info
        # MLflow puts it into the environment, too; it is taken back below.
        mlflow.set_tracking_uri(uri)
        with warnings.catch_warnings(), torch.no_grad():
            # Torch and MLflow warn about themselves while they trace and write.
            warnings.simplefilter("ignore")
            with mlflow.start_run(run_id=run):
                logged = pytorch.log_model(
                    _Logits(model).eval(),
                    name="model",
                    signature=signature,
                    input_example=model.example().numpy(),
                    serialization_format="pt2",
                    pip_requirements=[f"torch=={torch.__version__.split('+')[0]}"],
                    registered_model_name=name,
                )
        client.set_terminated(run, before.status, before.end_time)
    except MlflowException as error:
        raise _refusal(error, uri) from error
    finally:
        mlflow.set_tracking_uri(cast(str, uri_of_user))
    assert logged.registered_model_version is not None
    return int(logged.registered_model_version)


def _refusal(error: MlflowException, uri: str) -> EnvironmentError:
    text = uris.redacted(" ".join(str(error).split()), [uri])
    return EnvironmentError(f"MLflow must take the model, but does not: {text[:300]}")
