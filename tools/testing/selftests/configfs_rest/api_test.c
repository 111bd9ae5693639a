// SPDX-License-Identifier: GPL-2.0
/*
 * A driver that renames its items itself: configfs_commit_item(),
 * configfs_uncommit_item(), configfs_rename_item() and config_item_is_live().
 *
 * The test module calls them for us: from this task, where it is interrupted,
 * lacks permissions and memory as we do; from a kernel thread; or from one of
 * its callbacks, where it must not.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

#define NOBODY		65534
/* As the test module calls its subsystems */
#define SUBSYS		"configfs_api_test"
#define SUBSYS2		"configfs_api_test2"

/* Call @function for @what, which is an item, or an item, a group and a name */
static int call(const char *how, const char *function, const char *what)
{
	char buf[2048];

	snprintf(buf, sizeof(buf), "%s %s %s", function, how, what);
	return control("call", buf);
}

static int direct(const char *function, const char *what)
{
	return call("direct", function, what);
}

static int kthread(const char *function, const char *what)
{
	return call("kthread", function, what);
}

/* Keep a reference on the item, as @n */
static int keep(int n, const char *item)
{
	char buf[PATH_MAX];

	snprintf(buf, sizeof(buf), "%d %s", n, item);
	return control("keep", buf);
}

static bool is_live(const char *item)
{
	return !direct("is_live", item) && counter("result") == 1;
}

/* What is at that path, as its driver sees it */
static bool shows(const char *path, const char *name, const char *state)
{
	char file[PATH_MAX], wanted[PATH_MAX];

	snprintf(file, sizeof(file), "%s/state", path);
	snprintf(wanted, sizeof(wanted), "%s %s", name, state);
	if (!strcmp(value_of(file), wanted))
		return listed(path) == 1;
	ksft_print_msg("%s: %s\n", file, value_of(file));
	return false;
}

/*
 * What they do
 */

FIXTURE(api)
{
	struct baseline base;
	struct watches watches;
};

FIXTURE_VARIANT(api)
{
	const char *how;
};

FIXTURE_VARIANT_ADD(api, from_a_task) {
	.how = "direct",
};

FIXTURE_VARIANT_ADD(api, from_a_kthread) {
	.how = "kthread",
};

FIXTURE_SETUP(api)
{
	test_begin(&self->base);
	ASSERT_TRUE(watch_init(&self->watches));
}

FIXTURE_TEARDOWN(api)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(api, commit_and_uncommit)
{
	struct stat before, after;

	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, stat("items/pending/foo", &before));
	ASSERT_FALSE(is_live(SUBSYS "/items/foo"));
	ASSERT_TRUE(shows("items/pending/foo", "foo", "not live"));

	ASSERT_EQ(0, call(variant->how, "commit", SUBSYS "/items/foo"));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(0, listed("items/pending/foo"));
	ASSERT_TRUE(shows("items/live/foo", "foo", "live"));
	ASSERT_TRUE(is_live(SUBSYS "/items/foo"));
	ASSERT_EQ(EBUSY, do_write("items/live/foo/value", "x"));
	ASSERT_EQ(EBUSY, do_rmdir("items/live/foo"));
	ASSERT_EQ(0, stat("items/live/foo", &after));
	ASSERT_EQ(before.st_ino, after.st_ino);

	ASSERT_EQ(0, call(variant->how, "uncommit", SUBSYS "/items/foo"));
	ASSERT_EQ(1, counter("uncommit"));
	ASSERT_EQ(0, listed("items/live/foo"));
	ASSERT_TRUE(shows("items/pending/foo", "foo", "not live"));
	ASSERT_FALSE(is_live(SUBSYS "/items/foo"));
	ASSERT_EQ(0, do_write("items/pending/foo/value", "x"));
	ASSERT_EQ(0, do_rmdir("items/pending/foo"));
}

/* The one does not care about which way the other has gone */
TEST_F(api, mixed_with_rename)
{
	ASSERT_EQ(0, do_mkdir("trees/pending/foo"));
	ASSERT_EQ(0, do_mkdir("trees/pending/foo/a"));
	ASSERT_EQ(0, call(variant->how, "commit", SUBSYS "/trees/foo"));
	ASSERT_EQ(EBUSY, do_mkdir("trees/live/foo/a/b"));
	ASSERT_EQ(0, uncommit("trees", "foo"));
	ASSERT_EQ(0, do_mkdir("trees/pending/foo/a/b"));
	ASSERT_EQ(0, commit("trees", "foo"));
	ASSERT_TRUE(shows("trees/live/foo/a/b", "b", "live"));
	ASSERT_EQ(0, call(variant->how, "uncommit", SUBSYS "/trees/foo"));
	ASSERT_TRUE(shows("trees/pending/foo/a/b", "b", "not live"));
}

TEST_F(api, rename_in_a_group)
{
	struct stat before, after;

	ASSERT_EQ(0, do_mkdir("boxes/foo"));
	ASSERT_EQ(0, stat("boxes/foo", &before));
	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/boxes/foo " SUBSYS "/boxes bar"));
	ASSERT_EQ(1, counter("rename"));
	ASSERT_EQ(0, listed("boxes/foo"));
	ASSERT_TRUE(shows("boxes/bar", "bar", "not live"));
	ASSERT_EQ(0, stat("boxes/bar", &after));
	ASSERT_EQ(before.st_ino, after.st_ino);

	/* One that has to be allocated, and back to one that it had */
	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/boxes/bar " SUBSYS "/boxes " LONG_NAME));
	ASSERT_TRUE(shows("boxes/" LONG_NAME, LONG_NAME, "not live"));
	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/boxes/" LONG_NAME " " SUBSYS "/boxes foo"));
	ASSERT_TRUE(shows("boxes/foo", "foo", "not live"));
	ASSERT_EQ(EEXIST, do_mkdir("boxes/foo"));
	ASSERT_EQ(0, do_mkdir("boxes/bar"));
}

/* In a committable group, that is in pending/ */
TEST_F(api, rename_of_a_pending_item)
{
	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/items/foo " SUBSYS "/items bar"));
	ASSERT_TRUE(shows("items/pending/bar", "bar", "not live"));
	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/items/bar " SUBSYS "/items2 baz"));
	ASSERT_TRUE(shows("items2/pending/baz", "baz", "not live"));
	ASSERT_EQ(0, call(variant->how, "commit", SUBSYS "/items2/baz"));
	ASSERT_TRUE(shows("items2/live/baz", "baz", "live"));
	ASSERT_EQ(0, call(variant->how, "uncommit", SUBSYS "/items2/baz"));
	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/items2/baz " SUBSYS "/boxes baz"));
	ASSERT_TRUE(shows("boxes/baz", "baz", "not live"));
	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/boxes/baz " SUBSYS "/items foo"));
	ASSERT_TRUE(shows("items/pending/foo", "foo", "not live"));
	ASSERT_EQ(4, counter("rename"));
}

