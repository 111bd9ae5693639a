// SPDX-License-Identifier: GPL-2.0
/*
 * Groups, default groups and subsystems registered by a driver: they must
 * appear complete, userspace cannot remove them, and unregistering removes all
 * of them even if processes still have files or directories in them open.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

#define MOUNTS	"configfs: fix leak of mounts below a removed directory"

FIXTURE(tree)
{
	struct baseline base;
	struct task tasks[2];
	struct watches watches;
};

/**
 * @outer:	"register" arguments of a parent to register first, or NULL
 * @how:	"register" arguments of the tree
 * @top:	path of the tree
 * @parent:	path of its parent directory
 */
FIXTURE_VARIANT(tree)
{
	const char *outer;
	const char *how;
	const char *top;
	const char *parent;
};

FIXTURE_VARIANT_ADD(tree, group) {
	.how = ". dyn tree",
	.top = "dyn",
	.parent = ".",
};

FIXTURE_VARIANT_ADD(tree, group_below_a_default_group) {
	.how = "trees dyn tree",
	.top = "trees/dyn",
	.parent = "trees",
};

FIXTURE_VARIANT_ADD(tree, group_below_a_registered_group) {
	.outer = ". outer tree",
	.how = "outer/a/b dyn tree",
	.top = "outer/a/b/dyn",
	.parent = "outer/a/b",
};

FIXTURE_VARIANT_ADD(tree, group_of_separate_groups) {
	.how = ". dyn grove",
	.top = "dyn",
	.parent = ".",
};

FIXTURE_VARIANT_ADD(tree, group_with_a_long_name) {
	.how = ". " LONG_NAME " tree",
	.top = LONG_NAME,
	.parent = ".",
};

FIXTURE_VARIANT_ADD(tree, subsystem) {
	.how = "/ configfs_test3 tree",
	.top = "../configfs_test3",
	.parent = CONFIGFS_DIR,
};

FIXTURE_SETUP(tree)
{
	test_begin(&self->base);
	if (variant->outer)
		ASSERT_EQ(0, do_register(variant->outer, NULL));
	ASSERT_EQ(0, do_mkdir("links/l", NULL));
}

FIXTURE_TEARDOWN(tree)
{
	TEST_END(&self->base);
}

static const char *name_of(const char *path)
{
	return strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

TEST_F(tree, comes_and_goes_whole)
{
	const char *top = variant->top, *parent = variant->parent;
	int nlink = nlink_of(parent), calls = counter("make");
	char *before, children[256];
	bool is_group = variant->how[0] != '/';

	before = snapshot(SNAP_NO_CALLS | SNAP_NO_TIMES);
	if (is_group)
		snprintf(children, sizeof(children), "%s", children_of(parent));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, do_register(variant->how, NULL));
		ASSERT_EQ(nlink + 1, nlink_of(parent));
		ASSERT_TRUE(tree_is_whole(top));
		ASSERT_STREQ(name_of(top), value_of(at("%s/ro", top)));
		ASSERT_STREQ("a d e", children_of(top));
		ASSERT_STREQ("b b2", children_of(at("%s/a", top)));
		/* A new child is added at the end of cg_children */
		if (is_group)
			ASSERT_STREQ(at("%s%s%s", children, *children ? " " : "",
					name_of(top)), children_of(parent));

		ASSERT_EQ(0, do_unregister(top, NULL));
		ASSERT_EQ(nlink, nlink_of(parent));
		for (int j = 0; j < NR_TREE_DIRS; j++) {
			const char *dir = at("%s%s", top, tree_dirs[j].path);

			ASSERT_EQ(ENOENT, do_stat(dir, NULL));
			ASSERT_EQ(ENOENT, do_read(at("%s/value", dir), NULL));
		}
		ASSERT_EQ(NR_TREE_DIRS * (i + 1), counter("release"));
		ASSERT_TRUE(unchanged(before, SNAP_NO_CALLS | SNAP_NO_TIMES));
	}
	/* Only mkdir(2) and rmdir(2) may call these, not (un)registration */
	ASSERT_EQ(calls, counter("make"));
	ASSERT_EQ(0, counter("disconnect"));
	ASSERT_EQ(0, counter("drop"));
	free(before);
}

