"""All that speaks for trusting the package, in one table: python .ci/trust.py [MATRIX ARGUMENTS]

Runs the lessons and the tests, counts what they tried and the lines they reached, then the tests on other versions (matrix.py,
which gets the arguments). Exit status 1 where anything failed, was skipped, or is under its bound."""
import re, subprocess, sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT/'build'/'trust.xml'
#: what the tests of a file try
GROUPS = {'bad inputs': ['test_input'], 'faults in training': ['test_faults', 'test_resume'], 'faults of the data source': ['test_data'],
          'faults of files': ['test_persistence'], 'attacks and habits': ['test_security'], 'properties': ['test_properties'],
          'fast paths against plain ones': ['test_speed_paths']}

def run(*args):
    "Output and exit status of a script; what it prints is shown as it comes"
    lines, p = [], subprocess.Popen([sys.executable, *args], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in p.stdout:
        lines.append(line)
        print(line, end='', flush=True)
    return ''.join(lines), p.wait()

def counts():
    "By group: passed, failed and skipped tests"
    cases = [(o.get('classname').split('.')[-1], {c.tag for c in o}) for o in ET.parse(REPORT).iter('testcase')]
    for group, files in {**GROUPS, 'everything': {name for name, _ in cases}}.items():
        tags = [o for name, o in cases if name in files]
        bad, skipped = (sum(bool(o & kind) for o in tags) for kind in ({'failure', 'error'}, {'skipped'}))
        yield group, len(tags) - bad - skipped, bad, skipped

def main():
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.unlink(missing_ok=True)
    text, failed = run('.ci/uncovered.py', 'tests', f'--junitxml={REPORT}', '--hypothesis-show-statistics')
    versions, off = run('.ci/matrix.py', *sys.argv[1:])
    examples = sum(map(int, re.findall(r'^\s*- (\d+) passing\b', text, re.M)))
    covered = re.findall(r'^TOTAL.*\s(\S+%)$', text, re.M)
    print(f'\n{"":32}passed  failed  skipped')
    groups = list(counts())
    for group, *n in groups: print(f'{group:30}' + ''.join(f'{o:8,}' for o in n))
    print(f'{"examples of the properties":30}{examples:8,}\n{"lines covered":30}{covered[-1] if covered else "unknown":>8}')
    print('\n'.join(o for o in versions.splitlines() if o.startswith('Python') and ', lowest:' in o or ', newest:' in o))
    skipped = groups[-1][-1]
    sys.exit(bool(failed or off or skipped or not examples or not covered))

if __name__ == '__main__': main()
