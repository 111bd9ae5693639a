#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test drivers whose devices are configured in configfs and then enabled:
# gpio-sim, gpio-virtuser, gpio-aggregator and null_blk. The configuration must
# not change while a device is enabled, and no stale state may be left when a
# device is disabled and enabled again.
#
# usage: drivers.sh [-l] [-c CASE]
#
#   -l       list the cases
#   -c CASE  run this case only
#
# Some cases put a driver under stress, nvmet as well. CONFIGFS_TEST_ROUNDS=20
# makes these run for 20 times as long.
#
# On kernels without the fixes, some cases cause a crash or memory corruption.
# They are skipped unless they are selected with -c, or CONFIGFS_TEST_CRASH=1 is
# set in the environment. If a case fails, the fix that it needs is printed.

DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=/dev/null
source "$DIR"/../kselftest/ktap_helpers.sh

export LC_ALL=C

# NAME crashes|safe DRIVERS FIX
cases=(
"sim_hog        safe    gpio-sim gpio: sim: fix kernel BUG after a hog is added to a live chip"
"sim_valid      safe    gpio-sim gpio: sim: fix 'valid' being writable while the chip is live"
"sim_bank       safe    gpio-sim gpio: sim: fix removal of banks without lines from a live chip"
"sim_race       crashes gpio-sim gpio: sim: fix race between going live and mkdir() or rmdir()"
"virtuser_name  safe    gpio-virtuser gpio: virtuser: fix dev_name of a device that is not live"
"virtuser_race  crashes gpio-sim,gpio-virtuser gpio: virtuser: fix race between going live and mkdir() or rmdir()"
"agg_race       crashes gpio-sim,gpio-aggregator gpio: aggregator: fix race between going live and mkdir() or rmdir()"
"agg_unbind     safe    gpio-sim,gpio-aggregator gpio: aggregator: fix aggregators that are stuck after unbind"
"agg_delete     crashes gpio-sim,gpio-aggregator gpio: aggregator: fix use-after-free when live races with delete_device"
"nullb_mbps     crashes null_blk null_blk: fix NULL dereference when powered on again without mbps"
"nullb_timer    crashes null_blk null_blk: fix use-after-free of the bandwidth timer"
"nullb_cache    safe    null_blk null_blk: fix lost writes when powered on again without cache_size"
"nullb_zones    safe    null_blk null_blk: fix stale counts of open zones when powered on again"
"sim_stress     crashes gpio-sim gpio: sim: fix race between going live and mkdir() or rmdir()"
"virtuser_stress crashes gpio-sim,gpio-virtuser gpio: virtuser: fix race between going live and mkdir() or rmdir()"
"agg_stress     crashes gpio-sim,gpio-aggregator gpio: aggregator: fix race between going live and mkdir() or rmdir()"
"nullb_stress   safe    null_blk null_blk: leave it to configfs that a device that is on is frozen"
"nvmet_stress   safe    null_blk,nvmet nvmet: leave it to configfs that an enabled namespace is frozen"
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
# Unique for each run, so that devices of other users are left alone.
me=kselftest-$$

note() { ktap_print_msg "$case: $*"; }

mount_configfs()
{
	[ -z "$configfs" ] || return 0
	modprobe -q configfs
	mount -t configfs none /sys/kernel/config 2>/dev/null || return
	configfs=/sys/kernel/config mounted=y
}

# driver MODULE: load the module if its configfs directory does not exist yet.
driver()
{
	local subsystem=$1 param=()

	if [ "$1" = null_blk ]; then subsystem=nullb param=(nr_devices=0); fi
	[ -d "$configfs/$subsystem" ] && return
	modprobe -q "$1" "${param[@]}" 2>/dev/null && loaded=("$1" "${loaded[@]}")
	[ -d "$configfs/$subsystem" ]
}

# put VALUE FILE: a write that must succeed.
put()
{
	local err

	err=$({ echo "$1" >"$2"; } 2>&1) && return
	note "writing $1 to $2: ${err##*: }"
	return 1
}

# busy COMMAND...: a command that must fail with EBUSY.
busy()
{
	local err

	if err=$("$@" 2>&1); then
		note "'$*' succeeded, should fail with EBUSY"
		return 1
	fi
	if [[ $err != *"Device or resource busy"* ]]; then
		note "$err"
		return 1
	fi
}

# remove DIR: remove it with everything below it.
remove()
{
	[ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} + || note "$1 remains"
}

# disable DIR: disable the device if it is enabled, and remove it.
disable()
{
	{ echo 0 >"$1/live"; } 2>/dev/null
	remove "$1"
}

# Enable and disable the device COUNT times. Runs in the background; its output
# ends the race. Prints how often the device went live, and how often it failed
# to, because of churn().
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

# Create and remove directories until the file descriptor becomes readable. Sets
# $made to the number of times that all of them could be created, and $refused
# to the number of times that at least one could not.
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

# race DIR LEAF SUBDIR...: make and remove each SUBDIR while DIR, which contains
# LEAF, is enabled and disabled.
race()
{
	local dir=$1 leaf=$2 made refused on refused_on fd rc=0
	shift 2

	exec {fd}< <(toggle 200 "$dir/live")
	churn "$fd" "$@"
	read -r -u "$fd" on refused_on
	exec {fd}<&-
	note "live: $on succeeded, $refused_on failed; mkdir: $made succeeded, $refused failed"
	if [ "$((refused + refused_on))" -eq 0 ] || [ "$on" -eq 0 ]; then
		note "SKIP: the operations never collided"
		rc=$KSFT_SKIP
	fi

	# Nothing may stay locked, and the device must still work.
	mkdir -p "$@" && rmdir "$@" &&
	put 1 "$dir/live" && busy rmdir "$leaf" && put 0 "$dir/live" && rmdir "$leaf" || rc=1
	return "$rc"
}

# worker FD COMMAND: run it again and again until the file descriptor becomes
# readable, and say how often it succeeded and how often it was refused.
worker()
{
	local fd=$1 command=$2 done=0 refused=0

	while ! read -r -t 0 -u "$fd"; do
		if "$command" 2>/dev/null; then
			done=$((done + 1))
		else
			refused=$((refused + 1))
		fi
	done
	note "$command: $done done, $refused refused"
}

# Enable and disable a device by the attribute SWITCH, 20 times
# CONFIGFS_TEST_ROUNDS. While it is enabled, the attribute FROZEN must not change,
# and CHECK must find that the device is what its attributes say.
toggle_and_check()	# SWITCH FROZEN CHECK
{
	local switch=$1 frozen=$2 check=$3 on=0 refused=0 rc=0 i value

	for ((i = 20 * ${CONFIGFS_TEST_ROUNDS:-1}; i > 0; i--)); do
		if ! { echo 1 >"$switch"; } 2>/dev/null; then
			refused=$((refused + 1))
			continue
		fi
		on=$((on + 1))
		value=$(<"$frozen")
		busy put "$value" "$frozen" && "$check" || rc=1
		[ "$value" = "$(<"$frozen")" ] || { note "$frozen has changed"; rc=1; }
		put 0 "$switch" || rc=1
	done
	note "enabled $on times, refused $refused times"
	[ "$on" -gt 0 ] || rc=1
	return "$rc"
}

# stress SWITCH FROZEN CHECK WORKER...: toggle_and_check() while each WORKER changes
# something again and again.
stress()
{
	local pids=() out fd rc i

	exec {out}>&1
	exec {fd}< <(toggle_and_check "$1" "$2" "$3" >&"$out"; echo "$?")
	shift 3
	for i; do worker "$fd" "$i" & pids+=($!); done
	wait "${pids[@]}"
	read -r -u "$fd" rc
	exec {fd}<&- {out}>&-
	return "$rc"
}

# frozen DIR [NAME[=VALUE]]...: the attributes in DIR cannot be written, but for
# these, which can be set to VALUE.
frozen()
{
	local dir=$1 file name live rc=0

	shift
	for file in "$dir"/*; do
		name=${file##*/}
		[ -f "$file" ] || continue
		[ -n "$(find "$file" -perm -200)" ] || continue
		for live; do
			[ "$name" != "${live%%=*}" ] || continue 2
		done
		busy put "$(<"$file")" "$file" || rc=1
	done
	for live; do
		case $live in *=*) put "${live#*=}" "$dir/${live%%=*}" || rc=1 ;; esac
	done
	return "$rc"
}

