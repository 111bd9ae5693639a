// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes that are written while their item is live, and what
 * config_item_is_live() says in the callbacks.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

FIXTURE(attr)
{
	struct baseline base;
	char pending[PATH_MAX];
	char live[PATH_MAX];
	struct task task[2];
};

/**
 * @below:	where the attributes are
 * @inner:	where they are made, when that is not the same
 * @state:	what is shown there when the item is live
 */
FIXTURE_VARIANT(attr)
{
	const char *group;
	const char *below;
	const char *inner;
	const char *state;
};

FIXTURE_VARIANT_ADD(attr, of_the_item) {
	.group = "swaps",
	.below = "",
	.state = "live",
};

FIXTURE_VARIANT_ADD(attr, of_a_default_group) {
	.group = "treeswaps",
	.below = "one/",
	.state = "live",
};

FIXTURE_VARIANT_ADD(attr, of_a_child) {
	.group = "treeswaps",
	.below = "c/d/one/",
	.state = "live",
};

FIXTURE_VARIANT_ADD(attr, of_a_group_that_can_be_renamed) {
	.group = "pendmoves",
	.below = "c/sub/d/",
	.state = "live",
};

FIXTURE_VARIANT_ADD(attr, of_a_pending_item_in_a_live_one) {
	.group = "nestswaps",
	.below = "inner/pending/i/",
	.state = "pending",
};

FIXTURE_VARIANT_ADD(attr, of_a_live_item_in_a_live_one) {
	.group = "nestswaps",
	.below = "inner/live/i/",
	.inner = "inner",
	.state = "live",
};

/* @_dir and @_attr as one path */
#define ATTR(_dir, _attr) ({						\
	static char __path[2 * PATH_MAX];				\
									\
	snprintf(__path, sizeof(__path), "%s%s", _dir, _attr);		\
	__path;								\
})

FIXTURE_SETUP(attr)
{
	char path[2 * PATH_MAX];

	test_begin(&self->base);
	snprintf(self->pending, sizeof(self->pending), "%s/pending/foo/%s",
		 variant->group, variant->below);
	snprintf(self->live, sizeof(self->live), "%s/live/foo/%s",
		 variant->group, variant->below);
	if (variant->inner) {
		snprintf(path, sizeof(path), "%s/pending/foo/%s/pending/i/",
			 variant->group, variant->inner);
		ASSERT_EQ(0, make_path(path));
		snprintf(path, sizeof(path), "%s/pending/foo/%s",
			 variant->group, variant->inner);
		ASSERT_EQ(0, commit(path, "i"));
	} else {
		ASSERT_EQ(0, make_path(self->pending));
	}
	ASSERT_EQ(0, control("reset", "1"));
}

FIXTURE_TEARDOWN(attr)
{
	EXPECT_TRUE(test_end(&self->base));
}

static int task_commit(const char *group, const char *name)
{
	return commit(group, name);
}

static int task_uncommit(const char *group, const char *name)
{
	return uncommit(group, name);
}

TEST_F(attr, is_written_in_any_state)
{
	static const char * const attrs[] = { "tune", "poke" };
	static const char * const blobs[] = { "tune_blob", "poke_blob" };
	int store = 0, bin_write = 0;

	for (int i = 0; i < 4; i++) {
		const char *dir = i % 2 ? self->live : self->pending;
		char value[16];

		for (int j = 0; j < 2; j++) {
			snprintf(value, sizeof(value), "text%d%d", i, j);
			ASSERT_EQ(0, do_write(ATTR(dir, attrs[j]), value));
			ASSERT_EQ(++store, counter("live_store"));
			ASSERT_STREQ(value, value_of(ATTR(dir, "tune")));

			snprintf(value, sizeof(value), "blob%d%d", i, j);
			ASSERT_EQ(0, do_write(ATTR(dir, blobs[j]), value));
			ASSERT_EQ(++bin_write, counter("live_bin_write"));
			ASSERT_STREQ(value, value_of(ATTR(dir, "tune_blob")));
		}
		ASSERT_EQ(EACCES, task_read(ATTR(dir, "poke"), NULL));
		ASSERT_EQ(EACCES, task_read(ATTR(dir, "poke_blob"), NULL));
		ASSERT_EQ(0, i % 2 ? uncommit(variant->group, "foo") :
				     commit(variant->group, "foo"));
	}
}

