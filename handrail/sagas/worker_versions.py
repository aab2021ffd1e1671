"""Worker versions as workflows see them: processes of months move on to the current version.

With `HANDRAIL_BUILD_ID` a workflow ends on the version of the workers that began it. A process that
waits for months would keep the workers of its version for as long: it continues as new, and the new
run begins on the version that is current then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn

from temporalio import workflow

from handrail.sagas.options import OptionsT

VERSION_CHANGED: Final = "version_changed"
"""The signal that wakes a process, so that it sees that another version is current."""
ANY_VERSION: Final = "any-version"
"""The task queue of activities that workers of every version take."""


class MovesOn:
    """The base class of a process of months. It asks `is_version_changed` wherever it could
    continue as new, and does so with `continue_as_new`.
    """

    @workflow.signal(name=VERSION_CHANGED, description="Another version of the workers is current.")
    def version_changed(self) -> None:
        """Handled, it makes the workflow look at its conditions."""


def is_version_changed() -> bool:
    """Whether a new run of this workflow would begin on another version than this one's."""
    return workflow.info().is_target_worker_deployment_version_changed()


def continue_as_new(args: Sequence[Any]) -> NoReturn:
    """Continue as a new run, on the version of the workers that is current by then."""
    workflow.continue_as_new(
        args=args,
        initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
    )


def queue_of_newer_code() -> str:
    """The task queue on which workers of other releases take what this one does not know.

    Temporal routes what a saga of a version has on the queue `sagas` to workers of that version.
    """
    return ANY_VERSION if _has_version() else "sagas"


def in_known_shape(options: OptionsT, newest: int) -> OptionsT:
    """Options of a saga that begins here, in a shape that this version of the workers knows.

    Temporal routes what begins to the current version, whichever release its starter is of, and the
    saga ends on it. Without versions a worker of the starter's release takes over what began in a
    shape that this one does not know.
    """
    if options.shape > newest and _has_version():
        return replace(options, shape=newest)
    return options


def _has_version() -> bool:
    version = workflow.info().get_current_deployment_version()
    # A worker without a version has a build id that the SDK made, and no deployment.
    return bool(version and version.deployment_name)