#
# The cases. cleanup() disables and removes what a case has made.
#

#
# gpio-sim
#

# chip LINES: make a live chip; $me is its name and its label.
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
	# With the hog, a kernel without the fix crashes when the chip is disabled.
	[ ! -d "$dir/bank/line0/hog" ] || rmdir "$dir/bank/line0/hog"
	return $rc
}

sim_valid()
{
	local dir=$configfs/gpio-sim/$me rc=0

	mkdir "$dir" "$dir/bank" "$dir/bank/line0" && put 1 "$dir/live" || return
	busy put 0 "$dir/bank/line0/valid" || rc=1
	grep -qx 1 "$dir/bank/line0/valid" || rc=1
	put 0 "$dir/live" && put 0 "$dir/bank/line0/valid" || rc=1
	return $rc
}

sim_bank()
{
	local dir=$configfs/gpio-sim/$me rc=0

	chip 1 || return
	busy rmdir "$dir/bank" || rc=1
	put 0 "$dir/live" && rmdir "$dir/bank" 2>/dev/null || rc=1
	return $rc
}

sim_race()
{
	local dir=$configfs/gpio-sim/$me

	mkdir "$dir" "$dir/bank" "$dir/bank/line0" || return
	race "$dir" "$dir/bank/line0" "$dir"/bank/line{1..8}
}

