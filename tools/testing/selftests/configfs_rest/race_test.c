// SPDX-License-Identifier: GPL-2.0
/*
 * Commits and uncommits in a loop against everything else that can be done to
 * an item. What may come out of each operation is listed; the test module
 * checks that none of its callbacks is called when it must not be.
 *
 * CONFIGFS_TEST_SECONDS is how long each race runs (2).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

/*
 * The operations
 */

static int toggle(unsigned int round, const char *group, const char *name)
{
	return round % 2 ? uncommit(group, name) : commit(group, name);
}

static int toggle_item(unsigned int round)
{
	return toggle(round, "items", "foo");
}

static int toggle_maker(unsigned int round)
{
	return toggle(round, "makers", "foo");
}

static int toggle_outer(unsigned int round)
{
	return toggle(round, "nested", "foo");
}

static int toggle_inner(unsigned int round)
{
	return toggle(round / 2, round % 2 ? "nested/live/foo/inner" :
		      "nested/pending/foo/inner", "bar");
}

static int toggle_dyn(unsigned int round)
{
	return toggle(round, "dyn", "foo");
}

static int write_item(unsigned int round)
{
	return do_write(round % 2 ? "items/live/foo/value" :
			"items/pending/foo/value", "x");
}

static int write_blob(unsigned int round)
{
	return do_write(round % 2 ? "items/live/foo/blob" :
			"items/pending/foo/blob", "x");
}

static int write_maker(unsigned int round)
{
	return do_write(round % 2 ? "makers/live/foo/c/value" :
			"makers/pending/foo/c/value", "x");
}

static int write_inner(unsigned int round)
{
	static const char * const paths[] = {
		"nested/pending/foo/inner/pending/bar/value",
		"nested/pending/foo/inner/live/bar/value",
		"nested/live/foo/inner/pending/bar/value",
		"nested/live/foo/inner/live/bar/value",
	};

	return do_write(paths[round % 4], "x");
}

/* One file for all threads, opened once */
static int item_fd = -1;

static int write_open_file(unsigned int round)
{
	return do_write_fd(item_fd, "x");
}

static int read_item(unsigned int round)
{
	static const char * const paths[] = {
		"items/pending/foo/value", "items/live/foo/value",
		"items/pending/foo/blob", "items/live/foo/blob",
		"items/pending/foo/ro", "items/live/foo/ro",
	};

	return task_read(paths[round % 6], NULL);
}

static int change_child(unsigned int round)
{
	switch (round % 4) {
	case 0:
		return do_mkdir("makers/pending/foo/c/x");
	case 1:
		return do_mkdir("makers/pending/foo/c/x/y");
	case 2:
		return do_rmdir("makers/pending/foo/c/x/y");
	default:
		return do_rmdir("makers/pending/foo/c/x");
	}
}

static int change_direct_child(unsigned int round)
{
	return round % 2 ? do_rmdir("makers/pending/foo/z") :
			   do_mkdir("makers/pending/foo/z");
}

static int change_link_inside(unsigned int round)
{
	return round % 2 ? do_unlink("makers/pending/foo/c/link") :
			   do_symlink("plain/b", "makers/pending/foo/c/link");
}

/* As long as there is a link, its target stays where the link says. */
static int link_to_item(unsigned int round)
{
	int ret = do_symlink(round % 2 ? "items/live/foo" : "items/pending/foo",
			     "plain/a/link");

	if (ret)
		return ret;
	for (int i = 0; i < 3; i++) {
		if (!exists("plain/a/link/ro"))
			return INCONSISTENT;
		/* Neither way: one is refused, the other one has no source */
		if (!commit("items", "foo") || !uncommit("items", "foo"))
			return MOVED;
	}
	return do_unlink("plain/a/link");
}

static int depend_with(const char *file)
{
	int ret = do_write(file, "configfs_test/items/foo");

	if (ret)
		return ret;
	if (!commit("items", "foo") || !uncommit("items", "foo"))
		return MOVED;
	return control("undepend", "configfs_test/items/foo");
}

static int depend_from_outside(unsigned int round)
{
	return depend_with(CONTROL_DIR "/depend");
}

static int depend_from_callback(unsigned int round)
{
	return depend_with(round % 2 ? SUBSYS_DIR "/control/depend" :
			   SUBSYS_DIR "2/control/depend");
}

