// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "lib.h"

#define DEBUGFS		"/sys/kernel/debug"
#define DIRENT_CACHE	"/sys/kernel/slab/configfs_dir_cache"
#define MODULE_DIR	"/sys/module/" TEST_MODULE

/* No operation allocates so often: fail_each() would never end */
#define MAX_NTH		2000

/*
 * System calls
 */

static int to_errno(int ret)
{
	return ret == -1 ? errno : 0;
}

int do_mkdir(const char *path, const char *unused)
{
	return to_errno(mkdir(path, 0777));
}

int do_rmdir(const char *path, const char *unused)
{
	return to_errno(rmdir(path));
}

int do_symlink(const char *target, const char *path)
{
	return to_errno(symlink(target, path));
}

int do_unlink(const char *path, const char *unused)
{
	return to_errno(unlink(path));
}

int do_rename(const char *from, const char *to)
{
	return to_errno(rename(from, to));
}

int do_exchange(const char *a, const char *b)
{
	return to_errno(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE));
}

int do_chmod(const char *path, const char *mode)
{
	return chmod(path, strtol(mode, NULL, 8)) ? errno : 0;
}

int do_list(const char *path, const char *unused)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY), ret = 0;
	char buf[4096];

	if (fd == -1)
		return errno;
	/* Avoid readdir(3): its allocations are not those of configfs */
	if (syscall(__NR_getdents64, fd, buf, sizeof(buf)) <= 0)
		ret = errno;
	close(fd);
	return ret;
}

int do_stat(const char *path, const char *unused)
{
	struct stat st;

	return to_errno(lstat(path, &st));
}

static int write_fd(int fd, const char *data)
{
	ssize_t len = strlen(data), ret = write(fd, data, len);

	if (ret == -1)
		return errno;
	return ret == len ? 0 : EIO;
}

int do_write_fd(const char *fd, const char *data)
{
	return write_fd(atoi(fd), data);
}

int do_write(const char *path, const char *data)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd == -1)
		return errno;
	ret = write_fd(fd, data);
	return close(fd) == -1 && !ret ? errno : ret;
}

/* Adds a terminating null byte */
static int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
	ssize_t len;

	if (fd == -1)
		return errno;
	len = read(fd, buf, size - 1);
	if (len == -1)
		ret = errno;
	buf[len > 0 ? len : 0] = 0;
	close(fd);
	return ret;
}

int do_read(const char *path, const char *unused)
{
	char buf[4096];

	return read_file(path, buf, sizeof(buf));
}

bool exists(const char *path)
{
	return !do_stat(path, NULL);
}

const char *value_of(const char *path)
{
	static __thread char buf[4096];
	int ret = read_file(path, buf, sizeof(buf));

	if (ret)
		return strerror(ret);
	buf[strcspn(buf, "\n")] = 0;
	return buf;
}

