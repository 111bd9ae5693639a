// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
		"allow_link", "drop_link", "objects", "violations"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		/* What is made in vain is made and dropped */
		if (flags & SNAP_TREE && strcmp(names[i], "objects") &&
		    strcmp(names[i], "violations"))
			continue;
		fprintf(out, "counter %s %d\n", names[i], counter(names[i]));
	}
	if (flags & SNAP_CALLS)
		fprintf(out, "counter commit %d\ncounter uncommit %d\n",
			counter("commit"), counter("uncommit"));
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
