// SPDX-License-Identifier: GPL-2.0
/*
 * configfs_depend_item() pins an item or group: it cannot be removed until
 * configfs_undepend_item() is called. Drivers call it from outside of configfs;
 * from a callback, in the same or in another subsystem, they use
 * configfs_depend_item_unlocked().
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

/*
 * The store callback of @caller depends on @path and returns the result.
 * @caller is an attribute of an item that is used for nothing else.
 */
static int from_callback(const char *path, const char *caller)
{
	int ret;

	if (knob("store name=caller depend=%s", path))
		return -1;
	ret = do_write(caller, "x");
	knob("store");
	return ret;
}

FIXTURE(depend)
{
	struct baseline base;
	struct task tasks[2];
};

/**
 * @fn:		calls configfs_depend_item() or the _unlocked() variant
 * @caller:	attribute whose store callback makes the call, if any
 * @crashes:	kernels without the LOCKS patch cannot do this safely
 */
FIXTURE_VARIANT(depend)
{
	int (*fn)(const char *path, const char *caller);
	const char *caller;
	bool crashes;
};

FIXTURE_VARIANT_ADD(depend, from_outside) {
	.fn = do_depend,
};

FIXTURE_VARIANT_ADD(depend, from_callback) {
	.fn = from_callback,
	.caller = "items/caller/value",
};

/* The caller is in the second subsystem, most targets are in the first */
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

/* Skip the whole test if this variant would trigger the lock inversion. */
#define NEEDS_LOCKS() do {				\
	if (variant->crashes)				\
		NEEDS_OR_CRASHES(return, LOCKS);		\
} while (0)

/* rmdir(2) of @dir must fail until all dependencies on @target are gone. */
#define STAYS(_target, _dir) do {					\
	struct row refused[] = { { do_rmdir, _dir, NULL, EBUSY }, {} };	\
									\
	ASSERT_EQ(0, variant->fn(_target, variant->caller));		\
	ASSERT_TRUE(rows_refused(refused)) {				\
		TH_LOG("despite a dependency on %s", _target);		\
	}								\
	ASSERT_EQ(0, variant->fn(_target, variant->caller));		\
	ASSERT_EQ(0, do_undepend(_target, NULL));			\
	ASSERT_TRUE(rows_refused(refused));				\
	ASSERT_EQ(0, do_undepend(_target, NULL));			\
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

/* A dependency blocks only rmdir(2) of its target, and nothing else. */
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
	ASSERT_EQ(0, do_undepend("trees/X", NULL));
	ASSERT_EQ(0, do_rmdir("trees/X", NULL));
}

/* Drivers may also depend on groups that rmdir(2) never removes. */
TEST_F(depend, subsystem)
{
	static const char * const targets[] = {
		".", "trees", "../configfs_test2", "../configfs_test2/items",
	};
	struct row refused[] = { { do_rmdir, NULL, NULL, EPERM }, {} };

	if (variant->caller)
		NEEDS_OR_CRASHES(return, LOCKS);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		refused[0].a = strcmp(targets[i], ".") ? targets[i] : SUBSYS_DIR;
		ASSERT_EQ(0, variant->fn(targets[i], variant->caller));
		ASSERT_TRUE(rows_refused(refused));
		ASSERT_EQ(0, do_undepend(targets[i], NULL));
	}
}

/* Depending on an item fails until mkdir(2) has finished making it. */
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
	EXPECT_EQ(0, do_undepend(targets[0], NULL));
	ASSERT_EQ(0, do_rmdir("trees/Y", NULL));
}

/* It also fails once rmdir(2) has reached one of the removal callbacks. */
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
 * While rmdir(2) waits for a running callback, either of the two may win, but
 * exactly one of them must fail.
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
			ASSERT_EQ(0, do_undepend(targets[i], NULL));
			ASSERT_EQ(0, do_rmdir("trees/X", NULL));
		}
		ASSERT_EQ(0, do_mkdir("trees/X", NULL));
	}
}

/* Groups and subsystems registered by a driver, and groups below them */
TEST_F(depend, registered_groups)
{
	static const char * const targets[] = {
		"dyn", "dyn/a/b/c", "../configfs_test3", "../configfs_test3/d",
	};

	if (variant->caller)
		NEEDS_OR_CRASHES(return, LOCKS);
	ASSERT_EQ(0, control("register", ". dyn tree"));
	ASSERT_EQ(0, control("register", "/ configfs_test3 tree"));
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		ASSERT_EQ(0, variant->fn(targets[i], variant->caller));
		ASSERT_EQ(0, do_undepend(targets[i], NULL));
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
 * No callback is a place where configfs_depend_item_unlocked() must not be called,
 * whatever configfs has locked around it.
 */

FIXTURE(callback)
{
	struct baseline base;
};

/**
 * @target:	item to depend on; the callbacks are those of the first subsystem
 * @in:		subsystem of @target
 * @not_in:	another one
 * @crashes:	kernels without the LOCKS patch cannot do this safely
 */
FIXTURE_VARIANT(callback)
{
	const char *target;
	const char *in;
	const char *not_in;
	bool crashes;
};

FIXTURE_VARIANT_ADD(callback, same_subsystem) {
	.target = "items/t",
	.in = ".",
	.not_in = "../configfs_test2",
};

FIXTURE_VARIANT_ADD(callback, other_subsystem) {
	.target = "../configfs_test2/items/t",
	.in = "../configfs_test2",
	.not_in = ".",
	.crashes = true,
};

FIXTURE_SETUP(callback)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir(variant->target, NULL));
	ASSERT_EQ(0, do_mkdir("items/i", NULL));
	ASSERT_EQ(0, do_mkdir("links/l", NULL));
}

