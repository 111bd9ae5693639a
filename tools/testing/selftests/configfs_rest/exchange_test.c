// SPDX-License-Identifier: GPL-2.0
/*
 * renameat2(2) with RENAME_EXCHANGE: a live item and a pending one of the same
 * name change places, in one step, when the driver agrees.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

#define NOBODY	65534

/*
 * Refusals
 */

static const struct row stage[] = {
	{ MKDIR, "plain/a" },
	{ SYMLINK, "plain/a/link", "plain/a" },

	/* both, a live one alone, a pending one alone */
	{ MKDIR, "swaps/pending/both" },
	{ COMMIT, "swaps", "both" },
	{ MKDIR, "swaps/pending/both" },
	{ MKDIR, "swaps/pending/l" },
	{ COMMIT, "swaps", "l" },
	{ MKDIR, "swaps/pending/m" },
	{ COMMIT, "swaps", "m" },
	{ MKDIR, "swaps/pending/p" },
	{ MKDIR, "swaps/pending/q" },

	{ MKDIR, "treeswaps/pending/both" },
	{ MKDIR, "treeswaps/pending/both/c" },
	{ MKDIR, "treeswaps/pending/both/d" },
	{ COMMIT, "treeswaps", "both" },
	{ MKDIR, "treeswaps/pending/both" },
	{ MKDIR, "treeswaps/pending/both/c" },
	{ MKDIR, "treeswaps/pending/both/d" },

	/* without the op */
	{ MKDIR, "items/pending/both" },
	{ COMMIT, "items", "both" },
	{ MKDIR, "items/pending/both" },
	{ MKDIR, "oneway/pending/both" },
	{ COMMIT, "oneway", "both" },
	{ MKDIR, "oneway/pending/both" },

	/* below a frozen item */
	{ MKDIR, "nestswaps/pending/outer" },
	{ MKDIR, "nestswaps/pending/outer/inner/pending/both" },
	{ COMMIT, "nestswaps/pending/outer/inner", "both" },
	{ MKDIR, "nestswaps/pending/outer/inner/pending/both" },
	{ COMMIT, "nestswaps", "outer" },

	{ MKDIR, "moves/a" },
	{ MKDIR, "moves/b" },
	{ MKDIR, "pendmoves/pending/both" },
	{ COMMIT, "pendmoves", "both" },
	{ MKDIR, "pendmoves/pending/both" },
	{ MKDIR, "../configfs_test2/swaps/pending/both" },

	/* in use: the live one, the pending one, or something below */
	{ MKDIR, "swaps/pending/live_target" },
	{ COMMIT, "swaps", "live_target" },
	{ MKDIR, "swaps/pending/live_target" },
	{ SYMLINK, "plain/a/to_live", "swaps/live/live_target" },
	{ MKDIR, "swaps/pending/target" },
	{ COMMIT, "swaps", "target" },
	{ MKDIR, "swaps/pending/target" },
	{ SYMLINK, "plain/a/to_pending", "swaps/pending/target" },
	{ MKDIR, "treeswaps/pending/live_deep" },
	{ MKDIR, "treeswaps/pending/live_deep/c" },
	{ COMMIT, "treeswaps", "live_deep" },
	{ MKDIR, "treeswaps/pending/live_deep" },
	{ SYMLINK, "plain/a/to_live_deep", "treeswaps/live/live_deep/c" },
	{ MKDIR, "treeswaps/pending/deep" },
	{ COMMIT, "treeswaps", "deep" },
	{ MKDIR, "treeswaps/pending/deep" },
	{ SYMLINK, "plain/a/to_deep", "treeswaps/pending/deep/one" },
};

FIXTURE(refused)
{
	struct baseline base;
	char *before;
};

FIXTURE_VARIANT(refused)
{
	const struct row *rows;
};

FIXTURE_SETUP(refused)
{
	test_begin(&self->base);
	for (size_t i = 0; i < ARRAY_SIZE(stage); i++) {
		ASSERT_EQ(0, do_row(&stage[i])) {
			TH_LOG("stage: %s", stage[i].path);
		}
	}
	/* So that a change of the times would show */
	usleep(20000);
	self->before = snapshot(SNAP_CALLS);
}

FIXTURE_TEARDOWN(refused)
{
	EXPECT_TRUE(test_end(&self->base));
}

