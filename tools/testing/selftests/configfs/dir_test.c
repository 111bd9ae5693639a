// SPDX-License-Identifier: GPL-2.0
/*
 * mkdir(2) and rmdir(2) must create and remove items and groups together with
 * all their attributes and default groups.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

/*
 * Trees, with default groups at several levels
 */

FIXTURE(tree)
{
	struct baseline base;
	struct task task[2];
	struct watches w;
	char top[256];
};

/**
 * @outer:	directory to create first, or NULL
 * @parent:	parent directory of the tree
 * @top:	path of the tree
 */
FIXTURE_VARIANT(tree)
{
	const char *outer;
	const char *parent;
	const char *top;
};

FIXTURE_VARIANT_ADD(tree, one_allocation) {
	.parent = "trees",
	.top = "trees/X",
};

FIXTURE_VARIANT_ADD(tree, many_allocations) {
	.parent = "groves",
	.top = "groves/X",
};

FIXTURE_VARIANT_ADD(tree, below_a_default_group) {
	.outer = "trees/O",
	.parent = "trees/O/a/b",
	.top = "trees/O/a/b/X",
};

FIXTURE_SETUP(tree)
{
	test_begin(&self->base);
	if (variant->outer)
		ASSERT_EQ(0, do_mkdir(variant->outer, NULL));
	ASSERT_EQ(0, control("reset", NULL));
	snprintf(self->top, sizeof(self->top), "%s/%s", SUBSYS_DIR,
		 variant->top);
}

FIXTURE_TEARDOWN(tree)
{
	TEST_END(&self->base);
}

TEST_F(tree, comes_and_goes_as_a_whole)
{
	const char *top = variant->top;
	int nlink = nlink_of(variant->parent);
	char *before = snapshot(SNAP_NO_CALLS | SNAP_NO_TIMES), *made;
	struct stat st;

	ASSERT_EQ(0, do_mkdir(top, NULL));
	ASSERT_TRUE(tree_is_whole(top));
	ASSERT_EQ(nlink + 1, nlink_of(variant->parent));
	ASSERT_EQ(1, counter("make"));
	/* The module counts only one call of is_visible() per directory */
	ASSERT_EQ(NR_TREE_DIRS, counter("visible"));
	for (int i = 0; i < NR_TREE_DIRS; i++) {
		ASSERT_EQ(0, lstat(at("%s%s", top, tree_dirs[i].path), &st));
		ASSERT_EQ(S_IFDIR | 0755, st.st_mode);
		ASSERT_EQ(0, st.st_uid);
	}

	ASSERT_EQ(0, do_rmdir(top, NULL));
	for (int i = 0; i < NR_TREE_DIRS; i++)
		ASSERT_FALSE(exists(at("%s%s", top, tree_dirs[i].path)));
	ASSERT_TRUE(unchanged(before, SNAP_NO_CALLS | SNAP_NO_TIMES));
	ASSERT_EQ(1, counter("disconnect"));
	ASSERT_EQ(1, counter("drop"));
	ASSERT_EQ(NR_TREE_DIRS, counter("release"));
	ASSERT_TRUE(happened_before(at("-disconnect %s", top),
				    at("+drop %s", top)));
	ASSERT_TRUE(happened_before(at("+drop %s", top),
				    at("+release %s", top)));

	/* Again, with the same name */
	ASSERT_EQ(0, do_mkdir(top, NULL));
	ASSERT_TRUE(tree_is_whole(top));
	made = snapshot(0);
	ASSERT_STRNE(before, made);
	ASSERT_EQ(0, do_rmdir(top, NULL));
}

TEST_F(tree, names_are_taken)
{
	char *before;

	ASSERT_EQ(0, do_mkdir(variant->top, NULL));
	before = snapshot(0);
	for (int i = 0; i < NR_TREE_DIRS; i++) {
		const char *dir = at("%s%s", variant->top, tree_dirs[i].path);

		ASSERT_EQ(EEXIST, do_mkdir(dir, NULL));
		ASSERT_EQ(EEXIST, do_mkdir(at("%s/", dir), NULL));
		ASSERT_EQ(EEXIST, do_mkdir(at("%s/value", dir), NULL));
		ASSERT_EQ(EEXIST, do_mkdir(at("%s/blob", dir), NULL));
		ASSERT_EQ(EEXIST, do_symlink("items", dir));
		ASSERT_EQ(EEXIST, do_symlink("items", at("%s/ro", dir)));
	}
	ASSERT_TRUE(unchanged(before, 0));
}

