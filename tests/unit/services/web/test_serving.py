"""Background work ends with the service, even where a cancellation gets lost."""

import asyncio

from services.web import serving


def test_work_that_loses_a_cancellation_is_cancelled_again(run):
    """A library swallows the first one: the second one ends the work, and the service with it."""
    met = []

    async def work():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                met.append("cancelled")
                if len(met) == 2:
                    raise

    async def story():
        tasks = [asyncio.create_task(work())]
        await asyncio.sleep(0)
        await serving.end(tasks)
        assert all(task.cancelled() for task in tasks)

    run(story())
    assert len(met) == 2
