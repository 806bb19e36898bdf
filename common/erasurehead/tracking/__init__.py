"""Where runs are tracked besides their directory. Each tracker is one file and one line here."""

from erasurehead.registry import Registry
from erasurehead.tracking.base import Tracker
from erasurehead.tracking.mlflow import MlflowTracker
from erasurehead.tracking.otlp import OtlpTracker
from erasurehead.tracking.tensorboard import TensorBoardTracker
from erasurehead.tracking.wandb import WandbTracker

TRACKERS: Registry[Tracker] = Registry(
    "tracker",
    {kind.name: kind for kind in (TensorBoardTracker, MlflowTracker, WandbTracker, OtlpTracker)},
)