TEST_F(api, move)
{
	ASSERT_EQ(0, do_mkdir("boxes/a"));
	ASSERT_EQ(0, do_mkdir("boxes/a/b"));
	ASSERT_EQ(0, do_mkdir("boxes/a/b/c"));
	ASSERT_EQ(0, do_mkdir("boxes/d"));
	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/boxes/a/b " SUBSYS "/boxes/d b"));
	ASSERT_TRUE(shows("boxes/d/b", "b", "not live"));
	ASSERT_TRUE(shows("boxes/d/b/c", "c", "not live"));
	ASSERT_EQ(0, do_rmdir("boxes/a"));
	/* To another depth, with another name */
	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/boxes/d/b " SUBSYS "/boxes e"));
	ASSERT_TRUE(shows("boxes/e/c", "c", "not live"));
	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/boxes/e " SUBSYS "/boxes/d c"));
	ASSERT_TRUE(shows("boxes/d/c/c", "c", "not live"));
	ASSERT_EQ(ENOTEMPTY, do_rmdir("boxes/d"));
	ASSERT_EQ(3, counter("rename"));
}

/* The same events as of rename(2) */
TEST_F(api, inotify_events)
{
	struct watches *w = &self->watches;
	char *by_rename;

	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_TRUE(watch(w, "pending", "items/pending"));
	ASSERT_TRUE(watch(w, "live", "items/live"));
	ASSERT_TRUE(watch(w, "foo", "items/pending/foo"));

	ASSERT_EQ(0, commit("items", "foo"));
	by_rename = strdup(watched(w));
	ASSERT_STREQ("pending MOVED_FROM ISDIR foo\n"
		     "live MOVED_TO ISDIR foo\n"
		     "foo MOVE_SELF\n", by_rename);
	ASSERT_EQ(0, uncommit("items", "foo"));
	watched(w);
	ASSERT_EQ(0, call(variant->how, "commit", SUBSYS "/items/foo"));
	ASSERT_STREQ(by_rename, watched(w));

	ASSERT_EQ(0, uncommit("items", "foo"));
	free(by_rename);
	by_rename = strdup(watched(w));
	ASSERT_EQ(0, commit("items", "foo"));
	watched(w);
	ASSERT_EQ(0, call(variant->how, "uncommit", SUBSYS "/items/foo"));
	ASSERT_STREQ(by_rename, watched(w));
	free(by_rename);

	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/items/foo " SUBSYS "/items bar"));
	ASSERT_STREQ("pending MOVED_FROM ISDIR foo\n"
		     "pending MOVED_TO ISDIR bar\n"
		     "foo MOVE_SELF\n", watched(w));

	/* Nothing, when nothing happens */
	ASSERT_EQ(EALREADY, call(variant->how, "uncommit", SUBSYS "/items/bar"));
	ASSERT_EQ(0, knob("commit", EIO, 0, false));
	ASSERT_EQ(EIO, call(variant->how, "commit", SUBSYS "/items/bar"));
	ASSERT_STREQ("", watched(w));
}

/* Times and link counts, too */
TEST_F(api, times_and_link_counts)
{
	struct stat before[3], after[3];

	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, stat("items/pending", &before[0]));
	ASSERT_EQ(0, stat("items/live", &before[1]));
	ASSERT_EQ(0, stat("items/pending/foo", &before[2]));
	usleep(20000);
	ASSERT_EQ(0, call(variant->how, "commit", SUBSYS "/items/foo"));
	ASSERT_EQ(0, stat("items/pending", &after[0]));
	ASSERT_EQ(0, stat("items/live", &after[1]));
	ASSERT_EQ(0, stat("items/live/foo", &after[2]));
	ASSERT_EQ(before[0].st_nlink - 1, after[0].st_nlink);
	ASSERT_EQ(before[1].st_nlink + 1, after[1].st_nlink);
	for (int i = 0; i < 3; i++) {
		ASSERT_NE(0, memcmp(&before[i].st_ctim, &after[i].st_ctim,
				    sizeof(before[i].st_ctim)));
		ASSERT_EQ(i == 2, !memcmp(&before[i].st_mtim,
					  &after[i].st_mtim,
					  sizeof(before[i].st_mtim)));
	}
}

TEST_F(api, running_store_delays_it)
{
	struct task store, commit;

	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&store, do_write, "items/pending/foo/value",
			       "last"));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_TRUE(task_start(&commit, !strcmp(variant->how, "kthread") ?
			       kthread : direct, "commit", SUBSYS "/items/foo"));
	ASSERT_TRUE(task_waits(&commit));
	ASSERT_EQ(0, counter("commit"));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&store));
	ASSERT_EQ(0, task_join(&commit));
	ASSERT_STREQ("last", value_of("items/live/foo/value"));
}

/* The nearest one counts, and what is in none is not live. */
TEST_F(api, is_live)
{
	ASSERT_EQ(0, do_mkdir("nests/pending/foo"));
	ASSERT_EQ(0, do_mkdir("nests/pending/foo/inner/pending/a"));
	ASSERT_EQ(0, do_mkdir("nests/pending/foo/inner/pending/b"));
	ASSERT_EQ(0, call(variant->how, "commit", SUBSYS "/nests/foo/inner/a"));
	ASSERT_FALSE(is_live(SUBSYS "/nests/foo"));
	ASSERT_FALSE(is_live(SUBSYS "/nests/foo/inner"));
	ASSERT_TRUE(is_live(SUBSYS "/nests/foo/inner/a"));
	ASSERT_FALSE(is_live(SUBSYS "/nests/foo/inner/b"));

	ASSERT_EQ(0, call(variant->how, "commit", SUBSYS "/nests/foo"));
	ASSERT_TRUE(is_live(SUBSYS "/nests/foo"));
	ASSERT_TRUE(is_live(SUBSYS "/nests/foo/inner"));
	ASSERT_TRUE(is_live(SUBSYS "/nests/foo/inner/a"));
	ASSERT_FALSE(is_live(SUBSYS "/nests/foo/inner/b"));
	ASSERT_TRUE(shows("nests/live/foo/inner", "inner", "live"));
	ASSERT_TRUE(shows("nests/live/foo/inner/live/a", "a", "live"));
	ASSERT_TRUE(shows("nests/live/foo/inner/pending/b", "b", "not live"));

	ASSERT_EQ(0, do_mkdir("plain/foo"));
	ASSERT_FALSE(is_live(SUBSYS "/plain/foo"));
	ASSERT_FALSE(is_live(SUBSYS "/items"));
	ASSERT_EQ(0, call(variant->how, "uncommit", SUBSYS "/nests/foo"));

	/* What has been removed */
	ASSERT_EQ(0, keep(0, SUBSYS "/nests/foo/inner/b"));
	ASSERT_EQ(0, do_rmdir("nests/pending/foo/inner/pending/b"));
	ASSERT_FALSE(is_live("@0"));
}

