// SPDX-License-Identifier: GPL-2.0
/*
 * symlink(2) and unlink(2): links between items, and removal of both ends.
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

static const char *body_of(const char *path)
{
	static char buf[4096];
	ssize_t len = readlink(path, buf, sizeof(buf) - 1);

	if (len == -1)
		return strerror(errno);
	buf[len] = 0;
	return buf;
}

/*
 * Links from each kind of directory to each kind of target
 */

FIXTURE(link)
{
	struct baseline base;
	struct watches w;
};

/**
 * @dir:	directory of the link
 * @owner:	item or tree that @dir belongs to, NULL to not test its removal
 * @target:	target of the link
 * @gone:	item or tree that @target belongs to, NULL if it cannot be removed
 * @body:	what readlink(2) returns
 */
FIXTURE_VARIANT(link)
{
	const char *dir;
	const char *owner;
	const char *target;
	const char *gone;
	const char *body;
};

FIXTURE_VARIANT_ADD(link, item_to_item) {
	.dir = "items/l",
	.owner = "items/l",
	.target = "items/t",
	.gone = "items/t",
	.body = "../../../configfs_test/items/t",
};

FIXTURE_VARIANT_ADD(link, item_to_itself) {
	.dir = "items/l",
	.target = "items/l",
	.gone = "items/l",
	.body = "../../../configfs_test/items/l",
};

FIXTURE_VARIANT_ADD(link, item_to_group) {
	.dir = "items/l",
	.owner = "items/l",
	.target = "trees/T",
	.gone = "trees/T",
	.body = "../../../configfs_test/trees/T",
};

FIXTURE_VARIANT_ADD(link, item_to_default_group) {
	.dir = "items/l",
	.owner = "items/l",
	.target = "trees/T/a/b/c",
	.gone = "trees/T",
	.body = "../../../configfs_test/trees/T/a/b/c",
};

FIXTURE_VARIANT_ADD(link, item_to_subsystem) {
	.dir = "items/l",
	.owner = "items/l",
	.target = ".",
	.body = "../../../configfs_test",
};

FIXTURE_VARIANT_ADD(link, item_to_other_subsystem) {
	.dir = "items/l",
	.owner = "items/l",
	.target = "../configfs_test2/items/t",
	.gone = "../configfs_test2/items/t",
	.body = "../../../configfs_test2/items/t",
};

FIXTURE_VARIANT_ADD(link, item_to_long_name) {
	.dir = "items/l",
	.owner = "items/l",
	.target = "items/" LONG_NAME,
	.gone = "items/" LONG_NAME,
	.body = "../../../configfs_test/items/" LONG_NAME,
};

FIXTURE_VARIANT_ADD(link, group_to_item) {
	.dir = "links",
	.target = "items/t",
	.gone = "items/t",
	.body = "../../configfs_test/items/t",
};

FIXTURE_VARIANT_ADD(link, default_group_to_item) {
	.dir = "trees/L/a/b",
	.owner = "trees/L",
	.target = "items/t",
	.gone = "items/t",
	.body = "../../../../../configfs_test/items/t",
};

FIXTURE_VARIANT_ADD(link, default_group_to_its_own_parent) {
	.dir = "trees/L/a/b",
	.target = "trees/L/a",
	.gone = "trees/L",
	.body = "../../../../../configfs_test/trees/L/a",
};

FIXTURE_SETUP(link)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("items/l", NULL));
	ASSERT_EQ(0, do_mkdir("items/t", NULL));
	ASSERT_EQ(0, do_mkdir("items/" LONG_NAME, NULL));
	ASSERT_EQ(0, do_mkdir("trees/L", NULL));
	ASSERT_EQ(0, do_mkdir("trees/T", NULL));
	ASSERT_EQ(0, do_mkdir("../configfs_test2/items/t", NULL));
	ASSERT_EQ(0, control("reset", NULL));
}

FIXTURE_TEARDOWN(link)
{
	TEST_END(&self->base);
}

