"""The README is true: what it names is there, and what is there it names."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from behavior import user_state
from behavior.events import BY_NAME, MERCHANT
from behavior.standing import UNDOING_KINDS
from catalog.countings import SHIPPED
from catalog.models import Scenario
from catalog.scenarios import LATER, SOURCES
from recommend.projections import PROJECTIONS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def table(heading: str) -> list[list[str]]:
    return cells(README, heading)


def cells(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    after = page.split(heading, 1)[1]
    rows = re.search(r"(?:^\|.*\|\n)+", after, re.MULTILINE)
    assert rows is not None
    return [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in rows[0].splitlines()
    ][2:]  # fmt: skip


def test_every_file_in_the_walk_exists() -> None:
    linked = re.findall(r"\]\(([^)#]+)\)", README)
    assert linked
    assert [path for path in linked if not (ROOT / path).exists()] == []


def test_the_signals_table_has_every_event_kind() -> None:
    kinds = [row[0] for row in table("### Events and projections")]
    assert kinds == [*BY_NAME, *(kind.label for kind in sorted(MERCHANT))]


def test_the_signals_table_says_what_the_projections_count() -> None:
    signs = {row[0]: row[1:] for row in table("### Events and projections")}
    joins = {"identify"}
    assert {k for k, row in signs.items() if row[0] == "+"} == joins | {
        k.label for k in user_state.KINDS
    }
    assert {k for k, row in signs.items() if row[1] == "+"} == joins | {
        k.label for k in SHIPPED["covisit"].weights
    }
    hides = {"subject_quarantined"}
    assert {k for k, row in signs.items() if row[1] == "−"} == hides | {
        k.label for k in UNDOING_KINDS
    }
    assert {k for k, row in signs.items() if row[4] == "−"} == hides | {
        k.label for k in UNDOING_KINDS
    }
    for kind, weight in SHIPPED["popularity"].weights.items():
        assert signs[kind.label][2] == ("+" if weight > 0 else "−")


def test_every_projection_is_in_the_walk() -> None:
    assert [p.NAME for p in PROJECTIONS if f"[`{p.NAME}`]" not in README] == []


def test_every_setting_is_named() -> None:
    read = set()
    for source in (ROOT / "recsite").glob("*.py"):
        read |= set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', source.read_text()))
    assert read - {"DJANGO_SETTINGS_MODULE"} == {
        row[0] for row in table("### With your own Postgres")
    }


def test_every_setting_that_makes_a_list_various_is_named_as_in_the_admin() -> None:
    named = [row[0] for row in table("What makes a list various")]
    said = {str(Scenario._meta.get_field(name).verbose_name) for name in LATER.keys() - {*SOURCES}}  # type: ignore[union-attr]
    kinds = ("category", "brand", "seller")
    assert named == ["diversity", "serendipity", f"at most of one {', '.join(kinds)}",
                     "slot for the untried"]  # fmt: skip
    assert said == {named[1], named[3], *(f"at most of one {kind}" for kind in kinds)}


def test_every_command_is_named() -> None:
    ours = {"recsite", "catalog", "behavior", "recommend"}
    commands = {name for name, app in get_commands().items() if app in ours}
    named = {row[0].split()[0] for row in table("## Commands")}
    assert commands - named == {"check_schema"}
    assert named - commands == set()


@pytest.mark.parametrize(
    "task", ["setup", "demo", "test", "lint", "bench", "drill", "tracker", "clean"]
)
def test_every_task_of_the_makefile_is_named(task: str) -> None:
    assert f"make {task}" in README
    assert re.search(rf"^{task}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_fault_names_the_test_that_tried_it() -> None:
    rows = cells((ROOT / "docs" / "operating.md").read_text(), "## What can break")
    tests = [re.findall(r"tests/\w+\.py", row[3]) for row in rows]
    assert len(tests) == 9
    assert all(tests)
    assert [path for paths in tests for path in paths if not (ROOT / path).exists()] == []