/* Nothing but a reference is needed, neither a mount nor a path to it. */
TEST_F(api, not_mounted)
{
	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, do_mkdir("boxes/a"));
	ASSERT_EQ(0, chdir("/"));
	if (umount(CONFIGFS_DIR))
		SKIP(return, "configfs is in use: %s", strerror(errno));

	EXPECT_EQ(0, call(variant->how, "commit", SUBSYS "/items/foo"));
	EXPECT_TRUE(is_live(SUBSYS "/items/foo"));
	EXPECT_EQ(EALREADY, call(variant->how, "commit", SUBSYS "/items/foo"));
	EXPECT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/boxes/a " SUBSYS "/boxes b"));
	EXPECT_FALSE(exists(SUBSYS_DIR));

	ASSERT_EQ(0, mount("configfs", CONFIGFS_DIR, "configfs", 0, NULL));
	ASSERT_EQ(0, chdir(SUBSYS_DIR));
	ASSERT_EQ(0, listed("items/pending/foo"));
	ASSERT_TRUE(shows("items/live/foo", "foo", "live"));
	ASSERT_EQ(0, listed("boxes/a"));
	ASSERT_TRUE(shows("boxes/b", "b", "not live"));
	ASSERT_EQ(0, uncommit("items", "foo"));
}

static int call_fd;

static int nobody_calls(void *arg)
{
	/* Not permitted to this task */
	if (do_rename("items/pending/foo", "items/live/foo") != EACCES)
		return 255;
	return do_write_fd(call_fd, arg);
}

TEST_F(api, permissions_do_not_matter)
{
	char commit[128], uncommit[128];

	snprintf(commit, sizeof(commit), "commit %s " SUBSYS "/items/foo",
		 variant->how);
	snprintf(uncommit, sizeof(uncommit), "uncommit %s " SUBSYS "/items/foo",
		 variant->how);
	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, chmod("items/pending", 0));
	ASSERT_EQ(0, chmod("items/live", 0));
	ASSERT_EQ(0, chmod("items", 0));
	call_fd = open(CONTROL_DIR "/call", O_WRONLY);
	ASSERT_LE(0, call_fd);
	EXPECT_EQ(0, as_user(NOBODY, nobody_calls, commit));
	EXPECT_TRUE(shows("items/live/foo", "foo", "live"));
	EXPECT_EQ(0, as_user(NOBODY, nobody_calls, uncommit));
	EXPECT_TRUE(shows("items/pending/foo", "foo", "not live"));
	EXPECT_EQ(0, chmod("items", 0755));
	EXPECT_EQ(0, chmod("items/pending", 0755));
	EXPECT_EQ(0, chmod("items/live", 0755));
}

/* Nor do they do harm to a process in the item. */
TEST_F(api, open_files_and_working_directory_stay)
{
	char path[PATH_MAX];
	int fd;

	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	fd = open("items/pending/foo/value", O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, chdir("items/pending/foo"));
	ASSERT_EQ(0, call(variant->how, "commit", SUBSYS "/items/foo"));
	ASSERT_STREQ(SUBSYS_DIR "/items/live/foo", getcwd(path, sizeof(path)));
	ASSERT_STREQ("foo live", value_of("state"));
	ASSERT_EQ(EBUSY, do_write_fd(fd, "x"));
	ASSERT_EQ(0, call(variant->how, "uncommit", SUBSYS "/items/foo"));
	ASSERT_EQ(0, call(variant->how, "rename",
			  SUBSYS "/items/foo " SUBSYS "/boxes bar"));
	ASSERT_STREQ(SUBSYS_DIR "/boxes/bar", getcwd(path, sizeof(path)));
	ASSERT_EQ(0, do_write_fd(fd, "x"));
}

/*
 * What they refuse
 */

/**
 * struct refusal - one call that must fail
 * @function:	which
 * @what:	of what
 * @err:	what it fails with
 */
struct refusal {
	const char *function;
	const char *what;
	int err;
};

static const struct {
	int (*fn)(const char *a, const char *b);
	const char *a;
	const char *b;
} stage[] = {
	{ task_mkdir, "items/pending/p" },
	{ task_mkdir, "items/pending/l" },
	{ commit, "items", "l" },
	{ task_mkdir, "items/pending/both" },
	{ commit, "items", "both" },
	{ task_mkdir, "items/pending/both" },
	{ task_mkdir, "items2/pending/p" },

	{ task_mkdir, "oneway/pending/p" },
	{ task_mkdir, "oneway/pending/l" },
	{ commit, "oneway", "l" },

	{ task_mkdir, "trees/pending/p" },
	{ task_mkdir, "trees/pending/p/a" },

	{ task_mkdir, "nests/pending/l" },
	{ task_mkdir, "nests/pending/l/inner/pending/p" },
	{ task_mkdir, "nests/pending/l/inner/pending/l" },
	{ commit, "nests/pending/l/inner", "l" },
	{ commit, "nests", "l" },

	{ task_mkdir, "boxes/a" },
	{ task_mkdir, "boxes/a/b" },
	{ task_mkdir, "boxes/a/b/c" },
	{ task_mkdir, "boxes/d" },
	{ task_mkdir, "boxes/d/b" },
	{ task_mkdir, "others/a" },
	{ task_mkdir, "plain/a" },
	{ task_mkdir, "../" SUBSYS2 "/boxes/a" },

	/* Linked to, themselves and below */
	{ task_mkdir, "items/pending/target" },
	{ do_symlink, "items/pending/target", "plain/a/to_target" },
	{ task_mkdir, "items/pending/live_target" },
	{ commit, "items", "live_target" },
	{ do_symlink, "items/live/live_target", "plain/a/to_live_target" },
	{ task_mkdir, "trees/pending/target" },
	{ task_mkdir, "trees/pending/target/x" },
	{ do_symlink, "trees/pending/target/x", "plain/a/to_tree" },
	{ task_mkdir, "boxes/target" },
	{ do_symlink, "boxes/target", "plain/a/to_box" },

	/* With a link in it */
	{ task_mkdir, "boxes/linking" },
	{ do_symlink, "plain/a", "boxes/linking/link" },

	/* Depended on, themselves and below */
	{ task_mkdir, "items/pending/needed" },
	{ control, "depend", SUBSYS "/items/needed" },
	{ task_mkdir, "trees/pending/needed" },
	{ task_mkdir, "trees/pending/needed/x" },
	{ control, "depend", SUBSYS "/trees/needed/x" },
	{ task_mkdir, "boxes/needed" },
	{ control, "depend", SUBSYS "/boxes/needed" },

	/* Removed: @0 is an item, @1 is a group */
	{ task_mkdir, "items/pending/gone" },
	{ control, "keep", "0 " SUBSYS "/items/gone" },
	{ task_rmdir, "items/pending/gone" },
	{ task_mkdir, "boxes/gone" },
	{ control, "keep", "1 " SUBSYS "/boxes/gone" },
	{ task_rmdir, "boxes/gone" },
};