FIXTURE_TEARDOWN(callback)
{
	TEST_END(&self->base);
}

TEST_F(callback, depends)
{
	static const struct row rows[] = {
		{ do_read,	"items/i/value" },
		{ do_write,	"items/i/value", "x" },
		{ do_write,	"items/i/blob", "x" },
		{ do_symlink,	"items/i", "links/l/link" },
		{ do_unlink,	"links/l/link" },
		/* Here the inode of the parent is locked, often su_mutex, too */
		{ do_mkdir,	"items/n" },
		{ do_rmdir,	"items/n" },
		{ do_mkdir,	"items/n" },
		{ do_rmdir,	"items/n" },
	};
	static const char * const callbacks[] = {
		"show", "store", "bin_write", "allow_link", "drop_link",
		"make", "disconnect", "visible", "drop",
	};

	NEEDS_LOCKS();
	for (size_t i = 0; i < ARRAY_SIZE(callbacks); i++) {
		ASSERT_EQ(0, knob("%s depend=%s", callbacks[i], variant->target));
		ASSERT_EQ(0, rows[i].fn(rows[i].a, rows[i].b)) {
			TH_LOG("in %s", callbacks[i]);
		}
		ASSERT_EQ(0, release(callbacks[i]));
		ASSERT_EQ(EBUSY, do_rmdir(variant->target, NULL)) {
			TH_LOG("despite %s", callbacks[i]);
		}
		/* The knob was in effect exactly once */
		ASSERT_EQ(0, do_undepend(variant->target, NULL));
		ASSERT_EQ(ENOENT, do_undepend(variant->target, NULL));
	}
	ASSERT_EQ(0, do_rmdir(variant->target, NULL));
}

TEST_F(callback, does_not_depend_on_what_is_elsewhere)
{
	EXPECT_EQ(0, control("depend", at("%s %s", variant->target, variant->in)));
	EXPECT_EQ(0, do_undepend(variant->target, NULL));
	EXPECT_EQ(ENOENT, control("depend", at("%s %s", variant->target,
					       variant->not_in)));
	ASSERT_EQ(0, knob("store depend=/"));
	EXPECT_EQ(EINVAL, do_write("items/i/value", "x"));
	/* Nothing was counted */
	EXPECT_EQ(0, do_rmdir(variant->target, NULL));
}

/*
 * An item that is not attached yet, or not any more, and its own callbacks. Whether
 * the last two have depended on it is for the module to see, as a violation.
 */
TEST(callback_of_the_item_itself)
{
	static const char * const callbacks[] = { "visible", "disconnect", "drop" };
	struct baseline base;

	NEEDS_OR_CRASHES(return, LOCKS);
	test_begin(&base);
	for (size_t i = 0; i < ARRAY_SIZE(callbacks); i++) {
		int before = counter(callbacks[i]);

		EXPECT_EQ(0, knob("%s name=n depend=items/n", callbacks[i]));
		EXPECT_EQ(0, do_mkdir("items/n", NULL));
		EXPECT_EQ(ENOENT, do_undepend("items/n", NULL)) {
			TH_LOG("in %s", callbacks[i]);
		}
		EXPECT_EQ(0, do_rmdir("items/n", NULL));
		EXPECT_EQ(before + 1, counter(callbacks[i]));
		EXPECT_EQ(0, counter("violations"));
		EXPECT_EQ(0, release(callbacks[i]));
	}
	TEST_END(&base);
}

/*
 * A driver unregisters a group while there are dependencies on it. They end
 * with the registration and must not carry over if it is registered again.
 */
FIXTURE(orphan)
{
	struct baseline base;
};

/**
 * @group:	path of the group or subsystem
 * @how:	arguments of the command "register" for @group
 * @target:	what to depend on: @group or a default group below it
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
	ASSERT_EQ(0, do_undepend(variant->target, NULL));
	ASSERT_EQ(0, do_undepend(variant->target, NULL));
}

TEST_F(orphan, undepend_after_registering_again)
{
	if (variant->how[0] == '/')
		SKIP(return, "a subsystem is not reused when registered again");
	NEEDS_OR_CRASHES(return, UNDEPEND);
	ASSERT_EQ(0, control("depend", variant->target));
	ASSERT_EQ(0, control("unregister", at("%s keep", variant->group)));
	ASSERT_EQ(0, control("register", variant->how));
	/* One dependency on each registration; drop both */
	ASSERT_EQ(0, control("depend", variant->target));
	ASSERT_EQ(0, do_undepend(variant->target, NULL));
	ASSERT_EQ(0, do_undepend(variant->target, NULL));
	ASSERT_EQ(0, control("unregister", at("%s keep", variant->group)));
}

int main(int argc, char **argv)
{
	test_init();
	return test_harness_run(argc, argv);
}
