"Packaging for `collab_course`; every value comes from settings.ini."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).resolve().parent
ini = ConfigParser(delimiters=['='], interpolation=None)
ini.read(here/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']

def setting(key):
    "The value of `key` in settings.ini; a missing one stops the build with its name."
    if key not in cfg: raise SystemExit(f'setup.py: settings.ini has no value for {key!r}')
    return cfg[key]

lib_path = setting('lib_path')
setup(
    name=setting('lib_name'),
    version=setting('version'),
    description=setting('description'),
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    url=setting('git_url'),
    author=setting('author'),
    author_email=setting('author_email'),
    license='Apache-2.0',
    keywords=setting('keywords').split(),
    classifiers=['Development Status :: 3 - Alpha', 'Intended Audience :: Developers', 'Intended Audience :: Education',
                 'Programming Language :: Python :: 3', 'Topic :: Scientific/Engineering :: Artificial Intelligence'],
    python_requires=f">={setting('min_python')}",
    packages=find_packages(include=[lib_path, f'{lib_path}.*']),
    package_data={lib_path: ['*.mplstyle', '*.csv', '*.css', '*.js', 'py.typed']},
    install_requires=setting('requirements').split(),
    extras_require={o: setting(f'{o}_requirements').split() for o in ('parquet', 'dev')},
    entry_points={'console_scripts': [f'{lib_path}={lib_path}.cli:main'], 'nbdev': [f'{lib_path}={lib_path}._modidx:d']},
    zip_safe=False,
)
