// SPDX-License-Identifier: GPL-2.0
/*
 * Items that are committed where they are: what a live item refuses, what a
 * commit waits for, and what waits for a commit.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

/* Not read(2) and write(2), as the VFS lets one user of an open file wait for another */
static int do_pread_fd(const char *fd, const char *unused)
{
	char data[16];

	return pread(atoi(fd), data, sizeof(data), 0) == -1 ? errno : 0;
}

static int do_pwrite_fd(const char *fd, const char *data)
{
	return pwrite(atoi(fd), data, strlen(data), 0) == -1 ? errno : 0;
}

FIXTURE(commit)
{
	struct baseline base;
	struct task tasks[4];
};

FIXTURE_SETUP(commit)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("units/u", NULL));
	ASSERT_EQ(0, do_mkdir("units/u/a/b/t", NULL));
	ASSERT_EQ(0, do_mkdir("units/u/parts/p", NULL));
	ASSERT_EQ(0, do_mkdir("units/v", NULL));
	ASSERT_EQ(0, do_mkdir("items/x", NULL));
	ASSERT_EQ(0, do_symlink("items/x", "units/u/a/link"));
	ASSERT_EQ(0, control("reset", NULL));
}

FIXTURE_TEARDOWN(commit)
{
	TEST_END(&self->base);
}

TEST_F(commit, and_uncommit)
{
	ASSERT_STREQ("0", value_of("units/u/live"));
	ASSERT_FALSE(is_live("units/u"));
	ASSERT_EQ(0, do_live("units/u", "1"));
	ASSERT_STREQ("1", value_of("units/u/live"));
	/* What cannot be committed is as live as what it is in */
	ASSERT_TRUE(is_live("units/u"));
	ASSERT_TRUE(is_live("units/u/a/b"));
	ASSERT_TRUE(is_live("units/u/a/b/t"));
	ASSERT_FALSE(is_live("units/u/parts/p"));
	ASSERT_FALSE(is_live("units/v"));
	ASSERT_FALSE(is_live("units"));
	ASSERT_EQ(EPERM, do_live("units/u", "1"));
	ASSERT_EQ(0, do_live("units/u", "no"));
	ASSERT_EQ(EPERM, do_live("units/u", "off"));
	ASSERT_STREQ("0", value_of("units/u/live"));
	ASSERT_FALSE(is_live("units/u/a/b/t"));
	ASSERT_EQ(1, counter("commit"));
	ASSERT_EQ(1, counter("uncommit"));
	/* This attribute says that nothing is to be done */
	ASSERT_EQ(0, do_power("units/u/parts/p", "0"));
	ASSERT_EQ(0, do_power("units/u/parts/p", "1"));
	ASSERT_EQ(0, do_power("units/u/parts/p", "y"));
	ASSERT_EQ(2, counter("commit"));
	ASSERT_EQ(0, do_power("units/u/parts/p", "0"));
}

TEST_F(commit, is_refused)
{
	static const struct row rows[] = {
		{ do_live,	"units/u", "maybe",	EINVAL },
		{ do_live,	"units/u", "0",		EPERM },
		{ do_commit,	"units/u/a", NULL,	EINVAL },
		{ do_commit,	"units/u/a/b/t", NULL,	EINVAL },
		{ do_commit,	"units", NULL,		EINVAL },
		{ do_commit,	".", NULL,		EINVAL },
		{ do_commit,	"items/x", NULL,	EINVAL },
		{ do_uncommit,	"units/u", NULL,	EALREADY },
		{}
	};
	static const int errors[] = { ENODEV, EAGAIN, EINTR, ENOENT };

	ASSERT_TRUE(rows_refused(rows));
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		const struct row row[] = {
			{ do_live, "units/u", "1", errors[i] },
			{ do_commit, "units/u", NULL, errors[i] },
			{}
		};

		ASSERT_EQ(0, knob("commit error=%d", errors[i]));
		ASSERT_TRUE(rows_refused(row));
	}
	/* A driver that returns something positive */
	ASSERT_EQ(0, knob("commit error=-1"));
	ASSERT_EQ(EINVAL, do_live("units/u", "1"));
	ASSERT_FALSE(is_live("units/u"));
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, do_live("units/u", "1"));
	ASSERT_EQ(0, knob("uncommit error=%d", EBUSY));
	ASSERT_EQ(EBUSY, do_live("units/u", "0"));
	ASSERT_TRUE(is_live("units/u"));
}

