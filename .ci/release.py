"""All of a release but publishing it: `make release-check [TAG=v0.2.0]` builds the package and then runs this on dist/.

One version everywhere, metadata that PyPI takes, a wheel that installs and imports alone, and notes from CHANGELOG.md in build/notes.md.
With a tag, the tag must name that version, and the changelog must date it."""
import argparse, re, subprocess, sys, tarfile, tempfile, zipfile
from pathlib import Path

from packaging.metadata import Metadata

from pages import ROOT, settings

def said(file, pattern):
    "What `pattern` finds in a file of the repository"
    found = re.search(pattern, (ROOT/file).read_text(encoding='utf-8'), re.M)
    if not found: sys.exit(f'{file}: nothing like {pattern!r}')
    return found[1]

def notes(version):
    "Heading and text of `version` in CHANGELOG.md"
    text = (ROOT/'CHANGELOG.md').read_text(encoding='utf-8')
    found = re.search(rf'^## ({re.escape(version)},? .*)\n([\s\S]*?)(?=^## |\Z)', text, re.M)
    if not found: sys.exit(f'CHANGELOG.md: no section for {version}')
    return found[1], found[2].strip()

def metadata(file):
    "Name, version and long description that a distribution declares; raises where PyPI would refuse them"
    if file.suffix == '.whl':
        with zipfile.ZipFile(file) as z: data = z.read(next(o for o in z.namelist() if o.endswith('.dist-info/METADATA')))
    else:
        with tarfile.open(file) as t: data = t.extractfile(next(o for o in t.getmembers() if o.name.count('/') == 1 and o.name.endswith('/PKG-INFO'))).read()
    return Metadata.from_email(data, validate=True)

def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('--tag')
    tag, version = args.parse_args().tag, settings()['version']
    for file, pattern in {'collab_course/__init__.py': r'__version__ = "(.*)"', 'CITATION.cff': r'^version: (.*)$'}.items():
        if (other := said(file, pattern)) != version: sys.exit(f'{file} says {other}, settings.ini {version}')
    heading, text = notes(version)
    if tag and tag != f'v{version}': sys.exit(f'the tag is {tag}, the version {version}')
    dated = re.search(r'\d{4}-\d\d-\d\d', heading)
    if tag and not dated: sys.exit(f'CHANGELOG.md: give {version} its date, as in "## {version}, 2027-01-31"')
    (ROOT/'build').mkdir(exist_ok=True)
    (ROOT/'build/notes.md').write_text(text + '\n', encoding='utf-8')
    files = sorted((ROOT/'dist').iterdir())
    if [o.suffix for o in files] != ['.whl', '.gz']: sys.exit(f'dist/ holds {[o.name for o in files]}, not one wheel and one archive')
    for file in files:
        meta = metadata(file)
        if str(meta.version) != version: sys.exit(f'{file.name} has version {meta.version}')
        if not (meta.description or '').startswith('# '): sys.exit(f'{file.name}: the long description is not README.md')
        print(f'{file.name}: {file.stat().st_size / 1e3:.0f} KB, metadata in order')
    with tempfile.TemporaryDirectory() as folder: # the wheel's own files, with nothing of the repository on the path
        subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--target', folder, files[0]], check=True)
        subprocess.run([sys.executable, '-c', f'import collab_course.all; assert collab_course.__file__.startswith({folder!r}), collab_course.__file__'], check=True,
                       cwd=folder, env={'PYTHONPATH': folder, 'PATH': str(Path(sys.executable).parent)})
    print(f'{version} may be tagged v{version}.' if dated else f'{version} is in order; before it is tagged, CHANGELOG.md must say its date in place of {heading!r}.')

if __name__ == '__main__': main()