TEST_F(tree, parts_stay)
{
	char *before;

	ASSERT_EQ(0, do_mkdir(variant->top, NULL));
	before = snapshot(0);
	for (int i = 0; i < NR_TREE_DIRS; i++) {
		const char *dir = at("%s%s", variant->top, tree_dirs[i].path);

		if (i)
			ASSERT_EQ(EPERM, do_rmdir(dir, NULL));
		ASSERT_EQ(EISDIR, do_unlink(dir, NULL));
		ASSERT_EQ(EPERM, do_unlink(at("%s/value", dir), NULL));
		ASSERT_EQ(EPERM, do_unlink(at("%s/blob", dir), NULL));
		ASSERT_EQ(ENOTDIR, do_rmdir(at("%s/value", dir), NULL));
	}
	ASSERT_TRUE(unchanged(before, 0));
}

TEST_F(tree, is_removed_only_when_empty)
{
	char *before;

	ASSERT_EQ(0, do_mkdir(variant->top, NULL));
	before = snapshot(SNAP_NO_CALLS | SNAP_NO_TIMES);
	for (int i = 0; i < NR_TREE_DIRS; i++) {
		const struct tree_dir *d = &tree_dirs[i];
		char n[256];

		snprintf(n, sizeof(n), "%s%s/n", variant->top, d->path);
		if (!d->makes) {
			ASSERT_EQ(EPERM, do_mkdir(n, NULL));
			continue;
		}
		ASSERT_EQ(0, do_mkdir(n, NULL));
		ASSERT_EQ(ENOTEMPTY, do_rmdir(variant->top, NULL));
		if (d->makes == TREES) {
			/* Make an item in a default group of the inner tree */
			ASSERT_TRUE(tree_is_whole(n));
			ASSERT_EQ(0, do_mkdir(at("%s/a/b/c/i", n), NULL));
			ASSERT_EQ(ENOTEMPTY, do_rmdir(n, NULL));
			ASSERT_EQ(ENOTEMPTY, do_rmdir(variant->top, NULL));
			ASSERT_EQ(0, do_rmdir(at("%s/a/b/c/i", n), NULL));
			ASSERT_TRUE(tree_is_whole(n));
		} else {
			/* It is an item, not a group */
			ASSERT_EQ(EPERM, do_mkdir(at("%s/i", n), NULL));
		}
		ASSERT_EQ(0, do_rmdir(n, NULL));
		ASSERT_TRUE(unchanged(before, SNAP_NO_CALLS | SNAP_NO_TIMES));
	}
	ASSERT_EQ(0, do_rmdir(variant->top, NULL));
}

/* cg_children must list the items in the order in which they were created */
TEST_F(tree, children_in_order)
{
	ASSERT_EQ(0, do_mkdir(variant->top, NULL));
	for (int i = 0; i < NR_TREE_DIRS; i++) {
		const struct tree_dir *d = &tree_dirs[i];
		const char *dir = at("%s%s", variant->top, d->path);
		const char *space = *d->groups ? " " : "";

		ASSERT_STREQ(d->groups, children_of(dir));
		if (!d->makes)
			continue;
		ASSERT_EQ(0, do_mkdir(at("%s/z", dir), NULL));
		ASSERT_EQ(0, do_mkdir(at("%s/y", dir), NULL));
		ASSERT_EQ(0, do_mkdir(at("%s/w", dir), NULL));
		ASSERT_STREQ(at("%s%sz y w", d->groups, space), children_of(dir));
		ASSERT_EQ(0, do_rmdir(at("%s/z", dir), NULL));
		ASSERT_EQ(0, do_mkdir(at("%s/z", dir), NULL));
		ASSERT_STREQ(at("%s%sy w z", d->groups, space), children_of(dir));
		ASSERT_EQ(0, do_rmdir(at("%s/z", dir), NULL));
		ASSERT_EQ(0, do_rmdir(at("%s/y", dir), NULL));
		ASSERT_EQ(0, do_rmdir(at("%s/w", dir), NULL));
	}
}