FIXTURE(refused)
{
	struct baseline base;
	struct watches watches;
};

FIXTURE_VARIANT(refused)
{
	struct refusal rows[24];
};

FIXTURE_SETUP(refused)
{
	static const char * const dirs[] = {
		"items/pending", "items/live", "boxes", "boxes/a", "trees/pending",
	};

	test_begin(&self->base);
	for (size_t i = 0; i < ARRAY_SIZE(stage); i++) {
		ASSERT_EQ(0, stage[i].fn(stage[i].a, stage[i].b)) {
			TH_LOG("%s %s", stage[i].a, stage[i].b ?: "");
		}
	}
	ASSERT_TRUE(watch_init(&self->watches));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		ASSERT_TRUE(watch(&self->watches, dirs[i], dirs[i]));
}

FIXTURE_TEARDOWN(refused)
{
	EXPECT_TRUE(test_end(&self->base));
}

FIXTURE_VARIANT_ADD(refused, what_is_so_already) {
	.rows = {
		{ "commit", SUBSYS "/items/l", EALREADY },
		{ "uncommit", SUBSYS "/items/p", EALREADY },
		{ "commit", SUBSYS "/oneway/l", EALREADY },
		{ "uncommit", SUBSYS "/oneway/p", EALREADY },
		/* Also where something else is in the way */
		{ "commit", SUBSYS "/items/live_target", EALREADY },
		{ "uncommit", SUBSYS "/items/needed", EALREADY },
		{ "commit", SUBSYS "/nests/l/inner/l", EALREADY },
		{ "uncommit", SUBSYS "/nests/l/inner/p", EALREADY },
	},
};

FIXTURE_VARIANT_ADD(refused, what_is_not_of_a_committable_group) {
	.rows = {
		{ "commit", SUBSYS "/plain/a", EPERM },
		{ "uncommit", SUBSYS "/plain/a", EPERM },
		{ "commit", SUBSYS "/boxes/a", EPERM },
		{ "uncommit", SUBSYS "/boxes/a/b", EPERM },
		/* Below an item, and above */
		{ "commit", SUBSYS "/trees/p/a", EPERM },
		{ "uncommit", SUBSYS "/trees/p/a", EPERM },
		{ "commit", SUBSYS "/items", EPERM },
		{ "uncommit", SUBSYS "/items", EPERM },
		{ "commit", SUBSYS "/nests/l/inner", EPERM },
		{ "uncommit", SUBSYS "/nests/l/inner", EPERM },
	},
};

FIXTURE_VARIANT_ADD(refused, without_the_op) {
	.rows = {
		{ "uncommit", SUBSYS "/oneway/l", EPERM },
		{ "rename", SUBSYS "/oneway/p " SUBSYS "/oneway q", EPERM },
		{ "rename", SUBSYS "/plain/a " SUBSYS "/plain b", EPERM },
		{ "rename", SUBSYS "/trees/p/a " SUBSYS "/trees/p b", EPERM },
		/* Of one of the two groups */
		{ "rename", SUBSYS "/plain/a " SUBSYS "/boxes b", EPERM },
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/plain b", EPERM },
		{ "rename", SUBSYS "/items/p " SUBSYS "/oneway q", EPERM },
		/* It has one, but another one */
		{ "rename", SUBSYS "/others/a " SUBSYS "/boxes b", EPERM },
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/others b", EPERM },
		{ "rename", SUBSYS "/items/p " SUBSYS "/others/a p", EPERM },
		/* An item that makes nothing is no destination */
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/trees/p/a x", EPERM },
	},
};

FIXTURE_VARIANT_ADD(refused, what_the_driver_made) {
	.rows = {
		{ "rename", SUBSYS "/items " SUBSYS "/boxes items", EPERM },
		{ "rename", SUBSYS "/plain " SUBSYS "/boxes plain", EPERM },
		{ "rename", SUBSYS "/boxes " SUBSYS "/others x", EPERM },
		{ "rename", SUBSYS "/nests/l/inner " SUBSYS "/boxes x", EPERM },
	},
};

FIXTURE_VARIANT_ADD(refused, other_subsystem) {
	.rows = {
		{ "rename", SUBSYS "/boxes/a " SUBSYS2 "/boxes b", EPERM },
		{ "rename", SUBSYS "/boxes/a " SUBSYS2 "/boxes/a a", EPERM },
		{ "rename", SUBSYS2 "/boxes/a " SUBSYS "/boxes x", EPERM },
		{ "rename", SUBSYS "/items/p " SUBSYS2 "/items p", EPERM },
	},
};

FIXTURE_VARIANT_ADD(refused, what_is_gone) {
	.rows = {
		{ "commit", "@0", ENOENT },
		{ "uncommit", "@0", ENOENT },
		{ "rename", "@0 " SUBSYS "/items x", ENOENT },
		{ "rename", "@0 @1 x", ENOENT },
		{ "commit", "@1", ENOENT },
		{ "rename", "@1 " SUBSYS "/boxes x", ENOENT },
		{ "rename", "@1 @1 x", ENOENT },
		{ "rename", SUBSYS "/boxes/a @1 x", ENOENT },
		{ "rename", SUBSYS "/items/p @1 p", ENOENT },
	},
};

FIXTURE_VARIANT_ADD(refused, existing_name) {
	.rows = {
		{ "commit", SUBSYS "/items/both", EEXIST },
		{ "rename", SUBSYS "/items/p " SUBSYS "/items both", EEXIST },
		{ "rename", SUBSYS "/items/p " SUBSYS "/items2 p", EEXIST },
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/boxes d", EEXIST },
		{ "rename", SUBSYS "/boxes/a/b " SUBSYS "/boxes/d b", EEXIST },
		/* A group of the driver's, an attribute, a link */
		{ "rename", SUBSYS "/boxes/d " SUBSYS "/boxes value", EEXIST },
		{ "rename", SUBSYS "/boxes/d " SUBSYS "/boxes/linking link",
		  EEXIST },
		/* An ancestor */
		{ "rename", SUBSYS "/boxes/a/b " SUBSYS "/boxes a", EEXIST },
		{ "rename", SUBSYS "/boxes/a/b/c " SUBSYS "/boxes a", EEXIST },
		/* Itself: there is no such rename */
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/boxes a", EEXIST },
		{ "rename", SUBSYS "/items/p " SUBSYS "/items p", EEXIST },
	},
};

