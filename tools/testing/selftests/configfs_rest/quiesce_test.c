// SPDX-License-Identifier: GPL-2.0
/*
 * Who waits for whom when items are committed while they are in use: a commit
 * for running callbacks, what comes later for the commit. The callbacks of the
 * test module are held and released, so that nothing here depends on timing.
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

/*
 * Attribute callbacks, of the item and of what is below it
 */

FIXTURE(callback)
{
	struct baseline base;
	char pending[PATH_MAX];
	char live[PATH_MAX];
	struct task commit;
	struct task access[2];
};

/**
 * @below:	where the attributes are
 * @target:	the same, as the test module names it
 */
FIXTURE_VARIANT(callback)
{
	const char *group;
	const char *below;
	const char *target;
};

FIXTURE_VARIANT_ADD(callback, of_the_item) {
	.group = "items",
	.below = "",
	.target = "",
};

FIXTURE_VARIANT_ADD(callback, of_a_default_group) {
	.group = "groups",
	.below = "one/two/",
	.target = "/one/two",
};

FIXTURE_VARIANT_ADD(callback, of_a_child) {
	.group = "makers",
	.below = "c/d/",
	.target = "/c/d",
};

FIXTURE_VARIANT_ADD(callback, of_an_inner_item) {
	.group = "nested",
	.below = "inner/pending/bar/",
	.target = "/inner/bar",
};

FIXTURE_SETUP(callback)
{
	test_begin(&self->base);
	snprintf(self->pending, sizeof(self->pending), "%s/pending/foo/%s",
		 variant->group, variant->below);
	ASSERT_EQ(0, make_path(self->pending));
	snprintf(self->live, sizeof(self->live), "%s/live/foo/%s",
		 variant->group, variant->below);
}

FIXTURE_TEARDOWN(callback)
{
	EXPECT_TRUE(test_end(&self->base));
}

/* @_dir and @_attr as one path */
#define ATTR(_dir, _attr) ({						\
	static char __path[2 * PATH_MAX];				\
									\
	snprintf(__path, sizeof(__path), "%s%s", _dir, _attr);		\
	__path;								\
})

static int do_commit(const char *group, const char *name)
{
	return commit(group, name);
}

static int do_uncommit(const char *group, const char *name)
{
	return uncommit(group, name);
}

TEST_F(callback, running_store_delays_the_commit)
{
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&self->access[0], do_write,
			       ATTR(self->pending, "value"), "early"));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
			       "foo"));
	ASSERT_TRUE(task_waits(&self->commit));
	ASSERT_EQ(0, counter("commit"));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&self->access[0]));
	ASSERT_EQ(0, task_join(&self->commit));
	ASSERT_TRUE(happened_before("-store", "+commit"));
	ASSERT_STREQ("early", value_of(ATTR(self->live, "value")));
}

/* One that comes while the commit is waiting is too late. */
TEST_F(callback, store_behind_a_waiting_commit_is_refused)
{
	int fd = open(ATTR(self->pending, "value"), O_WRONLY);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&self->access[0], do_write,
			       ATTR(self->pending, "value"), "early"));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
			       "foo"));
	ASSERT_TRUE(task_waits(&self->commit));
	ASSERT_TRUE(task_start(&self->access[1], do_write,
			       ATTR(self->pending, "value"), "late"));
	ASSERT_TRUE(task_waits(&self->access[1]));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&self->commit));
	ASSERT_EQ(0, task_join(&self->access[0]));
	ASSERT_EQ(EBUSY, task_join(&self->access[1]));
	ASSERT_EQ(EBUSY, do_write_fd(fd, "later"));
	ASSERT_EQ(1, counter("store"));
	ASSERT_STREQ("early", value_of(ATTR(self->live, "value")));
	ASSERT_EQ(0, close(fd));
}

