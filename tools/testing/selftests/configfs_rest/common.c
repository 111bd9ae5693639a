// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define CONFIGFS_MAGIC	0x62656570
#define DEBUGFS		"/sys/kernel/debug"
#define DIRENT_CACHE	"/sys/kernel/slab/configfs_dir_cache"

/* There is no operation with that many allocations: something loops */
#define MAX_NTH		2000

static pid_t loader;

/*
 * System calls
 */

static int to_errno(int ret)
{
	return ret == -1 ? errno : 0;
}

int do_rename_flags(const char *from, const char *to, unsigned int flags)
{
	return to_errno(syscall(__NR_renameat2, AT_FDCWD, from, AT_FDCWD, to,
				flags));
}

int do_rename(const char *from, const char *to)
{
	return do_rename_flags(from, to, 0);
}

int do_mkdir(const char *path)
{
	return to_errno(mkdir(path, 0777));
}

int do_rmdir(const char *path)
{
	return to_errno(rmdir(path));
}

int do_symlink(const char *target, const char *path)
{
	return to_errno(symlink(target, path));
}

int do_unlink(const char *path)
{
	return to_errno(unlink(path));
}

int do_write_fd(int fd, const char *data)
{
	ssize_t len = strlen(data), ret = write(fd, data, len);

	if (ret == -1)
		return errno;
	return ret == len ? 0 : EIO;
}

/* The first error counts: of a binary attribute, close(2) is what writes. */
int do_write(const char *path, const char *data)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd == -1)
		return errno;
	ret = do_write_fd(fd, data);
	return close(fd) == -1 && !ret ? errno : ret;
}

/* Terminates what it reads */
int do_read(const char *path, char *buf, size_t size)
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

static int between(const char *group, const char *from, const char *to,
		   const char *name)
{
	char old[PATH_MAX], new[PATH_MAX];

	snprintf(old, sizeof(old), "%s/%s/%s", group, from, name);
	snprintf(new, sizeof(new), "%s/%s/%s", group, to, name);
	return do_rename(old, new);
}

int commit(const char *group, const char *name)
{
	return between(group, "pending", "live", name);
}

int uncommit(const char *group, const char *name)
{
	return between(group, "live", "pending", name);
}

int exchange(const char *group, const char *name, bool live_first)
{
	char live[PATH_MAX], pending[PATH_MAX];

	snprintf(live, sizeof(live), "%s/live/%s", group, name);
	snprintf(pending, sizeof(pending), "%s/pending/%s", group, name);
	return live_first ? do_rename_flags(live, pending, RENAME_EXCHANGE) :
			    do_rename_flags(pending, live, RENAME_EXCHANGE);
}

/* Make all directories of @path, and the items and children on the way */
int make_path(const char *path)
{
	char buf[PATH_MAX];
	int ret = 0;

	snprintf(buf, sizeof(buf), "%s", path);
	for (char *p = strchr(buf, '/'); p && !ret; p = strchr(p + 1, '/')) {
		*p = 0;
		if (!exists(buf))
			ret = do_mkdir(buf);
		*p = '/';
	}
	return ret;
}

const char *value_of(const char *path)
{
	static char buf[4096];
	int ret = do_read(path, buf, sizeof(buf));

	if (ret)
		return strerror(ret);
	buf[strcspn(buf, "\n")] = 0;
	return buf;
}

bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

int listed(const char *path)
{
	char parent[PATH_MAX], *name;
	struct dirent *d;
	struct stat st;
	int found = 0;
	DIR *dir;

	snprintf(parent, sizeof(parent), "%s", path);
	name = strrchr(parent, '/');
	if (!name)
		return -1;
	*name++ = 0;
	dir = opendir(parent);
	if (!dir)
		return -1;
	if (lstat(path, &st))
		st.st_ino = 0;
	while ((d = readdir(dir)))
		if (!strcmp(d->d_name, name))
			found += d->d_ino == st.st_ino ? 1 : 2;
	closedir(dir);
	return found == exists(path) ? found : -1;
}

/*
 * Rows of operations
 */