FIXTURE_VARIANT_ADD(refused, what_is_busy) {
	.rows = {
		{ "commit", SUBSYS "/items/target", EBUSY },
		{ "uncommit", SUBSYS "/items/live_target", EBUSY },
		{ "rename", SUBSYS "/items/target " SUBSYS "/items x", EBUSY },
		{ "commit", SUBSYS "/trees/target", EBUSY },
		{ "rename", SUBSYS "/trees/target " SUBSYS "/trees x", EBUSY },
		{ "rename", SUBSYS "/boxes/target " SUBSYS "/boxes x", EBUSY },
		{ "commit", SUBSYS "/items/needed", EBUSY },
		{ "rename", SUBSYS "/items/needed " SUBSYS "/items x", EBUSY },
		{ "commit", SUBSYS "/trees/needed", EBUSY },
		{ "rename", SUBSYS "/trees/needed " SUBSYS "/trees x", EBUSY },
		{ "rename", SUBSYS "/boxes/needed " SUBSYS "/boxes x", EBUSY },
		{ "rename", SUBSYS "/boxes/needed " SUBSYS "/boxes/a x", EBUSY },
		/* The link would not lead to its target from there */
		{ "rename", SUBSYS "/boxes/linking " SUBSYS "/boxes/a x",
		  EBUSY },
	},
};

FIXTURE_VARIANT_ADD(refused, what_is_frozen) {
	.rows = {
		{ "rename", SUBSYS "/items/l " SUBSYS "/items x", EBUSY },
		{ "rename", SUBSYS "/items/l " SUBSYS "/items2 l", EBUSY },
		{ "rename", SUBSYS "/items/l " SUBSYS "/boxes l", EBUSY },
		/* Below a live item */
		{ "commit", SUBSYS "/nests/l/inner/p", EBUSY },
		{ "uncommit", SUBSYS "/nests/l/inner/l", EBUSY },
		{ "rename", SUBSYS "/nests/l/inner/p "
			    SUBSYS "/nests/l/inner q", EBUSY },
		{ "rename", SUBSYS "/nests/l/inner/p " SUBSYS "/items q",
		  EBUSY },
		{ "rename", SUBSYS "/items/p " SUBSYS "/nests/l/inner q",
		  EBUSY },
	},
};

FIXTURE_VARIANT_ADD(refused, move_below_itself) {
	.rows = {
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/boxes/a x", EINVAL },
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/boxes/a/b x", EINVAL },
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/boxes/a/b/c x", EINVAL },
	},
};

FIXTURE_VARIANT_ADD(refused, names_that_nothing_can_have) {
	.rows = {
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/boxes ", EACCES },
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/boxes .", EACCES },
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/boxes ..", EACCES },
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/boxes d/x", EACCES },
		{ "rename", SUBSYS "/boxes/a " SUBSYS "/boxes /", EACCES },
	},
};

TEST_F_TIMEOUT(refused, and_nothing_changed, 120)
{
	static const char * const how[] = { "direct", "kthread" };
	char *before = snapshot(SNAP_CALLS);
	int renames = counter("rename");

	watched(&self->watches);
	for (const struct refusal *row = variant->rows; row->function; row++) {
		for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
			EXPECT_EQ(row->err, call(how[i], row->function,
						 row->what)) {
				TH_LOG("%s %s", row->function, row->what);
			}
		}
		EXPECT_TRUE(unchanged(before, SNAP_CALLS)) {
			TH_LOG("%s %s", row->function, row->what);
		}
	}
	EXPECT_STREQ("", watched(&self->watches));
	EXPECT_EQ(renames, counter("rename"));
	free(before);
}

FIXTURE(single)
{
	struct baseline base;
};

FIXTURE_SETUP(single)
{
	test_begin(&self->base);
}

FIXTURE_TEARDOWN(single)
{
	control("register", "1");
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(single, errno_of_the_op)
{
	char *before;

	ASSERT_EQ(0, do_mkdir("items/pending/p"));
	ASSERT_EQ(0, do_mkdir("items/pending/l"));
	ASSERT_EQ(0, commit("items", "l"));
	ASSERT_EQ(0, do_mkdir("boxes/a"));
	ASSERT_EQ(0, knob("commit", EHOSTDOWN, 0, false));
	ASSERT_EQ(0, knob("uncommit", ETXTBSY, 0, false));
	ASSERT_EQ(0, knob("rename", EXDEV, 0, false));
	before = snapshot(0);
	ASSERT_EQ(EHOSTDOWN, kthread("commit", SUBSYS "/items/p"));
	ASSERT_EQ(ETXTBSY, kthread("uncommit", SUBSYS "/items/l"));
	ASSERT_EQ(EXDEV, kthread("rename",
				 SUBSYS "/boxes/a " SUBSYS "/boxes b"));
	ASSERT_EQ(EXDEV, kthread("rename",
				 SUBSYS "/boxes/a " SUBSYS "/items a"));
	ASSERT_TRUE(unchanged(before, 0));
	ASSERT_EQ(2, counter("commit"));
	ASSERT_EQ(1, counter("uncommit"));
	ASSERT_EQ(2, counter("rename"));
	free(before);
}

TEST_F(single, longest_name)
{
	char what[1024], path[1024], name[257];

	memset(name, 'x', 256);
	name[256] = 0;
	ASSERT_EQ(0, do_mkdir("boxes/a"));
	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	snprintf(what, sizeof(what), SUBSYS "/boxes/a " SUBSYS "/boxes %s", name);
	ASSERT_EQ(ENAMETOOLONG, direct("rename", what));
	snprintf(what, sizeof(what), SUBSYS "/items/foo " SUBSYS "/items %s",
		 name);
	ASSERT_EQ(ENAMETOOLONG, kthread("rename", what));
	ASSERT_EQ(0, counter("rename"));

	name[255] = 0;
	snprintf(what, sizeof(what), SUBSYS "/boxes/a " SUBSYS "/boxes %s", name);
	snprintf(path, sizeof(path), "boxes/%s", name);
	ASSERT_EQ(0, direct("rename", what));
	ASSERT_TRUE(shows(path, name, "not live"));
	ASSERT_EQ(0, do_rmdir(path));
}

/* A link in an item goes with it, where it leads to the same place. */
TEST_F(single, links_inside)
{
	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, do_mkdir("boxes/a"));
	ASSERT_EQ(0, do_mkdir("boxes/b"));
	ASSERT_EQ(0, do_mkdir("boxes/a/x"));
	ASSERT_EQ(0, do_symlink("plain/a", "boxes/a/x/link"));
	ASSERT_EQ(0, kthread("rename", SUBSYS "/boxes/a/x " SUBSYS "/boxes/b y"));
	ASSERT_TRUE(exists("boxes/b/y/link/value"));
	ASSERT_EQ(EBUSY, kthread("rename",
				 SUBSYS "/boxes/b/y " SUBSYS "/boxes y"));
	/* What is below moves with what it is below, which then has the link */
	ASSERT_EQ(0, kthread("rename", SUBSYS "/boxes/b " SUBSYS "/boxes c"));
	ASSERT_TRUE(exists("boxes/c/y/link/value"));
	ASSERT_EQ(EBUSY, kthread("rename",
				 SUBSYS "/boxes/c " SUBSYS "/boxes/a c"));
	ASSERT_EQ(0, do_unlink("boxes/c/y/link"));
	ASSERT_EQ(0, kthread("rename", SUBSYS "/boxes/c " SUBSYS "/boxes/a c"));
	ASSERT_EQ(0, do_rmdir("boxes/a/c/y"));
}