TEST_F(callback, store_behind_a_refused_commit_goes_through)
{
	ASSERT_EQ(0, hold("store"));
	ASSERT_EQ(0, knob("commit", EIO, 0, false));
	ASSERT_TRUE(task_start(&self->access[0], do_write,
			       ATTR(self->pending, "value"), "early"));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
			       "foo"));
	ASSERT_TRUE(task_waits(&self->commit));
	ASSERT_TRUE(task_start(&self->access[1], do_write,
			       ATTR(self->pending, "value"), "late"));
	ASSERT_TRUE(task_waits(&self->access[1]));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(EIO, task_join(&self->commit));
	ASSERT_EQ(0, task_join(&self->access[0]));
	ASSERT_EQ(0, task_join(&self->access[1]));
	ASSERT_EQ(2, counter("store"));
	ASSERT_STREQ("late", value_of(ATTR(self->pending, "value")));
}

TEST_F(callback, running_bin_write_is_not_interrupted)
{
	bool waits;
	int ret;

	ASSERT_EQ(0, hold("bin_write"));
	ASSERT_TRUE(task_start(&self->access[0], do_write,
			       ATTR(self->pending, "blob"), "early"));
	ASSERT_TRUE(wait_counter("bin_write", 1));
	ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
			       "foo"));
	/* A close(2) is both: it may delay the commit, or be in its way */
	waits = task_waits(&self->commit);
	ASSERT_EQ(0, counter("commit"));
	ASSERT_EQ(0, release("bin_write"));
	ASSERT_EQ(0, task_join(&self->access[0]));
	ret = task_join(&self->commit);
	ASSERT_TRUE(ret == EBUSY || (!ret && waits));
	if (ret)
		ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_TRUE(happened_before("-bin_write", "+commit"));
	ASSERT_STREQ("early", value_of(ATTR(self->live, "blob")));
}

TEST_F(callback, running_show_delays_commit_and_uncommit)
{
	static const char * const reads[][2] = {
		{ "show", "value" }, { "bin_read", "blob" },
	};

	ASSERT_EQ(0, do_write(ATTR(self->pending, "blob"), "x"));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, hold(reads[i][0]));
		ASSERT_TRUE(task_start(&self->access[0], task_read,
				       ATTR(self->pending, reads[i][1]), NULL));
		ASSERT_TRUE(wait_counter(reads[i][0], 1));
		ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
				       "foo"));
		ASSERT_TRUE(task_waits(&self->commit));
		ASSERT_EQ(0, counter("commit"));
		ASSERT_EQ(0, release(reads[i][0]));
		ASSERT_EQ(0, task_join(&self->access[0]));
		ASSERT_EQ(0, task_join(&self->commit));
		ASSERT_TRUE(happened_before(i ? "-bin_read" : "-show",
					    "+commit"));

		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, hold(reads[i][0]));
		ASSERT_TRUE(task_start(&self->access[0], task_read,
				       ATTR(self->live, reads[i][1]), NULL));
		ASSERT_TRUE(wait_counter(reads[i][0], 1));
		ASSERT_TRUE(task_start(&self->commit, do_uncommit,
				       variant->group, "foo"));
		ASSERT_TRUE(task_waits(&self->commit));
		ASSERT_EQ(0, counter("uncommit"));
		ASSERT_EQ(0, release(reads[i][0]));
		ASSERT_EQ(0, task_join(&self->access[0]));
		ASSERT_EQ(0, task_join(&self->commit));
		ASSERT_TRUE(happened_before(i ? "-bin_read" : "-show",
					    "+uncommit"));
	}
}

