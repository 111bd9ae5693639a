// SPDX-License-Identifier: GPL-2.0
/*
 * configfs_depend_item(): an item, or a group, that somebody in the kernel depends
 * on is not removed before configfs_undepend_item(). Drivers call this from
 * outside of configfs, or, as configfs_depend_item_unlocked(), from a callback of
 * the same or of another subsystem.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

#define LOCKS	"configfs: fix lock inversion in configfs_depend_item_unlocked()"
#define GROUPS	"configfs: fix use-after-free of default groups that somebody depends on"
#define UNDEPEND \
	"configfs: fix BUG in configfs_undepend_item() after unregistration"

/*
 * Ways to depend on something
 */

static int from_outside(const char *path, const char *unused)
{
	return control("depend", path);
}

/* The callback returns what it got; it has an item for itself. */
static int from_callback(const char *path, const char *caller)
{
	int ret;

	if (knob("store name=caller depend=%s", path))
		return -1;
	ret = do_write(caller, "x");
	knob("store");
	return ret;
}

static int undepend(const char *path, const char *unused)
{
	return control("undepend", path);
}

FIXTURE(depend)
{
	struct baseline base;
	struct task tasks[2];
};

/**
 * @fn:		how it is done, with @caller
 * @caller:	whose callback does it, an attribute
 * @crashes:	this way of doing it is one of the bugs
 */
FIXTURE_VARIANT(depend)
{
	int (*fn)(const char *path, const char *caller);
	const char *caller;
	bool crashes;
};

FIXTURE_VARIANT_ADD(depend, from_outside) {
	.fn = from_outside,
};

FIXTURE_VARIANT_ADD(depend, from_callback) {
	.fn = from_callback,
	.caller = "items/caller/value",
};

/* The caller is in the other subsystem, or the target is */
FIXTURE_VARIANT_ADD(depend, from_callback_elsewhere) {
	.fn = from_callback,
	.caller = "../configfs_test2/items/caller/value",
	.crashes = true,
};

FIXTURE_SETUP(depend)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("items/caller", NULL));
	ASSERT_EQ(0, do_mkdir("../configfs_test2/items/caller", NULL));
	ASSERT_EQ(0, do_mkdir("items/t", NULL));
	ASSERT_EQ(0, do_mkdir("links/l", NULL));
	ASSERT_EQ(0, do_mkdir("trees/X", NULL));
	ASSERT_EQ(0, do_mkdir("trees/X/a/b/c/i", NULL));
}

FIXTURE_TEARDOWN(depend)
{
	TEST_END(&self->base);
}

/* Where a lock inversion would be reported, the whole test is for kernels without. */
#define NEEDS_LOCKS() do {				\
	if (variant->crashes)				\
		NEEDS_OR_CRASHES(return, LOCKS);		\
} while (0)

/* @target is not removed by rmdir(2) of @dir until nobody depends on it. */
#define STAYS(_target, _dir) do {					\
	struct row refused[] = { { do_rmdir, _dir, NULL, EBUSY }, {} };	\
									\
	ASSERT_EQ(0, variant->fn(_target, variant->caller));		\
	ASSERT_TRUE(rows_refused(refused)) {				\
		TH_LOG("somebody depends on %s", _target);		\
	}								\
	ASSERT_EQ(0, variant->fn(_target, variant->caller));		\
	ASSERT_EQ(0, undepend(_target, NULL));				\
	ASSERT_TRUE(rows_refused(refused));				\
	ASSERT_EQ(0, undepend(_target, NULL));				\
	ASSERT_EQ(0, do_rmdir(_dir, NULL));				\
	ASSERT_EQ(0, do_mkdir(_dir, NULL));				\
} while (0)

TEST_F(depend, item_stays)
{
	NEEDS_LOCKS();
	STAYS("items/t", "items/t");
	STAYS("trees/X/a/b/c/i", "trees/X/a/b/c/i");
}

TEST_F(depend, group_stays)
{
	NEEDS_LOCKS();
	ASSERT_EQ(0, do_rmdir("trees/X/a/b/c/i", NULL));
	STAYS("trees/X", "trees/X");
}

