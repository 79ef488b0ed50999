"""What people of the demo write: commit messages, patches, names of tests, failures."""

from dataclasses import dataclass

from changes.app.demo.dice import Dice

SUBJECTS = (
    "Round {word} half to even",
    "Retry {word} when the upstream resets the connection",
    "Do not lock {word} while reading",
    "Move {word} behind a feature flag",
    "Remove the old {word} code path",
    "Log the request id in {word}",
    "Speed up {word}: one query instead of one per row",
    "Fix a race in {word}",
    "Make {word} idempotent",
    "Show a helpful error when {word} is empty",
    "Validate {word} before it is stored",
    "Page through {word} by key, not by offset",
    "Test {word} against daylight saving",
    "Type-check {word} strictly",
    "Split {word} out of the god object",
    "Let admins export {word} as CSV",
    "Cache {word} for a minute",
    "Stop leaking file handles in {word}",
    "Handle a cancelled request in {word}",
    "Rename {word} settings and warn about the old names",
    'Revert "Cache {word} for a minute"',
    "Bump the dependencies of {word}",
    "Time out slow calls of {word} after five seconds",
    "Document how {word} is rolled back",
)
BODIES = (
    "",
    "",
    "Customers saw this about twice a day; the trace is in the linked ticket.",
    "The old behaviour came from a workaround that is not needed since the migration.",
    "Measured on staging: p95 goes from 840 ms to 120 ms.",
    "No change of behaviour intended.",
    "The tests showed it only under load, so there is one now that runs eight of them at once.",
    "Reviewed together with the on-call, because it touches what pages us.",
)
BEHAVIOURS = (
    "accepts_an_empty_list", "rejects_a_negative_amount", "keeps_the_order", "survives_a_restart",
    "rounds_half_to_even", "times_out_politely", "retries_three_times", "is_idempotent",
    "ignores_unknown_fields", "reports_every_problem_at_once", "pages_by_key", "locks_only_one_row",
    "handles_leap_days", "handles_daylight_saving", "escapes_html", "refuses_strangers",
    "lets_admins_in", "sends_one_mail", "sends_no_mail_twice", "expires_after_a_day",
    "streams_large_answers", "closes_its_connections", "reads_old_formats", "writes_the_new_format",
    "counts_what_it_did", "tells_the_request_id", "survives_a_slow_upstream", "falls_back_to_the_cache",
    "merges_duplicates", "deletes_what_is_orphaned",
)  # fmt: skip
PLACES = ("test_api", "test_rules", "test_storage", "test_views", "test_tasks", "test_regressions")
ASSERTIONS = (
    "assert {a} == {b}\n  where {a} = len(<{word} page 2>)",
    "AssertionError: expected status 200, got 50{c}: upstream connect error",
    "TimeoutError: nothing in the queue after {b}.0 s",
    "KeyError: '{word}_id'",
    "psycopg.errors.DeadlockDetected: deadlock detected\nDETAIL: Process {a}{b} waits for ShareLock",
    "Expected '{b},{a}0 EUR', received '{b}.{a}0 EUR'",
)


@dataclass(frozen=True)
class Message:
    subject: str
    text: str


def message(dice: Dice, words: tuple[str, ...]) -> Message:
    subject = dice.choice(SUBJECTS).format(word=dice.choice(words))
    body = dice.choice(BODIES)
    return Message(subject, f"{subject}\n\n{body}\n" if body else f"{subject}\n")


def diff(dice: Dice, words: tuple[str, ...]) -> bytes:
    """A small patch that looks like one."""
    word = dice.choice(words)
    line = dice.randint(8, 240)
    limit = dice.randint(2, 30)
    text = f"""diff --git a/src/{word}/service.py b/src/{word}/service.py
--- a/src/{word}/service.py
+++ b/src/{word}/service.py
@@ -{line},5 +{line},6 @@ class {word.title()}Service:
     def load(self, key: str) -> Item:
-        return self.backend.get(key)
+        with self.limit(seconds={limit}):
+            return self.backend.get(key)

     def close(self) -> None:
         self.backend.close()
{NEW_FILE.format(word=word, seconds=limit)}"""
    return text.encode()


NEW_FILE = '''diff --git a/src/{word}/limits.py b/src/{word}/limits.py
new file mode 100644
--- /dev/null
+++ b/src/{word}/limits.py
@@ -0,0 +1,14 @@
+"""How long {word} may take, and what is told of the rest."""
+
+from contextlib import contextmanager
+
+from orbit.clock import deadline
+
+
+@contextmanager
+def limited(seconds={seconds}):
+    """Ends what takes longer."""
+    with deadline(seconds) as left:
+        yield left
+    if left.is_over:
+        raise TimeoutError(f"{word} took longer than {{seconds}} s")
'''


def test_names(suite: str, words: tuple[str, ...], count: int) -> list[tuple[str, str]]:
    """Class and name, as a JUnit report has them."""
    combined = [
        (f"{suite}.{word}.{place}", f"test_{word}_{behaviour}")
        for behaviour in BEHAVIOURS
        for place in PLACES
        for word in words
    ]
    return combined[:count]


def failure(dice: Dice, words: tuple[str, ...], name: str) -> str:
    line = dice.randint(12, 210)
    what = dice.choice(ASSERTIONS).format(
        a=dice.randint(2, 9), b=dice.randint(10, 60), c=dice.randint(0, 4), word=dice.choice(words)
    )
    place, _, test = name.rpartition(".")
    return f"{what}\n\n{place.replace('.', '/')}.py:{line}: in {test}\n    assert answer == expected\n"