FIXTURE_VARIANT_ADD(refused, without_the_op) {
	.rows = (const struct row[]) {
		{ EXCHANGE, "items/pending/both", "items/live/both",
		  .err = EPERM },
		{ EXCHANGE, "oneway/pending/both", "oneway/live/both",
		  .err = EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, two_names) {
	.rows = (const struct row[]) {
		{ EXCHANGE, "swaps/pending/p", "swaps/live/l", .err = EPERM },
		{ EXCHANGE, "swaps/pending/both", "swaps/live/l",
		  .err = EPERM },
		{ EXCHANGE, "treeswaps/pending/deep", "treeswaps/live/both",
		  .err = EPERM },
		{ EXCHANGE, "swaps/pending/p", "swaps/live/p", .err = ENOENT },
		{ EXCHANGE, "swaps/pending/l", "swaps/live/l", .err = ENOENT },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, one_state) {
	.rows = (const struct row[]) {
		{ EXCHANGE, "swaps/pending/p", "swaps/pending/q",
		  .err = EPERM },
		{ EXCHANGE, "swaps/live/l", "swaps/live/m", .err = EPERM },
		{ EXCHANGE, "treeswaps/pending/both/c",
		  "treeswaps/pending/both/d", .err = EPERM },
		{ EXCHANGE, "treeswaps/live/both/c", "treeswaps/live/both/d",
		  .err = EPERM },
		{ EXCHANGE, "treeswaps/live/both/c", "treeswaps/pending/both/c",
		  .err = EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, two_groups) {
	.rows = (const struct row[]) {
		{ EXCHANGE, "swaps/pending/both", "treeswaps/live/both",
		  .err = EPERM },
		{ EXCHANGE, "swaps/live/both", "treeswaps/pending/both",
		  .err = EPERM },
		{ EXCHANGE, "swaps/pending/both",
		  "nestswaps/live/outer/inner/live/both", .err = EPERM },
		{ EXCHANGE, "swaps/live/both",
		  "../configfs_test2/swaps/pending/both", .err = EPERM },
		{ EXCHANGE, "swaps/pending/both", "items/live/both",
		  .err = EPERM },
		{}
	},
};

/* With ->rename_item() or without: that is for other renames */
FIXTURE_VARIANT_ADD(refused, outside_of_committable_groups) {
	.rows = (const struct row[]) {
		{ EXCHANGE, "moves/a", "moves/b", .err = EPERM },
		{ EXCHANGE, "moves/a", "plain/a", .err = EPERM },
		{ EXCHANGE, "moves/a", "pendmoves/live/both", .err = EPERM },
		{ EXCHANGE, "moves/a", "pendmoves/pending/both", .err = EPERM },
		{ EXCHANGE, "swaps/pending/both", "plain/a", .err = EPERM },
		{ EXCHANGE, "swaps/live/both", "plain/a", .err = EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, what_is_no_item) {
	.rows = (const struct row[]) {
		{ EXCHANGE, "swaps/pending", "swaps/live", .err = EPERM },
		{ EXCHANGE, "swaps", "treeswaps", .err = EPERM },
		{ EXCHANGE, "../configfs_test", "../configfs_test2",
		  .err = EPERM },
		{ EXCHANGE, "treeswaps/pending/both/one",
		  "treeswaps/live/both/one", .err = EPERM },
		{ EXCHANGE, "swaps/pending/both/value", "swaps/live/both/value",
		  .err = EPERM },
		{ EXCHANGE, "swaps/pending/both/value", "swaps/live/both",
		  .err = EPERM },
		{ EXCHANGE, "swaps/pending/both/blob",
		  "swaps/pending/both/value", .err = EPERM },
		{ EXCHANGE, "plain/a/link", "swaps/live/both", .err = EPERM },
		{ EXCHANGE, "plain/a/link", "plain/a/to_live", .err = EPERM },
		/* with what it is in */
		{ EXCHANGE, "swaps/pending/both", "swaps/live", .err = EPERM },
		{ RENAME, "swaps/live/both", "swaps/live", RENAME_EXCHANGE,
		  EINVAL },
		{ RENAME, "swaps/live", "swaps/live/both", RENAME_EXCHANGE,
		  EINVAL },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, flags) {
	.rows = (const struct row[]) {
		{ RENAME, "swaps/pending/both", "swaps/live/both",
		  RENAME_EXCHANGE | RENAME_NOREPLACE, EINVAL },
		{ RENAME, "swaps/live/both", "swaps/pending/both",
		  RENAME_EXCHANGE | RENAME_NOREPLACE, EINVAL },
		{ RENAME, "swaps/pending/both", "swaps/live/both",
		  RENAME_EXCHANGE | RENAME_WHITEOUT, EINVAL },
		{ RENAME, "swaps/pending/both", "swaps/live/both",
		  RENAME_EXCHANGE | 1 << 3, EINVAL },
		{ RENAME, "swaps/pending/both", "swaps/live/both",
		  RENAME_EXCHANGE | 1U << 31, EINVAL },
		{ RENAME, "swaps/pending/both", "swaps/live/both",
		  RENAME_WHITEOUT, EINVAL },
		/* Without the flag it is as ever */
		{ RENAME, "swaps/pending/both", "swaps/live/both",
		  .err = EEXIST },
		{ RENAME, "swaps/live/both", "swaps/pending/both",
		  RENAME_NOREPLACE, EEXIST },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, target_of_a_link) {
	.rows = (const struct row[]) {
		{ EXCHANGE, "swaps/pending/live_target",
		  "swaps/live/live_target", .err = EBUSY },
		{ EXCHANGE, "swaps/pending/target", "swaps/live/target",
		  .err = EBUSY },
		{ EXCHANGE, "treeswaps/pending/live_deep",
		  "treeswaps/live/live_deep", .err = EBUSY },
		{ EXCHANGE, "treeswaps/pending/deep", "treeswaps/live/deep",
		  .err = EBUSY },
		/* what is wrong anyway is so first */
		{ EXCHANGE, "swaps/pending/target", "swaps/live/live_target",
		  .err = EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, below_a_live_item) {
	.rows = (const struct row[]) {
		{ EXCHANGE, "nestswaps/live/outer/inner/pending/both",
		  "nestswaps/live/outer/inner/live/both", .err = EBUSY },
		{}
	},
};

TEST_F_TIMEOUT(refused, and_nothing_changed, 120)
{
	ASSERT_TRUE(rows_refused(variant->rows, self->before, false));
}

/*
 * Exchanges, in groups of every kind
 */

FIXTURE(swap)
{
	struct baseline base;
	char dir[2][PATH_MAX];
	char item[2][PATH_MAX];
	struct task task[3];
};

/* Which of two: the place, and which item was there first */
enum {
	PENDING,
	LIVE,
};

FIXTURE_VARIANT(swap)
{
	const char *parent;	/* to be made first */
	const char *group;
	const char *name;
	const char *child;	/* to be made in each */
	const char *below;	/* attributes are there, in the item or below */
};

FIXTURE_VARIANT_ADD(swap, item) {
	.group = "swaps",
	.name = "foo",
	.below = "",
};

FIXTURE_VARIANT_ADD(swap, item_with_a_long_name) {
	.group = "swaps",
	.name = LONG_NAME,
	.below = "",
};

FIXTURE_VARIANT_ADD(swap, group_with_a_default_group) {
	.group = "treeswaps",
	.name = "foo",
	.below = "one/",
};

FIXTURE_VARIANT_ADD(swap, group_with_children) {
	.group = "treeswaps",
	.name = "foo",
	.child = "c/d/",
	.below = "c/d/one/",
};

FIXTURE_VARIANT_ADD(swap, group_with_a_committable_group) {
	.group = "nestswaps",
	.name = "foo",
	.child = "inner/pending/i/",
	.below = "inner/pending/i/",
};

FIXTURE_VARIANT_ADD(swap, item_of_an_inner_group) {
	.parent = "nestswaps/pending/outer/",
	.group = "nestswaps/pending/outer/inner",
	.name = "foo",
	.below = "",
};

/* Another op of the group makes no difference */
FIXTURE_VARIANT_ADD(swap, item_that_can_be_renamed) {
	.parent = "moves/a/",
	.group = "moves/a/inner",
	.name = "foo",
	.child = "sub/c/",
	.below = "sub/c/",
};

FIXTURE_VARIANT_ADD(swap, item_of_the_second_subsystem) {
	.group = "../configfs_test2/swaps",
	.name = "foo",
	.below = "",
};

/* Where @_attr below the item is that is in pending/ or live/ now */
#define BELOW(_where, _attr) ({						\
	static char __path[2 * PATH_MAX];				\
									\
	snprintf(__path, sizeof(__path), "%s/%s%s", self->item[_where],	\
		 variant->below, _attr);				\
	__path;								\
})

FIXTURE_SETUP(swap)
{
	char path[2 * PATH_MAX];

	test_begin(&self->base);
	ASSERT_EQ(0, variant->parent ? make_path(variant->parent) : 0);
	for (int i = 0; i < 2; i++) {
		snprintf(self->dir[i], sizeof(self->dir[i]), "%s/%s",
			 variant->group, i ? "live" : "pending");
		snprintf(self->item[i], sizeof(self->item[i]), "%s/%s/%s",
			 variant->group, i ? "live" : "pending", variant->name);
	}
	for (int i = LIVE; i >= PENDING; i--) {
		snprintf(path, sizeof(path), "%s/%s", self->item[PENDING],
			 variant->child ?: "");
		ASSERT_EQ(0, make_path(path));
		ASSERT_EQ(0, do_write(BELOW(PENDING, "value"),
				      i ? "first" : "second"));
		if (i)
			ASSERT_EQ(0, commit(variant->group, variant->name));
	}
	ASSERT_EQ(0, control("reset", "1"));
}

FIXTURE_TEARDOWN(swap)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(swap, both_orders_of_the_arguments)
{
	struct stat st[2], now[2];

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, stat(self->item[i], &st[i]));
	ASSERT_NE(st[PENDING].st_ino, st[LIVE].st_ino);
	ASSERT_STREQ("first", value_of(BELOW(LIVE, "value")));

	for (int i = 1; i <= 4; i++) {
		const char *live = i % 2 ? "second" : "first";
		const char *pending = i % 2 ? "first" : "second";

		/* The second one undoes what the first one has done */
		ASSERT_EQ(0, exchange(variant->group, variant->name, i > 2));
		ASSERT_EQ(i, counter("exchange"));
		for (int j = 0; j < 2; j++) {
			ASSERT_EQ(1, listed(self->item[j]));
			ASSERT_EQ(0, stat(self->item[j], &now[j]));
			ASSERT_EQ(st[i % 2 ? !j : j].st_ino, now[j].st_ino);
			ASSERT_EQ(st[i % 2 ? !j : j].st_nlink, now[j].st_nlink);
			ASSERT_EQ(0, linked(self->dir[j], variant->name));
		}
		ASSERT_STREQ(live, value_of(BELOW(LIVE, "value")));
		ASSERT_STREQ(pending, value_of(BELOW(PENDING, "value")));

		/* Each is now what the other was */
		ASSERT_EQ(EBUSY, do_write(BELOW(LIVE, "value"), "x"));
		ASSERT_EQ(EBUSY, do_write(BELOW(LIVE, "blob"), "x"));
		ASSERT_EQ(EBUSY, do_rmdir(self->item[LIVE]));
		ASSERT_EQ(0, do_write(BELOW(PENDING, "value"), pending));
		ASSERT_EQ(0, do_write(BELOW(PENDING, "blob"), pending));
	}
	ASSERT_EQ(0, counter("commit"));
	ASSERT_EQ(0, counter("uncommit"));
	ASSERT_EQ(0, counter("drop"));

	/* and goes on from there as anything in that place does */
	ASSERT_EQ(0, exchange(variant->group, variant->name, true));
	purge();
	ASSERT_FALSE(exists(self->item[PENDING]));
	ASSERT_FALSE(exists(self->item[LIVE]));
}

TEST_F(swap, then_each_can_be_removed)
{
	char child[2 * PATH_MAX];

	ASSERT_EQ(0, exchange(variant->group, variant->name, true));
	if (!variant->child) {
		ASSERT_EQ(0, do_rmdir(self->item[PENDING]));
	} else {
		ASSERT_EQ(ENOTEMPTY, do_rmdir(self->item[PENDING]));
		snprintf(child, sizeof(child), "%s/%s", self->item[PENDING],
			 variant->child);
		ASSERT_EQ(0, do_rmdir(child));
		return;
	}
	ASSERT_EQ(ENOENT, exchange(variant->group, variant->name, true));
	ASSERT_EQ(0, uncommit(variant->group, variant->name));
	ASSERT_STREQ("second", value_of(BELOW(PENDING, "value")));
	ASSERT_EQ(0, do_rmdir(self->item[PENDING]));
	ASSERT_EQ(2, counter("drop"));
	ASSERT_EQ(2, counter("disconnect"));
}

TEST_F_TIMEOUT(swap, driver_refuses, 120)
{
	static const int errors[] = {
		EINVAL, ENODEV, EIO, EDQUOT, EBUSY, ENOMEM, EAGAIN, EXDEV
	};
	char *before;

	usleep(20000);
	before = snapshot(0);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		ASSERT_EQ(0, knob("exchange", errors[i], 0, false));
		ASSERT_EQ(errors[i], exchange(variant->group, variant->name,
					      i % 2));
		ASSERT_EQ(i + 1, counter("exchange"));
	}
	ASSERT_TRUE(unchanged(before, 0));
	ASSERT_EQ(EBUSY, do_write(BELOW(LIVE, "value"), "x"));
	ASSERT_EQ(0, do_write(BELOW(PENDING, "value"), "changed"));
	ASSERT_EQ(0, knob("exchange", 0, 0, false));
	ASSERT_EQ(0, exchange(variant->group, variant->name, true));
	ASSERT_STREQ("changed", value_of(BELOW(LIVE, "value")));
	ASSERT_EQ(EBUSY, do_write(BELOW(LIVE, "value"), "x"));
}

/* Which file was open does not matter, but where its item is now. */
TEST_F(swap, open_files_follow)
{
	static const char * const content[2] = { "second\n", "first\n" };
	int fd[2], dir[2];
	struct stat st, fst;
	char buf[64];

	for (int i = 0; i < 2; i++) {
		fd[i] = open(BELOW(i, "value"), O_RDWR);
		ASSERT_LE(0, fd[i]);
		dir[i] = open(self->item[i], O_RDONLY | O_DIRECTORY);
		ASSERT_LE(0, dir[i]);
	}
	for (int round = 1; round <= 2; round++) {
		ASSERT_EQ(0, exchange(variant->group, variant->name, true));
		for (int i = 0; i < 2; i++) {
			int now = round % 2 ? !i : i;
			int len = strlen(content[i]);

			ASSERT_EQ(len, pread(fd[i], buf, sizeof(buf), 0));
			ASSERT_EQ(0, memcmp(content[i], buf, len));
			ASSERT_EQ(0, fstat(fd[i], &fst));
			ASSERT_EQ(0, stat(BELOW(now, "value"), &st));
			ASSERT_EQ(st.st_ino, fst.st_ino);
			ASSERT_EQ(0, fstat(dir[i], &fst));
			ASSERT_EQ(0, stat(self->item[now], &st));
			ASSERT_EQ(st.st_ino, fst.st_ino);
			ASSERT_EQ(now == LIVE ? EBUSY : 0,
				  do_write_fd(fd[i], i ? "first" : "second"));
		}
	}
}

/* Binary data that is flushed after the exchange: as the item is then */
TEST_F(swap, binary_files_follow)
{
	int fd[2];

	for (int i = 0; i < 2; i++) {
		fd[i] = open(BELOW(i, "blob"), O_WRONLY);
		ASSERT_LE(0, fd[i]);
	}
	ASSERT_EQ(0, do_write_fd(fd[PENDING], "late"));
	ASSERT_EQ(0, exchange(variant->group, variant->name, false));
	ASSERT_EQ(0, do_write_fd(fd[LIVE], "thawed"));
	ASSERT_EQ(0, close(fd[LIVE]));
	ASSERT_EQ(-1, close(fd[PENDING]));
	ASSERT_EQ(EBUSY, errno);
	ASSERT_EQ(1, counter("bin_write"));
	ASSERT_STREQ("thawed", value_of(BELOW(PENDING, "blob")));
	ASSERT_STREQ("", value_of(BELOW(LIVE, "blob")));
}

TEST_F(swap, working_directory_follows)
{
	char cwd[PATH_MAX], want[3 * PATH_MAX];
	char pending[PATH_MAX], live[PATH_MAX];
	struct stat st, here;

	ASSERT_EQ(0, chdir(variant->group));
	ASSERT_NE(NULL, getcwd(want, PATH_MAX));
	strcat(want, "/pending/");
	strcat(want, variant->name);
	ASSERT_EQ(0, chdir("live"));
	ASSERT_EQ(0, chdir(variant->name));
	ASSERT_EQ(0, stat(".", &st));

	snprintf(pending, sizeof(pending), "../../pending/%s", variant->name);
	snprintf(live, sizeof(live), "../../live/%s", variant->name);
	ASSERT_EQ(0, do_rename_flags(pending, live, RENAME_EXCHANGE));

	ASSERT_EQ(0, stat(".", &here));
	ASSERT_EQ(st.st_ino, here.st_ino);
	ASSERT_NE(NULL, getcwd(cwd, sizeof(cwd)));
	ASSERT_STREQ(want, cwd);
	snprintf(cwd, sizeof(cwd), "%svalue", variant->below);
	ASSERT_STREQ("first", value_of(cwd));
	ASSERT_EQ(0, do_write(cwd, "thawed"));
	ASSERT_EQ(0, stat("..", &st));
	ASSERT_EQ(0, stat("../../pending", &here));
	ASSERT_EQ(st.st_ino, here.st_ino);

	ASSERT_EQ(0, do_rename_flags(pending, live, RENAME_EXCHANGE));
	ASSERT_STREQ("thawed", value_of(cwd));
	ASSERT_EQ(EBUSY, do_write(cwd, "changed"));
}

TEST_F(swap, modes_and_owners_follow)
{
	struct stat st;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, chmod(self->item[i], 0710 + i));
		ASSERT_EQ(0, chown(self->item[i], 10 + i, 20 + i));
		ASSERT_EQ(0, chmod(BELOW(i, "value"), 0600 + i));
		ASSERT_EQ(0, chown(BELOW(i, "value"), 30 + i, 40 + i));
	}
	ASSERT_EQ(0, exchange(variant->group, variant->name, true));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, stat(self->item[!i], &st));
		EXPECT_EQ(S_IFDIR | (0710 + i), st.st_mode);
		EXPECT_EQ(10 + i, st.st_uid);
		EXPECT_EQ(20 + i, st.st_gid);
		ASSERT_EQ(0, stat(BELOW(!i, "value"), &st));
		EXPECT_EQ(S_IFREG | (0600 + i), st.st_mode);
		EXPECT_EQ(30 + i, st.st_uid);
		EXPECT_EQ(40 + i, st.st_gid);
	}
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

TEST_F(swap, times_and_link_counts)
{
	const struct timespec past[2] = { { .tv_sec = 1000 },
					  { .tv_sec = 1000 } };
	struct stat dir[2], item[2], now;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, utimensat(AT_FDCWD, self->item[i], past, 0));
		ASSERT_EQ(0, stat(self->item[i], &item[i]));
		ASSERT_EQ(0, utimensat(AT_FDCWD, self->dir[i], past, 0));
		ASSERT_EQ(0, stat(self->dir[i], &dir[i]));
		ASSERT_EQ(1000, dir[i].st_mtim.tv_sec);
	}
	usleep(20000);
	ASSERT_EQ(0, exchange(variant->group, variant->name, true));
	for (int i = 0; i < 2; i++) {
		/* mtime and ctime are those of the rename */
		ASSERT_EQ(0, stat(self->dir[i], &now));
		EXPECT_EQ(dir[i].st_nlink, now.st_nlink);
		EXPECT_FALSE(same_time(dir[i].st_ctim, now.st_ctim));
		EXPECT_TRUE(same_time(now.st_mtim, now.st_ctim));

		ASSERT_EQ(0, stat(self->item[!i], &now));
		EXPECT_EQ(item[i].st_ino, now.st_ino);
		EXPECT_EQ(item[i].st_nlink, now.st_nlink);
		EXPECT_EQ(1000, now.st_mtim.tv_sec);
		EXPECT_FALSE(same_time(item[i].st_ctim, now.st_ctim));
	}
}

/* Two moves, that of the first argument first, as on any file system */
TEST_F(swap, inotify_sees_two_moves)
{
	const char *name = variant->name;
	struct watch watch;
	int dir[2], item[2];

	ASSERT_TRUE(watch_start(&watch));
	for (int i = 0; i < 2; i++) {
		dir[i] = watch_add(&watch, self->dir[i]);
		ASSERT_LE(0, dir[i]);
		item[i] = watch_add(&watch, self->item[i]);
		ASSERT_LE(0, item[i]);
	}
	for (int first = PENDING; first <= LIVE; first++) {
		/* What is refused is not seen */
		ASSERT_EQ(0, knob("exchange", EIO, 0, false));
		ASSERT_EQ(EIO, exchange(variant->group, name, first));
		ASSERT_TRUE(watch_sees_nothing(&watch));
		ASSERT_EQ(0, knob("exchange", 0, 0, false));

		ASSERT_EQ(0, exchange(variant->group, name, first));
		/* The second time it is the same one that is the first */
		ASSERT_TRUE(watch_sees_move(&watch, dir[first], name,
					    dir[!first], name, item[PENDING]));
		ASSERT_TRUE(watch_sees_move(&watch, dir[!first], name,
					    dir[first], name, item[LIVE]));
		ASSERT_TRUE(watch_sees_nothing(&watch));
	}
}

struct exchange_args {
	const char *group;
	const char *name;
};

static int exchange_in_child(void *arg)
{
	struct exchange_args *args = arg;

	return exchange(args->group, args->name, true);
}

TEST_F(swap, unprivileged_callers_need_the_directories)
{
	struct exchange_args args = { variant->group, variant->name };
	const char *need[4] = {
		self->dir[0], self->dir[1], self->item[0], self->item[1]
	};

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(EACCES, as_user(NOBODY, exchange_in_child, &args));
		ASSERT_EQ(0, chown(need[i], NOBODY, NOBODY));
	}
	ASSERT_EQ(0, counter("exchange"));
	ASSERT_EQ(0, as_user(NOBODY, exchange_in_child, &args));
	ASSERT_EQ(0, as_user(NOBODY, exchange_in_child, &args));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, chown(self->dir[i], 0, 0));
}