int do_row(const struct row *row)
{
	unsigned int flags = row->flags | RENAME_EXCHANGE;
	int ret;

	switch (row->op) {
	case RENAME:
		return do_rename_flags(row->path, row->to, row->flags);
	case EXCHANGE:
		ret = do_rename_flags(row->path, row->to, flags);
		return do_rename_flags(row->to, row->path, flags) == ret ? ret :
									  -1;
	case MKDIR:
		return do_mkdir(row->path);
	case RMDIR:
		return do_rmdir(row->path);
	case SYMLINK:
		return do_symlink(row->to, row->path);
	case UNLINK:
		return do_unlink(row->path);
	case WRITE:
		return do_write(row->path, row->to ?: "changed");
	case COMMIT:
		return commit(row->path, row->to);
	case DEPEND:
		return control("depend", row->path);
	default:
		return -1;
	}
}

bool rows_refused(const struct row *rows, const char *before, bool one_by_one)
{
	const struct row *row;
	int ret;

	for (row = rows; row->op != END; row++) {
		ret = do_row(row);
		if (ret == row->err &&
		    (!one_by_one || unchanged(before, SNAP_CALLS)))
			continue;
		ksft_print_msg("row %td: %s %s: %s\n", row - rows, row->path,
			       row->to ?: "", strerror(ret));
		return false;
	}
	return row != rows && (one_by_one || unchanged(before, SNAP_CALLS));
}

/*
 * Events
 */

bool watch_start(struct watch *watch)
{
	watch->len = 0;
	watch->pos = 0;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return watch->fd != -1;
}

int watch_add(struct watch *watch, const char *path)
{
	return inotify_add_watch(watch->fd, path, IN_ALL_EVENTS &
				 ~(IN_ACCESS | IN_OPEN | IN_CLOSE));
}

const struct inotify_event *watch_next(struct watch *watch)
{
	const struct inotify_event *event;

	if (watch->pos >= watch->len) {
		watch->pos = 0;
		watch->len = read(watch->fd, watch->buf, sizeof(watch->buf));
		if (watch->len <= 0)
			return NULL;
	}
	event = (void *)watch->buf + watch->pos;
	watch->pos += sizeof(*event) + event->len;
	return event;
}

static bool watch_sees(struct watch *watch, int wd, uint32_t mask,
		       const char *name, uint32_t *cookie)
{
	const struct inotify_event *event = watch_next(watch);

	if (!event) {
		ksft_print_msg("want event %x of %s: %s\n", mask, name,
			       strerror(errno));
		return false;
	}
	if (event->wd == wd && (event->mask & ~IN_ISDIR) == mask &&
	    (event->mask & IN_ISDIR || mask == IN_MOVE_SELF) &&
	    !strcmp(event->len ? event->name : "", name) &&
	    (!*cookie || event->cookie == *cookie || mask == IN_MOVE_SELF)) {
		*cookie = event->cookie;
		return true;
	}
	ksft_print_msg("want event %x of %s, watch %d, cookie %x\n", mask, name,
		       wd, *cookie);
	ksft_print_msg("have event %x of %s, watch %d, cookie %x\n",
		       event->mask, event->len ? event->name : "", event->wd,
		       event->cookie);
	return false;
}

/* MOVE_SELF comes for an item, with IN_ISDIR or without */
bool watch_sees_move(struct watch *watch, int from, const char *name, int to,
		     const char *new_name, int item)
{
	uint32_t cookie = 0;

	if (from != -1 &&
	    !watch_sees(watch, from, IN_MOVED_FROM, name, &cookie))
		return false;
	if (to != -1 && !watch_sees(watch, to, IN_MOVED_TO, new_name, &cookie))
		return false;
	return item == -1 || watch_sees(watch, item, IN_MOVE_SELF, "", &cookie);
}

bool watch_sees_nothing(struct watch *watch)
{
	const struct inotify_event *event = watch_next(watch);

	if (event)
		ksft_print_msg("event %x of %s\n", event->mask,
			       event->len ? event->name : "");
	return !event && errno == EAGAIN;
}

/*
 * The test module
 */

int control(const char *file, const char *data)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CONTROL_DIR "/%s", file);
	return do_write(path, data);
}

int knob(const char *callback, int error, int delay_ms, bool hold)
{
	char buf[64];

	snprintf(buf, sizeof(buf), "%s %d %d %d", callback, error, delay_ms,
		 hold);
	return control("knob", buf);
}