TEST_F(link, comes_and_goes)
{
	const char *path = at("%s/link", variant->dir);
	char *before = snapshot(SNAP_NO_CALLS | SNAP_NO_TIMES);
	int nlink = nlink_of(variant->dir);
	struct stat st, target;

	ASSERT_TRUE(watch_init(&self->w));
	ASSERT_TRUE(watch(&self->w, "dir", variant->dir));
	ASSERT_EQ(0, do_symlink(variant->target, path));
	ASSERT_STREQ("dir CREATE link\n", watched(&self->w));
	ASSERT_EQ(1, counter("allow_link"));
	ASSERT_EQ(0, lstat(path, &st));
	ASSERT_EQ(S_IFLNK | 0777, st.st_mode);
	ASSERT_EQ(1, st.st_nlink);
	ASSERT_EQ(nlink, nlink_of(variant->dir));
	ASSERT_STREQ(variant->body, body_of(path));
	ASSERT_EQ(0, stat(path, &st));
	ASSERT_EQ(0, stat(variant->target, &target));
	ASSERT_EQ(target.st_ino, st.st_ino);

	ASSERT_EQ(EEXIST, do_symlink(variant->target, path));
	ASSERT_EQ(EEXIST, do_mkdir(path, NULL));
	ASSERT_EQ(ENOTDIR, do_rmdir(path, NULL));
	ASSERT_EQ(1, counter("allow_link"));
	ASSERT_EQ(0, counter("drop_link"));

	ASSERT_EQ(0, do_unlink(path, NULL));
	ASSERT_STREQ("dir DELETE link\n", watched(&self->w));
	ASSERT_EQ(1, counter("drop_link"));
	ASSERT_EQ(ENOENT, do_unlink(path, NULL));
	ASSERT_TRUE(unchanged(before, SNAP_NO_CALLS | SNAP_NO_TIMES));
}

TEST_F(link, keeps_its_target)
{
	const char *path = at("%s/link", variant->dir);
	const char *path2 = at("%s/link2", variant->dir);

	if (!variant->gone)
		return;
	ASSERT_EQ(0, do_symlink(variant->target, path));
	ASSERT_EQ(0, do_symlink(variant->target, path2));
	for (int i = 0; i < 2; i++) {
		char *before = snapshot(SNAP_NO_CALLS);

		ASSERT_EQ(EBUSY, do_rmdir(variant->gone, NULL));
		ASSERT_TRUE(unchanged(before, SNAP_NO_CALLS));
		/* Taking a snapshot fills the event log, so clear it */
		ASSERT_EQ(0, control("reset", NULL));
		ASSERT_EQ(0, do_unlink(i ? path : path2, NULL));
	}
	ASSERT_EQ(0, do_rmdir(variant->gone, NULL));
	ASSERT_TRUE(happened_before(at("-drop_link %s", variant->dir),
				    at("+disconnect %s", variant->gone)));
}

TEST_F(link, keeps_its_item)
{
	const char *path = at("%s/link", variant->dir);
	char *before;

	if (!variant->owner)
		return;
	ASSERT_EQ(0, do_symlink(variant->target, path));
	before = snapshot(SNAP_NO_CALLS);
	ASSERT_EQ(ENOTEMPTY, do_rmdir(variant->owner, NULL));
	ASSERT_TRUE(unchanged(before, SNAP_NO_CALLS));
	ASSERT_EQ(0, do_unlink(path, NULL));
	ASSERT_EQ(0, do_rmdir(variant->owner, NULL));
}

TEST_F(link, times_of_its_directory)
{
	const struct timespec old[2] = { { 1, 0 }, { 1, 0 } };
	const char *path = at("%s/link", variant->dir);
	struct stat st;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, utimensat(AT_FDCWD, variant->dir, old, 0));
		ASSERT_EQ(0, i ? do_unlink(path, NULL) :
			  do_symlink(variant->target, path));
		ASSERT_EQ(0, stat(variant->dir, &st));
		ASSERT_NE(1, st.st_mtim.tv_sec);
		ASSERT_EQ(st.st_ctim.tv_sec, st.st_mtim.tv_sec);
		ASSERT_EQ(st.st_ctim.tv_nsec, st.st_mtim.tv_nsec);
	}
}