/* One entry more, of an open directory, to @names; false at the end */
static bool next_entry(int fd, char *names, uint64_t *ino, const char *name)
{
	uint64_t buf[64];
	struct dirent64 *d = (void *)buf;
	/* For a name of four characters, and for a long one */
	ssize_t len = syscall(__NR_getdents64, fd, buf, 24);

	if (len == -1 && errno == EINVAL)
		len = syscall(__NR_getdents64, fd, buf, 64);
	if (len <= 0)
		return false;
	if (len != d->d_reclen)
		strcat(names, "MORE ");
	strcat(names, d->d_name);
	strcat(names, " ");
	if (!strcmp(d->d_name, name))
		*ino = d->d_ino;
	return true;
}

/* Whoever is listing sees the name, once, wherever in the list he is. */
TEST_F(swap, in_the_middle_of_a_listing)
{
	static const char * const others[] = { "a", "b" };
	char path[2 * PATH_MAX], want[2][256], names[2][256];
	uint64_t ino[2];
	struct stat st[2];
	int fd[2];

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		snprintf(path, sizeof(path), "%s/%s", self->dir[PENDING],
			 others[i]);
		ASSERT_EQ(0, do_mkdir(path));
	}
	ASSERT_EQ(0, commit(variant->group, "a"));
	ASSERT_EQ(0, do_mkdir(strcat(strcpy(path, self->dir[PENDING]), "/c")));
	ASSERT_EQ(0, exchange(variant->group, variant->name, true));
	for (int i = 0; i < 2; i++) {
		fd[i] = open(self->dir[i], O_RDONLY | O_DIRECTORY);
		ASSERT_LE(0, fd[i]);
		want[i][0] = 0;
		while (next_entry(fd[i], want[i], &ino[i], variant->name))
			;
		ASSERT_EQ(0, close(fd[i]));
	}

	/* Either directory is read up to somewhere, then both change */
	for (int n = 0; n < 7; n++) {
		for (int i = 0; i < 2; i++) {
			fd[i] = open(self->dir[i], O_RDONLY | O_DIRECTORY);
			ASSERT_LE(0, fd[i]);
			names[i][0] = 0;
			ino[i] = 0;
			ASSERT_EQ(0, stat(self->item[i], &st[i]));
			for (int j = 0; j < n; j++)
				next_entry(fd[i], names[i], &ino[i],
					   variant->name);
		}
		ASSERT_EQ(0, exchange(variant->group, variant->name, n % 2));
		for (int i = 0; i < 2; i++) {
			uint64_t seen = ino[i];

			while (next_entry(fd[i], names[i], &ino[i],
					  variant->name))
				;
			/* Each in the very place of the other */
			ASSERT_STREQ(want[i], names[i]) {
				TH_LOG("after %d entries", n);
			}
			ASSERT_EQ(seen ? st[i].st_ino : st[!i].st_ino, ino[i]);
			ASSERT_EQ(0, close(fd[i]));
		}
	}
}