TEST_F(commit, freezes)
{
	static const struct row rows[] = {
		{ do_write,	"units/u/value", "x",		EBUSY },
		{ do_write,	"units/u/wo", "x",		EBUSY },
		{ do_write,	"units/u/blob", "x",		EBUSY },
		{ do_write,	"units/u/a/value", "x",		EBUSY },
		{ do_write,	"units/u/a/b/t/value", "x",	EBUSY },
		{ do_write,	"units/u/a/b/t/a/blob", "x",	EBUSY },
		{ do_write,	"units/u/parts/p/value", "x",	EBUSY },
		{ do_write,	"units/u/parts/p/a/value", "x",	EBUSY },
		{ do_mkdir,	"units/u/n", NULL,		EBUSY },
		{ do_mkdir,	"units/u/a/n", NULL,		EBUSY },
		{ do_mkdir,	"units/u/a/b/t/n", NULL,	EBUSY },
		{ do_mkdir,	"units/u/parts/n", NULL,	EBUSY },
		{ do_mkdir,	"units/u/parts/p/n", NULL,	EBUSY },
		{ do_rmdir,	"units/u/a/b/t", NULL,		EBUSY },
		{ do_rmdir,	"units/u/parts/p", NULL,	EBUSY },
		{ do_rmdir,	"units/u/a", NULL,		EPERM },
		{ do_rmdir,	"units/u", NULL,		ENOTEMPTY },
		{ do_symlink,	"items/x", "units/u/n",		EBUSY },
		{ do_symlink,	"items/x", "units/u/a/n",	EBUSY },
		{ do_symlink,	"items/x", "units/u/parts/p/n",	EBUSY },
		{ do_unlink,	"units/u/a/link", NULL,		EBUSY },
		{ do_power,	"units/u/parts/p", "1",		EBUSY },
		{ do_commit,	"units/u/parts/p", NULL,	EBUSY },
		{ do_commit,	"units/u", NULL,		EALREADY },
		{}
	};
	static const struct row fine[] = {
		{ do_read,	"units/u/value" },
		{ do_read,	"units/u/blob" },
		{ do_read,	"units/u/parts/p/a/value" },
		{ do_write,	"units/u/tune", "initial" },
		{ do_write,	"units/u/patch", "p" },
		{ do_write,	"units/u/parts/p/tune", "initial" },
		{ do_chmod,	"units/u/value", "0600" },
		{ do_list,	"units/u/a" },
		{ do_symlink,	"units/u", "links/l/to" },
		{ do_symlink,	"units/u/a/b/t", "links/l/to_t" },
		{ do_unlink,	"links/l/to" },
		{ do_unlink,	"links/l/to_t" },
		{ do_depend,	"units/u/a/b/t" },
		{ do_write,	"units/v/value", "x" },
		{}
	};
	const char *before = opened("units/u/value");
	const char *bin_before = opened("units/u/blob");
	int stores, writes;

	ASSERT_EQ(0, do_mkdir("links/l", NULL));
	ASSERT_EQ(0, do_live("units/u", "1"));
	stores = counter("store");
	writes = counter("bin_write");
	ASSERT_TRUE(rows_refused(rows));
	ASSERT_EQ(EBUSY, do_write_fd(before, "x"));
	ASSERT_EQ(EBUSY, do_write_fd(bin_before, "x"));
	close(atoi(bin_before));
	EXPECT_EQ(stores, counter("store"));
	EXPECT_EQ(writes, counter("bin_write"));
	for (const struct row *row = fine; row->fn; row++) {
		EXPECT_EQ(0, row->fn(row->a, row->b)) {
			TH_LOG("%s %s", row->a, row->b);
		}
	}
	EXPECT_STREQ("p", value_of("units/u/blob"));
	/* Links and dependents do not keep it from being uncommitted */
	ASSERT_EQ(0, do_symlink("units/u", "links/l/to"));
	ASSERT_EQ(0, do_live("units/u", "0"));
	ASSERT_EQ(0, do_write_fd(before, "x"));
	ASSERT_STREQ("x", value_of("units/u/value"));
	ASSERT_EQ(0, do_live("units/u", "1"));
	ASSERT_EQ(0, do_live("units/u", "0"));
	ASSERT_EQ(0, do_unlink("links/l/to", NULL));
}

