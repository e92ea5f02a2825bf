"""Point badges, install cells, links, README.md, site and workflows at the owner, repository and branch of settings.ini.

    python .ci/retarget.py [--user USER] [--repo REPO] [--branch BRANCH]     what is given goes to settings.ini first

Where the course pointed before is read from the first lesson's badge; so this may be run again at any time."""
import argparse, re, subprocess, sys
from pathlib import Path

import nbformat

from pages import ROOT, lessons, settings
from readme import write_readme

COLAB = 'https://colab.research.google.com'

def badge(name, user, repo, branch):
    "Markdown of the button that opens lesson `name` on Colab"
    return f'[![Open In Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/{user}/{repo}/blob/{branch}/nbs/{name}.ipynb)'

def install(user, repo, branch):
    "A lesson's set-up cell; the branch is named where it is not the one that GitHub makes the default"
    return f"""#| eval: false
import sys
if 'google.colab' in sys.modules: # on Colab, install the course; elsewhere do nothing
    %pip install -q "git+https://github.com/{user}/{repo}{'' if branch == 'main' else f'@{branch}'}\""""

def target():
    "Owner, repository and branch in settings.ini"
    return tuple(settings()[o] for o in ('user', 'repo', 'branch'))

def stamp(nb, name, at):
    "Put the badge under the title of lesson `name`, and the set-up cell behind its first cell"
    title, *lines = nb.cells[0].source.split('\n')
    rest = '\n'.join(o for o in lines if not o.startswith('[![Open In Colab]')).lstrip('\n')
    nb.cells[0].source = f'{title}\n\n{badge(name, *at)}\n\n{rest}'
    if not nb.cells[1].source.startswith('#| eval: false'):
        nb.cells.insert(1, nbformat.v4.new_code_cell(id=f'setup-{name[:2]}'))
    nb.cells[1].source = install(*at)

def before():
    "Owner, repository and branch of the first lesson's badge"
    text = nbformat.read(lessons()[0], as_version=4).cells[0].source
    return re.search(rf'{re.escape(COLAB)}/github/([^/]+)/([^/]+)/blob/(\S+)/nbs/', text).groups()

def moved(text, old, new):
    "`text` with each mention of the repository `old`, a tuple of owner, name and branch, made one of `new`"
    user, repo, branch = map(re.escape, old)
    to_user, to_repo, to_branch = new
    start, end = r'(?<![\w.-])', r'(?![\w-])(?!\.\w)'
    slug, to_slug = f'{start}{user}/{repo}', f'{to_user}/{to_repo}'
    rules = {rf'{slug}(/(?:blob|tree|raw|edit|blame|commits)/|/|@|[^\s"\')]*[?&]branch=){branch}{end}': rf'{to_slug}\g<1>{to_branch}',
             rf'(branches: \[){branch}(?=\])': rf'\g<1>{to_branch}', # of a workflow
             rf'(clone https://github\.com/{user}/{repo}\W+n?\W*cd ){repo}{end}': rf'\g<1>{to_repo}', # a notebook's lines end in \\n
             rf'{slug}(?=\.git\b|{end})': to_slug,
             rf'{start}{user}\.github\.io/{repo}{end}': f'{to_user}.github.io/{to_repo}',
             rf'{start}{user}(?=\.github\.io|@users\.noreply)': to_user}
    for find, put in rules.items(): text = re.sub(find, put, text)
    return text

def set_values(**values):
    "Write values to settings.ini; the other lines stay as they are"
    file = ROOT/'settings.ini'
    text = file.read_text(encoding='utf-8')
    for key, val in values.items(): text = re.sub(rf'(?m)^({key} *= *).*$', lambda m: m[1] + val, text)
    file.write_text(text, encoding='utf-8')

def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for o in ('user', 'repo', 'branch'): args.add_argument(f'--{o}')
    set_values(**{k: v for k, v in vars(args.parse_args()).items() if v})
    old, new = before(), target()
    set_values(doc_baseurl=f'/{new[1]}')
    for name in subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split('\0'):
        file = ROOT/name
        if not file.is_file(): continue
        try: text = file.read_bytes().decode()
        except UnicodeDecodeError: continue
        if (put := moved(text, old, new)) != text: file.write_bytes(put.encode())
    for file in lessons():
        nb = nbformat.read(file, as_version=4)
        stamp(nb, file.stem, new)
        nbformat.write(nb, file)
    for tool in ('nbdev_export', 'nbdev_clean'): subprocess.run([Path(sys.executable).parent/tool], cwd=ROOT, check=True)
    write_readme()
    print(f"The course is at https://github.com/{'/'.join(new[:2])}, branch {new[2]}.")

if __name__ == '__main__': main()
