// SPDX-License-Identifier: GPL-2.0
/*
 * ->rename_item(): items get other names, are moved between groups that have the
 * same op, or both at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

#define NOBODY	65534

/* 19, 20 and 21 characters: the first is the longest that fits into an item */
#define NAME_19		"nineteen_characters"
#define NAME_20		"twenty_characters__x"
#define NAME_21		"twenty-one_characters"
/* What the test module accepts at most, and one more */
#define NAME_63		"sixty-three_characters_are_all_that_the_driver_has_memory_for_x"
#define NAME_64		NAME_63 "y"

/*
 * Refusals
 */

static const struct row stage[] = {
	{ MKDIR, "plain/a" },
	{ MKDIR, "pools/g" },
	{ MKDIR, "makers/pending/p" },
	{ MKDIR, "items/pending/p" },

	{ MKDIR, "moves/a" },
	{ MKDIR, "moves/a/x" },
	{ MKDIR, "moves/a/x/y" },
	{ MKDIR, "moves/b" },
	{ MKDIR, "itemmoves/i" },
	{ MKDIR, "itemmoves/j" },
	{ MKDIR, "othermoves/a" },
	{ MKDIR, "../configfs_test2/moves/a" },

	{ MKDIR, "pendmoves/pending/p" },
	{ MKDIR, "pendmoves/pending/q" },
	{ MKDIR, "pendmoves/pending/l" },
	{ MKDIR, "pendmoves/pending/l/c" },
	{ MKDIR, "pendmoves/pending/l/c/inner/pending/p" },
	{ MKDIR, "pendmoves/pending/l/c/inner/pending/l" },
	{ COMMIT, "pendmoves/pending/l/c/inner", "l" },
	{ COMMIT, "pendmoves", "l" },

	/* In use: by a link, from elsewhere or from inside, and a dependent */
	{ MKDIR, "moves/target" },
	{ SYMLINK, "plain/a/link", "moves/target" },
	{ MKDIR, "moves/deep" },
	{ MKDIR, "moves/deep/c" },
	{ SYMLINK, "plain/a/to_deep", "moves/deep/c/sub" },
	{ MKDIR, "moves/self" },
	{ MKDIR, "moves/self/c" },
	{ SYMLINK, "moves/self/c/up", "moves/self" },
	{ MKDIR, "moves/needed" },
	{ MKDIR, "moves/needed/c" },
	{ DEPEND, "configfs_test/moves/needed/c" },
	{ MKDIR, "pendmoves/pending/target" },
	{ SYMLINK, "plain/a/to_pending", "pendmoves/pending/target" },
	/* A link in an item */
	{ MKDIR, "moves/linked" },
	{ MKDIR, "moves/linked/c" },
	{ SYMLINK, "moves/linked/c/link", "plain/a" },
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

FIXTURE_VARIANT_ADD(refused, to_an_existing_name) {
	.rows = (const struct row[]) {
		{ RENAME, "moves/a", "moves/b", .err = EEXIST },
		{ RENAME, "moves/a", "moves/b", RENAME_NOREPLACE, EEXIST },
		{ RENAME, "moves/a", "moves/a", RENAME_NOREPLACE, EEXIST },
		{ RENAME, "itemmoves/i", "itemmoves/j", .err = EEXIST },
		{ RENAME, "pendmoves/pending/p", "pendmoves/pending/q",
		  .err = EEXIST },
		{ RENAME, "pendmoves/pending/p", "pendmoves/live/l",
		  .err = EEXIST },
		{ RENAME, "pendmoves/pending/p", "moves/a",
		  RENAME_NOREPLACE, EEXIST },
		{ RENAME, "moves/a", "pendmoves/pending/p", .err = EEXIST },
		/* default groups and attributes have names as well */
		{ RENAME, "moves/b", "moves/a/sub", .err = EEXIST },
		{ RENAME, "moves/b", "moves/a/inner", RENAME_NOREPLACE,
		  EEXIST },
		{ RENAME, "moves/b", "moves/a/value", RENAME_NOREPLACE,
		  EEXIST },
		{ RENAME, "moves/b", "moves/a/value", .err = ENOTDIR },
		/* in front of being live, or in use, or of the wrong kind */
		{ RENAME, "pendmoves/live/l", "pendmoves/pending/p",
		  .err = EEXIST },
		{ RENAME, "moves/target", "moves/a", .err = EEXIST },
		{ RENAME, "moves/a", "plain/a", .err = EEXIST },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, by_the_vfs_itself) {
	.rows = (const struct row[]) {
		/* a group below itself */
		{ RENAME, "moves/a", "moves/a/z", .err = EINVAL },
		{ RENAME, "moves/a", "moves/a/x/z", .err = EINVAL },
		{ RENAME, "moves/a", "moves/a/sub/z", .err = EINVAL },
		{ RENAME, "moves/a", "moves/a/x/inner/pending/z",
		  .err = EINVAL },
		{ RENAME, "pendmoves/pending/p",
		  "pendmoves/pending/p/inner/pending/p", .err = EINVAL },
		/* onto what it is in */
		{ RENAME, "moves/a/x", "moves/a", .err = ENOTEMPTY },
		{ RENAME, "moves/a/x/y", "moves/a", .err = ENOTEMPTY },
		{ RENAME, "moves/none", "moves/z", .err = ENOENT },
		{ RENAME, "moves/a", "moves/none/z", .err = ENOENT },
		{ RENAME, "moves/a", "moves/a/value/z", .err = ENOTDIR },
		{ RENAME, "moves/a", "/tmp/z", .err = EXDEV },
		{ RENAME, "moves/a", "moves/b/.", .err = EBUSY },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, flags) {
	.rows = (const struct row[]) {
		{ RENAME, "moves/a", "moves/z", RENAME_WHITEOUT, EINVAL },
		{ RENAME, "moves/a", "moves/z",
		  RENAME_WHITEOUT | RENAME_NOREPLACE, EINVAL },
		{ RENAME, "moves/a", "moves/z", 1 << 3, EINVAL },
		{ RENAME, "moves/a", "moves/z", RENAME_NOREPLACE | 1 << 4,
		  EINVAL },
		{ RENAME, "moves/a", "moves/b/z", 1U << 31, EINVAL },
		{ RENAME, "pendmoves/pending/p", "moves/z", 1 << 3, EINVAL },
		{ RENAME, "moves/a", "moves/z", RENAME_EXCHANGE, ENOENT },
		{ RENAME, "moves/a", "moves/z",
		  RENAME_EXCHANGE | RENAME_NOREPLACE, EINVAL },
		{}
	},
};

/* On either side, or another one there */
FIXTURE_VARIANT_ADD(refused, without_the_same_op) {
	.rows = (const struct row[]) {
		{ RENAME, "plain/a", "plain/z", .err = EPERM },
		{ RENAME, "plain/a", "moves/z", .err = EPERM },
		{ RENAME, "moves/a", "plain/z", .err = EPERM },
		{ RENAME, "moves/a", "pools/z", .err = EPERM },
		{ RENAME, "moves/a", "makers/pending/z", .err = EPERM },
		{ RENAME, "moves/a", "makers/pending/p/z", .err = EPERM },
		{ RENAME, "moves/a", "items/pending/z", .err = EPERM },
		{ RENAME, "moves/a", "pools/g/pending/z", .err = EPERM },
		{ RENAME, "items/pending/p", "pendmoves/pending/z",
		  .err = EPERM },
		{ RENAME, "items/pending/p", "moves/z", .err = EPERM },
		{ RENAME, "moves/a", "othermoves/z", .err = EPERM },
		{ RENAME, "othermoves/a", "moves/z", .err = EPERM },
		{ RENAME, "othermoves/a", "pendmoves/pending/z", .err = EPERM },
		{ RENAME, "moves/a", "othermoves/a/z", .err = EPERM },
		{ RENAME, "moves/a/x", "moves/a/inner/x", .err = EPERM },
		{ RENAME, "moves/a", "z", .err = EPERM },
		{ RENAME, "moves/a", "../z", .err = EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, between_subsystems) {
	.rows = (const struct row[]) {
		{ RENAME, "moves/a", "../configfs_test2/moves/z",
		  .err = EPERM },
		{ RENAME, "moves/a", "../configfs_test2/moves/a/z",
		  .err = EPERM },
		{ RENAME, "moves/a", "../configfs_test2/pendmoves/pending/z",
		  .err = EPERM },
		{ RENAME, "../configfs_test2/moves/a", "moves/z",
		  .err = EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, to_what_is_no_group) {
	.rows = (const struct row[]) {
		{ RENAME, "itemmoves/i", "itemmoves/j/i", .err = EPERM },
		{ RENAME, "moves/a", "itemmoves/j/z", .err = EPERM },
		{ RENAME, "moves/a", "items/pending/p/z", .err = EPERM },
		{}
	},
};

/* Where mkdir(2) makes nothing, and as it is live at once */
FIXTURE_VARIANT_ADD(refused, outside_of_pending) {
	.rows = (const struct row[]) {
		{ RENAME, "moves/a", "pendmoves/z", .err = EPERM },
		{ RENAME, "moves/a", "pendmoves/live/z", .err = EPERM },
		{ RENAME, "moves/a", "moves/b/inner/z", .err = EPERM },
		{ RENAME, "moves/a", "moves/b/inner/live/z", .err = EPERM },
		{ RENAME, "itemmoves/i", "pendmoves/live/i", .err = EPERM },
		{ RENAME, "pendmoves/pending/p", "pendmoves/z", .err = EPERM },
		{ RENAME, "pendmoves/pending/p", "pendmoves/p", .err = EPERM },
		{ RENAME, "pendmoves/pending/p", "moves/a/inner/live/p",
		  .err = EPERM },
		/* a new name and a commit at once */
		{ RENAME, "pendmoves/pending/p", "pendmoves/live/z",
		  .err = EPERM },
		{ RENAME, "pendmoves/pending/p", "pendmoves/live/z",
		  RENAME_NOREPLACE, EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, what_the_driver_made) {
	.rows = (const struct row[]) {
		{ RENAME, "moves", "z", .err = EPERM },
		{ RENAME, "moves", "pendmoves/pending/z", .err = EPERM },
		{ RENAME, "moves/a/sub", "moves/a/z", .err = EPERM },
		{ RENAME, "moves/a/sub", "moves/b/z", .err = EPERM },
		{ RENAME, "moves/a/inner", "moves/a/z", .err = EPERM },
		{ RENAME, "moves/a/inner/pending", "moves/a/z", .err = EPERM },
		{ RENAME, "pendmoves/pending", "moves/z", .err = EPERM },
		{ RENAME, "moves/a/value", "moves/a/z", .err = EPERM },
		{ RENAME, "moves/a/tune_blob", "moves/b/z", .err = EPERM },
		{ RENAME, "moves/linked/c/link", "moves/linked/c/z",
		  .err = EPERM },
		{ RENAME, "moves/linked/c/link", "moves/a/z", .err = EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, live) {
	.rows = (const struct row[]) {
		{ RENAME, "pendmoves/live/l", "pendmoves/live/z",
		  .err = EBUSY },
		{ RENAME, "pendmoves/live/l", "pendmoves/live/z",
		  RENAME_NOREPLACE, EBUSY },
		{ RENAME, "pendmoves/live/l", "pendmoves/pending/z",
		  .err = EBUSY },
		{ RENAME, "pendmoves/live/l", "moves/l", .err = EBUSY },
		{ RENAME, "pendmoves/live/l", "moves/z", .err = EBUSY },
		{ RENAME, "pendmoves/live/l", "moves/a/inner/pending/l",
		  .err = EBUSY },
		/* what is wrong anyway is so first */
		{ RENAME, "pendmoves/live/l", "pendmoves/z", .err = EPERM },
		{ RENAME, "pendmoves/live/l", "moves/a/inner/live/l",
		  .err = EPERM },
		{ RENAME, "pendmoves/live/l", "plain/l", .err = EPERM },
		{ RENAME, "pendmoves/live/l", "othermoves/l", .err = EPERM },
		{}
	},
};

/* From below a live item, to below one, and both */
FIXTURE_VARIANT_ADD(refused, below_a_live_item) {
	.rows = (const struct row[]) {
		{ RENAME, "pendmoves/live/l/c", "pendmoves/live/l/z",
		  .err = EBUSY },
		{ RENAME, "pendmoves/live/l/c", "moves/z", .err = EBUSY },
		{ RENAME, "pendmoves/live/l/c", "pendmoves/pending/z",
		  .err = EBUSY },
		{ RENAME, "moves/a", "pendmoves/live/l/z", .err = EBUSY },
		{ RENAME, "moves/a", "pendmoves/live/l/c/z", .err = EBUSY },
		{ RENAME, "moves/a", "pendmoves/live/l/sub/z", .err = EBUSY },
		{ RENAME, "moves/a", "pendmoves/live/l/inner/pending/z",
		  .err = EBUSY },
		{ RENAME, "pendmoves/pending/p", "pendmoves/live/l/p",
		  .err = EBUSY },
		{ RENAME, "pendmoves/live/l/c", "pendmoves/live/l/sub/c",
		  .err = EBUSY },
		{ RENAME, "pendmoves/live/l/c/inner/pending/p",
		  "pendmoves/live/l/c/inner/pending/z", .err = EBUSY },
		{ RENAME, "pendmoves/live/l/c/inner/pending/p", "moves/z",
		  .err = EBUSY },
		{ RENAME, "pendmoves/live/l/c/inner/live/l", "moves/z",
		  .err = EBUSY },
		/* without an op for it, too */
		{ RENAME, "pendmoves/live/l/c", "plain/z", .err = EBUSY },
		{ RENAME, "moves/a", "pendmoves/live/l/inner/z",
		  .err = EBUSY },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, in_use) {
	.rows = (const struct row[]) {
		{ RENAME, "moves/target", "moves/z", .err = EBUSY },
		{ RENAME, "moves/target", "moves/a/target", .err = EBUSY },
		{ RENAME, "moves/target", "pendmoves/pending/z", .err = EBUSY },
		{ RENAME, "moves/deep", "moves/z", .err = EBUSY },
		{ RENAME, "moves/deep", "moves/a/z", .err = EBUSY },
		{ RENAME, "moves/deep/c", "moves/deep/z", .err = EBUSY },
		{ RENAME, "moves/deep/c", "moves/a/c", .err = EBUSY },
		{ RENAME, "moves/self", "moves/z", .err = EBUSY },
		{ RENAME, "moves/needed", "moves/z", .err = EBUSY },
		{ RENAME, "moves/needed/c", "moves/needed/z", .err = EBUSY },
		{ RENAME, "moves/needed/c", "moves/z", .err = EBUSY },
		{ RENAME, "pendmoves/pending/target", "pendmoves/pending/z",
		  .err = EBUSY },
		{ RENAME, "pendmoves/pending/target", "pendmoves/live/target",
		  .err = EBUSY },
		{}
	},
};

/* The body of a link is relative: at another depth it would be wrong. */
FIXTURE_VARIANT_ADD(refused, links_to_another_depth) {
	.rows = (const struct row[]) {
		{ RENAME, "moves/linked", "moves/a/linked", .err = EBUSY },
		{ RENAME, "moves/linked", "moves/a/sub/z", .err = EBUSY },
		{ RENAME, "moves/linked/c", "moves/c", .err = EBUSY },
		{ RENAME, "moves/linked/c", "moves/a/sub/c", .err = EBUSY },
		{ RENAME, "moves/linked", "pendmoves/pending/linked",
		  .err = EBUSY },
		/* from inside, and so to what would move with it */
		{ RENAME, "moves/self/c", "moves/c", .err = EBUSY },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, names_that_cannot_be) {
	.rows = (const struct row[]) {
		{ RENAME, "moves/a", "moves/" NAME_64 NAME_64 NAME_64 NAME_64,
		  .err = ENAMETOOLONG },
		{ RENAME, "moves/a", "moves/..", .err = EBUSY },
		{}
	},
};

TEST_F_TIMEOUT(refused, and_nothing_changed, 120)
{
	ASSERT_TRUE(rows_refused(variant->rows, self->before, false));
}

/*
 * Renames of every kind: another name, another group, or both
 */

FIXTURE(renamed)
{
	struct baseline base;
	char from[PATH_MAX];	/* the item */
	char to[PATH_MAX];
	const char *name;
	const char *new_name;
	bool moved;		/* to another directory */
	struct task task[2];
};

/**
 * @make:	paths to be made first
 * @dir:	where it is
 * @new_dir:	where it goes
 * @child:	to be made in it; attributes are there
 * @item:	it is one, and no group
 */
FIXTURE_VARIANT(renamed)
{
	const char *make[2];
	const char *dir;
	const char *name;
	const char *new_dir;
	const char *new_name;
	const char *child;
	bool item;
};

FIXTURE_VARIANT_ADD(renamed, group_with_a_subtree) {
	.dir = "moves",
	.name = "foo",
	.new_dir = "moves",
	.new_name = "bar",
	.child = "c/sub/d/inner/pending/e/",
};

FIXTURE_VARIANT_ADD(renamed, item) {
	.dir = "itemmoves",
	.name = LONG_NAME,
	.new_dir = "itemmoves",
	.new_name = "bar",
	.child = "",
	.item = true,
};

FIXTURE_VARIANT_ADD(renamed, pending) {
	.dir = "pendmoves/pending",
	.name = "foo",
	.new_dir = "pendmoves/pending",
	.new_name = "bar",
	.child = "c/",
};

FIXTURE_VARIANT_ADD(renamed, pending_of_an_inner_group) {
	.make = { "moves/a/" },
	.dir = "moves/a/inner/pending",
	.name = "foo",
	.new_dir = "moves/a/inner/pending",
	.new_name = LONG_NAME,
	.child = "",
};

FIXTURE_VARIANT_ADD(renamed, below_another_one) {
	.make = { "moves/a/b/" },
	.dir = "moves/a/b",
	.name = "foo",
	.new_dir = "moves/a/b",
	.new_name = "bar",
	.child = "sub/",
};

FIXTURE_VARIANT_ADD(renamed, with_an_op_of_its_own) {
	.dir = "othermoves",
	.name = "foo",
	.new_dir = "othermoves",
	.new_name = "bar",
	.child = "one/",
};

FIXTURE_VARIANT_ADD(renamed, to_another_group_and_name) {
	.make = { "moves/a/", "moves/b/" },
	.dir = "moves/a",
	.name = "foo",
	.new_dir = "moves/b",
	.new_name = LONG_NAME,
	.child = "sub/",
};

FIXTURE_VARIANT_ADD(renamed, up) {
	.make = { "moves/a/b/" },
	.dir = "moves/a/b",
	.name = "foo",
	.new_dir = "moves",
	.new_name = "foo",
	.child = "c/",
};

FIXTURE_VARIANT_ADD(renamed, down) {
	.make = { "moves/a/b/" },
	.dir = "moves",
	.name = LONG_NAME,
	.new_dir = "moves/a/b",
	.new_name = "foo",
	.child = "c/",
};

FIXTURE_VARIANT_ADD(renamed, to_pending) {
	.dir = "moves",
	.name = "foo",
	.new_dir = "pendmoves/pending",
	.new_name = "foo",
	.child = "",
};

FIXTURE_VARIANT_ADD(renamed, from_pending_to_an_inner_pending) {
	.make = { "moves/a/" },
	.dir = "pendmoves/pending",
	.name = "foo",
	.new_dir = "moves/a/inner/pending",
	.new_name = "foo",
	.child = "inner/pending/c/",
};

FIXTURE_VARIANT_ADD(renamed, from_one_pending_to_another) {
	.make = { "moves/a/", "moves/b/" },
	.dir = "moves/a/inner/pending",
	.name = "foo",
	.new_dir = "moves/b/inner/pending",
	.new_name = "bar",
	.child = "c/",
};

FIXTURE_VARIANT_ADD(renamed, out_of_a_default_group) {
	.make = { "moves/a/", "moves/b/" },
	.dir = "moves/a/sub",
	.name = "foo",
	.new_dir = "moves/b",
	.new_name = "foo",
	.child = "",
};

FIXTURE_VARIANT_ADD(renamed, to_a_default_group_beside_it) {
	.make = { "moves/a/" },
	.dir = "moves/a",
	.name = "foo",
	.new_dir = "moves/a/sub",
	.new_name = "foo",
	.child = "c/",
};

FIXTURE_VARIANT_ADD(renamed, item_to_a_group_of_groups) {
	.make = { "moves/a/" },
	.dir = "itemmoves",
	.name = "foo",
	.new_dir = "moves/a",
	.new_name = "bar",
	.child = "",
	.item = true,
};

FIXTURE_VARIANT_ADD(renamed, in_the_second_subsystem) {
	.make = { "../configfs_test2/moves/a/", "moves/foo/" },
	.dir = "../configfs_test2/moves",
	.name = "foo",
	.new_dir = "../configfs_test2/moves/a",
	.new_name = "bar",
	.child = "",
};

/* @_attr below the item, which is at @_item */
#define BELOW(_item, _attr) ({						\
	static char __path[3 * PATH_MAX];				\
									\
	snprintf(__path, sizeof(__path), "%s/%s%s", _item,		\
		 variant->child, _attr);				\
	__path;								\
})

/* of the item itself */
#define ATTR(_item, _attr) ({						\
	static char __path[2 * PATH_MAX];				\
									\
	snprintf(__path, sizeof(__path), "%s/%s", _item, _attr);	\
	__path;								\
})

FIXTURE_SETUP(renamed)
{
	test_begin(&self->base);
	for (size_t i = 0; i < ARRAY_SIZE(variant->make); i++)
		ASSERT_EQ(0, variant->make[i] ? make_path(variant->make[i]) :
						0);
	snprintf(self->from, sizeof(self->from), "%s/%s", variant->dir,
		 variant->name);
	snprintf(self->to, sizeof(self->to), "%s/%s", variant->new_dir,
		 variant->new_name);
	self->moved = strcmp(variant->dir, variant->new_dir);
	ASSERT_EQ(0, make_path(BELOW(self->from, "")));
	ASSERT_EQ(0, control("reset", "1"));
}

FIXTURE_TEARDOWN(renamed)
{
	EXPECT_TRUE(test_end(&self->base));
}

/* How many directories it is below the root */
static int depth(const char *path)
{
	int n = 2;

	if (!strncmp(path, "../configfs_test2/", 18))
		path += 18;
	while ((path = strchr(path, '/'))) {
		path++;
		n++;
	}
	return n;
}

TEST_F(renamed, there_and_back)
{
	struct stat st, now;

	ASSERT_EQ(0, do_write(BELOW(self->from, "value"), "configured"));
	ASSERT_STREQ(variant->name, value_of(ATTR(self->from, "name")));
	ASSERT_EQ(0, stat(self->from, &st));

	for (int i = 1; i <= 3; i++) {
		ASSERT_EQ(0, do_rename(self->from, self->to));
		ASSERT_EQ(2 * i - 1, counter("rename"));
		ASSERT_EQ(0, listed(self->from));
		ASSERT_EQ(1, listed(self->to));
		ASSERT_EQ(0, stat(self->to, &now));
		ASSERT_EQ(st.st_ino, now.st_ino);
		ASSERT_EQ(st.st_nlink, now.st_nlink);
		ASSERT_STREQ(variant->new_name, value_of(ATTR(self->to, "name")));
		ASSERT_STREQ("configured", value_of(BELOW(self->to, "value")));
		ASSERT_EQ(0, linked(variant->new_dir, variant->new_name));
		ASSERT_EQ(ENOENT, linked(variant->dir, variant->name));
		ASSERT_EQ(0, do_write(BELOW(self->to, "value"), "changed"));

		ASSERT_EQ(0, do_rename_flags(self->to, self->from,
					     RENAME_NOREPLACE));
		ASSERT_EQ(2 * i, counter("rename"));
		ASSERT_EQ(0, listed(self->to));
		ASSERT_EQ(1, listed(self->from));
		ASSERT_EQ(0, stat(self->from, &now));
		ASSERT_EQ(st.st_ino, now.st_ino);
		ASSERT_STREQ(variant->name, value_of(ATTR(self->from, "name")));
		ASSERT_STREQ("changed", value_of(BELOW(self->from, "value")));
		ASSERT_EQ(0, linked(variant->dir, variant->name));
		ASSERT_EQ(ENOENT, linked(variant->new_dir, variant->new_name));
		ASSERT_EQ(0, do_write(BELOW(self->from, "value"), "configured"));
	}
	ASSERT_EQ(0, counter("drop"));
	ASSERT_EQ(0, counter("make"));
}

/* The name that is free is free, and that which is taken is taken. */
TEST_F(renamed, old_name_is_used_again)
{
	struct stat st, other;

	ASSERT_EQ(0, do_rename(self->from, self->to));
	ASSERT_EQ(EEXIST, do_mkdir(self->to));
	ASSERT_EQ(0, do_mkdir(self->from));
	ASSERT_EQ(0, stat(self->from, &other));
	ASSERT_EQ(0, stat(self->to, &st));
	ASSERT_NE(st.st_ino, other.st_ino);
	ASSERT_EQ(0, linked(variant->dir, variant->name));
	ASSERT_EQ(0, linked(variant->new_dir, variant->new_name));

	ASSERT_EQ(EEXIST, do_rename(self->to, self->from));
	ASSERT_EQ(EEXIST, do_rename(self->from, self->to));
	ASSERT_EQ(EEXIST, do_rename_flags(self->to, self->from,
					  RENAME_NOREPLACE));
	ASSERT_EQ(1, counter("rename"));
	ASSERT_EQ(0, do_rmdir(self->from));
	ASSERT_EQ(0, do_rename(self->to, self->from));
}

/* It is now the new group that drops it. */
TEST_F(renamed, then_removed)
{
	ASSERT_EQ(0, do_rename(self->from, self->to));
	if (strchr(variant->child, '/') && !exists(ATTR(self->to, "c")) &&
	    !exists(ATTR(self->to, "inner/pending/c"))) {
		/* a default group alone: it goes along */
		ASSERT_EQ(0, do_rmdir(self->to));
	} else if (!*variant->child) {
		ASSERT_EQ(0, do_rmdir(self->to));
	} else {
		ASSERT_EQ(ENOTEMPTY, do_rmdir(self->to));
		ASSERT_EQ(0, do_rmdir(BELOW(self->to, "")));
		return;
	}
	ASSERT_EQ(1, counter("drop"));
	ASSERT_EQ(1, counter("disconnect"));
	ASSERT_FALSE(exists(self->to));
	ASSERT_EQ(ENOENT, linked(variant->new_dir, variant->new_name));
	ASSERT_EQ(0, do_mkdir(self->to));
	ASSERT_STREQ(variant->new_name, value_of(ATTR(self->to, "name")));
}

TEST_F_TIMEOUT(renamed, to_itself_is_nothing, 120)
{
	char *before;

	usleep(20000);
	before = snapshot(SNAP_CALLS);
	ASSERT_EQ(0, do_rename(self->from, self->from));
	ASSERT_EQ(EEXIST, do_rename_flags(self->from, self->from,
					  RENAME_NOREPLACE));
	ASSERT_TRUE(unchanged(before, SNAP_CALLS));
	ASSERT_EQ(0, counter("rename"));
}

TEST_F_TIMEOUT(renamed, driver_refuses, 120)
{
	static const int errors[] = {
		EINVAL, ENODEV, EIO, EDQUOT, EBUSY, ENOMEM, EAGAIN, EXDEV
	};
	char *before;

	usleep(20000);
	before = snapshot(0);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		ASSERT_EQ(0, knob("rename", errors[i], 0, false));
		ASSERT_EQ(errors[i], do_rename(self->from, self->to));
		ASSERT_EQ(i + 1, counter("rename"));
	}
	ASSERT_TRUE(unchanged(before, 0));
	ASSERT_EQ(0, linked(variant->dir, variant->name));
	ASSERT_EQ(0, knob("rename", 0, 0, false));
	ASSERT_EQ(0, do_rename(self->from, self->to));
	ASSERT_EQ(0, do_rename(self->to, self->from));
}

/* Longer and shorter than what fits into the item, back and forth */
TEST_F_TIMEOUT(renamed, names_of_any_length, 120)
{
	static const char * const names[] = {
		"x", NAME_19, NAME_20, NAME_21, "y", NAME_63, NAME_19, NAME_21,
		NAME_20, LONG_NAME, NAME_63, "x", "v", "w", NAME_20, "c",
	};
	char now[PATH_MAX], next[PATH_MAX];
	struct stat st, other;

	ASSERT_EQ(0, stat(self->from, &st));
	strcpy(now, self->from);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *dir = i % 2 ? variant->dir : variant->new_dir;

		snprintf(next, sizeof(next), "%s/%s", dir, names[i]);
		ASSERT_EQ(0, do_rename(now, next)) {
			TH_LOG("%s", names[i]);
		}
		ASSERT_STREQ(names[i], value_of(ATTR(next, "name")));
		ASSERT_EQ(0, linked(dir, names[i]));
		ASSERT_EQ(0, listed(now));
		ASSERT_EQ(1, listed(next));
		ASSERT_EQ(0, stat(next, &other));
		ASSERT_EQ(st.st_ino, other.st_ino);
		strcpy(now, next);
	}
	/* What is too much for the driver is so after all: it has been asked */
	snprintf(next, sizeof(next), "%s/%s", variant->dir, NAME_64);
	ASSERT_EQ(ENAMETOOLONG, do_rename(now, next));
	ASSERT_EQ(ARRAY_SIZE(names) + 1, counter("rename"));
	ASSERT_STREQ("c", value_of(ATTR(now, "name")));
	ASSERT_EQ(0, do_rename(now, self->from));
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

TEST_F(renamed, times_and_link_counts)
{
	const struct timespec past[2] = { { .tv_sec = 1000 },
					  { .tv_sec = 1000 } };
	const char *path[2] = { variant->dir, variant->new_dir };
	struct stat dir[2], item, now;

	ASSERT_EQ(0, utimensat(AT_FDCWD, self->from, past, 0));
	ASSERT_EQ(0, stat(self->from, &item));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, utimensat(AT_FDCWD, path[i], past, 0));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, stat(path[i], &dir[i]));
	usleep(20000);
	ASSERT_EQ(0, do_rename(self->from, self->to));

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, stat(path[i], &now));
		EXPECT_FALSE(same_time(dir[i].st_ctim, now.st_ctim));
		EXPECT_TRUE(same_time(now.st_mtim, now.st_ctim));
		EXPECT_EQ(dir[i].st_nlink + (self->moved ? (i ? 1 : -1) : 0),
			  now.st_nlink);
	}
	ASSERT_EQ(0, stat(self->to, &now));
	EXPECT_EQ(item.st_nlink, now.st_nlink);
	EXPECT_EQ(1000, now.st_mtim.tv_sec);
	EXPECT_FALSE(same_time(item.st_ctim, now.st_ctim));
}

TEST_F(renamed, mode_and_owner_stay)
{
	struct stat st;

	ASSERT_EQ(0, chmod(self->from, 0711));
	ASSERT_EQ(0, chown(self->from, 1, 2));
	ASSERT_EQ(0, chmod(BELOW(self->from, "value"), 0600));
	ASSERT_EQ(0, do_rename(self->from, self->to));
	ASSERT_EQ(0, stat(self->to, &st));
	EXPECT_EQ(S_IFDIR | 0711, st.st_mode);
	EXPECT_EQ(1, st.st_uid);
	EXPECT_EQ(2, st.st_gid);
	ASSERT_EQ(0, stat(BELOW(self->to, "value"), &st));
	EXPECT_EQ(S_IFREG | 0600, st.st_mode);
}

TEST_F(renamed, inotify_sees_a_move)
{
	struct watch watch;
	int dir[2], item;

	ASSERT_TRUE(watch_start(&watch));
	dir[0] = watch_add(&watch, variant->dir);
	ASSERT_LE(0, dir[0]);
	/* The same one when it is the same directory */
	dir[1] = watch_add(&watch, variant->new_dir);
	ASSERT_LE(0, dir[1]);
	item = watch_add(&watch, self->from);
	ASSERT_LE(0, item);

	ASSERT_EQ(0, knob("rename", EIO, 0, false));
	ASSERT_EQ(EIO, do_rename(self->from, self->to));
	ASSERT_TRUE(watch_sees_nothing(&watch));
	ASSERT_EQ(0, knob("rename", 0, 0, false));

	ASSERT_EQ(0, do_rename(self->from, self->to));
	ASSERT_TRUE(watch_sees_move(&watch, dir[0], variant->name, dir[1],
				    variant->new_name, item));
	ASSERT_TRUE(watch_sees_nothing(&watch));
	ASSERT_EQ(0, do_rename(self->to, self->from));
	ASSERT_TRUE(watch_sees_move(&watch, dir[1], variant->new_name, dir[0],
				    variant->name, item));
	ASSERT_TRUE(watch_sees_nothing(&watch));
}

TEST_F(renamed, open_files_stay)
{
	int fd = open(BELOW(self->from, "value"), O_RDWR);
	int blob = open(BELOW(self->from, "blob"), O_WRONLY);
	int dir = open(self->from, O_RDONLY | O_DIRECTORY);
	struct stat st, fst;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, blob);
	ASSERT_LE(0, dir);
	ASSERT_EQ(0, do_write_fd(blob, "data"));
	ASSERT_EQ(0, do_rename(self->from, self->to));
	ASSERT_EQ(0, do_write_fd(fd, "open"));
	ASSERT_STREQ("open", value_of(BELOW(self->to, "value")));
	ASSERT_EQ(0, close(blob));
	ASSERT_STREQ("data", value_of(BELOW(self->to, "blob")));
	ASSERT_EQ(0, fstat(fd, &fst));
	ASSERT_EQ(0, stat(BELOW(self->to, "value"), &st));
	ASSERT_EQ(st.st_ino, fst.st_ino);
	ASSERT_EQ(0, fstat(dir, &fst));
	ASSERT_EQ(0, stat(self->to, &st));
	ASSERT_EQ(st.st_ino, fst.st_ino);
}

TEST_F(renamed, working_directory_stays)
{
	char cwd[PATH_MAX], want[PATH_MAX];
	char from[PATH_MAX + 64], here[PATH_MAX + 64];

	/* By absolute paths: ".." changes */
	snprintf(from, sizeof(from), SUBSYS_DIR "/%s", self->from);
	snprintf(here, sizeof(here), SUBSYS_DIR "/%s", self->to);
	ASSERT_EQ(0, chdir(BELOW(self->from, "")));
	ASSERT_EQ(0, do_rename(from, here));
	ASSERT_NE(NULL, getcwd(cwd, sizeof(cwd)));
	ASSERT_NE(NULL, realpath(BELOW(here, ""), want));
	ASSERT_STREQ(want, cwd);
	ASSERT_EQ(0, do_write("value", "here"));
	ASSERT_STREQ("here", value_of(BELOW(here, "value")));
	ASSERT_EQ(0, chdir(SUBSYS_DIR));
}

struct rename_args {
	const char *from;
	const char *to;
};

static int rename_in_child(void *arg)
{
	struct rename_args *args = arg;

	return do_rename(args->from, args->to);
}

TEST_F(renamed, unprivileged_callers_need_the_directories)
{
	struct rename_args args = { self->from, self->to };

	ASSERT_EQ(EACCES, as_user(NOBODY, rename_in_child, &args));
	ASSERT_EQ(0, chown(variant->dir, NOBODY, NOBODY));
	if (self->moved) {
		ASSERT_EQ(EACCES, as_user(NOBODY, rename_in_child, &args));
		ASSERT_EQ(0, chown(variant->new_dir, NOBODY, NOBODY));
		/* as ".." changes */
		ASSERT_EQ(EACCES, as_user(NOBODY, rename_in_child, &args));
		ASSERT_EQ(0, chown(self->from, NOBODY, NOBODY));
	}
	ASSERT_EQ(0, counter("rename"));
	ASSERT_EQ(0, as_user(NOBODY, rename_in_child, &args));
	ASSERT_EQ(1, counter("rename"));
	ASSERT_EQ(0, chown(variant->dir, 0, 0));
	ASSERT_EQ(0, chown(variant->new_dir, 0, 0));
}

/*
 * Links and dependents
 */

TEST_F(renamed, links_to_it_are_in_the_way)
{
	ASSERT_EQ(0, do_mkdir("plain/a"));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, do_symlink(i ? BELOW(self->from, "") : self->from,
					"plain/a/link"));
		ASSERT_EQ(EBUSY, do_rename(self->from, self->to));
		ASSERT_EQ(0, counter("rename"));
		ASSERT_EQ(0, do_unlink("plain/a/link"));
	}
	ASSERT_EQ(0, do_rename(self->from, self->to));
	ASSERT_EQ(0, do_symlink(BELOW(self->to, ""), "plain/a/link"));
	ASSERT_EQ(EBUSY, do_rename(self->to, self->from));
	ASSERT_EQ(0, do_unlink("plain/a/link"));
	ASSERT_EQ(0, do_rename(self->to, self->from));
}

/* At the same depth, they lead where they did; at another they would not. */
TEST_F(renamed, links_from_it)
{
	int ret = depth(self->from) == depth(self->to) ? 0 : EBUSY;
	char target[2][PATH_MAX] = {};

	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, do_write("plain/a/value", "target"));
	ASSERT_EQ(0, do_symlink("plain/a", BELOW(self->from, "link")));
	ASSERT_LT(0, readlink(BELOW(self->from, "link"), target[0], PATH_MAX));
	ASSERT_EQ(ret, do_rename(self->from, self->to));
	ASSERT_EQ(!ret, counter("rename"));
	ASSERT_LT(0, readlink(BELOW(ret ? self->from : self->to, "link"),
			      target[1], PATH_MAX));
	ASSERT_STREQ(target[0], target[1]);
	ASSERT_STREQ("target", value_of(BELOW(ret ? self->from : self->to,
					      "link/value")));
	ASSERT_EQ(0, do_write(BELOW(ret ? self->from : self->to, "link/value"),
			      "changed"));
	ASSERT_STREQ("changed", value_of("plain/a/value"));
	ASSERT_EQ(EBUSY, do_rmdir("plain/a"));

	/* There and back, and without the link to whatever depth */
	if (!ret)
		ASSERT_EQ(0, do_rename(self->to, self->from));
	ASSERT_EQ(0, do_unlink(BELOW(self->from, "link")));
	ASSERT_EQ(0, do_rename(self->from, self->to));
	ASSERT_EQ(0, do_symlink("plain/a", BELOW(self->to, "link")));
	ASSERT_STREQ("changed", value_of(BELOW(self->to, "link/value")));
	ASSERT_EQ(ret, do_rename(self->to, self->from));
	ASSERT_EQ(0, do_unlink(BELOW(ret ? self->to : self->from, "link")));
	if (ret)
		ASSERT_EQ(0, do_rename(self->to, self->from));
	ASSERT_EQ(0, do_rmdir("plain/a"));
}

