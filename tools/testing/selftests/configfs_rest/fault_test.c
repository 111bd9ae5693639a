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
 * @op:		the operation
 * @to_start:	undoing it is needed to begin with
 */
FIXTURE_VARIANT(fault)
{
	const char *prepare[4];
	struct operation op;
	bool to_start;
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_an_item) {
	.op.fn = task_mkdir,
	.op.a = "items/pending/foo",
	.op.undo = task_rmdir,
	.op.undo_a = "items/pending/foo",
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_long_name) {
	.op.fn = task_mkdir,
	.op.a = "items/pending/" LONG_NAME,
	.op.undo = task_rmdir,
	.op.undo_a = "items/pending/" LONG_NAME,
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_plain_item) {
	.op.fn = task_mkdir,
	.op.a = "plain/foo",
	.op.undo = task_rmdir,
	.op.undo_a = "plain/foo",
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_group_with_default_groups) {
	.op.fn = task_mkdir,
	.op.a = "groups/pending/foo",
	.op.undo = task_rmdir,
	.op.undo_a = "groups/pending/foo",
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_committable_group) {
	.op.fn = task_mkdir,
	.op.a = "pools/foo",
	.op.undo = task_rmdir,
	.op.undo_a = "pools/foo",
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_group_with_a_committable_group) {
	.op.fn = task_mkdir,
	.op.a = "nested/pending/foo",
	.op.undo = task_rmdir,
	.op.undo_a = "nested/pending/foo",
};

FIXTURE_VARIANT_ADD(fault, mkdir_in_an_inner_group) {
	.prepare = { "nested/pending/foo" },
	.op.fn = task_mkdir,
	.op.a = "nested/pending/foo/inner/pending/bar",
	.op.undo = task_rmdir,
	.op.undo_a = "nested/pending/foo/inner/pending/bar",
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_child) {
	.prepare = { "makers/pending/foo", "makers/pending/foo/c" },
	.op.fn = task_mkdir,
	.op.a = "makers/pending/foo/c/d",
	.op.undo = task_rmdir,
	.op.undo_a = "makers/pending/foo/c/d",
};

FIXTURE_VARIANT_ADD(fault, rmdir) {
	.prepare = { "pools/foo" },
	.op.fn = task_rmdir,
	.op.a = "pools/foo",
	.op.undo = task_mkdir,
	.op.undo_a = "pools/foo",
};

FIXTURE_VARIANT_ADD(fault, symlink) {
	.prepare = { "plain/a", "items/pending/foo" },
	.op.fn = do_symlink,
	.op.a = "items/pending/foo",
	.op.b = "plain/a/link",
	.op.undo = task_unlink,
	.op.undo_a = "plain/a/link",
};

FIXTURE_VARIANT_ADD(fault, symlink_in_an_item) {
	.prepare = { "plain/a", "makers/pending/foo", "makers/pending/foo/c" },
	.op.fn = do_symlink,
	.op.a = "plain/a",
	.op.b = "makers/pending/foo/c/link",
	.op.undo = task_unlink,
	.op.undo_a = "makers/pending/foo/c/link",
};

FIXTURE_VARIANT_ADD(fault, commit) {
	.prepare = { "groups/pending/foo" },
	.op.fn = do_rename,
	.op.a = "groups/pending/foo",
	.op.b = "groups/live/foo",
	.op.undo = do_rename,
	.op.undo_a = "groups/live/foo",
	.op.undo_b = "groups/pending/foo",
};

FIXTURE_VARIANT_ADD(fault, commit_of_a_long_name) {
	.prepare = { "items/pending/" LONG_NAME },
	.op.fn = do_rename,
	.op.a = "items/pending/" LONG_NAME,
	.op.b = "items/live/" LONG_NAME,
	.op.undo = do_rename,
	.op.undo_a = "items/live/" LONG_NAME,
	.op.undo_b = "items/pending/" LONG_NAME,
};

FIXTURE_VARIANT_ADD(fault, uncommit) {
	.prepare = { "items/pending/foo" },
	.op.fn = do_rename,
	.op.a = "items/live/foo",
	.op.b = "items/pending/foo",
	.op.undo = do_rename,
	.op.undo_a = "items/pending/foo",
	.op.undo_b = "items/live/foo",
	.to_start = true,
};

FIXTURE_VARIANT_ADD(fault, write) {
	.prepare = { "items/pending/foo" },
	.op.fn = do_write,
	.op.a = "items/pending/foo/value",
	.op.b = "written",
	.op.undo = do_write,
	.op.undo_a = "items/pending/foo/value",
	.op.undo_b = "initial",
	.to_start = true,
};

FIXTURE_VARIANT_ADD(fault, binary_write) {
	.prepare = { "items/pending/foo" },
	.op.fn = do_write,
	.op.a = "items/pending/foo/blob",
	.op.b = "written",
	.op.undo = do_write,
	.op.undo_a = "items/pending/foo/blob",
	.op.undo_b = "initial",
	.to_start = true,
};

FIXTURE_VARIANT_ADD(fault, depend) {
	.prepare = { "items/pending/foo" },
	.op.fn = control,
	.op.a = "depend",
	.op.b = "configfs_test/items/foo",
	.op.undo = control,
	.op.undo_a = "undepend",
	.op.undo_b = "configfs_test/items/foo",
};

FIXTURE_VARIANT_ADD(fault, register_group) {
	.op.fn = control,
	.op.a = "dyn",
	.op.b = "2",
	.op.undo = control,
	.op.undo_a = "dyn",
	.op.undo_b = "0",
};

FIXTURE_VARIANT_ADD(fault, register_committable_group) {
	.op.fn = control,
	.op.a = "dyn",
	.op.b = "1",
	.op.undo = control,
	.op.undo_a = "dyn",
	.op.undo_b = "0",
};

FIXTURE_VARIANT_ADD(fault, register_subsystem) {
	.op.fn = control,
	.op.a = "third",
	.op.b = "1",
	.op.undo = control,
	.op.undo_a = "third",
	.op.undo_b = "0",
};

FIXTURE_SETUP(fault)
{
	test_begin(&self->base);
	if (!fail_nth_set_up())
		SKIP(return, "the kernel has no fault injection for slabs");
	for (size_t i = 0; variant->prepare[i]; i++)
		ASSERT_EQ(0, do_mkdir(variant->prepare[i]));
	/* Start where undoing leads to */
	if (variant->to_start)
		ASSERT_EQ(0, undo(&variant->op));
	get_baseline(&self->before);
}

FIXTURE_TEARDOWN(fault)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F_TIMEOUT(fault, every_allocation_fails_once, 300)
{
	ASSERT_LT(0, fail_each(&variant->op, &self->before));
}

int main(int argc, char **argv)
{
	test_load();
	return test_harness_run(argc, argv);
}
