// SPDX-License-Identifier: GPL-2.0
/*
 * A directory comes with all that is in it, attributes and default groups at any
 * depth, and goes with all of it, each in one step: whoever looks sees the whole
 * or nothing. This is so for mkdir(2) and rmdir(2), for groups that a driver
 * registers, and for subsystems.
 *
 * CONFIGFS_TEST_SECONDS is how long each race runs (2), one half of it with slow
 * callbacks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

/* There is no operation with that many allocations: something loops */
#define MAX_NTH		2000

/* The path that is meant; good for the next 15 calls in this thread. */
static const char *at(const char *fmt, ...)
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
 * The tree, as the driver makes it
 */

enum makes {
	NOTHING,
	ITEMS,
	TREES,
};

/**
 * struct dir - a directory of the tree
 * @path:	from the top
 * @listing:	what readdir(3) gives, in this order: attributes, the last one
 *		first, and then groups, as the driver has added them
 * @nlink:	of its inode
 * @makes:	what mkdir(2) makes here
 */
static const struct dir {
	const char *path;
	const char *listing;
	int nlink;
	enum makes makes;
} dirs[] = {
	{ "",		". .. blob ro value a d e",	5, ITEMS },
	{ "/a",		". .. blob ro value b b2",	4, ITEMS },
	{ "/a/b",	". .. blob ro value c",		3, TREES },
	{ "/a/b/c",	". .. blob ro value",		2, ITEMS },
	{ "/a/b2",	". .. blob ro value",		2, NOTHING },
	{ "/d",		". .. blob ro value",		2, TREES },
	{ "/e",		". .. blob ro value f",		3, NOTHING },
	{ "/e/f",	". .. blob ro value",		2, ITEMS },
};

#define NR_DIRS		ARRAY_SIZE(dirs)
#define NR_DEFAULTS	(NR_DIRS - 1)

static const struct attr {
	const char *name;
	mode_t mode;
	off_t size;
} attrs[] = {
	{ "value",	S_IFREG | 0644, 4096 },
	{ "ro",		S_IFREG | 0444, 4096 },
	{ "blob",	S_IFREG | 0644, 0 },
};

static int nlink_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? -errno : (int)st.st_nlink;
}

static int nlink_of_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -errno : (int)st.st_nlink;
}

/*
 * The names in a directory, by one system call, and with that at one moment.
 * What @fd is of is read on from where it was.
 */
static int list_fd(int fd, char *names, size_t size)
{
	uint64_t buf[512];
	size_t used = 0;
	long len;

	names[0] = 0;
	len = syscall(__NR_getdents64, fd, buf, sizeof(buf));
	if (len == -1)
		return errno;
	for (long pos = 0; pos < len; ) {
		const struct dirent64 *d = (void *)buf + pos;

		pos += d->d_reclen;
		used += snprintf(names + used, size - used, "%s%s",
				 used ? " " : "", d->d_name);
		if (used >= size)
			return E2BIG;
	}
	return 0;
}

static int list_at(int dirfd, const char *path, char *names, size_t size)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd == -1)
		return errno;
	ret = list_fd(fd, names, size);
	close(fd);
	return ret;
}

static const char *listing_of(const char *path)
{
	static char names[4096];
	int ret = list_at(AT_FDCWD, path, names, sizeof(names));

	return ret ? strerror(ret) : names;
}

/* Whether @names has all the words of @wanted */
static bool has_all(const char *names, const char *wanted)
{
	while (*wanted) {
		int len = strcspn(wanted, " ");
		const char *p = names;

		while (*p && ((int)strcspn(p, " ") != len ||
			      memcmp(p, wanted, len)))
			p += strcspn(p, " ") + (p[strcspn(p, " ")] == ' ');
		if (!*p)
			return false;
		wanted += len + (wanted[len] == ' ');
	}
	return true;
}

/*
 * Whether the directory has been removed. Looking for what is not there waits
 * for whoever is removing it right now.
 */
static bool is_dead(int dirfd)
{
	faccessat(dirfd, at("no-%d", gettid()), F_OK, 0);
	return nlink_of_fd(dirfd) == 0;
}

/* What is in it is told so before it is dead itself, but not for long. */
static bool dies(int fd)
{
	for (int i = 0; i < 10000; i++) {
		if (!nlink_of_fd(fd))
			return true;
		usleep(1000);
	}
	return false;
}

/*
 * Look at all that is in the tree at @dirfd, an O_PATH one perhaps: 0 when
 * nothing is missing, and ENOENT when the tree has been removed. It cannot lack
 * anything otherwise.
 */
static int look_at(int dirfd)
{
	char names[1024];
	int ret;

	for (size_t i = 0; i < NR_DIRS; i++) {
		const char *dir = at(".%s", dirs[i].path);

		for (size_t j = 0; j < ARRAY_SIZE(attrs); j++)
			if (faccessat(dirfd, at("%s/%s", dir, attrs[j].name),
				      F_OK, 0)) {
				ret = errno;
				goto missing;
			}
		ret = list_at(dirfd, dir, names, sizeof(names));
		if (ret)
			goto missing;
		if (!has_all(names, dirs[i].listing)) {
			ksft_print_msg("%s has only: %s\n", dir, names);
			return INCONSISTENT;
		}
	}
	return 0;

missing:
	return ret == ENOENT && is_dead(dirfd) ? ENOENT : INCONSISTENT;
}

static int look_at_path(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd == -1)
		return errno;
	ret = look_at(fd);
	close(fd);
	return ret;
}

/*
 * The ways to make and to remove one
 */

/**
 * struct way - how a tree comes and goes
 * @prepare:	directory to be made first
 * @parent:	where it is
 * @name:	its name
 * @top:	both
 * @node:	the same, as the test module names it
 * @make:	makes it, with @make_a and @make_b
 * @remove:	removes it, with @remove_a and @remove_b
 * @by_user:	by mkdir(2) and rmdir(2)
 */
struct way {
	const char *prepare;
	const char *parent;
	const char *name;
	const char *top;
	const char *node;
	int (*make)(const char *a, const char *b);
	const char *make_a;
	const char *make_b;
	int (*remove)(const char *a, const char *b);
	const char *remove_a;
	const char *remove_b;
	bool by_user;
};

static const struct way by_mkdir = {
	.parent = "trees",
	.name = "X",
	.top = "trees/X",
	.node = TEST_MODULE "/trees/X",
	.make = task_mkdir,
	.make_a = "trees/X",
	.remove = task_rmdir,
	.remove_a = "trees/X",
	.by_user = true,
};

static const struct way by_mkdir_below = {
	.prepare = "trees/O",
	.parent = "trees/O/a/b",
	.name = "X",
	.top = "trees/O/a/b/X",
	.node = TEST_MODULE "/trees/O/a/b/X",
	.make = task_mkdir,
	.make_a = "trees/O/a/b/X",
	.remove = task_rmdir,
	.remove_a = "trees/O/a/b/X",
	.by_user = true,
};

static const struct way by_group = {
	.parent = ".",
	.name = "dyn",
	.top = "dyn",
	.node = TEST_MODULE "/dyn",
	.make = control,
	.make_a = "dyn",
	.make_b = ". dyn",
	.remove = control,
	.remove_a = "dyn",
	.remove_b = "0",
};

static const struct way by_group_below = {
	.parent = "trees",
	.name = "dyn",
	.top = "trees/dyn",
	.node = TEST_MODULE "/trees/dyn",
	.make = control,
	.make_a = "dyn",
	.make_b = "trees dyn",
	.remove = control,
	.remove_a = "dyn",
	.remove_b = "0",
};

static const struct way by_subsystem = {
	.parent = CONFIGFS_DIR,
	.name = TEST_MODULE "3",
	.top = SUBSYS_DIR "3",
	.node = TEST_MODULE "3",
	.make = control,
	.make_a = "third",
	.make_b = TEST_MODULE "3",
	.remove = control,
	.remove_a = "third",
	.remove_b = "0",
};

static int make(const struct way *way)
{
	return way->make(way->make_a, way->make_b);
}

static int take_away(const struct way *way)
{
	return way->remove(way->remove_a, way->remove_b);
}

/* What refuses to go: the errno of configfs, or that of the test module */
static int refused(const struct way *way, int error)
{
	return way->by_user ? error : EBUSY;
}

static int start_making(struct task *task, const struct way *way)
{
	return task_start(task, way->make, way->make_a, way->make_b);
}

static int start_removing(struct task *task, const struct way *way)
{
	return task_start(task, way->remove, way->remove_a, way->remove_b);
}

/* From now on @callback does not return for an object called @name */
static int hold_name(const char *callback, const char *name)
{
	return control("knob", at("%s 0 0 1 %s", callback, name));
}

/* Whether this kernel has what it is that is tested here at all */
static bool is_patched(void)
{
	/* Then there is a rename(2), which knows what it does not know */
	return do_rename_flags("trees", "x", RENAME_WHITEOUT) == EINVAL;
}

/*
 * One tree, whichever way it comes and goes
 */

FIXTURE(tree)
{
	struct baseline base;
	struct task task[3];
	struct watches watches;
};

FIXTURE_VARIANT(tree)
{
	const struct way *way;
};

FIXTURE_VARIANT_ADD(tree, mkdir) {
	.way = &by_mkdir,
};

FIXTURE_VARIANT_ADD(tree, mkdir_below) {
	.way = &by_mkdir_below,
};

FIXTURE_VARIANT_ADD(tree, register_group) {
	.way = &by_group,
};

FIXTURE_VARIANT_ADD(tree, register_group_below) {
	.way = &by_group_below,
};

FIXTURE_VARIANT_ADD(tree, register_subsystem) {
	.way = &by_subsystem,
};

FIXTURE_SETUP(tree)
{
	test_begin(&self->base);
	if (variant->way->prepare)
		ASSERT_EQ(0, do_mkdir(variant->way->prepare));
	ASSERT_EQ(0, do_mkdir("items/l"));
	ASSERT_EQ(0, do_mkdir("items/t"));
	ASSERT_EQ(0, control("reset", "1"));
}

