// SPDX-License-Identifier: GPL-2.0
/*
 * A directory is attached when it is complete and detached in one step. Until
 * then and from then on, userspace must not see a part of it, and nobody must
 * wait for it who does not have to.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

#define SYSLOG_ACTION_READ_ALL	3

static int do_open(const char *path, const char *unused)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || close(fd) ? errno : 0;
}

/*
 * A directory by another way than its path, to look at it while it is removed:
 * the inodes of its parents are locked then.
 */
static const char *held_open(const char *path)
{
	return at("/proc/self/fd/%d/.", open(path, O_PATH | O_CLOEXEC));
}

/* Wait until nobody can open it any more. */
static void until_detached(const char *dir)
{
	while (do_open(dir, NULL) != ENOENT)
		usleep(1000);
}

/*
 * A directory in the making, by userspace and by a driver
 */

FIXTURE(making)
{
	struct baseline base;
	struct task task;
};

/**
 * @callback:	where to hold it
 * @name:	for which object, or NULL
 * @fn:		makes the tree
 * @how:	argument of @fn
 * @top:	path of the tree
 * @parent:	path of its parent directory
 */
FIXTURE_VARIANT(making)
{
	const char *callback;
	const char *name;
	int (*fn)(const char *a, const char *b);
	const char *how;
	const char *top;
	const char *parent;
};

FIXTURE_VARIANT_ADD(making, mkdir_asks_the_driver) {
	.callback = "make",
	.fn = do_mkdir,
	.how = "trees/X",
	.top = "trees/X",
	.parent = "trees",
};

FIXTURE_VARIANT_ADD(making, mkdir_has_made_a_part) {
	.callback = "visible",
	.name = "f",
	.fn = do_mkdir,
	.how = "trees/X",
	.top = "trees/X",
	.parent = "trees",
};

FIXTURE_VARIANT_ADD(making, mkdir_below_a_default_group) {
	.callback = "visible",
	.name = "f",
	.fn = do_mkdir,
	.how = "trees/P/a/b/X",
	.top = "trees/P/a/b/X",
	.parent = "trees/P/a/b",
};

FIXTURE_VARIANT_ADD(making, driver_has_made_a_part_of_a_group) {
	.callback = "visible",
	.name = "f",
	.fn = do_register,
	.how = ". dyn tree",
	.top = "dyn",
	.parent = ".",
};

FIXTURE_VARIANT_ADD(making, driver_has_made_a_part_of_a_subsystem) {
	.callback = "visible",
	.name = "f",
	.fn = do_register,
	.how = "/ configfs_test3 tree",
	.top = "../configfs_test3",
	.parent = CONFIGFS_DIR,
};

FIXTURE_SETUP(making)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("trees/P", NULL));
	ASSERT_EQ(0, do_mkdir("links/l", NULL));
	ASSERT_EQ(0, hold(variant->callback, variant->name));
	ASSERT_TRUE(task_start(&self->task, variant->fn, variant->how, NULL));
	ASSERT_EQ(0, await_held(variant->callback));
}

FIXTURE_TEARDOWN(making)
{
	TEST_END(&self->base);
}

TEST_F(making, is_not_there_at_all)
{
	static const char * const parts[] = { "", "/a", "/a/b/c", "/value" };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const char *path = at("%s%s", variant->top, parts[i]);

		EXPECT_EQ(ENOENT, do_stat(path, NULL));
		EXPECT_EQ(ENOENT, do_open(path, NULL));
		EXPECT_EQ(ENOENT, do_symlink(at(SUBSYS_DIR "/%s", path),
					     "links/l/to"));
	}
	ASSERT_EQ(0, release(variant->callback));
	ASSERT_EQ(0, task_join(&self->task));
	ASSERT_TRUE(tree_is_whole(variant->top));
}

/* The inode of its parent is locked: this needs a timeout to fail */
TEST_F_TIMEOUT(making, holds_nobody_off_the_parent, 20)
{
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, do_open(variant->parent, NULL));
	EXPECT_EQ(1, counter(at("held_%s", variant->callback)));
	ASSERT_EQ(0, release(variant->callback));
	ASSERT_EQ(0, task_join(&self->task));
}

/*
 * A directory that is removed
 */

FIXTURE(removal)
{
	struct baseline base;
	struct task tasks[2];
};

FIXTURE_SETUP(removal)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("trees/P", NULL));
}

FIXTURE_TEARDOWN(removal)
{
	TEST_END(&self->base);
}