sim_lines() { echo "$((RANDOM % 8 + 1))" >"$configfs/gpio-sim/$me/bank/num_lines"; }
sim_name() { echo "$RANDOM" >"$configfs/gpio-sim/$me/bank/line0/name"; }
sim_hogs()
{
	local line=$configfs/gpio-sim/$me/bank/line0

	mkdir "$line/hog" || rmdir "$line/hog"
}
sim_banks()
{
	local bank=$configfs/gpio-sim/$me/other

	mkdir "$bank" "$bank/line0" || rmdir "$bank/line0" "$bank"
}

# sim_gpioN is what the driver has for each line
sim_check()
{
	local dir=$configfs/gpio-sim/$me lines
	lines=(/sys/devices/platform/"$(<"$dir/dev_name")"/"$(<"$dir/bank/chip_name")"/sim_gpio*)

	[ "${#lines[@]}" -eq "$(<"$dir/bank/num_lines")" ] && return
	note "num_lines is $(<"$dir/bank/num_lines"), but there are ${#lines[@]}"
	return 1
}

sim_stress()
{
	local dir=$configfs/gpio-sim/$me

	mkdir "$dir" "$dir/bank" "$dir/bank/line0" || return
	stress "$dir/live" "$dir/bank/num_lines" sim_check \
		sim_lines sim_name sim_hogs sim_banks &&
	put 1 "$dir/live" && frozen "$dir/bank" && frozen "$dir/bank/line0"
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
	return $rc
}

virtuser_race()
{
	local dir=$configfs/gpio-virtuser/$me

	chip 16 &&
	mkdir "$dir" "$dir/lookup" "$dir/lookup/0" &&
	put "$me" "$dir/lookup/0/key" &&
	put 0 "$dir/lookup/0/offset" || return
	race "$dir" "$dir/lookup/0" "$dir"/lookup/{1..8}
}

virtuser_offset() { echo "$((RANDOM % 16))" >"$configfs/gpio-virtuser/$me/lookup/0/offset"; }
virtuser_lookups()
{
	local dir=$configfs/gpio-virtuser/$me/other

	mkdir "$dir" "$dir/0" || rmdir "$dir/0" "$dir"
}

# bound DRIVER: whether its platform device has been probed
bound()
{
	local name
	name=$(<"$configfs/$1/$me/dev_name")

	[ -e "/sys/bus/platform/drivers/$1/$name" ] && return
	note "$name is not bound"
	return 1
}

virtuser_check() { bound gpio-virtuser; }

virtuser_stress()
{
	local dir=$configfs/gpio-virtuser/$me

	chip 16 &&
	mkdir "$dir" "$dir/lookup" "$dir/lookup/0" &&
	put "$me" "$dir/lookup/0/key" &&
	put 0 "$dir/lookup/0/offset" || return
	stress "$dir/live" "$dir/lookup/0/offset" virtuser_check \
		virtuser_offset virtuser_lookups || return
	remove "$dir/other"
	put 1 "$dir/live" && frozen "$dir/lookup/0"
}