/* Nothing else is: neither other attributes, nor any change of the tree */
TEST_F(attr, others_are_frozen)
{
	int fd[2] = {
		open(ATTR(self->pending, "value"), O_WRONLY),
		open(ATTR(self->pending, "blob"), O_WRONLY),
	};

	ASSERT_EQ(0, do_mkdir("plain/a"));
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(0, do_write(ATTR(self->live, "tune"), "x"));
	ASSERT_EQ(0, do_write(ATTR(self->live, "tune_blob"), "x"));
	ASSERT_EQ(EBUSY, do_write(ATTR(self->live, "value"), "x"));
	ASSERT_EQ(EBUSY, do_write(ATTR(self->live, "blob"), "x"));
	ASSERT_EQ(EBUSY, do_write(ATTR(self->live, "depend"), "x"));
	ASSERT_EQ(EBUSY, do_write_fd(fd[0], "x"));
	ASSERT_EQ(EBUSY, do_write_fd(fd[1], "x"));
	ASSERT_EQ(EBUSY, do_symlink("plain/a", ATTR(self->live, "link")));
	/* Never writable, live or not */
	ASSERT_EQ(EACCES, do_write(ATTR(self->live, "name"), "x"));
	ASSERT_EQ(EACCES, do_write(ATTR(self->live, "state"), "x"));
	/* and nothing has become so by a write that is allowed */
	ASSERT_EQ(0, do_write(ATTR(self->live, "tune"), "y"));
	ASSERT_EQ(EBUSY, do_write(ATTR(self->live, "value"), "x"));
	ASSERT_EQ(0, counter("store"));
	ASSERT_EQ(0, counter("bin_write"));
}

TEST_F(attr, is_written_through_files_opened_before)
{
	int fd = open(ATTR(self->pending, "tune"), O_RDWR);
	int wo = open(ATTR(self->pending, "poke"), O_WRONLY);

	ASSERT_LE(0, fd);
	ASSERT_LE(0, wo);
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(0, do_write_fd(fd, "one"));
	ASSERT_STREQ("one", value_of(ATTR(self->live, "tune")));
	ASSERT_EQ(0, do_write_fd(wo, "two"));
	ASSERT_STREQ("two", value_of(ATTR(self->live, "tune")));
	ASSERT_EQ(0, uncommit(variant->group, "foo"));
	ASSERT_EQ(0, do_write_fd(fd, "three"));
	ASSERT_STREQ("three", value_of(ATTR(self->pending, "tune")));
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(0, do_write_fd(wo, "four"));
	ASSERT_STREQ("four", value_of(ATTR(self->live, "tune")));
	ASSERT_EQ(4, counter("live_store"));
}

/* What is flushed when the file is closed reaches the driver in any state. */
TEST_F(attr, binary_files_are_flushed_in_any_state)
{
	static const char * const attrs[] = { "tune_blob", "poke_blob" };
	int fd, n = 0;

	for (int i = 0; i < 2; i++) {
		/* opened before, written after */
		fd = open(ATTR(self->pending, attrs[i]), O_WRONLY);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, commit(variant->group, "foo"));
		ASSERT_EQ(0, do_write_fd(fd, "after"));
		ASSERT_EQ(n, counter("live_bin_write"));
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ(++n, counter("live_bin_write"));
		ASSERT_STREQ("after", value_of(ATTR(self->live, "tune_blob")));

		/* written before, closed after: here the end of being live */
		fd = open(ATTR(self->live, attrs[i]), O_WRONLY);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, do_write_fd(fd, "live"));
		ASSERT_EQ(0, uncommit(variant->group, "foo"));
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ(++n, counter("live_bin_write"));
		ASSERT_STREQ("live", value_of(ATTR(self->pending, "tune_blob")));

		/* and here the beginning, with more in between */
		fd = open(ATTR(self->pending, attrs[i]), O_WRONLY);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, do_write_fd(fd, "half"));
		ASSERT_EQ(0, commit(variant->group, "foo"));
		ASSERT_EQ(0, do_write_fd(fd, "half"));
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ(++n, counter("live_bin_write"));
		ASSERT_STREQ("halfhalf",
			     value_of(ATTR(self->live, "tune_blob")));
		ASSERT_EQ(0, uncommit(variant->group, "foo"));
	}
}

struct files {
	const char *path;
	const char *group;
};

static int exit_with_open_file(void *arg)
{
	struct files *files = arg;
	int fd = open(files->path, O_WRONLY);

	return do_write_fd(fd, "data") || commit(files->group, "foo");
}

/* A process that dies closes its files as well. */
TEST_F(attr, binary_file_of_a_process_that_exits)
{
	struct files files = {
		.path = ATTR(self->pending, "tune_blob"),
		.group = variant->group,
	};

	ASSERT_EQ(0, in_child(exit_with_open_file, &files));
	ASSERT_EQ(1, counter("live_bin_write"));
	ASSERT_STREQ("data", value_of(ATTR(self->live, "tune_blob")));
}