/* As the module names what is below, without pending/ and live/ */
static void module_path(char *buf, const char *path)
{
	char *p;

	if (strncmp(path, "../", 3))
		sprintf(buf, "configfs_test/%s", path);
	else
		strcpy(buf, path + 3);
	while ((p = strstr(buf, "pending/")))
		memmove(p, p + 8, strlen(p + 8) + 1);
	p = buf + strlen(buf) - 1;
	if (*p == '/')
		*p = 0;
}

TEST_F(renamed, dependents_are_in_the_way)
{
	const char *place[2] = { self->from, self->to };
	char target[2 * PATH_MAX];

	for (int i = 0; i < 4; i++) {
		const char *from = place[i / 2], *to = place[!(i / 2)];

		module_path(target, i % 2 ? BELOW(from, "") : from);
		ASSERT_EQ(0, control("depend", target)) {
			TH_LOG("%s", target);
		}
		ASSERT_EQ(EBUSY, do_rename(from, to));
		if (i % 2 == 0)
			ASSERT_EQ(EBUSY, do_rmdir(from));
		ASSERT_EQ(0, control("undepend", target));
		if (i % 2)
			ASSERT_EQ(0, do_rename(from, to));
	}
	ASSERT_EQ(2, counter("rename"));
}

TEST_F(renamed, dependent_that_comes_during_it)
{
	char target[2 * PATH_MAX];

	module_path(target, BELOW(self->from, ""));
	ASSERT_EQ(0, hold("rename"));
	ASSERT_TRUE(task_start(&self->task[0], do_rename, self->from,
			       self->to));
	ASSERT_TRUE(wait_counter("rename", 1));
	/* At once: the rename is still held */
	ASSERT_EQ(EBUSY, control("depend", target));
	ASSERT_FALSE(self->task[0].done);
	ASSERT_EQ(0, release("rename"));
	ASSERT_EQ(0, task_join(&self->task[0]));
	ASSERT_EQ(ENOENT, control("depend", target));
	module_path(target, BELOW(self->to, ""));
	ASSERT_EQ(0, control("depend", target));
	ASSERT_EQ(0, control("undepend", target));
}

