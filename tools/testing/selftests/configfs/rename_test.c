// SPDX-License-Identifier: GPL-2.0
/*
 * Items that are committed by rename(2): from pending/ to live/, back again, and both
 * at once; what is refused, what a rename waits for, and what waits for a rename.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

#define PENDING	"depot/pending"
#define LIVE	"depot/live"
#define X	"depot/pending/x"
#define LIVE_X	"depot/live/x"

static int do_noreplace(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) ?
		errno : 0;
}

static int do_whiteout(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_WHITEOUT) ?
		errno : 0;
}

static int do_unknown(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 64) ? errno : 0;
}

FIXTURE(stage)
{
	struct baseline base;
	struct task tasks[3];
};

FIXTURE_SETUP(stage)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir(PENDING "/x", NULL));
	ASSERT_EQ(0, do_mkdir(PENDING "/x/a/b/t", NULL));
	ASSERT_EQ(0, do_mkdir(PENDING "/x/parts/p", NULL));
	ASSERT_EQ(0, do_mkdir(PENDING "/x/depot/pending/in", NULL));
	ASSERT_EQ(0, do_mkdir(PENDING "/y", NULL));
	ASSERT_EQ(0, do_mkdir(PENDING "/l", NULL));
	ASSERT_EQ(0, do_rename(PENDING "/l", LIVE "/l"));
	ASSERT_EQ(0, do_mkdir("items/i", NULL));
	ASSERT_EQ(0, do_mkdir("links/k", NULL));
	ASSERT_EQ(0, do_symlink("items/i", PENDING "/x/a/link"));
	ASSERT_EQ(0, control("reset", NULL));
}

FIXTURE_TEARDOWN(stage)
{
	TEST_END(&self->base);
}

TEST_F(stage, commit_and_uncommit)
{
	ino_t ino = ino_of(X), attr = ino_of(X "/value");

	ASSERT_STREQ("live pending", listing_of("depot"));
	ASSERT_STREQ("x y", listing_of(PENDING));
	ASSERT_STREQ("l", listing_of(LIVE));
	ASSERT_EQ(4, nlink_of("depot"));
	ASSERT_EQ(4, nlink_of(PENDING));
	ASSERT_EQ(3, nlink_of(LIVE));
	/* All of them are in the group, whatever directory they are in */
	ASSERT_STREQ("x y l", children_of("depot"));

	ASSERT_FALSE(is_live(X));
	ASSERT_EQ(0, do_rename(X, LIVE_X));
	ASSERT_TRUE(happened_before("+commit " X, "-commit " X));
	ASSERT_STREQ("y", listing_of(PENDING));
	ASSERT_STREQ("l x", listing_of(LIVE));
	ASSERT_EQ(3, nlink_of(PENDING));
	ASSERT_EQ(4, nlink_of(LIVE));
	ASSERT_STREQ("x y l", children_of("depot"));
	ASSERT_EQ(ino, ino_of(LIVE_X));
	ASSERT_EQ(attr, ino_of(LIVE_X "/value"));
	ASSERT_EQ(ENOENT, do_stat(X, NULL));
	ASSERT_TRUE(is_live(LIVE_X));
	ASSERT_TRUE(is_live(LIVE_X "/a/b/t"));
	/* These have a state of their own */
	ASSERT_FALSE(is_live(LIVE_X "/depot/pending/in"));
	ASSERT_FALSE(is_live(LIVE_X "/parts/p"));
	ASSERT_FALSE(is_live("depot"));
	ASSERT_STREQ("i", value_of(LIVE_X "/a/link/ro"));

	ASSERT_EQ(0, do_rename(LIVE_X, X));
	ASSERT_TRUE(happened_before("+uncommit " LIVE_X, "-uncommit " LIVE_X));
	ASSERT_STREQ("x y", listing_of(PENDING));
	ASSERT_STREQ("l", listing_of(LIVE));
	ASSERT_EQ(ino, ino_of(X));
	ASSERT_FALSE(is_live(X));
	ASSERT_FALSE(is_live(X "/a/b/t"));
	ASSERT_EQ(0, do_write(X "/value", "new"));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(1, counter("uncommit"));
	/* It is an ordinary item, which can be removed */
	ASSERT_EQ(0, do_rmdir(PENDING "/y", NULL));
	ASSERT_TRUE(happened_before("+disconnect " PENDING "/y",
				    "+drop " PENDING "/y"));
}