/* In the middle of mkdir(2), there is no directory yet. */
TEST_F(single, item_that_is_being_made)
{
	struct task mkdir, rename;

	ASSERT_EQ(0, do_mkdir("boxes/a"));
	ASSERT_EQ(0, hold("make"));
	ASSERT_TRUE(task_start(&mkdir, task_mkdir, "boxes/a/b", NULL));
	ASSERT_TRUE(wait_counter("make", 2));
	/* Below a: at once, as the inode that is locked is not a's parent */
	ASSERT_EQ(EBUSY, kthread("rename", SUBSYS "/boxes/a " SUBSYS "/boxes c"));
	ASSERT_TRUE(task_start(&rename, kthread, "rename",
			       SUBSYS "/boxes/a " SUBSYS "/boxes/a x"));
	ASSERT_EQ(0, release("make"));
	ASSERT_EQ(0, task_join(&mkdir));
	ASSERT_EQ(EINVAL, task_join(&rename));
	ASSERT_EQ(0, kthread("rename", SUBSYS "/boxes/a " SUBSYS "/boxes c"));
	ASSERT_TRUE(exists("boxes/c/b"));
}

TEST_F(single, item_that_is_being_removed)
{
	struct task rmdir, commit;

	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, keep(0, SUBSYS "/items/foo"));
	ASSERT_EQ(0, hold("drop"));
	ASSERT_TRUE(task_start(&rmdir, task_rmdir, "items/pending/foo", NULL));
	ASSERT_TRUE(wait_counter("drop", 1));
	ASSERT_TRUE(task_start(&commit, kthread, "commit", "@0"));
	ASSERT_EQ(ENOENT, task_join(&commit));
	ASSERT_EQ(0, release("drop"));
	ASSERT_EQ(0, task_join(&rmdir));
	ASSERT_EQ(0, counter("commit"));
}

/* Whoever waited to do the same finds it done, under whatever name */
TEST_F(single, item_that_somebody_else_renames)
{
	struct task store, first, second;

	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&store, do_write, "items/pending/foo/value",
			       "x"));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_TRUE(task_start(&first, commit, "items", "foo"));
	ASSERT_TRUE(task_waits(&first));
	ASSERT_TRUE(task_start(&second, kthread, "commit", SUBSYS "/items/foo"));
	ASSERT_TRUE(task_waits(&second));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&store));
	ASSERT_EQ(0, task_join(&first));
	ASSERT_EQ(EALREADY, task_join(&second));
	ASSERT_EQ(0, uncommit("items", "foo"));

	/* A new name: it is the item that is committed */
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&store, do_write, "items/pending/foo/value",
			       "x"));
	ASSERT_TRUE(wait_counter("store", 2));
	ASSERT_TRUE(task_start(&first, do_rename, "items/pending/foo",
			       "items/pending/" LONG_NAME));
	ASSERT_TRUE(task_waits(&first));
	ASSERT_TRUE(task_start(&second, kthread, "commit", SUBSYS "/items/foo"));
	ASSERT_TRUE(task_waits(&second));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&store));
	ASSERT_EQ(0, task_join(&first));
	ASSERT_EQ(0, task_join(&second));
	ASSERT_TRUE(shows("items/live/" LONG_NAME, LONG_NAME, "live"));
}

TEST_F(single, unregistered_subsystem)
{
	/* An item, its group and a group that it could go to */
	ASSERT_EQ(0, do_mkdir("../" SUBSYS2 "/items/pending/foo"));
	ASSERT_EQ(0, keep(0, SUBSYS2 "/items/foo"));
	ASSERT_EQ(0, keep(1, SUBSYS2 "/items"));
	ASSERT_EQ(0, keep(2, SUBSYS2 "/boxes"));
	ASSERT_EQ(EBUSY, control("unregister", "1"));
	ASSERT_EQ(0, do_rmdir("../" SUBSYS2 "/items/pending/foo"));
	ASSERT_EQ(0, control("unregister", "1"));
	ASSERT_FALSE(exists("../" SUBSYS2));

	ASSERT_EQ(0, do_mkdir("boxes/a"));
	for (int i = 0; i < 2; i++) {
		int (*how)(const char *function, const char *what) =
			i ? kthread : direct;

		ASSERT_EQ(ENOENT, how("commit", "@0"));
		ASSERT_EQ(ENOENT, how("uncommit", "@0"));
		ASSERT_EQ(ENOENT, how("commit", "@1"));
		ASSERT_EQ(ENOENT, how("rename", "@0 @2 x"));
		ASSERT_EQ(ENOENT, how("rename", "@2 @1 x"));
		ASSERT_EQ(ENOENT, how("rename", "@0 " SUBSYS "/boxes x"));
		ASSERT_EQ(ENOENT, how("rename", SUBSYS "/boxes/a @2 x"));
		ASSERT_FALSE(is_live("@0"));
	}
	/* There is another one of that name now */
	ASSERT_EQ(0, control("register", "1"));
	ASSERT_EQ(0, do_mkdir("../" SUBSYS2 "/items/pending/foo"));
	ASSERT_EQ(ENOENT, kthread("commit", "@0"));
	ASSERT_EQ(ENOENT, kthread("rename", SUBSYS2 "/items/foo @2 x"));
	ASSERT_EQ(0, kthread("commit", SUBSYS2 "/items/foo"));
	ASSERT_EQ(0, counter("rename"));
}

/* Nor does anything keep configfs itself */
TEST_F(single, nothing_is_registered_nor_mounted)
{
	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, keep(0, SUBSYS "/items/foo"));
	ASSERT_EQ(0, keep(1, SUBSYS "/boxes"));
	ASSERT_EQ(0, do_rmdir("items/pending/foo"));
	ASSERT_EQ(0, chdir("/"));
	if (umount(CONFIGFS_DIR))
		SKIP(return, "configfs is in use: %s", strerror(errno));
	EXPECT_EQ(0, control("unregister", "0"));
	EXPECT_EQ(0, control("unregister", "1"));

	EXPECT_EQ(ENOENT, kthread("commit", "@0"));
	EXPECT_EQ(ENOENT, direct("uncommit", "@0"));
	EXPECT_EQ(ENOENT, kthread("rename", "@0 @1 x"));
	EXPECT_EQ(ENOENT, direct("rename", "@1 @1 x"));

	EXPECT_EQ(0, control("register", "0"));
	EXPECT_EQ(0, mount("configfs", CONFIGFS_DIR, "configfs", 0, NULL));
	EXPECT_EQ(0, chdir(SUBSYS_DIR));
}

static int do_direct(void *arg)
{
	return direct("commit", arg);
}