/*
 * Who waits for whom
 */

TEST_F(renamed, waits_for_callbacks)
{
	static const struct {
		const char *callback;
		const char *event;
		const char *attr;
		int (*fn)(const char *a, const char *b);
	} uses[] = {
		{ "store", "-store", "value", do_write },
		{ "live_store", "-live_store", "tune", do_write },
		{ "show", "-show", "name", task_read },
		{ "bin_read", "-bin_read", "blob", task_read },
	};
	const char *place[2] = { self->from, self->to };

	ASSERT_EQ(0, do_write(BELOW(self->from, "blob"), "x"));
	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, hold(uses[i].callback));
		ASSERT_TRUE(task_start(&self->task[0], uses[i].fn,
				       BELOW(place[i % 2], uses[i].attr),
				       "early"));
		ASSERT_TRUE(wait_counter(uses[i].callback, 1));
		ASSERT_TRUE(task_start(&self->task[1], do_rename, place[i % 2],
				       place[!(i % 2)]));
		ASSERT_TRUE(task_waits(&self->task[1]));
		ASSERT_EQ(0, counter("rename"));
		ASSERT_EQ(0, release(uses[i].callback));
		ASSERT_EQ(0, task_join(&self->task[0]));
		ASSERT_EQ(0, task_join(&self->task[1]));
		ASSERT_TRUE(happened_before(uses[i].event, "+rename"));
	}
}

