"""Problem types of RFC 9457: the address, status, meaning and remedy of each.

These are the library's; a business adds its own, and may reword these, in `App.problems`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from handrail.tenant_word import TENANT_WORD, too_many


@dataclass(frozen=True)
class ProblemType:
    """A type of problem: the slug of its address, HTTP status, title, meaning and remedy."""

    slug: str
    status: int
    title: str
    meaning: str
    remedy: str

    @property
    def type(self) -> str:
        return f"/problems/{self.slug}"


def _registry(*kinds: ProblemType) -> Mapping[str, ProblemType]:
    return {kind.slug: kind for kind in kinds}


PROBLEM_TYPES: Final = _registry(
    ProblemType(
        "malformed-request",
        400,
        "The request cannot be read",
        "The body is not JSON, or the request breaks the rules of HTTP.",
        "Send one JSON object, as the OpenAPI document shows it.",
    ),
    ProblemType(
        "malformed-header",
        400,
        "A header cannot be read",
        "A header has a value that it cannot have; `errors` names it.",
        "Correct the header. A Handrail-Token is passed back exactly as it was received.",
    ),
    ProblemType(
        "idempotency-key-missing",
        400,
        "An idempotency key is needed",
        "The request would start something that must not be started twice by accident.",
        "Send an Idempotency-Key that is new for each intention, and the same when you repeat it.",
    ),
    ProblemType(
        "bad-cursor",
        400,
        "The cursor does not fit",
        "A cursor was changed, or belongs to another list or to other filters.",
        "Follow the `next` link of the page before, or begin without a cursor.",
    ),
    ProblemType(
        "webhook-unsigned",
        401,
        "The webhook is not signed",
        "A header of the signature is missing or malformed; `errors` names it.",
        "Send webhook-id, webhook-timestamp and webhook-signature by Standard Webhooks.",
    ),
    ProblemType(
        "webhook-signature-wrong",
        401,
        "The signature does not fit",
        "No signature was made over these bytes with a secret that is known here.",
        "Sign id, timestamp and the body as it is sent, with the secret that was agreed on.",
    ),
    ProblemType(
        "webhook-stale",
        401,
        "The timestamp is too far from now",
        "The message is signed, and too old or from the future.",
        "Set the clock, and sign each try anew with the time of that try.",
    ),
    ProblemType(
        "not-signed-in",
        401,
        "Nobody is signed in",
        "The request has no credentials, or they prove nothing.",
        "Send `Authorization: Bearer` with a token of the identity provider that is valid now, or"
        " with an API key.",
    ),
    ProblemType(
        "scope-missing",
        403,
        "A right is missing",
        "The caller is known, and has not the scope that this needs; `detail` names it.",
        "Have an administrator give you a role or a scope with this right.",
    ),
    ProblemType(
        "cross-site-request",
        403,
        "A page of another site may not change anything",
        "The request comes from a page that is not on the list of those that may send changes.",
        "Send it from a server, or add the page's origin to HANDRAIL_API_ORIGINS.",
    ),
    ProblemType(
        "second-person-needed",
        403,
        "A second person is needed",
        "Who has proposed it may not approve it.",
        "Have another person approve it, who has the scope proposals:approve.",
    ),
    ProblemType(
        "not-found",
        404,
        "There is nothing here",
        "Nothing is known under this address.",
        "Check the id. What was written a moment ago is found with its Handrail-Token.",
    ),
    ProblemType(
        "webhook-subject-unknown",
        404,
        "What the webhook is about is not known",
        "What it names does not exist, or does not wait for this. The message is kept.",
        "Send it again later, or look at it under /webhooks and have it tried again.",
    ),
    ProblemType(
        "method-not-allowed",
        405,
        "Not with this method",
        "The address exists, but does not answer this method.",
        "Use a method that the Allow header names.",
    ),
    ProblemType(
        "request-timeout",
        408,
        "The request did not arrive in time",
        "Its headers or its body were sent too slowly, and the connection was closed.",
        "Send the whole request at once, with the same Idempotency-Key.",
    ),
    ProblemType(
        "idempotency-in-flight",
        409,
        "The same request is being worked on",
        "A request with this idempotency key has begun and has no answer yet.",
        "Repeat it after the seconds that Retry-After names: you will get the one answer.",
    ),
    ProblemType(
        "too-late",
        409,
        "It is too late for that",
        "The saga has passed the point up to which this is possible; `detail` says which.",
        "Look at the saga: what was done can only be put right by a new process.",
    ),
    ProblemType(
        "not-parked",
        409,
        "No such step waits for a person",
        "Only a parked step can be intervened in.",
        "Look at `waiting` of the saga, and name one of those steps.",
    ),
    ProblemType(
        "not-possible",
        409,
        "Not for this step",
        "The step is parked, and this kind of intervention does not fit it.",
        "Use one of the kinds that `detail` names.",
    ),
    ProblemType(
        "not-failed",
        409,
        "There is no failed attempt",
        "Another attempt follows one that failed, timed out or was terminated, and no other.",
        "Look at the saga: step in while it runs, and start a new process when it has ended.",
    ),
    ProblemType(
        "input-forgotten",
        409,
        "What it was begun with is not known any more",
        "Temporal keeps a workflow's input only for some days after the workflow was closed, and "
        "the saga began before its own stream had a place for it.",
        "Put right by hand what its timeline shows as done. Then begin a new process.",
    ),
    ProblemType(
        "intervention-ended",
        409,
        "The intervention has ended",
        "It was stopped before, or all sagas have been told.",
        "Look at its `state`, and at its items for what became of each saga.",
    ),
    ProblemType(
        "too-many-endpoints",
        409,
        "There are too many webhook endpoints",
        "There are as many webhook endpoints of the tenant as may be. Nothing was registered.",
        "Delete one that is not needed any more.",
    ),
    ProblemType(
        "saga-ended",
        409,
        "The saga has ended",
        "It was completed, or everything was taken back; nothing changes it any more.",
        "Look at the saga's `status` for how it ended.",
    ),
    ProblemType(
        "content-differs",
        409,
        "The id is taken by other content",
        "Under this id something else was stored before.",
        "Use a new id, or repeat the request with the content of the first time.",
    ),
    ProblemType(
        "proposal-differs",
        409,
        "The proposal is not this one",
        "What the request would do is not what was proposed, or it was proposed too long ago.",
        "Send the request as `/proposals` shows it, or propose it again.",
    ),
    ProblemType(
        "out-of-order",
        409,
        "Not in the present state",
        "What was asked cannot happen now.",
        "Look at the events of the stream under /streams.",
    ),
    ProblemType(
        "token-of-another-epoch",
        412,
        "The token is from before the store was restored",
        "The database was restored, or a standby was promoted, after the Handrail-Token was given:"
        " what it stands for may be lost.",
        "Read without the token, and look whether what you wrote is there.",
    ),
    ProblemType(
        "body-too-large",
        413,
        "The body is too large",
        "A request may have a body of 256 KiB at most.",
        "Split it.",
    ),
    ProblemType(
        "unsupported-media-type",
        415,
        "The body must be JSON",
        "Only application/json is understood.",
        "Send the header Content-Type: application/json.",
    ),
    ProblemType(
        "invalid-request",
        422,
        "The request has a wrong value",
        "A field is missing, unknown or out of range; `errors` names each.",
        "Correct the fields that `errors` names.",
    ),
    ProblemType(
        "webhook-not-understood",
        422,
        "The webhook is not understood",
        "It is signed, and its type is not known or its data is wrong. The message is kept.",
        "Correct what `errors` names, and send it under a new id.",
    ),
    ProblemType(
        "wrong-currency",
        422,
        "The currency does not fit",
        "All amounts must be in the currency of the account.",
        "Use the currency of the account; `detail` names it.",
    ),
    ProblemType(
        "rule-broken",
        422,
        "A business rule is broken",
        "The request is well formed and can never be done; `detail` names the rule.",
        "Correct what `detail` names.",
    ),
    ProblemType(
        "idempotency-key-reused",
        422,
        "The idempotency key was used for another request",
        "The same key came before with another body.",
        "Use a new key for a new intention; the same key only to repeat the same request.",
    ),
    ProblemType(
        "unknown-host",
        421,
        "This API is not reached under that name",
        "The Host of the request is none of those that this API answers to.",
        "Use its address, or add the name to HANDRAIL_API_HOSTS.",
    ),
    ProblemType(
        "too-many-requests",
        429,
        "Too many requests in a short time",
        "This caller sent more requests a second than it may; RateLimit-Policy says how many.",
        "Repeat it after Retry-After, with the same Idempotency-Key, and send fewer.",
    ),
    ProblemType(
        too_many(TENANT_WORD),
        429,
        "The tenant has too many sagas under way",
        "As many sagas of this tenant are running as may be. Nothing was started.",
        "Repeat it after Retry-After, with the same Idempotency-Key.",
    ),
    ProblemType(
        "too-many-streams",
        429,
        "Too many event streams are open",
        "As many event streams of this client are open in this process as may be.",
        "Close those that nobody reads, or poll the saga itself. Repeat it after Retry-After.",
    ),
    ProblemType(
        "http-error",
        400,
        "The request cannot be served",
        "HTTP has a word for it, and we have no more to say: see `status`.",
        "Look the status code up.",
    ),
    ProblemType(
        "internal-error",
        500,
        "Something is wrong on our side",
        "It was logged under the request id.",
        "Repeat the request with the same Idempotency-Key; if it stays, report the request id.",
    ),
    ProblemType(
        "not-ready",
        503,
        "Not everything that is needed is there",
        "`errors` names what is missing. Some requests may be served all the same.",
        "Start or mend what `errors` names.",
    ),
    ProblemType(
        "too-busy",
        503,
        "Too many requests at the same moment",
        "This process serves as many requests as it can, and yours waited too long for its turn.",
        "Repeat it after Retry-After, with the same Idempotency-Key.",
    ),
    ProblemType(
        "too-many-connections",
        503,
        "Too many connections are open",
        "This process keeps as many connections as it may, and yours is one too many.",
        "Close connections that are not used. Repeat it after Retry-After.",
    ),
    ProblemType(
        "webhook-secret-missing",
        503,
        "Webhooks of this source cannot be verified",
        "No secret is configured, so nothing is taken; `detail` names the variable.",
        "Set that variable to the secret that was agreed on with the sender.",
    ),
    ProblemType(
        "read-model-behind",
        503,
        "The read model is behind",
        "It has not yet seen what your Handrail-Token stands for.",
        "Repeat it after Retry-After, allow more time with Prefer: wait, or drop the token.",
    ),
    ProblemType(
        "read-model-exchanged",
        503,
        "The read model is being exchanged",
        "The tables are of another version than this process: a new version is being rolled out.",
        "Repeat it after Retry-After. If it stays, migrate, rebuild the read models that "
        "`/readyz` names, and restart processes of the old version.",
    ),
    ProblemType(
        "newer-code",
        503,
        "An event is of a newer release",
        "What was asked for has an event that this process cannot read: a newer release is being "
        "rolled out, or was taken back.",
        "Repeat it after Retry-After, with the same Idempotency-Key: a process of the newer "
        "release answers it.",
    ),
    ProblemType(
        "row-parked",
        503,
        "The read model stands still here",
        "An event of this row could not be applied, and the row waits at it.",
        "Drop the token to read the row as it was before. An operator finds the cause with "
        "`handrail projections status`, and goes on with `handrail projections retry`.",
    ),
    ProblemType(
        "history-too-long",
        503,
        "The history is longer than one request folds",
        "As many events were folded as one request may; that work is kept.",
        "Repeat it after Retry-After: it goes on from there. For questions over many rows or long "
        "times ask the lake: `handrail lake query --as-of`.",
    ),
    ProblemType(
        "database-unavailable",
        503,
        "The database does not answer",
        "PostgreSQL cannot be reached, or is too slow. Running sagas wait for it.",
        "Repeat it after Retry-After, with the same Idempotency-Key.",
    ),
    ProblemType(
        "moment-lost",
        410,
        "What was known then is lost",
        "At that time another server was the store, which was lost or restored since.",
        "Ask for another moment; `handrail restore check` says what was lost.",
    ),
    ProblemType(
        "moment-said-twice",
        409,
        "That time was before",
        "The database's clock was put back: what it says just now, it has said before.",
        "Ask without `as_of` for what is there now; `detail` says from when on times come once.",
    ),
    ProblemType(
        "sums-not-kept",
        410,
        "The sums of then are not kept",
        "Sums as of a moment go on from sums that were kept near it. None were: no projector ran "
        "then, or it is more than 90 days ago, or before the read model was built.",
        "Ask for another moment, or the lake: `handrail lake query --as-of`.",
    ),
    ProblemType(
        "audit-unavailable",
        503,
        "What operators do cannot be stored",
        "An operator's act is stored before it is done, and that failed: nothing was done.",
        "Tell those who run it to look at the API's log, and repeat it.",
    ),
    ProblemType(
        "sign-in-unavailable",
        503,
        "Credentials cannot be verified now",
        "What verifies them does not answer: the identity provider, or the database of API keys.",
        "Repeat it after Retry-After, with the same Idempotency-Key.",
    ),
    ProblemType(
        "other-store",
        503,
        "The store is not the one that was adopted",
        "The database was restored, or a standby was promoted; `detail` says which. Nothing is read"
        " or written until an operator has decided.",
        "Repeat it after Retry-After, with the same Idempotency-Key.",
    ),
    ProblemType(
        "subject-keys-missing",
        503,
        "A secret could not be sealed",
        "The API has no file of keys, and stores no secret in clear. Nothing was changed.",
        "Set HANDRAIL_SUBJECT_KEYS_FILE for the API and for dispatchers.",
    ),
    ProblemType(
        "temporal-unavailable",
        503,
        "Temporal does not answer",
        "No process can be started or asked. Those that run are not lost.",
        "Repeat it after Retry-After, with the same Idempotency-Key.",
    ),
    ProblemType(
        "not-redriven",
        409,
        "The messages stay in their queue",
        "There is no way for them now, or they are not there any more; `detail` says which.",
        "Do what `detail` says, and look again at what is in the queue.",
    ),
    ProblemType(
        "broker-unavailable",
        503,
        "The broker does not answer",
        "RabbitMQ cannot be reached, refuses the login of the API, or is too slow.",
        "Repeat it after Retry-After; what was not done is still in its queue.",
    ),
    ProblemType(
        "worker-unavailable",
        503,
        "Nobody did it in time",
        "It was handed over, and no worker answered: it may still be done.",
        "Repeat the same request after Retry-After: done twice, it is done once.",
    ),
)  # fmt: skip