#
# gpio-aggregator
#

aggregator=/sys/bus/platform/drivers/gpio-aggregator

agg_race()
{
	local dir=$configfs/gpio-aggregator/$me

	chip 16 &&
	mkdir "$dir" "$dir/line0" &&
	put "$me" "$dir/line0/key" &&
	put 0 "$dir/line0/offset" || return
	race "$dir" "$dir/line0" "$dir"/line{1..8}
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
		# Without the fix, the aggregator cannot be disabled unless it
		# is bound again, which crashes if a line has been added.
		[ ! -d "$dir/line1" ] || rmdir "$dir/line1"
		{ echo "$name" >"$aggregator/bind"; } 2>/dev/null
	fi
	return $rc
}

# Create and delete an aggregator through sysfs COUNT times. Prints how often
# creating it succeeded and failed.
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
	note "new_device: $made succeeded, $failed failed"
	note "live: $on succeeded, $refused failed; off: $off succeeded"
	[ "$failed" -eq 0 ] || return 1
	if [ "$on" -eq 0 ] || [ "$refused" -eq 0 ]; then
		note "SKIP: the operations never collided"
		return "$KSFT_SKIP"
	fi
}

agg_offset() { echo "$((RANDOM % 16))" >"$configfs/gpio-aggregator/$me/line0/offset"; }
agg_lines()
{
	local line=$configfs/gpio-aggregator/$me/line1

	mkdir "$line" || rmdir "$line"
}
agg_check() { bound gpio-aggregator; }

agg_stress()
{
	local dir=$configfs/gpio-aggregator/$me

	chip 16 &&
	mkdir "$dir" "$dir/line0" &&
	put "$me" "$dir/line0/key" &&
	put 0 "$dir/line0/offset" || return
	stress "$dir/live" "$dir/line0/offset" agg_check agg_offset agg_lines || return
	remove "$dir/line1"
	put 1 "$dir/live" && frozen "$dir/line0"
}

#
# null_blk
#

# disk ATTR=VALUE...: make a disk named $me, set the attributes, and power it on.
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
	# The names differ only beyond the maximum length of a disk name.
	local name=$me-0123456789012345678901234567890
	local one=$configfs/nullb/${name}1 two=$configfs/nullb/${name}2 rc=0 printk i

	# The timer stops after 20 ms without a request. Printing the error
	# about the duplicate name to the console may take longer, so mute it.
	read -r printk </proc/sys/kernel/printk
	echo 1 >/proc/sys/kernel/printk
	mkdir "$one" "$two" && put 1 "$one/power" && put 1 "$two/mbps" || rc=1
	for ((i = 0; i < 10 && rc == 0; i++)); do
		if { echo 1 >"$two/power"; } 2>/dev/null; then
			note "SKIP: this kernel allows duplicate disk names"
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

	# Writing a second block of a page would save the first one.
	disk size=4 blocksize=4096 memory_backed=1 cache_size=1 && off &&
	disk cache_size=0 || return
	printf -v block '%4096s' "$me"
	echo -n "$block" | dd of="/dev/$me" bs=4096 iflag=fullblock conv=fsync 2>/dev/null
	off && disk || return
	if [ "$block" != "$(dd if="/dev/$me" bs=4096 count=1 2>/dev/null | tr '\0' 0)" ]; then
		note "data was written and synced, but lost at power off"
		return 1
	fi
}

nullb_zones()
{
	local i

	if ! disk size=16 zone_size=4 zone_max_active=1 zoned=1; then
		note "SKIP: no zoned disks"
		return "$KSFT_SKIP"
	fi
	# Each write opens a zone, and only one may be open at a time. With a
	# stale count, the second write fails.
	for i in 1 2; do
		if ! dd if=/dev/zero of="/dev/$me" bs=4096 count=1 conv=fsync 2>/dev/null; then
			note "write $i failed"
			return 1
		fi
		off && disk || return
	done
}