TEST_F(link, driver_refuses)
{
	const char *path = at("%s/link", variant->dir);
	char *before = snapshot(SNAP_NO_CALLS);

	ASSERT_EQ(0, knob("allow_link error=%d", EXDEV));
	ASSERT_EQ(EXDEV, do_symlink(variant->target, path));
	ASSERT_TRUE(unchanged(before, SNAP_NO_CALLS));
	ASSERT_EQ(0, counter("drop_link"));
	if (variant->gone)
		ASSERT_EQ(0, do_rmdir(variant->gone, NULL));
}

/*
 * Errors that configfs detects itself, without calling the driver
 */

FIXTURE(refused)
{
	struct baseline base;
};

FIXTURE_SETUP(refused)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("items/l", NULL));
	ASSERT_EQ(0, do_mkdir("items/t", NULL));
	ASSERT_EQ(0, do_mkdir("trees/T", NULL));
	ASSERT_EQ(0, do_symlink("items/t", "items/l/old"));
	ASSERT_EQ(0, control("reset", NULL));
}

FIXTURE_TEARDOWN(refused)
{
	TEST_END(&self->base);
}

TEST_F(refused, rows)
{
	static const struct row rows[] = {
		/* The target */
		{ do_symlink, "items/none",	"items/l/x",	ENOENT },
		{ do_symlink, "",		"items/l/x",	ENOENT },
		{ do_symlink, "items/t/value",	"items/l/x",	ENOTDIR },
		{ do_symlink, "items/t/ro/x",	"items/l/x",	ENOTDIR },
		{ do_symlink, "/proc",		"items/l/x",	EPERM },
		/* Relative to the working directory, not to the link */
		{ do_symlink, "../t",		"items/l/x",	ENOENT },
		/* The name */
		{ do_symlink, "items/t",	"items/l/old",	EEXIST },
		{ do_symlink, "items/t",	"items/l/ro",	EEXIST },
		{ do_symlink, "items/t",	"items/l",	EEXIST },
		{ do_symlink, "items/t",	"items/n/x",	ENOENT },
		{ do_symlink, "items/t",	"items/l/ro/x",	ENOTDIR },
		/* The directory */
		{ do_symlink, "items/t",	"items/x",	EPERM },
		{ do_symlink, "items/t",	"empty/x",	EPERM },
		{ do_symlink, "items/t",	"trees/T/e/x",	EPERM },
		{ do_symlink, "items/t",	"x",		EPERM },
		{ do_symlink, "items/t",	"../x",		EPERM },
		{ do_symlink, "items/none",	"empty/x",	EPERM },
		/* unlink(2) of something else */
		{ do_unlink, "items/l/ro",	NULL,		EPERM },
		{ do_unlink, "items/l",		NULL,		EISDIR },
		{}
	};

	ASSERT_TRUE(rows_refused(rows));
	ASSERT_EQ(0, counter("allow_link"));
	ASSERT_EQ(0, counter("drop_link"));
}

TEST_F(refused, permissions)
{
	ASSERT_EQ(EACCES, in_child(1000, do_symlink, "items/t", "items/l/x"));
	ASSERT_EQ(EACCES, in_child(1000, do_unlink, "items/l/old", NULL));
	ASSERT_EQ(0, counter("allow_link"));
	ASSERT_EQ(0, chmod("items/l", 0777));
	ASSERT_EQ(0, in_child(1000, do_symlink, "items/t", "items/l/x"));
	ASSERT_EQ(0, in_child(1000, do_unlink, "items/l/old", NULL));
}

/* Making a link requires search permission for the path to its target */
TEST_F(refused, target_out_of_reach)
{
	ASSERT_EQ(0, do_mkdir("trees/T/d/t", NULL));
	ASSERT_EQ(0, chmod("items/l", 0777));
	ASSERT_EQ(0, chmod("trees/T/d", 0700));
	ASSERT_EQ(EACCES, in_child(1000, do_symlink, "trees/T/d/t",
				   "items/l/x"));
}