/* Killed while it waits for a store(): nothing has happened. */
TEST_F(single, killed_while_waiting)
{
	struct task store;
	int status;
	pid_t pid;

	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&store, do_write, "items/pending/foo/value",
			       "x"));
	ASSERT_TRUE(wait_counter("store", 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(do_direct(SUBSYS "/items/foo"));
	ASSERT_TRUE(process_waits(pid));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(-EINTR, counter("result"));
	ASSERT_EQ(0, counter("commit"));
	ASSERT_TRUE(exists("items/pending/foo"));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&store));
	ASSERT_EQ(0, kthread("commit", SUBSYS "/items/foo"));
}

/*
 * From a callback: it would wait for itself. With lockdep, the kernel says so,
 * with a warning that is wanted here, and that nobody else should see: it stays
 * away from the console, and what goes to the log is looked at.
 */

FIXTURE(callback)
{
	struct baseline base;
	int log;
	int level;
};

/**
 * @callback:	which of them makes the call
 * @call:	what it is
 * @name:	of the item, as the warning tells it
 * @fn:		what leads to that callback, with @a and @b
 */
FIXTURE_VARIANT(callback)
{
	const char *callback;
	const char *call;
	const char *name;
	int (*fn)(const char *a, const char *b);
	const char *a;
	const char *b;
};

FIXTURE_VARIANT_ADD(callback, show) {
	.callback = "show",
	.call = "commit direct " SUBSYS "/items/foo",
	.name = "foo",
	.fn = task_read,
	.a = "items/pending/foo/value",
};

FIXTURE_VARIANT_ADD(callback, store) {
	.callback = "store",
	.call = "commit direct " SUBSYS "/items/foo",
	.name = "foo",
	.fn = do_write,
	.a = "items/pending/foo/value",
	.b = "x",
};

FIXTURE_VARIANT_ADD(callback, store_of_another_item) {
	.callback = "store",
	.call = "rename direct " SUBSYS "/boxes/a " SUBSYS "/boxes b",
	.name = "a",
	.fn = do_write,
	.a = "items/pending/foo/value",
	.b = "x",
};

FIXTURE_VARIANT_ADD(callback, make) {
	.callback = "make",
	.call = "commit direct " SUBSYS "/items/foo",
	.name = "foo",
	.fn = task_mkdir,
	.a = "items/pending/bar",
};

FIXTURE_VARIANT_ADD(callback, make_elsewhere) {
	.callback = "make",
	.call = "commit direct " SUBSYS "/items/foo",
	.name = "foo",
	.fn = task_mkdir,
	.a = "boxes/b",
};

FIXTURE_VARIANT_ADD(callback, disconnect_notify) {
	.callback = "disconnect",
	.call = "commit direct " SUBSYS "/items/foo",
	.name = "foo",
	.fn = task_rmdir,
	.a = "plain/a",
};

FIXTURE_VARIANT_ADD(callback, drop) {
	.callback = "drop",
	.call = "uncommit direct " SUBSYS "/items/live",
	.name = "live",
	.fn = task_rmdir,
	.a = "plain/a",
};

FIXTURE_VARIANT_ADD(callback, commit) {
	.callback = "commit",
	.call = "uncommit direct " SUBSYS "/items/live",
	.name = "live",
	.fn = commit,
	.a = "items",
	.b = "foo",
};

FIXTURE_VARIANT_ADD(callback, uncommit) {
	.callback = "uncommit",
	.call = "commit direct " SUBSYS "/items/foo",
	.name = "foo",
	.fn = uncommit,
	.a = "items",
	.b = "live",
};

FIXTURE_VARIANT_ADD(callback, rename) {
	.callback = "rename",
	.call = "rename direct " SUBSYS "/boxes/a " SUBSYS "/boxes c",
	.name = "a",
	.fn = do_rename,
	.a = "boxes/a",
	.b = "boxes/b",
};

FIXTURE_VARIANT_ADD(callback, allow_link) {
	.callback = "allow_link",
	.call = "rename direct " SUBSYS "/boxes/a " SUBSYS "/boxes c",
	.name = "a",
	.fn = do_symlink,
	.a = "plain/a",
	.b = "boxes/link",
};

FIXTURE_VARIANT_ADD(callback, allow_link_in_the_item) {
	.callback = "allow_link",
	.call = "rename direct " SUBSYS "/boxes/a " SUBSYS "/boxes c",
	.name = "a",
	.fn = do_symlink,
	.a = "plain/a",
	.b = "boxes/a/link",
};

/* It has to be there, and must not have given up. */
static bool lockdep_works(void)
{
	FILE *stats = fopen("/proc/lockdep_stats", "re");
	char line[256];
	int on = 0;

	while (stats && fgets(line, sizeof(line), stats))
		sscanf(line, " debug_locks: %d", &on);
	if (stats)
		fclose(stats);
	return on;
}

FIXTURE_SETUP(callback)
{
	int panics;
	char buf[16];

	test_begin(&self->base);
	self->log = -1;
	self->level = 0;
	/* Without lockdep it deadlocks */
	if (!lockdep_works())
		SKIP(return, "the kernel has no lockdep, or that is off");
	panics = do_read("/proc/sys/kernel/panic_on_warn", buf, sizeof(buf));
	if (panics || atoi(buf))
		SKIP(return, "the kernel does not survive a warning");
	if (do_write("/sys/kernel/debug/clear_warn_once", "1"))
		SKIP(return, "no debugfs");

	ASSERT_EQ(0, do_mkdir("items/pending/foo"));
	ASSERT_EQ(0, do_mkdir("items/pending/live"));
	ASSERT_EQ(0, commit("items", "live"));
	ASSERT_EQ(0, do_mkdir("boxes/a"));
	ASSERT_EQ(0, do_mkdir("plain/a"));

	self->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->log);
	ASSERT_EQ(0, do_read("/proc/sys/kernel/printk", buf, sizeof(buf)));
	self->level = atoi(buf);
	ASSERT_LT(0, self->level);
}

FIXTURE_TEARDOWN(callback)
{
	if (self->level)
		klogctl(8 /* SYSLOG_ACTION_CONSOLE_LEVEL */, NULL, self->level);
	EXPECT_TRUE(test_end(&self->base));
}

/* Records of the log, of level warning or worse, but for the expected warning */
static int other_warnings(int fd, const char *expected, int *found)
{
	bool inside = false;
	char buf[8192];
	int others = 0;
	ssize_t len;

	*found = 0;
	while ((len = read(fd, buf, sizeof(buf) - 1)) > 0 || errno == EPIPE) {
		char *text;

		if (len <= 0) {
			/* Something has been lost */
			others++;
			errno = 0;
			continue;
		}
		buf[len] = 0;
		text = strchr(buf, ';');
		/* From the kernel, not from a program */
		if (!text || atoi(buf) > 7)
			continue;
		text[1 + strcspn(text + 1, "\n")] = 0;
		if (!strncmp(text + 1, "------------[ cut here", 22))
			inside = true;
		else if (inside && strstr(text, expected))
			++*found;
		else if (strstr(text, "BUG: ") || strstr(text, "possible ") ||
			 (!inside && atoi(buf) <= 4))
			others++;
		else if (!strncmp(text + 1, "---[ end trace", 14))
			inside = false;
		else
			continue;
		if (others)
			ksft_print_msg("%s\n", text + 1);
	}
	return others;
}

