"""The checks of the exercises as the package has them: the page of checks and answers runs on the package in place of its own cells."""
import re, runpy
from pathlib import Path

import nbformat
import pytest

from collab_course import exercises

PAGE = next((Path(__file__).parent.parent/'nbs').rglob('exercises.ipynb'))

@pytest.mark.slow
def test_answers_are_right_and_mistakes_are_found(tmp_path, capsys):
    imports, *cells = [o.source for o in nbformat.read(PAGE, as_version=4).cells if o.cell_type == 'code' and not o.source.startswith(('#| export', '#| eval: false'))]
    of_package = 'from collab_course import exercises\nglobals().update({k: o for k, o in vars(exercises).items() if not k.startswith("__")})'
    (tmp_path/'page.py').write_text('\n\n'.join([imports, of_package, *cells]), encoding='utf-8')
    runpy.run_path(str(tmp_path/'page.py'))
    said = capsys.readouterr().out
    for name in exercises._CHECKS: # several right answers in other styles, several plausible wrong ones
        assert said.count(f'Exercise {name}: right.') >= 3 and said.count(f'Exercise {name}: not yet') >= 3, name

def exercises_of(page):
    "The names that the check cells of a lesson use"
    return re.findall(r"^check\('(\d\d\.\d)'", '\n'.join(o.source for o in nbformat.read(page, as_version=4).cells if o.cell_type == 'code'), re.M)

def test_every_exercise_has_a_check_and_every_check_an_exercise():
    asked = [name for page in sorted(PAGE.parent.parent.glob('[0-9]*.ipynb')) for name in exercises_of(page)]
    assert asked == sorted(exercises._CHECKS)

@pytest.mark.parametrize('name', sorted(exercises._CHECKS))
def test_no_answer_at_all_is_never_right(name):
    for answer in (..., None, float('nan'), 'text', [], {}, len, object): assert exercises._verdict(name, answer)