TEST_F(attr, driver_refuses)
{
	static const int errors[] = { EINVAL, EIO, EBUSY, ENODEV };

	ASSERT_EQ(0, do_write(ATTR(self->pending, "tune"), "before"));
	ASSERT_EQ(0, commit(variant->group, "foo"));
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		ASSERT_EQ(0, knob("live_store", errors[i], 0, false));
		ASSERT_EQ(errors[i], do_write(ATTR(self->live, "tune"), "x"));
		ASSERT_EQ(i + 2, counter("live_store"));
		ASSERT_STREQ("before", value_of(ATTR(self->live, "tune")));
	}
	ASSERT_EQ(0, knob("live_store", 0, 0, false));
	ASSERT_EQ(0, do_write(ATTR(self->live, "tune"), "after"));
}

/*
 * Who waits for whom: being live makes no difference
 */

TEST_F(attr, running_write_delays_commit_and_uncommit)
{
	static const char * const attrs[] = { "tune", "poke" };

	for (int i = 0; i < 4; i++) {
		bool live = i % 2;

		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, hold("live_store"));
		ASSERT_TRUE(task_start(&self->task[0], do_write,
				       ATTR(live ? self->live : self->pending,
					    attrs[i / 2]), "slow"));
		ASSERT_TRUE(wait_counter("live_store", 1));
		ASSERT_TRUE(task_start(&self->task[1],
				       live ? task_uncommit : task_commit,
				       variant->group, "foo"));
		ASSERT_TRUE(task_waits(&self->task[1]));
		ASSERT_EQ(0, counter(live ? "uncommit" : "commit"));
		ASSERT_EQ(0, release("live_store"));
		ASSERT_EQ(0, task_join(&self->task[0]));
		ASSERT_EQ(0, task_join(&self->task[1]));
		ASSERT_TRUE(happened_before("-live_store",
					    live ? "+uncommit" : "+commit"));
	}
}

TEST_F(attr, running_binary_write_is_not_interrupted)
{
	bool waits;
	int ret;

	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(0, hold("live_bin_write"));
	ASSERT_TRUE(task_start(&self->task[0], do_write,
			       ATTR(self->live, "tune_blob"), "slow"));
	ASSERT_TRUE(wait_counter("live_bin_write", 1));
	ASSERT_TRUE(task_start(&self->task[1], task_uncommit, variant->group,
			       "foo"));
	/* A close(2) is both: it may delay the rename, or be in its way */
	waits = task_waits(&self->task[1]);
	ASSERT_EQ(0, counter("uncommit"));
	ASSERT_EQ(0, release("live_bin_write"));
	ASSERT_EQ(0, task_join(&self->task[0]));
	ret = task_join(&self->task[1]);
	ASSERT_TRUE(ret == EBUSY || (!ret && waits));
	if (ret)
		ASSERT_EQ(0, uncommit(variant->group, "foo"));
	ASSERT_TRUE(happened_before("-live_bin_write", "+uncommit"));
	ASSERT_STREQ("slow", value_of(ATTR(self->pending, "tune_blob")));
}

/* It waits for what becomes of the item, and goes on whatever that is. */
TEST_F(attr, slow_op_holds_off_writes)
{
	int fd = open(ATTR(self->pending, "tune"), O_WRONLY);
	char number[16];

	ASSERT_LE(0, fd);
	snprintf(number, sizeof(number), "%d", fd);
	for (int i = 0; i < 3; i++) {
		const char *op = i < 2 ? "commit" : "uncommit";
		int error = i == 0 ? EIO : 0;
		char event[16];

		ASSERT_EQ(0, control("reset", "1"));
		ASSERT_EQ(0, knob(op, error, 0, true));
		ASSERT_TRUE(task_start(&self->task[0],
				       i < 2 ? task_commit : task_uncommit,
				       variant->group, "foo"));
		ASSERT_TRUE(wait_counter(op, 1));
		ASSERT_TRUE(task_start(&self->task[1], task_write_fd, number,
				       "late"));
		ASSERT_TRUE(task_waits(&self->task[1]));
		ASSERT_EQ(0, counter("live_store"));
		ASSERT_EQ(0, knob(op, error, 0, false));
		ASSERT_EQ(error, task_join(&self->task[0]));
		ASSERT_EQ(0, task_join(&self->task[1]));
		snprintf(event, sizeof(event), "%c%s", error ? '!' : '-', op);
		ASSERT_TRUE(happened_before(event, "+live_store"));
	}
}

