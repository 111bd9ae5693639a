#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Drivers that configure a device in configfs and then enable it: gpio-sim,
# gpio-virtuser, gpio-aggregator and null_blk. What may not change while the
# device is enabled, and what must not be left from the last time it was.
#
# usage: drivers.sh [-l] [-c CASE]
#
#   -l       list the cases
#   -c CASE  run this case only
#
# Some cases crash a kernel that lacks the fix, or corrupt its memory. They
# are skipped unless named with -c, or unless CONFIGFS_TEST_CRASH=1 is in the
# environment. A case that fails says which fix it wants.

DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=/dev/null
source "$DIR"/../kselftest/ktap_helpers.sh

export LC_ALL=C

# NAME CRASHES|safe DRIVERS FIX
cases=(
"sim_hog        safe    gpio-sim gpio: sim: fix kernel BUG after a hog is added to a live chip"
"sim_valid      safe    gpio-sim gpio: sim: refuse to change 'valid' of a live chip"
"sim_bank       safe    gpio-sim gpio: sim: lock up banks without lines"
"sim_race       crashes gpio-sim gpio: sim: fix race between going live and mkdir() or rmdir()"
"virtuser_name  safe    gpio-virtuser gpio: virtuser: fix dev_name of a device that is not live"
"virtuser_race  crashes gpio-sim,gpio-virtuser gpio: virtuser: fix race between going live and mkdir() or rmdir()"
"agg_race       crashes gpio-sim,gpio-aggregator gpio: aggregator: fix race between going live and mkdir() or rmdir()"
"agg_unbind     safe    gpio-sim,gpio-aggregator gpio: aggregator: fix aggregators that are stuck after unbind"
"agg_delete     crashes gpio-sim,gpio-aggregator gpio: aggregator: fix use-after-free when going live races with delete_device"
"nullb_mbps     crashes null_blk null_blk: fix NULL dereference when powered on again without mbps"
"nullb_timer    crashes null_blk null_blk: fix use-after-free of the bandwidth timer"
"nullb_cache    safe    null_blk null_blk: fix lost writes when powered on again without cache_size"
"nullb_zones    safe    null_blk null_blk: fix stale counts of open zones when powered on again"
)

only=
while getopts c:l opt; do
	case $opt in
	c) only=$OPTARG ;;
	l) printf '%s\n' "${cases[@]%% *}"; exit 0 ;;
	*) echo "usage: $0 [-l] [-c CASE]" >&2; exit "$KSFT_FAIL" ;;
	esac
done

configfs=$(awk '$3 == "configfs" { print $2; exit }' /proc/mounts)
mounted=
loaded=()
# Different in each run, so that nobody else's devices are touched.
me=kselftest-$$

note() { ktap_print_msg "$case: $*"; }

mount_configfs()
{
	[ -z "$configfs" ] || return 0
	modprobe -q configfs
	mount -t configfs none /sys/kernel/config 2>/dev/null || return
	configfs=/sys/kernel/config mounted=y
}

# driver MODULE: loads it unless it is there.
driver()
{
	local subsystem=$1 param=()

	if [ "$1" = null_blk ]; then subsystem=nullb param=(nr_devices=0); fi
	[ -d "$configfs/$subsystem" ] && return
	modprobe -q "$1" "${param[@]}" 2>/dev/null && loaded=("$1" "${loaded[@]}")
	[ -d "$configfs/$subsystem" ]
}

# put VALUE FILE: a write that is expected to work.
put()
{
	local err

	err=$({ echo "$1" >"$2"; } 2>&1) && return
	note "writing $1 to $2: ${err##*: }"
	return 1
}

# busy COMMAND...: that it fails with EBUSY.
busy()
{
	local err

	if err=$("$@" 2>&1); then
		note "'$*' succeeds"
		return 1
	fi
	if [[ $err != *"Device or resource busy"* ]]; then
		note "$err"
		return 1
	fi
}

# remove DIR: and everything that was made in it.
remove()
{
	[ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} + || note "$1 is left"
}

# disable DIR: and remove it. Works whatever became of it before.
disable()
{
	{ echo 0 >"$1/live"; } 2>/dev/null
	remove "$1"
}

