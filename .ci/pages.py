"""The course's settings and notebooks, for the scripts beside this one."""
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT/'nbs'

def settings():
    "What settings.ini says"
    ini = ConfigParser(delimiters=['='], interpolation=None)
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']

def pages():
    "Every notebook, in nbs/ and the folders in it, by name"
    return sorted((o for o in NBS.rglob('[!._]*.ipynb') if '.ipynb_checkpoints' not in o.parts), key=lambda o: o.stem)

#: pages with an environment of their own: `make bridge`
ELSEWHERE = {'bridge'}

def lessons():
    "The numbered notebooks"
    return [o for o in pages() if o.name[0].isdigit()]

if __name__ == '__main__': print(*(o.relative_to(ROOT) for o in pages() if o.stem not in ELSEWHERE), sep='\n')