static bool is_dot(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

const char *listing_of(const char *path)
{
	static __thread char names[4096];
	struct dirent **entries;
	size_t len = 0;
	int n = scandir(path, &entries, NULL, alphasort);

	if (n == -1)
		return strerror(errno);
	names[0] = 0;
	for (int i = 0; i < n; i++) {
		if (!is_dot(entries[i]->d_name) && len < sizeof(names))
			len += snprintf(names + len, sizeof(names) - len,
					"%s%s", len ? " " : "",
					entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return names;
}

ino_t ino_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_ino;
}

int nlink_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? -errno : (int)st.st_nlink;
}

const char *at(const char *fmt, ...)
{
	static __thread char bufs[16][PATH_MAX];
	static __thread unsigned int n;
	char *buf = bufs[n++ % 16];
	va_list args;

	va_start(args, fmt);
	vsnprintf(buf, sizeof(bufs[0]), fmt, args);
	va_end(args);
	return buf;
}

/*
 * The test module
 */

int control(const char *command, const char *args)
{
	return do_write(CONTROL_DIR "/command",
			at("%s %s", command, args ?: ""));
}

int do_register(const char *how, const char *unused)
{
	return control("register", how);
}

int do_unregister(const char *path, const char *unused)
{
	return control("unregister", path);
}

int do_depend(const char *path, const char *unused)
{
	return control("depend", path);
}

int do_undepend(const char *path, const char *unused)
{
	return control("undepend", path);
}

int knob(const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return control("knob", text);
}

int hold(const char *callback, const char *name)
{
	return knob("%s wait%s%s", callback, name ? " name=" : "", name ?: "");
}

int release(const char *callback)
{
	return control("knob", callback);
}

/* INT_MIN if there is no such counter */
int counter(const char *name)
{
	char buf[4096], *line, *save;
	size_t len = strlen(name);

	if (read_file(CONTROL_DIR "/counters", buf, sizeof(buf)))
		return INT_MIN;
	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (!strncmp(line, name, len) && line[len] == ' ')
			return atoi(line + len);
	return INT_MIN;
}

int await(const char *name, int value)
{
	return control("await", at("%s %d", name, value));
}

int await_held(const char *callback)
{
	return await(at("held_%s", callback), 1);
}

bool comes(const char *name, int value)
{
	return !control("await", at("%s %d 200", name, value));
}

static const char *event_log(void)
{
	static char log[65536];

	return read_file(CONTROL_DIR "/events", log, sizeof(log)) ? "" : log;
}

/* Find a whole line in the log */
static const char *find_event(const char *log, const char *event)
{
	size_t len = strlen(event);

	for (const char *p = log; (p = strstr(p, event)); p++)
		if ((p == log || p[-1] == '\n') && p[len] == '\n')
			return p;
	return NULL;
}

bool happened(const char *event)
{
	return find_event(event_log(), event);
}

bool happened_before(const char *first, const char *second)
{
	const char *log = event_log();
	const char *a = find_event(log, first), *b = find_event(log, second);

	if (a && b && a < b)
		return true;
	ksft_print_msg("want '%s' before '%s' in:\n%s", first, second, log);
	return false;
}

const char *children_of(const char *group)
{
	int ret = control("children", group);

	return ret ? strerror(ret) : value_of(CONTROL_DIR "/children");
}

/*
 * Trees
 */

#define ATTRS	"blob ro value wo"

const struct tree_dir tree_dirs[NR_TREE_DIRS] = {
	{ "",		"a blob d e ro value wo",	5, "a d e", ITEMS },
	{ "/a",		"b b2 " ATTRS,			4, "b b2", ITEMS },
	{ "/a/b",	"blob c ro value wo",		3, "c", TREES },
	{ "/a/b/c",	ATTRS,				2, "", ITEMS },
	{ "/a/b2",	ATTRS,				2, "", NOTHING },
	{ "/d",		ATTRS,				2, "", TREES },
	{ "/e",		"blob f ro value wo",		3, "f", NOTHING },
	{ "/e/f",	ATTRS,				2, "", ITEMS },
};

bool tree_is_whole(const char *path)
{
	char top[PATH_MAX];

	/* @path may be a buffer of at(), which the loop would overwrite */
	snprintf(top, sizeof(top), "%s", path);
	for (int i = 0; i < NR_TREE_DIRS; i++) {
		const char *dir = at("%s%s", top, tree_dirs[i].path);
		const char *listing = listing_of(dir);
		const char *name = strrchr(dir, '/');

		if (!strcmp(tree_dirs[i].listing, listing) &&
		    nlink_of(dir) == tree_dirs[i].nlink &&
		    !strcmp("initial", value_of(at("%s/value", dir))) &&
		    !strcmp(name ? name + 1 : dir, value_of(at("%s/ro", dir))) &&
		    !do_read(at("%s/blob", dir), NULL))
			continue;
		ksft_print_msg("%s: nlink %d, listing '%s'\n", dir,
			       nlink_of(dir), listing);
		return false;
	}
	return true;
}

/*
 * Snapshots
 */

static void snap_stat(FILE *out, const char *path, const struct stat *st,
		      unsigned int flags)
{
	fprintf(out, "%s mode %o nlink %lu owner %u:%u", path, st->st_mode,
		(unsigned long)st->st_nlink, st->st_uid, st->st_gid);
	if (!(flags & SNAP_NO_INODES))
		fprintf(out, " ino %lu", (unsigned long)st->st_ino);
	if (!(flags & SNAP_NO_TIMES))
		fprintf(out, " mtime %ld.%09ld ctime %ld.%09ld",
			(long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
			(long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	fprintf(out, "\n");
}

/*
 * Omit inode numbers and times, which are not stable on kernels without the
 * fixes that attr_test checks.
 */
static void snap_attr(FILE *out, const char *path, const struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char buf[4096];
	ssize_t len;

	fprintf(out, "%s mode %o owner %u:%u = ", path, st->st_mode,
		st->st_uid, st->st_gid);
	if (fd == -1) {
		fprintf(out, "%s\n", strerror(errno));
		return;
	}
	while ((len = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < len; i++)
			fprintf(out, buf[i] < ' ' || buf[i] > '~' ? "\\%02x" : "%c",
				buf[i]);
	fprintf(out, "%s\n", len ? strerror(errno) : "");
	close(fd);
}

static void snap_tree(FILE *out, const char *path, unsigned int flags)
{
	char target[PATH_MAX];
	struct dirent **entries;
	struct stat st;
	int n;

	if (lstat(path, &st)) {
		fprintf(out, "%s: %s\n", path, strerror(errno));
		return;
	}
	if (S_ISREG(st.st_mode)) {
		snap_attr(out, path, &st);
		return;
	}
	snap_stat(out, path, &st, flags);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		fprintf(out, "%s -> %s\n", path, target);
		return;
	}
	n = scandir(path, &entries, NULL, alphasort);
	if (n == -1)
		fprintf(out, "%s: %s\n", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		char child[PATH_MAX];

		snprintf(child, sizeof(child), "%s/%s", path,
			 entries[i]->d_name);
		if (!is_dot(entries[i]->d_name))
			snap_tree(out, child, flags);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

/* A snapshot itself calls show and bin_read, so do not count them. */
static void snap_counters(FILE *out)
{
	static const char * const names[] = {
		"make", "disconnect", "drop", "release", "store", "bin_write",
		"allow_link", "drop_link", "commit", "uncommit",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		fprintf(out, "calls of %s: %d\n", names[i], counter(names[i]));
}

char *snapshot(unsigned int flags)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		ksft_exit_fail_msg("out of memory\n");
	snap_tree(out, SUBSYS_DIR, flags);
	snap_tree(out, SUBSYS2_DIR, flags);
	fprintf(out, "objects %d\nviolations %d\n", counter("objects"),
		counter("violations"));
	if (!(flags & SNAP_NO_CALLS))
		snap_counters(out);
	fclose(out);
	return text;
}

bool unchanged(const char *before, unsigned int flags)
{
	char *after = snapshot(flags);
	bool same = !strcmp(before, after);
	const char *b = before, *a = after;

	while (!same && *a && *b) {
		int blen = strcspn(b, "\n"), alen = strcspn(a, "\n");

		if (blen != alen || memcmp(b, a, alen)) {
			ksft_print_msg("was: %.*s\n", blen, b);
			ksft_print_msg("now: %.*s\n", alen, a);
			break;
		}
		b += blen + 1;
		a += alen + 1;
	}
	free(after);
	return same;
}

bool rows_refused(const struct row *rows)
{
	char *before = snapshot(SNAP_NO_CALLS);
	bool good = rows->fn;

	for (const struct row *row = rows; row->fn; row++) {
		int ret = row->fn(row->a, row->b);

		if (ret == row->err && unchanged(before, SNAP_NO_CALLS))
			continue;
		ksft_print_msg("row %td: %s %s: %s, not %s\n", row - rows,
			       row->a, row->b ?: "", strerror(ret),
			       strerror(row->err));
		good = false;
	}
	free(before);
	return good;
}

/*
 * Leaks
 */

static long read_number(const char *path)
{
	char buf[64];

	return read_file(path, buf, sizeof(buf)) ? -1 : atol(buf);
}

/* Other users of configfs allocate and free dirents at any time. */
static bool others_have_dirents(void)
{
	struct dirent *d;
	DIR *dir = opendir(CONFIGFS_DIR);
	bool others = !dir;

	while (dir && (d = readdir(dir)))
		if (!is_dot(d->d_name) &&
		    strncmp(d->d_name, TEST_MODULE, strlen(TEST_MODULE)))
			others = true;
	if (dir)
		closedir(dir);
	return others;
}

static int count_dirents(void)
{
	struct stat st;

	/* It is a link if the cache is merged with others */
	if (lstat(DIRENT_CACHE, &st) || !S_ISDIR(st.st_mode) ||
	    others_have_dirents() || do_write(DIRENT_CACHE "/shrink", "1"))
		return -1;
	return read_number(DIRENT_CACHE "/objects");
}

static int lockdep_is_on(void)
{
	char buf[8192], *line;

	if (read_file("/proc/lockdep_stats", buf, sizeof(buf)))
		return -1;
	line = strstr(buf, "debug_locks:");
	return line ? atoi(line + strlen("debug_locks:")) : -1;
}

void get_baseline(struct baseline *base)
{
	/* settled() compares the padding as well */
	memset(base, 0, sizeof(*base));
	base->objects = counter("objects");
	base->refcnt = read_number(MODULE_DIR "/refcnt");
	base->dirents = count_dirents();
	base->tainted = read_number("/proc/sys/kernel/tainted");
	base->lockdep = lockdep_is_on();
}

/* Objects may be freed with a delay, so retry for a second */
bool settled(const struct baseline *base)
{
	struct baseline now;

	for (int i = 0; i < 50; i++) {
		get_baseline(&now);
		if (now.dirents == -1 || base->dirents == -1)
			now.dirents = base->dirents;
		if (!memcmp(&now, base, sizeof(now)))
			return true;
		usleep(20000);
	}
	ksft_print_msg("left behind: %d objects, %d module references, %d dirents\n",
		       now.objects - base->objects, now.refcnt - base->refcnt,
		       now.dirents - base->dirents);
	if (now.tainted != base->tainted)
		ksft_print_msg("the kernel is tainted: %ld, was %ld\n",
			       now.tainted, base->tainted);
	if (now.lockdep != base->lockdep)
		ksft_print_msg("lockdep has complained\n");
	return false;
}

/* The caller repeats this, as links and dependencies may prevent removal. */
static void purge_dir(const char *path)
{
	char child[PATH_MAX], pending[PATH_MAX];
	struct dirent *d;
	DIR *dir = opendir(path);

	if (!dir)
		return;
	snprintf(child, sizeof(child), "%s/live", path);
	do_write(child, "0");
	snprintf(child, sizeof(child), "%s/power", path);
	do_write(child, "0");
	while ((d = readdir(dir))) {
		if (is_dot(d->d_name) || d->d_type == DT_REG)
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, d->d_name);
		if (d->d_type == DT_LNK) {
			unlink(child);
		} else {
			/* Out of live/ of a depot; it is removed next time */
			snprintf(pending, sizeof(pending), "%s/../pending/%s",
				 path, d->d_name);
			rename(child, pending);
			purge_dir(child);
			rmdir(child);
		}
	}
	closedir(dir);
}

static int idle_objects = -1;

/* Remove all items that tests have left behind. */
static void reset(void)
{
	control("reset", NULL);
	for (int i = 0; i < 4 && counter("objects") != idle_objects; i++) {
		DIR *dir = opendir(CONFIGFS_DIR);
		struct dirent *d;

		while (dir && (d = readdir(dir)))
			if (!strncmp(d->d_name, TEST_MODULE,
				     strlen(TEST_MODULE)))
				purge_dir(at(CONFIGFS_DIR "/%s", d->d_name));
		if (dir)
			closedir(dir);
		control("reset", NULL);
	}
}

void test_begin(struct baseline *base)
{
	if (chdir(SUBSYS_DIR))
		ksft_print_msg("cannot change to " SUBSYS_DIR "\n");
	reset();
	get_baseline(base);
}

/* Close all files and leave the working directory: both hold references. */
bool test_end(const struct baseline *base)
{
	int violations = counter("violations");

	if (violations)
		ksft_print_msg("%d violations, see the kernel log\n",
			       violations);
	syscall(__NR_close_range, 3, ~0U, 0);
	if (chdir(SUBSYS_DIR))
		return false;
	reset();
	return settled(base) && !violations;
}

/*
 * Items that are committed
 */

int do_live(const char *path, const char *value)
{
	return do_write(at("%s/live", path), value);
}

int do_power(const char *path, const char *value)
{
	return do_write(at("%s/power", path), value);
}

int do_commit(const char *path, const char *unused)
{
	return control("commit", path);
}

int do_uncommit(const char *path, const char *unused)
{
	return control("uncommit", path);
}

bool is_live(const char *path)
{
	return !control("is_live", path);
}

const char *opened(const char *path)
{
	return at("%d", open(path, O_WRONLY | O_CLOEXEC));
}

/*
 * Other threads and processes
 */

static void *task_run(void *arg)
{
	struct task *task = arg;

	task->ret = task->fn(task->a, task->b);
	return NULL;
}

bool task_start(struct task *task, int (*fn)(const char *a, const char *b),
		const char *a, const char *b)
{
	*task = (struct task) { .fn = fn, .a = a, .b = b };
	return !pthread_create(&task->thread, NULL, task_run, task);
}

int task_join(struct task *task)
{
	return pthread_join(task->thread, NULL) ? -1 : task->ret;
}

/*
 * The sleep gives the process time to block. The test must also pass if the
 * process is killed before that.
 */
bool killed_while_waiting(int (*fn)(const char *a, const char *b),
			  const char *a, const char *b)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == -1)
		return false;
	if (!pid)
		_exit(fn(a, b));
	usleep(200000);
	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL;
}

int in_child(uid_t uid, int (*fn)(const char *a, const char *b),
	     const char *a, const char *b)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == -1)
		return -1;
	if (!pid) {
		if (uid && (setgid(uid) || setuid(uid)))
			_exit(255);
		_exit(fn(a, b));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/*
 * Events
 */

/* All events except those that the tests cause by reading files */
#define WATCHED		(IN_ALL_EVENTS & ~(IN_ACCESS | IN_OPEN | IN_CLOSE))

bool watch_init(struct watches *w)
{
	w->n = 0;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return w->fd != -1;
}

/* inotify numbers the watches from 1 on and does not reuse numbers. */
bool watch(struct watches *w, const char *label, const char *path)
{
	w->labels[w->n++] = label;
	return inotify_add_watch(w->fd, path, WATCHED) == w->n;
}

const char *watched(struct watches *w)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} bits[] = {
		{ IN_MODIFY, "MODIFY" }, { IN_ATTRIB, "ATTRIB" },
		{ IN_MOVED_FROM, "MOVED_FROM" }, { IN_MOVED_TO, "MOVED_TO" },
		{ IN_CREATE, "CREATE" }, { IN_DELETE, "DELETE" },
		{ IN_DELETE_SELF, "DELETE_SELF" }, { IN_UNMOUNT, "UNMOUNT" },
		{ IN_MOVE_SELF, "MOVE_SELF" }, { IN_IGNORED, "IGNORED" },
		{ IN_Q_OVERFLOW, "OVERFLOW" }, { IN_ISDIR, "ISDIR" },
	};
	uint64_t buf[512];
	uint32_t cookie = 0;
	ssize_t len;
	FILE *out;

	w->text[0] = 0;
	out = fmemopen(w->text, sizeof(w->text), "w");
	if (!out)
		return "no memory";
	while ((len = read(w->fd, buf, sizeof(buf))) > 0)
		for (ssize_t pos = 0; pos < len; ) {
			const struct inotify_event *e = (void *)buf + pos;

			pos += sizeof(*e) + e->len;
			fputs(e->wd > 0 ? w->labels[e->wd - 1] : "", out);
			for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
				if (e->mask & bits[i].bit)
					fprintf(out, " %s", bits[i].name);
			/* Both halves of a rename have the same one */
			if (e->mask & IN_MOVED_TO && e->cookie != cookie)
				fputs(" COOKIE", out);
			cookie = e->cookie;
			fprintf(out, "%s%s\n", e->len ? " " : "",
				e->len ? e->name : "");
		}
	fclose(out);
	return w->text;
}

/*
 * Races
 */

struct result {
	const struct worker *worker;
	pthread_t thread;
	unsigned long rounds;
	unsigned long succeeded;
	unsigned long errors[MAX_ERRORS];
	int surprise;
};

static struct {
	unsigned long min;
	int unfinished;
	bool stop;
} current_race;

static int index_of(const int *errors, int error)
{
	for (int i = 0; i < MAX_ERRORS && errors[i]; i++)
		if (errors[i] == error)
			return i;
	return -1;
}

/* A missing errno of worker->must, 0 if success is missing, -1 if nothing is */
static int missing(const struct result *result)
{
	if (!result->succeeded)
		return 0;
	for (int i = 0; i < MAX_ERRORS && result->worker->must[i]; i++)
		if (!result->errors[i])
			return result->worker->must[i];
	return -1;
}

static void *work(void *arg)
{
	struct result *result = arg;
	const struct worker *worker = result->worker;
	bool finished = false;

	/* A finished worker keeps running until all others have finished */
	while (!__atomic_load_n(&current_race.stop, __ATOMIC_RELAXED)) {
		int ret = worker->fn(result->rounds++), i;

		i = index_of(worker->must, ret);
		if (!ret) {
			result->succeeded++;
		} else if (i != -1) {
			result->errors[i]++;
		} else if (index_of(worker->may, ret) == -1) {
			result->surprise = ret;
			break;
		}
		/* Give the others a chance to change something */
		if (ret)
			sched_yield();
		if (!finished && result->rounds >= current_race.min &&
		    (missing(result) == -1 ||
		     result->rounds >= 50 * current_race.min)) {
			finished = true;
			if (!__atomic_sub_fetch(&current_race.unfinished, 1,
						__ATOMIC_RELAXED))
				break;
		}
	}
	__atomic_store_n(&current_race.stop, true, __ATOMIC_RELAXED);
	return NULL;
}

static const char *error_name(int error)
{
	switch (error) {
	case INCONSISTENT:
		return "inconsistent observations";
	case GONE:
		return "something in use has gone away";
	default:
		return error < INCONSISTENT ? strerror(error) :
					      at("not an errno: %d", error);
	}
}

static void print_result(const struct result *result)
{
	const struct worker *worker = result->worker;

	ksft_print_msg("%s: %lu rounds, %lu succeeded\n", worker->name,
		       result->rounds, result->succeeded);
	for (int i = 0; i < MAX_ERRORS && worker->must[i]; i++)
		ksft_print_msg("%s: %lu times: %s\n", worker->name,
			       result->errors[i], error_name(worker->must[i]));
	if (result->surprise)
		ksft_print_msg("%s: unexpected: %s\n", worker->name,
			       error_name(result->surprise));
}

bool race(const struct worker *workers)
{
	const char *env = getenv("CONFIGFS_TEST_ROUNDS");
	struct result results[MAX_WORKERS] = {};
	bool good = true;
	int n = 0, i;

	while (n < MAX_WORKERS && workers[n].fn)
		n++;
	current_race.min = 200 * (env ? atof(env) : 1);
	current_race.unfinished = n;
	current_race.stop = false;
	for (i = 0; i < n; i++) {
		results[i].worker = &workers[i];
		if (pthread_create(&results[i].thread, NULL, work, &results[i]))
			ksft_exit_fail_msg("cannot create threads\n");
	}
	for (i = 0; i < n; i++)
		pthread_join(results[i].thread, NULL);

	for (i = 0; i < n; i++) {
		print_result(&results[i]);
		if (results[i].surprise || missing(&results[i]) != -1)
			good = false;
	}
	return good;
}

/*
 * Failing allocations
 */

static int fail_nth_fd = -1;

static void fail_nth_set(int nth)
{
	const char *text = at("%d", nth);

	if (pwrite(fail_nth_fd, text, strlen(text), 0) != (int)strlen(text))
		ksft_print_msg("fail-nth: %s\n", strerror(errno));
}

/* Whether an allocation has failed; -1 if unknown */
static int fail_nth_failed(void)
{
	char buf[16] = {};
	ssize_t len = pread(fail_nth_fd, buf, sizeof(buf) - 1, 0);

	fail_nth_set(0);
	return len > 0 ? atoi(buf) == 0 : -1;
}

/* Let allocations that may sleep fail as well, without messages. */
static struct {
	const char *file;
	const char *value;
	char was[16];
} fail_files[] = {
	{ DEBUGFS "/failslab/ignore-gfp-wait", "N" },
	{ DEBUGFS "/failslab/verbose", "0" },
	{ DEBUGFS "/fail_page_alloc/ignore-gfp-wait", "N" },
	{ DEBUGFS "/fail_page_alloc/min-order", "0" },
	{ DEBUGFS "/fail_page_alloc/verbose", "0" },
};

/*
 * These settings are global. A separate process restores them when the program
 * and all its children have ended, even if they were killed.
 */
void fail_init(void)
{
	int fds[2];
	char c;

	if (!exists(DEBUGFS "/failslab"))
		mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fail_files); i++)
		read_file(fail_files[i].file, fail_files[i].was,
			  sizeof(fail_files[i].was));
	fflush(stdout);
	if (pipe2(fds, O_CLOEXEC))
		return;
	if (!fork()) {
		setsid();
		close(fds[1]);
		if (!read(fds[0], &c, 1))
			for (size_t i = 0; i < ARRAY_SIZE(fail_files); i++)
				do_write(fail_files[i].file, fail_files[i].was);
		_exit(0);
	}
	close(fds[0]);
	for (size_t i = 0; i < ARRAY_SIZE(fail_files); i++)
		do_write(fail_files[i].file, fail_files[i].value);
}