/* From now on @callback does not return before release() */
int hold(const char *callback)
{
	return knob(callback, 0, 0, true);
}

int release(const char *callback)
{
	return knob(callback, 0, 0, false);
}

/* INT_MIN is what no counter ever is */
int counter(const char *name)
{
	char buf[4096], *line, *save;
	size_t len = strlen(name);

	if (do_read(CONTROL_DIR "/counters", buf, sizeof(buf)))
		return INT_MIN;
	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (!strncmp(line, name, len) && line[len] == ' ')
			return atoi(line + len);
	return INT_MIN;
}

/* Wait until a counter has come that far; false when it does not. */
bool wait_counter(const char *name, int value)
{
	for (int i = 0; i < 2000; i++) {
		if (counter(name) >= value)
			return true;
		usleep(5000);
	}
	return false;
}

/* Of two lines of the module's log, like "-store x" and "+commit x" */
bool happened_before(const char *first, const char *second)
{
	char buf[8192], *a, *b;

	if (do_read(CONTROL_DIR "/events", buf, sizeof(buf)))
		return false;
	a = strstr(buf, first);
	b = strstr(buf, second);
	if (a && b && a < b)
		return true;
	ksft_print_msg("want '%s' before '%s' in:\n", first, second);
	for (a = strtok(buf, "\n"); a; a = strtok(NULL, "\n"))
		ksft_print_msg("    %s\n", a);
	return false;
}

/* To the module, all that comes before pending/ or live/ is a path of groups. */
int linked(const char *dir, const char *name)
{
	char path[PATH_MAX], group[PATH_MAX] = "", buf[2 * PATH_MAX];
	const char *subsys = TEST_MODULE, *last = ".";
	char *part, *save;

	snprintf(path, sizeof(path), "%s", dir);
	for (part = strtok_r(path, "/", &save); part;
	     part = strtok_r(NULL, "/", &save)) {
		if (!strcmp(part, "..")) {
			subsys = strtok_r(NULL, "/", &save);
			last = ".";
		} else if (!strcmp(part, "pending") || !strcmp(part, "live")) {
			last = part;
		} else {
			strcat(strcat(group, "/"), part);
			last = ".";
		}
	}
	snprintf(buf, sizeof(buf), "%s%s %s %s", subsys, group, last, name);
	return control("find", buf);
}

/*
 * Snapshots
 */

