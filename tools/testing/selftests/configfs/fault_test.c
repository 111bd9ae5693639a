// SPDX-License-Identifier: GPL-2.0
/*
 * Repeat an operation, and let a different allocation in it fail each time.
 * Either the operation fails with ENOMEM and changes nothing, or it can do
 * without the allocation and is complete. See Documentation/fault-injection/.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

#define NAMES	"configfs: fix NULL dereference when a name cannot be allocated"
#define BINARY	"configfs: fix NULL dereference when a write to a binary attribute fails"

/*
 * Operations besides those of the library
 */

static int do_register_default(const char *how, const char *unused)
{
	return control("register_default", how);
}

static int do_unregister_default(const char *unused, const char *unused2)
{
	return control("unregister_default", "1");
}

/* FIXTURE_SETUP() lets the store callback of items/caller depend on items/t. */
static int do_store(const char *path, const char *unused)
{
	return do_write(path, "initial");
}

static int do_chown(const char *path, const char *owner)
{
	return chown(path, atoi(owner), -1) ? errno : 0;
}

static int nothing(const char *unused, const char *unused2)
{
	return 0;
}

/* The attributes of a new item have no dentries and inodes yet. */
static int remake(const char *path, const char *unused)
{
	return do_rmdir(path, NULL) ?: do_mkdir(path, NULL);
}

static int remake_live(const char *path, const char *unused)
{
	int ret = do_mkdir(path, NULL);

	return ret && ret != EEXIST ? ret :
		do_write(at("%s/live", path), "1");
}

/*
 * Checks that an operation is complete
 */

static bool item_is_whole(const struct operation *op)
{
	return !strcmp("blob ro value wo", listing_of(op->undo_a)) &&
	       !strcmp("initial", value_of(at("%s/value", op->undo_a))) &&
	       !do_write(at("%s/blob", op->undo_a), "x") &&
	       !strcmp("x", value_of(at("%s/blob", op->undo_a)));
}

static bool op_tree_is_whole(const struct operation *op)
{
	return tree_is_whole(op->undo_a);
}

static bool default_is_whole(const struct operation *op)
{
	return !strcmp("name", listing_of("trees/extra")) &&
	       !strcmp("extra", value_of("trees/extra/name"));
}

static bool link_is_whole(const struct operation *op)
{
	return !strcmp("t", value_of(at("%s/ro", op->b)));
}

static bool is_written(const struct operation *op)
{
	return !strcmp(op->b, value_of(op->a));
}

static bool unit_is_live(const struct operation *op)
{
	return !strcmp("1", value_of(op->a)) &&
	       do_mkdir("units/u/n", NULL) == EBUSY;
}

/* Whether it can be committed and is frozen then */
static bool unit_is_whole(const struct operation *op)
{
	return !strcmp("a blob live parts patch ro tune value wo",
		       listing_of(op->undo_a)) &&
	       !do_write(at("%s/live", op->undo_a), "1") &&
	       do_write(at("%s/a/b/value", op->undo_a), "x") == EBUSY;
}

static bool crate_is_whole(const struct operation *op)
{
	return !strcmp("a blob depot parts patch ro tune value wo",
		       listing_of(op->undo_a)) &&
	       !strcmp("blob live pending ro value wo",
		       listing_of(at("%s/depot", op->undo_a))) &&
	       !do_mkdir(at("%s/depot/pending/n", op->undo_a), NULL) &&
	       !do_rmdir(at("%s/depot/pending/n", op->undo_a), NULL);
}

static bool is_in_live(const struct operation *op)
{
	return do_stat(op->a, NULL) == ENOENT &&
	       do_write(at("%s/a/value", op->b), "x") == EBUSY;
}

static bool is_exchanged(const struct operation *op)
{
	return !do_write(at("%s/value", op->a), "initial") &&
	       do_write(at("%s/value", op->b), "x") == EBUSY;
}

static bool is_renamed(const struct operation *op)
{
	return do_stat(op->a, NULL) == ENOENT &&
	       !strcmp("c", value_of(at("%s/ro", op->b))) &&
	       !strcmp("c", children_of("shelf/p/shelf"));
}

/* One in pending/ and one in live/ */
static int exchange_back(const char *pending, const char *live)
{
	if (exists(live))
		return do_exchange(live, pending);
	return do_rename(pending, live) ?: do_mkdir(pending, NULL);
}

static bool is_depended_on(const struct operation *op)
{
	return do_rmdir(op->undo_a, NULL) == EBUSY;
}

FIXTURE(fault)
{
	struct baseline base;
};

/**
 * @prepare:	directories to be made first
 * @op:		the operation
 * @undo_first:	call @op.undo before the first run, to set the initial state
 * @least:	minimum number of essential allocations
 * @needs:	patch without which the test fails, or NULL
 * @crashes:	the kernel may crash without the patch
 */