/* Whether @event is a line of @text; the order of the events does not matter */
static bool told(const char *text, const char *event)
{
	const char *p = strstr(text, event);

	return p && (p == text || p[-1] == '\n') && p[strlen(event)] == '\n';
}

TEST_F(tree, events)
{
	struct watches *w = &self->w;
	const char *text;

	ASSERT_TRUE(watch_init(w));
	ASSERT_TRUE(watch(w, "parent", variant->parent));
	ASSERT_EQ(0, do_mkdir(variant->top, NULL));
	ASSERT_STREQ("parent CREATE ISDIR X\n", watched(w));

	ASSERT_TRUE(watch(w, "top", variant->top));
	ASSERT_TRUE(watch(w, "group", at("%s/a/b/c", variant->top)));
	ASSERT_EQ(0, do_mkdir(at("%s/a/b/c/i", variant->top), NULL));
	ASSERT_STREQ("group CREATE ISDIR i\n", watched(w));
	ASSERT_EQ(0, do_rmdir(at("%s/a/b/c/i", variant->top), NULL));
	ASSERT_STREQ("group DELETE ISDIR i\n", watched(w));

	ASSERT_EQ(0, do_rmdir(variant->top, NULL));
	text = watched(w);
	EXPECT_TRUE(told(text, "parent DELETE ISDIR X"));
	EXPECT_TRUE(told(text, "top DELETE_SELF"));
	EXPECT_TRUE(told(text, "group DELETE_SELF"));
	EXPECT_EQ(NULL, strstr(strstr(text, "parent") + 1, "parent"));
	ASSERT_EQ(0, close(w->fd));
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether mtime has changed since the last call. Resets it to 1 s. */
static bool has_changed(const char *path)
{
	const struct timespec old[2] = { { 1, 0 }, { 1, 0 } };
	struct stat st;
	bool changed;

	if (stat(path, &st))
		return false;
	changed = !same_time(&st.st_mtim, &old[1]);
	/* mtime and ctime must be updated together */
	if (changed && !same_time(&st.st_mtim, &st.st_ctim))
		return false;
	return !utimensat(AT_FDCWD, path, old, 0) && changed;
}

TEST_F(tree, times_of_the_parent)
{
	const char *other = "items";

	has_changed(variant->parent);
	has_changed(other);
	ASSERT_FALSE(has_changed(variant->parent));
	ASSERT_EQ(0, do_mkdir(variant->top, NULL));
	ASSERT_TRUE(has_changed(variant->parent));
	ASSERT_EQ(0, do_mkdir(at("%s/d/t", variant->top), NULL));
	ASSERT_FALSE(has_changed(variant->parent));
	has_changed(variant->top);
	ASSERT_TRUE(has_changed(at("%s/d", variant->top)));
	ASSERT_EQ(0, do_write(at("%s/value", variant->top), "x"));
	ASSERT_EQ(0, do_rmdir(at("%s/d/t", variant->top), NULL));
	ASSERT_TRUE(has_changed(at("%s/d", variant->top)));
	ASSERT_FALSE(has_changed(variant->top));

	/* Operations that fail change no times */
	ASSERT_EQ(EEXIST, do_mkdir(variant->top, NULL));
	ASSERT_EQ(0, knob("make error=%d", ENOSPC));
	ASSERT_EQ(ENOSPC, do_mkdir(at("%s2", variant->top), NULL));
	ASSERT_EQ(EPERM, do_rmdir(at("%s/d", variant->top), NULL));
	ASSERT_FALSE(has_changed(variant->parent));
	ASSERT_FALSE(has_changed(variant->top));

	ASSERT_EQ(0, do_rmdir(variant->top, NULL));
	ASSERT_TRUE(has_changed(variant->parent));
	ASSERT_FALSE(has_changed(other));
}

/*
 * A process in the deepest default group, with open files
 */

static int nlink_of_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -errno : (int)st.st_nlink;
}