/* rmdir(2) marks nothing before it has waited for all callbacks. */
TEST_F(removal, changes_nothing_while_it_waits)
{
	ASSERT_EQ(0, hold("show", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_read, "trees/P/a/value",
			       NULL));
	ASSERT_EQ(0, await_held("show"));
	ASSERT_TRUE(task_start(&self->tasks[1], do_rmdir, "trees/P", NULL));
	ASSERT_FALSE(comes("disconnect", 1));
	EXPECT_EQ(0, do_mkdir("trees/P/a/b/c/i", NULL));
	ASSERT_EQ(0, release("show"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	EXPECT_EQ(ENOTEMPTY, task_join(&self->tasks[1]));
	ASSERT_EQ(0, do_rmdir("trees/P/a/b/c/i", NULL));
	ASSERT_TRUE(tree_is_whole("trees/P"));
}

/* What is being made in it is too late, and the driver hears of that. */
TEST_F(removal, wins_against_what_is_made_below)
{
	const char *part = held_open("trees/P/a/b/c");

	ASSERT_EQ(0, control("reset", NULL));
	ASSERT_EQ(0, hold("make", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_mkdir, "trees/P/a/b/X",
			       NULL));
	ASSERT_EQ(0, await_held("make"));
	ASSERT_TRUE(task_start(&self->tasks[1], do_rmdir, "trees/P", NULL));
	until_detached(part);
	EXPECT_EQ(EBUSY, pthread_tryjoin_np(self->tasks[1].thread, NULL));
	ASSERT_EQ(0, release("make"));
	EXPECT_EQ(ENOENT, task_join(&self->tasks[0]));
	EXPECT_EQ(0, task_join(&self->tasks[1]));
	EXPECT_TRUE(happened_before("+disconnect trees/P/a/b/X",
				    "+disconnect trees/P"));
}

/* So is a link, and the driver hears of that, too. */
TEST_F(removal, wins_against_a_link_made_below)
{
	const char *part = held_open("trees/P/a/b/c");

	ASSERT_EQ(0, do_mkdir("items/t", NULL));
	ASSERT_EQ(0, control("reset", NULL));
	ASSERT_EQ(0, hold("allow_link", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_symlink, "items/t",
			       "trees/P/a/link"));
	ASSERT_EQ(0, await_held("allow_link"));
	ASSERT_TRUE(task_start(&self->tasks[1], do_rmdir, "trees/P", NULL));
	until_detached(part);
	EXPECT_EQ(EBUSY, pthread_tryjoin_np(self->tasks[1].thread, NULL));
	ASSERT_EQ(0, release("allow_link"));
	EXPECT_EQ(ENOENT, task_join(&self->tasks[0]));
	EXPECT_EQ(0, task_join(&self->tasks[1]));
	EXPECT_EQ(1, counter("drop_link"));
	EXPECT_TRUE(happened_before("-drop_link trees/P/a",
				    "+disconnect trees/P"));
	/* Nothing holds the target */
	EXPECT_EQ(0, do_rmdir("items/t", NULL));
}

/* An item that cannot be attached goes as others do: release() without su_mutex */
TEST_F_TIMEOUT(removal, of_what_was_never_attached, 20)
{
	ASSERT_EQ(0, knob("make spoil"));
	ASSERT_EQ(0, hold("release", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_mkdir, "items/x", NULL));
	ASSERT_EQ(0, await_held("release"));
	ASSERT_EQ(0, release("make"));
	EXPECT_EQ(0, do_mkdir("trees/Q", NULL));
	ASSERT_EQ(0, release("release"));
	EXPECT_EQ(EINVAL, task_join(&self->tasks[0]));
}

/*
 * Where drivers may register groups
 */

FIXTURE(driver)
{
	struct baseline base;
	struct task tasks[2];
};

FIXTURE_SETUP(driver)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("trees/P", NULL));
	ASSERT_EQ(0, do_register(". dyn tree", NULL));
}

FIXTURE_TEARDOWN(driver)
{
	TEST_END(&self->base);
}

TEST_F(driver, is_refused)
{
	char name[300];
	const struct row rows[] = {
		/* Names that exist */
		{ do_register, ". trees tree",		NULL, EEXIST },
		{ do_register, ". dyn tree",		NULL, EEXIST },
		{ do_register, "trees P tree",		NULL, EEXIST },
		{ do_register, "dyn a tree",		NULL, EEXIST },
		{ do_register, "dyn value tree",	NULL, EEXIST },
		{ do_register, "/ " TEST_MODULE " tree", NULL, EEXIST },
		/* Names that are none */
		{ do_register, ". .. tree",		NULL, EACCES },
		{ do_register, ". x/y tree",		NULL, EACCES },
		{ do_register, name,			NULL, ENAMETOOLONG },
		/* Directories that userspace has made */
		{ do_register, "trees/P new tree",	NULL, EINVAL },
		{ do_register, "trees/P/a/b new tree",	NULL, EINVAL },
		{ do_register, "dyn/U new tree",	NULL, EINVAL },
		{}
	};

	snprintf(name, sizeof(name), ". %0256d tree", 0);
	ASSERT_EQ(0, do_mkdir("dyn/U", NULL));
	ASSERT_TRUE(rows_refused(rows));
	ASSERT_EQ(0, do_rmdir("dyn/U", NULL));
	/* While this is allowed */
	ASSERT_EQ(0, do_register("dyn/a/b new tree", NULL));
	ASSERT_TRUE(tree_is_whole("dyn/a/b/new"));
	ASSERT_EQ(0, do_unregister("dyn/a/b/new", NULL));
}