/* Pending before and after: what has waited goes on. */
TEST_F(renamed, holds_off_callbacks)
{
	int fd = open(BELOW(self->from, "value"), O_WRONLY);
	char number[16];

	ASSERT_LE(0, fd);
	snprintf(number, sizeof(number), "%d", fd);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, knob("rename", i ? 0 : EIO, 0, true));
		ASSERT_TRUE(task_start(&self->task[0], do_rename, self->from,
				       self->to));
		ASSERT_TRUE(wait_counter("rename", 1));
		ASSERT_TRUE(task_start(&self->task[1], task_write_fd, number,
				       i ? "late" : "refused"));
		ASSERT_TRUE(task_waits(&self->task[1]));
		ASSERT_EQ(0, counter("store"));
		ASSERT_EQ(0, knob("rename", i ? 0 : EIO, 0, false));
		ASSERT_EQ(i ? 0 : EIO, task_join(&self->task[0]));
		ASSERT_EQ(0, task_join(&self->task[1]));
		ASSERT_TRUE(happened_before(i ? "-rename" : "!rename",
					    "+store"));
	}
	ASSERT_STREQ("late", value_of(BELOW(self->to, "value")));
}

TEST_F_TIMEOUT(renamed, killed_while_waiting, 120)
{
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&self->task[0], do_write,
			       BELOW(self->from, "value"), "slow"));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_TRUE(killed_while_waiting(do_rename, self->from, self->to));
	/* The store is still held: it is the signal that has ended the wait */
	ASSERT_FALSE(self->task[0].done);
	ASSERT_EQ(0, counter("rename"));

	/* Nobody waits behind the dead */
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&self->task[0]));
	ASSERT_EQ(0, do_write(BELOW(self->from, "value"), "after"));
	ASSERT_EQ(0, do_rename(self->from, self->to));
	ASSERT_STREQ("after", value_of(BELOW(self->to, "value")));
}

