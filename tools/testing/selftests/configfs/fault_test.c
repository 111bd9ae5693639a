// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of an operation fails once, one after the other, and each
 * time nothing is left of it. See Documentation/fault-injection/.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "common.h"

/* There is no operation with that many allocations: something loops */
#define MAX_NTH		2000

/*
 * The operations
 */

FIXTURE(fault)
{
	struct baseline base;
	struct baseline before;
};

/**
 * @prepare:	directories to be made first
 * @fn:		the operation, with @a and @b
 * @undo:	its reverse
 * @to_start:	@undo is needed to begin with
 */
FIXTURE_VARIANT(fault)
{
	const char *prepare[4];
	int (*fn)(const char *a, const char *b);
	const char *a;
	const char *b;
	int (*undo)(const char *a, const char *b);
	const char *undo_a;
	const char *undo_b;
	bool to_start;
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_an_item) {
	.fn = task_mkdir,
	.a = "items/pending/foo",
	.undo = task_rmdir,
	.undo_a = "items/pending/foo",
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_long_name) {
	.fn = task_mkdir,
	.a = "items/pending/" LONG_NAME,
	.undo = task_rmdir,
	.undo_a = "items/pending/" LONG_NAME,
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_plain_item) {
	.fn = task_mkdir,
	.a = "plain/foo",
	.undo = task_rmdir,
	.undo_a = "plain/foo",
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_group_with_default_groups) {
	.fn = task_mkdir,
	.a = "groups/pending/foo",
	.undo = task_rmdir,
	.undo_a = "groups/pending/foo",
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_committable_group) {
	.fn = task_mkdir,
	.a = "pools/foo",
	.undo = task_rmdir,
	.undo_a = "pools/foo",
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_group_with_a_committable_group) {
	.fn = task_mkdir,
	.a = "nested/pending/foo",
	.undo = task_rmdir,
	.undo_a = "nested/pending/foo",
};

FIXTURE_VARIANT_ADD(fault, mkdir_in_an_inner_group) {
	.prepare = { "nested/pending/foo" },
	.fn = task_mkdir,
	.a = "nested/pending/foo/inner/pending/bar",
	.undo = task_rmdir,
	.undo_a = "nested/pending/foo/inner/pending/bar",
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_child) {
	.prepare = { "makers/pending/foo", "makers/pending/foo/c" },
	.fn = task_mkdir,
	.a = "makers/pending/foo/c/d",
	.undo = task_rmdir,
	.undo_a = "makers/pending/foo/c/d",
};

FIXTURE_VARIANT_ADD(fault, rmdir) {
	.prepare = { "pools/foo" },
	.fn = task_rmdir,
	.a = "pools/foo",
	.undo = task_mkdir,
	.undo_a = "pools/foo",
};

FIXTURE_VARIANT_ADD(fault, symlink) {
	.prepare = { "plain/a", "items/pending/foo" },
	.fn = do_symlink,
	.a = "items/pending/foo",
	.b = "plain/a/link",
	.undo = task_unlink,
	.undo_a = "plain/a/link",
};

FIXTURE_VARIANT_ADD(fault, symlink_in_an_item) {
	.prepare = { "plain/a", "makers/pending/foo", "makers/pending/foo/c" },
	.fn = do_symlink,
	.a = "plain/a",
	.b = "makers/pending/foo/c/link",
	.undo = task_unlink,
	.undo_a = "makers/pending/foo/c/link",
};

FIXTURE_VARIANT_ADD(fault, commit) {
	.prepare = { "groups/pending/foo" },
	.fn = do_rename,
	.a = "groups/pending/foo",
	.b = "groups/live/foo",
	.undo = do_rename,
	.undo_a = "groups/live/foo",
	.undo_b = "groups/pending/foo",
};

FIXTURE_VARIANT_ADD(fault, commit_of_a_long_name) {
	.prepare = { "items/pending/" LONG_NAME },
	.fn = do_rename,
	.a = "items/pending/" LONG_NAME,
	.b = "items/live/" LONG_NAME,
	.undo = do_rename,
	.undo_a = "items/live/" LONG_NAME,
	.undo_b = "items/pending/" LONG_NAME,
};

FIXTURE_VARIANT_ADD(fault, uncommit) {
	.prepare = { "items/pending/foo" },
	.fn = do_rename,
	.a = "items/live/foo",
	.b = "items/pending/foo",
	.undo = do_rename,
	.undo_a = "items/pending/foo",
	.undo_b = "items/live/foo",
	.to_start = true,
};

