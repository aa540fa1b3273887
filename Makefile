# The two commands of the README, and what they need. Everything lands in .venv/ and build/.

.PHONY: setup demo test test-long lint formal clean

setup:
	@gcu/setup.sh

demo: setup
	@.venv/bin/gcu run digits --waves

test: setup lint
	@.venv/bin/gcu regress

test-long: setup lint
	@.venv/bin/gcu regress --long

lint: setup
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy --no-error-summary rtl sim compiler verif gcu

formal: setup
	@.venv/bin/python -m verif.formal

clean:
	rm -rf build