/*
 * Who waits for whom
 */

static int pending_first(const char *group, const char *name)
{
	return exchange(group, name, false);
}

/* Both orders, since either item can be the second one of renameat2(2) */
static int (* const orders[])(const char *group, const char *name) = {
	pending_first,
	task_exchange,
};

TEST_F(swap, waits_for_a_store_in_the_pending_one)
{
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, hold("store"));
		ASSERT_TRUE(task_start(&self->task[0], do_write,
				       BELOW(PENDING, "value"), "early"));
		ASSERT_TRUE(wait_counter("store", 1));
		ASSERT_TRUE(task_start(&self->task[1], orders[i],
				       variant->group, variant->name));
		ASSERT_TRUE(task_waits(&self->task[1]));
		ASSERT_EQ(0, counter("exchange"));
		ASSERT_EQ(0, release("store"));
		ASSERT_EQ(0, task_join(&self->task[0]));
		ASSERT_EQ(0, task_join(&self->task[1]));
		ASSERT_TRUE(happened_before("-store", "+exchange"));
		ASSERT_STREQ("early", value_of(BELOW(LIVE, "value")));
	}
}

TEST_F_TIMEOUT(swap, waits_for_callbacks_in_the_live_one, 120)
{
	static const struct {
		const char *callback;
		const char *event;
		const char *attr;
		int (*fn)(const char *a, const char *b);
	} uses[] = {
		{ "show", "-show", "value", task_read },
		{ "bin_read", "-bin_read", "tune_blob", task_read },
		{ "live_store", "-live_store", "tune", do_write },
	};
	size_t n = ARRAY_SIZE(uses);

	ASSERT_EQ(0, do_write(BELOW(LIVE, "tune"), "x"));
	ASSERT_EQ(0, do_write(BELOW(PENDING, "tune"), "x"));
	for (size_t i = 0; i < n * ARRAY_SIZE(orders); i++) {
		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, hold(uses[i % n].callback));
		ASSERT_TRUE(task_start(&self->task[0], uses[i % n].fn,
				       BELOW(LIVE, uses[i % n].attr), "y"));
		ASSERT_TRUE(wait_counter(uses[i % n].callback, 1));
		ASSERT_TRUE(task_start(&self->task[1], orders[i / n],
				       variant->group, variant->name));
		ASSERT_TRUE(task_waits(&self->task[1]));
		ASSERT_EQ(0, counter("exchange"));
		ASSERT_EQ(0, release(uses[i % n].callback));
		ASSERT_EQ(0, task_join(&self->task[0]));
		ASSERT_EQ(0, task_join(&self->task[1]));
		ASSERT_TRUE(happened_before(uses[i % n].event, "+exchange"));
	}
}