static int getdents(int fd)
{
	uint64_t buf[64];
	long len = syscall(__NR_getdents64, fd, buf, sizeof(buf));

	return len == -1 ? -errno : len;
}

TEST_F(tree, process_inside)
{
	const char *top = self->top;
	int dir, path, unread, half, out, blob_in, blob_out;
	char buf[64];

	for (int again = 0; again < 2; again++) {
		ASSERT_EQ(0, do_mkdir(top, NULL));
		ASSERT_EQ(0, do_write(at("%s/a/b/c/blob", top), "data"));
		ASSERT_EQ(0, chdir(at("%s/a/b/c", top)));
		dir = open(".", O_RDONLY | O_DIRECTORY);
		path = open(at("%s/a/b", top), O_PATH);
		unread = open("value", O_RDONLY);
		half = open("value", O_RDONLY);
		out = open("value", O_WRONLY);
		blob_in = open("blob", O_RDONLY);
		blob_out = open("blob", O_WRONLY);
		ASSERT_LE(0, blob_out);
		ASSERT_EQ(3, read(half, buf, 3));
		ASSERT_EQ(2, write(blob_out, "xx", 2));
		ASSERT_LT(0, getdents(dir));
		ASSERT_EQ(0, control("reset", NULL));
		ASSERT_EQ(0, do_rmdir(top, NULL));
		/* A new tree of the same name must not change the results */
		if (again)
			ASSERT_EQ(0, do_mkdir(top, NULL));

		ASSERT_EQ(ENOENT, do_read("value", NULL));
		ASSERT_EQ(ENOENT, do_mkdir("n", NULL));
		ASSERT_EQ(ENOENT, do_rmdir("n", NULL));
		ASSERT_EQ(ENOENT, do_symlink(SUBSYS_DIR "/items", "l"));
		ASSERT_EQ(ENOENT, do_unlink("value", NULL));
		ASSERT_EQ(-1, open(".", O_RDONLY | O_DIRECTORY));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(NULL, getcwd(buf, sizeof(buf)));
		ASSERT_EQ(0, nlink_of("."));
		ASSERT_EQ(0, nlink_of(".."));
		ASSERT_EQ(0, nlink_of("../../.."));
		ASSERT_EQ(-ENOENT, nlink_of("../c"));
		ASSERT_EQ(-1, openat(path, "c", O_PATH));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(-1, mkdirat(path, "n", 0777));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(0, nlink_of_fd(dir));
		ASSERT_EQ(-ENOENT, getdents(dir));
		for (int pos = 0; pos < 8; pos++)
			ASSERT_EQ(pos, lseek(dir, pos, SEEK_SET));
		ASSERT_EQ(0, fchmod(dir, 0700));

		/* Only a buffer filled before rmdir(2) can still be read */
		ASSERT_EQ(0, nlink_of_fd(unread));
		ASSERT_EQ(-1, read(unread, buf, sizeof(buf)));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(5, read(half, buf, sizeof(buf)));
		ASSERT_EQ(0, memcmp(buf, "tial\n", 5));
		ASSERT_EQ(-1, write(out, "x", 1));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(-1, read(blob_in, buf, sizeof(buf)));
		ASSERT_EQ(ENOENT, errno);
		/* The last close must not pass this to bin_write any more */
		ASSERT_EQ(2, write(blob_out, "xx", 2));
		ASSERT_EQ(0, close(blob_out));
		ASSERT_EQ(0, counter("bin_write") + counter("bin_read") +
			  counter("store") + counter("show"));

		ASSERT_EQ(0, chdir(SUBSYS_DIR));
		if (again) {
			ASSERT_TRUE(tree_is_whole(top));
			ASSERT_EQ(0, do_rmdir(top, NULL));
		}
		syscall(__NR_close_range, 3, ~0U, 0);
	}
}

/*
 * Mounts
 */