/*
 * Removal of either end during a callback
 */

FIXTURE(asked)
{
	struct baseline base;
	struct task task[2];
};

FIXTURE_SETUP(asked)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("trees/L", NULL));
	ASSERT_EQ(0, do_mkdir("trees/T", NULL));
	ASSERT_EQ(0, control("reset", NULL));
}

FIXTURE_TEARDOWN(asked)
{
	TEST_END(&self->base);
}

TEST_F(asked, its_target_stays)
{
	static const char * const targets[] = { "trees/T", "trees/T/a/b/c" };

	NEEDS("configfs: fix use-after-free in symlink(2) when its target is removed");
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		ASSERT_EQ(0, control("reset", NULL));
		ASSERT_EQ(0, hold("allow_link", NULL));
		ASSERT_TRUE(task_start(&self->task[0], do_symlink, targets[i],
				       "trees/L/a/link"));
		ASSERT_EQ(0, await_held("allow_link"));
		ASSERT_TRUE(task_start(&self->task[1], do_rmdir, "trees/T",
				       NULL));
		EXPECT_FALSE(comes("disconnect", 1));
		ASSERT_EQ(0, release("allow_link"));

		/* Either the link makes rmdir(2) fail, or symlink(2) fails */
		if (!task_join(&self->task[0])) {
			EXPECT_EQ(EBUSY, task_join(&self->task[1]));
			EXPECT_EQ(0, counter("drop_link"));
			ASSERT_EQ(0, do_unlink("trees/L/a/link", NULL));
			continue;
		}
		EXPECT_EQ(ENOENT, self->task[0].ret);
		EXPECT_EQ(0, task_join(&self->task[1]));
		EXPECT_EQ(1, counter("drop_link"));
		EXPECT_TRUE(happened_before("-drop_link trees/L/a",
					    "+disconnect trees/T"));
		EXPECT_FALSE(exists("trees/L/a/link"));
		ASSERT_EQ(0, do_mkdir("trees/T", NULL));
	}
}

TEST_F(asked, its_directory_stays)
{
	ASSERT_EQ(0, hold("allow_link", NULL));
	ASSERT_TRUE(task_start(&self->task[0], do_symlink, "trees/T",
			       "trees/L/a/link"));
	ASSERT_EQ(0, await_held("allow_link"));
	ASSERT_TRUE(task_start(&self->task[1], do_rmdir, "trees/L", NULL));
	ASSERT_FALSE(comes("disconnect", 1));
	ASSERT_EQ(0, release("allow_link"));
	/* Either rmdir(2) fails because of the link, or the link is too late */
	if (task_join(&self->task[0])) {
		ASSERT_EQ(ENOENT, self->task[0].ret);
		ASSERT_EQ(0, task_join(&self->task[1]));
	} else {
		ASSERT_EQ(ENOTEMPTY, task_join(&self->task[1]));
		ASSERT_TRUE(exists("trees/L/a/link"));
		ASSERT_EQ(0, do_unlink("trees/L/a/link", NULL));
	}
}

/* The target must not go away before drop_link() has returned */
TEST_F(asked, about_unlink)
{
	ASSERT_EQ(0, do_symlink("trees/T/a", "trees/L/a/link"));
	ASSERT_EQ(0, hold("drop_link", NULL));
	ASSERT_TRUE(task_start(&self->task[0], do_unlink, "trees/L/a/link",
			       NULL));
	ASSERT_EQ(0, await_held("drop_link"));
	ASSERT_EQ(EBUSY, do_rmdir("trees/T", NULL));
	ASSERT_EQ(0, release("drop_link"));
	ASSERT_EQ(0, task_join(&self->task[0]));
	ASSERT_EQ(0, do_rmdir("trees/T", NULL));
}