TEST_F_TIMEOUT(renamed, of_others_is_not_waited_for, 120)
{
	char other[2 * PATH_MAX];

	snprintf(other, sizeof(other), "%s/other", variant->dir);
	ASSERT_EQ(0, do_mkdir(other));
	strcat(other, "/value");
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&self->task[0], do_write, other, "slow"));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_EQ(0, do_rename(self->from, self->to));
	ASSERT_EQ(0, do_rename(self->to, self->from));
	ASSERT_FALSE(self->task[0].done);
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&self->task[0]));
}

/* Groups with a committable one inside go on working as they did. */
TEST_F(renamed, inner_committable_group_works)
{
	char group[2][PATH_MAX + 8], path[2 * PATH_MAX];
	const char *place[2] = { self->from, self->to };

	if (variant->item || !exists(ATTR(self->from, "inner")))
		return;
	for (int i = 0; i < 2; i++)
		snprintf(group[i], sizeof(group[i]), "%s/inner", place[i]);
	snprintf(path, sizeof(path), "%s/pending/l", group[0]);
	ASSERT_EQ(0, do_mkdir(path));
	ASSERT_EQ(0, commit(group[0], "l"));

	for (int i = 1; i >= 0; i--) {
		ASSERT_EQ(0, do_rename(place[!i], place[i]));
		snprintf(path, sizeof(path), "%s/live/l/value", group[i]);
		ASSERT_EQ(EBUSY, do_write(path, "x"));
		snprintf(path, sizeof(path), "%s/live/l/state", group[i]);
		ASSERT_STREQ("live", value_of(path));
		snprintf(path, sizeof(path), "%s/live/l", group[i]);
		ASSERT_EQ(EBUSY, do_rmdir(path));
		ASSERT_EQ(0, uncommit(group[i], "l"));
		snprintf(path, sizeof(path), "%s/pending/l/value", group[i]);
		ASSERT_EQ(0, do_write(path, "x"));
		snprintf(path, sizeof(path), "%s/pending/p", group[i]);
		ASSERT_EQ(0, do_mkdir(path));
		ASSERT_EQ(0, commit(group[i], "p"));
		ASSERT_EQ(0, uncommit(group[i], "p"));
		ASSERT_EQ(0, do_rmdir(path));
		ASSERT_EQ(0, commit(group[i], "l"));
	}
}