TEST_F(callback, slow_commit_holds_off_store)
{
	int fd = open(ATTR(self->pending, "value"), O_WRONLY), blob;
	char number[16];

	/* One through a file that is open, one that has to open it */
	ASSERT_LE(0, fd);
	blob = open(ATTR(self->pending, "blob"), O_WRONLY);
	ASSERT_LE(0, blob);
	ASSERT_EQ(0, hold("commit"));
	ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
			       "foo"));
	ASSERT_TRUE(wait_counter("commit", 1));
	ASSERT_TRUE(task_start(&self->access[0], do_write,
			       ATTR(self->pending, "value"), "late"));
	ASSERT_TRUE(task_waits(&self->access[0]));
	snprintf(number, sizeof(number), "%d", fd);
	ASSERT_TRUE(task_start(&self->access[1], task_write_fd, number, "late"));
	ASSERT_TRUE(task_waits(&self->access[1]));
	ASSERT_EQ(0, counter("store"));
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, task_join(&self->commit));
	ASSERT_EQ(EBUSY, task_join(&self->access[0]));
	ASSERT_EQ(EBUSY, task_join(&self->access[1]));
	ASSERT_EQ(EBUSY, do_write_fd(fd, "later"));
	ASSERT_EQ(EBUSY, do_write_fd(blob, "later"));
	ASSERT_EQ(0, counter("store"));
	ASSERT_EQ(0, close(fd));
	close(blob);
	ASSERT_EQ(0, counter("bin_write"));
}

TEST_F(callback, slow_refused_commit_lets_store_through)
{
	ASSERT_EQ(0, knob("commit", ENODEV, 0, true));
	ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
			       "foo"));
	ASSERT_TRUE(wait_counter("commit", 1));
	ASSERT_TRUE(task_start(&self->access[0], do_write,
			       ATTR(self->pending, "value"), "late"));
	ASSERT_TRUE(task_waits(&self->access[0]));
	ASSERT_EQ(0, counter("store"));
	ASSERT_EQ(0, knob("commit", ENODEV, 0, false));
	ASSERT_EQ(ENODEV, task_join(&self->commit));
	ASSERT_EQ(0, task_join(&self->access[0]));
	ASSERT_TRUE(happened_before("!commit", "+store"));
	ASSERT_STREQ("late", value_of(ATTR(self->pending, "value")));
}

TEST_F(callback, slow_uncommit_holds_off_store)
{
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(0, hold("uncommit"));
	ASSERT_TRUE(task_start(&self->commit, do_uncommit, variant->group,
			       "foo"));
	ASSERT_TRUE(wait_counter("uncommit", 1));
	ASSERT_TRUE(task_start(&self->access[0], do_write,
			       ATTR(self->live, "value"), "thawed"));
	ASSERT_TRUE(task_waits(&self->access[0]));
	ASSERT_EQ(0, release("uncommit"));
	ASSERT_EQ(0, task_join(&self->commit));
	ASSERT_EQ(0, task_join(&self->access[0]));
	ASSERT_TRUE(happened_before("-uncommit", "+store"));
	ASSERT_STREQ("thawed", value_of(ATTR(self->pending, "value")));
}

TEST_F(callback, reads_wait_for_a_slow_commit)
{
	ASSERT_EQ(0, do_write(ATTR(self->pending, "blob"), "x"));
	ASSERT_EQ(0, hold("commit"));
	ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
			       "foo"));
	ASSERT_TRUE(wait_counter("commit", 1));
	ASSERT_TRUE(task_start(&self->access[0], task_read,
			       ATTR(self->pending, "value"), NULL));
	ASSERT_TRUE(task_start(&self->access[1], task_read,
			       ATTR(self->pending, "blob"), NULL));
	ASSERT_TRUE(task_waits(&self->access[0]));
	ASSERT_TRUE(task_waits(&self->access[1]));
	ASSERT_EQ(0, counter("show"));
	ASSERT_EQ(0, counter("bin_read"));
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, task_join(&self->commit));
	ASSERT_EQ(0, task_join(&self->access[0]));
	ASSERT_EQ(0, task_join(&self->access[1]));
	ASSERT_EQ(1, counter("show"));
	ASSERT_TRUE(happened_before("-commit", "+show"));
	ASSERT_TRUE(happened_before("-commit", "+bin_read"));
}

/* Neighbours have nothing to do with it. */
TEST_F(callback, of_another_item_delays_nothing)
{
	char other[PATH_MAX];

	snprintf(other, sizeof(other), "%s/pending/bar", variant->group);
	ASSERT_EQ(0, do_mkdir(other));
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&self->access[0], do_write,
			       ATTR(self->pending, "value"), "slow"));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_EQ(0, commit(variant->group, "bar"));
	ASSERT_EQ(0, uncommit(variant->group, "bar"));
	ASSERT_TRUE(task_waits(&self->access[0]));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&self->access[0]));
}

