"""Lines of the package that neither a lesson nor a test runs: python .ci/uncovered.py [PYTEST ARGUMENTS]; exit status 1 under 95%."""
import os, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEAST = 95

def main():
    args = sys.argv[1:] or ['tests']
    with tempfile.TemporaryDirectory() as tmp:
        (Path(tmp)/'rc').write_text(f"""[run]
source = {ROOT/'collab_course'}
omit = */_modidx.py
parallel = True
data_file = {tmp}/data
[report]
show_missing = True
skip_covered = True
exclude_also =
    google.colab
""")
        # a .pth file would be the usual way into kernels and child processes; a sitecustomize on the path leaves the environment alone
        (Path(tmp)/'sitecustomize.py').write_text('import coverage\ncoverage.process_startup()\n')
        path = os.pathsep.join([tmp, str(ROOT), os.environ.get('PYTHONPATH', '')])
        env = {**os.environ, 'COVERAGE_PROCESS_START': f'{tmp}/rc', 'PYTHONPATH': path, 'TQDM_DISABLE': '1', 'OMP_NUM_THREADS': '1'}
        runs = [[sys.executable, '.ci/lessons.py'], [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-n', 'auto', '--dist', 'loadgroup', *args]]
        failed = [o for o in runs if subprocess.run(o, cwd=ROOT, env=env).returncode]
        cov = [sys.executable, '-m', 'coverage']
        subprocess.run([*cov, 'combine', '-q', f'--rcfile={tmp}/rc'], cwd=ROOT, check=True)
        done = subprocess.run([*cov, 'report', f'--rcfile={tmp}/rc', f'--fail-under={LEAST}'], cwd=ROOT)
    sys.exit(bool(done.returncode or failed))

if __name__ == '__main__': main()