FIXTURE_TEARDOWN(tree)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(tree, is_complete)
{
	const struct way *way = variant->way;
	int nlink = nlink_of(way->parent);
	struct stat st;
	char *before;

	ASSERT_EQ(0, make(way));
	ASSERT_EQ(nlink + 1, nlink_of(way->parent));
	ASSERT_EQ(1, listed(way->top[0] == '/' ? way->top :
			    at("./%s", way->top)));

	for (size_t i = 0; i < NR_DIRS; i++) {
		const char *dir = at("%s%s", way->top, dirs[i].path);

		ASSERT_EQ(0, lstat(dir, &st));
		ASSERT_EQ(S_IFDIR | 0755, st.st_mode);
		ASSERT_EQ(dirs[i].nlink, st.st_nlink);
		ASSERT_EQ(0, st.st_uid);
		ASSERT_STREQ(dirs[i].listing, listing_of(dir));
		/* Twice, as a part of the dentries is there now */
		ASSERT_STREQ(dirs[i].listing, listing_of(dir));
		if (i)
			ASSERT_EQ(1, listed(dir));

		for (size_t j = 0; j < ARRAY_SIZE(attrs); j++) {
			const char *attr = at("%s/%s", dir, attrs[j].name);

			ASSERT_EQ(0, lstat(attr, &st));
			ASSERT_EQ(attrs[j].mode, st.st_mode);
			ASSERT_EQ(attrs[j].size, st.st_size);
			ASSERT_EQ(1, st.st_nlink);
		}
		ASSERT_STREQ("initial", value_of(at("%s/value", dir)));
		ASSERT_STREQ(i ? strrchr(dir, '/') + 1 : way->name,
			     value_of(at("%s/ro", dir)));
		ASSERT_EQ(0, do_write(at("%s/blob", dir), "data"));
		ASSERT_STREQ("data", value_of(at("%s/blob", dir)));
		ASSERT_STREQ("No such file or directory",
			     value_of(at("%s/hidden", dir)));
		ASSERT_STREQ("No such file or directory",
			     value_of(at("%s/hidden_blob", dir)));
	}
	ASSERT_EQ((int)NR_DIRS, counter("visible"));
	ASSERT_EQ(0, look_at_path(way->top));

	ASSERT_EQ(0, take_away(way));
	ASSERT_EQ(nlink, nlink_of(way->parent));
	ASSERT_EQ(0, listed(way->top[0] == '/' ? way->top :
			    at("./%s", way->top)));
	for (size_t i = 0; i < NR_DIRS; i++)
		ASSERT_EQ(-ENOENT, nlink_of(at("%s%s", way->top,
					       dirs[i].path)));
	ASSERT_EQ(way->by_user, counter("make"));
	ASSERT_EQ(way->by_user, counter("drop"));
	ASSERT_EQ(way->by_user, counter("disconnect"));
	ASSERT_EQ((int)NR_DIRS, counter("release"));
	before = snapshot(SNAP_TREE);
	ASSERT_EQ(0, make(way));
	ASSERT_EQ(0, take_away(way));
	ASSERT_TRUE(unchanged(before, SNAP_TREE));
}

TEST_F(tree, names_are_taken)
{
	const struct way *way = variant->way;
	char *before;

	ASSERT_EQ(0, make(way));
	before = snapshot(0);
	for (size_t i = 0; i < NR_DIRS; i++) {
		const char *dir = at("%s%s", way->top, dirs[i].path);

		ASSERT_EQ(EEXIST, do_mkdir(dir));
		ASSERT_EQ(EEXIST, do_mkdir(at("%s/", dir)));
		ASSERT_EQ(EEXIST, do_symlink("items/t", dir));
		for (size_t j = 0; j < ARRAY_SIZE(attrs); j++) {
			const char *attr = at("%s/%s", dir, attrs[j].name);

			ASSERT_EQ(EEXIST, do_mkdir(attr));
			ASSERT_EQ(EEXIST, do_symlink("items/t", attr));
			ASSERT_EQ(EPERM, do_unlink(attr));
			ASSERT_EQ(ENOTDIR, do_rmdir(attr));
		}
	}
	ASSERT_TRUE(unchanged(before, 0));
	ASSERT_EQ(0, take_away(way));
}

TEST_F(tree, default_groups_stay)
{
	const struct way *way = variant->way;
	char *before;

	ASSERT_EQ(0, make(way));
	before = snapshot(0);
	for (size_t i = way->by_user ? 1 : 0; i < NR_DIRS; i++) {
		const char *dir = at("%s%s", way->top, dirs[i].path);

		ASSERT_EQ(EPERM, do_rmdir(dir));
		/* The VFS says it is a directory before configfs is asked */
		ASSERT_EQ(EISDIR, do_unlink(dir));
	}
	ASSERT_TRUE(unchanged(before, 0));
	ASSERT_EQ(0, take_away(way));
}

TEST_F(tree, is_removed_only_when_empty)
{
	const struct way *way = variant->way;
	char *before;

	ASSERT_EQ(0, make(way));
	before = snapshot(SNAP_TREE);
	for (size_t i = 0; i < NR_DIRS; i++) {
		char n[PATH_MAX];

		snprintf(n, sizeof(n), "%s%s/n", way->top, dirs[i].path);
		if (dirs[i].makes == NOTHING) {
			ASSERT_EQ(EPERM, do_mkdir(n));
			continue;
		}
		ASSERT_EQ(0, do_mkdir(n));
		ASSERT_EQ(refused(way, ENOTEMPTY), take_away(way));
		ASSERT_EQ(1, listed(n));
		if (dirs[i].makes == TREES) {
			/* In a default group of the inner tree */
			ASSERT_EQ(0, look_at_path(n));
			ASSERT_EQ(0, do_mkdir(at("%s/a/b/c/i", n)));
			ASSERT_EQ(ENOTEMPTY, do_rmdir(n));
			ASSERT_EQ(refused(way, ENOTEMPTY), take_away(way));
			ASSERT_EQ(0, do_rmdir(at("%s/a/b/c/i", n)));
		}
		ASSERT_EQ(0, look_at_path(way->top));
		ASSERT_EQ(0, do_rmdir(n));
		ASSERT_TRUE(unchanged(before, SNAP_TREE));
	}
	ASSERT_EQ(0, take_away(way));
}

TEST_F(tree, is_not_removed_while_depended_on)
{
	const struct way *way = variant->way;
	char *before;

	ASSERT_EQ(ENOENT, control("depend", way->node));
	ASSERT_EQ(0, make(way));
	before = snapshot(SNAP_TREE);
	for (size_t i = 0; i < NR_DIRS; i++) {
		const char *node = at("%s%s", way->node, dirs[i].path);

		ASSERT_EQ(0, control("depend", node));
		if (way->by_user) {
			ASSERT_EQ(0, control("depend", node));
			ASSERT_EQ(EBUSY, take_away(way)) {
				TH_LOG("%s has a dependent", node);
			}
			ASSERT_EQ(0, control("undepend", node));
			ASSERT_EQ(EBUSY, take_away(way));
		}
		ASSERT_EQ(0, control("undepend", node));
		ASSERT_TRUE(unchanged(before, SNAP_TREE));
	}
	ASSERT_EQ(0, take_away(way));
	ASSERT_EQ(ENOENT, control("depend", way->node));
}

static int task_look(const char *path, const char *unused)
{
	return look_at_path(path);
}

/* No path leads to any directory of it, and no attribute. */
static void check_no_path(struct __test_metadata *_metadata,
			  const struct way *way)
{
	for (size_t i = 0; i < NR_DIRS; i++) {
		const char *dir = at("%s%s", way->top, dirs[i].path);

		EXPECT_FALSE(exists(dir));
		EXPECT_EQ(-1, open(dir, O_RDONLY | O_DIRECTORY));
		EXPECT_EQ(ENOENT, errno);
		EXPECT_EQ(ENOENT, task_read(at("%s/value", dir), NULL));
		EXPECT_EQ(ENOENT, do_symlink(dir, "items/l/link"));
		if (dirs[i].makes && i)
			EXPECT_EQ(ENOENT, do_mkdir(at("%s/n", dir)));
	}
}

/*
 * It is caught in the middle of being made, and nobody can tell. Who looks for
 * it does not find it, or has to wait and then finds it complete.
 */
TEST_F(tree, is_not_seen_before_it_is_complete)
{
	static const struct {
		const char *name;
		int visible;
	} held[] = {
		/* How many come before, and which it is */
		{ "", 1 }, { "a", 2 }, { "c", 4 }, { "b2", 5 }, { "f", 8 },
	};
	const struct way *way = variant->way;
	struct stat st, now;
	int parent = open(way->parent, O_PATH | O_DIRECTORY);

	ASSERT_LE(0, parent);
	for (size_t i = 0; i < ARRAY_SIZE(held); i++) {
		const char *name = held[i].name[0] ? held[i].name : way->name;
		bool by_user = way->by_user, waits;

		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, fstat(parent, &st));
		ASSERT_TRUE(watch_init(&self->watches));
		ASSERT_TRUE(watch(&self->watches, "parent", way->parent));
		ASSERT_EQ(0, hold_name("visible", name));
		ASSERT_TRUE(start_making(&self->task[0], way));
		ASSERT_TRUE(wait_counter("visible", held[i].visible));
		ASSERT_TRUE(task_waits(&self->task[0]));
		ASSERT_EQ(held[i].visible, counter("visible"));

		for (size_t j = 0; j < NR_DIRS; j++)
			EXPECT_EQ(ENOENT, control("depend",
						  at("%s%s", way->node,
						     dirs[j].path)));
		ASSERT_TRUE(task_start(&self->task[2], task_look, way->top,
				       NULL));
		waits = task_waits(&self->task[2]);
		if (!waits) {
			EXPECT_EQ(ENOENT, task_join(&self->task[2]));
			check_no_path(_metadata, way);
		}
		EXPECT_EQ(0, fstat(parent, &now));
		EXPECT_EQ(st.st_nlink, now.st_nlink);
		EXPECT_EQ(st.st_mtim.tv_sec, now.st_mtim.tv_sec);
		EXPECT_EQ(st.st_mtim.tv_nsec, now.st_mtim.tv_nsec);
		EXPECT_STREQ("", watched(&self->watches));

		/* Who wants the same name has to wait, and is too late */
		if (by_user) {
			EXPECT_TRUE(start_making(&self->task[1], way));
			EXPECT_TRUE(task_waits(&self->task[1]));
		}
		ASSERT_EQ(0, release("visible"));
		ASSERT_EQ(0, task_join(&self->task[0]));
		if (by_user)
			EXPECT_EQ(EEXIST, task_join(&self->task[1]));
		if (waits)
			EXPECT_EQ(0, task_join(&self->task[2]));
		EXPECT_EQ(0, counter("violations"));
		EXPECT_STREQ(by_user ? at("parent CREATE ISDIR %s\n", way->name) :
			     "", watched(&self->watches));
		ASSERT_EQ(0, look_at_path(way->top));
		ASSERT_EQ(0, fstat(parent, &now));
		ASSERT_EQ(st.st_nlink + 1, now.st_nlink);
		ASSERT_EQ(0, take_away(way));
		close(self->watches.fd);
	}
}

