# make course   get the data, run every lesson, build the readable site
# make test     check everything that must hold before a change lands
# make test-matrix  the tests on each Python here, with the lowest and the newest dependencies
# make coverage      the package's lines that neither lessons nor tests run
# make trust        everything that was tried and survived, in one table: tests, coverage, other versions
# make mutants       how many small mistakes put into the package the tests catch
# make lab      JupyterLab, open on the lessons
# make site     the site from the stored notebooks, without running them
# make bench    times and accuracy beside other libraries
# make lessons  for authors: run the lessons, store outputs in nbs/, renew the package and README.md

PYTHON ?= python3
BIN := .venv/bin
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
QUIET := -q --progress-bar off
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: course test test-matrix coverage trust mutants lab site bench lessons data wheel clean

.venv/installed: settings.ini setup.py constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 10), 'collab_course needs Python 3.10 or later'"
	$(PYTHON) -m venv .venv
	@echo "Installing the package and its tools into .venv (a few minutes the first time)"
	$(BIN)/python -m pip install --no-deps --retries 0 -c constraints.txt --extra-index-url $(TORCH_INDEX) torch
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $@

data: .venv/installed
	$(BIN)/python -c "from collab_course.data import untar_data; print('MovieLens 100K is in', untar_data())"

course: data
	$(BIN)/python .ci/lessons.py --to build/lessons
	cp -r nbs/conf.py nbs/*.md nbs/images nbs/_static build/lessons/
	$(BIN)/sphinx-build -q -W --keep-going -b html build/lessons build/site
	@echo "Read the course at file://$(CURDIR)/build/site/index.html"

site: .venv/installed
	$(BIN)/sphinx-build -q -W --keep-going -b html nbs build/site
	@echo "Read the course at file://$(CURDIR)/build/site/index.html"

# The lessons run on the built wheel and what it asks for, in an environment without the tools, as on Colab.
build/wheel/installed: settings.ini setup.py constraints.txt
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install $(QUIET) --no-deps --retries 0 -c constraints.txt --extra-index-url $(TORCH_INDEX) torch
	touch $@

wheel: .venv/installed build/wheel/installed
	rm -rf dist
	$(BIN)/python -m build --outdir dist . > build/wheel.log 2>&1 || (cat build/wheel.log; false)
	build/wheel/bin/python -m pip install $(QUIET) -c constraints.txt dist/*.whl ipykernel nbclient
	build/wheel/bin/python -m pip install $(QUIET) --force-reinstall --no-deps dist/*.whl
	build/wheel/bin/python -m pip check

test: data wheel site
	$(BIN)/python .ci/in_step.py
	build/wheel/bin/python .ci/lessons.py
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadgroup tests

test-matrix:
	$(PYTHON) .ci/matrix.py

coverage: data
	$(BIN)/python .ci/uncovered.py

trust: data wheel site
	$(BIN)/python .ci/trust.py

mutants: data
	$(BIN)/python .ci/mutants.py

lab: .venv/installed
	$(BIN)/jupyter lab nbs

bench: data
	$(BIN)/python bench/run.py --large
	$(BIN)/python bench/evaluation.py > bench/evaluation.txt
	$(BIN)/python bench/lists.py > bench/lists.txt
	$(BIN)/python bench/lists.py --large >> bench/lists.txt

lessons: data
	$(BIN)/nbdev_export
	$(BIN)/python .ci/lessons.py --write
	$(BIN)/nbdev_clean
	$(BIN)/python .ci/readme.py

clean:
	rm -rf .venv .bench build dist *.egg-info