/*
 * Changes below
 */

FIXTURE(change)
{
	struct baseline base;
	struct task change;
	struct task rename;
};

/**
 * @direct:	it is one of the item's own directory, which a move locks, so
 *		that it waits. Otherwise it fails, as a new name does
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
	.a = "moves/foo/new",
	.direct = true,
};

FIXTURE_VARIANT_ADD(change, mkdir_deep_below) {
	.callback = "make",
	.fn = task_mkdir,
	.a = "moves/foo/c/d/new",
};

FIXTURE_VARIANT_ADD(change, mkdir_in_a_default_group) {
	.callback = "make",
	.fn = task_mkdir,
	.a = "moves/foo/sub/new",
};

FIXTURE_VARIANT_ADD(change, rmdir_deep_below) {
	.callback = "drop",
	.fn = task_rmdir,
	.a = "moves/foo/c/d",
};

FIXTURE_VARIANT_ADD(change, symlink_deep_below) {
	.callback = "allow_link",
	.fn = do_symlink,
	.a = "plain/a",
	.b = "moves/foo/c/new",
};

FIXTURE_VARIANT_ADD(change, unlink_deep_below) {
	.callback = "drop_link",
	.fn = task_unlink,
	.a = "moves/foo/c/link",
};

FIXTURE_SETUP(change)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, make_path("moves/foo/c/d/"));
	ASSERT_EQ(0, make_path("moves/a/"));
	ASSERT_EQ(0, do_symlink("plain/a", "moves/foo/c/link"));
	ASSERT_EQ(0, control("reset", "1"));
}

FIXTURE_TEARDOWN(change)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(change, in_progress_when_a_new_name_comes)
{
	ASSERT_EQ(0, hold(variant->callback));
	ASSERT_TRUE(task_start(&self->change, variant->fn, variant->a,
			       variant->b));
	ASSERT_TRUE(wait_counter(variant->callback, 1));
	ASSERT_EQ(EBUSY, do_rename("moves/foo", "moves/bar"));
	ASSERT_EQ(0, counter("rename"));
	ASSERT_FALSE(self->change.done);
	ASSERT_EQ(0, release(variant->callback));
	ASSERT_EQ(0, task_join(&self->change));
	ASSERT_EQ(0, do_rename("moves/foo", "moves/bar"));
}

TEST_F(change, in_progress_when_a_move_comes)
{
	/* Not because of the depth of its links */
	ASSERT_EQ(0, make_path("moves/b/"));
	ASSERT_EQ(0, do_unlink("moves/foo/c/link"));
	ASSERT_EQ(0, do_rename("moves/foo", "moves/b/foo"));
	ASSERT_EQ(0, do_symlink("plain/a", "moves/b/foo/c/link"));
	ASSERT_EQ(0, control("reset", "1"));

	/* The variant's path is that of moves/foo: the rest of it is below here */
	ASSERT_EQ(0, chdir("moves/b"));
	ASSERT_EQ(0, hold(variant->callback));
	ASSERT_TRUE(task_start(&self->change, variant->fn,
			       variant->b ? SUBSYS_DIR "/plain/a" :
					    variant->a + strlen("moves/"),
			       variant->b ? variant->b + strlen("moves/") :
					    NULL));
	ASSERT_TRUE(wait_counter(variant->callback, 1));
	if (variant->direct) {
		ASSERT_TRUE(task_start(&self->rename, do_rename, "foo",
				       "../a/foo"));
		ASSERT_TRUE(task_waits(&self->rename));
		ASSERT_EQ(0, counter("rename"));
		ASSERT_EQ(0, release(variant->callback));
		ASSERT_EQ(0, task_join(&self->change));
		ASSERT_EQ(0, task_join(&self->rename));
		return;
	}
	ASSERT_EQ(EBUSY, do_rename("foo", "../a/foo"));
	ASSERT_EQ(0, counter("rename"));
	ASSERT_FALSE(self->change.done);
	ASSERT_EQ(0, release(variant->callback));
	ASSERT_EQ(0, task_join(&self->change));
	ASSERT_EQ(0, do_rename("foo", "../a/foo"));
}

/* Who has found the way there goes on, and what he makes is where it is now. */
TEST_F(change, that_comes_during_a_new_name)
{
	const char *path = variant->b ?: variant->a;
	char now[PATH_MAX];

	ASSERT_EQ(0, hold("rename"));
	ASSERT_TRUE(task_start(&self->rename, do_rename, "moves/foo",
			       "moves/bar"));
	ASSERT_TRUE(wait_counter("rename", 1));
	ASSERT_TRUE(task_start(&self->change, variant->fn, variant->a,
			       variant->b));
	ASSERT_TRUE(task_waits(&self->change));
	ASSERT_EQ(0, counter(variant->callback));
	ASSERT_EQ(0, release("rename"));
	ASSERT_EQ(0, task_join(&self->rename));
	ASSERT_EQ(0, task_join(&self->change));
	ASSERT_EQ(1, counter(variant->callback));
	ASSERT_FALSE(exists("moves/foo"));
	snprintf(now, sizeof(now), "moves/bar%s", path + strlen("moves/foo"));
	ASSERT_EQ(!strstr(variant->callback, "drop"), exists(now));
}

/*
 * What an item is below: that changes with a move
 */

FIXTURE(outer)
{
	struct baseline base;
	struct task use;
	struct task rename;
};

FIXTURE_SETUP(outer)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("plain/t"));
	ASSERT_EQ(0, make_path("moves/a/x/y/"));
	ASSERT_EQ(0, make_path("moves/b/"));
	ASSERT_EQ(0, make_path("pendmoves/pending/p/x/y/"));
	ASSERT_EQ(0, make_path("pendmoves/pending/q/"));
	ASSERT_EQ(0, control("reset", "1"));
}

FIXTURE_TEARDOWN(outer)
{
	EXPECT_TRUE(test_end(&self->base));
}