FIXTURE_VARIANT(fault)
{
	const char *prepare[3];
	struct operation op;
	bool undo_first;
	int least;
	const char *needs;
	bool crashes;
};

#define PATH_OP(_fn, _undo, _path, _complete)			\
	.op = {							\
		.fn = _fn,					\
		.a = _path,					\
		.undo = _undo,					\
		.undo_a = _path,				\
		.complete = _complete,				\
	}

#define RENAME_OP(_fn, _from, _to, _complete)			\
	.op = {							\
		.fn = _fn,					\
		.a = _from,					\
		.b = _to,					\
		.undo = do_rename,				\
		.undo_a = _to,					\
		.undo_b = _from,				\
		.complete = _complete,				\
	}

FIXTURE_VARIANT_ADD(fault, mkdir_of_an_item) {
	PATH_OP(do_mkdir, do_rmdir, "items/n", item_is_whole),
	.least = 5,
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_an_item_with_a_long_name) {
	PATH_OP(do_mkdir, do_rmdir, "items/" LONG_NAME, item_is_whole),
	.least = 5,
	.needs = NAMES,
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_an_item_below) {
	.prepare = { "trees/X" },
	PATH_OP(do_mkdir, do_rmdir, "trees/X/a/b/c/n", item_is_whole),
	.least = 5,
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_tree) {
	PATH_OP(do_mkdir, do_rmdir, "trees/X", op_tree_is_whole),
	.least = 50,
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_tree_below) {
	.prepare = { "trees/O" },
	PATH_OP(do_mkdir, do_rmdir, "trees/O/a/b/X", op_tree_is_whole),
	.least = 50,
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_tree_of_separate_groups) {
	PATH_OP(do_mkdir, do_rmdir, "groves/X", op_tree_is_whole),
	.least = 50,
};

FIXTURE_VARIANT_ADD(fault, rmdir) {
	.prepare = { "trees/X" },
	PATH_OP(do_rmdir, do_mkdir, "trees/X", NULL),
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_unit) {
	PATH_OP(do_mkdir, do_rmdir, "units/u", unit_is_whole),
	.least = 20,
};

FIXTURE_VARIANT_ADD(fault, commit) {
	.prepare = { "units/u" },
	.op = {
		.fn = do_write,
		.a = "units/u/live",
		.b = "1",
		.undo = do_write,
		.undo_a = "units/u/live",
		.undo_b = "0",
		.complete = unit_is_live,
	},
	.least = 2,
};

FIXTURE_VARIANT_ADD(fault, rmdir_of_a_live_unit) {
	.prepare = { "units/u" },
	PATH_OP(do_rmdir, remake_live, "units/u", NULL),
	.undo_first = true,
};

FIXTURE_VARIANT_ADD(fault, mkdir_of_a_crate) {
	PATH_OP(do_mkdir, do_rmdir, "depot/pending/c", crate_is_whole),
	.least = 20,
};

FIXTURE_VARIANT_ADD(fault, commit_by_rename) {
	.prepare = { "depot/pending/c" },
	RENAME_OP(do_rename, "depot/pending/c", "depot/live/c", is_in_live),
	.least = 1,
};

FIXTURE_VARIANT_ADD(fault, commit_by_driver) {
	.prepare = { "depot/pending/c" },
	RENAME_OP(do_commit, "depot/pending/c", "depot/live/c", is_in_live),
};

FIXTURE_VARIANT_ADD(fault, exchange) {
	.prepare = { "depot/pending/c" },
	.op = {
		.fn = do_exchange,
		.a = "depot/pending/c",
		.b = "depot/live/c",
		.undo = exchange_back,
		.undo_a = "depot/pending/c",
		.undo_b = "depot/live/c",
		.complete = is_exchanged,
	},
	.undo_first = true,
};

FIXTURE_VARIANT_ADD(fault, rename) {
	.prepare = { "shelf/p", "shelf/b" },
	RENAME_OP(do_rename, "shelf/b", "shelf/p/shelf/c", is_renamed),
	.least = 2,
};

FIXTURE_VARIANT_ADD(fault, register_crate) {
	.op = {
		.fn = do_register,
		.a = ". dyn crate",
		.undo = do_unregister,
		.undo_a = "dyn",
		.complete = crate_is_whole,
	},
	.least = 20,
};

FIXTURE_VARIANT_ADD(fault, register_group) {
	.op = {
		.fn = do_register,
		.a = ". dyn tree",
		.undo = do_unregister,
		.undo_a = "dyn",
		.complete = op_tree_is_whole,
	},
	.least = 50,
};

FIXTURE_VARIANT_ADD(fault, register_group_with_a_long_name) {
	.op = {
		.fn = do_register,
		.a = "trees " LONG_NAME " items",
		.undo = do_unregister,
		.undo_a = "trees/" LONG_NAME,
		.complete = item_is_whole,
	},
	.least = 5,
	.needs = NAMES,
	.crashes = true,
};