TEST_F(driver, needs_a_parent_that_is_there)
{
	ASSERT_EQ(0, do_unregister("dyn keep", NULL));
	EXPECT_EQ(ENOENT, do_register("dyn new tree", NULL));
	EXPECT_EQ(ENOENT, do_register("dyn/a/b new tree", NULL));
}

/*
 * A group goes along with the registered group that it is in, after its
 * callbacks, and can still be unregistered.
 */
TEST_F(driver, unregisters_the_parent_first)
{
	const char *kid;

	ASSERT_EQ(0, do_register("dyn/a kid tree", NULL));
	kid = held_open("dyn/a/kid");
	ASSERT_EQ(0, hold("show", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_read, "dyn/a/kid/e/value",
			       NULL));
	ASSERT_EQ(0, await_held("show"));
	ASSERT_TRUE(task_start(&self->tasks[1], do_unregister,
			       "dyn force keep", NULL));
	until_detached(kid);
	EXPECT_EQ(EBUSY, pthread_tryjoin_np(self->tasks[1].thread, NULL));
	ASSERT_EQ(0, release("show"));
	EXPECT_EQ(0, task_join(&self->tasks[0]));
	EXPECT_EQ(0, task_join(&self->tasks[1]));
	EXPECT_FALSE(exists("dyn"));
	EXPECT_EQ(0, do_unregister("dyn/a/kid", NULL));
}

/* Nobody links to a group that is going along with its parent. */
TEST_F(driver, unregisters_the_parent_of_a_target)
{
	const char *kid;
	int drops;

	ASSERT_EQ(0, do_mkdir("links/l", NULL));
	ASSERT_EQ(0, do_register("dyn/a kid tree", NULL));
	kid = held_open("dyn/a/kid");
	drops = counter("drop_link");
	ASSERT_EQ(0, hold("allow_link", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_symlink,
			       SUBSYS_DIR "/dyn/a/kid", "links/l/to"));
	ASSERT_EQ(0, await_held("allow_link"));
	ASSERT_TRUE(task_start(&self->tasks[1], do_unregister,
			       "dyn force keep", NULL));
	until_detached(kid);
	ASSERT_EQ(0, release("allow_link"));
	EXPECT_EQ(ENOENT, task_join(&self->tasks[0]));
	EXPECT_EQ(0, task_join(&self->tasks[1]));
	EXPECT_EQ(drops + 1, counter("drop_link"));
	EXPECT_EQ(0, do_unregister("dyn/a/kid", NULL));
}

/* Whoever depends on a group that goes all the same can let go at any time. */
TEST_F(driver, unregisters_a_group_that_is_depended_on)
{
	const char *part = held_open("dyn/a/b/c");

	ASSERT_EQ(0, control("depend", "dyn"));
	ASSERT_EQ(0, control("depend", "dyn/e/f"));
	ASSERT_EQ(0, hold("make", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_mkdir, "dyn/a/b/X", NULL));
	ASSERT_EQ(0, await_held("make"));
	ASSERT_TRUE(task_start(&self->tasks[1], do_unregister,
			       "dyn force keep", NULL));
	until_detached(part);
	EXPECT_EQ(0, control("undepend", "dyn"));
	EXPECT_EQ(0, control("undepend", "dyn/e/f"));
	EXPECT_EQ(EBUSY, pthread_tryjoin_np(self->tasks[1].thread, NULL));
	ASSERT_EQ(0, release("make"));
	EXPECT_EQ(ENOENT, task_join(&self->tasks[0]));
	EXPECT_EQ(0, task_join(&self->tasks[1]));
}

/* What is left in use does no harm, and one message about it is enough. */
TEST_F(driver, is_told_once)
{
	static const char * const messages[] = {
		"unregistered while in use or not empty",
		"cannot register a group in",
	};
	static char log[1 << 20];

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, control("depend", "dyn"));
		ASSERT_EQ(0, do_unregister("dyn keep", NULL));
		ASSERT_EQ(0, control("undepend", "dyn"));
		ASSERT_EQ(0, do_register(". dyn tree", NULL));
		ASSERT_TRUE(tree_is_whole("dyn"));
		ASSERT_EQ(EINVAL, do_register("trees/P new tree", NULL));
	}
	ASSERT_LT(0, klogctl(SYSLOG_ACTION_READ_ALL, log, sizeof(log) - 1));
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		char *first = strstr(log, messages[i]);

		if (!first)
			SKIP(return, "the start of the kernel log is lost");
		EXPECT_EQ(NULL, strstr(first + 1, messages[i]));
	}
}

int main(int argc, char **argv)
{
	test_init();
	return test_harness_run(argc, argv);
}