TEST_F(commit, waits_for_no_binary_data)
{
	const char *blob = opened("units/u/blob");
	const char *inner = opened("units/u/a/b/t/blob");
	const char *patch = opened("units/u/patch");
	void *bad = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* Nothing is written yet, and what fails does not count */
	ASSERT_EQ(-1, write(atoi(blob), bad, 1));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(0, do_write_fd(patch, "p"));
	ASSERT_EQ(0, do_live("units/u", "1"));
	ASSERT_EQ(0, do_live("units/u", "0"));

	ASSERT_EQ(0, do_write_fd(inner, "inner"));
	ASSERT_EQ(EBUSY, do_live("units/u", "1"));
	ASSERT_EQ(0, do_write_fd(blob, "b"));
	ASSERT_EQ(0, do_write_fd(blob, "lob"));
	close(atoi(inner));
	ASSERT_EQ(EBUSY, do_live("units/u", "1"));
	ASSERT_EQ(EBUSY, do_commit("units/u", NULL));
	/* It does not matter for a part that has nothing to do with it */
	ASSERT_EQ(0, do_power("units/u/parts/p", "1"));
	close(atoi(blob));
	ASSERT_EQ(0, do_live("units/u", "1"));
	ASSERT_STREQ("blob", value_of("units/u/blob"));
	ASSERT_STREQ("inner", value_of("units/u/a/b/t/blob"));
	close(atoi(patch));
	ASSERT_STREQ("p", value_of("units/u/blob"));
}

/*
 * rmdir(2) of a live item
 */

TEST_F(commit, is_undone_by_rmdir)
{
	ASSERT_EQ(0, do_live("units/v", "1"));
	ASSERT_EQ(0, do_rmdir("units/v", NULL));
	ASSERT_FALSE(exists("units/v"));
	ASSERT_TRUE(happened_before("-uncommit units/v",
				    "+disconnect units/v"));
}

TEST_F(commit, is_undone_by_rmdir_if_nothing_is_in_the_way)
{
	static const struct row refused[] = {
		{ do_rmdir, "units/v", NULL, EIO },
		{}
	};
	static const struct row linked[] = {
		{ do_rmdir, "units/v", NULL, EBUSY },
		{}
	};

	ASSERT_EQ(0, do_mkdir("links/l", NULL));
	ASSERT_EQ(0, do_live("units/v", "1"));
	ASSERT_EQ(0, knob("uncommit error=%d", EIO));
	ASSERT_TRUE(rows_refused(refused));
	ASSERT_TRUE(is_live("units/v"));
	ASSERT_EQ(1, counter("uncommit"));
	ASSERT_EQ(0, release("uncommit"));

	ASSERT_EQ(0, do_symlink("units/v/a", "links/l/to"));
	ASSERT_TRUE(rows_refused(linked));
	ASSERT_EQ(0, do_unlink("links/l/to", NULL));
	ASSERT_EQ(0, do_depend("units/v", NULL));
	ASSERT_TRUE(rows_refused(linked));
	ASSERT_EQ(0, do_undepend("units/v", NULL));
	ASSERT_EQ(1, counter("uncommit"));
	ASSERT_TRUE(is_live("units/v"));
	ASSERT_EQ(0, do_rmdir("units/v", NULL));
}