/* Through files that were opened before: which item it is has been decided. */
TEST_F(swap, holds_off_stores_in_both)
{
	char number[2][16];
	int fd[2];

	for (int i = 0; i < 2; i++) {
		fd[i] = open(BELOW(i, "value"), O_WRONLY);
		ASSERT_LE(0, fd[i]);
		snprintf(number[i], sizeof(number[i]), "%d", fd[i]);
	}
	ASSERT_EQ(0, hold("exchange"));
	ASSERT_TRUE(task_start(&self->task[2], task_exchange, variant->group,
			       variant->name));
	ASSERT_TRUE(wait_counter("exchange", 1));
	for (int i = 0; i < 2; i++) {
		ASSERT_TRUE(task_start(&self->task[i], task_write_fd, number[i],
				       "late"));
		ASSERT_TRUE(task_waits(&self->task[i]));
	}
	ASSERT_EQ(0, counter("store"));
	ASSERT_EQ(0, release("exchange"));
	ASSERT_EQ(0, task_join(&self->task[2]));
	ASSERT_EQ(EBUSY, task_join(&self->task[PENDING]));
	ASSERT_EQ(0, task_join(&self->task[LIVE]));
	ASSERT_EQ(1, counter("store"));
	ASSERT_TRUE(happened_before("-exchange", "+store"));
	ASSERT_STREQ("late", value_of(BELOW(PENDING, "value")));
	ASSERT_STREQ("second", value_of(BELOW(LIVE, "value")));
}

