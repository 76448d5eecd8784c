from __future__ import annotations

from benchmarks.tour import README, Step, comparable, rewritten, steps_of

PAGE = """# x
<!-- tour -->
Some words.

```console
$ dli one
old
$ dli sql "SELECT
           2" | head
```
<!-- /tour -->
$ not a step
"""


def test_steps_are_commands_with_their_output() -> None:
    assert steps_of(PAGE) == [
        Step(command="dli one", output="old\n"),
        Step(command='dli sql "SELECT\n           2" | head', output=""),
    ]


def test_new_output_takes_the_place_of_the_old() -> None:
    played = [Step(command=step.command, output="new\n") for step in steps_of(PAGE)]
    page = rewritten(PAGE, played)
    assert steps_of(page) == played
    assert page.replace("new\n\n", "").replace("new\n", "") == PAGE.replace("old\n", "")


def test_numbers_and_ids_do_not_count() -> None:
    line = "3 rows · 58.4 MB · 0.04 s · stm_01abc"
    assert comparable(line) == comparable("14 rows · 1.2 MB · 12.5 s · stm_02xyz")
    assert comparable(line) != comparable("3 rows · failed")


def test_readme_has_a_tour() -> None:
    commands = [step.command for step in steps_of(README.read_text(encoding="utf-8"))]
    assert all(command.startswith("dli ") for command in commands)
    assert len(commands) > 5