/* Once the driver has been asked, nobody can get in the way any more. */
TEST_F(commit, is_undone_by_rmdir_without_interference)
{
	ASSERT_EQ(0, do_mkdir("links/l", NULL));
	for (int error = 0; error <= EIO; error += EIO) {
		ASSERT_EQ(0, do_live("units/v", "1"));
		ASSERT_EQ(0, knob("uncommit wait error=%d", error));
		ASSERT_TRUE(task_start(&self->tasks[0], do_rmdir, "units/v",
				       NULL));
		ASSERT_EQ(0, await_held("uncommit"));
		EXPECT_EQ(ENOENT, do_depend("units/v", NULL));
		EXPECT_EQ(ENOENT, do_depend("units/v/a", NULL));
		ASSERT_EQ(0, knob("uncommit error=%d", error));
		EXPECT_EQ(error, task_join(&self->tasks[0]));
		if (!error)
			ASSERT_EQ(0, do_mkdir("units/v", NULL));
	}
	ASSERT_EQ(0, release("uncommit"));
	ASSERT_EQ(0, do_depend("units/v", NULL));
	ASSERT_EQ(0, do_undepend("units/v", NULL));
	ASSERT_EQ(0, do_rmdir("units/v", NULL));
}

/*
 * Waiting.  A task that is killed has done nothing.
 */

TEST_F(commit, waits_for_callbacks)
{
	static const struct row rows[] = {
		{ do_read,  "units/u/value" },
		{ do_write, "units/u/value", "initial" },
		{ do_read,  "units/u/a/b/t/value" },
		{ do_read,  "units/u/parts/p/a/value" },
		{ do_write, "units/u/tune", "initial" },
	};
	static const char * const callbacks[] = {
		"show", "store", "show", "show", "store",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int commits = counter("commit");

		ASSERT_EQ(0, hold(callbacks[i], NULL));
		ASSERT_TRUE(task_start(&self->tasks[0], rows[i].fn, rows[i].a,
				       rows[i].b));
		ASSERT_EQ(0, await_held(callbacks[i]));
		ASSERT_TRUE(killed_while_waiting(do_live, "units/u", "1"));
		ASSERT_FALSE(is_live("units/u"));
		ASSERT_TRUE(task_start(&self->tasks[1], do_live, "units/u",
				       "1"));
		ASSERT_FALSE(comes("commit", commits + 1));
		/* Meanwhile others are held off, but not in another item */
		ASSERT_TRUE(killed_while_waiting(do_read, "units/u/ro", NULL));
		ASSERT_EQ(0, do_live("units/v", "1"));
		ASSERT_EQ(0, do_live("units/v", "0"));
		ASSERT_EQ(0, release(callbacks[i]));
		ASSERT_EQ(0, task_join(&self->tasks[0]));
		ASSERT_EQ(0, task_join(&self->tasks[1]));
		ASSERT_EQ(0, do_live("units/u", "0"));
	}
}

/* So can those who wait for another user of the same open file. */
TEST_F(commit, waits_for_callbacks_with_the_same_file)
{
	static const struct {
		const char *file, *callback;
		int flags;
		int (*fn)(const char *fd, const char *data);
	} rows[] = {
		{ "units/u/value", "store",    O_RDWR,   do_pwrite_fd },
		{ "units/u/value", "show",     O_RDWR,   do_pread_fd },
		{ "units/u/blob",  "bin_read", O_RDONLY, do_pread_fd },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *fd = at("%d", open(rows[i].file, rows[i].flags));

		ASSERT_EQ(0, hold(rows[i].callback, NULL));
		ASSERT_TRUE(task_start(&self->tasks[0], rows[i].fn, fd, "x"));
		ASSERT_EQ(0, await_held(rows[i].callback));
		EXPECT_TRUE(killed_while_waiting(rows[i].fn, fd, "y"));
		ASSERT_EQ(0, release(rows[i].callback));
		EXPECT_EQ(0, task_join(&self->tasks[0]));
	}
	EXPECT_EQ(1, counter("store"));
}

