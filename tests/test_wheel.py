"""What the wheel in dist/ holds and asks for; `make test` builds it, and runs some lessons on it alone."""
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

@pytest.fixture(scope='module')
def wheel():
    found = sorted((Path(__file__).parent.parent/'dist').glob('*.whl'))
    if not found: pytest.skip('no wheel in dist/: make test builds one')
    with zipfile.ZipFile(found[-1]) as z: yield z

def test_holds_the_package_alone(wheel):
    names = [o for o in wheel.namelist() if '.dist-info/' not in o]
    assert {o.split('/')[0] for o in names} == {'collab_course'}
    assert {f'collab_course/{o}' for o in ('first_search.csv', 'starts.csv', 'wd_search.csv', 'chosen_wd.csv', 'wide_search.csv', 'course.mplstyle', 'py.typed', 'all.py')} <= {*names}

def test_asks_for_few_libraries_without_upper_caps(wheel):
    meta = message_from_bytes(wheel.read(next(o for o in wheel.namelist() if o.endswith('.dist-info/METADATA'))))
    needs = [o for o in meta.get_all('Requires-Dist') if 'extra ==' not in o]
    assert {o.split('>=')[0] for o in needs} <= {'torch', 'pandas', 'matplotlib', 'fastcore', 'tqdm', 'ipython', 'filelock', 'safetensors'}
    assert not any('<' in o or '==' in o for o in needs)
    assert meta['Requires-Python'] == '>=3.10' and 'Apache-2.0' in (meta['License'], meta['License-Expression'])