# Runs in the background and ends the race after COUNT rounds. Prints how often the
# device went live, and how often that was refused because of what churn() did.
toggle()	# COUNT LIVE
{
	local i on=0 refused=0

	for ((i = 0; i < $1; i++)); do
		if { echo 1 >"$2"; } 2>/dev/null; then
			on=$((on + 1))
		else
			refused=$((refused + 1))
		fi
		{ echo 0 >"$2"; } 2>/dev/null
	done
	echo "$on $refused"
}

# Makes and removes directories until the file descriptor has something to read.
# Counts in $made and $refused how often mkdir() worked, and did not.
churn()		# FD DIR...
{
	local fd=$1

	made=0 refused=0
	shift
	while ! read -r -t 0 -u "$fd"; do
		if mkdir "$@" 2>/dev/null; then
			made=$((made + 1))
		else
			refused=$((refused + 1))
		fi
		rmdir "$@" 2>/dev/null
	done
}

# race DIR LEAF SUBDIR...: SUBDIR come and go while DIR, which has a LEAF, goes live
# and back.
race()
{
	local dir=$1 leaf=$2 made refused on refused_on fd rc=0
	shift 2

	exec {fd}< <(toggle 200 "$dir/live")
	churn "$fd" "$@"
	read -r -u "$fd" on refused_on
	exec {fd}<&-
	note "went live $on times, refused $refused_on; mkdir worked $made times, refused $refused"
	if [ "$((refused + refused_on))" -eq 0 ] || [ "$on" -eq 0 ] || [ "$made" -eq 0 ]; then
		note "the two never met"
		rc=$KSFT_SKIP
	fi

	# Nothing may be left locked up, and it must still work.
	mkdir -p "$@" && rmdir "$@" &&
	put 1 "$dir/live" && busy rmdir "$leaf" && put 0 "$dir/live" && rmdir "$leaf" || rc=1
	return "$rc"
}

#
# gpio-sim
#

# chip LINES: a live one that is called $me, as is its label.
chip()
{
	local dir=$configfs/gpio-sim/$me

	mkdir "$dir" "$dir/bank" &&
	put "$me" "$dir/bank/label" &&
	put "$1" "$dir/bank/num_lines" &&
	put 1 "$dir/live"
}

sim_hog()
{
	local dir=$configfs/gpio-sim/$me rc=0

	mkdir "$dir" "$dir/bank" "$dir/bank/line0" && put 1 "$dir/live" || return
	busy mkdir "$dir/bank/line0/hog" || rc=1
	# A kernel that has allowed it would crash when the chip is disabled.
	[ ! -d "$dir/bank/line0/hog" ] || rmdir "$dir/bank/line0/hog"
	disable "$dir"
	return $rc
}

sim_valid()
{
	local dir=$configfs/gpio-sim/$me rc=0

	mkdir "$dir" "$dir/bank" "$dir/bank/line0" && put 1 "$dir/live" || return
	busy put 0 "$dir/bank/line0/valid" || rc=1
	grep -qx 1 "$dir/bank/line0/valid" || rc=1
	put 0 "$dir/live" && put 0 "$dir/bank/line0/valid" || rc=1
	disable "$dir"
	return $rc
}

sim_bank()
{
	local dir=$configfs/gpio-sim/$me rc=0

	chip 1 || return
	busy rmdir "$dir/bank" || rc=1
	put 0 "$dir/live" && rmdir "$dir/bank" 2>/dev/null || rc=1
	disable "$dir"
	return $rc
}

sim_race()
{
	local dir=$configfs/gpio-sim/$me rc

	mkdir "$dir" "$dir/bank" "$dir/bank/line0" || return
	race "$dir" "$dir/bank/line0" "$dir"/bank/line{1..8}
	rc=$?
	disable "$dir"
	return $rc
}

#
# gpio-virtuser
#

virtuser_name()
{
	local dir=$configfs/gpio-virtuser/$me rc=0

	mkdir "$dir" || return
	case $(cat "$dir/dev_name") in
	gpio-virtuser.[0-9]*) ;;
	*) note "dev_name: $(cat "$dir/dev_name")"; rc=1 ;;
	esac
	disable "$dir"
	return $rc
}

