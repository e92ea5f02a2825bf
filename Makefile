# make course   get the data, run every notebook, build the readable site
# make test     check everything that must hold before a change lands
# make test-slow     what takes longer: every lesson on the wheel alone and as on Colab, coverage, each Python with the lowest and the newest dependencies
# make demo     the model behind 'Rate a few films' on the site
# make lab      JupyterLab, open on your own copy of the lessons, my_lessons/
# make edit     for authors: JupyterLab, open on nbs/ itself
# make site     the site from the stored notebooks, without running them
# make bench    times and accuracy beside other libraries
# make bridge   models to and from fastai, in an environment that holds both
# make scale    one process and two, and a hundred million ratings from Parquet (half an hour, 2 GB of disk)
# make lessons [NAMES=...]    for authors: export the package, run all notebooks or those named, store their outputs, renew README.md
# make release-check   build the package, and check all of a release but publishing it
# make retarget [USER=... REPO=... BRANCH=...]     point badges, links, README.md and site at the repository in settings.ini

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
PYTHON ?= python3
BIN := .venv/bin
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
QUIET := -q --progress-bar off
TORCH := $(QUIET) --no-deps --retries 0 -c constraints.txt --extra-index-url $(TORCH_INDEX) torch
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: course test test-slow lint notebooks lessons-on-wheel lessons-on-colab coverage mutants lab edit axe demo site bench bridge lessons release-check retarget help data wheel clean

.venv/installed: settings.ini setup.py constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 10), 'collab_course needs Python 3.10 or later'"
	$(PYTHON) -m venv .venv
	@echo "Installing the package and its tools into .venv (a few minutes the first time)"
	$(BIN)/python -m pip install $(TORCH)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $@

data: .venv/installed
	$(BIN)/python -c "from collab_course.data import untar_data; print('MovieLens 100K is in', untar_data())"

course: data demo
	rm -rf build/lessons && mkdir -p build && cp -r nbs build/lessons
	$(BIN)/python .ci/lessons.py --to build/lessons
	$(BIN)/sphinx-build -q -W --keep-going --fresh-env -b html build/lessons build/site
	@echo "Read the course at file://$(CURDIR)/build/site/index.html"