TEST_F(tree, is_not_for_userspace_to_remove)
{
	const char *top = variant->top;
	struct row rows[2 * NR_TREE_DIRS + 1] = {}, *row = rows;

	ASSERT_EQ(0, do_register(variant->how, NULL));
	for (int i = 0; i < NR_TREE_DIRS; i++) {
		const char *dir = strdup(at("%s%s", top, tree_dirs[i].path));

		*row++ = (struct row) { do_rmdir, dir, NULL, EPERM };
		*row++ = (struct row) { do_mkdir, dir, NULL, EEXIST };
	}
	ASSERT_TRUE(rows_refused(rows));
	ASSERT_EQ(0, do_unregister(top, NULL));
}

TEST_F(tree, can_be_used)
{
	const char *top = variant->top;

	ASSERT_EQ(0, do_register(variant->how, NULL));
	ASSERT_EQ(0, do_mkdir(at("%s/n", top), NULL));
	ASSERT_EQ(0, do_mkdir(at("%s/a/b/c/n", top), NULL));
	ASSERT_EQ(0, do_mkdir(at("%s/d/n", top), NULL));
	ASSERT_TRUE(tree_is_whole(at("%s/d/n", top)));
	ASSERT_EQ(0, do_write(at("%s/a/b/c/n/value", top), "x"));
	ASSERT_STREQ("x", value_of(at("%s/a/b/c/n/value", top)));
	ASSERT_EQ(0, do_symlink(at("%s/a/b/c", top), "links/l/link"));
	ASSERT_STREQ("n", name_of(value_of("links/l/link/n/ro")));
	/* The test module refuses to unregister a group with items in it */
	ASSERT_EQ(EBUSY, do_unregister(top, NULL));
	ASSERT_EQ(0, do_unlink("links/l/link", NULL));
	ASSERT_EQ(0, do_rmdir(at("%s/n", top), NULL));
	ASSERT_EQ(0, do_rmdir(at("%s/a/b/c/n", top), NULL));
	ASSERT_EQ(0, do_rmdir(at("%s/d/n", top), NULL));
	ASSERT_TRUE(tree_is_whole(top));
	ASSERT_EQ(0, do_unregister(top, NULL));
}

/* Adding and removing a child must update mtime of the parent directory. */
TEST_F(tree, times_of_the_parent)
{
	static const struct timespec past[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat st;

	if (variant->how[0] == '/')
		SKIP(return, "the root of configfs is not ours");
	ASSERT_EQ(0, utimensat(AT_FDCWD, variant->parent, past, 0));
	ASSERT_EQ(0, do_register(variant->how, NULL));
	ASSERT_EQ(0, stat(variant->parent, &st));
	ASSERT_NE(1000, st.st_mtim.tv_sec);
	ASSERT_EQ(0, utimensat(AT_FDCWD, variant->parent, past, 0));
	ASSERT_EQ(0, do_unregister(variant->top, NULL));
	ASSERT_EQ(0, stat(variant->parent, &st));
	ASSERT_NE(1000, st.st_mtim.tv_sec);
}

TEST_F(tree, tells_that_it_goes)
{
	struct watches *w = &self->watches;

	ASSERT_EQ(0, do_register(variant->how, NULL));
	ASSERT_TRUE(watch_init(w));
	ASSERT_TRUE(watch(w, "parent", variant->parent));
	ASSERT_EQ(0, do_unregister(variant->top, NULL));
	ASSERT_STREQ(at("parent DELETE ISDIR %s\n", name_of(variant->top)),
		     watched(w));
}

/* Unregistering waits for running callbacks and lets no new ones start. */
TEST_F(tree, goes_after_its_callbacks)
{
	static const struct {
		const char *callback;
		int (*fn)(const char *a, const char *b);
		const char *attr;
	} rows[] = {
		{ "show", do_read, "/a/b/c/value" },
		{ "show", do_read, "/value" },
		{ "store", do_write, "/e/f/value" },
		{ "bin_read", do_read, "/a/b2/blob" },
		{ "bin_write", do_write, "/d/blob" },
	};
	const char *top = variant->top;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *attr = at("%s%s", top, rows[i].attr);
		int releases, ret;

		ASSERT_EQ(0, do_register(variant->how, NULL));
		if (!strcmp(rows[i].callback, "bin_read"))
			ASSERT_EQ(0, do_write(attr, "x"));
		releases = counter("release");
		ASSERT_EQ(0, hold(rows[i].callback, NULL));
		ASSERT_TRUE(task_start(&self->tasks[0], rows[i].fn, attr, "x"));
		ASSERT_EQ(0, await_held(rows[i].callback));
		ASSERT_TRUE(task_start(&self->tasks[1], do_unregister, top, NULL));
		ASSERT_FALSE(comes("release", releases + 1));
		ASSERT_EQ(0, release(rows[i].callback));
		ret = task_join(&self->tasks[0]);
		/* bin_read is called twice; the second call may fail */
		ASSERT_TRUE(!ret || (ret == ENOENT && i == 3));
		ASSERT_EQ(0, task_join(&self->tasks[1]));
		ASSERT_EQ(releases + NR_TREE_DIRS, counter("release"));
	}
}