TEST_F(commit, waits_for_changes)
{
	static const struct row rows[] = {
		{ do_mkdir,	"units/u/a/n" },
		{ do_rmdir,	"units/u/a/n" },
		{ do_mkdir,	"units/u/a/b/t/n" },
		{ do_rmdir,	"units/u/a/b/t/n" },
		{ do_symlink,	"items/x", "units/u/a/to" },
		{ do_unlink,	"units/u/a/to" },
		{ do_mkdir,	"units/u/parts/n" },
		{ do_power,	"units/u/parts/n", "1" },
		{ do_power,	"units/u/parts/n", "0" },
	};
	static const char * const callbacks[] = {
		"make", "drop", "make", "disconnect", "allow_link", "drop_link",
		"make", "commit", "uncommit",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, hold(callbacks[i], NULL));
		ASSERT_TRUE(task_start(&self->tasks[0], rows[i].fn, rows[i].a,
				       rows[i].b));
		ASSERT_EQ(0, await_held(callbacks[i]));
		ASSERT_TRUE(killed_while_waiting(do_live, "units/u", "1"));
		ASSERT_TRUE(task_start(&self->tasks[1], do_live, "units/u",
				       "1"));
		/* It does not hold off callbacks before it can begin */
		ASSERT_EQ(0, do_read("units/u/ro", NULL));
		ASSERT_EQ(0, do_write("units/u/value", "initial"));
		ASSERT_EQ(EBUSY, pthread_tryjoin_np(self->tasks[1].thread,
						    NULL));
		ASSERT_EQ(0, release(callbacks[i]));
		ASSERT_EQ(0, task_join(&self->tasks[0])) {
			TH_LOG("%s %s", callbacks[i], rows[i].a);
		}
		ASSERT_EQ(0, task_join(&self->tasks[1]));
		ASSERT_EQ(0, do_live("units/u", "0"));
	}
	ASSERT_EQ(0, do_rmdir("units/u/parts/n", NULL));
}