const char *fail_nth_init(void)
{
	fail_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_nth_fd == -1)
		return "no fault injection: /proc/thread-self/fail-nth";
	/* fail_page_alloc is optional. */
	if (strcmp(value_of(fail_files[0].file), fail_files[0].value))
		return "no fault injection: " DEBUGFS "/failslab";
	return NULL;
}

int fail_each(const struct operation *op)
{
	const unsigned int flags = SNAP_NO_CALLS | SNAP_NO_TIMES;
	char *before = snapshot(flags);
	char *undone = snapshot(flags | SNAP_NO_INODES);
	int nth, failed = 0, ret, failures = 0;
	struct baseline base;
	bool good = true;

	get_baseline(&base);
	for (nth = 1; good && nth < MAX_NTH; nth++) {
		fail_nth_set(nth);
		ret = op->fn(op->a, op->b);
		failed = fail_nth_failed();
		/* Some allocations are not essential */
		if (!ret) {
			good = !op->complete || op->complete(op);
			good = !op->undo(op->undo_a, op->undo_b) && good;
			good = good && unchanged(undone, flags | SNAP_NO_INODES);
			/* Undoing may have created new inodes */
			free(before);
			before = snapshot(flags);
		} else if (ret == ENOMEM && failed == 1) {
			failures++;
		} else {
			ksft_print_msg("%s\n", strerror(ret));
			good = false;
		}
		good = good && settled(&base) && unchanged(before, flags);
		/* There were fewer than nth allocations: done */
		if (failed != 1)
			break;
	}
	free(undone);
	free(before);
	if (failed != 0)
		good = false;
	ksft_print_msg("%d allocations, %d of them necessary%s\n", nth - 1,
		       failures, good ? "" : "; something is wrong");
	return good ? failures : -1;
}