/*
 * Dependents come in at any time. They never wait, and one of the two loses:
 * which one is open as long as the driver has not been asked.
 */

TEST_F(callback, store_that_depends_on_its_item_while_a_commit_waits)
{
	char target[PATH_MAX];
	int ret;

	snprintf(target, sizeof(target), "configfs_test/%s/foo",
		 variant->group);
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&self->access[0], do_write,
			       ATTR(self->pending, "depend"), target));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
			       "foo"));
	ASSERT_TRUE(task_waits(&self->commit));
	ASSERT_EQ(0, release("store"));
	ret = task_join(&self->access[0]);
	ASSERT_TRUE(!ret || ret == EBUSY);
	ASSERT_EQ(ret ? 0 : EBUSY, task_join(&self->commit));
	ASSERT_EQ(ret ? 1 : 0, counter("commit"));
	ASSERT_EQ(ret ? EINVAL : 0, control("undepend", target));
	ASSERT_EQ(0, ret ? uncommit(variant->group, "foo") :
			   commit(variant->group, "foo"));
}

static const char * const depend_files[] = {
	CONTROL_DIR "/depend",
	SUBSYS_DIR "/control/depend",
	SUBSYS_DIR "2/control/depend",
};

TEST_F(callback, dependent_that_comes_while_a_commit_waits)
{
	char target[PATH_MAX];
	int ret;

	snprintf(target, sizeof(target), "configfs_test/%s/foo",
		 variant->group);
	for (size_t i = 0; i < ARRAY_SIZE(depend_files); i++) {
		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, hold("show"));
		ASSERT_TRUE(task_start(&self->access[0], task_read,
				       ATTR(self->pending, "value"), NULL));
		ASSERT_TRUE(wait_counter("show", 1));
		ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
				       "foo"));
		ASSERT_TRUE(task_waits(&self->commit));
		ret = do_write(depend_files[i], target);
		ASSERT_TRUE(!ret || ret == EBUSY);
		/* At once: the show is still held */
		ASSERT_FALSE(self->access[0].done);
		ASSERT_EQ(0, release("show"));
		ASSERT_EQ(0, task_join(&self->access[0]));
		ASSERT_EQ(ret ? 0 : EBUSY, task_join(&self->commit));
		ASSERT_EQ(ret ? 1 : 0, counter("commit"));
		ASSERT_EQ(ret ? EINVAL : 0, control("undepend", target));
		ASSERT_EQ(0, ret ? uncommit(variant->group, "foo") : 0);
	}
	ASSERT_EQ(0, commit(variant->group, "foo"));
}

TEST_F(callback, dependent_that_comes_during_a_commit)
{
	char target[2][PATH_MAX / 4];

	/* the item itself, and where the callback is */
	snprintf(target[0], sizeof(target[0]), "configfs_test/%s/foo",
		 variant->group);
	snprintf(target[1], sizeof(target[1]), "configfs_test/%s/foo%s",
		 variant->group, variant->target);

	for (size_t i = 0; i < ARRAY_SIZE(depend_files); i++) {
		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, knob("commit", EIO, 0, true));
		ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
				       "foo"));
		ASSERT_TRUE(wait_counter("commit", 1));
		/* At once: the commit is still held */
		ASSERT_EQ(EBUSY, do_write(depend_files[i], target[0]));
		ASSERT_EQ(EBUSY, do_write(depend_files[i], target[1]));
		ASSERT_FALSE(self->commit.done);
		ASSERT_EQ(0, knob("commit", EIO, 0, false));
		ASSERT_EQ(EIO, task_join(&self->commit));
		/* and afterwards there is nothing in the way */
		ASSERT_EQ(0, do_write(depend_files[i], target[1]));
		ASSERT_EQ(0, control("undepend", target[1]));
	}
}

static int make_link(const char *target, const char *path)
{
	return do_symlink(target, path);
}