TEST_F(depend, default_groups_stay)
{
	static const char * const groups[] = {
		"trees/X/a", "trees/X/a/b", "trees/X/a/b/c", "trees/X/a/b2",
		"trees/X/e/f",
	};

	if (variant->crashes)
		NEEDS_OR_CRASHES(return, GROUPS);
	else
		NEEDS(GROUPS);
	ASSERT_EQ(0, do_rmdir("trees/X/a/b/c/i", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		STAYS(groups[i], "trees/X");
}

/* What somebody depends on can be used, and so can all around it. */
TEST_F(depend, nothing_else_is_refused)
{
	NEEDS_LOCKS();
	ASSERT_EQ(0, variant->fn("trees/X", variant->caller));
	ASSERT_EQ(0, do_write("trees/X/value", "x"));
	ASSERT_EQ(0, do_write("trees/X/a/b/blob", "x"));
	ASSERT_EQ(0, do_mkdir("trees/X/d/n", NULL));
	ASSERT_EQ(0, do_rmdir("trees/X/d/n", NULL));
	ASSERT_EQ(0, do_rmdir("trees/X/a/b/c/i", NULL));
	ASSERT_EQ(0, do_symlink("trees/X", "links/l/link"));
	ASSERT_EQ(0, do_unlink("links/l/link", NULL));
	ASSERT_EQ(0, do_mkdir("trees/Y", NULL));
	ASSERT_EQ(0, do_rmdir("trees/Y", NULL));
	ASSERT_EQ(0, undepend("trees/X", NULL));
	ASSERT_EQ(0, do_rmdir("trees/X", NULL));
}

/* Groups that are never removed, up to the subsystem, can be depended on. */
TEST_F(depend, subsystem)
{
	static const char * const targets[] = {
		".", "trees", "../configfs_test2", "../configfs_test2/items",
	};
	struct row refused[] = { { do_rmdir, NULL, NULL, EPERM }, {} };

	NEEDS_OR_CRASHES(return, LOCKS);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		refused[0].a = strcmp(targets[i], ".") ? targets[i] : SUBSYS_DIR;
		ASSERT_EQ(0, variant->fn(targets[i], variant->caller));
		ASSERT_TRUE(rows_refused(refused));
		ASSERT_EQ(0, undepend(targets[i], NULL));
	}
}

/* Nobody depends on what is not there yet. */
TEST_F(depend, item_that_is_being_made)
{
	static const char * const targets[] = {
		"trees/Y", "trees/Y/a", "trees/Y/a/b/c",
	};

	NEEDS_LOCKS();
	ASSERT_EQ(0, hold("visible", "f"));
	ASSERT_TRUE(task_start(&self->tasks[0], do_mkdir, "trees/Y", NULL));
	ASSERT_EQ(0, await_held("visible"));
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		EXPECT_EQ(ENOENT, variant->fn(targets[i], variant->caller));
	ASSERT_EQ(0, release("visible"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	EXPECT_EQ(0, variant->fn(targets[0], variant->caller));
	EXPECT_EQ(0, undepend(targets[0], NULL));
	ASSERT_EQ(0, do_rmdir("trees/Y", NULL));
}

/* Nor on what is on its way out, whichever callback that has come to. */
TEST_F(depend, item_that_is_being_removed)
{
	static const char * const callbacks[] = { "disconnect", "drop" };

	if (variant->caller)
		NEEDS_OR_CRASHES(return, LOCKS);
	for (size_t i = 0; i < ARRAY_SIZE(callbacks); i++) {
		ASSERT_EQ(0, hold(callbacks[i], NULL));
		ASSERT_TRUE(task_start(&self->tasks[0], do_rmdir, "items/t",
				       NULL));
		ASSERT_EQ(0, await_held(callbacks[i]));
		EXPECT_EQ(ENOENT, variant->fn("items/t", variant->caller));
		ASSERT_EQ(0, release(callbacks[i]));
		ASSERT_EQ(0, task_join(&self->tasks[0]));
		ASSERT_EQ(0, do_mkdir("items/t", NULL));
	}
}

/*
 * While rmdir(2) waits for a callback, it is decided already or still open: one
 * of the two is refused.
 */
TEST_F(depend, while_rmdir_waits)
{
	static const char * const targets[] = { "trees/X", "trees/X/e/f" };

	if (variant->crashes)
		NEEDS_OR_CRASHES(return, LOCKS);
	else
		NEEDS(GROUPS);
	ASSERT_EQ(0, do_rmdir("trees/X/a/b/c/i", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		int depends, removes;

		ASSERT_EQ(0, hold("show", NULL));
		ASSERT_TRUE(task_start(&self->tasks[0], do_read,
				       "trees/X/a/b/value", NULL));
		ASSERT_EQ(0, await_held("show"));
		ASSERT_TRUE(task_start(&self->tasks[1], do_rmdir, "trees/X",
				       NULL));
		depends = variant->fn(targets[i], variant->caller);
		ASSERT_EQ(0, release("show"));
		ASSERT_EQ(0, task_join(&self->tasks[0]));
		removes = task_join(&self->tasks[1]);
		ASSERT_TRUE((depends == ENOENT && !removes) ||
			    (!depends && removes == EBUSY)) {
			TH_LOG("%s: %d and %d", targets[i], depends, removes);
		}
		if (!depends) {
			ASSERT_EQ(0, undepend(targets[i], NULL));
			ASSERT_EQ(0, do_rmdir("trees/X", NULL));
		}
		ASSERT_EQ(0, do_mkdir("trees/X", NULL));
	}
}

/* A group that a driver has registered, or a subsystem, and what is in it */
TEST_F(depend, registered_groups)
{
	static const char * const targets[] = {
		"dyn", "dyn/a/b/c", "../configfs_test3", "../configfs_test3/d",
	};

	NEEDS_OR_CRASHES(return, LOCKS);
	ASSERT_EQ(0, control("register", ". dyn tree"));
	ASSERT_EQ(0, control("register", "/ configfs_test3 tree"));
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		ASSERT_EQ(0, variant->fn(targets[i], variant->caller));
		ASSERT_EQ(0, undepend(targets[i], NULL));
	}
	ASSERT_EQ(0, do_mkdir("dyn/n", NULL));
	STAYS("dyn/n", "dyn/n");
	ASSERT_EQ(0, do_rmdir("dyn/n", NULL));
	ASSERT_EQ(0, control("unregister", "dyn keep"));
	ASSERT_EQ(0, control("unregister", "../configfs_test3 keep"));
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		EXPECT_EQ(ENOENT, variant->fn(targets[i], variant->caller));
}

/*
 * A driver that unregisters a group in spite of those who depend on it: their
 * dependencies end with it, not with the one that it registers next.
 */
FIXTURE(orphan)
{
	struct baseline base;
};

/**
 * @group:	what is unregistered
 * @how:	it is registered
 * @target:	it, or what is in it
 */
FIXTURE_VARIANT(orphan)
{
	const char *group;
	const char *how;
	const char *target;
};

FIXTURE_VARIANT_ADD(orphan, group) {
	.group = "dyn",
	.how = ". dyn tree",
	.target = "dyn",
};

FIXTURE_VARIANT_ADD(orphan, default_group) {
	.group = "dyn",
	.how = ". dyn tree",
	.target = "dyn/a/b/c",
};

FIXTURE_VARIANT_ADD(orphan, subsystem) {
	.group = "../configfs_test3",
	.how = "/ configfs_test3 tree",
	.target = "../configfs_test3",
};

FIXTURE_SETUP(orphan)
{
	test_begin(&self->base);
	ASSERT_EQ(0, control("register", variant->how));
}

FIXTURE_TEARDOWN(orphan)
{
	TEST_END(&self->base);
}

TEST_F(orphan, undepend_after_unregistering)
{
	NEEDS_OR_CRASHES(return, UNDEPEND);
	ASSERT_EQ(0, control("depend", variant->target));
	ASSERT_EQ(0, control("depend", variant->target));
	ASSERT_EQ(0, control("unregister", at("%s keep", variant->group)));
	ASSERT_EQ(ENOENT, control("depend", variant->target));
	ASSERT_EQ(0, undepend(variant->target, NULL));
	ASSERT_EQ(0, undepend(variant->target, NULL));
}

TEST_F(orphan, undepend_after_registering_again)
{
	if (variant->how[0] == '/')
		SKIP(return, "a subsystem is another one then");
	NEEDS_OR_CRASHES(return, UNDEPEND);
	ASSERT_EQ(0, control("depend", variant->target));
	ASSERT_EQ(0, control("unregister", at("%s keep", variant->group)));
	ASSERT_EQ(0, control("register", variant->how));
	/* One of each */
	ASSERT_EQ(0, control("depend", variant->target));
	ASSERT_EQ(0, undepend(variant->target, NULL));
	ASSERT_EQ(0, undepend(variant->target, NULL));
	ASSERT_EQ(0, control("unregister", at("%s keep", variant->group)));
}

int main(int argc, char **argv)
{
	test_init();
	return test_harness_run(argc, argv);
}