TEST_F_TIMEOUT(attr, uncommit_is_killed_while_waiting_for_a_write, 120)
{
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_EQ(0, hold("live_store"));
	ASSERT_TRUE(task_start(&self->task[0], do_write,
			       ATTR(self->live, "tune"), "slow"));
	ASSERT_TRUE(wait_counter("live_store", 1));
	ASSERT_TRUE(killed_while_waiting(task_uncommit, variant->group, "foo"));
	ASSERT_FALSE(self->task[0].done);
	ASSERT_EQ(0, release("live_store"));
	ASSERT_EQ(0, task_join(&self->task[0]));
	ASSERT_EQ(0, do_write(ATTR(self->live, "tune"), "after"));
	ASSERT_EQ(EBUSY, do_write(ATTR(self->live, "value"), "x"));
	ASSERT_EQ(0, uncommit(variant->group, "foo"));
}

/*
 * config_item_is_live(): the test module compares in each callback and op, here
 * is what userspace can see of it.
 */

TEST_F(attr, state_is_shown)
{
	const char *before = variant->inner ? "live" : "pending";
	int fd = open(ATTR(self->pending, "state"), O_RDONLY);
	char buf[16] = {};

	ASSERT_LE(0, fd);
	ASSERT_STREQ(before, value_of(ATTR(self->pending, "state")));
	ASSERT_EQ(0, commit(variant->group, "foo"));
	ASSERT_STREQ(variant->state, value_of(ATTR(self->live, "state")));
	/* through a file that was opened before, and is read now */
	ASSERT_LT(0, pread(fd, buf, sizeof(buf) - 1, 0));
	buf[strcspn(buf, "\n")] = 0;
	ASSERT_STREQ(variant->state, buf);
	ASSERT_EQ(0, uncommit(variant->group, "foo"));
	ASSERT_STREQ(before, value_of(ATTR(self->pending, "state")));
}

FIXTURE(state)
{
	struct baseline base;
};

FIXTURE_SETUP(state)
{
	test_begin(&self->base);
}

FIXTURE_TEARDOWN(state)
{
	EXPECT_TRUE(test_end(&self->base));
}

/* What is frozen is another question: the outer one may be what freezes. */
TEST_F(state, nearest_item_counts)
{
	ASSERT_EQ(0, make_path("nestswaps/pending/o/inner/pending/p/"));
	ASSERT_EQ(0, make_path("nestswaps/pending/o/inner/pending/l/"));
	ASSERT_EQ(0, commit("nestswaps/pending/o/inner", "l"));
	ASSERT_STREQ("pending", value_of("nestswaps/pending/o/state"));
	ASSERT_STREQ("pending", value_of("nestswaps/pending/o/inner/state"));
	ASSERT_STREQ("live", value_of("nestswaps/pending/o/inner/live/l/state"));
	ASSERT_EQ(0, commit("nestswaps", "o"));
	ASSERT_STREQ("live", value_of("nestswaps/live/o/state"));
	ASSERT_STREQ("live", value_of("nestswaps/live/o/inner/state"));
	ASSERT_STREQ("live", value_of("nestswaps/live/o/inner/live/l/state"));
	ASSERT_STREQ("pending",
		     value_of("nestswaps/live/o/inner/pending/p/state"));
	ASSERT_EQ(EBUSY, do_write("nestswaps/live/o/inner/pending/p/value",
				  "x"));
}

TEST_F(state, none_outside)
{
	ASSERT_STREQ("pending", value_of("swaps/state"));
	ASSERT_EQ(0, make_path("moves/a/"));
	ASSERT_STREQ("pending", value_of("moves/a/state"));
	ASSERT_STREQ("pending", value_of("moves/a/inner/state"));
}

TEST_F(state, follows_an_exchange_and_a_move)
{
	ASSERT_EQ(0, do_mkdir("pendmoves/pending/foo"));
	ASSERT_EQ(0, commit("pendmoves", "foo"));
	ASSERT_EQ(0, make_path("pendmoves/pending/foo/c/"));
	ASSERT_EQ(0, exchange("pendmoves", "foo", true));
	ASSERT_STREQ("live", value_of("pendmoves/live/foo/c/sub/state"));
	ASSERT_STREQ("pending", value_of("pendmoves/pending/foo/state"));
	ASSERT_EQ(0, exchange("pendmoves", "foo", false));
	ASSERT_STREQ("pending", value_of("pendmoves/pending/foo/c/state"));
	ASSERT_STREQ("live", value_of("pendmoves/live/foo/state"));

	ASSERT_EQ(0, do_rename("pendmoves/pending/foo/c", "moves/c"));
	ASSERT_STREQ("pending", value_of("moves/c/state"));
	ASSERT_EQ(0, do_rename("moves/c", "pendmoves/pending/c"));
	ASSERT_EQ(0, commit("pendmoves", "c"));
	ASSERT_STREQ("live", value_of("pendmoves/live/c/state"));
}

int main(int argc, char **argv)
{
	test_load();
	return test_harness_run(argc, argv);
}