TEST_F(commit, is_waited_for)
{
	static const struct row waits[] = {
		{ do_read,	"units/u/value" },
		{ do_write,	"units/u/value", "x" },
		{ do_read,	"units/u/live" },
		{ do_read,	"units/u/a/b/t/value" },
		{ do_read,	"units/u/parts/p/value" },
		{ do_write,	"units/u/tune", "x" },
		{ do_write,	"units/u/blob", "x" },
		{ do_live,	"units/u", "0" },
		{ do_power,	"units/u/parts/p", "1" },
		{ do_symlink,	"units/u/a/b/t", "links/l/to_t" },
		{ do_unlink,	"links/l/to" },
	};
	const char *part = opened("units/u/parts/p/power");
	const struct row busy[] = {
		{ do_mkdir,	"units/u/n", NULL,		EBUSY },
		{ do_mkdir,	"units/u/a/b/t/n", NULL,	EBUSY },
		{ do_rmdir,	"units/u/a/b/t", NULL,		EBUSY },
		{ do_symlink,	"items/x", "units/u/a/n",	EBUSY },
		{ do_unlink,	"units/u/a/link", NULL,		EBUSY },
		{ do_write_fd,	part, "1",			EBUSY },
		{}
	};
	static const struct row goes_on[] = {
		{ do_list,	"units/u/a" },
		{ do_stat,	"units/u/parts/p/value" },
		{ do_stat,	"units/u/n" },
		{ do_depend,	"units/u/a/b/t" },
		{ do_read,	"units/v/value" },
		{ do_write,	"units/v/value", "x" },
		{ do_mkdir,	"units/v/n" },
		{ do_rmdir,	"units/v/n" },
		{ do_live,	"units/v", "1" },
		{ do_live,	"units/v", "0" },
		{ do_mkdir,	"units/w" },
		{ do_rmdir,	"units/w" },
		{ do_read,	"items/x/value" },
	};

	ASSERT_EQ(0, do_mkdir("links/l", NULL));
	ASSERT_EQ(0, do_symlink("units/u/a/b/t", "links/l/to"));
	ASSERT_EQ(0, hold("commit", "u"));
	ASSERT_TRUE(task_start(&self->tasks[0], do_live, "units/u", "1"));
	ASSERT_EQ(0, await_held("commit"));
	for (const struct row *row = busy; row->fn; row++) {
		EXPECT_EQ(row->err, row->fn(row->a, row->b)) {
			TH_LOG("%s", row->a);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		EXPECT_TRUE(killed_while_waiting(waits[i].fn, waits[i].a,
						 waits[i].b)) {
			TH_LOG("%s", waits[i].a);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(goes_on); i++) {
		int ret = goes_on[i].fn(goes_on[i].a, goes_on[i].b);

		EXPECT_EQ(!strcmp(goes_on[i].a, "units/u/n") ? ENOENT : 0, ret) {
			TH_LOG("%s", goes_on[i].a);
		}
	}
	/* What waited is refused then */
	ASSERT_TRUE(task_start(&self->tasks[1], do_write, "units/u/value",
			       "x"));
	ASSERT_FALSE(comes("store", counter("store") + 1));
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	ASSERT_EQ(EBUSY, task_join(&self->tasks[1]));
	ASSERT_STREQ("initial", value_of("units/u/value"));
}

/* A driver that takes long has not locked the whole subsystem. */
TEST_F(commit, does_not_hold_su_mutex)
{
	ASSERT_EQ(0, hold("commit", "u"));
	ASSERT_TRUE(task_start(&self->tasks[0], do_live, "units/u", "1"));
	ASSERT_EQ(0, await_held("commit"));
	ASSERT_EQ(0, hold("make", NULL));
	ASSERT_TRUE(task_start(&self->tasks[1], do_mkdir, "items/n", NULL));
	ASSERT_EQ(0, await_held("make"));
	ASSERT_EQ(0, release("make"));
	ASSERT_EQ(0, task_join(&self->tasks[1]));
	ASSERT_EQ(0, release("commit"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
}

/*
 * rmdir(2) of something in the item, rename(2), mkdir(2), and a commit: each waits for
 * another one, and that must not be a circle. rename(2) is going to fail, but only
 * when it has locked both directories.
 */
TEST_F_TIMEOUT(commit, in_no_circle_with_rmdir_and_rename, 60)
{
	ASSERT_EQ(0, hold("show", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_read, "units/u/a/b/t/value",
			       NULL));
	ASSERT_EQ(0, await_held("show"));
	/* Counts as a change of u, and is going to lock the inode of t/a */
	ASSERT_TRUE(task_start(&self->tasks[1], do_rmdir, "units/u/a/b/t",
			       NULL));
	ASSERT_FALSE(comes("disconnect", 1));
	/* Waits for it, and nobody can begin to change u */
	ASSERT_TRUE(task_start(&self->tasks[2], do_live, "units/u", "1"));
	ASSERT_FALSE(comes("commit", 1));
	/* These must not wait with an inode locked */
	EXPECT_EQ(EBUSY, do_mkdir("units/u/n", NULL));
	EXPECT_EQ(EBUSY, do_mkdir("units/u/a/b/t/a/n", NULL));
	EXPECT_EQ(ENOENT, do_rename("units/u/a/b/t/a/none",
				    "units/u/none"));
	ASSERT_EQ(0, release("show"));
	EXPECT_EQ(0, task_join(&self->tasks[0]));
	EXPECT_EQ(0, task_join(&self->tasks[1]));
	EXPECT_EQ(0, task_join(&self->tasks[2]));
	EXPECT_EQ(0, counter("make"));
}

/*
 * Items in items
 */

TEST_F(commit, of_one_in_another)
{
	ASSERT_EQ(0, do_power("units/u/parts/p", "1"));
	ASSERT_EQ(EBUSY, do_write("units/u/parts/p/a/value", "x"));
	ASSERT_EQ(0, do_write("units/u/value", "initial"));
	ASSERT_TRUE(is_live("units/u/parts/p/a"));
	ASSERT_FALSE(is_live("units/u/parts"));
	ASSERT_EQ(0, do_live("units/u", "1"));
	/* It is frozen with the outer one, so it stays live */
	ASSERT_EQ(EBUSY, do_power("units/u/parts/p", "0"));
	ASSERT_EQ(EBUSY, do_rmdir("units/u/parts/p", NULL));
	ASSERT_EQ(0, counter("uncommit"));
	ASSERT_EQ(0, do_live("units/u", "0"));
	ASSERT_EQ(EBUSY, do_write("units/u/parts/p/value", "x"));
	ASSERT_EQ(0, do_power("units/u/parts/p", "0"));
	ASSERT_EQ(0, do_write("units/u/parts/p/value", "initial"));
}

/*
 * Drivers
 */

FIXTURE(driver)
{
	struct baseline base;
	struct task tasks[2];
};

FIXTURE_SETUP(driver)
{
	test_begin(&self->base);
}

FIXTURE_TEARDOWN(driver)
{
	TEST_END(&self->base);
}

TEST_F(driver, commits_itself)
{
	static const char * const hows[] = { "units/u", "units/u work" };

	ASSERT_EQ(0, do_mkdir("units/u", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(hows); i++) {
		ASSERT_EQ(0, do_commit(hows[i], NULL));
		ASSERT_STREQ("1", value_of("units/u/live"));
		ASSERT_EQ(EALREADY, do_commit(hows[i], NULL));
		ASSERT_EQ(EBUSY, do_write("units/u/value", "x"));
		ASSERT_EQ(0, do_uncommit(hows[i], NULL));
		ASSERT_EQ(EALREADY, do_uncommit(hows[i], NULL));
		ASSERT_STREQ("0", value_of("units/u/live"));
	}
	ASSERT_EQ(0, hold("store", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_write, "units/u/value", "x"));
	ASSERT_EQ(0, await_held("store"));
	ASSERT_TRUE(killed_while_waiting(do_commit, "units/u", NULL));
	ASSERT_EQ(2, counter("commit"));
	ASSERT_EQ(0, release("store"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
}

/* Not before mkdir(2) can no longer fail */
TEST_F(driver, cannot_commit_what_is_being_made)
{
	ASSERT_EQ(0, hold("visible", "parts"));
	ASSERT_TRUE(task_start(&self->tasks[0], do_mkdir, "units/u", NULL));
	ASSERT_EQ(0, await_held("visible"));
	EXPECT_EQ(ENOENT, do_commit("units/u", NULL));
	ASSERT_EQ(0, release("visible"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	EXPECT_EQ(0, counter("commit"));
	EXPECT_EQ(0, do_commit("units/u", NULL));
}

/* A group that the driver registers next to those that userspace makes */
TEST_F(driver, commits_a_registered_group)
{
	ASSERT_EQ(0, do_register("units r unit", NULL));
	ASSERT_EQ(EPERM, do_rmdir("units/r", NULL));
	ASSERT_EQ(0, do_commit("units/r", NULL));
	ASSERT_EQ(EBUSY, do_write("units/r/a/value", "x"));
	ASSERT_EQ(EBUSY, do_mkdir("units/r/n", NULL));
	ASSERT_EQ(0, do_live("units/r", "0"));
	ASSERT_EQ(0, do_live("units/r", "1"));
	ASSERT_EQ(0, do_uncommit("units/r", NULL));
	ASSERT_EQ(0, do_unregister("units/r keep", NULL));
	EXPECT_EQ(ENOENT, do_commit("units/r", NULL));
	EXPECT_FALSE(is_live("units/r"));
}

TEST_F(driver, unregisters_what_is_being_committed)
{
	ASSERT_EQ(0, do_register("units r unit", NULL));
	ASSERT_EQ(0, hold("commit", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_live, "units/r", "1"));
	ASSERT_EQ(0, await_held("commit"));
	ASSERT_TRUE(task_start(&self->tasks[1], do_unregister, "units/r",
			       NULL));
	ASSERT_FALSE(comes("release", 1));
	ASSERT_EQ(0, release("commit"));
	EXPECT_EQ(0, task_join(&self->tasks[0]));
	EXPECT_EQ(0, task_join(&self->tasks[1]));
}

TEST_F(driver, has_no_uncommit)
{
	static const struct row rows[] = {
		{ do_live,	"one/r", "0",	EPERM },
		{ do_uncommit,	"one/r", NULL,	EPERM },
		{}
	};

	ASSERT_EQ(0, do_register(". one oneway", NULL));
	ASSERT_EQ(0, do_register("one r unit", NULL));
	ASSERT_EQ(0, do_live("one/r", "1"));
	ASSERT_TRUE(rows_refused(rows));
	ASSERT_TRUE(is_live("one/r"));
}

TEST_F(driver, defines_the_attribute_elsewhere)
{
	static const struct row rows[] = {
		{ do_mkdir, "misfits/u", NULL, EINVAL },
		{}
	};

	ASSERT_EQ(0, do_register(". misfits misfits", NULL));
	ASSERT_TRUE(rows_refused(rows));
}

/*
 * All at once
 */

FIXTURE(mess)
{
	struct baseline base;
};

FIXTURE_SETUP(mess)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("items/x", NULL));
}

FIXTURE_TEARDOWN(mess)
{
	TEST_END(&self->base);
}

static int make_and_remove(unsigned int round)
{
	return round % 3 ? do_mkdir("units/u", NULL) : do_rmdir("units/u", NULL);
}

static int commit_or_not(unsigned int round)
{
	return do_live("units/u", round % 2 ? "1" : "0");
}

static int commit_part(unsigned int round)
{
	if (round % 4 == 3)
		return do_rmdir("units/u/parts/p", NULL);
	return round % 4 ? do_power("units/u/parts/p", round % 2 ? "1" : "0") :
			   do_mkdir("units/u/parts/p", NULL);
}

static int store_somewhere(unsigned int round)
{
	static const char * const files[] = {
		"value", "a/value", "parts/p/a/value", "blob", "parts/p/tune",
	};

	return do_write(at("units/u/%s", files[round % ARRAY_SIZE(files)]),
			"initial");
}

static int change_something(unsigned int round)
{
	switch (round % 4) {
	case 0:		return do_mkdir("units/u/a/b/t", NULL);
	case 1:		return do_symlink("items/x", "units/u/a/b/t/a/link");
	case 2:		return do_unlink("units/u/a/b/t/a/link", NULL);
	default:	return do_rmdir("units/u/a/b/t", NULL);
	}
}

static int read_somewhere(unsigned int round)
{
	return do_read(round % 2 ? "units/u/parts/p/a/value" : "units/u/live",
		       NULL);
}

TEST_F_TIMEOUT(mess, of_everything, 600)
{
	static const struct worker workers[MAX_WORKERS] = {
		WORKER(make_and_remove, MUST(EEXIST, ENOTEMPTY),
		       MAY(ENOENT, EBUSY)),
		WORKER(commit_or_not, MUST(EPERM), MAY(ENOENT, EBUSY)),
		WORKER(commit_part, MUST(EBUSY, ENOENT),
		       MAY(EEXIST, ENOTEMPTY)),
		WORKER(store_somewhere, MUST(EBUSY), MAY(ENOENT)),
		WORKER(change_something, MUST(EBUSY),
		       MAY(ENOENT, EEXIST, ENOTEMPTY)),
		WORKER(read_somewhere, MAY(ENOENT)),
	};

	EXPECT_TRUE(race(workers));
}

int main(int argc, char **argv)
{
	test_init();
	return test_harness_run(argc, argv);
}