DEMO := build/demo/demo-model.js
$(DEMO): .ci/demo.py $(wildcard collab_course/*.py) | data
	$(BIN)/python .ci/demo.py

demo: $(DEMO)

# axe-core tests whether the site can be read by everybody; where there is no npm, its test is skipped.
build/axe/package/axe.min.js:
	mkdir -p build/axe
	cd build/axe && (npm pack --silent axe-core@4.10.3 && tar xzf axe-core-*.tgz) || echo "npm does not bring axe-core: accessibility stays untested"

axe: build/axe/package/axe.min.js

site: $(DEMO)
	$(BIN)/sphinx-build -q -W --keep-going --fresh-env -b html nbs build/site
	@echo "Read the course at file://$(CURDIR)/build/site/index.html"

# Two targets at a time, since installing and building leave a core idle that notebooks can use.
test: data
	$(MAKE) -j 2 lint notebooks lessons-on-wheel lessons-on-colab site axe
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile tests

test-slow: coverage
	$(MAKE) lessons-on-wheel WHEEL=
	$(MAKE) lessons-on-colab COLAB=
	$(BIN)/nox

lint: .venv/installed
	$(BIN)/ruff check --quiet
	$(BIN)/mypy

# nbdev_test is content with no notebook at all, so they are counted.
notebooks: data
	@mkdir -p build
	OMP_NUM_THREADS=1 $(BIN)/nbdev_test --skip_file_glob bridge.ipynb --do_print --timing --n_workers 2 2>&1 | tee build/notebooks.log | grep -v '^Starting\|^- Completed'
	@ran=$$(grep -c '^- Completed' build/notebooks.log); there=$$($(BIN)/python .ci/pages.py | wc -l); \
	    echo "nbdev_test ran $$ran of $$there notebooks"; test $$ran = $$there

# Lessons run on the built wheel and what it asks for, in an environment without the tools: some in `make test`, all with WHEEL=.
build/wheel/installed: settings.ini setup.py constraints.txt
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install $(TORCH)
	touch $@

wheel: .venv/installed build/wheel/installed
	rm -rf dist
	$(BIN)/python -m build --outdir dist . > build/wheel.log 2>&1 || (cat build/wheel.log; false)
	build/wheel/bin/python -m pip install $(QUIET) -c constraints.txt dist/*.whl ipykernel nbclient
	build/wheel/bin/python -m pip install $(QUIET) --force-reinstall --no-deps dist/*.whl
	build/wheel/bin/python -m pip check

WHEEL ?= index 03_dataloaders 12_interpretation 16_recommendation
lessons-on-wheel: data wheel
	build/wheel/bin/python .ci/lessons.py $(WHEEL)

# What the course needs of what Colab has, in versions like Colab's own, which are older than ours; the package is no part of it.
COLAB_HAS := 'pandas~=2.2.2' 'numpy<2.2' 'matplotlib~=3.10.0' 'ipython==7.34.0' 'ipykernel<7'
build/colab/installed: constraints.txt
	$(PYTHON) -m venv build/colab
	build/colab/bin/python -m pip install $(TORCH)
	build/colab/bin/python -m pip install $(QUIET) torch==$$(sed -n 's/^torch==//p' constraints.txt) $(COLAB_HAS) nbclient
	touch $@

COLAB ?= 04_one_hot
lessons-on-colab: data build/colab/installed
	build/colab/bin/python .ci/colab.py $(COLAB)

# fastai asks for a newer fastcore than nbdev allows, so that only what both share is pinned.
build/bridge/installed: settings.ini setup.py constraints.txt
	$(PYTHON) -m venv build/bridge
	build/bridge/bin/python -m pip install $(TORCH)
	grep -E '^(torch|numpy|pandas|matplotlib)==' constraints.txt > build/bridge/constraints.txt
	build/bridge/bin/python -m pip install $(QUIET) -c build/bridge/constraints.txt -e . fastai==2.8.12 ipykernel nbclient
	touch $@

bridge: data build/bridge/installed
	build/bridge/bin/python .ci/lessons.py bridge

coverage: data
	rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/coverage run .ci/lessons.py --to build/coverage/lessons
	OMP_NUM_THREADS=1 TQDM_DISABLE=1 $(BIN)/coverage run -m pytest -q -p no:cacheprovider -n auto --dist loadfile tests
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

mutants: data
	$(BIN)/python .ci/mutants.py

lab: .venv/installed
	$(BIN)/collab_course lab

edit: .venv/installed
	$(BIN)/jupyter lab nbs

bench: data
	$(BIN)/python bench/run.py --large
	$(BIN)/python bench/evaluation.py > bench/evaluation.txt
	$(BIN)/python bench/lists.py > bench/lists.txt
	$(BIN)/python bench/lists.py --large >> bench/lists.txt
	$(BIN)/python bench/lists.py --serving >> bench/lists.txt

scale: data
	$(BIN)/python bench/scale.py > build/scale.txt
	mv build/scale.txt bench/scale.txt

lessons: data
	$(BIN)/nbdev_export
	$(BIN)/python .ci/lessons.py --write $(NAMES)
	$(BIN)/nbdev_clean
	$(BIN)/python .ci/readme.py

# Before a release, and in the workflow that publishes one.
release-check: wheel
	$(BIN)/python .ci/release.py $(if $(TAG),--tag $(TAG))

# USER is also a variable of the shell, so only what the command line says counts.
given = $(if $(filter command,$(origin $(1))),--$(2) $($(1)))
retarget: .venv/installed
	$(BIN)/python .ci/retarget.py $(call given,USER,user) $(call given,REPO,repo) $(call given,BRANCH,branch)

help:
	@sed -n 's/^# make/make/p' Makefile

clean:
	rm -rf .venv .bench build dist *.egg-info