/*
 * A listing, of one system call and with that of one moment, shows an item at
 * most once, and nothing that is not there.
 */
static int list_dirs(unsigned int round)
{
	uint64_t buf[512];
	int fd, foo = 0, other = 0, ret = 0;
	long len;

	fd = open(round % 2 ? "items/live" : "items/pending",
		  O_RDONLY | O_DIRECTORY);
	if (fd == -1)
		return errno;
	/* Once more from the start */
	if (round % 4 > 1 && (syscall(__NR_getdents64, fd, buf,
				      sizeof(buf)) <= 0 ||
			      lseek(fd, 0, SEEK_SET)))
		ret = INCONSISTENT;
	len = syscall(__NR_getdents64, fd, buf, sizeof(buf));
	if (len <= 0)
		ret = INCONSISTENT;
	for (long pos = 0; pos < len; ) {
		const struct dirent64 *d = (void *)buf + pos;

		pos += d->d_reclen;
		if (!strcmp(d->d_name, "foo"))
			foo++;
		else if (!strcmp(d->d_name, "other"))
			other++;
		else if (d->d_name[0] != '.')
			ret = INCONSISTENT;
	}
	close(fd);
	/* The one that nobody moves is in pending, and always seen */
	if (foo > 1 || other != (round % 2 ? 0 : 1))
		ret = INCONSISTENT;
	return ret;
}

static int stat_item(unsigned int round)
{
	struct stat st;

	if (stat(round % 2 ? "items/live/foo" : "items/pending/foo", &st))
		return errno;
	return S_ISDIR(st.st_mode) && st.st_nlink == 2 ? 0 : INCONSISTENT;
}

/* A process in the item sees no place that does not exist. */
static int where_am_i(unsigned int round)
{
	static __thread int dir = -1;
	char link[64], path[256];
	ssize_t len;

	if (dir == -1)
		dir = open(round % 2 ? "items/live/foo" : "items/pending/foo",
			   O_RDONLY | O_DIRECTORY);
	if (dir == -1)
		return errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	len = readlink(link, path, sizeof(path) - 1);
	if (len == -1)
		return errno;
	path[len] = 0;
	if (strcmp(path, SUBSYS_DIR "/items/pending/foo") &&
	    strcmp(path, SUBSYS_DIR "/items/live/foo"))
		return INCONSISTENT;
	return faccessat(dir, "value", R_OK, 0) ? INCONSISTENT : 0;
}

static int make_item(unsigned int round)
{
	return round % 2 ? do_rmdir("items/pending/foo") :
			   do_mkdir("items/pending/foo");
}

static int make_in_dyn(unsigned int round)
{
	return round % 2 ? do_rmdir("dyn/pending/foo") :
			   do_mkdir("dyn/pending/foo");
}

static int make_in_plain_dyn(unsigned int round)
{
	return round % 2 ? do_rmdir("dyn/foo") : do_mkdir("dyn/foo");
}

static int register_committable(unsigned int round)
{
	return control("dyn", round % 2 ? "0" : "1");
}

static int register_plain(unsigned int round)
{
	return control("dyn", round % 2 ? "0" : "2");
}

static int change_mode(unsigned int round)
{
	static const char * const paths[] = {
		"items/pending/foo", "items/live/foo",
		"items/pending/foo/value", "items/live/foo/value",
	};

	if (chmod(paths[round % 4], 0700 + round % 8) ||
	    chown(paths[round % 4], round % 8, round % 8))
		return errno;
	return 0;
}

/*
 * What comes in pairs is a move, with one cookie. The first pair may lack a
 * half, from before the second watch was added.
 */
static int watch_dirs(unsigned int round)
{
	uint64_t buf[512];
	int fd = inotify_init1(IN_NONBLOCK), ret = 0;
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	const struct inotify_event *event;
	uint32_t from = 0;
	bool paired = false;

	if (fd == -1)
		return errno;
	if (inotify_add_watch(fd, "items/pending", IN_MOVE) == -1 ||
	    inotify_add_watch(fd, "items/live", IN_MOVE) == -1)
		ret = errno;
	inotify_add_watch(fd, "items/pending/foo", IN_ATTRIB | IN_OPEN);

	for (int i = 0; !ret && i < 10; i++) {
		ssize_t len, pos = 0;

		poll(&pollfd, 1, 10);
		len = read(fd, buf, sizeof(buf));
		while (pos < len) {
			event = (void *)buf + pos;
			pos += sizeof(*event) + event->len;
			if (!(event->mask & IN_MOVE))
				continue;
			if (strcmp(event->name, "foo"))
				ret = INCONSISTENT;
			if (event->mask & IN_MOVED_FROM) {
				if (paired && from)
					ret = INCONSISTENT;
				from = event->cookie;
				continue;
			}
			if (from == event->cookie)
				paired = true;
			else if (paired)
				ret = INCONSISTENT;
			from = 0;
		}
	}
	close(fd);
	return ret;
}