/* The order of the errnos: see the documentation */
TEST_F_TIMEOUT(stage, rename_is_refused, 300)
{
	static const struct row rows[] = {
		{ do_mkdir,	"depot/n", NULL,		EPERM },
		{ do_mkdir,	LIVE "/n", NULL,		EPERM },
		{ do_mkdir,	LIVE "/l/depot/n", NULL,	EPERM },
		{ do_rmdir,	PENDING, NULL,			EPERM },
		{ do_rmdir,	LIVE, NULL,			EPERM },
		{ do_rmdir,	LIVE "/l", NULL,		EBUSY },
		{ do_rmdir,	"depot", NULL,			EPERM },
		{ do_symlink,	"items/i", PENDING "/n",	EPERM },
		{ do_symlink,	"items/i", LIVE "/n",		EPERM },
		{ do_symlink,	PENDING, "links/k/n",		EPERM },
		{ do_symlink,	LIVE, "links/k/n",		EPERM },
		/* What is not an item */
		{ do_rename,	PENDING, LIVE "/n",		EPERM },
		{ do_rename,	PENDING, "depot/n",		EPERM },
		{ do_rename,	"depot", "n",			EPERM },
		{ do_rename,	".", "../n",			EBUSY },
		{ do_rename,	SUBSYS_DIR, CONFIGFS_DIR "/n",	EPERM },
		{ do_rename,	X "/value", X "/n",		EPERM },
		{ do_rename,	X "/value", LIVE "/n",		EPERM },
		{ do_rename,	X "/a", LIVE "/a",		EPERM },
		{ do_rename,	X "/a/link", X "/a/n",		EPERM },
		{ do_rename,	X "/a/link", LIVE "/n",		EPERM },
		/* What is not in pending/ or live/, or would not be */
		{ do_rename,	"items/i", "items/n",		EPERM },
		{ do_rename,	"items/i", LIVE "/n",		EPERM },
		{ do_rename,	"items/i", PENDING "/n",	EPERM },
		{ do_rename,	X, "items/x",			EPERM },
		{ do_rename,	X, "depot/x",			EPERM },
		{ do_rename,	LIVE "/l", "depot/l",		EPERM },
		{ do_rename,	LIVE "/l", SUBSYS2_DIR "/items/l", EPERM },
		{ do_rename,	X "/a/b/t", LIVE "/t",		EPERM },
		/* Other groups */
		{ do_rename,	PENDING "/y", X "/depot/live/y", EPERM },
		{ do_rename,	X "/depot/pending/in", LIVE "/in", EPERM },
		{ do_rename,	X "/depot/pending/in", PENDING "/in", EPERM },
		{ do_rename,	X, X "/depot/live/x",		EINVAL },
		/* Other names */
		{ do_rename,	X, LIVE "/n",			EPERM },
		{ do_rename,	LIVE "/l", PENDING "/n",	EPERM },
		{ do_rename,	LIVE "/l", LIVE "/n",		EBUSY },
		/* What exists */
		{ do_rename,	X, PENDING "/y",		EEXIST },
		{ do_rename,	X, LIVE "/l",			EEXIST },
		{ do_rename,	LIVE "/l", LIVE "/m",		EEXIST },
		{ do_rename,	LIVE "/l", PENDING "/y",	EEXIST },
		{ do_rename,	"items/i", LIVE "/l",		EPERM },
		{ do_noreplace,	X, PENDING "/y",		EEXIST },
		{ do_noreplace,	X, LIVE "/l",			EEXIST },
		{ do_noreplace,	"items/i", LIVE "/l",		EEXIST },
		{ do_rename,	PENDING "/y", X "/value",	ENOTDIR },
		{ do_rename,	X "/value", LIVE "/l",		EISDIR },
		{ do_rename,	LIVE_X, X,			ENOENT },
		/* Flags */
		{ do_whiteout,	X, LIVE_X,			EINVAL },
		{ do_unknown,	X, LIVE_X,			EINVAL },
		{ do_exchange,	X, LIVE_X,			ENOENT },
		{ do_exchange,	X, LIVE "/l",			EPERM },
		{ do_exchange,	X, PENDING "/y",		EPERM },
		{ do_exchange,	LIVE "/l", LIVE "/m",		EPERM },
		{ do_exchange,	"items/i", LIVE "/l",		EPERM },
		{ do_exchange,	X "/value", X "/ro",		EPERM },
		{ do_exchange,	PENDING, LIVE,			EPERM },
		{ do_exchange,	X "/value", LIVE "/l/value",	EPERM },
		/* By the driver */
		{ do_commit,	"depot", NULL,			EINVAL },
		{ do_commit,	X "/a", NULL,			EINVAL },
		{ do_commit,	X "/a/b/t", NULL,		EINVAL },
		{ do_commit,	LIVE "/l", NULL,		EALREADY },
		{ do_uncommit,	X, NULL,			EALREADY },
		{}
	};

	ASSERT_EQ(0, do_mkdir(PENDING "/m", NULL));
	ASSERT_EQ(0, do_rename(PENDING "/m", LIVE "/m"));
	ASSERT_TRUE(rows_refused(rows));
	ASSERT_EQ(0, do_rename(X, X));
	ASSERT_EQ(1, counter("commit"));
	/* Directories that only root can write to */
	ASSERT_EQ(EACCES, in_child(1000, do_rename, X, LIVE_X));
}

/* The question that the table of the documentation begins with */
TEST_F_TIMEOUT(stage, two_of_one_name, 300)
{
	static const struct row both[] = {
		{ do_rename,	X, LIVE_X,	EEXIST },
		{ do_rename,	LIVE_X, X,	EEXIST },
		{ do_noreplace,	X, LIVE_X,	EEXIST },
		{ do_commit,	X, NULL,	EEXIST },
		{ do_uncommit,	LIVE_X, NULL,	EEXIST },
		{ do_mkdir,	X, NULL,	EEXIST },
		{}
	};
	ino_t first, second;

	ASSERT_EQ(0, do_rename(X, LIVE_X));
	ASSERT_EQ(0, do_mkdir(X, NULL));
	ASSERT_TRUE(rows_refused(both));
	first = ino_of(LIVE_X);
	second = ino_of(X);
	ASSERT_EQ(0, do_write(X "/value", "second"));

	for (int i = 0; i < 2; i++) {
		/* In either order of the arguments */
		ASSERT_EQ(0, i ? do_exchange(X, LIVE_X) :
				 do_exchange(LIVE_X, X));
		ASSERT_EQ(i ? first : second, ino_of(LIVE_X));
		ASSERT_EQ(i ? second : first, ino_of(X));
		ASSERT_STREQ(i ? "initial" : "second",
			     value_of(LIVE_X "/value"));
		ASSERT_STREQ("x y", listing_of(PENDING));
		ASSERT_STREQ("l x", listing_of(LIVE));
		ASSERT_EQ(4, nlink_of(PENDING));
		ASSERT_EQ(4, nlink_of(LIVE));
		ASSERT_TRUE(is_live(LIVE_X));
		ASSERT_FALSE(is_live(X));
		ASSERT_EQ(EBUSY, do_write(LIVE_X "/value", "z"));
		ASSERT_EQ(EBUSY, do_write(LIVE_X "/a/value", "z"));
		ASSERT_EQ(0, do_write(X "/a/value", "initial"));
	}
	ASSERT_EQ(2, counter("exchange"));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(0, counter("uncommit"));
}

TEST_F_TIMEOUT(stage, driver_refuses, 300)
{
	static const int errors[] = { ENODEV, EAGAIN, EINTR, ENOENT, -1 };

	ASSERT_EQ(0, do_mkdir(PENDING "/l", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		int err = errors[i] < 0 ? EINVAL : errors[i];
		const struct row rows[] = {
			{ do_rename,	X, LIVE_X,		err },
			{ do_commit,	X, NULL,		err },
			{ do_exchange,	PENDING "/l", LIVE "/l", err },
			{}
		};

		ASSERT_EQ(0, knob("commit error=%d", errors[i]));
		ASSERT_EQ(0, knob("exchange error=%d", errors[i]));
		ASSERT_TRUE(rows_refused(rows));
		ASSERT_FALSE(is_live(X));
	}
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, do_rename(X, LIVE_X));
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		int err = errors[i] < 0 ? EINVAL : errors[i];
		const struct row rows[] = {
			{ do_rename,	LIVE_X, X,	err },
			{ do_uncommit,	LIVE_X, NULL,	err },
			{}
		};

		ASSERT_EQ(0, knob("uncommit error=%d", errors[i]));
		ASSERT_TRUE(rows_refused(rows));
		ASSERT_TRUE(is_live(LIVE_X));
	}
}