TEST_F(swap, refused_after_a_while_lets_stores_through)
{
	ASSERT_EQ(0, knob("exchange", EIO, 0, true));
	ASSERT_TRUE(task_start(&self->task[2], task_exchange, variant->group,
			       variant->name));
	ASSERT_TRUE(wait_counter("exchange", 1));
	for (int i = 0; i < 2; i++) {
		ASSERT_TRUE(task_start(&self->task[i], do_write,
				       BELOW(i, "value"), "late"));
		ASSERT_TRUE(task_waits(&self->task[i]));
	}
	ASSERT_EQ(0, knob("exchange", EIO, 0, false));
	ASSERT_EQ(EIO, task_join(&self->task[2]));
	ASSERT_EQ(0, task_join(&self->task[PENDING]));
	ASSERT_EQ(EBUSY, task_join(&self->task[LIVE]));
	ASSERT_EQ(1, counter("store"));
	ASSERT_STREQ("late", value_of(BELOW(PENDING, "value")));
	ASSERT_STREQ("first", value_of(BELOW(LIVE, "value")));
}

TEST_F_TIMEOUT(swap, killed_while_waiting, 120)
{
	static const struct {
		const char *callback;
		const char *attr;
		int where;
	} uses[] = {
		{ "store", "value", PENDING },
		{ "live_store", "tune", LIVE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, hold(uses[i].callback));
		ASSERT_TRUE(task_start(&self->task[0], do_write,
				       BELOW(uses[i].where, uses[i].attr),
				       "slow"));
		ASSERT_TRUE(wait_counter(uses[i].callback, 1));
		ASSERT_TRUE(killed_while_waiting(task_exchange, variant->group,
						 variant->name));
		ASSERT_FALSE(self->task[0].done);

		/* Nobody waits behind the dead */
		ASSERT_STREQ("first", value_of(BELOW(LIVE, "value")));
		ASSERT_STREQ("second", value_of(BELOW(PENDING, "value")));
		ASSERT_EQ(0, release(uses[i].callback));
		ASSERT_EQ(0, task_join(&self->task[0]));
		ASSERT_EQ(0, do_write(BELOW(PENDING, "value"), "second"));
	}
	ASSERT_EQ(0, exchange(variant->group, variant->name, true));
}