TEST_F(tree, events)
{
	const struct way *way = variant->way;
	struct watches *w = &self->watches;

	ASSERT_TRUE(watch_init(w));
	ASSERT_TRUE(watch(w, "parent", way->parent));
	ASSERT_EQ(0, make(way));
	ASSERT_STREQ(way->by_user ? at("parent CREATE ISDIR %s\n", way->name) :
		     "", watched(w));

	ASSERT_TRUE(watch(w, "top", way->top));
	ASSERT_TRUE(watch(w, "group", at("%s/a/b/c", way->top)));
	ASSERT_TRUE(watch(w, "attribute", at("%s/a/b/c/ro", way->top)));
	ASSERT_STREQ("", watched(w));
	ASSERT_EQ(0, take_away(way));
	/*
	 * Nobody is told that a default group is taken from its directory, but
	 * it tells that it is gone itself. The inode of an attribute that is
	 * not open is nobody's any more.
	 */
	ASSERT_STREQ(at(way->by_user ?
			"group DELETE_SELF\n"
			"group IGNORED\n"
			"top DELETE_SELF\n"
			"top IGNORED\n"
			"parent DELETE ISDIR %s\n" :
			"group DELETE_SELF\n"
			"group IGNORED\n"
			"parent DELETE ISDIR %s\n"
			"top DELETE_SELF\n"
			"top IGNORED\n", way->name), watched(w));
	close(w->fd);
}

/* An open file keeps the directories that it is in. */
TEST_F(tree, events_with_an_open_attribute)
{
	const struct way *way = variant->way;
	struct watches *w = &self->watches;
	int fd;

	ASSERT_EQ(0, make(way));
	fd = open(at("%s/a/b/c/value", way->top), O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(watch_init(w));
	ASSERT_TRUE(watch(w, "parent", way->parent));
	ASSERT_TRUE(watch(w, "top", way->top));
	ASSERT_TRUE(watch(w, "group", at("%s/a/b/c", way->top)));
	ASSERT_TRUE(watch(w, "beside", at("%s/e/f", way->top)));
	ASSERT_TRUE(watch(w, "attribute", at("%s/a/b/c/value", way->top)));
	ASSERT_EQ(0, take_away(way));
	ASSERT_STREQ(at("beside DELETE_SELF\n"
			"beside IGNORED\n"
			"parent DELETE ISDIR %s\n", way->name), watched(w));
	ASSERT_EQ(0, close(fd));
	ASSERT_STREQ("attribute DELETE_SELF\n"
		     "attribute IGNORED\n"
		     "group DELETE_SELF\n"
		     "group IGNORED\n"
		     "top DELETE_SELF\n"
		     "top IGNORED\n", watched(w));
}

/*
 * A process that is in the deepest default group, with everything open. What
 * it gets is what it got before a tree was removed in one step.
 */
TEST_F(tree, process_inside)
{
	const struct way *way = variant->way;
	int unread, half, out, blob_in, blob_out, blob_written, path;
	int dir[3];
	uint64_t buf[8];
	char text[64];

	for (int remade = 0; remade < 2; remade++) {
		ASSERT_EQ(0, make(way));
		dir[0] = open(way->top, O_RDONLY | O_DIRECTORY);
		dir[1] = open(at("%s/a", way->top), O_RDONLY | O_DIRECTORY);
		path = open(at("%s/a/b", way->top), O_PATH);
		ASSERT_EQ(0, do_write(at("%s/a/b/c/blob", way->top), "data"));
		ASSERT_EQ(0, chdir(at("%s/a/b/c", way->top)));
		dir[2] = open(".", O_RDONLY | O_DIRECTORY);
		unread = open("value", O_RDONLY);
		half = open("value", O_RDONLY);
		out = open("value", O_WRONLY);
		blob_in = open("blob", O_RDONLY);
		blob_out = open("blob", O_WRONLY);
		blob_written = open("blob", O_WRONLY);
		ASSERT_LE(0, blob_written);
		ASSERT_EQ(3, read(half, text, 3));
		ASSERT_EQ(2, write(blob_written, "xx", 2));
		/* Cursors stay in the middle */
		for (int i = 0; i < 3; i++)
			ASSERT_LT(0, syscall(__NR_getdents64, dir[i], buf,
					     sizeof(buf)));
		ASSERT_EQ(0, fchdir(dir[2]));
		ASSERT_EQ(0, control("reset", "1"));

		/* A relative path leads out of here */
		ASSERT_EQ(0, way->by_user ?
			  do_rmdir(at(SUBSYS_DIR "/%s", way->top)) :
			  take_away(way));

		if (remade)
			ASSERT_EQ(0, way->by_user ?
				  do_mkdir(at(SUBSYS_DIR "/%s", way->top)) :
				  make(way));

		/* Through paths from here */
		ASSERT_EQ(ENOENT, task_read("value", NULL));
		ASSERT_EQ(ENOENT, do_write("value", "x"));
		ASSERT_EQ(ENOENT, do_mkdir("n"));
		ASSERT_EQ(ENOENT, do_rmdir("n"));
		ASSERT_EQ(ENOENT, do_symlink(SUBSYS_DIR "/items/t", "l"));
		ASSERT_EQ(ENOENT, do_unlink("value"));
		ASSERT_EQ(ENOENT, do_rename("value", "other"));
		ASSERT_EQ(-1, open(".", O_RDONLY | O_DIRECTORY));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(NULL, getcwd(text, sizeof(text)));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(0, nlink_of("."));
		ASSERT_EQ(0, nlink_of(".."));
		ASSERT_EQ(0, nlink_of("../../.."));
		ASSERT_EQ(-ENOENT, nlink_of("../value"));
		ASSERT_EQ(-ENOENT, nlink_of("../c"));
		ASSERT_EQ(ENOENT, do_symlink("/proc/self/cwd",
					     SUBSYS_DIR "/items/l/link"));
		ASSERT_EQ(ENOENT, do_symlink(at("/proc/self/fd/%d", dir[0]),
					     SUBSYS_DIR "/items/l/link"));
		ASSERT_EQ(-1, mount("/tmp", ".", NULL, MS_BIND, NULL));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(0, chmod(".", 0700));
		ASSERT_EQ(0, utimensat(AT_FDCWD, ".", NULL, 0));

		/* From an O_PATH descriptor */
		ASSERT_EQ(-1, openat(path, "value", O_RDONLY));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(-1, openat(path, "c", O_PATH));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(-1, mkdirat(path, "n", 0777));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(-1, unlinkat(path, "c", AT_REMOVEDIR));
		ASSERT_EQ(ENOENT, errno);

		/* Through open directories */
		for (int i = 0; i < 3; i++) {
			ASSERT_EQ(0, nlink_of_fd(dir[i]));
			ASSERT_EQ(ENOENT, list_fd(dir[i], text, sizeof(text)));
			for (int pos = 0; pos < 12; pos++)
				ASSERT_EQ(pos, lseek(dir[i], pos, SEEK_SET));
			ASSERT_EQ(12, lseek(dir[i], 1, SEEK_CUR));
			ASSERT_EQ(-1, lseek(dir[i], 0, SEEK_END));
			ASSERT_EQ(EINVAL, errno);
			ASSERT_EQ(ENOENT, list_fd(dir[i], text, sizeof(text)));
			ASSERT_EQ(0, lseek(dir[i], 0, SEEK_SET));
			ASSERT_EQ(ENOENT, list_fd(dir[i], text, sizeof(text)));
			ASSERT_EQ(3, lseek(dir[i], 3, SEEK_SET));
			ASSERT_EQ(0, fchmod(dir[i], 0755));
		}

		/* Through open attributes: what has been read is there */
		ASSERT_EQ(0, nlink_of_fd(unread));
		ASSERT_EQ(-1, read(unread, text, sizeof(text)));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(5, read(half, text, sizeof(text)));
		ASSERT_EQ(0, memcmp(text, "tial\n", 5));
		ASSERT_EQ(0, read(half, text, sizeof(text)));
		ASSERT_EQ(ENOENT, do_write_fd(out, "x"));
		ASSERT_EQ(-1, read(blob_in, text, sizeof(text)));
		ASSERT_EQ(ENOENT, errno);
		/* These are for the driver when it is closed, or for nobody */
		ASSERT_EQ(2, write(blob_out, "xx", 2));
		ASSERT_EQ(2, write(blob_written, "xx", 2));
		ASSERT_EQ(0, close(blob_out));
		ASSERT_EQ(0, close(blob_written));
		ASSERT_EQ(0, counter("bin_write"));
		ASSERT_EQ(0, counter("bin_read"));
		ASSERT_EQ(0, counter("store"));
		ASSERT_EQ(0, counter("show"));

		/* Out of here */
		if (!strcmp(way->top, "trees/X")) {
			ASSERT_EQ(0, chdir("../../../.."));
			ASSERT_TRUE(exists("../items"));
			ASSERT_EQ(remade, listed("./X"));
		}
		ASSERT_EQ(0, chdir(SUBSYS_DIR));
		if (remade) {
			ASSERT_EQ(0, look_at_path(way->top));
			ASSERT_EQ(0, nlink_of_fd(path));
			ASSERT_EQ(ENOENT, do_write_fd(out, "x"));
			ASSERT_EQ(0, take_away(way));
		}
		for (int i = 0; i < 3; i++)
			ASSERT_EQ(0, close(dir[i]));
		ASSERT_EQ(0, close(unread));
		ASSERT_EQ(0, close(half));
		ASSERT_EQ(0, close(out));
		ASSERT_EQ(0, close(blob_in));
		ASSERT_EQ(0, close(path));
	}
}

/* What is mounted somewhere below goes with it. */
TEST_F(tree, mounts_below)
{
	const struct way *way = variant->way;
	char mounts[32768];

	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	for (size_t i = 1; i < NR_DIRS; i++) {
		const char *dir;

		ASSERT_EQ(0, make(way));
		dir = at("%s%s", way->top, dirs[i].path);
		ASSERT_EQ(0, mount("/tmp", dir, NULL, MS_BIND, NULL));
		ASSERT_EQ(0, take_away(way));
		ASSERT_EQ(-1, umount(dir));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(0, do_read("/proc/self/mountinfo", mounts,
				     sizeof(mounts)));
		ASSERT_EQ(NULL, strstr(mounts, at("/%s%s", way->name,
						  dirs[i].path))) {
			TH_LOG("%s is still mounted", dir);
		}
	}
	/* On an attribute */
	ASSERT_EQ(0, mknod("/tmp/mounts_below", S_IFREG | 0600, 0));
	for (size_t i = 0; i < NR_DIRS; i++) {
		const char *attr;

		ASSERT_EQ(0, make(way));
		attr = at("%s%s/ro", way->top, dirs[i].path);
		ASSERT_EQ(0, mount("/tmp/mounts_below", attr, NULL, MS_BIND, NULL));
		ASSERT_EQ(0, take_away(way));
		ASSERT_EQ(0, do_read("/proc/self/mountinfo", mounts,
				     sizeof(mounts)));
		ASSERT_EQ(NULL, strstr(mounts, at("/%s%s/ro", way->name,
						  dirs[i].path))) {
			TH_LOG("%s is still mounted", attr);
		}
	}
	ASSERT_EQ(0, unlink("/tmp/mounts_below"));
	/* On itself: rmdir(2) does not like that, a driver is not asked */
	ASSERT_EQ(0, make(way));
	ASSERT_EQ(0, mount("/tmp", way->top, NULL, MS_BIND, NULL));
	if (way->by_user) {
		ASSERT_EQ(EBUSY, take_away(way));
		ASSERT_EQ(0, umount(way->top));
	}
	ASSERT_EQ(0, take_away(way));
}

/*
 * One that userspace makes and removes. A driver is asked neither what is in its
 * group nor who needs it, and nobody is told that it comes.
 */

FIXTURE(made)
{
	struct baseline base;
	struct task task[1];
	struct watches watches;
};

FIXTURE_VARIANT(made)
{
	const struct way *way;
};

FIXTURE_VARIANT_ADD(made, mkdir) {
	.way = &by_mkdir,
};

FIXTURE_VARIANT_ADD(made, mkdir_below) {
	.way = &by_mkdir_below,
};

FIXTURE_SETUP(made)
{
	test_begin(&self->base);
	if (variant->way->prepare)
		ASSERT_EQ(0, do_mkdir(variant->way->prepare));
	ASSERT_EQ(0, do_mkdir("items/l"));
	ASSERT_EQ(0, do_mkdir("items/t"));
}

FIXTURE_TEARDOWN(made)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(made, is_not_removed_with_a_link_in_it)
{
	const struct way *way = variant->way;
	char *before;

	ASSERT_EQ(0, make(way));
	before = snapshot(SNAP_TREE);
	for (size_t i = 0; i < NR_DIRS; i++) {
		const char *link = at("%s%s/link", way->top, dirs[i].path);

		ASSERT_EQ(0, do_symlink("items/t", link));
		ASSERT_EQ(ENOTEMPTY, take_away(way));
		ASSERT_EQ(1, listed(link));
		ASSERT_EQ(0, do_unlink(link));
		ASSERT_TRUE(unchanged(before, SNAP_TREE));
	}
	ASSERT_EQ(0, take_away(way));
}

TEST_F(made, is_not_removed_while_linked_to)
{
	const struct way *way = variant->way;
	char *before;

	ASSERT_EQ(0, make(way));
	before = snapshot(SNAP_TREE);
	for (size_t i = 0; i < NR_DIRS; i++) {
		const char *dir = at("%s%s", way->top, dirs[i].path);

		ASSERT_EQ(0, do_symlink(dir, "items/l/link"));
		ASSERT_EQ(0, do_symlink(dir, "items/l/link2"));
		ASSERT_EQ(EBUSY, take_away(way));
		ASSERT_STREQ(dirs[i].listing, listing_of("items/l/link"));
		ASSERT_EQ(0, do_unlink("items/l/link"));
		ASSERT_EQ(EBUSY, take_away(way));
		ASSERT_EQ(0, do_unlink("items/l/link2"));
		ASSERT_TRUE(unchanged(before, SNAP_TREE));
	}
	/* From within itself, too */
	ASSERT_EQ(0, do_symlink(at("%s/e", way->top),
				at("%s/a/b/c/link", way->top)));
	ASSERT_EQ(0, do_symlink(way->top, at("%s/e/f/link", way->top)));
	ASSERT_NE(0, take_away(way));
	ASSERT_EQ(0, do_unlink(at("%s/a/b/c/link", way->top)));
	ASSERT_EQ(0, do_unlink(at("%s/e/f/link", way->top)));
	ASSERT_EQ(0, take_away(way));
}

/* The event comes when everything is there. */
TEST_F(made, is_complete_when_it_is_announced)
{
	const struct way *way = variant->way;
	struct pollfd pollfd = { .events = POLLIN };

	ASSERT_TRUE(watch_init(&self->watches));
	ASSERT_TRUE(watch(&self->watches, "parent", way->parent));
	pollfd.fd = self->watches.fd;
	for (int i = 0; i < 10; i++) {
		ASSERT_TRUE(start_making(&self->task[0], way));
		ASSERT_EQ(1, poll(&pollfd, 1, 10000));
		EXPECT_EQ(0, look_at_path(way->top));
		EXPECT_STREQ(at("parent CREATE ISDIR %s\n", way->name),
			     watched(&self->watches));
		ASSERT_EQ(0, task_join(&self->task[0]));
		ASSERT_EQ(0, take_away(way));
		EXPECT_STREQ(at("parent DELETE ISDIR %s\n", way->name),
			     watched(&self->watches));
	}
}

/* What cannot be made at the deepest place is not made at all. */
TEST_F(made, is_not_made_in_part)
{
	const struct way *way = variant->way;
	int nlink = nlink_of(way->parent);
	const char *bad;
	char *before;

	bad = at("%s/bad", way->parent);
	before = snapshot(SNAP_TREE);
	ASSERT_TRUE(watch_init(&self->watches));
	ASSERT_TRUE(watch(&self->watches, "parent", way->parent));
	ASSERT_EQ(0, control("reset", "1"));
	/* Without a type there are no attributes to be asked about */
	ASSERT_EQ(EINVAL, do_mkdir(bad));
	ASSERT_EQ(3, counter("visible"));
	ASSERT_EQ(1, counter("make"));
	ASSERT_EQ(1, counter("disconnect"));
	ASSERT_EQ(1, counter("drop"));
	ASSERT_EQ((int)NR_DIRS, counter("release"));
	ASSERT_EQ(-ENOENT, nlink_of(bad));
	ASSERT_EQ(nlink, nlink_of(way->parent));
	ASSERT_STREQ("", watched(&self->watches));
	close(self->watches.fd);
	ASSERT_TRUE(unchanged(before, SNAP_TREE));

	ASSERT_EQ(0, knob("make", EIO, 0, false));
	ASSERT_EQ(EIO, make(way));
	ASSERT_EQ(0, knob("make", 0, 0, false));
	ASSERT_TRUE(unchanged(before, SNAP_TREE));
	ASSERT_EQ(0, make(way));
	ASSERT_EQ(0, take_away(way));
}

/*
 * Names that are there when a driver registers
 */

FIXTURE(clash)
{
	struct baseline base;
};

FIXTURE_VARIANT(clash)
{
	const char *file;
	const char *data;
	const char *path;
	const char *parent;
};

FIXTURE_VARIANT_ADD(clash, group_and_default_group) {
	.file = "dyn",
	.data = ". trees",
	.path = "./trees",
	.parent = ".",
};

FIXTURE_VARIANT_ADD(clash, group_and_item) {
	.file = "dyn",
	.data = "trees X",
	.path = "trees/X",
	.parent = "trees",
};

FIXTURE_VARIANT_ADD(clash, group_and_attribute) {
	.file = "dyn",
	.data = "trees value",
	.path = "trees/value",
	.parent = "trees",
};

FIXTURE_VARIANT_ADD(clash, group_and_link) {
	.file = "dyn",
	.data = "trees link",
	.path = "trees/link",
	.parent = "trees",
};

FIXTURE_VARIANT_ADD(clash, subsystems) {
	.file = "third",
	.data = TEST_MODULE,
	.path = SUBSYS_DIR,
	.parent = CONFIGFS_DIR,
};

FIXTURE_SETUP(clash)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("trees/X"));
	ASSERT_EQ(0, do_mkdir("items/t"));
	ASSERT_EQ(0, do_symlink("items/t", "trees/link"));
}