TEST_F_TIMEOUT(stage, freezes, 300)
{
	static const struct row rows[] = {
		{ do_write,	LIVE_X "/value", "x",			EBUSY },
		{ do_write,	LIVE_X "/wo", "x",			EBUSY },
		{ do_write,	LIVE_X "/blob", "x",			EBUSY },
		{ do_write,	LIVE_X "/a/b/t/a/value", "x",		EBUSY },
		{ do_write,	LIVE_X "/parts/p/value", "x",		EBUSY },
		{ do_write,	LIVE_X "/depot/pending/in/value", "x",	EBUSY },
		{ do_mkdir,	LIVE_X "/n", NULL,			EBUSY },
		{ do_mkdir,	LIVE_X "/a/b/t/n", NULL,		EBUSY },
		{ do_mkdir,	LIVE_X "/depot/pending/n", NULL,	EBUSY },
		{ do_rmdir,	LIVE_X "/a/b/t", NULL,			EBUSY },
		{ do_rmdir,	LIVE_X "/depot/pending/in", NULL,	EBUSY },
		{ do_rmdir,	LIVE_X "/a", NULL,			EPERM },
		{ do_rmdir,	LIVE_X, NULL,				EBUSY },
		{ do_symlink,	"items/i", LIVE_X "/n",			EBUSY },
		{ do_unlink,	LIVE_X "/a/link", NULL,			EBUSY },
		{ do_power,	LIVE_X "/parts/p", "1",			EBUSY },
		{ do_rename,	LIVE_X "/depot/pending/in",
				LIVE_X "/depot/live/in",		EBUSY },
		{ do_commit,	LIVE_X "/depot/pending/in", NULL,	EBUSY },
		{}
	};
	static const struct row fine[] = {
		{ do_read,	LIVE_X "/value" },
		{ do_read,	LIVE_X "/blob" },
		{ do_read,	LIVE_X "/depot/pending/in/value" },
		{ do_write,	LIVE_X "/tune", "initial" },
		{ do_write,	LIVE_X "/patch", "p" },
		{ do_chmod,	LIVE_X "/value", "0600" },
		{ do_list,	LIVE_X "/a" },
		{ do_symlink,	LIVE_X "/a", "links/k/to" },
		{ do_unlink,	"links/k/to" },
		{ do_mkdir,	PENDING "/n" },
		{ do_write,	PENDING "/n/value", "x" },
		{}
	};
	const char *before = opened(X "/value"), *bin_before = opened(X "/blob");

	ASSERT_EQ(0, do_rename(X, LIVE_X));
	ASSERT_TRUE(rows_refused(rows));
	/* These were opened before */
	ASSERT_EQ(EBUSY, do_write_fd(before, "x"));
	ASSERT_EQ(EBUSY, do_write_fd(bin_before, "x"));
	close(atoi(bin_before));
	EXPECT_EQ(0, counter("store"));
	EXPECT_EQ(0, counter("bin_write"));
	for (const struct row *row = fine; row->fn; row++) {
		EXPECT_EQ(0, row->fn(row->a, row->b)) {
			TH_LOG("%s %s", row->a, row->b);
		}
	}
	ASSERT_EQ(0, do_rename(LIVE_X, X));
	ASSERT_EQ(0, do_write_fd(before, "after"));
	ASSERT_STREQ("after", value_of(X "/value"));
}

/* Both need the path of the item, which a rename changes. */
TEST_F_TIMEOUT(stage, links_and_dependents_are_in_the_way, 300)
{
	static const char * const targets[] = {
		"", "/a", "/a/b/t", "/parts/p/a", "/depot", "/depot/pending/in",
	};
	static const struct row pending[] = {
		{ do_rename,	X, LIVE_X,	EBUSY },
		{ do_commit,	X, NULL,	EBUSY },
		{}
	};
	static const struct row live[] = {
		{ do_rename,	LIVE_X, X,	EBUSY },
		{ do_uncommit,	LIVE_X, NULL,	EBUSY },
		{}
	};
	static const struct row exchange[] = {
		{ do_exchange,	X, LIVE_X,	EBUSY },
		{}
	};

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		const char *path = at(X "%s", targets[i]);
		const char *live_path = at(LIVE_X "%s", targets[i]);

		ASSERT_EQ(0, do_symlink(path, "links/k/to"));
		ASSERT_TRUE(rows_refused(pending));
		ASSERT_EQ(0, do_unlink("links/k/to", NULL));
		ASSERT_EQ(0, do_depend(path, NULL));
		ASSERT_TRUE(rows_refused(pending));
		ASSERT_EQ(0, do_undepend(path, NULL));

		ASSERT_EQ(0, do_rename(X, LIVE_X));
		ASSERT_EQ(0, do_symlink(live_path, "links/k/to"));
		ASSERT_TRUE(rows_refused(live));
		ASSERT_EQ(0, do_unlink("links/k/to", NULL));
		ASSERT_EQ(0, do_depend(live_path, NULL));
		ASSERT_TRUE(rows_refused(live));
		ASSERT_EQ(0, do_undepend(live_path, NULL));
		ASSERT_EQ(0, do_rename(LIVE_X, X));
	}
	/* A link in the item, to something in it */
	ASSERT_EQ(0, do_symlink(X "/a/b/t", X "/a/to"));
	ASSERT_TRUE(rows_refused(pending));
	ASSERT_EQ(0, do_unlink(X "/a/to", NULL));

	/* Either one of those that would change places */
	ASSERT_EQ(0, do_rename(X, LIVE_X));
	ASSERT_EQ(0, do_mkdir(X, NULL));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, do_symlink(i ? X "/a" : LIVE_X "/a", "links/k/to"));
		ASSERT_TRUE(rows_refused(exchange));
		ASSERT_EQ(0, do_unlink("links/k/to", NULL));
	}
	/* But not others, and not when they have gone */
	ASSERT_EQ(0, do_symlink(PENDING "/y", "links/k/to"));
	ASSERT_EQ(0, do_depend("depot", NULL));
	ASSERT_EQ(0, do_exchange(X, LIVE_X));
	ASSERT_EQ(0, do_unlink("links/k/to", NULL));
}

