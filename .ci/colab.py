"""Lessons as on Colab: each one's own install cell fetches the package, into an environment that has only what Colab has.

    build/colab/bin/python .ci/colab.py [LESSON ...]     all by default

What the cell fetches from GitHub is the package in this folder: git is told so. No version that was there may change."""
import os, shutil, subprocess, sys, tempfile
from pathlib import Path

from pages import ROOT, lessons, settings

#: what IPython runs before a notebook's first cell
GOOGLE = "import sys, types\nsys.modules.update({o: types.ModuleType(o) for o in ('google', 'google.colab')})\n"

def pip(*args):
    "What pip prints"
    return subprocess.run([sys.executable, '-m', 'pip', *args], check=True, capture_output=True, text=True).stdout

def installed():
    "Version by name of each installed package"
    return dict(o.split('==', 1) if '==' in o else o.split(' @ ', 1) for o in pip('freeze', '--all').splitlines())

def repository(folder, cfg):
    "A git repository in `folder` with what a package is built from"
    for o in ('settings.ini', 'setup.py', 'MANIFEST.in', 'README.md', 'LICENSE'): shutil.copy(ROOT/o, folder)
    shutil.copytree(ROOT/cfg['lib_path'], folder/cfg['lib_path'], ignore=shutil.ignore_patterns('__pycache__'))
    who = '-c', 'user.name=nobody', '-c', 'user.email=nobody@localhost'
    for args in (('init', '-q', '-b', cfg['branch']), ('add', '.'), (*who, 'commit', '-q', '-m', 'as it is')): subprocess.run(['git', *args], cwd=folder, check=True)

def run(name, env): return subprocess.run([sys.executable, ROOT/'.ci'/'lessons.py', name], env=env, capture_output=True, text=True)

def main():
    names, cfg, bare = sys.argv[1:] or [o.stem for o in lessons()], settings(), installed()
    package, off = cfg['lib_name'], []
    if package in bare: sys.exit(f'{package} is installed in this environment already')
    with tempfile.TemporaryDirectory() as tmp:
        repo, ipython = Path(tmp)/'repo', Path(tmp)/'ipython'
        startup = ipython/'profile_default'/'startup'
        for o in (repo, startup): o.mkdir(parents=True)
        repository(repo, cfg)
        env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'} | {'IPYTHONDIR': str(ipython), 'GIT_CONFIG_COUNT': '1',
              'GIT_CONFIG_KEY_0': f'url.{repo.as_uri()}.insteadOf', 'GIT_CONFIG_VALUE_0': f"https://github.com/{cfg['user']}/{cfg['repo']}"}
        if 'ModuleNotFoundError' not in run(names[0], env).stderr: off.append(f'{names[0]} needs no install cell')
        (startup/'00.py').write_text(GOOGLE)
        for name in names:
            done, now = run(name, env), installed()
            print(done.stdout.splitlines()[0] if not done.returncode else f'{name:24}FAILED\n{done.stderr}', flush=True)
            if done.returncode: off.append(f'{name} failed')
            if package not in now: off.append(f'{name} did not install {package}')
            off += [f'{name} changed {k} {v} to {now.get(k)}' for k, v in bare.items() if now.get(k) != v]
            if new := now.keys() - bare.keys(): pip('uninstall', '-y', *new)
    for o in off: print(o, file=sys.stderr)
    print(f'{len(names)} lessons installed the package and ran as on Colab; nothing that was there changed.' if not off else f'{len(off)} things are wrong.')
    sys.exit(bool(off))

if __name__ == '__main__': main()