nullb_size() { echo "$((RANDOM % 8 + 1))" >"$configfs/nullb/$me/size"; }
nullb_badblocks() { echo "+1000-$((RANDOM % 8 + 1000))" >"$configfs/nullb/$me/badblocks"; }
nullb_read() { dd if="/dev/$me" of=/dev/null bs=4096 count=8; }
# Remove another disk that is on
nullb_other()
{
	mkdir "$configfs/nullb/$me-2" && echo 1 >"$configfs/nullb/$me-2/power"
	rmdir "$configfs/nullb/$me-2"
}

nullb_check()
{
	local sectors size
	sectors=$(<"/sys/block/$me/size") size=$(<"$configfs/nullb/$me/size")

	[ "$sectors" -eq "$((size * 2048))" ] && return
	note "size is $size, but the disk has $sectors sectors"
	return 1
}

nullb_stress()
{
	local dir=$configfs/nullb/$me

	mkdir "$dir" && put 1 "$dir/memory_backed" || return
	stress "$dir/power" "$dir/size" nullb_check \
		nullb_size nullb_badblocks nullb_read nullb_other &&
	put 1 "$dir/power" &&
	frozen "$dir" power=1 badblocks=+1000-1001 submit_queues=1 poll_queues=0 \
		zone_readonly zone_offline
}

#
# nvmet
#

nvmet_put() { echo "$1" >"$configfs/nvmet/subsystems/$me/namespaces/1/$2"; }
nvmet_uuid() { nvmet_put "$(</proc/sys/kernel/random/uuid)" device_uuid; }
nvmet_revalidate() { nvmet_put 1 revalidate_size; }
nvmet_group() { nvmet_put 1 ana_grpid; }
# Remove another namespace that is enabled
nvmet_other()
{
	local ns=$configfs/nvmet/subsystems/$me/namespaces/2

	mkdir "$ns" && echo -n "/dev/$me" >"$ns/device_path" && echo 1 >"$ns/enable"
	rmdir "$ns"
}

nvmet_check() { [ "$(<"$configfs/nvmet/subsystems/$me/namespaces/1/enable")" = 1 ]; }

nvmet_stress()
{
	local dir=$configfs/nvmet/subsystems/$me

	disk size=4 memory_backed=1 &&
	mkdir "$dir" "$dir/namespaces/1" &&
	put "/dev/$me" "$dir/namespaces/1/device_path" || return
	stress "$dir/namespaces/1/enable" "$dir/namespaces/1/device_uuid" nvmet_check \
		nvmet_uuid nvmet_revalidate nvmet_group nvmet_other &&
	put 1 "$dir/namespaces/1/enable" &&
	frozen "$dir/namespaces/1" enable=1 ana_grpid=1 revalidate_size=1
}

#
# Running the cases
#

cleanup()
{
	local dir

	for dir in gpio-virtuser gpio-aggregator gpio-sim; do
		[ ! -d "$configfs/$dir/$me" ] || disable "$configfs/$dir/$me"
	done
	dir=$configfs/nvmet/subsystems/$me
	for dir in "$dir"/namespaces/*/ "$dir" "$configfs/nullb/$me"*; do
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
		note "SKIP: would crash a kernel without '$3'; set CONFIGFS_TEST_CRASH=1 to run it"
		ktap_test_skip "$case"
		return
	fi
	for driver in ${2//,/ }; do
		if ! driver "$driver"; then
			note "SKIP: cannot load the driver $driver"
			ktap_test_skip "$case"
			return
		fi
	done

	read -r tainted </proc/sys/kernel/tainted
	"$case"
	rc=$?
	cleanup
	if [ "$tainted" != "$(cat /proc/sys/kernel/tainted)" ]; then
		note "the kernel is now tainted: $(cat /proc/sys/kernel/tainted)"
		rc=1
	fi
	case $rc in
	0) ktap_test_pass "$case" ;;
	"$KSFT_SKIP") ktap_test_skip "$case" ;;
	*) ktap_print_msg "needs: $3"
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
	echo "$0: no such case: '$only'; list them with $0 -l" >&2
	exit "$KSFT_FAIL"
fi

ktap_set_plan ${#selected[@]}
for line in "${selected[@]}"; do
	read -r case crashes drivers fix <<<"$line"
	run_case "$crashes" "$drivers" "$fix"
done
ktap_finished