static void snap_stat(FILE *out, const char *path, const struct stat *st,
		      unsigned int flags)
{
	fprintf(out, "%s mode %o ino %lu nlink %lu owner %u:%u", path,
		st->st_mode, (unsigned long)st->st_ino,
		(unsigned long)st->st_nlink, st->st_uid, st->st_gid);
	if (!(flags & SNAP_TREE))
		fprintf(out, " mtime %ld.%09ld ctime %ld.%09ld",
			(long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
			(long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	fprintf(out, "\n");
}

/* The inode of an attribute lives as long as somebody uses it: not compared. */
static void snap_attr(FILE *out, const char *path, const struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char buf[8192];
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
	char child[PATH_MAX], target[PATH_MAX];
	struct dirent **entries;
	struct stat st;
	int n;

	if (lstat(path, &st)) {
		fprintf(out, "%s: %s\n", path, strerror(errno));
		return;
	}
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR:
		break;
	case S_IFLNK:
		snap_stat(out, path, &st, flags);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		fprintf(out, "%s -> %s\n", path, target);
		return;
	default:
		snap_attr(out, path, &st);
		return;
	}

	snap_stat(out, path, &st, flags);
	n = scandir(path, &entries, NULL, alphasort);
	if (n == -1)
		fprintf(out, "%s: %s\n", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (strcmp(name, ".") && strcmp(name, "..")) {
			snprintf(child, sizeof(child), "%s/%s", path, name);
			snap_tree(out, child, flags);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

/* Without what looking around itself calls: show and bin_read */
static void snap_counters(FILE *out, unsigned int flags)
{
	static const char * const names[] = {
		"make", "disconnect", "drop", "release", "store", "bin_write",
		"allow_link", "drop_link", "live_store", "live_bin_write",
		"objects", "violations"
	};
	static const char * const renames[] = {
		"commit", "uncommit", "exchange", "rename"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		/* What is made in vain is made and dropped */
		if (flags & SNAP_TREE && strcmp(names[i], "objects") &&
		    strcmp(names[i], "violations"))
			continue;
		fprintf(out, "counter %s %d\n", names[i], counter(names[i]));
	}
	for (size_t i = 0; flags & SNAP_CALLS && i < ARRAY_SIZE(renames); i++)
		fprintf(out, "counter %s %d\n", renames[i],
			counter(renames[i]));
}

char *snapshot(unsigned int flags)
{
	char *text = NULL;
	struct stat st;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		ksft_exit_fail_msg("no memory to look around\n");
	if (!stat(CONFIGFS_DIR, &st))
		snap_stat(out, CONFIGFS_DIR, &st, flags);
	snap_tree(out, SUBSYS_DIR, flags);
	snap_tree(out, SUBSYS_DIR "2", flags);
	snap_counters(out, flags);
	fclose(out);
	return text;
}

/* Take another snapshot and compare; say where it differs. */
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

/*
 * Leaving everything as it was
 */

static int read_number(const char *path)
{
	char buf[64];

	return do_read(path, buf, sizeof(buf)) ? -1 : atoi(buf);
}

static int count_dirents(void)
{
	struct stat st;

	/* A link is what a merged cache has: it counts others' objects, too */
	if (lstat(DIRENT_CACHE, &st) || !S_ISDIR(st.st_mode))
		return -1;
	if (do_write(DIRENT_CACHE "/shrink", "1"))
		return -1;
	return read_number(DIRENT_CACHE "/objects");
}

void get_baseline(struct baseline *base)
{
	base->objects = counter("objects");
	base->refcnt = read_number("/sys/module/" TEST_MODULE "/refcnt");
	base->dirents = count_dirents();
}

/* Whether everything is as it was, perhaps after a grace period or two */
bool settled(const struct baseline *base)
{
	struct baseline now;

	for (int i = 0; i < 50; i++) {
		get_baseline(&now);
		if (!memcmp(&now, base, sizeof(now)))
			return true;
		usleep(20000);
	}
	ksft_print_msg("left behind: %d objects, %d module references, %d dirents\n",
		       now.objects - base->objects, now.refcnt - base->refcnt,
		       now.dirents - base->dirents);
	return false;
}

static bool is_dot(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static void purge_dir(const char *path);

static void uncommit_all(const char *group)
{
	char dir[PATH_MAX], pending[PATH_MAX];
	struct dirent *d;
	DIR *live;

	snprintf(dir, sizeof(dir), "%s/live", group);
	live = opendir(dir);
	if (!live)
		return;
	while ((d = readdir(live))) {
		if (is_dot(d->d_name))
			continue;
		snprintf(pending, sizeof(pending), "%s/pending/%s", group,
			 d->d_name);
		purge_dir(pending);
		rmdir(pending);
		uncommit(group, d->d_name);
	}
	closedir(live);
}

/* Whatever cannot be removed now may be after another round. */
static void purge_dir(const char *path)
{
	char child[PATH_MAX];
	struct dirent *d;
	DIR *dir;

	uncommit_all(path);
	dir = opendir(path);
	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (is_dot(d->d_name) || d->d_type == DT_REG)
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, d->d_name);
		if (d->d_type == DT_LNK) {
			unlink(child);
		} else {
			purge_dir(child);
			rmdir(child);
		}
	}
	closedir(dir);
}

/* Remove all that tests have made, links and live items included. */
void purge(void)
{
	control("oneway", "0");
	for (int i = 0; i < 4; i++) {
		purge_dir(SUBSYS_DIR);
		purge_dir(SUBSYS_DIR "2");
		purge_dir(SUBSYS_DIR "3");
	}
	control("oneway", "1");
	control("dyn", "0");
	control("third", "0");
}

static int idle_objects = -1;

static void reset(void)
{
	control("reset", "1");
	if (counter("objects") != idle_objects)
		purge();
	control("reset", "1");
}

void test_begin(struct baseline *base)
{
	if (chdir(SUBSYS_DIR))
		ksft_print_msg("cannot change to " SUBSYS_DIR "\n");
	reset();
	get_baseline(base);
}

/* Open files and working directories hold references as well. */
bool test_end(const struct baseline *base)
{
	int violations = counter("violations");

	if (violations)
		ksft_print_msg("%d violations, see the kernel's log\n",
			       violations);
	syscall(__NR_close_range, 3, ~0U, 0);
	if (chdir(SUBSYS_DIR))
		return false;
	reset();
	return settled(base) && !violations;
}

/*
 * Other threads and processes
 */

static void *task_run(void *arg)
{
	struct task *task = arg;

	__atomic_store_n(&task->tid, gettid(), __ATOMIC_RELEASE);
	task->ret = task->fn(task->a, task->b);
	__atomic_store_n(&task->done, true, __ATOMIC_RELEASE);
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

/* The thread or process sleeps in the kernel, and goes on doing so. */
bool process_waits(pid_t pid)
{
	int asleep = 0;

	for (int i = 0; i < 1000 && asleep < 10; i++) {
		char path[64], buf[512], *state;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		if (do_read(path, buf, sizeof(buf)))
			return false;
		/* pid (comm) state */
		state = strrchr(buf, ')');
		if (state && state[2] == 'D')
			asleep++;
		else
			asleep = 0;
		usleep(10000);
	}
	return asleep == 10;
}

bool task_waits(struct task *task)
{
	pid_t tid;

	while (!(tid = __atomic_load_n(&task->tid, __ATOMIC_ACQUIRE)))
		usleep(1000);
	return process_waits(tid) &&
	       !__atomic_load_n(&task->done, __ATOMIC_ACQUIRE);
}

int task_mkdir(const char *path, const char *unused)
{
	return do_mkdir(path);
}

int task_rmdir(const char *path, const char *unused)
{
	return do_rmdir(path);
}

int task_unlink(const char *path, const char *unused)
{
	return do_unlink(path);
}

int task_read(const char *path, const char *unused)
{
	char buf[4096];

	return do_read(path, buf, sizeof(buf));
}

int task_exchange(const char *group, const char *name)
{
	return exchange(group, name, true);
}

int task_write_fd(const char *fd, const char *data)
{
	return do_write_fd(atoi(fd), data);
}

static void on_signal(int sig)
{
}

bool killed_while_waiting(int (*fn)(const char *a, const char *b),
			  const char *a, const char *b)
{
	const struct sigaction action = { .sa_handler = on_signal };
	char *before;
	int status;
	pid_t pid;
	bool ok;

	usleep(20000);
	before = snapshot(SNAP_CALLS);
	fflush(stdout);
	pid = fork();
	if (pid == -1)
		return false;
	if (!pid) {
		sigaction(SIGUSR1, &action, NULL);
		_exit(fn(a, b));
	}
	/* Only what kills ends the wait */
	ok = process_waits(pid) && !kill(pid, SIGUSR1) &&
	     !kill(pid, SIGWINCH) && process_waits(pid);
	kill(pid, SIGKILL);
	ok = waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	     WTERMSIG(status) == SIGKILL && ok;
	return unchanged(before, SNAP_CALLS) && ok;
}

int as_user(uid_t uid, int (*fn)(void *arg), void *arg)
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
		_exit(fn(arg));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int in_child(int (*fn)(void *arg), void *arg)
{
	return as_user(0, fn, arg);
}

/*
 * Failing allocations
 */

static int fail_nth_fd = -1;

void fail_nth_set(int nth)
{
	char buf[16];
	int len = snprintf(buf, sizeof(buf), "%d", nth);

	if (pwrite(fail_nth_fd, buf, len, 0) != len)
		ksft_print_msg("fail-nth: %s\n", strerror(errno));
}

/* Whether it has failed; -1 when that cannot be said. */
int fail_nth_failed(void)
{
	char buf[16] = {};
	ssize_t len = pread(fail_nth_fd, buf, sizeof(buf) - 1, 0);

	fail_nth_set(0);
	return len > 0 ? atoi(buf) == 0 : -1;
}

/* Make page allocations and those that may sleep fail, too, and quietly. */
bool fail_nth_set_up(void)
{
	static const struct {
		const char *file;
		const char *value;
	} files[] = {
		{ DEBUGFS "/failslab/ignore-gfp-wait", "N" },
		{ DEBUGFS "/failslab/verbose", "0" },
		{ DEBUGFS "/fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUGFS "/fail_page_alloc/min-order", "0" },
		{ DEBUGFS "/fail_page_alloc/verbose", "0" },
	};

	fail_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fail_nth_fd == -1)
		return false;
	if (!exists(DEBUGFS "/failslab"))
		mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
	/* failslab is what this is about, page allocations are extra */
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (do_write(files[i].file, files[i].value) && i == 0)
			return false;
	return true;
}

int undo(const struct operation *op)
{
	return op->undo(op->undo_a, op->undo_b);
}

/* What a driver is asked when nothing can fail any more */
static int count_decisions(void)
{
	static const char * const ops[] = {
		"commit", "uncommit", "exchange", "rename",
	};
	int sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		int n = counter(ops[i]);

		if (n > 0)
			sum += n;
	}
	return sum;
}

static bool failed_well(int ret, const char *before,
			const struct baseline *base, int decisions)
{
	if (ret != ENOMEM)
		ksft_print_msg("%s\n", strerror(ret));
	else if (unchanged(before, SNAP_TREE) && settled(base) &&
		 count_decisions() == decisions)
		return true;
	return false;
}

/**
 * fail_each - let each allocation of an operation fail, one after the other
 * @op: the operation
 * @base: what there is before it
 *
 * When it fails it must be with ENOMEM, must have left nothing behind and must
 * have changed nothing, and the driver must not have been asked. In the end it
 * has been done and undone.
 *
 * Return: how many allocations it cannot do without, or -1 when something is
 * wrong.
 */
int fail_each(const struct operation *op, const struct baseline *base)
{
	int nth, failures = 0, decisions = count_decisions();
	char *before = snapshot(SNAP_TREE);
	bool good = true;

	for (nth = 1; good && nth < MAX_NTH; nth++) {
		int ret, failed;

		fail_nth_set(nth);
		ret = op->fn(op->a, op->b);
		failed = fail_nth_failed();
		/* No allocation was the nth: all have had their turn */
		if (failed <= 0) {
			good = !failed && !ret && !undo(op);
			break;
		}
		if (ret) {
			failures++;
			good = failed_well(ret, before, base, decisions);
			continue;
		}
		/* The operation can do without what goes on beside it */
		good = !undo(op);
		decisions = count_decisions();
		/* What is removed and made again is another one */
		if (op->undo == task_mkdir) {
			free(before);
			before = snapshot(SNAP_TREE);
		}
	}
	if (good && nth == MAX_NTH)
		good = false;
	if (good && op->undo != task_mkdir)
		good = unchanged(before, SNAP_TREE);
	good = good && settled(base);
	free(before);
	ksft_print_msg("%d allocations, %d of them necessary%s\n", nth - 1,
		       failures, good ? "" : "; something is wrong");
	return good ? failures : -1;
}

/*
 * Races
 */

static bool stop;

/* What became of a worker */
struct result {
	const struct worker *worker;
	pthread_t thread;
	unsigned long succeeded;
	unsigned long failed;
	int surprise;
};

static void *work(void *arg)
{
	struct result *result = arg;

	for (unsigned int i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED);
	     i++) {
		const int *errors = result->worker->errors;
		int ret = result->worker->fn(i), j;

		if (!ret) {
			__atomic_add_fetch(&result->succeeded, 1,
					   __ATOMIC_RELAXED);
			continue;
		}
		result->failed++;
		/* Let the others do something that is worth a try */
		usleep(100);
		for (j = 0; j < MAX_ERRORS && errors[j] != ret; j++)
			;
		if (j == MAX_ERRORS) {
			__atomic_store_n(&result->surprise, ret,
					 __ATOMIC_RELAXED);
			break;
		}
	}
	return NULL;
}

/* Or one has failed for good */
static bool all_succeeded(struct result *results, int n)
{
	bool all = true;

	for (int i = 0; i < n; i++) {
		if (__atomic_load_n(&results[i].surprise, __ATOMIC_RELAXED))
			return true;
		if (!__atomic_load_n(&results[i].succeeded, __ATOMIC_RELAXED))
			all = false;
	}
	return all;
}

static const char *surprise_name(int surprise)
{
	switch (surprise) {
	case INCONSISTENT:
		return "what was seen contradicts itself";
	case GONE:
		return "what is in use has gone";
	case MOVED:
		return "what must not move has moved";
	default:
		return strerror(surprise);
	}
}

/**
 * race - let workers do what they do, all at once, over and over
 * @workers: at most MAX_WORKERS
 *
 * CONFIGFS_TEST_SECONDS is how long (2); on a slow machine up to a minute more,
 * until everybody has had his turn.
 *
 * Return: whether each has succeeded at least once, and failed only as it may.
 */
bool race(const struct worker *workers)
{
	const char *env = getenv("CONFIGFS_TEST_SECONDS");
	struct result results[MAX_WORKERS] = {};
	bool good = true;
	int n, i;

	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	for (n = 0; n < MAX_WORKERS && workers[n].fn; n++) {
		results[n].worker = &workers[n];
		if (pthread_create(&results[n].thread, NULL, work,
				   &results[n])) {
			good = false;
			break;
		}
	}
	if (good)
		usleep((env ? atof(env) : 2) * 1e6);
	for (i = 0; good && i < 60 && !all_succeeded(results, n); i++)
		sleep(1);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < n; i++)
		pthread_join(results[i].thread, NULL);

	for (i = 0; i < n; i++) {
		ksft_print_msg("worker %d: %lu succeeded, %lu failed\n", i,
			       results[i].succeeded, results[i].failed);
		if (results[i].surprise) {
			ksft_print_msg("worker %d: %s\n", i,
				       surprise_name(results[i].surprise));
			good = false;
		}
		if (!results[i].succeeded)
			good = false;
	}
	return good;
}

/*
 * Events
 */

/* All but what looking around causes itself */
#define WATCHED		(IN_ALL_EVENTS & ~(IN_ACCESS | IN_OPEN | IN_CLOSE))

bool watch_init(struct watches *w)
{
	w->n = 0;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return w->fd != -1;
}

/* Descriptors of watches start with 1 and are not used again. */
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
			fprintf(out, "%s%s\n", e->len ? " " : "",
				e->len ? e->name : "");
		}
	fclose(out);
	return w->text;
}