#define MOUNTS	"configfs: fix leak of mounts below a removed directory"

static bool is_mounted(const char *path)
{
	static char buf[65536];
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	ssize_t len, used = 0;

	while ((len = read(fd, buf + used, sizeof(buf) - 1 - used)) > 0)
		used += len;
	buf[used] = 0;
	close(fd);
	return strstr(buf, at(" %s", path));
}

TEST_F(tree, mounts_on_groups)
{
	const char *top = self->top;

	NEEDS(MOUNTS);
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	for (int i = 1; i < NR_TREE_DIRS; i++) {
		const char *dir = at("%s%s", top, tree_dirs[i].path);

		ASSERT_EQ(0, do_mkdir(top, NULL));
		ASSERT_EQ(0, mount("none", dir, "ramfs", 0, NULL));
		ASSERT_EQ(0, do_mkdir(at("%s/n", dir), NULL));
		ASSERT_TRUE(is_mounted(dir));
		ASSERT_EQ(0, do_rmdir(top, NULL));
		ASSERT_FALSE(is_mounted(dir));
	}
}

TEST_F(tree, mounts_on_attributes)
{
	const char *top = self->top;

	NEEDS(MOUNTS);
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	for (int i = 0; i < NR_TREE_DIRS; i++) {
		const char *attr = at("%s%s/value", top, tree_dirs[i].path);

		ASSERT_EQ(0, do_mkdir(top, NULL));
		ASSERT_EQ(0, mount("/proc/self/status", attr, NULL, MS_BIND,
				   NULL));
		ASSERT_TRUE(is_mounted(attr));
		ASSERT_EQ(0, do_rmdir(top, NULL));
		ASSERT_FALSE(is_mounted(attr));
	}
}

/* An item cannot be removed while something is mounted on it */
TEST_F(tree, mounts_on_top)
{
	const char *top = self->top;

	ASSERT_EQ(0, do_mkdir(top, NULL));
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", top, "ramfs", 0, NULL));
	ASSERT_EQ(EBUSY, do_rmdir(top, NULL));
	ASSERT_EQ(0, umount(top));
	ASSERT_TRUE(tree_is_whole(top));
	ASSERT_EQ(0, do_rmdir(top, NULL));
}

/*
 * Drivers that fail or are slow
 */

FIXTURE(driver)
{
	struct baseline base;
	struct task task[3];
};

FIXTURE_SETUP(driver)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("trees/P", NULL));
}

FIXTURE_TEARDOWN(driver)
{
	TEST_END(&self->base);
}

TEST_F(driver, may_refuse)
{
	static const struct {
		const char *knob;
		int err;
	} rows[] = {
		{ "make error=28",	ENOSPC },
		{ "make error=13",	EACCES },
		{ "make null",		ENOMEM },
		/* The driver returns an item that configfs cannot attach */
		{ "make spoil",		EINVAL },
	};
	static const char * const paths[] = { "items/x", "trees/X", "groves/X",
					      "trees/P/a/b/X", };
	char *before = snapshot(SNAP_NO_CALLS | SNAP_NO_TIMES);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, knob("%s", rows[i].knob));
		for (size_t j = 0; j < ARRAY_SIZE(paths); j++) {
			ASSERT_EQ(rows[i].err, do_mkdir(paths[j], NULL)) {
				TH_LOG("%s: %s", rows[i].knob, paths[j]);
			}
			ASSERT_TRUE(unchanged(before, SNAP_NO_CALLS |
					      SNAP_NO_TIMES));
		}
	}
	ASSERT_EQ(0, release("make"));
	for (size_t j = 0; j < ARRAY_SIZE(paths); j++)
		ASSERT_EQ(0, do_mkdir(paths[j], NULL));
}