FIXTURE_TEARDOWN(clash)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(clash, is_refused)
{
	char *before, *listing;
	int fd = -1;

	if (!is_patched() && strcmp(variant->file, "third"))
		SKIP(return, "this kernel makes the name a second time");
	for (int i = 0; i < 2; i++) {
		before = snapshot(SNAP_TREE);
		listing = strdup(listing_of(variant->parent));
		ASSERT_EQ(EEXIST, control(variant->file, variant->data));
		ASSERT_STREQ(listing, listing_of(variant->parent));
		ASSERT_TRUE(unchanged(before, SNAP_TREE));
		free(listing);
		free(before);
		/* Once more, and somebody uses it */
		fd = open(variant->path, O_RDONLY);
		ASSERT_LE(0, fd);
	}
	ASSERT_EQ(0, close(fd));
}

/*
 * An operation inside is under way in the driver when the tree is removed
 */

/**
 * struct inside - the operation
 * @callback:	which is slow
 * @fn:		the operation, with @a in the tree, and @b
 * @prepare:	directory to be made in the tree
 * @a:		a path in the tree
 * @b:		whatever @fn wants
 * @ret:	what comes out of it when rmdir(2) comes in between
 * @before:	how it has ended by the time the tree is disconnected
 * @is_child:	it is about an item in the tree, which keeps a driver from
 *		unregistering
 * @ret_child:	what then comes out of the unregistering
 */
struct inside {
	const char *callback;
	int (*fn)(const char *a, const char *b);
	const char *prepare;
	const char *a;
	const char *b;
	int ret;
	const char *before;
	bool is_child;
	int ret_child;
};

static int swapped_symlink(const char *path, const char *target)
{
	return do_symlink(target, path);
}

FIXTURE(slow)
{
	struct baseline base;
	struct task tasks[2];
};

FIXTURE_VARIANT(slow)
{
	struct inside op;
};

FIXTURE_VARIANT_ADD(slow, mkdir_at_the_end) {
	.op = {
		.callback = "make",
		.fn = task_mkdir,
		.a = "/a/b/c/n",
		.ret = ENOENT,
		.before = "-drop " TEST_MODULE "/trees/X/a/b/c/n",
		.is_child = true,
		.ret_child = EBUSY,
	},
};

