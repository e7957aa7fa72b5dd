"""The working copies of the workflow's tests."""

from workflow.conftest import copy  # noqa: F401