TEST_F_TIMEOUT(stage, written_binary_data_are_in_the_way, 300)
{
	static const struct row pending[] = {
		{ do_rename,	X, LIVE_X,	EBUSY },
		{ do_commit,	X, NULL,	EBUSY },
		{}
	};
	static const struct row exchange[] = {
		{ do_exchange,	PENDING "/l", LIVE "/l",	EBUSY },
		{}
	};
	const char *inner = opened(X "/depot/pending/in/blob");
	const char *blob;

	ASSERT_EQ(0, do_write_fd(inner, "inner"));
	ASSERT_TRUE(rows_refused(pending));
	close(atoi(inner));
	ASSERT_EQ(0, do_rename(X, LIVE_X));
	ASSERT_STREQ("inner", value_of(LIVE_X "/depot/pending/in/blob"));
	ASSERT_EQ(0, do_rename(LIVE_X, X));

	ASSERT_EQ(0, do_mkdir(PENDING "/l", NULL));
	blob = opened(PENDING "/l/blob");
	ASSERT_EQ(0, do_write_fd(blob, "data"));
	ASSERT_TRUE(rows_refused(exchange));
	close(atoi(blob));
	ASSERT_EQ(0, do_exchange(PENDING "/l", LIVE "/l"));
	ASSERT_STREQ("data", value_of(LIVE "/l/blob"));
}

/* Nobody waits for those who have inodes locked. */
TEST_F_TIMEOUT(stage, changes_below_are_in_the_way, 300)
{
	static const struct row changes[] = {
		{ do_mkdir,	X "/a/b/t/n" },
		{ do_rmdir,	X "/a/b/t/n" },
		{ do_symlink,	"items/i", X "/a/b/t/to" },
		{ do_unlink,	X "/a/b/t/to" },
		{ do_power,	X "/parts/p", "1" },
		{ do_power,	X "/parts/p", "0" },
		{ do_rename,	X "/depot/pending/in", X "/depot/live/in" },
		{ do_rename,	X "/depot/live/in", X "/depot/pending/in" },
	};
	static const char * const callbacks[] = {
		"make", "disconnect", "allow_link", "drop_link", "commit",
		"uncommit", "commit", "uncommit",
	};

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		int commits;

		ASSERT_EQ(0, hold(callbacks[i], NULL));
		ASSERT_TRUE(task_start(&self->tasks[0], changes[i].fn,
				       changes[i].a, changes[i].b));
		ASSERT_EQ(0, await_held(callbacks[i]));
		commits = counter("commit");
		/* An inner rename locks what the outer one would lock first */
		if (changes[i].fn != do_rename) {
			EXPECT_EQ(EBUSY, do_rename(X, LIVE_X));
			EXPECT_EQ(EBUSY, do_commit(X, NULL));
		}
		EXPECT_EQ(commits, counter("commit"));
		ASSERT_EQ(0, release(callbacks[i]));
		ASSERT_EQ(0, task_join(&self->tasks[0]));
		ASSERT_EQ(0, do_rename(X, LIVE_X));
		ASSERT_EQ(0, do_rename(LIVE_X, X));
	}
}