/* Another mkdir(2) in the same directory waits for the first one */
TEST_F(driver, makes_one_at_a_time)
{
	ASSERT_EQ(0, hold("make", NULL));
	ASSERT_TRUE(task_start(&self->task[0], do_mkdir, "items/x", NULL));
	ASSERT_EQ(0, await_held("make"));
	ASSERT_TRUE(task_start(&self->task[1], do_mkdir, "items/x", NULL));
	ASSERT_TRUE(task_start(&self->task[2], do_mkdir, "items/y", NULL));
	ASSERT_FALSE(comes("make", 3));
	ASSERT_EQ(0, release("make"));
	ASSERT_EQ(0, task_join(&self->task[0]));
	ASSERT_EQ(EEXIST, task_join(&self->task[1]));
	ASSERT_EQ(0, task_join(&self->task[2]));
	ASSERT_STREQ("x y", listing_of("items"));
}

/* Either rmdir(2) fails because of the new item, or mkdir(2) is too late. */
TEST_F(driver, makes_in_what_is_removed)
{
	int made, removed;

	ASSERT_EQ(0, hold("make", NULL));
	ASSERT_TRUE(task_start(&self->task[0], do_mkdir, "trees/P/a/b/X", NULL));
	ASSERT_EQ(0, await_held("make"));
	ASSERT_TRUE(task_start(&self->task[1], do_rmdir, "trees/P", NULL));
	ASSERT_FALSE(comes("disconnect", 1));
	ASSERT_EQ(0, release("make"));
	made = task_join(&self->task[0]);
	removed = task_join(&self->task[1]);
	if (made) {
		ASSERT_EQ(ENOENT, made);
		ASSERT_EQ(0, removed);
		ASSERT_FALSE(exists("trees/P"));
	} else {
		ASSERT_EQ(ENOTEMPTY, removed);
		ASSERT_TRUE(tree_is_whole("trees/P/a/b/X"));
		ASSERT_EQ(0, do_rmdir("trees/P/a/b/X", NULL));
		ASSERT_TRUE(tree_is_whole("trees/P"));
	}
}

/* mkdir(2) must leave nothing behind if it is killed in make_item() */
TEST_F(driver, is_killed_while_it_makes)
{
	char *before = snapshot(SNAP_NO_CALLS | SNAP_NO_TIMES);

	ASSERT_EQ(0, hold("make", NULL));
	ASSERT_TRUE(killed_while_waiting(do_mkdir, "items/x", NULL));
	ASSERT_EQ(0, release("make"));
	ASSERT_TRUE(unchanged(before, SNAP_NO_CALLS | SNAP_NO_TIMES));
	ASSERT_EQ(0, do_mkdir("items/x", NULL));
}

/*
 * rmdir(2) waits for running callbacks of attributes
 */

FIXTURE(busy)
{
	struct baseline base;
	struct task task[2];
	char fd[16];
};

FIXTURE_VARIANT(busy)
{
	const char *callback;
	int (*fn)(const char *a, const char *b);
	const char *a;
	const char *b;
};

FIXTURE_VARIANT_ADD(busy, show) {
	.callback = "show",
	.fn = do_read,
	.a = "trees/P/a/b/c/value",
};

FIXTURE_VARIANT_ADD(busy, store) {
	.callback = "store",
	.fn = do_write,
	.a = "trees/P/a/b/c/value",
	.b = "x",
};

FIXTURE_VARIANT_ADD(busy, bin_read) {
	.callback = "bin_read",
	.fn = do_read,
	.a = "trees/P/a/b/c/blob",
};

FIXTURE_VARIANT_ADD(busy, bin_write) {
	.callback = "bin_write",
	.fn = do_write,
	.a = "trees/P/a/b/c/blob",
	.b = "x",
};

FIXTURE_SETUP(busy)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("trees/P", NULL));
	ASSERT_EQ(0, do_write("trees/P/a/b/c/blob", "data"));
	ASSERT_EQ(0, control("reset", NULL));
	ASSERT_EQ(0, hold(variant->callback, NULL));
	ASSERT_TRUE(task_start(&self->task[0], variant->fn, variant->a,
			       variant->b));
	ASSERT_EQ(0, await_held(variant->callback));
}

FIXTURE_TEARDOWN(busy)
{
	TEST_END(&self->base);
}

