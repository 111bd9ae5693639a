# shellcheck shell=bash
# shellcheck disable=SC2034 # used by those who source this
#
# Sourced by every script: where things are, and how to say what happens.

set -euo pipefail
export LC_ALL=C

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
OUT=${OUT:-$TOP/out}
BUILD=${BUILD:-$TOP/build}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/configfs-rename
PATCHES=${PATCHES:-$TOP/patches/v7.3}
KVER=7.3
V=${V:-}

# Another kernel tree gets a build directory of its own.
if [ -n "${KDIR:-}" ]; then
	[ -d "$KDIR" ] || { echo "error: KDIR=$KDIR is no directory" >&2; exit 1; }
	KDIR=$(cd "$KDIR" && pwd)
	BUILD=$BUILD/kdir-$(basename "$KDIR")-$(printf %s "$KDIR" | cksum | cut -d' ' -f1)
fi
# The private copy of the kernel that the series is applied to.
KSRC=${KSRC:-$BUILD/linux-$KVER}
# A kernel is called KIND, or KIND-STAGE when it is not that of the whole stack: see
# stage_commit(). The paths from the objects of a stage to its sources are those of
# the whole, and so in build/bisect: ccache finds there what has not changed.
objects_of() { case $1 in *-*) echo "$BUILD/${1#*-}/${1%%-*}" ;; *) echo "$BUILD/$1" ;; esac; }
sources_of() { case $1 in *-*) echo "$BUILD/${1#*-}/$(basename "$KSRC")" ;; *) echo "$KSRC" ;; esac; }
JOBS=$(nproc)
LOGDIR=$OUT/log
mkdir -p "$BUILD" "$LOGDIR"

me=${0##*/}

note() { echo "== $*" >&2; }
warn() { echo "$me: warning: $*" >&2; }
die() { echo "$me: error: $*" >&2; exit 1; }

# run LOG WHAT CMD...: say WHAT, run CMD with its output in out/log/LOG.log, and
# how far it is every 30 s. A failure shows what is wrong and ends the script.
run()
{
	local log=$LOGDIR/$1.log what=$2 bar='' start=$SECONDS rc
	shift 2
	note "$what"
	set +e	# and no condition around it, or `set -e` in CMD has no effect
	if [ -n "$V" ]; then
		(set -e; "$@") 2>&1 | tee "$log" >&2
		rc=${PIPESTATUS[0]}
	else
		: >"$log"
		progress "$log" &
		bar=$!
		(set -e; "$@") >"$log" 2>&1
		rc=$?
		kill "$bar"
		wait "$bar"
	fi
	set -e
	[ "$rc" -ne 0 ] || return 0
	grep -n -E -m5 '(error|fatal|undefined reference|\*\*\*)' "$log" >&2 ||
		tail -n 15 "$log" >&2
	echo "$me: error: failed after $((SECONDS - start)) s: $what (status $rc)" >&2
	echo "$me: ${HINT:+$HINT; }the whole log is $log" >&2
	exit "$rc"
}

progress()
{
	local start=$SECONDS
	trap 'kill $!; exit 0' TERM
	while kill -0 $$ 2>/dev/null; do
		sleep 30 >/dev/null 2>&1 &
		wait $!
		echo "   ... $((SECONDS - start)) s: $(tail -n1 "$1" | cut -c1-70)" >&2
	done
}

# git in the kernel tree, whatever the user's configuration and identity are.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
identity=(-c user.name=series -c user.email=series@localhost)
kgit()
{
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
		git "${identity[@]}" -c core.hooksPath=/dev/null -c core.fsmonitor=false \
		-C "$KSRC" "$@"
}

# The archive of this machine's own release, from sources.list in both formats.
archive()
{
	local codename files=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list
			      /etc/apt/sources.list.d/*.sources)
	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	{ cat "${files[@]}" 2>/dev/null || true; } | awk -v suite="$codename" '
		function stanza() {
			if (types ~ /(^| )deb( |$)/ && (" " suites " ") ~ " " suite " " && off !~ /no/)
				print uri
			types = suites = uri = off = ""
		}
		$1 == "deb" {		# deb [options] URI suite component...
			sub(/\[[^]]*\]/, "")
			if ($3 == suite)
				print $2
			next
		}
		tolower($1) == "types:" { if (types) stanza(); sub(/^[^:]*: */, ""); types = $0 }
		tolower($1) == "uris:" { uri = $2 }
		tolower($1) == "suites:" { sub(/^[^:]*: */, ""); suites = $0 }
		tolower($1) == "enabled:" { off = $2 }
		/^[ \t]*$/ { stanza() }
		END { stanza() }' | sed -n '/^cdrom:/!{p;q}'
}

