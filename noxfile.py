"""The tests and the lessons on other versions: each Python, with the lowest dependencies that settings.ini declares and with the newest.

    nox -l                                     lists what there is
    nox -s 'tests-3.12(newest)' -- -m 'not slow'     one of them; what follows -- goes to pytest
    TORCH=2.13.0 nox                           with this PyTorch, whatever settings.ini says

A Python that is not on the path is skipped; with pyenv, PYENV_VERSION=3.10.13:3.12.1 puts some there.
"""
import os
from configparser import ConfigParser
from pathlib import Path

import nox

ROOT = Path(__file__).parent
INI = ConfigParser(delimiters=['='], interpolation=None)
INI.read(ROOT/'settings.ini', encoding='utf-8')
PYTHONS = ['3.10', '3.11', '3.12', '3.13']
TOOLS = 'pytest', 'pytest-xdist', 'hypothesis', 'openpyxl', 'scikit-learn', 'nbformat'
#: what needs the site, the wheel, a browser or the tools for notebooks has nothing to do with these versions
ELSEWHERE = [f'--ignore=tests/{o}' for o in ('test_site.py', 'test_demo.py', 'test_wheel.py', 'test_jupyterlab.py', 'test_figures.py', 'test_house.py')]

nox.options.envdir = 'build/nox'
nox.options.sessions = ['tests', 'lessons']

def install(session, versions, *tools):
    "Install the dependencies in their 'lowest' or 'newest' versions"
    if (session.python, versions) == ('3.13', 'lowest'): session.skip('versions so old have no wheels for a Python so new')
    needs = [o.replace('>=', '==') if versions == 'lowest' else o for o in INI['DEFAULT']['requirements'].split()]
    if torch := os.environ.get('TORCH'): needs = [f'torch=={torch}' if o.startswith('torch') else o for o in needs]
    old = ['numpy<2', 'pyarrow==14.0.2'] if versions == 'lowest' else ['pyarrow'] # what goes with pandas of that age
    index = os.environ.get('TORCH_INDEX', 'https://download.pytorch.org/whl/cpu')
    session.install('--retries', '1', '--extra-index-url', index, *needs, *old, *tools)
    session.run('python', '-m', 'pip', 'list', silent=False)

def each_version(session):
    "A session for each Python and for both kinds of versions"
    return nox.session(python=PYTHONS)(nox.parametrize('versions', ['lowest', 'newest'], ids=['lowest', 'newest'])(session))

@each_version
def tests(session, versions):
    "The tests, on the package in this folder"
    install(session, versions, *TOOLS)
    session.run('python', '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-n', 'auto', '--dist', 'loadfile', *(session.posargs or ['tests', *ELSEWHERE]),
                env={'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})

@each_version
def lessons(session, versions):
    "The lessons, on the installed package alone"
    install(session, versions, 'ipykernel', 'nbclient')
    session.install('--no-deps', '.')
    session.run('python', '.ci/lessons.py')