TEST_F(callback, link_that_comes_during_a_commit)
{
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "%s/pending/foo", variant->group);
	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, hold("commit"));
	ASSERT_TRUE(task_start(&self->commit, do_commit, variant->group,
			       "foo"));
	ASSERT_TRUE(wait_counter("commit", 1));
	ASSERT_EQ(EBUSY, do_symlink(target, "plain/a/link"));
	ASSERT_EQ(0, counter("allow_link"));
	ASSERT_FALSE(exists("plain/a/link"));
	ASSERT_FALSE(self->commit.done);
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, task_join(&self->commit));
	ASSERT_EQ(0, uncommit(variant->group, "foo"));
}

/* The other way round: the target of a link that is being made stays. */
TEST_F(callback, commit_that_comes_while_a_link_is_made)
{
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "%s/pending/foo", variant->group);
	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, knob("allow_link", EACCES, 0, true));
	ASSERT_TRUE(task_start(&self->access[0], make_link, target,
			       "plain/a/link"));
	ASSERT_TRUE(wait_counter("allow_link", 1));
	ASSERT_EQ(EBUSY, commit(variant->group, "foo"));
	ASSERT_EQ(0, counter("commit"));
	ASSERT_FALSE(self->access[0].done);
	ASSERT_EQ(0, knob("allow_link", EACCES, 0, false));
	ASSERT_EQ(EACCES, task_join(&self->access[0]));
	ASSERT_EQ(0, commit(variant->group, "foo"));
}

/*
 * Signals: only what kills ends the wait, and nothing has happened.
 */

TEST_F(callback, killed_while_waiting_for_a_store)
{
	ASSERT_EQ(0, hold("store"));
	ASSERT_TRUE(task_start(&self->access[0], do_write,
			       ATTR(self->pending, "value"), "slow"));
	ASSERT_TRUE(wait_counter("store", 1));
	ASSERT_TRUE(killed_while_waiting(do_commit, variant->group, "foo"));
	/* The store is still held: it is the signal that has ended the wait */
	ASSERT_FALSE(self->access[0].done);

	/* Nobody waits behind the dead: another store runs */
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&self->access[0]));
	ASSERT_EQ(0, do_write(ATTR(self->pending, "value"), "after"));
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_STREQ("after", value_of(ATTR(self->live, "value")));
}

/*
 * Changes of the tree below an item
 */

FIXTURE(change)
{
	struct baseline base;
	struct task commit;
	struct task change;
};

/**
 * @callback:	is held in the middle of the change
 * @fn:		the change
 * @direct:	it is one of the item's own directory, which rename(2) locks:
 *		so that commit waits. Otherwise it fails
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
	.a = "makers/pending/foo/new",
	.direct = true,
};

FIXTURE_VARIANT_ADD(change, mkdir_deep_below) {
	.callback = "make",
	.fn = task_mkdir,
	.a = "makers/pending/foo/c/d/new",
};

FIXTURE_VARIANT_ADD(change, rmdir_in_the_item) {
	.callback = "drop",
	.fn = task_rmdir,
	.a = "makers/pending/foo/e",
	.direct = true,
};

FIXTURE_VARIANT_ADD(change, rmdir_deep_below) {
	.callback = "drop",
	.fn = task_rmdir,
	.a = "makers/pending/foo/c/d",
};

FIXTURE_VARIANT_ADD(change, symlink_in_the_item) {
	.callback = "allow_link",
	.fn = do_symlink,
	.a = "plain/a",
	.b = "makers/pending/foo/new",
	.direct = true,
};

FIXTURE_VARIANT_ADD(change, symlink_deep_below) {
	.callback = "allow_link",
	.fn = do_symlink,
	.a = "plain/a",
	.b = "makers/pending/foo/c/new",
};

FIXTURE_VARIANT_ADD(change, unlink_deep_below) {
	.callback = "drop_link",
	.fn = task_unlink,
	.a = "makers/pending/foo/c/link",
};

FIXTURE_VARIANT_ADD(change, inner_mkdir) {
	.callback = "make",
	.fn = task_mkdir,
	.a = "nested/pending/foo/inner/pending/new",
};

FIXTURE_VARIANT_ADD(change, inner_rmdir) {
	.callback = "drop",
	.fn = task_rmdir,
	.a = "nested/pending/foo/inner/pending/bar",
};

FIXTURE_SETUP(change)
{
	static const char * const paths[] = {
		"plain/a/", "makers/pending/foo/c/d/", "makers/pending/foo/e/",
		"nested/pending/foo/inner/pending/bar/",
	};

	test_begin(&self->base);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		ASSERT_EQ(0, make_path(paths[i]));
	ASSERT_EQ(0, do_symlink("plain/a", "makers/pending/foo/c/link"));
	ASSERT_EQ(0, control("reset", "1"));
}

FIXTURE_TEARDOWN(change)
{
	EXPECT_TRUE(test_end(&self->base));
}

static const char *group_of(const char *a, const char *b)
{
	return strstr(b ?: a, "nested") ? "nested" : "makers";
}

/* Without opening directories, which the change has locked */
static void stat_all(const char *group, struct stat st[3])
{
	static const char * const names[] = { "pending", "live", "pending/foo" };
	char path[PATH_MAX];

	memset(st, 0, 3 * sizeof(*st));
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", group, names[i]);
		stat(path, &st[i]);
	}
}