# download SUITE PACKAGE...: into the cache, through a private apt with its own
# sources, lists and cache. apt checks signature and hash.
download()
{
	local apt=$CACHE/apt/$1 suite=$1 uri key=/usr/share/keyrings/debian-archive-keyring.gpg signed=''
	local options
	shift
	command -v apt-get >/dev/null || die "there is no apt here to download $* with"
	uri=${ARCHIVE:-$(archive)}
	[ -n "$uri" ] || die "no Debian archive in /etc/apt/sources.list*: set ARCHIVE=URI"
	if [ -f "$key" ]; then signed="[signed-by=$key] "; fi
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$CACHE/dl/partial"
	echo "deb $signed$uri $suite main" >"$apt/sources.list"
	options=(-q -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=-
		-o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache"
		-o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=3)
	apt-get "${options[@]}" -o APT::Update::Error-Mode=any update
	(cd "$CACHE/dl/partial" && apt-get "${options[@]}" download "$@")
	mv "$CACHE/dl/partial"/*.deb "$CACHE/dl/"
}

# The newest of a package in the cache
cached_deb() { find "$CACHE/dl" -maxdepth 1 -name "$1_*.deb" 2>/dev/null | sort -V | tail -n1; }

# The stack. In patches/ each series is a directory, N-name; they apply in the order
# of their names. In the kernel tree the branch `series` is the whole, and each
# series but the last has a branch of its name at its last commit. Other branches
# are none of ours.
stack() { find "$PATCHES" -mindepth 1 -maxdepth 1 -type d -name '[0-9]-*' -printf '%f\n' | sort; }
series_branches() { kgit for-each-ref --format='%(refname:lstrip=2) %(objectname)' 'refs/heads/[0-9]-*'; }

# The series of the tree, one a line: its name, the commit before it, its last commit.
tree_stack()
{
	local name id last='' from top
	from=$(kgit rev-parse base^0)
	top=$(kgit rev-parse series^0)
	while read -r name id; do
		if ! kgit merge-base --is-ancestor "$from" "$id" || ! kgit merge-base --is-ancestor "$id" "$top"; then
			die "the branch $name in $KSRC is not between ${last:-base} and series:
move it to the last commit of its series (git branch -f $name COMMIT) or remove it (git branch -D $name)"
		fi
		[ "$id" != "$from" ] ||
			die "the series $name in $KSRC has no commits: move its branch, or remove it (git branch -D $name)"
		echo "$name $from $id"
		last=$name from=$id
	done < <(series_branches)
	[ "$from" != "$top" ] || return 0
	name=$(stack | tail -n1)
	[[ $name > $last ]] ||
		die "the commits of $KSRC after ${last:-base} are of no series: name it (git branch N-name series)"
	echo "$name $from $top"
}

# What the tree was last made from, or written to.
STAMP=$KSRC/.git/series-stamp
patches_id() { (cd "$PATCHES" && find . -name '*.patch' | sort | xargs -r sha1sum) 2>/dev/null | sha1sum | cut -d' ' -f1; }
branches_id() { series_branches | tr ' \n' '=,'; }
stamp() { echo "$(patches_id) $(kgit rev-parse series) $(branches_id)" >"$STAMP"; }

# Each of 1-* to 3-* applies to base alone; the others stand on all before them.
stands_alone() { [[ $1 == [123]-* ]]; }

# The stages: base; fixes, with all of 1-*; selftests, with all up to 3-*; and unfixed,
# base with 3-* alone.
stage_commit()
{
	local all names end=base^0 name from to
	case $1 in
	base) ;;
	fixes | selftests)
		all=$(tree_stack)
		while read -r name from to; do
			case $1:$name in *:1-* | selftests:[23]-*) end=$to ;; esac
		done <<<"$all" ;;
	unfixed)
		mapfile -t names < <(stack | grep '^3-')
		[ ${#names[@]} -gt 0 ] || die "there is no series 3-* yet"
		end=$("$TOP/scripts/apply" "${names[@]}")
		end=${end##* } ;;
	*) die "there is no stage $1 of a kernel: base, fixes, selftests, unfixed" ;;
	esac
	kgit rev-parse "$end"
}

# stage_tree STAGE: check it out, or what has changed of it.
stage_tree()
{
	local tree id
	tree=$(sources_of "-$1")
	id=$(stage_commit "$1")
	if [ -e "$tree/.git" ]; then
		[ "$(git -C "$tree" rev-parse HEAD 2>/dev/null)" != "$id" ] || return 0
		if git -C "$tree" checkout -q -f --detach "$id" 2>/dev/null; then return; fi
	fi
	rm -rf "$tree"
	mkdir -p "$BUILD/$1"
	kgit worktree prune
	run "tree-$1" "checking out the kernel '$1' into $tree" \
		kgit worktree add -q --force --detach "$tree" "$id"
}

# A cover letter is a text up to this line, then what summary() says of the commits
# FROM..TO, and below a line "---" notes that are not mailed.
MARKER='Patches and files:'
summary()
{
	kgit shortlog -w72,2,4 "$1..$2"
	kgit diff --stat=72 --summary --no-renames "$1" "$2"
}
cover_text() { sed "/^$MARKER\$/q" "$1"; }
cover_notes() { sed "1,/^$MARKER\$/d" "$1" | sed -n '/^---$/,$p'; }

# kmake DIR ARGS...: make in the kernel tree, with the objects in DIR.
kmake()
{
	local o=$1
	shift
	# A build that depends on neither the time nor the machine: ccache hits.
	env -u MAKEFLAGS -u MAKELEVEL -u MAKEOVERRIDES -u KDIR -u V \
		PATH="$(ccache_path)$PATH" LOCALVERSION='' \
		KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' \
		KBUILD_BUILD_USER=user KBUILD_BUILD_HOST=host \
		CCACHE_NOHASHDIR=1 CCACHE_BASEDIR="${CCACHE_ROOT:-$BUILD}" \
		make -C "$KSRC" O="$o" -j"$JOBS" ${V:+V=1} "$@"
}

ccache_path()
{
	if command -v ccache >/dev/null && [ -x /usr/lib/ccache/gcc ]; then
		echo /usr/lib/ccache:
	fi
}
