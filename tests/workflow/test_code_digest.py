import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fispace.provenance import code_digest as digests
from fispace.provenance.code_digest import closure, code_digest, tree_text
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

EVERY_KIND = r"""
from __future__ import annotations
import os.path as path, sys
from . import sibling
x: int
y: "list[int]" = [1, 2.5, 3j, 1e400, -0.0, b"\x00\xff", ..., None, True]
word = "é\U0001fae8\u2028" 'a' "b" f"{x}" "c" f"" "" f"{y!r:>{x}}{{}}"
text = f"{x=}, {x = !s:.3f}" f"{'nested'}{f'{x:{y}}'}" rf"\d{x}\{y}"
spec = f"{x:}{x:%H:%M}{x:a{y}b{x!a}c}"
empty, pair, one, whole = {}, (1, *y), {1}, {**word, "k": 2}
def f(a, /, b=1, *c, d, e=None, **g) -> None:
    "doc"
    global word
    return
def bare(): return None
async def later(items):
    async with items as (one, two), other: pass
    async for item in items: yield item
    else: await items
    return
@path.wraps(later)
class C(dict, metaclass=type):
    'Doc.'
    def method(self, *, k=lambda *a, **b: (yield)) -> C: self.k = k; del self.k; return self
match whole:
    case {"k": [1, *rest], **others} if rest: pass
    case C(k=None) | (1 | 2) as found: pass
    case -1.5 | _: raise ValueError(found) from None
try: assert x, "no"
except* (OSError, ValueError) as error: raise
else: pass
finally: x = y if (n := 1) else not x <= y < 3 in word
with open(path) as file, (open(path)): x @= y[1:2, ::3, ...]
z = [i for j in y if j for i in j if i] + [*y] or {i: j for i, j in z}
nonlocal_ = lambda: (yield from y)
"""
"""Statements and expressions of every kind that Python 3.11 has, f-strings above all."""
IN_ANOTHER_PYTHON = """
import ast, json, pathlib, sys
sys.path.insert(0, sys.argv[1])
from fispace.provenance.code_digest import code_digest, tree_text
found = [tree_text(ast.parse(sys.argv[2]))] + [code_digest(name) for name in sys.argv[3:]]
json.dump(found, sys.stdout)
"""


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
    follow_records = {
        "fispace.report.explanations",
        "fispace.report.html_page",
    }  # through all steps
    for module in modules - follow_records:
        assert not closure(module) & (above | modules - {module})


def test_the_text_of_a_tree_is_fixed_for_all_versions_of_python():
    # equal from CPython 3.11.7, 3.12.1 and 3.13.0; another number would rerun every study
    text = tree_text(ast.parse(EVERY_KIND.lstrip()))
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "f1cbb5b08bd2be0be4c4b0ede677e40f94a2010737d39b25b3e6944a4401e2ea"
    )


def test_what_later_versions_add_or_leave_out_is_not_in_the_text():
    tree = ast.parse("def f(): return f'{x:.2f}ab'\nclass C: pass")
    before = tree_text(tree)
    function, one_class = tree.body
    for node in (function, one_class):
        node.type_params = []  # 3.12
        node._fields = (*node._fields, "type_params")
    del function.returns, function.decorator_list  # as a tree that was built without them
    joined = function.body[0].value
    joined.values[1:] = [ast.Constant("a"), ast.Constant(""), ast.Constant("b")]  # 3.12, some texts
    assert tree_text(tree) == before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return", "return None"),
        ("x = None", "x = ..."),
        ("f(*[])", "f()"),
        ("{**x}", "{None: x}"),
        ("f'a{b}'", "f'{b}a'"),
        ("f'{b!r}'", "f'{b}'"),
        ("'é'", "'e'"),
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("lambda *, a: 0", "lambda *, a=None: 0"),
    ],
)
def test_different_code_has_different_texts(one, other):
    first, second = (tree_text(ast.parse(f"def g():\n {code}")) for code in (one, other))
    assert first != second


def other_pythons() -> dict[str, str]:
    """Interpreters of other minor versions from 3.11 on that start on this machine, by version."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    names = [f"python3.{minor}" for minor in (11, 12, 13)]
    found = [shutil.which(name) for name in names]
    found += [str(path) for name in names for path in root.glob(f"*/bin/{name}")]
    code = "import sys; print(*sys.version_info[:2])"
    started = {
        path: subprocess.run([path, "-I", "-c", code], capture_output=True, text=True, check=False)
        for path in found
        if path is not None
    }
    own = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {
        done.stdout.strip(): path
        for path, done in started.items()
        if done.returncode == 0 and done.stdout != own.stdout
    }


def test_digests_of_the_package_are_equal_from_other_versions_of_python():
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no other Python from 3.11 on to compare with")
    modules = sorted({command.module for command in all_commands()})
    source = EVERY_KIND.lstrip()
    ours = [tree_text(ast.parse(source)), *map(code_digest, modules)]
    arguments = ["-I", "-c", IN_ANOTHER_PYTHON, str(digests.SOURCE.parent), source, *modules]
    for version, path in pythons.items():
        done = subprocess.run([path, *arguments], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == ours, version


def test_files_that_a_module_copies_into_results_count_as_its_code(tmp_path):
    (tmp_path / "html/assets").mkdir(parents=True)
    for name in (
        "__init__.py",
        "html/__init__.py",
        "html/render.py",
        "other.py",
        "html/assets/a.css",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / "page.py").write_text("from fispace.html.render import x\n")
    modules = ("fispace.page", "fispace.html.render", "fispace.other")
    before = {name: code_digest(name, tmp_path) for name in modules}
    code_digest.cache_clear()
    (tmp_path / "html/assets/a.css").write_text("/* a comment counts too */")
    changed = {name for name in modules if code_digest(name, tmp_path) != before[name]}
    assert changed == {"fispace.page", "fispace.html.render"}