TEST_F(busy, rmdir_waits)
{
	int ret;

	ASSERT_TRUE(task_start(&self->task[1], do_rmdir, "trees/P", NULL));
	ASSERT_FALSE(comes("disconnect", 1));
	ASSERT_EQ(0, release(variant->callback));
	ret = task_join(&self->task[0]);
	/* bin_read is called twice; rmdir(2) may run after the first call */
	if (strcmp(variant->callback, "bin_read") || ret != ENOENT)
		ASSERT_EQ(0, ret);
	ASSERT_EQ(0, task_join(&self->task[1]));
	ASSERT_TRUE(happened_before(at("-%s trees/P/a/b/c", variant->callback),
				    "+disconnect trees/P"));
}

TEST_F(busy, rmdir_is_killed)
{
	ASSERT_TRUE(killed_while_waiting(do_rmdir, "trees/P", NULL));
	ASSERT_EQ(0, release(variant->callback));
	ASSERT_EQ(0, task_join(&self->task[0]));
	ASSERT_EQ(0, counter("disconnect"));
	/* The tree works as before */
	ASSERT_EQ(0, do_mkdir("trees/P/a/b/c/i", NULL));
	ASSERT_EQ(0, do_rmdir("trees/P/a/b/c/i", NULL));
	ASSERT_EQ(0, do_read("trees/P/a/b/c/value", NULL));
	ASSERT_EQ(0, do_rmdir("trees/P", NULL));
}

/*
 * Names, places and permissions
 */

FIXTURE(place)
{
	struct baseline base;
	char name[300];
};

FIXTURE_SETUP(place)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("items/x", NULL));
	ASSERT_EQ(0, do_mkdir("trees/P", NULL));
}

FIXTURE_TEARDOWN(place)
{
	TEST_END(&self->base);
}

TEST_F(place, where_nothing_is_made)
{
	static const struct row rows[] = {
		{ do_mkdir, CONFIGFS_DIR "/new",	NULL, EPERM },
		{ do_mkdir, "new",			NULL, EPERM },
		{ do_mkdir, "empty/new",		NULL, EPERM },
		{ do_mkdir, "items/x/new",		NULL, EPERM },
		{ do_mkdir, "items/new/new",		NULL, ENOENT },
		{ do_mkdir, "items/x/value/new",	NULL, ENOTDIR },
		{ do_rmdir, SUBSYS_DIR,			NULL, EPERM },
		{ do_rmdir, SUBSYS2_DIR,		NULL, EPERM },
		{ do_rmdir, "items",			NULL, EPERM },
		{ do_rmdir, "empty",			NULL, EPERM },
		{ do_rmdir, "items/y",			NULL, ENOENT },
		{ do_rmdir, "items/x/.",		NULL, EINVAL },
		{ do_unlink, "items/x",			NULL, EISDIR },
		{}
	};

	ASSERT_TRUE(rows_refused(rows));
}

TEST_F(place, names)
{
	/* Up to 19 characters fit into struct config_item */
	static const size_t lens[] = { 1, 19, 20, 21, 255 };

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		memset(self->name, 'n', lens[i]);
		self->name[lens[i]] = 0;
		ASSERT_EQ(0, do_mkdir(at("items/%s", self->name), NULL));
		ASSERT_STREQ(self->name, value_of(at("items/%s/ro", self->name)));
		ASSERT_STREQ(at("%s x", self->name), listing_of("items"));
		ASSERT_STREQ(at("x %s", self->name), children_of("items"));
		ASSERT_EQ(0, do_rmdir(at("items/%s", self->name), NULL));
	}
	memset(self->name, 'n', 256);
	ASSERT_EQ(ENAMETOOLONG, do_mkdir(at("items/%s", self->name), NULL));
	ASSERT_EQ(ENAMETOOLONG, do_stat(at("items/%s", self->name), NULL));
	ASSERT_EQ(0, do_mkdir("items/ a\n\\%s", NULL));
	ASSERT_EQ(0, do_rmdir("items/ a\n\\%s", NULL));
}

