"""Estimators for scikit-learn that learn by coded, straggler-tolerant rounds."""

try:
    import sklearn as _needed  # noqa: F401
except ImportError:
    raise ImportError(
        "the estimators need scikit-learn, which is not installed; install 'erasurehead[sklearn]'"
    ) from None