FIXTURE_VARIANT_ADD(slow, mkdir_in_the_middle) {
	.op = {
		.callback = "make",
		.fn = task_mkdir,
		.a = "/a/n",
		.ret = ENOENT,
		.before = "-drop " TEST_MODULE "/trees/X/a/n",
		.is_child = true,
		.ret_child = EBUSY,
	},
};

FIXTURE_VARIANT_ADD(slow, mkdir_of_a_tree) {
	.op = {
		.callback = "make",
		.fn = task_mkdir,
		.a = "/a/b/n",
		.ret = ENOENT,
		.before = "-drop " TEST_MODULE "/trees/X/a/b/n",
		.is_child = true,
		.ret_child = EBUSY,
	},
};

FIXTURE_VARIANT_ADD(slow, mkdir_beside) {
	.op = {
		.callback = "make",
		.fn = task_mkdir,
		.a = "/e/f/n",
		.ret = ENOENT,
		.before = "-drop " TEST_MODULE "/trees/X/e/f/n",
		.is_child = true,
		.ret_child = EBUSY,
	},
};

FIXTURE_VARIANT_ADD(slow, rmdir) {
	.op = {
		.callback = "drop",
		.prepare = "/a/b/c/n",
		.fn = task_rmdir,
		.a = "/a/b/c/n",
		.before = "-drop " TEST_MODULE "/trees/X/a/b/c/n",
		.is_child = true,
	},
};

FIXTURE_VARIANT_ADD(slow, rmdir_of_a_tree) {
	.op = {
		.callback = "disconnect",
		.prepare = "/d/n",
		.fn = task_rmdir,
		.a = "/d/n",
		.before = "-drop " TEST_MODULE "/trees/X/d/n",
		.is_child = true,
	},
};

FIXTURE_VARIANT_ADD(slow, symlink) {
	.op = {
		.callback = "allow_link",
		.fn = swapped_symlink,
		.a = "/a/b/c/link",
		.b = "items/t",
		.ret = ENOENT,
		.before = "-drop_link " TEST_MODULE "/trees/X/a/b/c",
	},
};

FIXTURE_VARIANT_ADD(slow, unlink) {
	.op = {
		.callback = "drop_link",
		.fn = task_unlink,
		.a = "/a/b/c/link",
		.before = "-drop_link " TEST_MODULE "/trees/X/a/b/c",
	},
};

FIXTURE_VARIANT_ADD(slow, show) {
	.op = {
		.callback = "show",
		.fn = task_read,
		.a = "/a/b/c/value",
		.before = "-show",
	},
};

FIXTURE_VARIANT_ADD(slow, show_at_the_top) {
	.op = {
		.callback = "show",
		.fn = task_read,
		.a = "/value",
		.before = "-show",
	},
};

FIXTURE_VARIANT_ADD(slow, store) {
	.op = {
		.callback = "store",
		.fn = do_write,
		.a = "/e/f/value",
		.b = "x",
		.before = "-store",
	},
};

FIXTURE_VARIANT_ADD(slow, bin_read) {
	.op = {
		.callback = "bin_read",
		.fn = task_read,
		.a = "/a/b2/blob",
		.before = "-bin_read",
	},
};

FIXTURE_VARIANT_ADD(slow, bin_write) {
	.op = {
		.callback = "bin_write",
		.fn = do_write,
		.a = "/d/blob",
		.b = "x",
		.before = "-bin_write",
	},
};

FIXTURE_SETUP(slow)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("items/t"));
}

FIXTURE_TEARDOWN(slow)
{
	EXPECT_TRUE(test_end(&self->base));
}

static void run_slow(struct __test_metadata *_metadata,
		     struct task *tasks, const struct inside *op,
		     const struct way *way)
{
	const char *path = at("%s%s", way->top, op->a);
	bool blocked = op->is_child && !way->by_user;
	bool links = strstr(op->callback, "_link");
	int disconnects, ret;

	ASSERT_EQ(0, make(way));
	if (op->prepare)
		ASSERT_EQ(0, do_mkdir(at("%s%s", way->top, op->prepare)));
	if (!strcmp(op->callback, "drop_link"))
		ASSERT_EQ(0, do_symlink("items/t", path));
	if (!strcmp(op->callback, "bin_read"))
		ASSERT_EQ(0, do_write(path, "data"));
	ASSERT_EQ(0, control("reset", "1"));
	ASSERT_EQ(0, hold(op->callback));
	ASSERT_TRUE(task_start(&tasks[0], op->fn,
			       path, op->b));
	ASSERT_TRUE(wait_counter(op->callback, 1));
	disconnects = counter("disconnect");
	ASSERT_TRUE(start_removing(&tasks[1], way));
	EXPECT_TRUE(task_waits(&tasks[1]));
	ASSERT_EQ(0, counter("release"));
	EXPECT_EQ(disconnects, counter("disconnect"));

	ASSERT_EQ(0, release(op->callback));
	ret = task_join(&tasks[0]);
	/* A second call to get the data comes in time, or too late */
	if (ret == ENOENT && !strcmp(op->callback, "bin_read"))
		ret = 0;
	EXPECT_EQ(blocked ? 0 : op->ret, ret);
	ret = task_join(&tasks[1]);
	EXPECT_EQ(blocked ? op->ret_child : 0, ret);
	if (way->by_user)
		EXPECT_TRUE(happened_before(op->before,
					    "+disconnect " TEST_MODULE
					    "/trees/X\n"));
	/* Where a link is refused, the driver is told so */
	if (links && op->ret)
		EXPECT_EQ(counter("allow_link"), counter("drop_link"));
	if (ret) {
		EXPECT_EQ(0, do_rmdir(path));
		EXPECT_EQ(0, take_away(way));
	}
	EXPECT_FALSE(exists(way->top));
	EXPECT_EQ(0, counter("violations"));
}

TEST_F(slow, during_rmdir)
{
	run_slow(_metadata, self->tasks, &variant->op, &by_mkdir);
}

TEST_F(slow, while_unregistering_group)
{
	run_slow(_metadata, self->tasks, &variant->op, &by_group);
}

TEST_F(slow, while_unregistering_subsystem)
{
	run_slow(_metadata, self->tasks, &variant->op, &by_subsystem);
}

/*
 * Other cases, each of its own kind
 */

FIXTURE(single)
{
	struct baseline base;
	struct task task[3];
};

FIXTURE_SETUP(single)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("trees/X"));
	ASSERT_EQ(0, do_mkdir("items/l"));
}

FIXTURE_TEARDOWN(single)
{
	EXPECT_TRUE(test_end(&self->base));
}

/*
 * symlink(2) unlocks its directory to look for the target. Who has that name
 * made meanwhile has it alone.
 */
TEST_F(single, name_of_a_link_is_made)
{
	ASSERT_EQ(0, hold_name("visible", "n"));
	ASSERT_TRUE(task_start(&self->task[0], task_mkdir, "items/n", NULL));
	ASSERT_TRUE(task_waits(&self->task[0]));
	ASSERT_TRUE(task_start(&self->task[1], do_symlink, "items/n",
			       "trees/X/a/foo"));
	ASSERT_TRUE(task_waits(&self->task[1]));
	ASSERT_EQ(0, do_mkdir("trees/X/a/foo"));
	ASSERT_EQ(0, release("visible"));
	ASSERT_EQ(0, task_join(&self->task[0]));
	ASSERT_EQ(EEXIST, task_join(&self->task[1]));
	ASSERT_EQ(1, listed("trees/X/a/foo"));
	ASSERT_EQ(0, do_rmdir("trees/X/a/foo"));
	ASSERT_FALSE(exists("trees/X/a/foo"));
}

static int rmdir_child(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		do_rmdir("trees/X");
		_exit(0);
	}
	return pid;
}

/* Killed while it waits for a callback: nothing has changed. */
TEST_F(single, killed_rmdir)
{
	static const struct {
		const char *callback;
		int (*fn)(const char *a, const char *b);
		const char *a;
		const char *b;
	} slow[] = {
		{ "show", task_read, "trees/X/a/b/c/value" },
		{ "show", task_read, "trees/X/value" },
		{ "store", do_write, "trees/X/e/f/value", "initial" },
	};
	int status, top, deep;
	char *before;
	pid_t pid;

	for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
		before = snapshot(SNAP_TREE);
		top = open("trees/X", O_RDONLY | O_DIRECTORY);
		deep = open("trees/X/a/b/c", O_RDONLY | O_DIRECTORY);
		ASSERT_LE(0, deep);
		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, hold(slow[i].callback));
		ASSERT_TRUE(task_start(&self->task[0], slow[i].fn, slow[i].a,
				       slow[i].b));
		ASSERT_TRUE(wait_counter(slow[i].callback, 1));
		pid = rmdir_child();
		ASSERT_LT(0, pid);
		ASSERT_TRUE(process_waits(pid));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));

		/* Not even the callback is over */
		ASSERT_EQ(5, nlink_of("trees/X"));
		ASSERT_EQ(5, nlink_of_fd(top));
		ASSERT_EQ(2, nlink_of_fd(deep));
		ASSERT_EQ(0, look_at(top));
		ASSERT_EQ(0, mkdirat(deep, "n", 0777));
		ASSERT_EQ(0, unlinkat(deep, "n", AT_REMOVEDIR));
		ASSERT_EQ(0, do_symlink("trees/X/a/b", "items/l/link"));
		ASSERT_EQ(0, do_unlink("items/l/link"));
		ASSERT_EQ(0, control("depend",
				     TEST_MODULE "/trees/X/a/b/c"));
		ASSERT_EQ(0, control("undepend",
				     TEST_MODULE "/trees/X/a/b/c"));
		ASSERT_EQ(1, counter("disconnect"));
		ASSERT_EQ(0, release(slow[i].callback));
		ASSERT_EQ(0, task_join(&self->task[0]));
		ASSERT_TRUE(unchanged(before, SNAP_TREE));
		free(before);
		close(top);
		close(deep);
	}
	ASSERT_EQ(0, do_rmdir("trees/X"));
}

/*
 * While rmdir(2) waits for a callback nothing is decided, or everything is: what
 * is made meanwhile stays and keeps the tree, or is refused.
 */