/* A process that is killed at some time, in the middle of it perhaps */
static int die_committing(unsigned int round)
{
	int status;
	pid_t pid = fork();

	if (pid == -1)
		return errno;
	if (!pid)
		for (unsigned int i = 0; ; i++)
			toggle_item(i);
	usleep(rand() % 20000);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		return INCONSISTENT;
	return 0;
}

static int die_writing(unsigned int round)
{
	int status;
	pid_t pid = fork();

	if (pid == -1)
		return errno;
	if (!pid)
		for (unsigned int i = 0; ; i++) {
			write_item(i);
			write_blob(i);
		}
	usleep(rand() % 20000);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		return INCONSISTENT;
	return 0;
}

/*
 * The races
 */

FIXTURE(race)
{
	struct baseline base;
};

FIXTURE_VARIANT(race)
{
	struct worker workers[MAX_WORKERS];
};

FIXTURE_VARIANT_ADD(race, writers) {
	.workers = {
		{ toggle_item },
		{ write_item, { ENOENT, EBUSY } },
		{ write_open_file, { EBUSY } },
		{ write_open_file, { EBUSY } },
	},
};

FIXTURE_VARIANT_ADD(race, binary_writers) {
	.workers = {
		{ toggle_item, { EBUSY, ENOENT } },
		{ write_blob, { ENOENT, EBUSY } },
		{ write_blob, { ENOENT, EBUSY } },
	},
};

FIXTURE_VARIANT_ADD(race, writers_below) {
	.workers = {
		{ toggle_maker },
		{ write_maker, { ENOENT, EBUSY } },
		{ write_maker, { ENOENT, EBUSY } },
	},
};