/* Neighbours have nothing to do with it. */
TEST_F_TIMEOUT(swap, of_others_is_not_waited_for, 120)
{
	char other[2 * PATH_MAX];

	snprintf(other, sizeof(other), "%s/other", self->dir[PENDING]);
	ASSERT_EQ(0, do_mkdir(other));
	strcat(other, "/value");
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&self->task[0], do_write, other, "slow"));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_EQ(0, exchange(variant->group, variant->name, true));
	ASSERT_EQ(0, exchange(variant->group, variant->name, false));
	ASSERT_TRUE(task_waits(&self->task[0]));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&self->task[0]));
}

/* To the module, one of them is as good as the other: both, one by one. */
TEST_F(swap, dependents_are_in_the_way)
{
	char target[2 * PATH_MAX];

	if (variant->group[0] == '.')
		return;
	snprintf(target, sizeof(target), "configfs_test/%s/%s", variant->group,
		 variant->name);
	/* The module's path is without pending/ and live/ */
	if (strstr(target, "pending/"))
		memmove(strstr(target, "pending/"),
			strstr(target, "pending/") + strlen("pending/"),
			strlen(strstr(target, "pending/") +
			       strlen("pending/")) + 1);
	for (int i = 0; i < 2; i++) {
		/* The one that was made first, in either place */
		ASSERT_EQ(0, control("depend", target));
		ASSERT_EQ(EBUSY, exchange(variant->group, variant->name, true));
		ASSERT_EQ(EBUSY,
			  exchange(variant->group, variant->name, false));
		ASSERT_EQ(i, counter("exchange"));
		ASSERT_EQ(0, control("undepend", target));
		ASSERT_EQ(0, exchange(variant->group, variant->name, true));
	}
}

TEST_F(swap, dependent_that_comes_during_it)
{
	char target[2 * PATH_MAX];

	if (variant->group[0] == '.' || variant->parent)
		return;
	snprintf(target, sizeof(target), "configfs_test/%s/%s", variant->group,
		 variant->name);
	ASSERT_EQ(0, knob("exchange", EIO, 0, true));
	ASSERT_TRUE(task_start(&self->task[0], task_exchange, variant->group,
			       variant->name));
	ASSERT_TRUE(wait_counter("exchange", 1));
	/* At once: the exchange is still held */
	ASSERT_EQ(EBUSY, control("depend", target));
	ASSERT_FALSE(self->task[0].done);
	ASSERT_EQ(0, knob("exchange", EIO, 0, false));
	ASSERT_EQ(EIO, task_join(&self->task[0]));
	ASSERT_EQ(0, control("depend", target));
	ASSERT_EQ(0, control("undepend", target));
}

TEST_F(swap, links_to_either_are_in_the_way)
{
	ASSERT_EQ(0, do_mkdir("plain/a"));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, do_symlink(BELOW(i, ""), "plain/a/link"));
		ASSERT_EQ(EBUSY, exchange(variant->group, variant->name, true));
		ASSERT_EQ(EBUSY,
			  exchange(variant->group, variant->name, false));
		ASSERT_EQ(0, counter("exchange"));
		ASSERT_STREQ(i ? "first" : "second",
			     value_of("plain/a/link/value"));
		ASSERT_EQ(0, do_unlink("plain/a/link"));
	}
	ASSERT_EQ(0, exchange(variant->group, variant->name, true));
}

/* pending/ and live/ are at the same depth: what is linked to stays so. */
TEST_F(swap, links_from_either_follow)
{
	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, do_write("plain/a/value", "target"));
	ASSERT_EQ(0, do_mkdir("plain/b"));
	ASSERT_EQ(0, do_write("plain/b/value", "other"));
	ASSERT_EQ(0, do_symlink("plain/a", BELOW(PENDING, "link")));
	ASSERT_EQ(0, exchange(variant->group, variant->name, true));
	ASSERT_EQ(0, do_symlink("plain/b", BELOW(PENDING, "link")));

	for (int i = 0; i < 2; i++) {
		ASSERT_STREQ(i ? "other" : "target",
			     value_of(BELOW(LIVE, "link/value")));
		ASSERT_STREQ(i ? "target" : "other",
			     value_of(BELOW(PENDING, "link/value")));
		ASSERT_EQ(EBUSY, do_unlink(BELOW(LIVE, "link")));
		ASSERT_EQ(0, exchange(variant->group, variant->name, false));
	}
	ASSERT_EQ(0, do_unlink(BELOW(PENDING, "link")));
	ASSERT_EQ(0, exchange(variant->group, variant->name, false));
	ASSERT_EQ(0, do_unlink(BELOW(PENDING, "link")));
	ASSERT_EQ(0, do_rmdir("plain/a"));
	ASSERT_EQ(0, do_rmdir("plain/b"));
}

