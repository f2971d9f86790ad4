"""Tasks are held and their failures told; stories run in the callback that wakes them."""

import asyncio

import pytest

from relayd.ops.tasks import PAUSE, Story, Tasks


async def test_a_failure_is_told_by_the_task_s_name() -> None:
    told: list[tuple[str, str]] = []
    tasks = Tasks(lambda name, error: told.append((name, type(error).__name__)))

    async def fails() -> None:
        raise KeyError("x")

    tasks.spawn("works", asyncio.sleep(0))
    tasks.spawn("fails", fails())
    await asyncio.sleep(0.01)
    assert told == [("fails", "KeyError")] and tasks.failed == {"fails"}


async def test_close_cancels_what_still_runs() -> None:
    tasks = Tasks(lambda name, error: None)
    task = tasks.spawn("sleeps", asyncio.sleep(60))
    await tasks.close()
    assert task.cancelled()


def test_a_story_goes_on_at_once_when_woken() -> None:
    seen: list[int] = []

    async def tell() -> None:
        for step in range(3):
            seen.append(step)
            await PAUSE

    story = Story(tell())
    assert seen == []
    story.wake()
    assert seen == [0]
    story.wake()
    story.wake()
    assert seen == [0, 1, 2] and not story.ended
    story.wake()
    assert story.ended
    story.wake()


def test_an_interruption_is_raised_where_the_story_waits() -> None:
    seen: list[str] = []

    async def tell() -> None:
        try:
            await PAUSE
        except KeyError:
            seen.append("interrupted")
            await PAUSE
        seen.append("end")

    story = Story(tell())
    story.wake()
    story.interrupt(KeyError())
    assert seen == ["interrupted"]
    story.wake()
    assert seen == ["interrupted", "end"] and story.ended
    story.interrupt(KeyError())


def test_an_interruption_of_a_running_story_waits_for_its_next_pause() -> None:
    seen: list[str] = []
    stories: list[Story] = []

    async def tell() -> None:
        stories[0].interrupt(KeyError())
        stories[0].wake()
        seen.append("still running")
        try:
            await PAUSE
        except KeyError:
            seen.append("interrupted")

    stories.append(Story(tell()))
    stories[0].wake()
    assert seen == ["still running", "interrupted"] and stories[0].ended


def test_an_interruption_is_raised_once_and_its_story_wakes_nobody_else() -> None:
    seen: list[str] = []
    stories: list[Story] = []

    async def tell() -> None:
        for begun in ("running", "waiting"):
            if begun == "running":
                stories[0].interrupt(KeyError())
            try:
                await PAUSE
            except KeyError:
                seen.append(begun)
                stories[0].wake()  # it is not waiting now
                await PAUSE
                seen.append("woken")

    stories.append(Story(tell()))
    stories[0].wake()
    assert seen == ["running"]
    stories[0].wake()
    assert seen == ["running", "woken"]
    stories[0].interrupt(KeyError())
    assert seen == ["running", "woken", "waiting"]
    stories[0].wake()
    assert seen[-1] == "woken" and stories[0].ended


def test_an_error_of_a_story_reaches_who_woke_it() -> None:
    async def tell() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        Story(tell()).wake()
