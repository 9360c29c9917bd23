.PHONY: quickstart test check
quickstart:
	scripts/quickstart.sh
test:
	scripts/test.sh
check:
	scripts/check.sh