TEST_F(single, rmdir_that_waits)
{
	static const struct {
		int (*fn)(const char *a, const char *b);
		const char *a;
		const char *b;
		int (*undo)(const char *a, const char *b);
		const char *undo_a;
		const char *undo_b;
		int error;
	} rows[] = {
		{ task_mkdir, "trees/X/a/b/c/n", NULL,
		  task_rmdir, "trees/X/a/b/c/n", NULL, ENOTEMPTY },
		{ task_mkdir, "trees/X/d/n", NULL,
		  task_rmdir, "trees/X/d/n", NULL, ENOTEMPTY },
		{ do_symlink, "items/l", "trees/X/e/link",
		  task_unlink, "trees/X/e/link", NULL, ENOTEMPTY },
		{ control, "depend", TEST_MODULE "/trees/X",
		  control, "undepend", TEST_MODULE "/trees/X", EBUSY },
		{ control, "depend", TEST_MODULE "/trees/X/e/f",
		  control, "undepend", TEST_MODULE "/trees/X/e/f", EBUSY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int made, removed;

		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, hold("show"));
		ASSERT_TRUE(task_start(&self->task[0], task_read,
				       "trees/X/a/b/c/value", NULL));
		ASSERT_TRUE(wait_counter("show", 1));
		ASSERT_TRUE(task_start(&self->task[1], task_rmdir, "trees/X",
				       NULL));
		ASSERT_TRUE(task_waits(&self->task[1]));
		made = rows[i].fn(rows[i].a, rows[i].b);
		ASSERT_EQ(0, release("show"));
		ASSERT_EQ(0, task_join(&self->task[0]));
		removed = task_join(&self->task[1]);
		ASSERT_TRUE((made == ENOENT && !removed) ||
			    (!made && removed == rows[i].error)) {
			TH_LOG("row %zu: %d and %d", i, made, removed);
		}
		if (!made) {
			ASSERT_EQ(0, look_at_path("trees/X"));
			ASSERT_EQ(0, rows[i].undo(rows[i].undo_a,
						  rows[i].undo_b));
			ASSERT_EQ(0, do_rmdir("trees/X"));
		}
		ASSERT_EQ(0, do_mkdir("trees/X"));
	}
}

static const char * const registered_below[] = {
	"trees/X", "trees/X/d", "trees/X/a/b", "trees/X/e/f",
};

/* A group that a driver has registered goes with the item that it is below. */
TEST_F(single, registered_group_goes_with_the_item)
{
	char group[64], c;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(registered_below); i++) {
		snprintf(group, sizeof(group), "%s/dyn", registered_below[i]);
		ASSERT_EQ(0, control("dyn", at("%s dyn", registered_below[i])));
		ASSERT_EQ(0, look_at_path(group));
		fd = open(at("%s/value", group), O_RDONLY);
		ASSERT_LE(0, fd);
		ASSERT_EQ(EPERM, do_rmdir(group));
		ASSERT_EQ(0, do_mkdir(at("%s/d/n", group)));
		ASSERT_EQ(ENOTEMPTY, do_rmdir("trees/X"));
		ASSERT_EQ(0, do_rmdir(at("%s/d/n", group)));

		ASSERT_EQ(0, do_rmdir("trees/X"));
		ASSERT_EQ(-1, read(fd, &c, 1));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ(0, do_mkdir("trees/X"));
		ASSERT_FALSE(exists(group));
		ASSERT_EQ(0, control("dyn", "0"));
		ASSERT_EQ(0, look_at_path("trees/X"));
	}
}

/* Whoever takes it away, no callback is left when its driver has it back. */
TEST_F(single, registered_group_goes_both_ways)
{
	char attr[64];

	for (size_t i = 0; i < ARRAY_SIZE(registered_below); i++) {
		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, control("dyn", at("%s dyn", registered_below[i])));
		snprintf(attr, sizeof(attr), "%s/dyn/a/b/value",
			 registered_below[i]);
		ASSERT_EQ(0, hold("show"));
		ASSERT_TRUE(task_start(&self->task[0], task_read, attr, NULL));
		ASSERT_TRUE(wait_counter("show", 1));
		ASSERT_TRUE(task_start(&self->task[1], task_rmdir, "trees/X",
				       NULL));
		ASSERT_TRUE(task_waits(&self->task[1]));
		ASSERT_TRUE(task_start(&self->task[2], control, "dyn", "0"));
		ASSERT_TRUE(task_waits(&self->task[2]));
		ASSERT_EQ(0, release("show"));
		for (int j = 0; j < 3; j++)
			ASSERT_EQ(0, task_join(&self->task[j]));
		ASSERT_EQ(0, counter("violations"));
		ASSERT_EQ(0, do_mkdir("trees/X"));
	}
}

/*
 * A page of memory: who writes to it, the kernel with locks held as well, waits
 * until there is one.
 */
static int slow_page(void **page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range.len = getpagesize(),
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd == -1 || ioctl(fd, UFFDIO_API, &api))
		return -1;
	*page = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)*page;
	if (*page == MAP_FAILED || ioctl(fd, UFFDIO_REGISTER, &reg))
		return -1;
	return fd;
}

static int slow_page_comes(int fd, void *page)
{
	struct uffdio_zeropage zero = {
		.range.start = (uintptr_t)page,
		.range.len = getpagesize(),
	};

	return ioctl(fd, UFFDIO_ZEROPAGE, &zero) ? errno : 0;
}

static int task_list(const char *path, const char *page)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd == -1)
		return errno;
	ret = syscall(__NR_getdents64, fd, page, getpagesize()) < 0 ? errno : 0;
	close(fd);
	return ret;
}

/* Nor is anybody still in it, however deep. */
TEST_F(single, registered_group_goes_with_somebody_in_it)
{
	char dir[64];

	for (size_t i = 0; i < ARRAY_SIZE(registered_below); i++) {
		struct uffd_msg fault;
		void *page;
		int fd;

		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, control("dyn", at("%s dyn", registered_below[i])));
		snprintf(dir, sizeof(dir), "%s/dyn/a/b", registered_below[i]);
		fd = slow_page(&page);
		if (fd == -1) {
			ASSERT_EQ(0, control("dyn", "0"));
			SKIP(return, "no userfaultfd(2)");
		}
		ASSERT_TRUE(task_start(&self->task[0], task_list, dir, page));
		ASSERT_EQ(sizeof(fault), read(fd, &fault, sizeof(fault)));
		ASSERT_TRUE(task_start(&self->task[1], task_rmdir, "trees/X",
				       NULL));
		ASSERT_TRUE(task_waits(&self->task[1]));
		ASSERT_TRUE(task_start(&self->task[2], control, "dyn", "0"));
		ASSERT_TRUE(task_waits(&self->task[2]));
		ASSERT_EQ(0, slow_page_comes(fd, page));
		for (int j = 0; j < 3; j++)
			ASSERT_EQ(0, task_join(&self->task[j]));
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ(0, munmap(page, getpagesize()));
		ASSERT_EQ(0, do_mkdir("trees/X"));
	}
}

/* rmdir(2) of what is busy does not wait in order to say so. */
TEST_F(single, busy_is_said_at_once)
{
	ASSERT_EQ(0, do_symlink("trees/X/a", "items/l/link"));
	ASSERT_EQ(0, hold("show"));
	ASSERT_TRUE(task_start(&self->task[0], task_read,
			       "trees/X/a/b/c/value", NULL));
	ASSERT_TRUE(wait_counter("show", 1));
	ASSERT_EQ(EBUSY, do_rmdir("trees/X"));
	ASSERT_EQ(0, do_unlink("items/l/link"));
	ASSERT_EQ(0, do_mkdir("trees/X/e/f/n"));
	ASSERT_EQ(ENOTEMPTY, do_rmdir("trees/X"));
	ASSERT_EQ(0, do_rmdir("trees/X/e/f/n"));
	ASSERT_EQ(0, release("show"));
	ASSERT_EQ(0, task_join(&self->task[0]));
}

/*
 * Races
 */

/* How the tree of this race comes and goes, and which other tree there is */
static const struct way *way;

/* Now and then it stays for a while */
static int toggle(unsigned int round)
{
	if (round % 2 == 0)
		return make(way);
	if (round % 8 == 1)
		usleep(rand() % 150000);
	return take_away(way);
}

static int look(unsigned int round)
{
	return look_at_path(way->top);
}

/* By paths from where nothing is being made */
static int open_deep(unsigned int round)
{
	const struct dir *dir = &dirs[round % NR_DIRS];

	return task_read(at("%s%s/%s", way->top, dir->path,
			    attrs[round % ARRAY_SIZE(attrs)].name), NULL);
}

/* What has been seen at its path is whole, or not there any more */
static int stat_and_look(unsigned int round)
{
	struct stat st;
	int fd, ret;

	if (stat(way->top, &st))
		return errno;
	fd = open(way->top, O_RDONLY | O_DIRECTORY);
	if (fd == -1)
		return errno;
	ret = look_at(fd);
	close(fd);
	return ret;
}

/* Nobody is at any time without the names that he was made with */
static int list(unsigned int round)
{
	const struct dir *dir = &dirs[round % NR_DIRS];
	int fd = open(at("%s%s", way->top, dir->path), O_RDONLY | O_DIRECTORY);
	char names[1024];
	int ret;

	if (fd == -1)
		return errno;
	ret = list_fd(fd, names, sizeof(names));
	if (!ret && !has_all(names, dir->listing))
		ret = INCONSISTENT;
	if (ret == ENOENT && !dies(fd))
		ret = INCONSISTENT;
	close(fd);
	return ret;
}

/* The listing of the parent: a name that is there leads to something whole */
static int list_parent(unsigned int round)
{
	char names[4096];
	int ret = list_at(AT_FDCWD, way->parent, names, sizeof(names));

	if (ret)
		return ret;
	return has_all(names, way->name) ? look(round) : 0;
}

/* Walk in small steps, with a cursor in the middle, and seek */
static int walk(unsigned int round)
{
	const struct dir *dir = &dirs[round % NR_DIRS];
	int fd = open(at("%s%s", way->top, dir->path), O_RDONLY | O_DIRECTORY);
	uint64_t buf[6];
	long len = 1;
	int ret = 0;

	if (fd == -1)
		return errno;
	for (int i = 0; i < 12 && !ret && len > 0; i++) {
		len = syscall(__NR_getdents64, fd, buf, sizeof(buf));
		if (len == -1)
			ret = errno;
		if (lseek(fd, i % 4 == 3 ? 2 : 0,
			  i % 4 == 3 ? SEEK_SET : SEEK_CUR) == -1)
			ret = errno;
	}
	close(fd);
	return ret;
}

static int see_events(unsigned int round)
{
	struct watches w;
	struct pollfd pollfd = { .events = POLLIN };
	int ret = 0;

	if (!watch_init(&w))
		return errno;
	if (!watch(&w, "parent", way->parent))
		ret = errno;
	pollfd.fd = w.fd;
	for (int i = 0; i < 5 && !ret; i++) {
		if (poll(&pollfd, 1, 50) != 1)
			continue;
		if (!strstr(watched(&w), " CREATE ISDIR "))
			continue;
		ret = look(round);
		if (ret == ENOENT)
			ret = 0;
	}
	close(w.fd);
	return ret;
}