/* The new one waits for what runs below, the old one does not any more. */
TEST_F(outer, store_below_a_moved_item)
{
	ASSERT_EQ(0, do_rename("moves/a/x", "moves/b/x"));
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&self->use, do_write, "moves/b/x/y/value",
			       "slow"));
	ASSERT_TRUE(wait_counter("store", 1));

	ASSERT_EQ(0, do_rename("moves/a", "moves/A"));
	ASSERT_FALSE(self->use.done);
	ASSERT_EQ(2, counter("rename"));
	ASSERT_TRUE(task_start(&self->rename, do_rename, "moves/b", "moves/B"));
	ASSERT_TRUE(task_waits(&self->rename));
	ASSERT_EQ(2, counter("rename"));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&self->use));
	ASSERT_EQ(0, task_join(&self->rename));
	ASSERT_STREQ("slow", value_of("moves/B/x/y/value"));
}

/* One that has begun to wait for the item goes on below the new one. */
TEST_F(outer, store_that_came_during_the_move)
{
	int fd = open("moves/a/x/y/value", O_WRONLY);
	char number[16];

	ASSERT_LE(0, fd);
	snprintf(number, sizeof(number), "%d", fd);
	ASSERT_EQ(0, hold("rename"));
	ASSERT_TRUE(task_start(&self->rename, do_rename, "moves/a/x",
			       "moves/b/x"));
	ASSERT_TRUE(wait_counter("rename", 1));
	ASSERT_TRUE(task_start(&self->use, task_write_fd, number, "late"));
	ASSERT_TRUE(task_waits(&self->use));
	ASSERT_EQ(0, hold("store"));
	ASSERT_EQ(0, release("rename"));
	ASSERT_EQ(0, task_join(&self->rename));
	ASSERT_TRUE(wait_counter("store", 1));

	ASSERT_EQ(0, do_rename("moves/a", "moves/A"));
	ASSERT_TRUE(task_start(&self->rename, do_rename, "moves/b", "moves/B"));
	ASSERT_TRUE(task_waits(&self->rename));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&self->use));
	ASSERT_EQ(0, task_join(&self->rename));
}

TEST_F(outer, change_below_a_moved_item)
{
	ASSERT_EQ(0, do_rename("moves/a/x", "moves/b/x"));
	ASSERT_EQ(0, hold("make"));
	ASSERT_TRUE(task_start(&self->use, task_mkdir, "moves/b/x/y/new",
			       NULL));
	ASSERT_TRUE(wait_counter("make", 1));
	/* su_mutex is held by the mkdir(2), so that no rename can succeed */
	ASSERT_EQ(EBUSY, do_rename("moves/b", "moves/B"));
	ASSERT_TRUE(task_start(&self->rename, do_rename, "moves/a", "moves/A"));
	ASSERT_TRUE(task_waits(&self->rename));
	ASSERT_EQ(0, release("make"));
	ASSERT_EQ(0, task_join(&self->use));
	ASSERT_EQ(0, task_join(&self->rename));
	ASSERT_EQ(0, do_rename("moves/b", "moves/B"));
	ASSERT_TRUE(exists("moves/B/x/y/new"));
}

TEST_F(outer, link_to_below_a_moved_item)
{
	ASSERT_EQ(0, do_rename("moves/a/x", "moves/b/x"));
	ASSERT_EQ(0, do_symlink("moves/b/x/y", "plain/t/link"));
	ASSERT_EQ(EBUSY, do_rename("moves/b", "moves/B"));
	ASSERT_EQ(0, do_rename("moves/a", "moves/A"));
	ASSERT_EQ(0, do_unlink("plain/t/link"));
	ASSERT_EQ(0, do_rename("moves/b", "moves/B"));

	ASSERT_EQ(0, control("depend", "configfs_test/moves/B/x/y"));
	ASSERT_EQ(EBUSY, do_rename("moves/B", "moves/b"));
	ASSERT_EQ(0, do_rename("moves/A", "moves/a"));
	ASSERT_EQ(0, control("undepend", "configfs_test/moves/B/x/y"));
	ASSERT_EQ(0, do_rename("moves/B", "moves/b"));
}

/* Links count for the depth of what they are below, wherever that is. */
TEST_F(outer, link_from_below_a_moved_item)
{
	ASSERT_EQ(0, do_mkdir("moves/c"));
	ASSERT_EQ(0, do_symlink("plain/t", "moves/a/x/y/link"));
	ASSERT_EQ(EBUSY, do_rename("moves/a", "moves/c/a"));
	ASSERT_EQ(0, do_rename("moves/a/x", "moves/b/x"));
	ASSERT_EQ(0, do_rename("moves/a", "moves/c/a"));
	ASSERT_EQ(EBUSY, do_rename("moves/b", "moves/c/b"));
	ASSERT_EQ(0, do_rename("moves/b", "moves/B"));
	ASSERT_STREQ("initial", value_of("moves/B/x/y/link/value"));
	/* back */
	ASSERT_EQ(0, do_rename("moves/c/a", "moves/a"));
	ASSERT_EQ(0, do_rename("moves/B/x", "moves/a/x"));
	ASSERT_EQ(EBUSY, do_rename("moves/a", "moves/c/a"));
	ASSERT_EQ(0, do_rename("moves/B", "moves/c/b"));
	ASSERT_EQ(0, do_unlink("moves/a/x/y/link"));
	ASSERT_EQ(0, do_rename("moves/a", "moves/c/a"));
}

/* Frozen by what it is below now, and by nothing else */
TEST_F(outer, commit_of_what_it_was_below)
{
	ASSERT_EQ(0, do_rename("pendmoves/pending/p/x",
			       "pendmoves/pending/q/x"));
	ASSERT_EQ(0, commit("pendmoves", "p"));
	ASSERT_EQ(0, do_write("pendmoves/pending/q/x/value", "x"));
	ASSERT_EQ(0, do_write("pendmoves/pending/q/x/y/value", "x"));
	ASSERT_STREQ("pending", value_of("pendmoves/pending/q/x/y/state"));
	ASSERT_EQ(0, do_mkdir("pendmoves/pending/q/x/y/z"));
	ASSERT_EQ(EBUSY, do_rename("pendmoves/pending/q/x",
				   "pendmoves/live/p/x"));
	ASSERT_EQ(0, commit("pendmoves", "q"));
	ASSERT_EQ(EBUSY, do_write("pendmoves/live/q/x/value", "y"));
	ASSERT_EQ(EBUSY, do_write("pendmoves/live/q/x/y/value", "y"));
	ASSERT_STREQ("live", value_of("pendmoves/live/q/x/y/state"));
	ASSERT_EQ(EBUSY, do_rmdir("pendmoves/live/q/x/y/z"));
	ASSERT_EQ(0, uncommit("pendmoves", "p"));
	ASSERT_EQ(EBUSY, do_rename("pendmoves/live/q/x",
				   "pendmoves/pending/p/x"));
	ASSERT_EQ(EBUSY, do_write("pendmoves/live/q/x/value", "y"));
	ASSERT_EQ(0, uncommit("pendmoves", "q"));
	ASSERT_EQ(0, do_rename("pendmoves/pending/q/x", "moves/x"));
	ASSERT_EQ(0, commit("pendmoves", "q"));
	ASSERT_EQ(0, do_write("moves/x/y/value", "z"));
}

/* With an inner live one: thawed with the outer one, and itself as it was */
TEST_F(outer, inner_live_item_below_a_moved_one)
{
	ASSERT_EQ(0, do_mkdir("moves/a/x/inner/pending/l"));
	ASSERT_EQ(0, commit("moves/a/x/inner", "l"));
	ASSERT_EQ(0, do_rename("moves/a/x", "pendmoves/pending/q/x"));
	ASSERT_EQ(0, commit("pendmoves", "q"));
	ASSERT_EQ(EBUSY, uncommit("pendmoves/live/q/x/inner", "l"));
	ASSERT_EQ(EBUSY, do_mkdir("pendmoves/live/q/x/inner/pending/m"));
	ASSERT_EQ(EBUSY, do_write("pendmoves/live/q/x/y/value", "x"));
	ASSERT_EQ(0, uncommit("pendmoves", "q"));
	ASSERT_EQ(0, do_write("pendmoves/pending/q/x/y/value", "x"));
	ASSERT_EQ(EBUSY, do_write("pendmoves/pending/q/x/inner/live/l/value",
				  "x"));
	ASSERT_EQ(0, uncommit("pendmoves/pending/q/x/inner", "l"));
	ASSERT_EQ(0, do_write("pendmoves/pending/q/x/inner/pending/l/value",
			      "x"));
}

/* A rename inside is a change of what it is below, on both sides. */
TEST_F(outer, move_in_progress_when_an_outer_rename_comes)
{
	ASSERT_EQ(0, hold("rename"));
	ASSERT_TRUE(task_start(&self->rename, do_rename, "moves/a/x/y",
			       "moves/b/y"));
	ASSERT_TRUE(wait_counter("rename", 1));
	ASSERT_EQ(EBUSY, do_rename("moves/a/x", "moves/a/X"));
	ASSERT_EQ(EBUSY, do_rename("moves/a", "moves/A"));
	ASSERT_EQ(EBUSY, do_rename("moves/b", "moves/B"));
	ASSERT_EQ(1, counter("rename"));
	ASSERT_EQ(0, release("rename"));
	ASSERT_EQ(0, task_join(&self->rename));
	ASSERT_EQ(0, do_rename("moves/a/x", "moves/a/X"));
	ASSERT_EQ(0, do_rename("moves/a", "moves/A"));
	ASSERT_EQ(0, do_rename("moves/b", "moves/B"));
	ASSERT_TRUE(exists("moves/B/y"));
}