/*
 * Changes below one of the two
 */

FIXTURE(change)
{
	struct baseline base;
	struct task change;
	struct task swap;
};

/**
 * @direct:	it is one of the item's own directory, which rename(2) locks, so
 *		that an exchange waits. Otherwise it fails
 */
FIXTURE_VARIANT(change)
{
	const char *callback;
	int (*fn)(const char *a, const char *b);
	const char *a;
	const char *b;
	bool direct;
};

FIXTURE_VARIANT_ADD(change, mkdir_in_the_item) {
	.callback = "make",
	.fn = task_mkdir,
	.a = "treeswaps/pending/foo/new",
	.direct = true,
};

FIXTURE_VARIANT_ADD(change, mkdir_deep_below) {
	.callback = "make",
	.fn = task_mkdir,
	.a = "treeswaps/pending/foo/c/new",
};

FIXTURE_VARIANT_ADD(change, rmdir_deep_below) {
	.callback = "drop",
	.fn = task_rmdir,
	.a = "treeswaps/pending/foo/c/d",
};

FIXTURE_VARIANT_ADD(change, symlink_deep_below) {
	.callback = "allow_link",
	.fn = do_symlink,
	.a = "plain/a",
	.b = "treeswaps/pending/foo/c/new",
};

FIXTURE_VARIANT_ADD(change, unlink_deep_below) {
	.callback = "drop_link",
	.fn = task_unlink,
	.a = "treeswaps/pending/foo/c/link",
};

FIXTURE_SETUP(change)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("plain/a"));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, make_path("treeswaps/pending/foo/c/d/"));
		ASSERT_EQ(0, do_symlink("plain/a",
					"treeswaps/pending/foo/c/link"));
		if (!i)
			ASSERT_EQ(0, commit("treeswaps", "foo"));
	}
	ASSERT_EQ(0, control("reset", "1"));
}

FIXTURE_TEARDOWN(change)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(change, in_progress_when_an_exchange_comes)
{
	ASSERT_EQ(0, hold(variant->callback));
	ASSERT_TRUE(task_start(&self->change, variant->fn, variant->a,
			       variant->b));
	ASSERT_TRUE(wait_counter(variant->callback, 1));
	if (variant->direct) {
		ASSERT_TRUE(task_start(&self->swap, task_exchange, "treeswaps",
				       "foo"));
		ASSERT_TRUE(task_waits(&self->swap));
		ASSERT_EQ(0, counter("exchange"));
		ASSERT_EQ(0, release(variant->callback));
		ASSERT_EQ(0, task_join(&self->change));
		ASSERT_EQ(0, task_join(&self->swap));
		return;
	}
	ASSERT_EQ(EBUSY, exchange("treeswaps", "foo", true));
	ASSERT_EQ(EBUSY, exchange("treeswaps", "foo", false));
	ASSERT_EQ(0, counter("exchange"));
	ASSERT_FALSE(self->change.done);
	ASSERT_EQ(0, release(variant->callback));
	ASSERT_EQ(0, task_join(&self->change));
	ASSERT_EQ(0, exchange("treeswaps", "foo", true));
}

/* Who has found the way to what is frozen then is refused. */
TEST_F(change, that_comes_during_an_exchange)
{
	ASSERT_EQ(0, hold("exchange"));
	ASSERT_TRUE(task_start(&self->swap, task_exchange, "treeswaps", "foo"));
	ASSERT_TRUE(wait_counter("exchange", 1));
	ASSERT_TRUE(task_start(&self->change, variant->fn, variant->a,
			       variant->b));
	ASSERT_TRUE(task_waits(&self->change));
	ASSERT_EQ(0, counter(variant->callback));
	ASSERT_EQ(0, release("exchange"));
	ASSERT_EQ(0, task_join(&self->swap));
	ASSERT_EQ(EBUSY, task_join(&self->change));
	ASSERT_EQ(0, counter(variant->callback));
}

/* An exchange inside is a change of the outer item. */
TEST(exchange_in_progress_when_the_outer_one_comes)
{
	struct task inner, outer;
	struct baseline base;

	test_begin(&base);
	ASSERT_EQ(0, make_path("nestswaps/pending/o/"));
	ASSERT_EQ(0, commit("nestswaps", "o"));
	ASSERT_EQ(0, make_path("nestswaps/pending/o/inner/pending/foo/"));
	ASSERT_EQ(0, commit("nestswaps/pending/o/inner", "foo"));
	ASSERT_EQ(0, make_path("nestswaps/pending/o/inner/pending/foo/"));
	ASSERT_EQ(0, hold("exchange"));
	ASSERT_TRUE(task_start(&inner, task_exchange,
			       "nestswaps/pending/o/inner", "foo"));
	ASSERT_TRUE(wait_counter("exchange", 1));
	/* Both are renames across directories: the VFS does one at a time */
	ASSERT_TRUE(task_start(&outer, task_exchange, "nestswaps", "o"));
	ASSERT_TRUE(task_waits(&outer));
	ASSERT_EQ(1, counter("exchange"));
	ASSERT_EQ(0, release("exchange"));
	ASSERT_EQ(0, task_join(&inner));
	ASSERT_EQ(0, task_join(&outer));
	ASSERT_EQ(2, counter("exchange"));
	ASSERT_EQ(EBUSY, exchange("nestswaps/live/o/inner", "foo", true));
	ASSERT_EQ(0, exchange("nestswaps", "o", false));
	ASSERT_EQ(0, exchange("nestswaps/pending/o/inner", "foo", true));
	EXPECT_TRUE(test_end(&base));
}

int main(int argc, char **argv)
{
	test_load();
	return test_harness_run(argc, argv);
}