TEST_F(change, in_progress_when_a_commit_comes)
{
	const char *group = group_of(variant->a, variant->b);
	struct stat before[3], after[3];

	ASSERT_EQ(0, hold(variant->callback));
	ASSERT_TRUE(task_start(&self->change, variant->fn, variant->a,
			       variant->b));
	ASSERT_TRUE(wait_counter(variant->callback, 1));
	if (variant->direct) {
		ASSERT_TRUE(task_start(&self->commit, do_commit, group, "foo"));
		ASSERT_TRUE(task_waits(&self->commit));
		ASSERT_EQ(0, counter("commit"));
		ASSERT_EQ(0, release(variant->callback));
		ASSERT_EQ(0, task_join(&self->change));
		ASSERT_EQ(0, task_join(&self->commit));
		return;
	}
	usleep(20000);
	stat_all(group, before);
	ASSERT_EQ(EBUSY, commit(group, "foo"));
	stat_all(group, after);
	ASSERT_EQ(0, memcmp(before, after, sizeof(before)));
	ASSERT_EQ(0, counter("commit"));
	ASSERT_FALSE(self->change.done);
	ASSERT_EQ(0, release(variant->callback));
	ASSERT_EQ(0, task_join(&self->change));
	ASSERT_EQ(0, commit(group, "foo"));
}

TEST_F(change, that_fails_when_a_commit_comes)
{
	const char *group = group_of(variant->a, variant->b);

	if (!strncmp(variant->callback, "drop", 4))
		return;	/* cannot fail */
	ASSERT_EQ(0, knob(variant->callback, ENOSPC, 0, true));
	ASSERT_TRUE(task_start(&self->change, variant->fn, variant->a,
			       variant->b));
	ASSERT_TRUE(wait_counter(variant->callback, 1));
	if (!variant->direct)
		ASSERT_EQ(EBUSY, commit(group, "foo"));
	ASSERT_EQ(0, knob(variant->callback, ENOSPC, 0, false));
	ASSERT_EQ(ENOSPC, task_join(&self->change));
	ASSERT_EQ(0, commit(group, "foo"));
}

TEST_F(change, that_comes_during_a_commit)
{
	const char *group = group_of(variant->a, variant->b);

	ASSERT_EQ(0, hold("commit"));
	ASSERT_TRUE(task_start(&self->commit, do_commit, group, "foo"));
	ASSERT_TRUE(wait_counter("commit", 1));
	ASSERT_TRUE(task_start(&self->change, variant->fn, variant->a,
			       variant->b));
	ASSERT_TRUE(task_waits(&self->change));
	ASSERT_EQ(0, counter(variant->callback));
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, task_join(&self->commit));
	ASSERT_EQ(EBUSY, task_join(&self->change));
	ASSERT_EQ(0, counter(variant->callback));
}