/* and it waits when that is under way */
TEST_F(outer, move_that_comes_during_an_outer_rename)
{
	ASSERT_EQ(0, hold("rename"));
	ASSERT_TRUE(task_start(&self->rename, do_rename, "moves/b", "moves/B"));
	ASSERT_TRUE(wait_counter("rename", 1));
	ASSERT_TRUE(task_start(&self->use, do_rename, "moves/a/x/y",
			       "moves/b/y"));
	ASSERT_TRUE(task_waits(&self->use));
	ASSERT_EQ(1, counter("rename"));
	ASSERT_EQ(0, release("rename"));
	ASSERT_EQ(0, task_join(&self->rename));
	ASSERT_EQ(0, task_join(&self->use));
	ASSERT_EQ(2, counter("rename"));
	ASSERT_TRUE(exists("moves/B/y"));
	ASSERT_FALSE(exists("moves/a/x/y"));
}

/* Down the tree and up again: every level in turn */
TEST_F(outer, chain_of_moves)
{
	ASSERT_EQ(0, do_write("moves/a/x/y/value", "deep"));
	ASSERT_EQ(0, do_rename("moves/b", "moves/a/x/y/b"));
	ASSERT_EQ(0, do_rename("moves/a/x/y", "moves/y"));
	ASSERT_EQ(0, do_rename("moves/a", "moves/y/b/a"));
	ASSERT_EQ(0, do_rename("moves/y/b/a/x", "moves/y/b/x"));
	ASSERT_EQ(0, do_rename("moves/y/b", "moves/y/sub/b"));
	ASSERT_EQ(0, do_rename("moves/y", "pendmoves/pending/p/y"));
	ASSERT_STREQ("deep", value_of("pendmoves/pending/p/y/value"));
	ASSERT_EQ(0, commit("pendmoves", "p"));
	ASSERT_EQ(EBUSY, do_write("pendmoves/live/p/y/sub/b/a/value", "x"));
	ASSERT_EQ(EBUSY, do_write("pendmoves/live/p/y/sub/b/x/value", "x"));
	ASSERT_EQ(0, uncommit("pendmoves", "p"));
	ASSERT_EQ(0, do_rename("pendmoves/pending/p/y/sub/b/a",
			       "pendmoves/pending/a"));
	ASSERT_EQ(0, do_rmdir("pendmoves/pending/a"));
	ASSERT_EQ(0, do_rmdir("pendmoves/pending/p/y/sub/b/x"));
	ASSERT_EQ(0, do_rmdir("pendmoves/pending/p/y/sub/b"));
	ASSERT_EQ(0, do_rmdir("pendmoves/pending/p/y"));
}

/*
 * A destination that is being removed
 */

/* The move has not asked the driver yet: it finds that it is too late. */
TEST_F(outer, destination_is_removed_while_a_move_waits)
{
	struct task rmdir;

	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&self->use, do_write, "moves/a/x/value",
			       "slow"));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_TRUE(task_start(&self->rename, do_rename, "moves/a/x",
			       "moves/b/sub/x"));
	ASSERT_TRUE(task_waits(&self->rename));
	/* It takes moves/b off, and waits for those who are in the default group */
	ASSERT_TRUE(task_start(&rmdir, task_rmdir, "moves/b", NULL));
	ASSERT_TRUE(task_waits(&rmdir));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&self->use));
	ASSERT_EQ(ENOENT, task_join(&self->rename));
	ASSERT_EQ(0, task_join(&rmdir));
	ASSERT_EQ(0, counter("rename"));
	ASSERT_FALSE(exists("moves/b"));
	ASSERT_TRUE(exists("moves/a/x"));
	ASSERT_EQ(0, do_rename("moves/a/x", "moves/x"));
}

/* The driver is being asked: now it is the rmdir(2) that is too late. */
TEST_F(outer, destination_is_removed_during_a_move)
{
	ASSERT_EQ(0, hold("rename"));
	ASSERT_TRUE(task_start(&self->rename, do_rename, "moves/a/x",
			       "moves/b/sub/x"));
	ASSERT_TRUE(wait_counter("rename", 1));
	ASSERT_EQ(EBUSY, do_rmdir("moves/b"));
	ASSERT_FALSE(self->rename.done);
	ASSERT_EQ(0, release("rename"));
	ASSERT_EQ(0, task_join(&self->rename));
	ASSERT_EQ(ENOTEMPTY, do_rmdir("moves/b"));
	ASSERT_EQ(0, do_rename("moves/b/sub/x", "moves/x"));
	ASSERT_EQ(0, do_rmdir("moves/b"));
}

/* Refused by the driver, it is in the way no more. */
TEST_F(outer, destination_can_be_removed_after_a_refused_move)
{
	ASSERT_EQ(0, knob("rename", EIO, 0, false));
	ASSERT_EQ(EIO, do_rename("moves/a/x", "moves/b/sub/x"));
	ASSERT_EQ(EIO, do_rename("moves/a/x", "moves/b/x"));
	ASSERT_EQ(EIO, do_rename("moves/a/x", "moves/b/inner/pending/x"));
	ASSERT_EQ(0, do_rmdir("moves/b"));
}

/* The group itself: its directory is locked, and then it is gone. */
TEST_F(outer, move_to_what_is_being_removed)
{
	struct task rmdir;

	ASSERT_EQ(0, hold("drop"));
	ASSERT_TRUE(task_start(&rmdir, task_rmdir, "moves/b", NULL));
	ASSERT_TRUE(wait_counter("drop", 1));
	ASSERT_TRUE(task_start(&self->rename, do_rename, "moves/a/x",
			       "moves/b/x"));
	usleep(100000);
	ASSERT_EQ(0, release("drop"));
	ASSERT_EQ(0, task_join(&rmdir));
	ASSERT_EQ(ENOENT, task_join(&self->rename));
	ASSERT_EQ(0, counter("rename"));
	ASSERT_TRUE(exists("moves/a/x"));
}

/* Somebody is in a directory that was removed. */
TEST_F(outer, move_to_what_was_removed)
{
	ASSERT_EQ(0, chdir("moves/b/sub"));
	ASSERT_EQ(0, do_rmdir("../../b"));
	ASSERT_EQ(ENOENT, do_rename(SUBSYS_DIR "/moves/a/x", "x"));
	ASSERT_EQ(0, chdir(SUBSYS_DIR));
	ASSERT_EQ(0, counter("rename"));
}

/*
 * symlink(2) unlocks its directory to look for the target. Who makes an item of
 * that name meanwhile, and moves it, does not move what symlink(2) works on.
 */
TEST_F(outer, name_of_a_link_is_made_and_moved)
{
	struct task link;

	ASSERT_EQ(0, do_mkdir("../configfs_test2/moves/a"));
	ASSERT_EQ(0, hold("drop"));
	ASSERT_TRUE(task_start(&self->use, task_rmdir,
			       "../configfs_test2/moves/a", NULL));
	ASSERT_TRUE(wait_counter("drop", 1));
	/* Waits for the lock of the directory that the target is looked for in */
	ASSERT_TRUE(task_start(&link, do_symlink, "../configfs_test2/moves/b",
			       "itemmoves/foo"));
	ASSERT_TRUE(task_waits(&link));
	ASSERT_EQ(0, do_mkdir("itemmoves/foo"));
	ASSERT_EQ(0, do_rename("itemmoves/foo", "moves/b/foo"));
	ASSERT_EQ(0, release("drop"));
	ASSERT_EQ(0, task_join(&self->use));
	ASSERT_EQ(ENOENT, task_join(&link));

	ASSERT_EQ(0, do_mkdir("itemmoves/foo"));
	ASSERT_EQ(0, do_rename("moves/b/foo", "moves/b/bar"));
	ASSERT_EQ(0, do_rename("itemmoves/foo", "moves/b/foo"));
}

TEST_F(outer, moved_item_is_in_one_of_two_listings)
{
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(1, listed(i % 2 ? "moves/b/x" : "moves/a/x"));
		ASSERT_EQ(0, listed(i % 2 ? "moves/a/x" : "moves/b/x"));
		ASSERT_EQ(0, do_rename(i % 2 ? "moves/b/x" : "moves/a/x",
				       i % 2 ? "moves/a/x" : "moves/b/x"));
		/* Attributes are found behind what was moved in front of them */
		ASSERT_STREQ("initial", value_of("moves/a/value"));
		ASSERT_STREQ("initial", value_of("moves/b/value"));
	}
}

int main(int argc, char **argv)
{
	test_load();
	return test_harness_run(argc, argv);
}