FIXTURE_VARIANT_ADD(fault, write) {
	.prepare = { "items/pending/foo" },
	.fn = do_write,
	.a = "items/pending/foo/value",
	.b = "written",
	.undo = do_write,
	.undo_a = "items/pending/foo/value",
	.undo_b = "initial",
	.to_start = true,
};

FIXTURE_VARIANT_ADD(fault, binary_write) {
	.prepare = { "items/pending/foo" },
	.fn = do_write,
	.a = "items/pending/foo/blob",
	.b = "written",
	.undo = do_write,
	.undo_a = "items/pending/foo/blob",
	.undo_b = "initial",
	.to_start = true,
};

FIXTURE_VARIANT_ADD(fault, depend) {
	.prepare = { "items/pending/foo" },
	.fn = control,
	.a = "depend",
	.b = "configfs_test/items/foo",
	.undo = control,
	.undo_a = "undepend",
	.undo_b = "configfs_test/items/foo",
};

FIXTURE_VARIANT_ADD(fault, register_group) {
	.fn = control,
	.a = "dyn",
	.b = "2",
	.undo = control,
	.undo_a = "dyn",
	.undo_b = "0",
};

FIXTURE_VARIANT_ADD(fault, register_committable_group) {
	.fn = control,
	.a = "dyn",
	.b = "1",
	.undo = control,
	.undo_a = "dyn",
	.undo_b = "0",
};

FIXTURE_VARIANT_ADD(fault, register_subsystem) {
	.fn = control,
	.a = "third",
	.b = "1",
	.undo = control,
	.undo_a = "third",
	.undo_b = "0",
};

FIXTURE_SETUP(fault)
{
	test_begin(&self->base);
	if (!fail_nth_set_up())
		SKIP(return, "the kernel has no fault injection for slabs");
	for (size_t i = 0; variant->prepare[i]; i++)
		ASSERT_EQ(0, do_mkdir(variant->prepare[i]));
	/* Start where undoing leads to */
	ASSERT_EQ(0, !variant->to_start ? 0 :
		  variant->undo(variant->undo_a, variant->undo_b));
	get_baseline(&self->before);
}

FIXTURE_TEARDOWN(fault)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F_TIMEOUT(fault, every_allocation_fails_once, 300)
{
	int nth, failures = 0, calls;
	char *before;

	calls = counter("commit") + counter("uncommit");
	before = snapshot(SNAP_TREE);
	for (nth = 1; nth < MAX_NTH; nth++) {
		int ret, failed;

		fail_nth_set(nth);
		ret = variant->fn(variant->a, variant->b);
		failed = fail_nth_failed();
		ASSERT_LE(0, failed);

		/* No allocation was the nth: all have had their turn */
		if (!failed) {
			ASSERT_EQ(0, ret);
			break;
		}
		/* The operation can do without what goes on beside it */
		if (!ret) {
			ASSERT_EQ(0, variant->undo(variant->undo_a,
						   variant->undo_b));
			calls = counter("commit") + counter("uncommit");
			/* What is removed and made again is another one */
			if (variant->undo == task_mkdir) {
				free(before);
				before = snapshot(SNAP_TREE);
			}
			continue;
		}
		failures++;
		ASSERT_EQ(ENOMEM, ret) {
			TH_LOG("allocation %d", nth);
		}
		ASSERT_TRUE(unchanged(before, SNAP_TREE)) {
			TH_LOG("allocation %d", nth);
		}
		ASSERT_TRUE(settled(&self->before)) {
			TH_LOG("allocation %d", nth);
		}
		/* The driver is asked when nothing can fail any more */
		ASSERT_EQ(calls, counter("commit") + counter("uncommit"));
	}
	ASSERT_LT(nth, MAX_NTH);
	ASSERT_LT(0, failures);
	TH_LOG("%d allocations, %d of them necessary", nth - 1, failures);
	ASSERT_EQ(0, variant->undo(variant->undo_a, variant->undo_b));
	if (variant->undo != task_mkdir)
		ASSERT_TRUE(unchanged(before, SNAP_TREE));
	ASSERT_TRUE(settled(&self->before));
}

int main(int argc, char **argv)
{
	test_load();
	return test_harness_run(argc, argv);
}