/* Items and trees in the default groups */
static int make_below(unsigned int round)
{
	static const char * const places[] = {
		"/a/b/c/n", "/a/b/n", "/d/n", "/e/f/n", "/a/n", "/n",
	};
	const char *place = at("%s%s", way->top, places[round / 2 % 6]);

	return round % 2 ? do_rmdir(place) : do_mkdir(place);
}

static int make_deep_below(unsigned int round)
{
	switch (round % 4) {
	case 0:
		return do_mkdir(at("%s/d/t", way->top));
	case 1:
		return do_mkdir(at("%s/d/t/a/b/c/n", way->top));
	case 2:
		return do_rmdir(at("%s/d/t/a/b/c/n", way->top));
	default:
		return do_rmdir(at("%s/d/t", way->top));
	}
}

static int link_inside(unsigned int round)
{
	const char *link = at("%s%s/link", way->top,
			      dirs[round / 2 % NR_DIRS].path);

	return round % 2 ? do_unlink(link) : do_symlink("items/t", link);
}

/* As long as there is a link, or a dependent, its target stays. */
static int link_to(unsigned int round)
{
	const struct dir *dir = &dirs[round % NR_DIRS];
	int ret = do_symlink(at("%s%s", way->top, dir->path), "items/l/link");

	if (ret)
		return ret;
	for (int i = 0; i < 3; i++) {
		if (!exists("items/l/link/value"))
			return GONE;
		if (!do_rmdir(way->top))
			return GONE;
	}
	return do_unlink("items/l/link");
}

static int depend(unsigned int round)
{
	const struct dir *dir = &dirs[round % NR_DIRS];
	const char *node = at("%s%s", way->node, dir->path);
	int ret = control("depend", node);

	if (ret)
		return ret;
	for (int i = 0; i < 3; i++) {
		if (!exists(at("%s%s/value", way->top, dir->path)))
			return GONE;
		if (way->by_user && !do_rmdir(way->top))
			return GONE;
	}
	return control("undepend", node);
}

static int access_attrs(unsigned int round)
{
	const struct dir *dir = &dirs[round / 4 % NR_DIRS];

	switch (round % 4) {
	case 0:
		return task_read(at("%s%s/value", way->top, dir->path), NULL);
	case 1:
		return do_write(at("%s%s/value", way->top, dir->path), "x");
	case 2:
		return task_read(at("%s%s/blob", way->top, dir->path), NULL);
	default:
		return do_write(at("%s%s/blob", way->top, dir->path), "x");
	}
}

/* Files that stay open until their tree is gone */
static int keep_open(unsigned int round)
{
	const struct dir *dir = &dirs[round % NR_DIRS];
	int fd = open(at("%s%s/value", way->top, dir->path), O_RDWR), ret = 0;
	char buf[64];

	if (fd == -1)
		return errno;
	for (int i = 0; i < 100 && !ret; i++) {
		if (pread(fd, buf, sizeof(buf), 0) == -1)
			ret = errno;
		else
			ret = do_write_fd(fd, "x");
		if (i > 10)
			usleep(100);
	}
	/* That is what it has been waiting for */
	if (ret == ENOENT)
		ret = dies(fd) ? 0 : INCONSISTENT;
	close(fd);
	return ret;
}

/* A process in the deepest default group, until that is gone */
static int live_inside(unsigned int round)
{
	int fd = open(at("%s/a/b/c", way->top), O_PATH | O_DIRECTORY);
	bool made = false;
	int ret = 0;

	if (fd == -1)
		return errno;
	for (int i = 0; i < 50 && !ret; i++) {
		if (!mkdirat(fd, "inside", 0777))
			made = true;
		else if (errno != EEXIST)
			ret = errno;
		if (!ret && unlinkat(fd, "inside", AT_REMOVEDIR) &&
		    errno != ENOENT)
			ret = errno;
	}
	if (ret == ENOENT && (!dies(fd) || !faccessat(fd, "value", F_OK, 0) ||
			      !faccessat(fd, "../value", F_OK, 0)))
		ret = INCONSISTENT;
	close(fd);
	return ret == ENOENT && made ? 0 : ret;
}

static int die_toggling(unsigned int round)
{
	int status;
	pid_t pid = fork();

	if (pid == -1)
		return errno;
	if (!pid)
		for (unsigned int i = 0; ; i++)
			toggle(i);
	usleep(rand() % 20000);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		return INCONSISTENT;
	return 0;
}