TEST_F(place, permissions)
{
	ASSERT_EQ(EACCES, in_child(1000, do_mkdir, "items/n", NULL));
	ASSERT_EQ(EACCES, in_child(1000, do_rmdir, "items/x", NULL));
	ASSERT_EQ(0, chmod("items", 0777));
	ASSERT_EQ(0, in_child(1000, do_mkdir, "items/n", NULL));
	ASSERT_EQ(0, in_child(1000, do_rmdir, "items/x", NULL));
	ASSERT_EQ(0, chmod("items", 0755));
	ASSERT_EQ(EACCES, in_child(1000, do_rmdir, "items/n", NULL));
	ASSERT_EQ(0, chmod("items", 0700));
	ASSERT_EQ(EACCES, in_child(1000, do_stat, "items/n", NULL));
	ASSERT_EQ(0, chmod("items", 0755));

	ASSERT_EQ(0, chown("trees/P/a/b", 1000, 1000));
	ASSERT_EQ(0, in_child(1000, do_mkdir, "trees/P/a/b/X", NULL));
	/* The new directory belongs to root */
	ASSERT_EQ(EACCES, in_child(1000, do_mkdir, "trees/P/a/b/X/n", NULL));
	ASSERT_EQ(0, in_child(1000, do_rmdir, "trees/P/a/b/X", NULL));
}

/* Each name is listed once, and seekdir(3) can return to any position */
TEST_F(place, listing_in_steps)
{
	char seen[128];
	long pos[128];
	struct dirent *d;
	int n = 0;
	DIR *dir;

	for (char c = 'a'; c < 'm'; c++)
		ASSERT_EQ(0, do_mkdir(at("trees/P/%c", c == 'a' || c == 'd' ||
					 c == 'e' ? c - 32 : c), NULL));
	dir = opendir("trees/P");
	ASSERT_NE(NULL, dir);
	memset(seen, 0, sizeof(seen));
	for (pos[0] = telldir(dir); (d = readdir(dir)); pos[++n] = telldir(dir)) {
		ASSERT_EQ(ino_of(at("trees/P/%s", d->d_name)) == d->d_ino ||
			  d->d_type == DT_REG, true);
		if (strlen(d->d_name) == 1 && d->d_name[0] != '.') {
			ASSERT_EQ(DT_DIR, d->d_type);
			ASSERT_EQ(0, seen[(int)d->d_name[0]]++);
		}
	}
	ASSERT_EQ(2 + 4 + 3 + 12, n);
	for (int i = 0; i <= n; i++) {
		int left = 0;

		seekdir(dir, pos[i]);
		while (readdir(dir))
			left++;
		ASSERT_EQ(n - i, left);
	}
	closedir(dir);
}

/*
 * An item pins its own module as well as that of the subsystem.
 */

#define OTHER	TEST_MODULE "_other"

static int references(const char *module)
{
	return atoi(value_of(at("/sys/module/%s/refcnt", module)));
}

TEST(item_of_another_module)
{
	struct baseline base;
	int ret, count;

	test_begin(&base);
	ret = module_load(OTHER);
	if (ret)
		SKIP(return, "cannot load the module " OTHER ": %s", strerror(ret));
	count = references(TEST_MODULE);
	EXPECT_EQ(0, references(OTHER));
	EXPECT_EQ(0, do_mkdir("others/x", NULL));
	EXPECT_EQ(0, do_mkdir("others/y", NULL));
	EXPECT_STREQ("x", value_of("others/x/name"));
	EXPECT_EQ(2, references(OTHER));
	EXPECT_EQ(count + 2, references(TEST_MODULE));
	EXPECT_EQ(EWOULDBLOCK, module_unload(OTHER));
	EXPECT_EQ(0, do_rmdir("others/x", NULL));
	EXPECT_EQ(EWOULDBLOCK, module_unload(OTHER));
	EXPECT_EQ(0, do_rmdir("others/y", NULL));
	EXPECT_EQ(0, references(OTHER));
	EXPECT_EQ(count, references(TEST_MODULE));
	EXPECT_EQ(0, module_unload(OTHER));
	EXPECT_FALSE(exists("others"));
	TEST_END(&base);
}

int main(int argc, char **argv)
{
	test_init();
	return test_harness_run(argc, argv);
}
