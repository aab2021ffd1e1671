import time
from temporalio.client import WorkflowFailureError
from tests.world import World
async def test_a(world: World) -> None:
    order = await world.an_order("local")
    order.breaks_a_rule("HoldCredit")
    await order.starts()
    try:
        await order.handle.result()
    except WorkflowFailureError as e:
        print(repr(e.cause), repr(e.cause.__cause__))
    for e in (await order.handle.fetch_history()).events:
        print(e.event_type, str(e)[-1500:] if e.event_type in (4,11,3) or "MARKER" in str(e)[:80] or e.event_type==10 else "")