/* Once in each thread that mounts: nobody else sees its mounts. */
static int own_mounts(void)
{
	static __thread bool done;

	if (done)
		return 0;
	if (unshare(CLONE_FS | CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return errno;
	done = true;
	return 0;
}

static int mount_below(unsigned int round)
{
	const char *dir = at("%s%s", way->top, dirs[round % NR_DIRS].path);
	char mounts[32768];
	int ret = own_mounts();

	if (ret)
		return ret;
	if (mount("/tmp", dir, NULL, MS_BIND, NULL))
		return errno;
	if (round % 3 == 0)
		usleep(3000);
	/* A tree of the same name may have come instead */
	if (umount(dir) && errno != ENOENT && errno != EINVAL)
		return errno;
	if (round % 16)
		return 0;
	ret = task_read("/proc/thread-self/mountinfo", NULL);
	if (ret || do_read("/proc/thread-self/mountinfo", mounts,
			   sizeof(mounts)))
		return ret ?: errno;
	return strstr(mounts, at("/%s", way->top)) ? INCONSISTENT : 0;
}

/* Another mount of configfs, which sees the same */
static int mount_and_look(unsigned int round)
{
	int ret = own_mounts();

	if (ret)
		return ret;
	if (mount("configfs", "/tmp", "configfs", 0, NULL))
		return errno;
	ret = look_at_path(at("/tmp/%s", way->name));
	if (umount("/tmp"))
		return errno;
	return ret;
}

/* A group that the driver registers in the tree while that comes and goes */
static int toggle_group(unsigned int round)
{
	if (round % 2)
		return control("dyn", "0");
	return control("dyn", at("%s dyn",
				 registered_below[round / 2 %
						  ARRAY_SIZE(registered_below)]));
}

static int use_group(unsigned int round)
{
	const char *parent = registered_below[round / 2 %
					      ARRAY_SIZE(registered_below)];
	int ret = task_read(at("%s/dyn/a/b/value", parent), NULL);

	if (!ret && round % 8 == 1)
		ret = do_mkdir(at("%s/dyn/d/n", parent)) ?:
		      do_rmdir(at("%s/dyn/d/n", parent));
	return ret;
}

FIXTURE(race)
{
	struct baseline base;
};

FIXTURE_VARIANT(race)
{
	const struct way *way;
	struct worker workers[MAX_WORKERS];
};

FIXTURE_VARIANT_ADD(race, lookups) {
	.way = &by_mkdir,
	.workers = {
		{ toggle },
		{ look, { ENOENT } },
		{ open_deep, { ENOENT } },
		{ stat_and_look, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, listings) {
	.way = &by_mkdir,
	.workers = {
		{ toggle },
		{ list, { ENOENT } },
		{ list_parent, { ENOENT } },
		{ walk, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, below_a_default_group) {
	.way = &by_mkdir_below,
	.workers = {
		{ toggle },
		{ look, { ENOENT } },
		{ list_parent, { ENOENT } },
		{ open_deep, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, events) {
	.way = &by_mkdir,
	.workers = {
		{ toggle },
		{ see_events },
		{ see_events },
	},
};

FIXTURE_VARIANT_ADD(race, same_name) {
	.way = &by_mkdir,
	.workers = {
		{ toggle, { EEXIST, ENOENT } },
		{ toggle, { EEXIST, ENOENT } },
		{ toggle, { EEXIST, ENOENT } },
		{ look, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, mkdir_and_rmdir_below) {
	.way = &by_mkdir,
	.workers = {
		{ toggle, { ENOTEMPTY, EEXIST } },
		{ make_below, { ENOENT, EEXIST } },
		{ make_below, { ENOENT, EEXIST } },
		{ make_deep_below, { ENOENT, EEXIST, ENOTEMPTY } },
	},
};

FIXTURE_VARIANT_ADD(race, links_inside) {
	.way = &by_mkdir,
	.workers = {
		{ toggle, { ENOTEMPTY, EEXIST } },
		{ link_inside, { ENOENT, EEXIST } },
		{ link_inside, { ENOENT, EEXIST } },
	},
};

FIXTURE_VARIANT_ADD(race, links_to_it) {
	.way = &by_mkdir,
	.workers = {
		{ toggle, { EBUSY, EEXIST } },
		{ link_to, { ENOENT } },
		{ look, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, dependents) {
	.way = &by_mkdir,
	.workers = {
		{ toggle, { EBUSY, EEXIST } },
		{ depend, { ENOENT } },
		{ depend, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, attributes) {
	.way = &by_mkdir,
	.workers = {
		{ toggle },
		{ access_attrs, { ENOENT } },
		{ access_attrs, { ENOENT } },
		{ keep_open, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, process_inside) {
	.way = &by_mkdir,
	.workers = {
		{ toggle, { ENOTEMPTY, EEXIST } },
		{ live_inside, { ENOENT } },
		{ live_inside, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, killed_processes) {
	.way = &by_mkdir,
	.workers = {
		{ die_toggling },
		{ die_toggling },
		{ look, { ENOENT } },
		{ make_below, { ENOENT, EEXIST } },
	},
};

FIXTURE_VARIANT_ADD(race, mounts_below) {
	.way = &by_mkdir,
	.workers = {
		{ toggle },
		{ mount_below, { ENOENT } },
		{ mount_below, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, register_group_and_lookups) {
	.way = &by_group,
	.workers = {
		{ toggle },
		{ look, { ENOENT } },
		{ list, { ENOENT } },
		{ list_parent, { ENOENT } },
		{ access_attrs, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, register_group_and_mkdir_in_it) {
	.way = &by_group_below,
	.workers = {
		{ toggle, { EBUSY, EALREADY } },
		{ make_below, { ENOENT, ENODEV, EEXIST } },
		{ make_deep_below, { ENOENT, ENODEV, EEXIST, ENOTEMPTY } },
		{ live_inside, { ENOENT, ENODEV } },
	},
};

FIXTURE_VARIANT_ADD(race, register_group_in_it) {
	.way = &by_mkdir,
	.workers = {
		{ toggle, { ENOTEMPTY, EEXIST } },
		{ toggle_group, { ENOENT, EALREADY, EBUSY } },
		{ toggle_group, { ENOENT, EALREADY, EBUSY } },
		{ use_group, { ENOENT, ENODEV, EEXIST } },
	},
};

FIXTURE_VARIANT_ADD(race, register_subsystem_and_lookups) {
	.way = &by_subsystem,
	.workers = {
		{ toggle },
		{ look, { ENOENT } },
		{ list_parent, { ENOENT } },
		{ mount_and_look, { ENOENT } },
		{ access_attrs, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, register_subsystem_and_mkdir_in_it) {
	.way = &by_subsystem,
	.workers = {
		{ toggle, { EBUSY, EALREADY } },
		{ make_below, { ENOENT, ENODEV, EEXIST } },
		{ make_deep_below, { ENOENT, ENODEV, EEXIST, ENOTEMPTY } },
		{ mount_and_look, { ENOENT } },
	},
};

FIXTURE_SETUP(race)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("trees/O"));
	ASSERT_EQ(0, do_mkdir("items/l"));
	ASSERT_EQ(0, do_mkdir("items/t"));
	way = variant->way;
}

FIXTURE_TEARDOWN(race)
{
	EXPECT_TRUE(test_end(&self->base));
}

/* Nothing is left that would keep it from being used as ever. */
static void check_still_works(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, counter("violations"));
	purge();
	EXPECT_FALSE(exists(way->top));
	if (way->prepare)
		ASSERT_EQ(0, do_mkdir(way->prepare));
	EXPECT_EQ(0, make(way));
	EXPECT_EQ(0, look_at_path(way->top));
	EXPECT_EQ(0, take_away(way));
}

TEST_F_TIMEOUT(race, fast, 120)
{
	EXPECT_TRUE(race(variant->workers));
	check_still_works(_metadata);
}

/* With callbacks that sleep, others come in between */
TEST_F_TIMEOUT(race, slow, 120)
{
	static const char * const slow[] = {
		"visible", "make", "disconnect", "drop", "show", "store",
		"bin_write", "allow_link", "drop_link",
	};

	for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
		ASSERT_EQ(0, knob(slow[i], 0, 1, false));
	EXPECT_TRUE(race(variant->workers));
	check_still_works(_metadata);
}

/*
 * The module and the file system come and go. What the module finds in the end
 * it can only tell to the kernel's log.
 */

FIXTURE(module)
{
	struct baseline base;
	int log;
};

FIXTURE_SETUP(module)
{
	test_begin(&self->base);
	self->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->log);
	ASSERT_LE(0, lseek(self->log, 0, SEEK_END));
	ASSERT_EQ(0, chdir("/"));
}

FIXTURE_TEARDOWN(module)
{
	mount("configfs", CONFIGFS_DIR, "configfs", 0, NULL);
	module_load();
	EXPECT_TRUE(test_end(&self->base));
}

static int violations_in_log(int fd)
{
	char buf[8192];
	ssize_t len;
	int n = 0;

	while ((len = read(fd, buf, sizeof(buf) - 1)) > 0 || errno == EPIPE) {
		buf[len > 0 ? len : 0] = 0;
		errno = 0;
		if (strstr(buf, TEST_MODULE ": violation")) {
			ksft_print_msg("%s", buf);
			n++;
		}
	}
	return n;
}

static int reload(unsigned int round)
{
	if (round % 2)
		return module_load();
	return module_unload();
}

static int make_in_module(unsigned int round)
{
	return round % 2 ? do_rmdir(SUBSYS_DIR "/trees/X") :
			   do_mkdir(SUBSYS_DIR "/trees/X");
}

static int use_module(unsigned int round)
{
	char names[1024];

	switch (round % 4) {
	case 0:
		return task_read(SUBSYS_DIR "/trees/value", NULL);
	case 1:
		return list_at(AT_FDCWD, SUBSYS_DIR "/trees", names,
			       sizeof(names));
	case 2:
		return list_at(AT_FDCWD, CONFIGFS_DIR, names, sizeof(names));
	default:
		return do_write(SUBSYS_DIR "/items/value", "x");
	}
}

static int register_in_module(unsigned int round)
{
	return control("third", round % 2 ? "0" : TEST_MODULE "3");
}

TEST_F_TIMEOUT(module, comes_and_goes, 120)
{
	static const struct worker workers[MAX_WORKERS] = {
		/* In use; the former has failed */
		{ reload, { EAGAIN, EEXIST } },
		{ make_in_module, { ENOENT, EINVAL, EEXIST } },
		{ use_module, { ENOENT, ENODEV } },
		{ register_in_module, { ENOENT, ENODEV, EALREADY } },
	};

	EXPECT_TRUE(race(workers));
	do_rmdir(SUBSYS_DIR "/trees/X");
	module_load();
	EXPECT_EQ(0, counter("violations"));
	EXPECT_EQ(0, violations_in_log(self->log));
}

/*
 * With nobody else that uses configfs, the file system is set up and shut down
 * with each subsystem and each mount.
 */
static int mount_and_list(unsigned int round)
{
	char names[1024];
	int ret = own_mounts();

	if (ret)
		return ret;
	if (mount("configfs", CONFIGFS_DIR, "configfs", 0, NULL))
		return errno;
	ret = list_at(AT_FDCWD, CONFIGFS_DIR, names, sizeof(names));
	if (!ret && has_all(names, TEST_MODULE)) {
		ret = list_at(AT_FDCWD, SUBSYS_DIR, names, sizeof(names));
		/* A subsystem comes with its default groups */
		if (!ret && !has_all(names, "trees items"))
			ret = INCONSISTENT;
	}
	if (umount(CONFIGFS_DIR))
		return errno;
	return ret;
}

TEST_F_TIMEOUT(module, comes_and_goes_against_umount, 120)
{
	static const struct worker workers[MAX_WORKERS] = {
		{ reload },
		{ mount_and_list, { ENOENT } },
		{ mount_and_list, { ENOENT } },
	};

	if (umount(CONFIGFS_DIR))
		SKIP(return, "configfs is in use: %s", strerror(errno));
	EXPECT_TRUE(race(workers));
	EXPECT_EQ(0, violations_in_log(self->log));
}

/*
 * Failures: every allocation of each operation fails once, one after the other,
 * and each time nothing is left of it.
 */

FIXTURE(fault)
{
	struct baseline base;
	struct baseline before;
	struct watches watches;
};

static const struct way item = {
	.parent = "items",
	.name = "n",
	.top = "items/n",
	.make = task_mkdir,
	.make_a = "items/n",
	.remove = task_rmdir,
	.remove_a = "items/n",
};

static const struct way item_below = {
	.prepare = "trees/O",
	.parent = "trees/O/a/b/c",
	.name = LONG_NAME,
	.top = "trees/O/a/b/c/" LONG_NAME,
	.make = task_mkdir,
	.make_a = "trees/O/a/b/c/" LONG_NAME,
	.remove = task_rmdir,
	.remove_a = "trees/O/a/b/c/" LONG_NAME,
};

FIXTURE_VARIANT(fault)
{
	const struct way *way;
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_an_item) {
	.way = &item,
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_an_item_below) {
	.way = &item_below,
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_tree) {
	.way = &by_mkdir,
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_tree_below) {
	.way = &by_mkdir_below,
};

FIXTURE_VARIANT_ADD(fault, register_group) {
	.way = &by_group,
};

FIXTURE_VARIANT_ADD(fault, register_subsystem) {
	.way = &by_subsystem,
};

FIXTURE_SETUP(fault)
{
	test_begin(&self->base);
	if (!fail_nth_set_up())
		SKIP(return, "the kernel has no fault injection for slabs");
	if (variant->way->prepare)
		ASSERT_EQ(0, do_mkdir(variant->way->prepare));
	ASSERT_TRUE(watch_init(&self->watches));
	ASSERT_TRUE(watch(&self->watches, "parent", variant->way->parent));
	get_baseline(&self->before);
}

FIXTURE_TEARDOWN(fault)
{
	EXPECT_TRUE(test_end(&self->base));
}

/* The nth of all, until there is none: how many of them were necessary */
static int fail_making(struct __test_metadata *_metadata,
		       const struct way *way, struct watches *watches,
		       const struct baseline *base, const char *before)
{
	int nlink = nlink_of(way->parent), nth, failures = 0;

	for (nth = 1; nth < MAX_NTH; nth++) {
		int ret, failed;

		watched(watches);
		fail_nth_set(nth);
		ret = make(way);
		failed = fail_nth_failed();
		EXPECT_LE(0, failed);
		if (ret) {
			failures++;
			EXPECT_EQ(1, failed);
			EXPECT_EQ(ENOMEM, ret);
			EXPECT_STREQ("", watched(watches));
			EXPECT_EQ(nlink, nlink_of(way->parent));
			EXPECT_EQ(-ENOENT, nlink_of(way->top));
			EXPECT_TRUE(unchanged(before, SNAP_TREE));
			EXPECT_TRUE(settled(base));
		} else {
			EXPECT_EQ(nlink + 1, nlink_of(way->parent));
			EXPECT_EQ(0, take_away(way));
			EXPECT_EQ(nlink, nlink_of(way->parent));
		}
		if (_metadata->exit_code) {
			TH_LOG("allocation %d", nth);
			return -1;
		}
		/* No allocation was the nth: all have had their turn */
		if (!failed)
			break;
	}
	EXPECT_LT(nth, MAX_NTH);
	TH_LOG("%d allocations, %d of them necessary", nth - 1, failures);
	return failures;
}

TEST_F_TIMEOUT(fault, every_allocation_fails_once, 300)
{
	const struct way *way = variant->way;
	char *before = snapshot(SNAP_TREE);
	int failures;

	failures = fail_making(_metadata, way, &self->watches, &self->before,
			       before);
	/* A directory is a dirent, an inode and a dentry; and its attributes */
	ASSERT_LE(way == &item || way == &item_below ? 3 : 5 * (int)NR_DIRS,
		  failures);
	ASSERT_EQ(0, make(way));
	ASSERT_TRUE(way == &item || way == &item_below ||
		    !look_at_path(way->top));
	ASSERT_EQ(0, take_away(way));
	ASSERT_TRUE(unchanged(before, SNAP_TREE));
	ASSERT_TRUE(settled(&self->before));
}

int main(int argc, char **argv)
{
	test_load();
	return test_harness_run(argc, argv);
}