virtuser_race()
{
	local dir=$configfs/gpio-virtuser/$me rc

	chip 16 &&
	mkdir "$dir" "$dir/lookup" "$dir/lookup/0" &&
	put "$me" "$dir/lookup/0/key" &&
	put 0 "$dir/lookup/0/offset" || return
	race "$dir" "$dir/lookup/0" "$dir"/lookup/{1..8}
	rc=$?
	disable "$dir"
	return $rc
}

#
# gpio-aggregator
#

aggregator=/sys/bus/platform/drivers/gpio-aggregator

agg_race()
{
	local dir=$configfs/gpio-aggregator/$me rc

	chip 16 &&
	mkdir "$dir" "$dir/line0" &&
	put "$me" "$dir/line0/key" &&
	put 0 "$dir/line0/offset" || return
	race "$dir" "$dir/line0" "$dir"/line{1..8}
	rc=$?
	disable "$dir"
	return $rc
}

agg_unbind()
{
	local dir=$configfs/gpio-aggregator/$me rc=0 name

	chip 1 &&
	mkdir "$dir" "$dir/line0" &&
	put "$me" "$dir/line0/key" &&
	put 0 "$dir/line0/offset" &&
	put 1 "$dir/live" || return
	name=$(cat "$dir/dev_name")
	put "$name" "$aggregator/unbind"
	grep -qx 1 "$dir/live" || { note "live after unbind: $(cat "$dir/live")"; rc=1; }
	busy mkdir "$dir/line1" || rc=1
	put 0 "$dir/live" || rc=1
	if [ $rc -ne 0 ]; then
		# Without the fix, only this lets go of it, and a kernel that has
		# allowed another line would crash.
		[ ! -d "$dir/line1" ] || rmdir "$dir/line1"
		{ echo "$name" >"$aggregator/bind"; } 2>/dev/null
	fi
	disable "$dir"
	return $rc
}

# Makes an aggregator through sysfs and deletes it, COUNT times. Prints how often,
# and how often it could not be made.
make_and_delete()
{
	local i made=0 failed=0 dir

	for ((i = 0; i < $1; i++)); do
		if { echo "$me 0" >"$aggregator/new_device"; } 2>/dev/null; then
			made=$((made + 1))
		else
			failed=$((failed + 1))
		fi
		for dir in "$configfs"/gpio-aggregator/_sysfs.*; do
			if grep -qsx "$me" "$dir/line0/key"; then
				echo "gpio-aggregator.${dir##*.}" >"$aggregator/delete_device"
			fi
		done
	done
	echo "$made $failed"
}

agg_delete()
{
	local fd dir on=0 off=0 refused=0 key made failed

	chip 1 || return
	exec {fd}< <(make_and_delete 100)
	while ! read -r -t 0 -u "$fd"; do
		for dir in "$configfs"/gpio-aggregator/_sysfs.*; do
			{ read -r key <"$dir/line0/key"; } 2>/dev/null || continue
			[ "$key" = "$me" ] || continue
			{ echo 0 >"$dir/live"; } 2>/dev/null && off=$((off + 1))
			if { echo 1 >"$dir/live"; } 2>/dev/null; then
				on=$((on + 1))
			else
				refused=$((refused + 1))
			fi
		done
	done
	read -r -u "$fd" made failed
	exec {fd}<&-
	note "made and deleted $made, failed $failed; went live $on times, back $off, refused $refused"
	[ "$failed" -eq 0 ] || return 1
	if [ "$on" -eq 0 ] || [ "$refused" -eq 0 ]; then
		note "the two never met"
		return "$KSFT_SKIP"
	fi
}

#
# null_blk
#

# disk ATTR=VALUE...: called $me; powered on.
disk()
{
	local dir=$configfs/nullb/$me attr

	[ -d "$dir" ] || mkdir "$dir" || return
	for attr; do
		put "${attr#*=}" "$dir/${attr%%=*}" || return
	done
	put 1 "$dir/power"
}

off() { put 0 "$configfs/nullb/$me/power"; }

nullb_mbps()
{
	disk size=4 memory_backed=1 mbps=100 && off && disk mbps=0 &&
	dd if="/dev/$me" of=/dev/null bs=4096 count=1 2>/dev/null
}