/* But for those that lock the item itself, as the VFS wants it */
TEST_F(stage, changes_in_it_are_waited_for)
{
	ASSERT_EQ(0, hold("make", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_mkdir, X "/n", NULL));
	ASSERT_EQ(0, await_held("make"));
	ASSERT_TRUE(task_start(&self->tasks[1], do_rename, X, LIVE_X));
	ASSERT_FALSE(comes("commit", 1));
	ASSERT_EQ(0, release("make"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	ASSERT_EQ(0, task_join(&self->tasks[1]));
	ASSERT_TRUE(exists(LIVE_X "/n"));
	ASSERT_EQ(EBUSY, do_rmdir(LIVE_X "/n", NULL));
}

/* A change that is going to be refused is not in the way. */
TEST_F_TIMEOUT(stage, changes_of_a_live_item_are_not, 300)
{
	struct task *task = &self->tasks[0];
	int busy = 0;

	ASSERT_EQ(0, do_rename(X, LIVE_X));
	for (int i = 0; i < 300; i++) {
		ASSERT_TRUE(task_start(task, do_mkdir, LIVE_X "/a/b/n", NULL));
		ASSERT_EQ(0, do_rename(LIVE_X, X));
		if (task_join(task) == EBUSY)
			busy++;
		ASSERT_EQ(0, do_rename(X, LIVE_X));
	}
	if (!busy)
		SKIP(return, "the two never collided");
}

/*
 * Waiting.  A task that is killed has done nothing.
 */

TEST_F_TIMEOUT(stage, waits_for_callbacks, 300)
{
	static const struct row rows[] = {
		{ do_read,  X "/value" },
		{ do_write, X "/value", "initial" },
		{ do_read,  X "/a/b/t/value" },
		{ do_read,  X "/depot/pending/in/a/value" },
	};
	static const char * const callbacks[] = {
		"show", "store", "show", "show",
	};
	static const char * const names[] = { "x", "x", "t", "a" };

	/* To look it up needs the inode of the item, which is going to be locked */
	ASSERT_NE(-1, open(X "/ro", O_RDONLY));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int commits = counter("commit");

		ASSERT_EQ(0, hold(callbacks[i], names[i]));
		ASSERT_TRUE(task_start(&self->tasks[0], rows[i].fn, rows[i].a,
				       rows[i].b));
		ASSERT_EQ(0, await_held(callbacks[i]));
		ASSERT_TRUE(killed_while_waiting(do_rename, X, LIVE_X));
		ASSERT_TRUE(killed_while_waiting(do_commit, X, NULL));
		ASSERT_TRUE(exists(X));
		ASSERT_TRUE(task_start(&self->tasks[1], do_rename, X, LIVE_X));
		ASSERT_FALSE(comes("commit", commits + 1));
		/* Others are held off, but not in another item */
		ASSERT_TRUE(killed_while_waiting(do_read, X "/ro", NULL));
		ASSERT_EQ(0, do_write(PENDING "/y/value", "x"));
		ASSERT_EQ(0, release(callbacks[i]));
		ASSERT_EQ(0, task_join(&self->tasks[0]));
		ASSERT_EQ(0, task_join(&self->tasks[1]));
		ASSERT_EQ(0, do_rename(LIVE_X, X));
	}
}

static const struct row held_off[] = {
	{ do_read,	X "/value" },
	{ do_write,	X "/value", "x" },
	{ do_read,	X "/a/b/t/value" },
	{ do_read,	X "/depot/pending/in/value" },
	{ do_symlink,	X "/a/b/t", "links/k/to" },
};

static const struct row goes_on[] = {
	{ do_stat,	X "/value" },
	{ do_list,	X "/a" },
	{ do_read,	PENDING "/y/value" },
	{ do_write,	PENDING "/y/value", "x" },
	{ do_mkdir,	PENDING "/y/n" },
	{ do_mkdir,	PENDING "/y/depot/pending/n" },
	{ do_read,	LIVE "/l/value" },
	{ do_mkdir,	"items/n" },
	{ do_mkdir,	"units/n" },
	{ do_write,	"units/n/live", "1" },
};

TEST_F_TIMEOUT(stage, is_waited_for, 300)
{
	/* See above */
	const char *value = opened(X "/value");
	const char *power = opened(X "/parts/p/power");

	ASSERT_EQ(0, hold("commit", "x"));
	ASSERT_TRUE(task_start(&self->tasks[0], do_rename, X, LIVE_X));
	ASSERT_EQ(0, await_held("commit"));

	EXPECT_EQ(EBUSY, do_depend(X, NULL));
	EXPECT_EQ(EBUSY, do_depend(X "/a/b/t", NULL));
	EXPECT_EQ(EBUSY, do_depend(X "/depot/pending/in", NULL));
	EXPECT_EQ(EBUSY, do_mkdir(X "/a/b/t/n", NULL));
	EXPECT_EQ(EBUSY, do_rmdir(X "/a/b/t", NULL));
	EXPECT_EQ(EBUSY, do_symlink("items/i", X "/a/b/t/n"));
	EXPECT_EQ(EBUSY, do_rmdir(X "/parts/p", NULL));
	EXPECT_EQ(EBUSY, do_write_fd(power, "1"));
	for (size_t i = 0; i < ARRAY_SIZE(held_off); i++) {
		EXPECT_TRUE(killed_while_waiting(held_off[i].fn, held_off[i].a,
						 held_off[i].b)) {
			TH_LOG("%s", held_off[i].a);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(goes_on); i++) {
		EXPECT_EQ(0, goes_on[i].fn(goes_on[i].a, goes_on[i].b)) {
			TH_LOG("%s", goes_on[i].a);
		}
	}
	/* What waited is refused then */
	ASSERT_TRUE(task_start(&self->tasks[1], do_write_fd, value, "x"));
	ASSERT_FALSE(comes("store", counter("store") + 1));
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	ASSERT_EQ(EBUSY, task_join(&self->tasks[1]));
	ASSERT_EQ(0, do_depend(LIVE_X "/a/b/t", NULL));
	ASSERT_EQ(0, do_undepend(LIVE_X "/a/b/t", NULL));
}

TEST_F_TIMEOUT(stage, uncommit_waits_and_is_waited_for, 300)
{
	const char *tune = opened(X "/tune"), *patch = opened(X "/patch");

	ASSERT_EQ(0, do_rename(X, LIVE_X));
	ASSERT_NE(-1, open(LIVE_X "/ro", O_RDONLY));
	ASSERT_EQ(0, hold("show", "t"));
	ASSERT_TRUE(task_start(&self->tasks[0], do_read, LIVE_X "/a/b/t/value",
			       NULL));
	ASSERT_EQ(0, await_held("show"));
	ASSERT_TRUE(killed_while_waiting(do_rename, LIVE_X, X));
	ASSERT_TRUE(killed_while_waiting(do_uncommit, LIVE_X, NULL));
	ASSERT_EQ(0, counter("uncommit"));
	ASSERT_EQ(0, release("show"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));

	/* What can be written while it is live waits for nobody, nor is it waited for */
	ASSERT_EQ(0, do_write_fd(patch, "p"));
	ASSERT_EQ(0, hold("uncommit", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_rename, LIVE_X, X));
	ASSERT_EQ(0, await_held("uncommit"));
	EXPECT_TRUE(killed_while_waiting(do_write_fd, tune, "x"));
	EXPECT_TRUE(killed_while_waiting(do_read, LIVE_X "/ro", NULL));
	EXPECT_EQ(EBUSY, do_depend(LIVE_X "/a", NULL));
	ASSERT_EQ(0, release("uncommit"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	close(atoi(patch));
	ASSERT_STREQ("p", value_of(X "/blob"));
}

TEST_F_TIMEOUT(stage, exchange_waits_and_is_waited_for, 300)
{
	static const char * const values[] = {
		PENDING "/l/a/value", LIVE "/l/a/value",
	};
	struct watches w;

	ASSERT_EQ(0, do_mkdir(PENDING "/l", NULL));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, hold("show", NULL));
		ASSERT_TRUE(task_start(&self->tasks[0], do_read, values[i],
				       NULL));
		ASSERT_EQ(0, await_held("show"));
		ASSERT_TRUE(killed_while_waiting(do_exchange, PENDING "/l",
						 LIVE "/l"));
		ASSERT_EQ(0, release("show"));
		ASSERT_EQ(0, task_join(&self->tasks[0]));
		ASSERT_EQ(0, do_depend(i ? LIVE "/l/a" : PENDING "/l/a", NULL));
		EXPECT_EQ(EBUSY, do_exchange(PENDING "/l", LIVE "/l"));
		ASSERT_EQ(0, do_undepend(i ? LIVE "/l/a" : PENDING "/l/a",
					 NULL));
	}
	ASSERT_EQ(0, counter("exchange"));
	ASSERT_TRUE(watch_init(&w));
	ASSERT_TRUE(watch(&w, "pending", PENDING));
	ASSERT_TRUE(watch(&w, "live", LIVE));
	ASSERT_EQ(0, hold("exchange", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_exchange, PENDING "/l",
			       LIVE "/l"));
	ASSERT_EQ(0, await_held("exchange"));
	EXPECT_EQ(EBUSY, do_depend(PENDING "/l", NULL));
	EXPECT_EQ(EBUSY, do_depend(LIVE "/l/a", NULL));
	for (int i = 0; i < 2; i++)
		EXPECT_TRUE(killed_while_waiting(do_read, values[i], NULL));
	ASSERT_EQ(0, release("exchange"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	EXPECT_STREQ("pending MOVED_FROM ISDIR l\nlive MOVED_TO ISDIR l\n"
		     "live MOVED_FROM ISDIR l\npending MOVED_TO ISDIR l\n",
		     watched(&w));
	close(w.fd);
}

/* Not for su_mutex, which a slow driver may hold */
TEST_F(stage, does_not_hold_su_mutex)
{
	const char *tune = opened(X "/tune");

	ASSERT_EQ(0, hold("commit", "x"));
	ASSERT_TRUE(task_start(&self->tasks[0], do_rename, X, LIVE_X));
	ASSERT_EQ(0, await_held("commit"));
	ASSERT_EQ(0, hold("make", NULL));
	ASSERT_TRUE(task_start(&self->tasks[1], do_mkdir, "items/n", NULL));
	ASSERT_EQ(0, await_held("make"));
	/* The end of the rename needs it, and what waits for that can be killed */
	ASSERT_EQ(0, release("commit"));
	ASSERT_TRUE(killed_while_waiting(do_write_fd, tune, "x"));
	ASSERT_EQ(0, counter("store"));
	ASSERT_EQ(0, release("make"));
	ASSERT_EQ(0, task_join(&self->tasks[1]));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
}

/*
 * What rename(2) promises on every file system
 */

TEST_F(stage, keeps_what_is_open_or_set)
{
	struct timespec long_ago[2] = { { 1000 }, { 1000 } };
	int fd = open(X "/value", O_RDONLY), dir = open(X "/a", O_RDONLY);
	struct stat before, after, parent;
	char cwd[256];

	ASSERT_EQ(0, do_chmod(X, "0700"));
	ASSERT_EQ(0, chown(X, 12, 34));
	ASSERT_EQ(0, do_chmod(X "/value", "0600"));
	ASSERT_EQ(0, utimensat(AT_FDCWD, PENDING, long_ago, 0));
	ASSERT_EQ(0, utimensat(AT_FDCWD, LIVE, long_ago, 0));
	ASSERT_EQ(0, utimensat(AT_FDCWD, X, long_ago, 0));
	ASSERT_EQ(0, stat(X, &before));
	usleep(20000);	/* The clock of inodes is coarse */
	ASSERT_EQ(0, chdir(X "/a/b"));
	ASSERT_EQ(0, do_rename("../../../../pending/x", "../../../../live/x"));
	ASSERT_NE(NULL, getcwd(cwd, sizeof(cwd)));
	EXPECT_STREQ(SUBSYS_DIR "/" LIVE_X "/a/b", cwd);
	ASSERT_EQ(0, do_list(".", NULL));
	ASSERT_EQ(0, chdir(SUBSYS_DIR));

	ASSERT_EQ(0, stat(LIVE_X, &after));
	EXPECT_EQ(before.st_ino, after.st_ino);
	EXPECT_EQ(before.st_mode, after.st_mode);
	EXPECT_EQ(12, after.st_uid);
	EXPECT_EQ(34, after.st_gid);
	EXPECT_EQ(before.st_nlink, after.st_nlink);
	EXPECT_EQ(1000, after.st_mtime);
	EXPECT_TRUE(before.st_ctim.tv_sec != after.st_ctim.tv_sec ||
		    before.st_ctim.tv_nsec != after.st_ctim.tv_nsec);
	ASSERT_EQ(0, stat(PENDING, &parent));
	EXPECT_NE(1000, parent.st_mtime);
	ASSERT_EQ(0, stat(LIVE, &parent));
	EXPECT_NE(1000, parent.st_mtime);
	ASSERT_EQ(0, stat(LIVE_X "/value", &after));
	EXPECT_EQ(0100600, after.st_mode);
	ASSERT_EQ(7, read(fd, cwd, 7));
	ASSERT_EQ(0, fchdir(dir));
	ASSERT_EQ(0, do_stat("b/t", NULL));
	ASSERT_EQ(0, chdir(SUBSYS_DIR));
	close(fd);
	close(dir);
}

TEST_F(stage, is_watched)
{
	struct watches w;

	ASSERT_TRUE(watch_init(&w));
	ASSERT_TRUE(watch(&w, "pending", PENDING));
	ASSERT_TRUE(watch(&w, "live", LIVE));
	ASSERT_TRUE(watch(&w, "x", X));
	ASSERT_EQ(0, do_rename(X, LIVE_X));
	EXPECT_STREQ("pending MOVED_FROM ISDIR x\n"
		     "live MOVED_TO ISDIR x\n"
		     "x MOVE_SELF\n", watched(&w));
	ASSERT_EQ(0, do_uncommit(LIVE_X, NULL));
	EXPECT_STREQ("live MOVED_FROM ISDIR x\n"
		     "pending MOVED_TO ISDIR x\n"
		     "x MOVE_SELF\n", watched(&w));
	ASSERT_EQ(0, knob("commit error=%d", EIO));
	ASSERT_EQ(EIO, do_rename(X, LIVE_X));
	ASSERT_EQ(EIO, do_commit(X, NULL));
	EXPECT_STREQ("", watched(&w));
	close(w.fd);
}

/* A mount below the item goes with it, also when its old parent is removed. */
TEST_F(stage, takes_mounts_along)
{
	ASSERT_EQ(0, do_rename(PENDING "/x/depot/pending/in",
			       PENDING "/x/depot/live/in"));
	ASSERT_EQ(0, mount("none", X "/a", "tmpfs", 0, NULL));
	ASSERT_EQ(0, do_mkdir(X "/a/file", NULL));
	ASSERT_EQ(0, do_rename(X, LIVE_X));
	EXPECT_STREQ("file", listing_of(LIVE_X "/a"));
	EXPECT_EQ(0, umount(LIVE_X "/a"));
	EXPECT_TRUE(exists(LIVE_X "/a/b/t"));
	/* A mount on the item itself is in the way, as on any file system */
	ASSERT_EQ(0, mount("none", LIVE_X, "tmpfs", 0, NULL));
	EXPECT_EQ(EBUSY, do_rename(LIVE_X, X));
	/* But not in that of the driver */
	EXPECT_EQ(0, do_uncommit(LIVE_X, NULL));
	EXPECT_EQ(0, umount(X));
}

TEST_F(stage, in_the_middle_of_a_listing)
{
	char buf[128];
	int fd;

	for (int i = 0; i < 8; i++)
		ASSERT_EQ(0, do_mkdir(at(PENDING "/n%d", i), NULL));
	for (int i = 0; i < 8; i++) {
		fd = open(PENDING, O_RDONLY);
		ASSERT_GT(syscall(__NR_getdents64, fd, buf, sizeof(buf)), 0);
		ASSERT_EQ(0, do_rename(at(PENDING "/n%d", i),
				       at(LIVE "/n%d", i)));
		while (syscall(__NR_getdents64, fd, buf, sizeof(buf)) > 0)
			;
		close(fd);
	}
	ASSERT_STREQ("x y", listing_of(PENDING));
	ASSERT_STREQ("l n0 n1 n2 n3 n4 n5 n6 n7", listing_of(LIVE));
	for (int i = 0; i < 8; i++)
		ASSERT_EQ(0, do_rename(at(LIVE "/n%d", i),
				       at(PENDING "/n%d", i)));
}

/*
 * Items in items
 */

TEST_F(stage, of_one_in_another)
{
	static const struct row rows[] = {
		{ do_rmdir,	X, NULL,			ENOTEMPTY },
		{ do_rmdir,	X "/depot/live/in", NULL,	EBUSY },
		{ do_write,	X "/depot/live/in/value", "x",	EBUSY },
		{}
	};

	ASSERT_EQ(0, do_rename(X "/depot/pending/in", X "/depot/live/in"));
	ASSERT_TRUE(rows_refused(rows));
	ASSERT_EQ(0, do_write(X "/value", "initial"));
	ASSERT_EQ(0, do_rename(X, LIVE_X));
	ASSERT_TRUE(is_live(LIVE_X "/depot/live/in"));
	ASSERT_EQ(EBUSY, do_rename(LIVE_X "/depot/live/in",
				   LIVE_X "/depot/pending/in"));
	ASSERT_EQ(0, do_rename(LIVE_X, X));
	ASSERT_TRUE(is_live(X "/depot/live/in"));
	ASSERT_EQ(0, do_rename(X "/depot/live/in", X "/depot/pending/in"));
	ASSERT_EQ(0, do_write(X "/depot/pending/in/value", "initial"));
}

/*
 * Drivers
 */

TEST_F(stage, driver_commits_itself)
{
	static const char * const hows[] = { "", " work" };

	for (size_t i = 0; i < ARRAY_SIZE(hows); i++) {
		ASSERT_EQ(0, do_commit(at(X "%s", hows[i]), NULL));
		ASSERT_TRUE(exists(LIVE_X));
		ASSERT_STREQ("l x", listing_of(LIVE));
		ASSERT_EQ(EALREADY, do_commit(LIVE_X, NULL));
		ASSERT_EQ(0, do_uncommit(at(LIVE_X "%s", hows[i]), NULL));
		ASSERT_STREQ("x y", listing_of(PENDING));
		ASSERT_EQ(EALREADY, do_uncommit(X, NULL));
	}
	ASSERT_EQ(2, counter("commit"));

	/* A directory is locked, by somebody who makes an item in it */
	ASSERT_EQ(0, hold("make", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_mkdir, PENDING "/n", NULL));
	ASSERT_EQ(0, await_held("make"));
	ASSERT_TRUE(killed_while_waiting(do_commit, X, NULL));
	ASSERT_TRUE(task_start(&self->tasks[1], do_commit, X, NULL));
	ASSERT_TRUE(killed_while_waiting(do_commit, PENDING "/y", NULL));
	ASSERT_FALSE(comes("commit", 3));
	ASSERT_EQ(0, release("make"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	ASSERT_EQ(0, task_join(&self->tasks[1]));
	ASSERT_TRUE(exists(LIVE_X));
}

/* Neither permissions nor mounts matter to a driver. */
TEST_F(stage, driver_commits_on_a_mount_that_is_read_only)
{
	ASSERT_EQ(0, do_chmod(LIVE, "0500"));
	ASSERT_EQ(0, mount(NULL, CONFIGFS_DIR, NULL,
			   MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	EXPECT_EQ(EROFS, do_rename(X, LIVE_X));
	EXPECT_EQ(0, do_commit(X, NULL));
	ASSERT_EQ(0, mount(NULL, CONFIGFS_DIR, NULL, MS_REMOUNT | MS_BIND, NULL));
	ASSERT_TRUE(exists(LIVE_X));
}

TEST_F(stage, driver_commits_what_is_being_removed)
{
	ASSERT_EQ(0, hold("disconnect", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_rmdir, PENDING "/y", NULL));
	ASSERT_EQ(0, await_held("disconnect"));
	EXPECT_EQ(ENOENT, do_commit(PENDING "/y", NULL));
	ASSERT_EQ(0, release("disconnect"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	EXPECT_EQ(0, counter("commit"));
}

TEST_F(stage, driver_registers_groups)
{
	static const char * const groups[] = { "depot/r", "r" };

	ASSERT_EQ(0, do_register("depot r depot", NULL));
	ASSERT_EQ(0, do_register(". r depot", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const char *pending = at("%s/pending/n", groups[i]);
		const char *live = at("%s/live/n", groups[i]);

		ASSERT_EQ(0, do_mkdir(pending, NULL));
		ASSERT_EQ(0, do_rename(pending, live));
		ASSERT_TRUE(is_live(live));
		/* With live items, as LIO does it */
		ASSERT_EQ(EBUSY, do_unregister(groups[i], NULL));
		ASSERT_EQ(0, do_rename(live, pending));
		ASSERT_EQ(0, do_rmdir(pending, NULL));
		ASSERT_EQ(0, do_unregister(groups[i], NULL));
	}
	ASSERT_STREQ("live pending", listing_of("depot"));
	/* A subsystem that is one itself */
	ASSERT_EQ(0, do_register("/ configfs_test3 depot", NULL));
	ASSERT_EQ(0, do_mkdir("../configfs_test3/pending/n", NULL));
	ASSERT_EQ(0, do_rename("../configfs_test3/pending/n",
			       "../configfs_test3/live/n"));
	ASSERT_EQ(EPERM, do_rename(X, "../configfs_test3/live/x"));
	ASSERT_EQ(EPERM, do_rename("../configfs_test3/pending", LIVE "/n"));
	ASSERT_EQ(0, do_uncommit("../configfs_test3/live/n", NULL));
	ASSERT_EQ(0, do_rmdir("../configfs_test3/pending/n", NULL));
	ASSERT_EQ(0, do_unregister("../configfs_test3", NULL));
}

TEST_F(stage, driver_has_no_uncommit)
{
	static const struct row rows[] = {
		{ do_rename,	"sink/live/n", "sink/pending/n",	EEXIST },
		{ do_uncommit,	"sink/live/n", NULL,			EEXIST },
		{ do_exchange,	"sink/live/n", "sink/pending/n",	EPERM },
		{}
	};

	ASSERT_EQ(0, do_register(". sink sink", NULL));
	ASSERT_EQ(0, knob("uncommit null"));
	ASSERT_EQ(0, do_mkdir("sink/pending/n", NULL));
	ASSERT_EQ(0, do_rename("sink/pending/n", "sink/live/n"));
	ASSERT_EQ(EPERM, do_rename("sink/live/n", "sink/pending/n"));
	ASSERT_EQ(EPERM, do_uncommit("sink/live/n", NULL));
	ASSERT_EQ(0, do_mkdir("sink/pending/n", NULL));
	ASSERT_TRUE(rows_refused(rows));
}

TEST_F(stage, driver_defines_an_attribute_that_commits)
{
	static const struct row rows[] = {
		{ do_mkdir, "misfits/pending/u", NULL, EINVAL },
		/* The attribute "live" would be beside the directory */
		{ do_register, ". twins twins", NULL, EEXIST },
		{}
	};

	ASSERT_EQ(0, do_register(". misfits misfit_depot", NULL));
	ASSERT_TRUE(rows_refused(rows));
}

/*
 * All at once
 */

FIXTURE(mess)
{
	struct baseline base;
};

FIXTURE_SETUP(mess)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("items/i", NULL));
}

FIXTURE_TEARDOWN(mess)
{
	TEST_END(&self->base);
}

static int make_and_remove(unsigned int round)
{
	return round % 3 ? do_mkdir(X, NULL) : do_rmdir(X, NULL);
}

static int rename_or_exchange(unsigned int round)
{
	switch (round % 4) {
	case 0:		return do_rename(X, LIVE_X);
	case 1:		return do_exchange(LIVE_X, X);
	case 2:		return do_exchange(X, LIVE_X);
	default:	return do_rename(LIVE_X, X);
	}
}

static int commit_by_driver(unsigned int round)
{
	return round % 2 ? do_commit(X, NULL) : do_uncommit(LIVE_X, NULL);
}

static int change_below(unsigned int round)
{
	switch (round % 6) {
	case 0:		return do_mkdir(X "/depot/pending/in", NULL);
	case 1:		return do_rename(X "/depot/pending/in",
					 X "/depot/live/in");
	case 2:		return do_symlink("items/i", X "/a/link");
	case 3:		return do_unlink(X "/a/link", NULL);
	case 4:		return do_rename(X "/depot/live/in",
					 X "/depot/pending/in");
	default:	return do_rmdir(X "/depot/pending/in", NULL);
	}
}

static int depend_for_a_while(const char *path)
{
	int ret = do_depend(path, NULL);

	if (!ret)
		ret = do_undepend(path, NULL);
	return ret;
}

static int use_somewhere(unsigned int round)
{
	switch (round % 6) {
	case 0:		return do_write(X "/value", "initial");
	case 1:		return do_write(X "/depot/pending/in/blob", "x");
	case 2:		return do_read(LIVE_X "/a/value", NULL);
	case 3:		return depend_for_a_while(X);
	case 4:		return do_write(LIVE_X "/tune", "initial");
	default:	return do_write(LIVE_X "/value", "initial");
	}
}

/* It is in one of them at any time, or in both */
static int look_for_it(unsigned int round)
{
	int pending = do_stat(X, NULL);

	return do_list(round % 2 ? PENDING : LIVE, NULL) ?: pending;
}

TEST_F_TIMEOUT(mess, of_everything, 600)
{
	static const struct worker workers[MAX_WORKERS] = {
		WORKER(make_and_remove, MUST(EEXIST, ENOENT),
		       MAY(EBUSY, ENOTEMPTY)),
		WORKER(rename_or_exchange, MUST(EEXIST, ENOENT),
		       MAY(EBUSY)),
		WORKER(commit_by_driver, MUST(EEXIST, ENOENT),
		       MAY(EALREADY, EBUSY)),
		/* The two paths of a rename may lead to two crates: EPERM */
		WORKER(change_below, MUST(ENOENT),
		       MAY(EBUSY, EEXIST, ENOTEMPTY, EPERM)),
		WORKER(use_somewhere, MUST(EBUSY, ENOENT)),
		WORKER(look_for_it, MUST(ENOENT)),
	};

	EXPECT_TRUE(race(workers));
}

/* What has not been removed is never missing, wherever one looks first. */
static int exchange(unsigned int round)
{
	return do_exchange(X, LIVE_X);
}

static int stat_both(unsigned int round)
{
	return do_stat(X, NULL) || do_stat(LIVE_X, NULL) ? GONE : 0;
}

static int list_both(unsigned int round)
{
	return strcmp("x", listing_of(PENDING)) ||
	       strcmp("x", listing_of(LIVE)) ? GONE : 0;
}

TEST_F_TIMEOUT(mess, leaves_no_gap, 600)
{
	static const struct worker workers[MAX_WORKERS] = {
		WORKER(exchange), WORKER(stat_both), WORKER(list_both),
	};

	ASSERT_EQ(0, do_mkdir(X, NULL));
	ASSERT_EQ(0, do_rename(X, LIVE_X));
	ASSERT_EQ(0, do_mkdir(X, NULL));
	EXPECT_TRUE(race(workers));
}

int main(int argc, char **argv)
{
	test_init();
	return test_harness_run(argc, argv);
}