/*
 * A process that still has its working directory or open files in the tree must
 * get errors once the tree is gone, even if it is registered again.
 */
TEST_F(tree, goes_with_somebody_in_it)
{
	const char *top = variant->top;
	int dir, path, unread, half, out, blob_in, blob_out;
	char text[64];
	uint64_t buf[8];

	for (int again = 0; again < 2; again++) {
		ASSERT_EQ(0, do_register(variant->how, NULL));
		ASSERT_EQ(0, do_write(at("%s/a/b/c/blob", top), "data"));
		path = open(at("%s/a/b", top), O_PATH);
		ASSERT_EQ(0, chdir(at("%s/a/b/c", top)));
		dir = open(".", O_RDONLY | O_DIRECTORY);
		unread = open("value", O_RDONLY);
		half = open("value", O_RDONLY);
		out = open("value", O_WRONLY);
		blob_in = open("blob", O_RDONLY);
		blob_out = open("blob", O_WRONLY);
		ASSERT_LE(0, blob_out);
		ASSERT_EQ(3, read(half, text, 3));
		ASSERT_EQ(2, write(blob_out, "xx", 2));
		ASSERT_LT(0, syscall(__NR_getdents64, dir, buf, sizeof(buf)));
		ASSERT_EQ(0, control("knob", "show"));

		ASSERT_EQ(0, do_unregister(top, NULL));
		if (again)
			ASSERT_EQ(0, do_register(variant->how, NULL));

		/* Paths relative to the removed directory */
		EXPECT_EQ(ENOENT, do_read("value", NULL));
		EXPECT_EQ(ENOENT, do_mkdir("n", NULL));
		EXPECT_EQ(ENOENT, do_rmdir("n", NULL));
		EXPECT_EQ(ENOENT, do_symlink(SUBSYS_DIR "/links/l", "link"));
		EXPECT_EQ(ENOENT, do_symlink("/proc/self/cwd",
					     SUBSYS_DIR "/links/l/link"));
		EXPECT_EQ(0, nlink_of("."));
		EXPECT_EQ(NULL, getcwd(text, sizeof(text)));
		EXPECT_EQ(-1, mkdirat(path, "n", 0777));
		EXPECT_EQ(ENOENT, errno);
		EXPECT_EQ(-1, mount("/proc", ".", NULL, MS_BIND, NULL));
		EXPECT_EQ(ENOENT, errno);
		/* File descriptors that are still open */
		EXPECT_EQ(-1, syscall(__NR_getdents64, dir, buf, sizeof(buf)));
		EXPECT_EQ(ENOENT, errno);
		EXPECT_EQ(0, lseek(dir, 0, SEEK_SET));
		EXPECT_EQ(-1, read(unread, text, sizeof(text)));
		EXPECT_EQ(ENOENT, errno);
		EXPECT_EQ(5, read(half, text, sizeof(text)));
		EXPECT_EQ(ENOENT, do_write_fd(at("%d", out), "x"));
		EXPECT_EQ(-1, read(blob_in, text, sizeof(text)));
		EXPECT_EQ(ENOENT, errno);
		EXPECT_EQ(0, close(blob_out));

		EXPECT_EQ(0, chdir(SUBSYS_DIR));
		if (again) {
			ASSERT_TRUE(tree_is_whole(top));
			EXPECT_EQ(ENOENT, do_write_fd(at("%d", out), "x"));
			ASSERT_EQ(0, do_unregister(top, NULL));
		}
		close(dir);
		close(path);
		close(unread);
		close(half);
		close(out);
		close(blob_in);
	}
	EXPECT_EQ(0, counter("bin_write") - 2);
}

static bool is_mounted(const char *path)
{
	char line[4096];
	FILE *f = fopen("/proc/self/mountinfo", "r");
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found = found || strstr(line, path);
	if (f)
		fclose(f);
	return found;
}

