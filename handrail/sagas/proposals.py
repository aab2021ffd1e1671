"""Proposals: an action that one person asks for, and that is done once a second one approves.

Events are stored for ever: names and fields are a contract, changed only by a new version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, get_args

from handrail.errors import ContentDiffers, OutOfOrder, SamePerson, UnknownAggregate
from handrail.kernel import Command, Event
from handrail.personal import Personal, may_equal

CATEGORY: Final = "proposal"


@dataclass(frozen=True, kw_only=True)
class ProposeAction(Command, context="sagas"):
    """A person asks for `action` (method and path of the request) with `content`, its body as
    canonical JSON.
    """

    proposal: str
    action: str
    content: Annotated[str, Personal()]
    proposed_by: str


@dataclass(frozen=True, kw_only=True)
class ApproveAction(Command, context="sagas"):
    """A second person approves a proposal."""

    proposal: str
    approved_by: str


@dataclass(frozen=True, kw_only=True)
class ActionProposed(Event, context="sagas"):
    """A person has asked for this; nothing is done before a second one approves it."""

    proposal: str
    action: str
    content: Annotated[str, Personal()]
    proposed_by: str


@dataclass(frozen=True, kw_only=True)
class ActionApproved(Event, context="sagas"):
    """A second person has approved the proposal: what was proposed is done after this."""

    proposal: str
    proposed_by: str
    approved_by: str


ProposalEvent = ActionProposed | ActionApproved
EVENTS: tuple[type, ...] = get_args(ProposalEvent)
COMMANDS: tuple[type[Command], ...] = (ProposeAction, ApproveAction)


@dataclass(frozen=True)
class Proposal:
    """The state of a proposal; without a proposer there is none."""

    action: str = ""
    content: str = ""
    proposed_by: str = ""
    approved_by: str = ""


def decide(command: ProposeAction | ApproveAction, state: Proposal) -> Sequence[ProposalEvent]:
    """Raises DomainError. The same proposal or approval again is the first one."""
    match command:
        case ProposeAction():
            return _proposed(command, state)
        case ApproveAction():
            return _approved(command, state)


def _proposed(command: ProposeAction, state: Proposal) -> Sequence[ProposalEvent]:
    if state.proposed_by:
        # A sealed content is compared where it can be opened: before the command is sent.
        same = command.action == state.action and may_equal(command.content, state.content)
        if not same or command.proposed_by != state.proposed_by:
            raise ContentDiffers
        return []
    return [
        ActionProposed(
            proposal=command.proposal,
            action=command.action,
            content=command.content,
            proposed_by=command.proposed_by,
        )
    ]


def _approved(command: ApproveAction, state: Proposal) -> Sequence[ProposalEvent]:
    if not state.proposed_by:
        raise UnknownAggregate
    if command.approved_by == state.proposed_by:
        raise SamePerson
    if state.approved_by:
        if state.approved_by != command.approved_by:
            raise OutOfOrder("It was approved before.")
        return []
    return [
        ActionApproved(
            proposal=command.proposal,
            proposed_by=state.proposed_by,
            approved_by=command.approved_by,
        )
    ]


def evolve(state: Proposal, event: ProposalEvent) -> Proposal:
    """The state after an event."""
    match event:
        case ActionProposed():
            return Proposal(event.action, event.content, event.proposed_by)
        case ActionApproved():
            return Proposal(state.action, state.content, state.proposed_by, event.approved_by)