FIXTURE_VARIANT_ADD(race, readers) {
	.workers = {
		{ toggle_item },
		{ read_item, { ENOENT } },
		{ read_item, { ENOENT } },
		{ where_am_i, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, mkdir_and_rmdir_below) {
	.workers = {
		{ toggle_maker, { EBUSY, ENOENT } },
		{ change_child, { EBUSY, ENOENT, EEXIST, ENOTEMPTY } },
		{ change_child, { EBUSY, ENOENT, EEXIST, ENOTEMPTY } },
	},
};

FIXTURE_VARIANT_ADD(race, mkdir_and_symlink_in_the_item) {
	.workers = {
		{ toggle_maker, { EBUSY, ENOENT } },
		{ change_direct_child, { EBUSY, ENOENT, EEXIST } },
		{ change_link_inside, { EBUSY, ENOENT, EEXIST } },
	},
};

FIXTURE_VARIANT_ADD(race, links) {
	.workers = {
		{ toggle_item, { EBUSY, ENOENT } },
		{ link_to_item, { EBUSY, ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, dependents) {
	.workers = {
		{ toggle_item, { EBUSY, ENOENT } },
		{ depend_from_outside, { EBUSY } },
		{ depend_from_callback, { EBUSY } },
	},
};

FIXTURE_VARIANT_ADD(race, listing) {
	.workers = {
		{ toggle_item },
		{ list_dirs },
		{ list_dirs },
		{ stat_item, { ENOENT } },
		{ where_am_i, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, same_name_in_pending) {
	.workers = {
		{ toggle_item, { ENOENT, EEXIST, EBUSY } },
		{ make_item, { ENOENT, EEXIST, EBUSY } },
		{ make_item, { ENOENT, EEXIST, EBUSY } },
		{ write_item, { ENOENT, EBUSY } },
	},
};

FIXTURE_VARIANT_ADD(race, two_committers) {
	.workers = {
		{ toggle_item, { ENOENT } },
		{ toggle_item, { ENOENT } },
		{ stat_item, { ENOENT } },
		{ write_item, { ENOENT, EBUSY } },
	},
};

FIXTURE_VARIANT_ADD(race, modes_and_owners) {
	.workers = {
		{ toggle_item },
		{ change_mode, { ENOENT } },
		{ change_mode, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, watchers) {
	.workers = {
		{ toggle_item },
		{ watch_dirs },
		{ watch_dirs },
		{ change_mode, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, inner_and_outer_items) {
	.workers = {
		{ toggle_outer, { EBUSY, ENOENT } },
		{ toggle_inner, { EBUSY, ENOENT } },
		{ write_inner, { EBUSY, ENOENT } },
		{ write_inner, { EBUSY, ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, killed_processes) {
	.workers = {
		{ die_committing },
		{ die_writing },
		{ write_open_file, { EBUSY } },
		{ read_item, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, registering_a_committable_group) {
	.workers = {
		{ register_committable, { EBUSY, EEXIST, ENOENT } },
		{ make_in_dyn, { ENOENT, ENODEV, EEXIST, EBUSY } },
		{ make_in_dyn, { ENOENT, ENODEV, EEXIST, EBUSY } },
		{ toggle_dyn, { ENOENT, EEXIST, EBUSY } },
	},
};

FIXTURE_VARIANT_ADD(race, registering_a_plain_group) {
	.workers = {
		{ register_plain, { EBUSY, EEXIST, ENOENT } },
		{ make_in_plain_dyn, { ENOENT, ENODEV, EEXIST } },
		{ make_in_plain_dyn, { ENOENT, ENODEV, EEXIST } },
	},
};

FIXTURE_SETUP(race)
{
	static const char * const dirs[] = {
		"plain/a", "plain/b", "items/pending/other",
		"items/pending/foo", "makers/pending/foo",
		"makers/pending/foo/c", "nested/pending/foo",
		"nested/pending/foo/inner/pending/bar",
	};

	test_begin(&self->base);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		ASSERT_EQ(0, do_mkdir(dirs[i]));
	item_fd = open("items/pending/foo/value", O_WRONLY);
	ASSERT_LE(0, item_fd);
}

FIXTURE_TEARDOWN(race)
{
	EXPECT_TRUE(test_end(&self->base));
}

/* Nothing is left that would keep an item from being used as ever. */
static int still_works(const char *group, const char *name)
{
	char pending[256], live[256];
	int ret;

	snprintf(pending, sizeof(pending), "%s/pending/%s", group, name);
	snprintf(live, sizeof(live), "%s/live/%s", group, name);
	if (exists(live)) {
		if (exists(pending) && do_rmdir(pending))
			return INCONSISTENT;
		ret = uncommit(group, name);
		if (ret)
			return ret;
	}
	if (!exists(pending) && do_mkdir(pending))
		return INCONSISTENT;
	ret = commit(group, name);
	return ret ? ret : uncommit(group, name);
}

static void run_race(struct __test_metadata *_metadata,
		     const struct worker *workers)
{
	EXPECT_TRUE(race(workers));
	EXPECT_EQ(0, counter("violations"));

	/* Exactly one place, and everything can be used */
	if (workers[1].fn != make_item) {
		EXPECT_EQ(1, listed("items/pending/foo") +
			     listed("items/live/foo"));
	}
	EXPECT_EQ(1, listed("makers/pending/foo") + listed("makers/live/foo"));
	EXPECT_EQ(0, still_works("items", "foo"));
	EXPECT_EQ(0, still_works("makers", "foo"));
	EXPECT_EQ(0, still_works("nested", "foo"));
	EXPECT_EQ(0, still_works("nested/pending/foo/inner", "bar"));
}

TEST_F_TIMEOUT(race, fast, 120)
{
	run_race(_metadata, variant->workers);
}

/* With callbacks that sleep, others come in between */
TEST_F_TIMEOUT(race, slow, 120)
{
	static const char * const slow[] = {
		"store", "show", "bin_write", "commit", "uncommit", "make",
		"drop", "allow_link",
	};

	for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
		ASSERT_EQ(0, knob(slow[i], 0, 1, false));
	run_race(_metadata, variant->workers);
}

int main(int argc, char **argv)
{
	test_load();
	return test_harness_run(argc, argv);
}
