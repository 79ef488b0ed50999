"""What commands leave in $CHANGES_CARDS becomes cards, whoever they are and whatever they leave there."""

import sys
from pathlib import Path

import pytest
from tests.agent.running import a_command, a_step
from tests.fakes.coordinator import Coordinator, StepSeen

pytestmark = pytest.mark.usefixtures("agent")

CHANGES = f"{sys.executable} -m changes.app.cli"


def ran(coordinator: Coordinator, script: str) -> StepSeen:
    step = coordinator.offer(a_step(script))
    assert coordinator.final_of(step).result == "passed", step.console
    return step


def said(step: StepSeen) -> list[tuple[str, str, str]]:
    return [(card.key, card.style, card.text) for card in step.cards]


def test_a_command_posts_a_card(coordinator: Coordinator) -> None:
    post = f"{CHANGES} card --key size --style warning --title 'It grew' -"

    step = ran(coordinator, f"echo '**12 MB** more' | {post}; echo more | {post} --append")

    first, second = step.cards
    assert (first.key, first.style, first.title, first.text) == (
        "size",
        "warning",
        "It grew",
        "**12 MB** more\n",
    )
    assert (second.append, second.text) == (True, "more\n")
    assert first.number != second.number


def test_a_card_is_taken_back(coordinator: Coordinator) -> None:
    step = ran(coordinator, f"{CHANGES} card --key size --remove")

    assert said(step) == [("size", "info", "")]


def test_any_program_may_leave_a_file_of_markdown(coordinator: Coordinator) -> None:
    step = ran(
        coordinator, "echo '# All' > $CHANGES_CARDS/summary.md; echo no > $CHANGES_CARDS/lint.error.md"
    )

    assert said(step) == [("lint", "error", "no\n"), ("summary", "info", "# All\n")]


def test_cards_of_a_step_that_failed_are_sent_too(coordinator: Coordinator) -> None:
    step = coordinator.offer(a_step("echo why > $CHANGES_CARDS/why.error.md; exit 3"))

    assert coordinator.final_of(step).result == "failed"
    assert said(step) == [("why", "error", "why\n")]


def test_a_card_that_is_refused_is_told_and_the_step_goes_on(coordinator: Coordinator) -> None:
    step = ran(coordinator, "echo no > $CHANGES_CARDS/a.loud.md; echo '{' > $CHANGES_CARDS/b.json")

    assert said(step) == []
    told = bytes(step.logs["infra"]).decode()
    assert "a.loud.md was not taken: 400 no such style" in told
    assert "b.json was not taken" in told


def test_secrets_are_hidden_in_cards_as_they_are_in_logs(coordinator: Coordinator) -> None:
    script = 'echo "it is $KEY" > $CHANGES_CARDS/key.md'
    step = coordinator.offer(a_step(a_command(script), secrets={"KEY": "correct-horse"}, trusted=True))

    coordinator.final_of(step)

    assert said(step) == [("key", "info", "it is ***\n")]


def test_only_so_much_is_read(coordinator: Coordinator) -> None:
    many = "for i in $(seq 300); do echo $i > $CHANGES_CARDS/$i.md; done"

    step = ran(coordinator, f"head -c 300000 /dev/zero | tr '\\0' x > $CHANGES_CARDS/0.md; {many}")

    assert len(step.cards) == 199
    assert "0.md was not taken: it is too long" in bytes(step.logs["infra"]).decode()


@pytest.mark.parametrize(
    "harm",
    [
        "ln -s {secret} $CHANGES_CARDS/a.md",
        "mkfifo $CHANGES_CARDS/a.md",
        "mkdir $CHANGES_CARDS/a.md",
        "rmdir $CHANGES_CARDS; ln -s {folder} $CHANGES_CARDS",
        "rmdir $CHANGES_CARDS; echo a > $CHANGES_CARDS",
        "rmdir $CHANGES_CARDS",
    ],
)
def test_what_is_no_file_of_the_step_is_not_read_and_stays(
    coordinator: Coordinator, tmp_path: Path, harm: str
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    secret = place / "secret.md"
    secret.write_text("of somebody else")

    step = ran(coordinator, harm.format(secret=secret, folder=place))

    assert said(step) == []
    assert secret.read_text() == "of somebody else"
    assert list(place.iterdir()) == [secret]