TEST_F(asked, and_killed)
{
	char *before = snapshot(SNAP_NO_CALLS | SNAP_NO_TIMES);

	ASSERT_EQ(0, hold("allow_link", NULL));
	ASSERT_TRUE(killed_while_waiting(do_symlink, "trees/T",
					 "trees/L/a/link"));
	ASSERT_EQ(0, release("allow_link"));
	ASSERT_TRUE(unchanged(before, SNAP_NO_CALLS | SNAP_NO_TIMES));
	ASSERT_EQ(0, do_rmdir("trees/T", NULL));
}

/*
 * Changes while symlink(2) looks up its target, during which configfs unlocks
 * the directory. The path to the target leads through a FUSE file system served
 * by this test, which thus controls when the lookup ends.
 */

#define FUSE_DIR	"/tmp"
#define FUSE_NAME	FUSE_DIR "/target"

FIXTURE(lookup)
{
	struct baseline base;
	struct task task;
	int fuse;
	uint64_t unique;
};

static bool fuse_reply(int fd, uint64_t unique, const void *data, size_t size)
{
	char buf[4096] = {};
	struct fuse_out_header *out = (void *)buf;

	out->len = sizeof(*out) + size;
	out->unique = unique;
	memcpy(out + 1, data, size);
	return write(fd, buf, out->len) == (ssize_t)out->len;
}

/* Read requests up to one with this opcode; returns its ID, 0 on error */
static uint64_t fuse_request(int fd, uint32_t opcode)
{
	static char buf[FUSE_MIN_READ_BUFFER];
	const struct fuse_in_header *in = (void *)buf;

	do {
		if (read(fd, buf, sizeof(buf)) < (ssize_t)sizeof(*in))
			return 0;
	} while (in->opcode != opcode);
	return in->unique;
}

static const char *fuse_mount(int *fd)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = 4096,
		.flags = FUSE_PARALLEL_DIROPS,
	};
	uint64_t unique;

	*fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (*fd == -1)
		return "no /dev/fuse";
	if (unshare(CLONE_NEWNS) ||
	    mount("none", FUSE_DIR, "fuse", 0,
		  at("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", *fd)))
		return "cannot mount FUSE";
	unique = fuse_request(*fd, FUSE_INIT);
	if (!unique || !fuse_reply(*fd, unique, &init, sizeof(init)))
		return "FUSE_INIT failed";
	return NULL;
}

/* Start a symlink(2) and wait until it looks up its target */
static bool lookup_starts(FIXTURE_DATA(lookup) * self,
			  int (*fn)(const char *a, const char *b))
{
	if (!task_start(&self->task, fn, FUSE_NAME, "trees/L/d/link"))
		return false;
	self->unique = fuse_request(self->fuse, FUSE_LOOKUP);
	return self->unique;
}

/* Answer the lookup: FUSE_NAME is a symbolic link to @target */
static bool lookup_ends(FIXTURE_DATA(lookup) * self, const char *target)
{
	struct fuse_entry_out entry = {
		.nodeid = 2,
		.attr.ino = 2,
		.attr.mode = S_IFLNK | 0777,
		.attr.nlink = 1,
		.entry_valid = 1000,
		.attr_valid = 1000,
	};
	uint64_t unique;

	if (!fuse_reply(self->fuse, self->unique, &entry, sizeof(entry)))
		return false;
	unique = fuse_request(self->fuse, FUSE_READLINK);
	return unique && fuse_reply(self->fuse, unique, target, strlen(target));
}

FIXTURE_SETUP(lookup)
{
	const char *reason;

	test_begin(&self->base);
	reason = fuse_mount(&self->fuse);
	if (reason)
		SKIP(return, "%s", reason);
	ASSERT_EQ(0, do_mkdir("trees/L", NULL));
	ASSERT_EQ(0, do_mkdir("trees/T", NULL));
	ASSERT_EQ(0, control("reset", NULL));
}

FIXTURE_TEARDOWN(lookup)
{
	TEST_END(&self->base);
}