TEST_F(tree, takes_mounts_along)
{
	const char *top = variant->top, *name = name_of(top);

	NEEDS(MOUNTS);
	for (int i = 0; i < NR_TREE_DIRS; i++) {
		const char *dir = at("%s%s", top, tree_dirs[i].path);

		ASSERT_EQ(0, do_register(variant->how, NULL));
		ASSERT_EQ(0, mount("/proc", dir, NULL, MS_BIND, NULL));
		ASSERT_TRUE(is_mounted(at("/%s%s ", name, tree_dirs[i].path)));
		ASSERT_EQ(0, do_unregister(top, NULL));
		EXPECT_FALSE(is_mounted(at("/%s%s", name, tree_dirs[i].path))) {
			TH_LOG("%s is still mounted", dir);
		}

		ASSERT_EQ(0, do_register(variant->how, NULL));
		ASSERT_EQ(0, mount("/proc/version", at("%s/ro", dir), NULL,
				   MS_BIND, NULL));
		ASSERT_EQ(0, do_unregister(top, NULL));
		EXPECT_FALSE(is_mounted(at("/%s%s", name, tree_dirs[i].path))) {
			TH_LOG("%s/ro is still mounted", dir);
		}
	}
}

/* A second mount of configfs shows the same tree. */
TEST_F(tree, is_there_in_each_mount)
{
	const char *top = at("/sys/fs/configfs_test/%s", variant->top);

	ASSERT_EQ(0, mount("none", "/sys/fs", "configfs", 0, NULL));
	ASSERT_EQ(0, do_register(variant->how, NULL));
	ASSERT_TRUE(tree_is_whole(top));
	ASSERT_EQ(0, do_unregister(variant->top, NULL));
	ASSERT_EQ(ENOENT, do_stat(top, NULL));
	ASSERT_EQ(0, umount("/sys/fs"));
}

FIXTURE(single)
{
	struct baseline base;
	struct task tasks[2];
};

FIXTURE_SETUP(single)
{
	test_begin(&self->base);
}

FIXTURE_TEARDOWN(single)
{
	TEST_END(&self->base);
}

