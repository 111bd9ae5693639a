// SPDX-License-Identifier: GPL-2.0
/*
 * What rename(2) does in configfs, row by row of the table in
 * Documentation/filesystems/configfs.rst, and what it leaves alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

#define NOBODY	65534

/*
 * Refusals: one stage with something of everything, rows of operations that
 * must fail, and after each of them the same sight.
 */

/* p is pending, l is live, both is both, in each committable group. */
static const struct row stage[] = {
	{ MKDIR, "plain/a" },
	{ MKDIR, "plain/b" },
	{ SYMLINK, "plain/a/link", "plain/b" },

	{ MKDIR, "items/pending/l" },
	{ MKDIR, "items/pending/both" },
	{ RENAME, "items/pending/l", "items/live/l" },
	{ RENAME, "items/pending/both", "items/live/both" },
	{ MKDIR, "items/pending/both" },
	{ MKDIR, "items/pending/p" },

	{ MKDIR, "groups/pending/l" },
	{ RENAME, "groups/pending/l", "groups/live/l" },
	{ MKDIR, "groups/pending/p" },

	{ MKDIR, "makers/pending/l" },
	{ MKDIR, "makers/pending/l/c" },
	{ MKDIR, "makers/pending/l/c/d" },
	{ SYMLINK, "makers/pending/l/c/out", "plain/b" },
	{ RENAME, "makers/pending/l", "makers/live/l" },
	{ MKDIR, "makers/pending/p" },
	{ MKDIR, "makers/pending/p/c" },
	{ MKDIR, "makers/pending/p/c/d" },

	{ MKDIR, "oneway/pending/l" },
	{ RENAME, "oneway/pending/l", "oneway/live/l" },
	{ MKDIR, "oneway/pending/p" },

	{ MKDIR, "nested/pending/l" },
	{ MKDIR, "nested/pending/l/inner/pending/l" },
	{ RENAME, "nested/pending/l/inner/pending/l",
		  "nested/pending/l/inner/live/l" },
	{ MKDIR, "nested/pending/l/inner/pending/p" },
	{ RENAME, "nested/pending/l", "nested/live/l" },
	{ MKDIR, "nested/pending/p" },
	{ MKDIR, "nested/pending/p/inner/pending/l" },
	{ RENAME, "nested/pending/p/inner/pending/l",
		  "nested/pending/p/inner/live/l" },
	{ MKDIR, "nested/pending/p/inner/pending/p" },

	{ MKDIR, "pools/g" },
	{ MKDIR, "pools/g/pending/p" },
	{ MKDIR, "pools/h" },

	{ MKDIR, "../configfs_test2/items/pending/x" },
	{ MKDIR, "../configfs_test2/plain/x" },

	/* Targets of links, themselves and deep below */
	{ MKDIR, "items/pending/target" },
	{ SYMLINK, "plain/a/to_pending", "items/pending/target" },
	{ MKDIR, "items/pending/live_target" },
	{ RENAME, "items/pending/live_target", "items/live/live_target" },
	{ SYMLINK, "plain/a/to_live", "items/live/live_target" },
	{ MKDIR, "makers/pending/deep" },
	{ MKDIR, "makers/pending/deep/c" },
	{ MKDIR, "makers/pending/deep/c/d" },
	{ SYMLINK, "plain/a/to_deep", "makers/pending/deep/c/d" },
	{ MKDIR, "makers/pending/live_deep" },
	{ MKDIR, "makers/pending/live_deep/c" },
	{ MKDIR, "makers/pending/live_deep/c/d" },
	{ RENAME, "makers/pending/live_deep", "makers/live/live_deep" },
	{ SYMLINK, "plain/a/to_live_deep", "makers/live/live_deep/c/d" },
	{ MKDIR, "groups/pending/default" },
	{ SYMLINK, "plain/a/to_default", "groups/pending/default/one/two" },
	{ MKDIR, "makers/pending/self" },
	{ MKDIR, "makers/pending/self/c" },
	{ SYMLINK, "makers/pending/self/c/to_self", "makers/pending/self" },
	{ MKDIR, "nested/pending/linked" },
	{ MKDIR, "nested/pending/linked/inner/pending/i" },
	{ SYMLINK, "plain/a/to_inner", "nested/pending/linked/inner/pending/i" },
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

FIXTURE_VARIANT_ADD(refused, mkdir_outside_of_pending) {
	.rows = (const struct row[]) {
		{ MKDIR, "items/x", .err = EPERM },
		{ MKDIR, "items/live/x", .err = EPERM },
		{ MKDIR, "groups/x", .err = EPERM },
		{ MKDIR, "groups/live/x", .err = EPERM },
		{ MKDIR, "pools/g/x", .err = EPERM },
		{ MKDIR, "pools/g/live/x", .err = EPERM },
		{ MKDIR, "oneway/live/x", .err = EPERM },
		{ MKDIR, "nested/pending/p/inner/x", .err = EPERM },
		{ MKDIR, "nested/pending/p/inner/live/x", .err = EPERM },
		/* No op to make it: that counts more than being frozen */
		{ MKDIR, "nested/live/l/inner/live/x", .err = EPERM },
		{ MKDIR, "nested/live/l/inner/x", .err = EPERM },
		{ MKDIR, "groups/live/l/x", .err = EPERM },
		{ MKDIR, "groups/live/l/one/two/x", .err = EPERM },
		{ MKDIR, "items/live/l/x", .err = EPERM },
		{ MKDIR, "items/live/l", .err = EEXIST },
		{ MKDIR, "items/pending/p", .err = EEXIST },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, rmdir) {
	.rows = (const struct row[]) {
		{ RMDIR, "items/live/l", .err = EBUSY },
		{ RMDIR, "groups/live/l", .err = EBUSY },
		{ RMDIR, "makers/live/l", .err = EBUSY },
		{ RMDIR, "oneway/live/l", .err = EBUSY },
		{ RMDIR, "nested/live/l", .err = EBUSY },
		{ RMDIR, "nested/pending/p/inner/live/l", .err = EBUSY },
		{ RMDIR, "items/pending", .err = EPERM },
		{ RMDIR, "items/live", .err = EPERM },
		{ RMDIR, "pools/h/pending", .err = EPERM },
		{ RMDIR, "pools/h/live", .err = EPERM },
		{ RMDIR, "pools/h/extra", .err = EPERM },
		{ RMDIR, "items", .err = EPERM },
		{ RMDIR, "groups/pending/p/one", .err = EPERM },
		{ RMDIR, "groups/pending/p/one/two", .err = EPERM },
		{ RMDIR, "groups/live/l/one/two", .err = EPERM },
		{ RMDIR, "nested/pending/p/inner", .err = EPERM },
		{ RMDIR, "nested/pending/p/inner/pending", .err = EPERM },
		{ RMDIR, "../configfs_test", .err = EPERM },
		/* As for any item with something in it */
		{ RMDIR, "makers/pending/p", .err = ENOTEMPTY },
		{ RMDIR, "pools/g", .err = ENOTEMPTY },
		{ RMDIR, "nested/pending/p", .err = ENOTEMPTY },
		{ RMDIR, "items/pending/target", .err = EBUSY },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, symlink_to_what_is_no_item) {
	.rows = (const struct row[]) {
		{ SYMLINK, "plain/a/x", "items/pending", .err = EPERM },
		{ SYMLINK, "plain/a/x", "items/live", .err = EPERM },
		{ SYMLINK, "plain/a/x", "nested/pending/p/inner/pending",
		  .err = EPERM },
		/* The root has never been one to link to */
		{ SYMLINK, "plain/a/x", "..", .err = ENOENT },
		{ SYMLINK, "plain/a/x", "/sys/kernel", .err = EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, rename_of_what_the_driver_made) {
	.rows = (const struct row[]) {
		/* pending and live */
		{ RENAME, "items/pending", "items/x", .err = EPERM },
		{ RENAME, "items/live", "items/x", .err = EPERM },
		{ RENAME, "items/live", "groups/x", .err = EPERM },
		{ RENAME, "pools/g/pending", "pools/g/live/x", .err = EPERM },
		{ RENAME, "pools/g/pending", "pools/h/x", .err = EPERM },
		{ RENAME, "nested/pending/p/inner/live",
		  "nested/pending/p/inner/x", .err = EPERM },
		/* other default groups, at all levels */
		{ RENAME, "items", "x", .err = EPERM },
		{ RENAME, "items", "../x", .err = EPERM },
		{ RENAME, "items", "groups/live/items", .err = EPERM },
		{ RENAME, "groups/pending/p/one", "groups/pending/p/x",
		  .err = EPERM },
		{ RENAME, "groups/pending/p/one", "groups/live/one",
		  .err = EPERM },
		{ RENAME, "groups/pending/p/one/two", "groups/pending/p/two",
		  .err = EPERM },
		{ RENAME, "nested/pending/p/inner", "nested/live/inner",
		  .err = EPERM },
		{ RENAME, "pools/g/extra", "pools/g/live/extra", .err = EPERM },
		/* of a live item: still what it is */
		{ RENAME, "groups/live/l/one", "groups/live/l/x",
		  .err = EPERM },
		{ RENAME, "groups/live/l/one/two", "groups/pending/two",
		  .err = EPERM },
		/* subsystems */
		{ RENAME, "../configfs_test", "../x", .err = EPERM },
		{ RENAME, "../configfs_test", "../configfs_test2/x",
		  .err = EPERM },
		{ RENAME, "../configfs_test",
		  "../configfs_test2/items/pending/configfs_test",
		  .err = EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, rename_of_files_and_links) {
	.rows = (const struct row[]) {
		{ RENAME, "items/pending/p/value", "items/pending/p/x",
		  .err = EPERM },
		{ RENAME, "items/pending/p/value", "items/live/value",
		  .err = EPERM },
		{ RENAME, "items/pending/p/blob", "items/pending/p/x",
		  .err = EPERM },
		{ RENAME, "groups/pending/p/one/two/ro", "groups/live/ro",
		  .err = EPERM },
		{ RENAME, "items/live/l/value", "items/live/l/x",
		  .err = EPERM },
		{ RENAME, "items/live/l/value", "items/pending/value",
		  .err = EPERM },
		{ RENAME, "pools/g/value", "pools/g/x", .err = EPERM },
		{ RENAME, "plain/a/link", "plain/a/x", .err = EPERM },
		{ RENAME, "plain/a/link", "plain/b/link", .err = EPERM },
		{ RENAME, "plain/a/link", "items/live/link", .err = EPERM },
		{ RENAME, "makers/live/l/c/out", "makers/live/l/c/x",
		  .err = EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, rename_to_an_existing_name) {
	.rows = (const struct row[]) {
		{ RENAME, "items/pending/both", "items/live/both",
		  .err = EEXIST },
		{ RENAME, "items/live/both", "items/pending/both",
		  .err = EEXIST },
		{ RENAME, "items/pending/both", "items/live/both",
		  RENAME_NOREPLACE, EEXIST },
		{ RENAME, "items/live/both", "items/pending/both",
		  RENAME_NOREPLACE, EEXIST },
		{ RENAME, "items/pending/p", "items/live/l", .err = EEXIST },
		{ RENAME, "items/pending/p", "items/pending/both",
		  .err = EEXIST },
		{ RENAME, "items/live/l", "items/live/both", .err = EEXIST },
		{ RENAME, "items/live/l", "items/pending/p", .err = EEXIST },
		{ RENAME, "items/pending/p", "plain/a", .err = EEXIST },
		{ RENAME, "items/pending/p", "items/live", .err = EEXIST },
		{ RENAME, "items/pending/p",
		  "../configfs_test2/items/pending/x", .err = EEXIST },
		{ RENAME, "items/pending/p/value", "items/pending/p/ro",
		  .err = EEXIST },
		{ RENAME, "items/pending", "items/live", .err = EEXIST },
		{ RENAME, "items", "groups", .err = EEXIST },
		{ RENAME, "../configfs_test", "../configfs_test2",
		  .err = EEXIST },
		/* in front of being frozen or a target */
		{ RENAME, "makers/live/l/c", "makers/pending/p/c",
		  .err = EEXIST },
		{ RENAME, "items/pending/target", "items/live/l",
		  .err = EEXIST },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, rename_by_the_vfs_itself) {
	.rows = (const struct row[]) {
		{ RENAME, "items/pending/none", "items/live/none",
		  .err = ENOENT },
		{ RENAME, "items/live/none", "items/live/l", .err = ENOENT },
		{ RENAME, "items/pending/p", "none/p", .err = ENOENT },
		{ RENAME, "items/pending/p", "items/pending/p/ro/x",
		  .err = ENOTDIR },
		{ RENAME, "items/pending/p/value", "items/live/l",
		  .err = EISDIR },
		{ RENAME, "items/pending/p", "items/live/l/value",
		  .err = ENOTDIR },
		{ RENAME, "makers/pending/p", "makers/pending/p/c/x",
		  .err = EINVAL },
		{ RENAME, "makers/pending/p/c/d", "makers/pending/p",
		  .err = ENOTEMPTY },
		{ RENAME, "items/pending/p", "/tmp/p", .err = EXDEV },
		{ RENAME, "items/pending/p", "items/live/.", .err = EBUSY },
		{ RENAME, "items/pending/..", "items/live/x", .err = EBUSY },
		{ RENAME, "items/pending/both", "items/pending/both",
		  RENAME_NOREPLACE, EEXIST },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, rename_with_flags) {
	.rows = (const struct row[]) {
		{ RENAME, "items/pending/p", "items/live/p", RENAME_WHITEOUT,
		  EINVAL },
		{ RENAME, "items/pending/both", "items/live/both",
		  RENAME_WHITEOUT, EINVAL },
		{ RENAME, "items/pending/p", "items/live/p",
		  RENAME_WHITEOUT | RENAME_NOREPLACE, EINVAL },
		{ RENAME, "items/pending/p", "items/live/p", 1 << 3, EINVAL },
		{ RENAME, "items/pending/p", "items/live/p", 1U << 31, EINVAL },
		{ RENAME, "items/pending/both", "items/live/both",
		  RENAME_EXCHANGE | RENAME_NOREPLACE, EINVAL },
		{ RENAME, "items/pending/both", "items/live/both",
		  RENAME_EXCHANGE | RENAME_WHITEOUT, EINVAL },
		{}
	},
};

/* The driver has no exchange_items(): nothing changes places. */
FIXTURE_VARIANT_ADD(refused, exchange) {
	.rows = (const struct row[]) {
		{ RENAME, "items/pending/both", "items/live/both",
		  RENAME_EXCHANGE, EPERM },
		{ RENAME, "items/live/both", "items/pending/both",
		  RENAME_EXCHANGE, EPERM },
		{ RENAME, "items/pending/p", "items/live/l", RENAME_EXCHANGE,
		  EPERM },
		{ RENAME, "items/pending/p", "items/pending/both",
		  RENAME_EXCHANGE, EPERM },
		{ RENAME, "items/live/l", "items/live/both", RENAME_EXCHANGE,
		  EPERM },
		{ RENAME, "items/pending", "items/live", RENAME_EXCHANGE,
		  EPERM },
		{ RENAME, "items", "groups", RENAME_EXCHANGE, EPERM },
		{ RENAME, "plain/a", "plain/b", RENAME_EXCHANGE, EPERM },
		{ RENAME, "items/pending/p", "groups/pending/p",
		  RENAME_EXCHANGE, EPERM },
		{ RENAME, "items/pending/p/value", "items/pending/p/ro",
		  RENAME_EXCHANGE, EPERM },
		{ RENAME, "plain/a/link", "plain/a/to_live", RENAME_EXCHANGE,
		  EPERM },
		{ RENAME, "items/pending/p/value", "plain/a", RENAME_EXCHANGE,
		  EPERM },
		{ RENAME, "../configfs_test", "../configfs_test2",
		  RENAME_EXCHANGE, EPERM },
		{ RENAME, "items/pending/p",
		  "../configfs_test2/items/pending/x", RENAME_EXCHANGE, EPERM },
		{ RENAME, "items/pending/p", "items/live/p", RENAME_EXCHANGE,
		  ENOENT },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, rename_to_a_new_name) {
	.rows = (const struct row[]) {
		{ RENAME, "items/pending/p", "items/pending/x", .err = EPERM },
		{ RENAME, "items/pending/p", "items/pending/x",
		  RENAME_NOREPLACE, EPERM },
		{ RENAME, "items/pending/p", "items/live/x", .err = EPERM },
		{ RENAME, "items/live/l", "items/pending/x", .err = EPERM },
		{ RENAME, "oneway/live/l", "oneway/pending/x", .err = EPERM },
		{ RENAME, "items/live/l", "items/live/x", .err = EBUSY },
		{ RENAME, "items/live/l", "items/live/x", RENAME_NOREPLACE,
		  EBUSY },
		{ RENAME, "oneway/live/l", "oneway/live/x", .err = EBUSY },
		{ RENAME, "groups/live/l", "groups/live/x", .err = EBUSY },
		{ RENAME, "plain/a", "plain/x", .err = EPERM },
		{ RENAME, "pools/g", "pools/x", .err = EPERM },
		{ RENAME, "makers/pending/p/c", "makers/pending/p/x",
		  .err = EPERM },
		{ RENAME, "makers/pending/p/c/d", "makers/pending/p/c/x",
		  .err = EPERM },
		{ RENAME, "nested/pending/p/inner/pending/p",
		  "nested/pending/p/inner/pending/x", .err = EPERM },
		{ RENAME, "nested/pending/p/inner/live/l",
		  "nested/pending/p/inner/live/x", .err = EBUSY },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, rename_to_another_group) {
	.rows = (const struct row[]) {
		/* of the same kind */
		{ RENAME, "pools/g/pending/p", "pools/h/pending/p",
		  .err = EPERM },
		{ RENAME, "pools/g/pending/p", "pools/h/live/p", .err = EPERM },
		{ RENAME, "nested/pending/p/inner/pending/p",
		  "items/live/x", .err = EPERM },
		{ RENAME, "makers/pending/p/c", "makers/pending/c",
		  .err = EPERM },
		{ RENAME, "makers/pending/p/c", "makers/live/c", .err = EPERM },
		{ RENAME, "makers/pending/deep", "makers/pending/p/deep",
		  .err = EPERM },
		/* of another kind */
		{ RENAME, "items/pending/p", "oneway/live/x", .err = EPERM },
		{ RENAME, "items/pending/p", "groups/live/x", .err = EPERM },
		{ RENAME, "items/live/l", "groups/pending/x", .err = EPERM },
		{ RENAME, "items/pending/p", "items/p", .err = EPERM },
		{ RENAME, "items/live/l", "items/x", .err = EPERM },
		{ RENAME, "items/pending/p", "plain/p", .err = EPERM },
		{ RENAME, "items/pending/p", "p", .err = EPERM },
		{ RENAME, "items/pending/p", "../p", .err = EPERM },
		{ RENAME, "plain/a", "items/pending/a", .err = EPERM },
		{ RENAME, "plain/a", "items/live/a", .err = EPERM },
		{ RENAME, "pools/g/pending/p", "pools/g/p", .err = EPERM },
		{ RENAME, "pools/g", "items/pending/g", .err = EPERM },
		{ RENAME, "pools/g", "pools/h/pending/g", .err = EPERM },
		{ RENAME, "items/pending/p", "items/pending/both/p",
		  .err = EPERM },
		/* into a live item */
		{ RENAME, "makers/pending/p/c/d", "makers/live/l/x",
		  .err = EBUSY },
		/* between subsystems */
		{ RENAME, "items/pending/p",
		  "../configfs_test2/items/pending/p", .err = EPERM },
		{ RENAME, "items/pending/p",
		  "../configfs_test2/items/live/p", .err = EPERM },
		{ RENAME, "items/live/l",
		  "../configfs_test2/items/pending/l", .err = EPERM },
		{ RENAME, "plain/a", "../configfs_test2/plain/a",
		  .err = EPERM },
		{ RENAME, "items", "../configfs_test2/x", .err = EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, without_the_op) {
	.rows = (const struct row[]) {
		{ RENAME, "oneway/live/l", "oneway/pending/l", .err = EPERM },
		{ RENAME, "oneway/live/l", "oneway/pending/l",
		  RENAME_NOREPLACE, EPERM },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, target_of_a_link) {
	.rows = (const struct row[]) {
		{ RENAME, "items/pending/target", "items/live/target",
		  .err = EBUSY },
		{ RENAME, "items/live/live_target",
		  "items/pending/live_target", .err = EBUSY },
		{ RENAME, "makers/pending/deep", "makers/live/deep",
		  .err = EBUSY },
		{ RENAME, "makers/live/live_deep", "makers/pending/live_deep",
		  .err = EBUSY },
		{ RENAME, "groups/pending/default", "groups/live/default",
		  .err = EBUSY },
		/* a link from inside would break as well */
		{ RENAME, "makers/pending/self", "makers/live/self",
		  .err = EBUSY },
		/* of an inner item: neither that nor the outer one */
		{ RENAME, "nested/pending/linked/inner/pending/i",
		  "nested/pending/linked/inner/live/i", .err = EBUSY },
		{ RENAME, "nested/pending/linked", "nested/live/linked",
		  .err = EBUSY },
		/* what is wrong anyway is so first */
		{ RENAME, "items/pending/target", "items/live/x",
		  .err = EPERM },
		{ RENAME, "items/live/live_target", "items/pending/x",
		  .err = EPERM },
		{ RENAME, "items/live/live_target", "items/live/x",
		  .err = EBUSY },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, change_of_a_live_item) {
	.rows = (const struct row[]) {
		{ WRITE, "items/live/l/value", .err = EBUSY },
		{ WRITE, "items/live/l/blob", .err = EBUSY },
		{ WRITE, "oneway/live/l/value", .err = EBUSY },
		{ WRITE, "groups/live/l/value", .err = EBUSY },
		{ WRITE, "groups/live/l/one/value", .err = EBUSY },
		{ WRITE, "groups/live/l/one/two/value", .err = EBUSY },
		{ WRITE, "groups/live/l/one/two/blob", .err = EBUSY },
		{ WRITE, "makers/live/l/value", .err = EBUSY },
		{ WRITE, "makers/live/l/c/value", .err = EBUSY },
		{ WRITE, "makers/live/l/c/d/value", .err = EBUSY },
		{ WRITE, "nested/live/l/inner/value", .err = EBUSY },
		{ WRITE, "nested/live/l/inner/pending/p/value", .err = EBUSY },
		{ WRITE, "nested/live/l/inner/live/l/value", .err = EBUSY },
		{ WRITE, "nested/pending/p/inner/live/l/value", .err = EBUSY },
		/* never writable, live or not */
		{ WRITE, "items/live/l/ro", .err = EACCES },
		{ WRITE, "items/pending/p/ro", .err = EACCES },

		{ MKDIR, "makers/live/l/x", .err = EBUSY },
		{ MKDIR, "makers/live/l/c/x", .err = EBUSY },
		{ MKDIR, "makers/live/l/c/d/x", .err = EBUSY },
		{ MKDIR, "makers/live/l/c", .err = EEXIST },
		{ MKDIR, "nested/live/l/inner/pending/x", .err = EBUSY },

		{ RMDIR, "makers/live/l/c", .err = EBUSY },
		{ RMDIR, "makers/live/l/c/d", .err = EBUSY },
		{ RMDIR, "nested/live/l/inner/pending/p", .err = EBUSY },
		{ RMDIR, "nested/live/l/inner/live/l", .err = EBUSY },

		{ SYMLINK, "items/live/l/x", "plain/b", .err = EBUSY },
		{ SYMLINK, "makers/live/l/x", "plain/b", .err = EBUSY },
		{ SYMLINK, "makers/live/l/c/x", "plain/b", .err = EBUSY },
		{ SYMLINK, "makers/live/l/c/d/x", "plain/b", .err = EBUSY },
		{ SYMLINK, "groups/live/l/one/two/x", "plain/b",
		  .err = EBUSY },
		{ SYMLINK, "nested/live/l/inner/pending/p/x", "plain/b",
		  .err = EBUSY },

		{ UNLINK, "makers/live/l/c/out", .err = EBUSY },

		{ RENAME, "makers/live/l/c", "makers/live/l/x", .err = EBUSY },
		{ RENAME, "makers/live/l/c/d", "makers/live/l/c/x",
		  .err = EBUSY },
		{ RENAME, "makers/live/l/c/d", "makers/live/l/d",
		  .err = EBUSY },
		{ RENAME, "makers/live/l/c", "makers/pending/c",
		  .err = EBUSY },
		{ RENAME, "nested/live/l/inner/pending/p",
		  "nested/live/l/inner/live/p", .err = EBUSY },
		{ RENAME, "nested/live/l/inner/live/l",
		  "nested/live/l/inner/pending/l", .err = EBUSY },
		{ RENAME, "nested/live/l/inner/pending/p",
		  "nested/live/l/inner/pending/x", .err = EBUSY },
		{}
	},
};

FIXTURE_VARIANT_ADD(refused, unlink_of_files) {
	.rows = (const struct row[]) {
		{ UNLINK, "items/pending/p/value", .err = EPERM },
		{ UNLINK, "items/live/l/value", .err = EPERM },
		{}
	},
};

TEST_F_TIMEOUT(refused, and_nothing_changed, 120)
{
	ASSERT_TRUE(rows_refused(variant->rows, self->before, true));
}

/*
 * Commit and uncommit, for groups of every kind
 */

FIXTURE(committable)
{
	struct baseline base;
	char pending[PATH_MAX];
	char live[PATH_MAX];
};

FIXTURE_VARIANT(committable)
{
	const char *parent;	/* to be made first */
	const char *group;
	const char *name;
	const char *below;	/* an attribute somewhere below the item */
	const char *dyn;
};

FIXTURE_VARIANT_ADD(committable, item) {
	.group = "items",
	.name = "foo",
	.below = "value",
};

FIXTURE_VARIANT_ADD(committable, item_with_a_long_name) {
	.group = "items",
	.name = LONG_NAME,
	.below = "value",
};

FIXTURE_VARIANT_ADD(committable, group_with_default_groups) {
	.group = "groups",
	.name = "foo",
	.below = "one/two/value",
};

FIXTURE_VARIANT_ADD(committable, group_that_makes_groups) {
	.group = "makers",
	.name = "foo",
	.below = "value",
};

FIXTURE_VARIANT_ADD(committable, group_with_a_committable_group) {
	.group = "nested",
	.name = "foo",
	.below = "inner/value",
};

FIXTURE_VARIANT_ADD(committable, item_of_an_inner_group) {
	.parent = "nested/pending/outer",
	.group = "nested/pending/outer/inner",
	.name = "foo",
	.below = "value",
};

FIXTURE_VARIANT_ADD(committable, item_of_a_group_made_by_mkdir) {
	.parent = "pools/g",
	.group = "pools/g",
	.name = "foo",
	.below = "value",
};

FIXTURE_VARIANT_ADD(committable, item_of_a_registered_group) {
	.group = "dyn",
	.name = "foo",
	.below = "value",
	.dyn = "1",
};

/* The same names elsewhere are no concern */
FIXTURE_VARIANT_ADD(committable, item_of_the_second_subsystem) {
	.group = "../configfs_test2/items",
	.name = "foo",
	.below = "value",
};

FIXTURE_SETUP(committable)
{
	test_begin(&self->base);
	ASSERT_EQ(0, variant->dyn ? control("dyn", variant->dyn) : 0);
	ASSERT_EQ(0, variant->parent ? do_mkdir(variant->parent) : 0);
	snprintf(self->pending, sizeof(self->pending), "%s/pending/%s",
		 variant->group, variant->name);
	snprintf(self->live, sizeof(self->live), "%s/live/%s", variant->group,
		 variant->name);
	ASSERT_EQ(0, do_mkdir(self->pending));
}

FIXTURE_TEARDOWN(committable)
{
	/* Before purge() can do it: the ordinary way leads to nothing as well */
	if (!_metadata->exit_code) {
		EXPECT_EQ(0, exists(self->live) ? do_rename(self->live,
							    self->pending) : 0);
		EXPECT_EQ(0, do_rmdir(self->pending));
		EXPECT_EQ(0, variant->parent ? do_rmdir(variant->parent) : 0);
		EXPECT_EQ(0, variant->dyn ? control("dyn", "0") : 0);
		EXPECT_EQ(self->base.objects, counter("objects"));
	}
	EXPECT_TRUE(test_end(&self->base));
}

/* The attribute below, wherever the item is */
#define BELOW(_item) ({							\
	static char __path[2 * PATH_MAX];				\
									\
	snprintf(__path, sizeof(__path), "%s/%s", _item, variant->below); \
	__path;								\
})

TEST_F(committable, commit_and_uncommit)
{
	struct stat before, after;

	ASSERT_EQ(0, do_write(BELOW(self->pending), "configured"));
	ASSERT_EQ(0, stat(self->pending, &before));

	for (int i = 1; i <= 3; i++) {
		ASSERT_EQ(0, commit(variant->group, variant->name));
		ASSERT_EQ(i, counter("commit"));
		ASSERT_EQ(i - 1, counter("uncommit"));
		ASSERT_EQ(0, listed(self->pending));
		ASSERT_EQ(1, listed(self->live));
		ASSERT_EQ(0, stat(self->live, &after));
		ASSERT_EQ(before.st_ino, after.st_ino);
		ASSERT_EQ(before.st_nlink, after.st_nlink);
		ASSERT_STREQ("configured", value_of(BELOW(self->live)));
		ASSERT_EQ(EBUSY, do_write(BELOW(self->live), "changed"));
		ASSERT_EQ(EBUSY, do_rmdir(self->live));

		ASSERT_EQ(0, uncommit(variant->group, variant->name));
		ASSERT_EQ(i, counter("commit"));
		ASSERT_EQ(i, counter("uncommit"));
		ASSERT_EQ(0, listed(self->live));
		ASSERT_EQ(1, listed(self->pending));
		ASSERT_EQ(0, stat(self->pending, &after));
		ASSERT_EQ(before.st_ino, after.st_ino);
		ASSERT_EQ(0, do_write(BELOW(self->pending), "again"));
		ASSERT_STREQ("again", value_of(BELOW(self->pending)));
		ASSERT_EQ(0, do_write(BELOW(self->pending), "configured"));
	}
	ASSERT_EQ(0, counter("drop"));
	ASSERT_EQ(0, counter("release"));
}

TEST_F(committable, commit_with_noreplace)
{
	ASSERT_EQ(0, do_rename_flags(self->pending, self->live,
				     RENAME_NOREPLACE));
	ASSERT_TRUE(exists(self->live));
	ASSERT_EQ(0, do_rename_flags(self->live, self->pending,
				     RENAME_NOREPLACE));
	ASSERT_TRUE(exists(self->pending));
}

/* To the VFS this is no operation at all. */
TEST_F(committable, rename_to_itself)
{
	char *before;

	usleep(20000);
	before = snapshot(SNAP_CALLS);
	ASSERT_EQ(0, do_rename(self->pending, self->pending));
	ASSERT_EQ(0, do_rename(variant->group, variant->group));
	ASSERT_EQ(0, do_rename(BELOW(self->pending), BELOW(self->pending)));
	ASSERT_EQ(0, do_rename(SUBSYS_DIR, SUBSYS_DIR));
	ASSERT_TRUE(unchanged(before, SNAP_CALLS));
	ASSERT_EQ(0, commit(variant->group, variant->name));
	ASSERT_EQ(0, do_rename(self->live, self->live));
	ASSERT_EQ(0, do_rename(BELOW(self->live), BELOW(self->live)));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(0, counter("uncommit"));
}

/* Create foo, commit it, create another foo: a live one runs on undisturbed. */
TEST_F(committable, name_is_used_twice)
{
	struct stat first, second, now;
	char *before;

	ASSERT_EQ(0, do_write(BELOW(self->pending), "first"));
	ASSERT_EQ(0, stat(self->pending, &first));
	ASSERT_EQ(0, commit(variant->group, variant->name));
	ASSERT_EQ(0, do_mkdir(self->pending));
	ASSERT_EQ(0, do_write(BELOW(self->pending), "second"));
	ASSERT_EQ(0, stat(self->pending, &second));
	ASSERT_NE(first.st_ino, second.st_ino);
	usleep(20000);

	before = snapshot(SNAP_CALLS);
	ASSERT_EQ(EEXIST, commit(variant->group, variant->name));
	ASSERT_TRUE(unchanged(before, SNAP_CALLS));
	ASSERT_EQ(EEXIST, uncommit(variant->group, variant->name));
	ASSERT_TRUE(unchanged(before, SNAP_CALLS));
	ASSERT_EQ(EEXIST, do_rename_flags(self->pending, self->live,
					  RENAME_NOREPLACE));
	ASSERT_EQ(EEXIST, do_rename_flags(self->live, self->pending,
					  RENAME_NOREPLACE));
	ASSERT_TRUE(unchanged(before, SNAP_CALLS));
	ASSERT_STREQ("first", value_of(BELOW(self->live)));
	ASSERT_STREQ("second", value_of(BELOW(self->pending)));

	/* Without the second one there is room for the first one */
	ASSERT_EQ(0, do_rmdir(self->pending));
	ASSERT_EQ(0, uncommit(variant->group, variant->name));
	ASSERT_EQ(0, stat(self->pending, &now));
	ASSERT_EQ(first.st_ino, now.st_ino);
	ASSERT_STREQ("first", value_of(BELOW(self->pending)));
	ASSERT_EQ(0, do_write(BELOW(self->pending), "thawed"));
	ASSERT_STREQ("thawed", value_of(BELOW(self->pending)));
}

/* Each of them is listed once, in the right place, along with others. */
TEST_F(committable, neighbours_stay)
{
	char other[PATH_MAX];

	snprintf(other, sizeof(other), "%s/pending/other", variant->group);
	ASSERT_EQ(0, do_mkdir(other));
	ASSERT_EQ(0, commit(variant->group, "other"));
	ASSERT_EQ(0, commit(variant->group, variant->name));
	ASSERT_EQ(0, uncommit(variant->group, "other"));
	ASSERT_EQ(1, listed(self->live));
	ASSERT_EQ(0, listed(self->pending));
	ASSERT_EQ(1, listed(other));
	/* Attributes are found behind what was moved in front of them */
	ASSERT_STREQ("initial", value_of(BELOW(other)));
	ASSERT_EQ(0, do_rmdir(other));
	ASSERT_EQ(0, uncommit(variant->group, variant->name));
}

TEST_F(committable, refused_commit_changes_nothing)
{
	static const int errors[] = {
		EINVAL, ENODEV, EIO, EDQUOT, EBUSY, ENOMEM, EAGAIN, ENOSPC
	};
	char *before;

	ASSERT_EQ(0, do_write(BELOW(self->pending), "configured"));
	usleep(20000);
	before = snapshot(0);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		ASSERT_EQ(0, knob("commit", errors[i], 0, false));
		ASSERT_EQ(errors[i], commit(variant->group, variant->name));
		ASSERT_EQ(i + 1, counter("commit"));
		ASSERT_TRUE(unchanged(before, 0));
	}
	/* Nor is anything left behind that is in the way of another try */
	ASSERT_EQ(0, do_write(BELOW(self->pending), "changed"));
	ASSERT_EQ(0, knob("commit", 0, 0, false));
	ASSERT_EQ(0, commit(variant->group, variant->name));
	ASSERT_STREQ("changed", value_of(BELOW(self->live)));
	ASSERT_EQ(0, uncommit(variant->group, variant->name));
}

TEST_F(committable, refused_uncommit_changes_nothing)
{
	static const int errors[] = { EINVAL, ENODEV, EIO, EDQUOT, EBUSY };
	char *before;

	ASSERT_EQ(0, commit(variant->group, variant->name));
	usleep(20000);
	before = snapshot(0);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		ASSERT_EQ(0, knob("uncommit", errors[i], 0, false));
		ASSERT_EQ(errors[i], uncommit(variant->group, variant->name));
		ASSERT_EQ(i + 1, counter("uncommit"));
		ASSERT_TRUE(unchanged(before, 0));
	}
	ASSERT_EQ(EBUSY, do_write(BELOW(self->live), "changed"));
	ASSERT_EQ(0, knob("uncommit", 0, 0, false));
	ASSERT_EQ(0, uncommit(variant->group, variant->name));
}

/* An item that is removed after it was live is gone for good. */
TEST_F(committable, removed_item_can_be_made_again)
{
	ASSERT_EQ(0, commit(variant->group, variant->name));
	ASSERT_EQ(0, uncommit(variant->group, variant->name));
	ASSERT_EQ(0, do_rmdir(self->pending));
	ASSERT_EQ(1, counter("drop"));
	ASSERT_EQ(1, counter("disconnect"));
	ASSERT_EQ(ENOENT, commit(variant->group, variant->name));
	ASSERT_EQ(0, do_mkdir(self->pending));
	ASSERT_STREQ("initial", value_of(BELOW(self->pending)));
	ASSERT_EQ(0, commit(variant->group, variant->name));
	ASSERT_EQ(0, uncommit(variant->group, variant->name));
}

/*
 * What rename(2) promises on any file system
 */

TEST_F(committable, times_and_link_counts)
{
	const struct timespec past[2] = { { .tv_sec = 1000 },
					  { .tv_sec = 1000 } };
	char dir[2][PATH_MAX + 8];
	struct stat parent[2], now[2], item, item_now;

	snprintf(dir[0], sizeof(dir[0]), "%s/pending", variant->group);
	snprintf(dir[1], sizeof(dir[1]), "%s/live", variant->group);

	for (int to = 1; to >= 0; to--) {
		const char *path = to ? self->pending : self->live;
		const char *target = to ? self->live : self->pending;

		for (int i = 0; i < 2; i++) {
			ASSERT_EQ(0, utimensat(AT_FDCWD, dir[i], past, 0));
			ASSERT_EQ(0, stat(dir[i], &parent[i]));
			ASSERT_EQ(1000, parent[i].st_mtim.tv_sec);
		}
		ASSERT_EQ(0, utimensat(AT_FDCWD, path, past, 0));
		ASSERT_EQ(0, stat(path, &item));
		usleep(20000);

		ASSERT_EQ(0, do_rename(path, target));

		for (int i = 0; i < 2; i++) {
			ASSERT_EQ(0, stat(dir[i], &now[i]));
			/* mtime and ctime are those of the rename */
			EXPECT_LE(parent[i].st_ctim.tv_sec,
				  now[i].st_mtim.tv_sec);
			EXPECT_FALSE(parent[i].st_ctim.tv_sec ==
				     now[i].st_ctim.tv_sec &&
				     parent[i].st_ctim.tv_nsec ==
				     now[i].st_ctim.tv_nsec);
			EXPECT_EQ(now[i].st_mtim.tv_sec, now[i].st_ctim.tv_sec);
			EXPECT_EQ(now[i].st_mtim.tv_nsec,
				  now[i].st_ctim.tv_nsec);
		}
		EXPECT_EQ(parent[!to].st_nlink - 1, now[!to].st_nlink);
		EXPECT_EQ(parent[to].st_nlink + 1, now[to].st_nlink);

		ASSERT_EQ(0, stat(target, &item_now));
		EXPECT_EQ(item.st_nlink, item_now.st_nlink);
		EXPECT_EQ(1000, item_now.st_mtim.tv_sec);
		EXPECT_FALSE(item.st_ctim.tv_sec == item_now.st_ctim.tv_sec &&
			     item.st_ctim.tv_nsec == item_now.st_ctim.tv_nsec);
	}
}

TEST_F(committable, mode_and_owner_stay)
{
	struct stat st;

	ASSERT_EQ(0, chmod(self->pending, 0711));
	ASSERT_EQ(0, chown(self->pending, 1, 2));
	ASSERT_EQ(0, chmod(BELOW(self->pending), 0600));
	ASSERT_EQ(0, chown(BELOW(self->pending), 3, 4));
	for (int i = 0; i < 2; i++) {
		const char *path = i ? self->pending : self->live;

		ASSERT_EQ(0, do_rename(i ? self->live : self->pending, path));
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(S_IFDIR | 0711, st.st_mode);
		EXPECT_EQ(1, st.st_uid);
		EXPECT_EQ(2, st.st_gid);
		ASSERT_EQ(0, stat(BELOW(path), &st));
		EXPECT_EQ(S_IFREG | 0600, st.st_mode);
		EXPECT_EQ(3, st.st_uid);
		EXPECT_EQ(4, st.st_gid);
	}
}

/* Files opened before: reading goes on, writing is what the state allows. */
TEST_F(committable, open_files_stay)
{
	char buf[64];
	int fd, dir, stores;
	struct stat st, fst;

	fd = open(BELOW(self->pending), O_RDWR);
	ASSERT_LE(0, fd);
	dir = open(self->pending, O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, dir);
	ASSERT_EQ(0, do_write_fd(fd, "one"));

	ASSERT_EQ(0, commit(variant->group, variant->name));
	stores = counter("store");
	ASSERT_EQ(EBUSY, do_write_fd(fd, "two"));
	ASSERT_EQ(EBUSY, do_write_fd(fd, "three"));
	ASSERT_EQ(stores, counter("store"));
	ASSERT_EQ(4, pread(fd, buf, sizeof(buf), 0));
	ASSERT_EQ(0, memcmp("one\n", buf, 4));
	ASSERT_EQ(0, fstat(fd, &fst));
	ASSERT_EQ(0, stat(BELOW(self->live), &st));
	ASSERT_EQ(st.st_ino, fst.st_ino);
	ASSERT_EQ(0, fstat(dir, &fst));
	ASSERT_EQ(0, stat(self->live, &st));
	ASSERT_EQ(st.st_ino, fst.st_ino);
	ASSERT_EQ(0, faccessat(dir, variant->below, R_OK, 0));

	ASSERT_EQ(0, uncommit(variant->group, variant->name));
	ASSERT_EQ(stores, counter("store"));
	ASSERT_EQ(0, do_write_fd(fd, "four"));
	ASSERT_EQ(stores + 1, counter("store"));
	ASSERT_STREQ("four", value_of(BELOW(self->pending)));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, close(dir));
}

TEST_F(committable, working_directory_stays)
{
	char cwd[PATH_MAX], want[3 * PATH_MAX], back[PATH_MAX];
	struct stat st, here;

	ASSERT_EQ(0, chdir(variant->group));
	ASSERT_NE(NULL, getcwd(want, PATH_MAX));
	strcat(want, "/live/");
	strcat(want, variant->name);
	ASSERT_EQ(0, chdir("pending"));
	ASSERT_EQ(0, chdir(variant->name));

	/* The process itself and its paths relative to the item */
	ASSERT_EQ(0, stat(".", &st));
	snprintf(cwd, sizeof(cwd), "../../live/%s", variant->name);
	snprintf(back, sizeof(back), "../../pending/%s", variant->name);
	ASSERT_EQ(0, do_rename(back, cwd));

	ASSERT_EQ(0, stat(".", &here));
	ASSERT_EQ(st.st_ino, here.st_ino);
	ASSERT_NE(NULL, getcwd(cwd, sizeof(cwd)));
	ASSERT_STREQ(want, cwd);
	ASSERT_STREQ("initial", value_of(variant->below));
	ASSERT_EQ(EBUSY, do_write(variant->below, "changed"));
	/* .. is live/ */
	ASSERT_EQ(0, stat("..", &st));
	ASSERT_EQ(0, stat("../../live", &here));
	ASSERT_EQ(st.st_ino, here.st_ino);

	snprintf(cwd, sizeof(cwd), "../../live/%s", variant->name);
	ASSERT_EQ(0, do_rename(cwd, back));
	ASSERT_EQ(0, do_write(variant->below, "changed"));
	ASSERT_EQ(0, chdir(SUBSYS_DIR));
}

TEST_F(committable, inotify_sees_a_move)
{
	const char *path[2] = { self->pending, self->live };
	char parent[PATH_MAX];
	struct watch watch;
	int dir[2], item;

	ASSERT_TRUE(watch_start(&watch));
	snprintf(parent, sizeof(parent), "%s/pending", variant->group);
	dir[0] = watch_add(&watch, parent);
	ASSERT_LE(0, dir[0]);
	snprintf(parent, sizeof(parent), "%s/live", variant->group);
	dir[1] = watch_add(&watch, parent);
	ASSERT_LE(0, dir[1]);
	item = watch_add(&watch, self->pending);
	ASSERT_LE(0, item);

	for (int to = 1; to >= 0; to--) {
		/* What is refused is not seen */
		ASSERT_EQ(0, knob(to ? "commit" : "uncommit", EIO, 0, false));
		ASSERT_EQ(EIO, do_rename(path[!to], path[to]));
		ASSERT_TRUE(watch_sees_nothing(&watch));
		ASSERT_EQ(0, knob(to ? "commit" : "uncommit", 0, 0, false));

		ASSERT_EQ(0, do_rename(path[!to], path[to]));
		ASSERT_TRUE(watch_sees_move(&watch, dir[!to], variant->name,
					    dir[to], variant->name, item));
		ASSERT_TRUE(watch_sees_nothing(&watch));
	}
	ASSERT_EQ(0, close(watch.fd));
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

TEST_F(committable, unprivileged_callers_need_the_directories)
{
	struct rename_args there = { self->pending, self->live };
	struct rename_args back = { self->live, self->pending };
	char dir[2][PATH_MAX];
	char *before;

	snprintf(dir[0], sizeof(dir[0]), "%s/pending", variant->group);
	snprintf(dir[1], sizeof(dir[1]), "%s/live", variant->group);

	/* One after the other; the last one is needed as ".." changes */
	before = snapshot(SNAP_CALLS);
	ASSERT_EQ(EACCES, as_user(NOBODY, rename_in_child, &there));
	ASSERT_TRUE(unchanged(before, SNAP_CALLS));
	ASSERT_EQ(0, chown(dir[0], NOBODY, NOBODY));
	ASSERT_EQ(EACCES, as_user(NOBODY, rename_in_child, &there));
	ASSERT_EQ(0, chown(dir[1], NOBODY, NOBODY));
	ASSERT_EQ(EACCES, as_user(NOBODY, rename_in_child, &there));
	ASSERT_EQ(0, counter("commit"));
	ASSERT_EQ(0, chown(self->pending, NOBODY, NOBODY));
	ASSERT_EQ(0, as_user(NOBODY, rename_in_child, &there));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(0, as_user(NOBODY, rename_in_child, &back));
	ASSERT_EQ(0, as_user(NOBODY, rename_in_child, &there));

	/* and back again, with the same permissions */
	ASSERT_EQ(0, chown(dir[0], 0, 0));
	ASSERT_EQ(EACCES, as_user(NOBODY, rename_in_child, &back));
	ASSERT_EQ(0, chown(dir[0], NOBODY, NOBODY));
	ASSERT_EQ(0, chown(dir[1], 0, 0));
	ASSERT_EQ(EACCES, as_user(NOBODY, rename_in_child, &back));
	ASSERT_EQ(1, counter("uncommit"));
	ASSERT_EQ(0, as_user(0, rename_in_child, &back));
	ASSERT_EQ(0, chown(dir[0], 0, 0));
}

/* In a mount namespace that ends with this process */
TEST_F(committable, bind_mounts)
{
	char root[] = "/tmp/configfs_test.XXXXXX";
	char path[PATH_MAX];

	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_NE(NULL, mkdtemp(root));

	/* From one mount to another, of the same files: the VFS says no */
	ASSERT_EQ(0, mount(variant->group, root, NULL, MS_BIND, NULL));
	snprintf(path, sizeof(path), "%s/live/%s", root, variant->name);
	ASSERT_EQ(EXDEV, do_rename(self->pending, path));
	snprintf(path, sizeof(path), "%s/pending/%s", root, variant->name);
	ASSERT_EQ(EXDEV, do_rename(path, self->live));
	ASSERT_EQ(0, counter("commit"));

	/* within one it is as everywhere */
	ASSERT_EQ(0, commit(root, variant->name));
	ASSERT_TRUE(exists(self->live));
	ASSERT_FALSE(exists(self->pending));
	ASSERT_EQ(0, uncommit(root, variant->name));
	ASSERT_FALSE(exists(self->live));
	ASSERT_TRUE(exists(self->pending));

	/* and read-only is read-only */
	ASSERT_EQ(0, mount(NULL, root, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY,
			   NULL));
	ASSERT_EQ(EROFS, commit(root, variant->name));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(0, umount2(root, MNT_DETACH));

	/* pending/ alone */
	snprintf(path, sizeof(path), "%s/pending", variant->group);
	ASSERT_EQ(0, mount(path, root, NULL, MS_BIND, NULL));
	snprintf(path, sizeof(path), "%s/%s", root, variant->name);
	ASSERT_EQ(EXDEV, do_rename(path, self->live));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(0, umount2(root, MNT_DETACH));
	ASSERT_EQ(0, rmdir(root));

	/* an item that is a mount point */
	ASSERT_EQ(0, mount("none", self->pending, "tmpfs", 0, NULL));
	ASSERT_EQ(EBUSY, do_rename(self->pending, self->live));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(0, umount2(self->pending, MNT_DETACH));
	ASSERT_EQ(0, do_rename(self->pending, self->live));
}

/* Frozen is what would change the configuration, and nothing else. */
TEST_F(committable, live_item_can_be_looked_at)
{
	const struct timespec times[2] = { { .tv_sec = 5 }, { .tv_sec = 6 } };
	const struct inotify_event *event;
	struct watch watch;
	char buf[64];
	struct stat st;
	int fd, dir;

	ASSERT_TRUE(watch_start(&watch));
	ASSERT_EQ(0, commit(variant->group, variant->name));

	ASSERT_STREQ("initial", value_of(BELOW(self->live)));
	fd = open(BELOW(self->live), O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(8, read(fd, buf, sizeof(buf)));
	ASSERT_EQ(EBUSY, do_write_fd(fd, "changed"));
	ASSERT_EQ(0, close(fd));
	dir = open(self->live, O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, dir);
	ASSERT_EQ(0, close(dir));

	ASSERT_LE(0, watch_add(&watch, self->live));
	ASSERT_EQ(0, chmod(self->live, 0750));
	ASSERT_EQ(0, chown(self->live, 1, 2));
	ASSERT_EQ(0, utimensat(AT_FDCWD, self->live, times, 0));
	ASSERT_EQ(0, stat(self->live, &st));
	ASSERT_EQ(S_IFDIR | 0750, st.st_mode);
	ASSERT_EQ(1, st.st_uid);
	ASSERT_EQ(2, st.st_gid);
	ASSERT_EQ(6, st.st_mtim.tv_sec);
	event = watch_next(&watch);
	ASSERT_NE(NULL, event);
	ASSERT_EQ(IN_ATTRIB, event->mask & ~IN_ISDIR);
	ASSERT_EQ(0, close(watch.fd));

	ASSERT_EQ(0, chmod(BELOW(self->live), 0640));
	ASSERT_EQ(0, chown(BELOW(self->live), 3, 4));
	ASSERT_EQ(0, utimensat(AT_FDCWD, BELOW(self->live), times, 0));
	ASSERT_EQ(0, stat(BELOW(self->live), &st));
	ASSERT_EQ(S_IFREG | 0640, st.st_mode);
	ASSERT_EQ(3, st.st_uid);
	ASSERT_EQ(4, st.st_gid);

	ASSERT_EQ(0, uncommit(variant->group, variant->name));
	ASSERT_EQ(0, stat(self->pending, &st));
	ASSERT_EQ(S_IFDIR | 0750, st.st_mode);
}

/*
 * Items that others need: targets of links, and dependents
 */

FIXTURE(links)
{
	struct baseline base;
};

FIXTURE_SETUP(links)
{
	test_begin(&self->base);
}

FIXTURE_TEARDOWN(links)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(links, target_of_a_link_does_not_move)
{
	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, do_symlink("items/pending/foo", "plain/a/link"));
	ASSERT_EQ(EBUSY, commit("items", "foo"));
	ASSERT_EQ(0, counter("commit"));
	ASSERT_STREQ("initial", value_of("plain/a/link/value"));
	ASSERT_EQ(0, do_unlink("plain/a/link"));

	/* without the link it does, and the other way it is the same */
	ASSERT_EQ(0, commit("items", "foo"));
	ASSERT_EQ(0, do_symlink("items/live/foo", "plain/a/link"));
	ASSERT_EQ(EBUSY, uncommit("items", "foo"));
	ASSERT_EQ(0, counter("uncommit"));
	ASSERT_STREQ("live", value_of("plain/a/link/ro"));
	ASSERT_EQ(0, do_unlink("plain/a/link"));
	ASSERT_EQ(0, uncommit("items", "foo"));
}

/* A link that was refused, or is gone, is not in the way */
TEST_F(links, links_that_came_to_nothing)
{
	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, knob("allow_link", EACCES, 0, false));
	ASSERT_EQ(EACCES, do_symlink("items/pending/foo", "plain/a/link"));
	ASSERT_EQ(0, knob("allow_link", 0, 0, false));
	ASSERT_EQ(EEXIST, do_symlink("items/pending/foo", "plain/a/value"));
	ASSERT_EQ(0, commit("items", "foo"));
	ASSERT_EQ(0, uncommit("items", "foo"));
}

TEST_F(links, deep_targets)
{
	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, do_mkdir("makers/pending/foo"));
	ASSERT_EQ(0, do_mkdir("makers/pending/foo/c"));
	ASSERT_EQ(0, do_mkdir("makers/pending/foo/c/d"));
	ASSERT_EQ(0, do_symlink("makers/pending/foo/c/d", "plain/a/one"));
	ASSERT_EQ(0, do_symlink("makers/pending/foo/c", "plain/a/two"));
	ASSERT_EQ(EBUSY, commit("makers", "foo"));
	ASSERT_EQ(0, do_unlink("plain/a/one"));
	ASSERT_EQ(EBUSY, commit("makers", "foo"));
	ASSERT_EQ(0, do_unlink("plain/a/two"));
	ASSERT_EQ(0, commit("makers", "foo"));
	ASSERT_EQ(0, do_symlink("makers/live/foo/c/d", "plain/a/one"));
	ASSERT_EQ(EBUSY, uncommit("makers", "foo"));
	ASSERT_EQ(0, do_unlink("plain/a/one"));
	ASSERT_EQ(0, uncommit("makers", "foo"));
}

/* Links out of an item move with it, and lead where they did. */
TEST_F(links, outgoing_links_resolve_after_the_move)
{
	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, do_write("plain/a/value", "target"));
	ASSERT_EQ(0, do_mkdir("../configfs_test2/plain/a"));
	ASSERT_EQ(0, do_write("../configfs_test2/plain/a/value", "other"));
	ASSERT_EQ(0, do_mkdir("makers/pending/foo"));
	ASSERT_EQ(0, do_mkdir("makers/pending/foo/c"));
	ASSERT_EQ(0, do_symlink("plain/a", "makers/pending/foo/link"));
	ASSERT_EQ(0, do_symlink("plain/a", "makers/pending/foo/c/link"));
	ASSERT_EQ(0, do_symlink("../configfs_test2/plain/a",
				"makers/pending/foo/c/second"));

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, commit("makers", "foo"));
		ASSERT_STREQ("target", value_of("makers/live/foo/link/value"));
		ASSERT_STREQ("target",
			     value_of("makers/live/foo/c/link/value"));
		ASSERT_STREQ("other",
			     value_of("makers/live/foo/c/second/value"));
		/* The target is not frozen by a live item that links to it */
		ASSERT_EQ(0, do_write("makers/live/foo/link/value", "target"));
		ASSERT_EQ(EBUSY, do_unlink("makers/live/foo/link"));
		ASSERT_EQ(EBUSY, do_rmdir("plain/a"));
		ASSERT_EQ(0, uncommit("makers", "foo"));
		ASSERT_STREQ("target",
			     value_of("makers/pending/foo/c/link/value"));
	}
	ASSERT_EQ(0, do_unlink("makers/pending/foo/link"));
	ASSERT_EQ(0, do_unlink("makers/pending/foo/c/link"));
	ASSERT_EQ(0, do_unlink("makers/pending/foo/c/second"));
	ASSERT_EQ(0, do_rmdir("plain/a"));
	ASSERT_EQ(3, counter("drop_link"));
}

/* From the item itself, or from one of its descendants to another */
TEST_F(links, link_inside_of_an_item)
{
	ASSERT_EQ(0, do_mkdir("makers/pending/foo"));
	ASSERT_EQ(0, do_mkdir("makers/pending/foo/c"));
	ASSERT_EQ(0, do_symlink("makers/pending/foo",
				"makers/pending/foo/c/up"));
	ASSERT_EQ(EBUSY, commit("makers", "foo"));
	ASSERT_EQ(0, do_unlink("makers/pending/foo/c/up"));
	ASSERT_EQ(0, do_symlink("makers/pending/foo/c",
				"makers/pending/foo/down"));
	ASSERT_EQ(EBUSY, commit("makers", "foo"));
	ASSERT_EQ(0, do_unlink("makers/pending/foo/down"));
	ASSERT_EQ(0, commit("makers", "foo"));
}

/* What links to the outer item says nothing about where the inner one is. */
TEST_F(links, link_to_the_outer_item)
{
	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, do_mkdir("nested/pending/foo"));
	ASSERT_EQ(0, do_mkdir("nested/pending/foo/inner/pending/bar"));
	ASSERT_EQ(0, do_symlink("nested/pending/foo", "plain/a/link"));
	ASSERT_EQ(EBUSY, commit("nested", "foo"));
	ASSERT_EQ(0, commit("nested/pending/foo/inner", "bar"));
	ASSERT_EQ(EBUSY, commit("nested", "foo"));
	ASSERT_EQ(0, uncommit("nested/pending/foo/inner", "bar"));
	ASSERT_EQ(0, do_unlink("plain/a/link"));
	ASSERT_EQ(0, commit("nested", "foo"));
}

FIXTURE(depended)
{
	struct baseline base;
};

/* The same function from outside, and the other one from two subsystems */
FIXTURE_VARIANT(depended)
{
	const char *file;
};

FIXTURE_VARIANT_ADD(depended, from_outside) {
	.file = CONTROL_DIR "/depend",
};

FIXTURE_VARIANT_ADD(depended, from_a_callback) {
	.file = SUBSYS_DIR "/control/depend",
};

FIXTURE_VARIANT_ADD(depended, from_a_callback_of_another_subsystem) {
	.file = SUBSYS_DIR "2/control/depend",
};

FIXTURE_SETUP(depended)
{
	test_begin(&self->base);
}

FIXTURE_TEARDOWN(depended)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(depended, item)
{
	char *before;

	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, do_write(variant->file, "configfs_test/items/foo"));
	usleep(20000);
	before = snapshot(SNAP_CALLS);
	ASSERT_EQ(EBUSY, commit("items", "foo"));
	ASSERT_EQ(EBUSY, do_rmdir("items/pending/foo"));
	ASSERT_TRUE(unchanged(before, SNAP_CALLS));
	/* It is no change of the item itself */
	ASSERT_EQ(0, do_write("items/pending/foo/value", "written"));

	/* Two dependents, one after the other */
	ASSERT_EQ(0, do_write(variant->file, "configfs_test/items/foo"));
	ASSERT_EQ(0, control("undepend", "configfs_test/items/foo"));
	ASSERT_EQ(EBUSY, commit("items", "foo"));
	ASSERT_EQ(0, control("undepend", "configfs_test/items/foo"));
	ASSERT_EQ(EINVAL, control("undepend", "configfs_test/items/foo"));
	ASSERT_EQ(0, commit("items", "foo"));

	ASSERT_EQ(0, do_write(variant->file, "configfs_test/items/foo"));
	usleep(20000);
	before = snapshot(SNAP_CALLS);
	ASSERT_EQ(EBUSY, uncommit("items", "foo"));
	ASSERT_TRUE(unchanged(before, SNAP_CALLS));
	ASSERT_EQ(0, control("undepend", "configfs_test/items/foo"));
	ASSERT_EQ(0, uncommit("items", "foo"));
}

TEST_F(depended, something_below)
{
	static const char * const deep[] = {
		"configfs_test/makers/foo/c",
		"configfs_test/makers/foo/c/d",
	};

	ASSERT_EQ(0, do_mkdir("makers/pending/foo"));
	ASSERT_EQ(0, do_mkdir("makers/pending/foo/c"));
	ASSERT_EQ(0, do_mkdir("makers/pending/foo/c/d"));
	ASSERT_EQ(0, do_mkdir("groups/pending/foo"));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, do_write(variant->file, deep[i]));
		ASSERT_EQ(EBUSY, commit("makers", "foo"));
		ASSERT_EQ(0, control("undepend", deep[i]));
		ASSERT_EQ(0, commit("makers", "foo"));
		ASSERT_EQ(0, do_write(variant->file, deep[i]));
		ASSERT_EQ(EBUSY, uncommit("makers", "foo"));
		ASSERT_EQ(0, control("undepend", deep[i]));
		ASSERT_EQ(0, uncommit("makers", "foo"));
	}
	ASSERT_EQ(0, do_write(variant->file,
			      "configfs_test/groups/foo/one/two"));
	ASSERT_EQ(EBUSY, commit("groups", "foo"));
	ASSERT_EQ(0, control("undepend", "configfs_test/groups/foo/one/two"));
	ASSERT_EQ(0, commit("groups", "foo"));
}

TEST_F(depended, inner_and_outer_item)
{
	ASSERT_EQ(0, do_mkdir("nested/pending/foo"));
	ASSERT_EQ(0, do_mkdir("nested/pending/foo/inner/pending/bar"));

	ASSERT_EQ(0, do_write(variant->file,
			      "configfs_test/nested/foo/inner/bar"));
	ASSERT_EQ(EBUSY, commit("nested/pending/foo/inner", "bar"));
	ASSERT_EQ(EBUSY, commit("nested", "foo"));
	ASSERT_EQ(0, control("undepend", "configfs_test/nested/foo/inner/bar"));

	ASSERT_EQ(0, do_write(variant->file, "configfs_test/nested/foo"));
	ASSERT_EQ(EBUSY, commit("nested", "foo"));
	ASSERT_EQ(0, commit("nested/pending/foo/inner", "bar"));
	ASSERT_EQ(0, control("undepend", "configfs_test/nested/foo"));

	/* The inner one is live, then the outer one: both are to depend on */
	ASSERT_EQ(0, commit("nested", "foo"));
	ASSERT_EQ(0, do_write(variant->file,
			      "configfs_test/nested/foo/inner/bar"));
	ASSERT_EQ(EBUSY, uncommit("nested", "foo"));
	ASSERT_EQ(0, control("undepend", "configfs_test/nested/foo/inner/bar"));
	ASSERT_EQ(0, uncommit("nested", "foo"));
}

/* The groups around the items may be depended on: they do not move. */
TEST_F(depended, the_committable_group)
{
	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, do_mkdir("pools/g"));
	ASSERT_EQ(0, do_mkdir("pools/g/pending/foo"));
	ASSERT_EQ(0, do_write(variant->file, "configfs_test/items"));
	ASSERT_EQ(0, do_write(variant->file, "configfs_test/pools/g"));
	ASSERT_EQ(0, commit("items", "foo"));
	ASSERT_EQ(0, uncommit("items", "foo"));
	ASSERT_EQ(0, commit("pools/g", "foo"));
	ASSERT_EQ(0, uncommit("pools/g", "foo"));
	ASSERT_EQ(0, do_rmdir("pools/g/pending/foo"));
	ASSERT_EQ(EBUSY, do_rmdir("pools/g"));
	ASSERT_EQ(0, control("undepend", "configfs_test/items"));
	ASSERT_EQ(0, control("undepend", "configfs_test/pools/g"));
	ASSERT_EQ(0, do_rmdir("pools/g"));
}

/*
 * Frozen files
 */

/* How the attribute file was before the commit */
FIXTURE(frozen_file)
{
	struct baseline base;
	int fd;
};

FIXTURE_VARIANT(frozen_file)
{
	const char *pending;
	const char *live;
	const char *group;
};

FIXTURE_VARIANT_ADD(frozen_file, of_the_item) {
	.group = "items",
	.pending = "items/pending/foo/blob",
	.live = "items/live/foo/blob",
};

FIXTURE_VARIANT_ADD(frozen_file, of_a_default_group) {
	.group = "groups",
	.pending = "groups/pending/foo/one/two/blob",
	.live = "groups/live/foo/one/two/blob",
};

FIXTURE_SETUP(frozen_file)
{
	char path[PATH_MAX];

	test_begin(&self->base);
	snprintf(path, sizeof(path), "%s/pending/foo", variant->group);
	ASSERT_EQ(0, do_mkdir(path));
	ASSERT_EQ(0, do_write(variant->pending, "before"));
	ASSERT_EQ(1, counter("bin_write"));
	self->fd = open(variant->pending, O_WRONLY);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(frozen_file)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(frozen_file, binary_write_after_the_commit)
{
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(EBUSY, do_write_fd(self->fd, "data"));
	ASSERT_EQ(0, close(self->fd));
	ASSERT_EQ(1, counter("bin_write"));
	ASSERT_STREQ("before", value_of(variant->live));
	ASSERT_EQ(0, uncommit(variant->group, "foo"));
	ASSERT_EQ(1, counter("bin_write"));
	ASSERT_STREQ("before", value_of(variant->pending));
}

/* What is written before the commit reaches the driver at close: too late. */
TEST_F(frozen_file, binary_close_after_the_commit)
{
	ASSERT_EQ(0, do_write_fd(self->fd, "data"));
	ASSERT_EQ(1, counter("bin_write"));
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(-1, close(self->fd));
	ASSERT_EQ(EBUSY, errno);
	ASSERT_EQ(1, counter("bin_write"));
	ASSERT_STREQ("before", value_of(variant->live));
	ASSERT_EQ(0, uncommit(variant->group, "foo"));
	ASSERT_EQ(1, counter("bin_write"));
	ASSERT_STREQ("before", value_of(variant->pending));
}

/* Once refused, a file stays so: half of the data is worse than none. */
TEST_F(frozen_file, binary_file_is_refused_for_good)
{
	int copy;

	ASSERT_EQ(0, do_write_fd(self->fd, "data"));
	copy = dup(self->fd);
	ASSERT_LE(0, copy);
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(-1, close(copy));
	ASSERT_EQ(EBUSY, errno);
	ASSERT_EQ(0, uncommit(variant->group, "foo"));
	ASSERT_EQ(EBUSY, do_write_fd(self->fd, "more"));
	ASSERT_EQ(-1, close(self->fd));
	ASSERT_EQ(EBUSY, errno);
	ASSERT_EQ(1, counter("bin_write"));
	ASSERT_STREQ("before", value_of(variant->pending));

	/* Another file works as ever */
	ASSERT_EQ(0, do_write(variant->pending, "after"));
	ASSERT_EQ(2, counter("bin_write"));
	ASSERT_STREQ("after", value_of(variant->pending));
}

TEST_F(frozen_file, binary_write_refused_and_uncommitted)
{
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(EBUSY, do_write_fd(self->fd, "data"));
	ASSERT_EQ(0, uncommit(variant->group, "foo"));
	ASSERT_EQ(0, do_write(variant->pending, "after"));
	ASSERT_EQ(2, counter("bin_write"));
	ASSERT_STREQ("after", value_of(variant->pending));
}

/* Data that was closed in time is the driver's, whatever follows. */
TEST_F(frozen_file, binary_close_before_the_commit)
{
	ASSERT_EQ(0, do_write_fd(self->fd, "data"));
	ASSERT_EQ(0, close(self->fd));
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(2, counter("bin_write"));
	ASSERT_STREQ("data", value_of(variant->live));
}

/* A commit that the driver refuses does not touch what is not yet written. */
TEST_F(frozen_file, binary_close_after_a_refused_commit)
{
	ASSERT_EQ(0, do_write_fd(self->fd, "data"));
	ASSERT_EQ(0, knob("commit", EIO, 0, false));
	ASSERT_EQ(EIO, commit(variant->group, "foo"));
	ASSERT_EQ(0, close(self->fd));
	ASSERT_EQ(2, counter("bin_write"));
	ASSERT_STREQ("data", value_of(variant->pending));
}

/* What write(2) has refused is not flushed as nothing at all. */
TEST_F(frozen_file, failed_binary_write_is_none)
{
	char *big = malloc(1 << 20);

	ASSERT_NE(NULL, big);
	memset(big, 'x', 1 << 20);
	ASSERT_EQ(-1, write(self->fd, big, 1 << 20));
	ASSERT_EQ(EFBIG, errno);
	ASSERT_EQ(0, close(self->fd));
	ASSERT_EQ(1, counter("bin_write"));
	ASSERT_STREQ("before", value_of(variant->pending));
	free(big);
}

static int exit_with_open_file(void *arg)
{
	int fd = open(arg, O_WRONLY);

	return do_write_fd(fd, "data") || commit("items", "foo") ||
	       commit("groups", "foo");
}

/* A process that dies closes its files as well. */
TEST_F(frozen_file, binary_file_of_a_process_that_exits)
{
	ASSERT_EQ(0, close(self->fd));
	/* The one that is not there yet */
	ASSERT_EQ(0, do_mkdir(exists("items/pending/foo") ?
			      "groups/pending/foo" : "items/pending/foo"));
	ASSERT_EQ(0, in_child(exit_with_open_file, (void *)variant->pending));
	ASSERT_EQ(1, counter("bin_write"));
	ASSERT_STREQ("before", value_of(variant->live));
}

TEST_F(frozen_file, binary_read_before_and_after)
{
	char buf[64];
	int fd = open(variant->pending, O_RDONLY);

	ASSERT_LE(0, fd);
	ASSERT_EQ(2, read(fd, buf, 2));
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(4, read(fd, buf, sizeof(buf)));
	ASSERT_EQ(0, memcmp("fore", buf, 4));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, close(self->fd));
	ASSERT_STREQ("before", value_of(variant->live));
}

/*
 * Committable groups inside of committable groups, and made by mkdir
 */

FIXTURE(nested)
{
	struct baseline base;
};

FIXTURE_SETUP(nested)
{
	test_begin(&self->base);
}

FIXTURE_TEARDOWN(nested)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(nested, outer_item_freezes_the_inner_ones)
{
	ASSERT_EQ(0, do_mkdir("nested/pending/o"));
	ASSERT_EQ(0, do_mkdir("nested/pending/o/inner/pending/p"));
	ASSERT_EQ(0, do_mkdir("nested/pending/o/inner/pending/l"));
	ASSERT_EQ(0, commit("nested/pending/o/inner", "l"));
	ASSERT_EQ(EBUSY, do_write("nested/pending/o/inner/live/l/value", "x"));
	ASSERT_EQ(0, do_write("nested/pending/o/inner/pending/p/value", "x"));

	/* with live ones inside and pending ones */
	ASSERT_EQ(0, commit("nested", "o"));
	ASSERT_EQ(2, counter("commit"));
	ASSERT_EQ(EBUSY, do_write("nested/live/o/inner/live/l/value", "y"));
	ASSERT_EQ(EBUSY, do_write("nested/live/o/inner/pending/p/value", "y"));
	ASSERT_EQ(EBUSY, do_mkdir("nested/live/o/inner/pending/q"));
	ASSERT_EQ(EBUSY, commit("nested/live/o/inner", "p"));
	ASSERT_EQ(EBUSY, uncommit("nested/live/o/inner", "l"));
	ASSERT_EQ(2, counter("commit"));
	ASSERT_EQ(0, counter("uncommit"));
	ASSERT_STREQ("live", value_of("nested/live/o/inner/live/l/ro"));
	ASSERT_STREQ("x", value_of("nested/live/o/inner/pending/p/value"));

	/* Thawed is only what the outer one had frozen */
	ASSERT_EQ(0, uncommit("nested", "o"));
	ASSERT_EQ(EBUSY, do_write("nested/pending/o/inner/live/l/value", "z"));
	ASSERT_EQ(EBUSY, do_rmdir("nested/pending/o/inner/live/l"));
	ASSERT_EQ(0, do_write("nested/pending/o/inner/pending/p/value", "z"));
	ASSERT_EQ(0, uncommit("nested/pending/o/inner", "l"));
	ASSERT_EQ(0, do_write("nested/pending/o/inner/pending/l/value", "z"));
	ASSERT_EQ(ENOTEMPTY, do_rmdir("nested/pending/o"));
	ASSERT_EQ(0, do_rmdir("nested/pending/o/inner/pending/l"));
	ASSERT_EQ(0, do_rmdir("nested/pending/o/inner/pending/p"));
	ASSERT_EQ(0, do_rmdir("nested/pending/o"));
}

TEST_F(nested, committable_group_made_by_mkdir)
{
	ASSERT_EQ(0, do_mkdir("pools/g"));
	ASSERT_TRUE(exists("pools/g/pending"));
	ASSERT_TRUE(exists("pools/g/live"));
	ASSERT_TRUE(exists("pools/g/extra/value"));
	ASSERT_EQ(0, do_mkdir("pools/g/pending/foo"));
	ASSERT_EQ(ENOTEMPTY, do_rmdir("pools/g"));
	ASSERT_EQ(0, commit("pools/g", "foo"));
	ASSERT_EQ(ENOTEMPTY, do_rmdir("pools/g"));
	/* The group itself and its default groups are not live */
	ASSERT_EQ(0, do_write("pools/g/value", "x"));
	ASSERT_EQ(0, do_write("pools/g/extra/value", "x"));
	ASSERT_EQ(0, uncommit("pools/g", "foo"));
	ASSERT_EQ(0, do_rmdir("pools/g/pending/foo"));
	ASSERT_EQ(0, do_rmdir("pools/g"));
	ASSERT_EQ(self->base.objects, counter("objects"));
}

TEST_F(nested, registered_group)
{
	ASSERT_EQ(0, control("dyn", "1"));
	ASSERT_EQ(EPERM, do_mkdir("dyn/foo"));
	ASSERT_EQ(EPERM, do_rmdir("dyn"));
	ASSERT_EQ(EPERM, do_rmdir("dyn/live"));
	ASSERT_EQ(0, do_mkdir("dyn/pending/foo"));
	ASSERT_EQ(0, commit("dyn", "foo"));
	ASSERT_EQ(EBUSY, control("dyn", "0"));
	ASSERT_EQ(0, uncommit("dyn", "foo"));
	ASSERT_EQ(0, do_rmdir("dyn/pending/foo"));
	ASSERT_EQ(0, control("dyn", "0"));
	ASSERT_FALSE(exists("dyn"));
	ASSERT_EQ(ENOENT, do_mkdir("dyn/pending/foo"));

	/* One without commit_item() is a group as ever */
	ASSERT_EQ(0, control("dyn", "2"));
	ASSERT_FALSE(exists("dyn/pending"));
	ASSERT_EQ(0, do_mkdir("dyn/foo"));
	ASSERT_EQ(0, do_rmdir("dyn/foo"));
	ASSERT_EQ(0, control("dyn", "0"));
}

/* Whoever has pending/ or live/ open, or below it, when the group goes */
TEST_F(nested, group_that_is_removed_while_in_use)
{
	char cwd[PATH_MAX];
	int fd[3];

	ASSERT_EQ(0, do_mkdir("pools/g"));
	ASSERT_EQ(0, do_mkdir("pools/g/pending/foo"));
	fd[0] = open("pools/g/pending", O_RDONLY | O_DIRECTORY);
	fd[1] = open("pools/g/live", O_RDONLY | O_DIRECTORY);
	fd[2] = open("pools/g/pending/foo/value", O_RDWR);
	ASSERT_LE(0, fd[0]);
	ASSERT_LE(0, fd[1]);
	ASSERT_LE(0, fd[2]);
	ASSERT_EQ(0, chdir("pools/g/live"));
	ASSERT_EQ(0, do_rename("../pending/foo", "foo"));
	ASSERT_EQ(0, do_rename("foo", "../pending/foo"));
	ASSERT_EQ(0, do_rmdir("../pending/foo"));
	ASSERT_EQ(0, do_rmdir("../../g"));
	ASSERT_EQ(NULL, getcwd(cwd, sizeof(cwd)));
	ASSERT_EQ(ENOENT, errno);
	ASSERT_EQ(ENOENT, do_write_fd(fd[2], "x"));
	ASSERT_EQ(ENOENT, do_mkdir("x"));
	ASSERT_EQ(-1, mkdirat(fd[0], "x", 0777));
	ASSERT_EQ(ENOENT, errno);
	ASSERT_EQ(0, chdir(SUBSYS_DIR));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, close(fd[i]));
}

/*
 * One-way commits
 */

FIXTURE(oneway)
{
	struct baseline base;
};

FIXTURE_SETUP(oneway)
{
	test_begin(&self->base);
}

FIXTURE_TEARDOWN(oneway)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(oneway, commit_without_a_way_back)
{
	char *before;

	ASSERT_EQ(0, do_mkdir("oneway/pending/foo"));
	ASSERT_EQ(0, commit("oneway", "foo"));
	ASSERT_EQ(1, counter("commit"));
	usleep(20000);
	before = snapshot(SNAP_CALLS);
	ASSERT_EQ(EPERM, uncommit("oneway", "foo"));
	ASSERT_EQ(EBUSY, do_rmdir("oneway/live/foo"));
	ASSERT_TRUE(unchanged(before, SNAP_CALLS));

	/* The absence of the op is told before anything is waited for */
	ASSERT_EQ(0, control("depend", "configfs_test/oneway/foo"));
	ASSERT_EQ(EPERM, uncommit("oneway", "foo"));
	ASSERT_EQ(0, control("undepend", "configfs_test/oneway/foo"));
}

int main(int argc, char **argv)
{
	test_load();
	return test_harness_run(argc, argv);
}