/*
 * Loading and unloading
 */

/* Modules are installed next to the program; otherwise try modprobe. */
int module_load(const char *name)
{
	char path[PATH_MAX], *slash;
	int fd, ret;
	ssize_t len;

	len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (len == -1)
		return errno;
	path[len] = 0;
	slash = strrchr(path, '/');
	if (slash)
		*slash = 0;
	fd = open(at("%s/test_modules/%s.ko", path, name), O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return system(at("modprobe -q %s 2>/dev/null", name)) ? ENOENT : 0;
	ret = to_errno(syscall(__NR_finit_module, fd, "", 0));
	close(fd);
	return ret;
}

int module_unload(const char *name)
{
	return to_errno(syscall(__NR_delete_module, name, O_NONBLOCK));
}

static pid_t loader;

/* If the module cannot be unloaded, a reference was leaked. */
static void unload_at_exit(void)
{
	int ret;

	if (getpid() != loader)
		return;
	if (chdir("/"))
		ksft_print_msg("cannot leave configfs\n");
	reset();
	ret = module_unload(TEST_MODULE);
	if (ret) {
		ksft_print_msg("cannot unload " TEST_MODULE ": %s\n",
			       strerror(ret));
		fflush(NULL);
		_exit(KSFT_FAIL);
	}
}

static void skip_all(const char *what, int error)
{
	ksft_print_header();
	ksft_exit_skip("%s: %s\n", what, strerror(error));
}

/*
 * Mount configfs on its usual mount point, but in a private namespace. The ramfs
 * below makes this work if configfs is already mounted there.
 */
static void own_configfs(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		skip_all("no mount namespace", errno);
	if (mount("none", CONFIGFS_DIR, "ramfs", 0, NULL))
		skip_all("no " CONFIGFS_DIR, errno);
	if (mount("none", CONFIGFS_DIR, "configfs", 0, NULL))
		skip_all("cannot mount configfs", errno);
}

void test_init(void)
{
	int ret;

	if (geteuid())
		skip_all("must be run as root", EPERM);
	own_configfs();
	/* Clean up after a run that was killed */
	if (exists(CONTROL_DIR)) {
		idle_objects = -1;
		reset();
		module_unload("configfs_test_other");
		module_unload(TEST_MODULE);
	}
	ret = module_load(TEST_MODULE);
	if (ret)
		skip_all("cannot load the module " TEST_MODULE, ret);
	loader = getpid();
	idle_objects = counter("objects");
	atexit(unload_at_exit);
	if (count_dirents() == -1)
		ksft_print_msg("SKIP: leaked dirents cannot be detected\n");
}