/* Unlike the others, configfs_register_default_group() allocates the group. */
TEST_F(single, default_group)
{
	static const char * const parents[] = { ".", "trees", "outer/a" };
	int nlink;

	ASSERT_EQ(0, do_register(". outer tree", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(parents); i++) {
		const char *dir = at("%s/extra", parents[i]);

		nlink = nlink_of(parents[i]);
		ASSERT_EQ(0, control("register_default",
				     at("%s extra", parents[i])));
		ASSERT_EQ(nlink + 1, nlink_of(parents[i]));
		ASSERT_STREQ("name", listing_of(dir));
		ASSERT_STREQ("extra", value_of(at("%s/name", dir)));
		ASSERT_EQ(EPERM, do_rmdir(dir, NULL));
		ASSERT_EQ(EPERM, do_mkdir(at("%s/n", dir), NULL));
		ASSERT_EQ(EEXIST, do_mkdir(dir, NULL));
		ASSERT_EQ(0, control("unregister_default", "1"));
		ASSERT_EQ(ENOENT, do_stat(dir, NULL));
		ASSERT_EQ(nlink, nlink_of(parents[i]));
	}
}

/* Unregistering a group nested in another one leaves the outer one intact. */
TEST_F(single, groups_in_groups)
{
	ASSERT_EQ(0, do_register(". one tree", NULL));
	ASSERT_EQ(0, do_register("one two tree", NULL));
	ASSERT_EQ(0, do_register("one/two/e three tree", NULL));
	ASSERT_EQ(0, do_register("one/a items items", NULL));
	ASSERT_STREQ("a d e two", children_of("one"));
	ASSERT_STREQ("b b2 items", children_of("one/a"));
	ASSERT_TRUE(tree_is_whole("one/two/e/three"));
	ASSERT_EQ(0, do_mkdir("one/a/items/i", NULL));
	ASSERT_EQ(0, do_rmdir("one/a/items/i", NULL));
	ASSERT_EQ(0, do_unregister("one/a/items", NULL));
	ASSERT_EQ(0, do_unregister("one/two/e/three", NULL));
	ASSERT_TRUE(tree_is_whole("one/two"));
	ASSERT_EQ(0, do_unregister("one/two", NULL));
	ASSERT_TRUE(tree_is_whole("one"));
	ASSERT_EQ(0, do_unregister("one", NULL));
}

/* Unregistering a group as if it were a subsystem must do and leak nothing. */
TEST_F(single, group_is_no_subsystem)
{
	struct baseline base;

	NEEDS("configfs: fix dentry leak in configfs_unregister_subsystem()");
	get_baseline(&base);
	ASSERT_EQ(0, do_register(". dyn tree", NULL));
	ASSERT_EQ(0, control("unregister_as_subsystem", "dyn"));
	ASSERT_TRUE(tree_is_whole("dyn"));
	ASSERT_EQ(0, do_unregister("dyn", NULL));
	if (base.dirents < 0)
		SKIP(return, "the number of dirents is unknown");
	ASSERT_TRUE(settled(&base));
}

/* drop_link() must not be called for a link whose target was unregistered. */
TEST_F(single, target_of_a_link)
{
	static const char * const targets[] = { "dyn", "dyn/a/b/c" };

	NEEDS("configfs: fix use-after-free in unlink(2) when its target was unregistered");
	ASSERT_EQ(0, do_mkdir("links/l", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		/* "keep" avoids a use-after-free on kernels without the fix */
		ASSERT_EQ(0, do_register(". dyn tree", NULL));
		ASSERT_EQ(0, do_symlink(targets[i], "links/l/link"));
		ASSERT_EQ(0, control("unregister", "dyn keep"));
		ASSERT_EQ(0, control("forget_link", "links/l"));
		ASSERT_EQ(0, do_unlink("links/l/link", NULL));
		ASSERT_EQ(0, counter("drop_link"));
	}
	ASSERT_EQ(0, do_rmdir("links/l", NULL));
}

/* The name of a subsystem must be unique in the root directory. */
TEST_F(single, subsystem_of_the_same_name)
{
	static const struct row rows[] = {
		{ do_register, "/ configfs_test tree", NULL, EEXIST },
		{ do_register, "/ configfs_test2 tree", NULL, EEXIST },
		{}
	};
	int fd;

	ASSERT_TRUE(rows_refused(rows));
	fd = open("../configfs_test2", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(rows_refused(rows));
}

/* Unregistering must fail with EBUSY while mkdir(2) makes an item inside. */
TEST_F(single, mkdir_under_way)
{
	int made, gone;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, do_register(". dyn tree", NULL));
		ASSERT_EQ(0, hold(i ? "visible" : "make", NULL));
		ASSERT_TRUE(task_start(&self->tasks[0], do_mkdir, "dyn/a/b/c/n",
				       NULL));
		ASSERT_EQ(0, await_held(i ? "visible" : "make"));
		ASSERT_TRUE(task_start(&self->tasks[1], do_unregister, "dyn",
				       NULL));
		ASSERT_EQ(0, release(i ? "visible" : "make"));
		made = task_join(&self->tasks[0]);
		gone = task_join(&self->tasks[1]);
		EXPECT_EQ(0, made);
		EXPECT_EQ(EBUSY, gone);
		EXPECT_EQ(0, do_rmdir("dyn/a/b/c/n", NULL));
		EXPECT_EQ(0, do_unregister("dyn", NULL));
	}
}

/*
 * A group is not taken apart while mkdir(2) is running in it. Here the driver
 * refuses to make the item in the end, so that nothing is left in the group.
 */
TEST_F(single, waits_for_mkdir)
{
	NEEDS("configfs: fix NULL dereference in mkdir(2) during configfs_unregister_group()");
	ASSERT_EQ(0, do_register(". dyn tree", NULL));
	ASSERT_EQ(0, knob("make wait error=%d", ENOMEM));
	ASSERT_TRUE(task_start(&self->tasks[0], do_mkdir, "dyn/n", NULL));
	ASSERT_EQ(0, await_held("make"));
	/* Kept, so that this does not crash without the fix */
	ASSERT_TRUE(task_start(&self->tasks[1], do_unregister,
			       "dyn force keep", NULL));
	for (int i = 0; i < 20 && exists("dyn"); i++)
		usleep(10000);
	EXPECT_TRUE(exists("dyn"));
	EXPECT_EQ(0, release("make"));
	EXPECT_EQ(ENOMEM, task_join(&self->tasks[0]));
	EXPECT_EQ(0, task_join(&self->tasks[1]));
	EXPECT_FALSE(exists("dyn"));
}

int main(int argc, char **argv)
{
	test_init();
	return test_harness_run(argc, argv);
}