/*
 * Loading and unloading
 */

/* The module as it is installed beside the program, or else by modprobe. */
int module_load(void)
{
	char path[PATH_MAX], *slash;
	int fd, ret;
	ssize_t len;

	len = readlink("/proc/self/exe", path, sizeof(path) - 64);
	if (len == -1)
		return errno;
	path[len] = 0;
	slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, "test_modules/" TEST_MODULE ".ko");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return system("modprobe -q " TEST_MODULE " 2>/dev/null") ? ENOENT : 0;
	ret = to_errno(syscall(__NR_finit_module, fd, "", 0));
	close(fd);
	return ret;
}

int module_unload(void)
{
	return to_errno(syscall(__NR_delete_module, TEST_MODULE, O_NONBLOCK));
}

/* A module that does not go away is a reference that was lost. */
static void unload_at_exit(void)
{
	int ret;

	if (getpid() != loader)
		return;
	if (chdir("/"))
		ksft_print_msg("cannot leave configfs\n");
	control("reset", "1");
	if (counter("objects") != idle_objects)
		purge();
	ret = module_unload();
	if (ret) {
		ksft_print_msg("cannot unload " TEST_MODULE ": %s\n", strerror(ret));
		fflush(NULL);
		_exit(KSFT_FAIL);
	}
}

static void skip_all(const char *what, int error)
{
	ksft_print_header();
	ksft_exit_skip("%s: %s\n", what, strerror(error));
}

void test_load(void)
{
	struct statfs fs;
	int ret;

	if (geteuid())
		skip_all("must be run as root", EPERM);
	if (statfs(CONFIGFS_DIR, &fs))
		skip_all("no configfs: " CONFIGFS_DIR, errno);
	if (fs.f_type != CONFIGFS_MAGIC &&
	    mount("configfs", CONFIGFS_DIR, "configfs", 0, NULL))
		skip_all("cannot mount configfs", errno);
	/* One that a killed run has left behind is not to be trusted */
	module_unload();
	ret = module_load();
	if (ret)
		skip_all("cannot load the module " TEST_MODULE, ret);
	loader = getpid();
	idle_objects = counter("objects");
	atexit(unload_at_exit);
	if (count_dirents() == -1)
		ksft_print_msg("SKIP comparing the number of dirents: no " DIRENT_CACHE "\n");
}
