"""The error tree: whose move it is, what `loom` ends with, and what the caller is told."""

import inspect

import pytest

from worldloom.core import errors
from worldloom.core.errors import InputError, JobError, MachineError, StoreError, UnknownName, WorldAuthorError, WorldloomError


def test_every_error_is_in_the_tree_and_drawn_with_its_exit_code():
    found = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, WorldloomError)]
    drawing = {
        line.split("─ ")[1].split()[0]: int(line.split("─ ")[1].split()[1]) for line in errors.__doc__.splitlines() if "─ " in line
    }
    assert drawing == {kind.__name__: kind.exit_code for kind in found if kind is not WorldloomError}


def test_what_the_caller_gave_is_a_value_error_with_exit_code_two():
    assert issubclass(InputError, ValueError) and {InputError.exit_code, UnknownName.exit_code, StoreError.exit_code} == {2}
    assert {kind.exit_code for kind in (WorldAuthorError, MachineError, JobError)} == {1}


@pytest.mark.parametrize(
    ("name", "known", "told"),
    [
        ("orbit", ["orbits", "arena"], "Unknown world 'orbit'. Known: arena, orbits. Did you mean 'orbits'?"),
        ("xyz", ["orbits", "arena"], "Unknown world 'xyz'. Known: arena, orbits."),
        ("orbit", [], "Unknown world 'orbit'. Known: none."),
    ],
)
def test_an_unknown_name_is_told_with_all_known_names_and_the_nearest(name, known, told):
    error = UnknownName("world", name, iter(known))
    assert str(error) == told and error.name == name and error.nearest == ("orbits" if "mean" in told else None)