FIXTURE_VARIANT_ADD(fault, register_default_group) {
	.op = {
		.fn = do_register_default,
		.a = "trees extra",
		.undo = do_unregister_default,
		.complete = default_is_whole,
	},
	.least = 4,
};

FIXTURE_VARIANT_ADD(fault, register_subsystem) {
	.op = {
		.fn = do_register,
		.a = "/ configfs_test3 tree",
		.undo = do_unregister,
		.undo_a = "../configfs_test3",
		.complete = op_tree_is_whole,
	},
	.least = 50,
};

FIXTURE_VARIANT_ADD(fault, symlink) {
	.prepare = { "items/t", "links/l" },
	.op = {
		.fn = do_symlink,
		.a = "items/t",
		.b = "links/l/link",
		.undo = do_unlink,
		.undo_a = "links/l/link",
		.complete = link_is_whole,
	},
	.least = 3,
};

FIXTURE_VARIANT_ADD(fault, read) {
	.prepare = { "items/t" },
	PATH_OP(do_read, nothing, "items/t/value", NULL),
	.least = 2,
};

FIXTURE_VARIANT_ADD(fault, first_read) {
	.prepare = { "items/t" },
	.op = {
		.fn = do_read,
		.a = "items/t/value",
		.undo = remake,
		.undo_a = "items/t",
	},
	.least = 4,
};

FIXTURE_VARIANT_ADD(fault, write) {
	.prepare = { "items/t" },
	.op = {
		.fn = do_write,
		.a = "items/t/value",
		.b = "written",
		.undo = do_write,
		.undo_a = "items/t/value",
		.undo_b = "initial",
		.complete = is_written,
	},
	.least = 2,
};

FIXTURE_VARIANT_ADD(fault, binary_read) {
	.prepare = { "items/t" },
	.op = {
		.fn = do_read,
		.a = "items/t/blob",
		.undo = do_write,
		.undo_a = "items/t/blob",
		.undo_b = "data",
	},
	.undo_first = true,
	.least = 2,
};

FIXTURE_VARIANT_ADD(fault, binary_write) {
	.prepare = { "items/t" },
	.op = {
		.fn = do_write,
		.a = "items/t/blob",
		.b = "written",
		.undo = do_write,
		.undo_a = "items/t/blob",
		.undo_b = "initial",
		.complete = is_written,
	},
	.undo_first = true,
	.least = 2,
	.needs = BINARY,
};

FIXTURE_VARIANT_ADD(fault, listing) {
	.prepare = { "trees/X" },
	PATH_OP(do_list, nothing, "trees/X/a", NULL),
	.least = 2,
};

FIXTURE_VARIANT_ADD(fault, chmod) {
	.prepare = { "items/t" },
	.op = {
		.fn = do_chmod,
		.a = "items/t/value",
		.b = "600",
		.undo = do_chmod,
		.undo_a = "items/t/value",
		.undo_b = "644",
	},
};

FIXTURE_VARIANT_ADD(fault, chown_of_a_directory) {
	.prepare = { "items/t" },
	.op = {
		.fn = do_chown,
		.a = "items/t",
		.b = "1",
		.undo = do_chown,
		.undo_a = "items/t",
		.undo_b = "0",
	},
};

FIXTURE_VARIANT_ADD(fault, depend) {
	.prepare = { "items/t" },
	PATH_OP(do_depend, do_undepend, "items/t", is_depended_on),
};

FIXTURE_VARIANT_ADD(fault, depend_in_a_callback) {
	.prepare = { "items/t", "items/caller" },
	.op = {
		.fn = do_store,
		.a = "items/caller/value",
		.undo = do_undepend,
		.undo_a = "items/t",
		.complete = is_depended_on,
	},
};

FIXTURE_SETUP(fault)
{
	const char *reason = fail_nth_init();

	test_begin(&self->base);
	if (reason)
		SKIP(return, "%s", reason);
	for (size_t i = 0; variant->prepare[i]; i++)
		ASSERT_EQ(0, do_mkdir(variant->prepare[i], NULL));
	if (variant->undo_first)
		ASSERT_EQ(0, variant->op.undo(variant->op.undo_a,
					      variant->op.undo_b));
	ASSERT_EQ(0, knob("store name=caller depend=items/t"));
}

FIXTURE_TEARDOWN(fault)
{
	TEST_END(&self->base);
}

TEST_F_TIMEOUT(fault, every_allocation_fails_once, 300)
{
	if (variant->crashes)
		NEEDS_OR_CRASHES(return, variant->needs);
	else if (variant->needs)
		NEEDS(variant->needs);
	ASSERT_LE(variant->least, fail_each(&variant->op));
}

int main(int argc, char **argv)
{
	test_init();
	fail_init();
	return test_harness_run(argc, argv);
}
