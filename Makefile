# Everything runs in .venv, which is made here from pinned and hashed requirements; nothing else is touched.
# Another interpreter: make PYTHON=python3.12 test

BIN := .venv/bin
CODE = $(wildcard device_sdk gateway tests examples)
# Three workers, each with its own session's keys, as half of the time is waiting for other processes;
# one file's tests stay together, as they share a broker.
PYTEST_ARGS ?= -n 3 --dist loadfile
# These run once more beside the oracles, on the oldest cbor2 that the project allows.
ORACLE_TESTS = $(wildcard tests/oracles tests/unit/wire tests/property tests/vectors)
LOCK = .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-strip-extras $(LOCK_ARGS)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test cover check fix bench clean lock run dev oracles mosquitto faketime strace tokens faults

help:
	@echo "make demo    a sealed message's whole way on this machine, step by step"
	@echo "make test    every check and the whole suite"
	@echo "make cover   the suite again, and which lines it reaches"
	@echo "make check   style, types and the direction of imports"
	@echo "make fix     mend the style"
	@echo "make faults  break everything at random, and see that nothing is lost or left"
	@echo "make bench   the benchmarks"
	@echo "make lock    resolve requirements/*.txt again (LOCK_ARGS=--upgrade for newer versions)"
	@echo "make clean   remove what the others made"

demo: run
	@$(BIN)/sealgate demo

test: check mosquitto faketime strace tokens oracles
	@echo "Running the wire's tests beside the oracles, on cbor2 5.9 ..."
	@.venv-oracles/bin/python -m pytest -q -p no:cacheprovider $(PYTEST_ARGS) $(ORACLE_TESTS)
	@echo "Running the whole suite ..."
	@$(BIN)/python -m pytest -q $(PYTEST_ARGS)

# Counting lines makes everything a quarter slower, every command that a test runs included.
cover: check mosquitto faketime strace tokens
	@$(BIN)/python -m pytest -q --cov --cov-report=term $(PYTEST_ARGS)

check: dev
	@echo "Checking style, types and the direction of imports ..."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-logo

fix: dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

faults: dev mosquitto faketime strace
	@$(BIN)/python -m tests.faults $(FAULTS_ARGS)

bench: dev mosquitto
	@sh requirements/venv.sh .venv bench
	@$(BIN)/python -m tests.bench

clean:
	rm -rf .venv .venv-oracles .venv-lock build dist htmlcov .coverage .coverage.* .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache tests/interop/node_modules
	find device_sdk gateway tests examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

run:
	@sh requirements/venv.sh .venv run

dev: run
	@sh requirements/venv.sh .venv dev

oracles:
	@sh requirements/venv.sh .venv-oracles oracles

# Debian keeps brokers in /usr/sbin, which is not on everybody's PATH.
mosquitto:
	@PATH="$$PATH:/usr/sbin" command -v mosquitto >/dev/null || sh requirements/system.sh mosquitto "the broker Mosquitto"

# Lets a test set the clock of one process.
faketime:
	@ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || sh requirements/system.sh libfaketime "clocks that jump"

# Lets a test make one process's disk fail.
strace:
	@command -v strace >/dev/null || sh requirements/system.sh strace "disks that fail"

# Software tokens for the tests of keys in a PKCS#11 token: one that can, one that cannot.
tokens:
	@ls /usr/lib/*/libsoftokn3.so >/dev/null 2>&1 || sh requirements/system.sh libnss3 "a PKCS\#11 token"
	@command -v softhsm2-util >/dev/null || sh requirements/system.sh softhsm2 "another PKCS\#11 token"
	@command -v cc >/dev/null || sh requirements/system.sh gcc "a few lines of C before a token"

lock:
	@sh requirements/venv.sh .venv-lock lock
	@echo "Resolving requirements/*.txt ..."
	@$(LOCK) requirements/lock.in -o requirements/lock.txt
	@$(LOCK) --extra all pyproject.toml requirements/run.in -o requirements/run.txt
	@$(LOCK) --extra all --group dev pyproject.toml requirements/dev.in -o requirements/dev.txt
	@$(LOCK) --extra all --group dev pyproject.toml requirements/bench.in -o requirements/bench.txt
	@$(LOCK) --extra all pyproject.toml requirements/oracles.in -o requirements/oracles.txt