TEST_F(callback, is_refused_with_a_warning)
{
	char call_in[256], expected[128];
	int found, others;

	snprintf(expected, sizeof(expected),
		 "configfs: item %s is renamed from a callback",
		 variant->name);
	snprintf(call_in, sizeof(call_in), "%s %s", variant->callback,
		 variant->call);
	ASSERT_EQ(0, control("call_in", call_in));
	ASSERT_LE(0, lseek(self->log, 0, SEEK_END));
	ASSERT_EQ(0, klogctl(8 /* SYSLOG_ACTION_CONSOLE_LEVEL */, NULL, 1));
	/* The callback itself does not mind */
	EXPECT_EQ(0, variant->fn(variant->a, variant->b));
	/* The console may lag behind the log */
	usleep(300000);
	ASSERT_EQ(0, klogctl(8, NULL, self->level));
	EXPECT_EQ(-EDEADLK, counter("result"));
	others = other_warnings(self->log, expected, &found);
	EXPECT_EQ(1, found);
	EXPECT_EQ(0, others);

	/* Everything is as it was, but that the warning comes once only */
	EXPECT_EQ(variant->fn == commit ? 2 : 1, counter("commit"));
	EXPECT_EQ(variant->fn == uncommit, counter("uncommit"));
	EXPECT_EQ(variant->fn == do_rename, counter("rename"));
}

/*
 * Each allocation fails once
 */

FIXTURE(fault)
{
	struct baseline base;
	struct baseline before;
};

FIXTURE_VARIANT(fault)
{
	struct operation op;
	bool to_start;
};

FIXTURE_VARIANT_ADD(fault, commit) {
	.op.fn = direct,
	.op.a = "commit",
	.op.b = SUBSYS "/items/foo",
	.op.undo = direct,
	.op.undo_a = "uncommit",
	.op.undo_b = SUBSYS "/items/foo",
};

FIXTURE_VARIANT_ADD(fault, uncommit) {
	.op.fn = direct,
	.op.a = "uncommit",
	.op.b = SUBSYS "/items/foo",
	.op.undo = direct,
	.op.undo_a = "commit",
	.op.undo_b = SUBSYS "/items/foo",
	.to_start = true,
};

FIXTURE_VARIANT_ADD(fault, commit_of_a_long_name) {
	.op.fn = direct,
	.op.a = "commit",
	.op.b = SUBSYS "/trees/" LONG_NAME,
	.op.undo = direct,
	.op.undo_a = "uncommit",
	.op.undo_b = SUBSYS "/trees/" LONG_NAME,
};

FIXTURE_VARIANT_ADD(fault, rename) {
	.op.fn = direct,
	.op.a = "rename",
	.op.b = SUBSYS "/boxes/a " SUBSYS "/boxes " LONG_NAME,
	.op.undo = direct,
	.op.undo_a = "rename",
	.op.undo_b = SUBSYS "/boxes/" LONG_NAME " " SUBSYS "/boxes a",
};

FIXTURE_VARIANT_ADD(fault, move) {
	.op.fn = direct,
	.op.a = "rename",
	.op.b = SUBSYS "/boxes/a " SUBSYS "/boxes/b a",
	.op.undo = direct,
	.op.undo_a = "rename",
	.op.undo_b = SUBSYS "/boxes/b/a " SUBSYS "/boxes a",
};

FIXTURE_VARIANT_ADD(fault, move_to_a_committable_group) {
	.op.fn = direct,
	.op.a = "rename",
	.op.b = SUBSYS "/boxes/a " SUBSYS "/items a",
	.op.undo = direct,
	.op.undo_a = "rename",
	.op.undo_b = SUBSYS "/items/a " SUBSYS "/boxes a",
};

FIXTURE_VARIANT_ADD(fault, rename_by_userspace) {
	.op.fn = do_rename,
	.op.a = "boxes/a",
	.op.b = "boxes/" LONG_NAME,
	.op.undo = do_rename,
	.op.undo_a = "boxes/" LONG_NAME,
	.op.undo_b = "boxes/a",
};

FIXTURE_VARIANT_ADD(fault, rename_of_a_pending_item_by_userspace) {
	.op.fn = do_rename,
	.op.a = "items/pending/foo",
	.op.b = "items/pending/" LONG_NAME,
	.op.undo = do_rename,
	.op.undo_a = "items/pending/" LONG_NAME,
	.op.undo_b = "items/pending/foo",
};

FIXTURE_VARIANT_ADD(fault, move_by_userspace) {
	.op.fn = do_rename,
	.op.a = "boxes/a",
	.op.b = "boxes/b/" LONG_NAME,
	.op.undo = do_rename,
	.op.undo_a = "boxes/b/" LONG_NAME,
	.op.undo_b = "boxes/a",
};

static int exchange_paths(const char *a, const char *b)
{
	return do_rename_flags(a, b, RENAME_EXCHANGE);
}

FIXTURE_VARIANT_ADD(fault, exchange) {
	.op.fn = exchange_paths,
	.op.a = "items/live/both",
	.op.b = "items/pending/both",
	.op.undo = exchange_paths,
	.op.undo_a = "items/live/both",
	.op.undo_b = "items/pending/both",
};

FIXTURE_VARIANT_ADD(fault, exchange_of_trees) {
	.op.fn = exchange_paths,
	.op.a = "trees/pending/both",
	.op.b = "trees/live/both",
	.op.undo = exchange_paths,
	.op.undo_a = "trees/live/both",
	.op.undo_b = "trees/pending/both",
};

FIXTURE_SETUP(fault)
{
	static const char * const dirs[] = {
		"items/pending/foo", "trees/pending/" LONG_NAME, "boxes/a",
		"boxes/b", "boxes/a/x", "trees/pending/" LONG_NAME "/x",
	};

	test_begin(&self->base);
	if (!fail_nth_set_up())
		SKIP(return, "the kernel has no fault injection for slabs");
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		ASSERT_EQ(0, do_mkdir(dirs[i]));
	ASSERT_EQ(0, do_mkdir("items/pending/both"));
	ASSERT_EQ(0, commit("items", "both"));
	ASSERT_EQ(0, do_mkdir("items/pending/both"));
	ASSERT_EQ(0, do_mkdir("trees/pending/both"));
	ASSERT_EQ(0, commit("trees", "both"));
	ASSERT_EQ(0, do_mkdir("trees/pending/both"));
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
