from pathlib import Path

import pytest

from fispace.provenance.code_digest import closure, code_digest
from fispace.study.commands import all_commands

STEP = '''
"""A step."""
from fispace.config.one import Config


def work(params: Config) -> int:
    """Returns a number."""
    from fispace.measure import deep  # lazily

    return deep.number() + params.value
'''
FILES = {
    "__init__.py": "",
    "errors.py": "class FispaceError(Exception):\n    pass\n",
    "cli.py": "FLAG = 1\n",
    "steps/__init__.py": "",
    "steps/one.py": STEP,
    "config/__init__.py": "",
    "config/one.py": "class Config:\n    value = 1\n",
    "measure/__init__.py": "",
    "measure/deep.py": "from .deeper import ONE\nfrom ..errors import FispaceError\n\n\n"
    "def number():\n    return ONE\n",
    "measure/deeper.py": "ONE = 1\n",
    "measure/other.py": "TWO = 2\n",
}


@pytest.fixture
def package(tmp_path: Path):
    """Writes the package, some files changed, to a new folder; returns the digest of steps.one."""
    made = []

    def write(**changed: str) -> str:
        source = tmp_path / str(len(made)) / "fispace"
        made.append(source)
        for name, text in {**FILES, **changed}.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text)
        return code_digest("fispace.steps.one", source)

    return write


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("steps/one.py", "  # lazily", "  # only when it is needed"),
        ("steps/one.py", '"""Returns a number."""', '"""Returns another number, it says."""'),
        ("steps/one.py", '    """Returns a number."""\n', ""),
        ("steps/one.py", "deep.number() + params.value", "(deep.number() +\n    params.value)"),
        ("measure/deeper.py", "ONE = 1", "# one\nONE = 1"),
        ("measure/other.py", "2", "3"),
        ("cli.py", "1", "2"),
        ("errors.py", "pass", "code = 3"),
    ],
)  # fmt: skip
def test_comments_docstrings_layout_and_unrelated_modules_leave_the_digest(package, name, old, new):
    assert old in FILES[name]
    assert package(**{name: FILES[name].replace(old, new)}) == package()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("steps/one.py", "+ params", "- params"),
        ("config/one.py", "1", "2"),
        ("measure/deep.py", "return ONE", "return -ONE"),
        ("measure/deeper.py", "1", "2"),
        ("measure/__init__.py", "", "import os\n"),
    ],
)
def test_a_code_edit_anywhere_in_the_closure_changes_the_digest(package, name, old, new):
    assert package(**{name: FILES[name].replace(old, new, 1)}) != package()


def test_a_text_that_is_a_value_is_no_docstring(package):
    text = "WORDS = 'a'\n"
    one, two = (package(**{"measure/deeper.py": f"ONE = 1\n{t}"}) for t in (text, text.upper()))
    assert one != two


def test_a_step_does_not_depend_on_the_command_line_or_on_other_chapters_steps():
    modules = {command.module for command in all_commands()}
    above = {"fispace.cli", "fispace.errors"} | {
        f"fispace.study.{name}" for name in ("commands", "declarations", "params")
    }
    for module in modules:
        assert not closure(module) & (above | modules - {module})