TEST_F(change, that_comes_during_a_refused_commit)
{
	const char *group = group_of(variant->a, variant->b);
	char event[32];

	ASSERT_EQ(0, knob("commit", EIO, 0, true));
	ASSERT_TRUE(task_start(&self->commit, do_commit, group, "foo"));
	ASSERT_TRUE(wait_counter("commit", 1));
	ASSERT_TRUE(task_start(&self->change, variant->fn, variant->a,
			       variant->b));
	ASSERT_TRUE(task_waits(&self->change));
	ASSERT_EQ(0, counter(variant->callback));
	ASSERT_EQ(0, knob("commit", EIO, 0, false));
	ASSERT_EQ(EIO, task_join(&self->commit));
	ASSERT_EQ(0, task_join(&self->change));
	ASSERT_EQ(1, counter(variant->callback));
	snprintf(event, sizeof(event), "+%s", variant->callback);
	ASSERT_TRUE(happened_before("!commit", event));
}

/* An inner commit is a change of the outer item. */
FIXTURE(inner)
{
	struct baseline base;
};

FIXTURE_SETUP(inner)
{
	test_begin(&self->base);
}

FIXTURE_TEARDOWN(inner)
{
	EXPECT_TRUE(test_end(&self->base));
}

TEST_F(inner, commit_in_progress_when_the_outer_one_comes)
{
	struct task inner, outer;

	ASSERT_EQ(0, make_path("nested/pending/foo/inner/pending/bar/"));
	ASSERT_EQ(0, hold("commit"));
	ASSERT_TRUE(task_start(&inner, do_commit, "nested/pending/foo/inner",
			       "bar"));
	ASSERT_TRUE(wait_counter("commit", 1));
	ASSERT_TRUE(task_start(&outer, do_commit, "nested", "foo"));
	ASSERT_TRUE(task_waits(&outer));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, task_join(&inner));
	ASSERT_EQ(0, task_join(&outer));
	ASSERT_EQ(2, counter("commit"));
	ASSERT_TRUE(happened_before("-commit configfs_test/nested/foo/inner",
				    "+commit configfs_test/nested/foo\n"));
}

/* Two items of a group are committed one after the other. */
TEST_F(inner, two_commits_at_once)
{
	struct task first, second;

	ASSERT_EQ(0, make_path("items/pending/foo/"));
	ASSERT_EQ(0, make_path("items/pending/bar/"));
	ASSERT_EQ(0, hold("commit"));
	ASSERT_TRUE(task_start(&first, do_commit, "items", "foo"));
	ASSERT_TRUE(wait_counter("commit", 1));
	ASSERT_TRUE(task_start(&second, do_commit, "items", "bar"));
	ASSERT_TRUE(task_waits(&second));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, task_join(&first));
	ASSERT_EQ(0, task_join(&second));
	ASSERT_TRUE(happened_before("-commit configfs_test/items/foo",
				    "+commit configfs_test/items/bar"));
}

/* The same item: the second one finds it no more. */
TEST_F(inner, commit_of_what_is_being_committed)
{
	struct task first, second, third;

	ASSERT_EQ(0, make_path("items/pending/foo/"));
	ASSERT_EQ(0, hold("commit"));
	ASSERT_TRUE(task_start(&first, do_commit, "items", "foo"));
	ASSERT_TRUE(wait_counter("commit", 1));
	ASSERT_TRUE(task_start(&second, do_commit, "items", "foo"));
	ASSERT_TRUE(task_waits(&second));
	ASSERT_TRUE(task_start(&third, task_rmdir, "items/pending/foo", NULL));
	ASSERT_TRUE(task_waits(&third));
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, task_join(&first));
	ASSERT_EQ(ENOENT, task_join(&second));
	ASSERT_EQ(ENOENT, task_join(&third));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(0, counter("drop"));
	ASSERT_TRUE(exists("items/live/foo"));
}

int main(int argc, char **argv)
{
	test_load();
	return test_harness_run(argc, argv);
}
