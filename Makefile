.PHONY: quickstart test check results docs
quickstart:
	scripts/quickstart.sh
test:
	scripts/test.sh
check:
	scripts/check.sh
results: # the tables and figures of README and docs, from results/
	experiments/build_results.sh
docs: # the reference of the Python API, into docs/api
	bash -euc 'source scripts/common/lib.sh; setup_venv docs huggingface; python -m pdoc --docformat google --output-directory docs/api rdrop_fairseq'