#define TARGET	SUBSYS_DIR "/trees/T"

TEST_F(lookup, finds_it)
{
	ASSERT_TRUE(lookup_starts(self, do_symlink));
	ASSERT_TRUE(lookup_ends(self, TARGET));
	ASSERT_EQ(0, task_join(&self->task));
	ASSERT_STREQ("../../../../configfs_test/trees/T",
		     body_of("trees/L/d/link"));
}

TEST_F(lookup, and_the_name_is_taken)
{
	ASSERT_TRUE(lookup_starts(self, do_symlink));
	ASSERT_EQ(0, do_symlink("trees/T", "trees/L/d/link"));
	ASSERT_TRUE(lookup_ends(self, TARGET));
	ASSERT_EQ(EEXIST, task_join(&self->task));
	ASSERT_EQ(1, counter("allow_link"));
}

TEST_F(lookup, and_the_name_is_taken_by_an_item)
{
	ASSERT_TRUE(lookup_starts(self, do_symlink));
	ASSERT_EQ(0, do_mkdir("trees/L/d/link", NULL));
	ASSERT_TRUE(lookup_ends(self, TARGET));
	ASSERT_EQ(EEXIST, task_join(&self->task));
	ASSERT_EQ(0, counter("allow_link"));
}

TEST_F(lookup, and_the_target_goes)
{
	ASSERT_TRUE(lookup_starts(self, do_symlink));
	ASSERT_EQ(0, do_rmdir("trees/T", NULL));
	ASSERT_TRUE(lookup_ends(self, TARGET));
	ASSERT_EQ(ENOENT, task_join(&self->task));
	ASSERT_EQ(0, counter("allow_link"));
}

TEST_F(lookup, and_the_directory_goes)
{
	NEEDS("configfs: fix use-after-free in symlink(2) when its directory is removed");
	ASSERT_TRUE(lookup_starts(self, do_symlink));
	ASSERT_EQ(0, do_rmdir("trees/L", NULL));
	ASSERT_TRUE(lookup_ends(self, TARGET));
	ASSERT_EQ(ENOENT, task_join(&self->task));
	ASSERT_EQ(0, counter("allow_link"));
}

/* symlink(2) must not use a new directory of the same name instead */
TEST_F(lookup, and_the_directory_goes_and_comes)
{
	NEEDS("configfs: fix use-after-free in symlink(2) when its directory is removed");
	ASSERT_TRUE(lookup_starts(self, do_symlink));
	ASSERT_EQ(0, do_rmdir("trees/L", NULL));
	ASSERT_EQ(0, do_mkdir("trees/L", NULL));
	ASSERT_TRUE(lookup_ends(self, TARGET));
	ASSERT_EQ(ENOENT, task_join(&self->task));
	ASSERT_TRUE(tree_is_whole("trees/L"));
}

TEST_F(lookup, and_is_killed)
{
	ASSERT_TRUE(lookup_starts(self, do_symlink));
	ASSERT_TRUE(killed_while_waiting(do_symlink, FUSE_DIR "/other",
					 "trees/L/a/link"));
	ASSERT_FALSE(exists("trees/L/a/link"));
	ASSERT_TRUE(lookup_ends(self, TARGET));
	ASSERT_EQ(0, task_join(&self->task));
}

static int symlink_as_user(const char *target, const char *path)
{
	return in_child(1000, do_symlink, target, path);
}

TEST_F(lookup, and_permission_is_taken_away)
{
	ASSERT_EQ(0, chmod("trees/L/d", 0777));
	ASSERT_TRUE(lookup_starts(self, symlink_as_user));
	ASSERT_EQ(0, chmod("trees/L/d", 0755));
	ASSERT_TRUE(lookup_ends(self, TARGET));
	ASSERT_EQ(EACCES, task_join(&self->task));
	ASSERT_EQ(0, counter("allow_link"));
	ASSERT_FALSE(exists("trees/L/d/link"));
}

int main(int argc, char **argv)
{
	test_init();
	return test_harness_run(argc, argv);
}