nullb_timer()
{
	# Two directories, but what fits into the name of a disk is the same.
	local name=$me-0123456789012345678901234567890
	local one=$configfs/nullb/${name}1 two=$configfs/nullb/${name}2 rc=0 printk i

	# The timer stops by itself after 20 ms, if there is no request. The message
	# that the name is taken must not last that long.
	read -r printk </proc/sys/kernel/printk
	echo 1 >/proc/sys/kernel/printk
	mkdir "$one" "$two" && put 1 "$one/power" && put 1 "$two/mbps" || rc=1
	for ((i = 0; i < 10 && rc == 0; i++)); do
		if { echo 1 >"$two/power"; } 2>/dev/null; then
			note "two disks have the same name"
			rc=$KSFT_SKIP
		fi
	done
	sleep 0.1
	echo "$printk" >/proc/sys/kernel/printk
	rmdir "$one" "$two"
	return "$rc"
}

nullb_cache()
{
	local block

	disk size=4 memory_backed=1 cache_size=1 && off && disk cache_size=0 || return
	printf -v block '%4096s' "$me"
	echo -n "$block" | dd of="/dev/$me" bs=4096 iflag=fullblock conv=fsync 2>/dev/null
	off && disk || return
	if [ "$block" != "$(dd if="/dev/$me" bs=4096 count=1 2>/dev/null | tr '\0' 0)" ]; then
		note "what was written, and synced, is lost when the disk is powered off"
		return 1
	fi
}

nullb_zones()
{
	local i

	if ! disk size=16 zone_size=4 zone_max_active=1 zoned=1; then
		note "no zoned disks"
		return "$KSFT_SKIP"
	fi
	# Each time, one zone is opened, which is as many as may be.
	for i in 1 2; do
		if ! dd if=/dev/zero of="/dev/$me" bs=4096 count=1 conv=fsync 2>/dev/null; then
			note "write $i fails"
			return 1
		fi
		off && disk || return
	done
}

#
# All of them
#

cleanup()
{
	local dir

	for dir in gpio-virtuser gpio-aggregator gpio-sim; do
		[ ! -d "$configfs/$dir/$me" ] || disable "$configfs/$dir/$me"
	done
	for dir in "$configfs/nullb/$me"*; do
		[ ! -d "$dir" ] || rmdir "$dir"
	done
}

finish()
{
	local module

	cleanup
	for module in "${loaded[@]}"; do
		modprobe -q -r "$module" 2>/dev/null || rmmod "$module"
	done
	[ -z "$mounted" ] || umount "$configfs"
}

run_case()	# CRASHES DRIVERS FIX
{
	local rc tainted driver

	if [ "$1" = crashes ] && [ "$only" != "$case" ] && [ "${CONFIGFS_TEST_CRASH:-}" != 1 ]; then
		note "may crash a kernel without '$3'; -c $case runs it"
		ktap_test_skip "$case"
		return
	fi
	for driver in ${2//,/ }; do
		if ! driver "$driver"; then
			note "no $driver here"
			ktap_test_skip "$case"
			return
		fi
	done

	read -r tainted </proc/sys/kernel/tainted
	"$case"
	rc=$?
	cleanup
	if [ "$tainted" != "$(cat /proc/sys/kernel/tainted)" ]; then
		note "the kernel is tainted now: $(cat /proc/sys/kernel/tainted)"
		rc=1
	fi
	case $rc in
	0) ktap_test_pass "$case" ;;
	"$KSFT_SKIP") ktap_test_skip "$case" ;;
	*) note "wants '$3'"
	   ktap_test_fail "$case" ;;
	esac
}

ktap_print_header

if [ "$(id -u)" -ne 0 ]; then
	ktap_skip_all "must be run as root"
	exit "$KSFT_SKIP"
fi
if ! mount_configfs; then
	ktap_skip_all "no configfs"
	exit "$KSFT_SKIP"
fi

trap finish EXIT
trap 'exit 1' INT TERM

selected=()
for line in "${cases[@]}"; do
	[ -n "$only" ] && [ "${line%% *}" != "$only" ] || selected+=("$line")
done
if [ ${#selected[@]} -eq 0 ]; then
	echo "there is no case '$only'" >&2
	exit "$KSFT_FAIL"
fi

ktap_set_plan ${#selected[@]}
for line in "${selected[@]}"; do
	read -r case crashes drivers fix <<<"$line"
	run_case "$crashes" "$drivers" "$fix"
done
ktap_finished
