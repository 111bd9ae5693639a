# The entry points; README.md tells what they are for.
#
# KDIR=/path/to/linux   use this kernel tree (a copy of it) and not Debian's
# V=1                   show everything
# FORCE=1 make tree     throws away what is not in patches/
# BISECT=1 make check   builds the kernel at every patch
# USERS=1 make test     every in-tree user of configfs that runs in a VM, not five
# STAGES=1 make test    the selftests on base with and without the fixes, too
# ROUNDS=20 make test   races, and drivers under stress, for 20 times as long
# make series SERIES=N-name SIGNOFF="Name <mail>" ASSISTED="LLM" BASE=COMMIT

export KDIR V FORCE BISECT USERS STAGES ROUNDS SERIES SIGNOFF ASSISTED BASE

help:
	@echo 'make demo     boot the patched kernel and show what it does'
	@echo 'make shell    the same kernel with a shell on the console'
	@echo 'make test     every check and test; the last line counts them'
	@echo 'make check    the checks that need no boot (BISECT=1: build at every patch)'
	@echo 'make bench    instructions that configfs takes, unpatched and patched'
	@echo 'make rust     the Rust side, built and tried with the tools of a newer Debian'
	@echo 'make kunit    the KUnit tests of fs/configfs, on user-mode Linux'
	@echo 'make htmldocs the documentation page, in out/docs'
	@echo 'make tree     patches/ -> git branches in build/linux-7.3'
	@echo 'make refresh  those branches -> patches/ and the files at kernel paths'
	@echo 'make series   a series ready to mail, in out/series (SERIES=N-name, or all;'
	@echo '              SIGNOFF="Name <mail>" ASSISTED="LLM [TOOL]..." BASE=COMMIT)'
	@echo 'KDIR=/path/to/linux uses your kernel tree, V=1 shows everything.'

demo: setup
	@scripts/build plain
	@vm/run -t 300 -l demo-live plain 'sh /demo live'
	@vm/run -t 300 -l demo plain 'sh /demo rename'

shell: setup
	@scripts/build plain
	@vm/run plain

test: setup
	@scripts/test

check: setup
	@scripts/check

bench: setup
	@scripts/bench

rust: setup
	@scripts/rust

kunit: setup
	@scripts/kunit

htmldocs: setup
	@scripts/htmldocs

series: setup
	@scripts/series

tree: setup

setup:
	@scripts/packages
	@scripts/tree

refresh:
	@scripts/refresh

.PHONY: help demo shell test check bench rust kunit htmldocs series tree setup refresh
