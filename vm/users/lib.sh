# shellcheck shell=sh
# Sourced by every script here. A script is a session at a shell, and its output
# the transcript: commands behind "$", what they print, and their status if it
# is not 0. It is compared with that of another kernel, character by character:
# what differs from run to run for good reasons is hidden (see `hide`), and
# nothing else.

out=$(mktemp)
hidden=${USERS_HIDDEN:-$(mktemp)}	# sed script, which `run` also applies to the kernel's messages

say() { printf '\n: %s\n' "$*"; }

# hide SED-COMMAND: from now on. Say why at every call.
hide() { printf '%s\n' "$1" >>"$hidden"; }

# The shell prefers the programs that are in busybox to those in the path.
ip() { /bin/ip "$@"; }

# Output as it is shown, from stdin. The file and the line of this script are of
# no interest in the shell's messages, nor is when it notices that a job has
# ended, nor the time in those of dd.
shown()
{
	sed -E -e "s,^($0|/users/lib\.sh|sh): (eval: )*(line [0-9]+: )*,sh: ," \
		-e 's/^(sh: [a-z]+: )line [0-9]+: /\1/' -e 's/( copied), .*/\1/' \
		-e '/^Terminated$/d' -f "$hidden"
}

# shell_line CMD: a line for it.
shell_line()
{
	# A process is slow in an emulated machine.
	if [ -s "$hidden" ]; then
		printf '$ %s\n' "$1" | sed -E -f "$hidden"
	else
		printf '$ %s\n' "$1"
	fi
}

# run CMD...: show each, run it in this shell, show what it prints.
run()
{
	for cmd; do
		shell_line "$cmd"
		eval "$cmd" >"$out" 2>&1
		status=$?
		[ ! -s "$out" ] || shown <"$out"
		[ $status -eq 0 ] || printf '[status %d]\n' $status
	done
}

# both CMD1 CMD2: at the same time, in two shells. What they print is shown one
# after the other: the commands must be such that it does not depend on timing.
both()
{
	shell_line "($1) &"
	shell_line "($2) &"
	shell_line wait
	(eval "$1") >"$out.1" 2>&1 &
	first=$!
	(eval "$2") >"$out.2" 2>&1 &
	second=$!
	wait $first
	status=$?
	echo "first: status $status"
	shown <"$out.1"
	wait $second
	status=$?
	echo "second: status $status"
	shown <"$out.2"
}

# soon CMD: wait until CMD succeeds, 20 s at most. For what the kernel does in
# its own time.
soon()
{
	shell_line "until $1; do sleep 0.1; done"
	tries=0
	until eval "$1" >/dev/null 2>&1; do
		tries=$((tries + 1))
		if [ $tries -ge 200 ]; then
			echo "gave up after 20 s"
			return 1
		fi
		sleep 0.1
	done
}

# listing DIR: everything below it in the order of readdir(2), which is part of
# what is compared, with mode, links, owner and size.
listing()
{
	shell_line "find $1 # mode links owner size name"
	find "$1" -exec stat -c '%A %h %u:%g %s %N' {} + 2>&1 | shown
}

# values DIR: what can be read from each attribute and link below it.
values()
{
	shell_line "find $1 -type f # and read each"
	find "$1" -type f 2>&1 | while read -r file; do
		printf '%s: ' "${file#"$1"/}"
		if ! stat -c %A "$file" | grep -q r; then
			echo "(write only)"
		elif cat "$file" >"$out" 2>&1; then
			case $(wc -l <"$out") in
			0|1) tr -d '\n' <"$out"; echo ;;
			*) echo; sed 's/^/  /' "$out" ;;
			esac
		else
			# Without the path, which is above.
			sed 's/^cat: .*: //' "$out"
		fi
	done | shown
}

# forbidden DIR [ATTR]: what no user of configfs allows in a directory DIR of
# its own, tried all the same: the errors are part of the interface.
forbidden()
{
	dir=$1 attr=${2:-$(find "$1" -mindepth 1 -maxdepth 1 -type f | sed 's,.*/,,;q')}
	run "touch $dir/new" \
		"mkfifo $dir/new" \
		"ln -s nowhere $dir/new" \
		"chmod 0700 $dir; stat -c %A $dir; chmod 0755 $dir"
	if [ -n "$attr" ]; then
		run "rm -f $dir/$attr" \
			"rmdir $dir/$attr" \
			"mkdir $dir/$attr" \
			"mv $dir/$attr $dir/new" \
			"ln $dir/$attr $dir/new" \
			"ls $dir/$attr/"
	fi
	run "mv $dir $dir-new" "ls -d $dir $dir-new"
}

# events DIR CMD...: what inotify tells of DIR while the commands run.
events()
{
	watched=$1
	shift
	shell_line "inotifywait -m $watched &"
	: >"$out.events"
	inotifywait -q -m -e create,delete,delete_self,attrib,moved_from,moved_to,modify,unmount \
		--format '%e %w%f' -o "$out.events" "$watched" &
	watcher=$!
	# It has begun when its watch is there.
	until grep -qs inotify "/proc/$watcher/fdinfo/"*; do sleep 0.1; done
	run "$@"
	# Events come in order: the one that is made now is the last.
	sleep 0.3
	kill "$watcher" 2>/dev/null
	wait "$watcher" 2>/dev/null
	shell_line 'kill %1 # events seen:'
	# Two equal events are one if the first has not been read yet.
	uniq "$out.events" | shown
}
