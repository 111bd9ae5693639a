// SPDX-License-Identifier: GPL-2.0
/*
 * Items that userspace exchanges, renames and moves, and that their driver does
 * commit and rename itself, in a loop against everything else that can be done
 * to them. What may come out of each operation is listed; the test module checks
 * that none of its callbacks is called when it must not be.
 *
 * CONFIGFS_TEST_SECONDS is how long each race runs (2), once with callbacks that
 * return at once and once with slow ones.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

/* As the test module calls its subsystems */
#define SUBSYS		"configfs_api_test"
#define SUBSYS2		"configfs_api_test2"
#define SUBSYS2_DIR	CONFIGFS_DIR "/" SUBSYS2

#define PENDING		"items/pending/foo"
#define LIVE		"items/live/foo"

/* Let the driver do it, from this task or from a kernel thread */
static int call(unsigned int round, const char *fmt, ...)
{
	char what[512], buf[1024];
	const char *function;
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	function = what;
	what[strcspn(what, " ")] = 0;
	snprintf(buf, sizeof(buf), "%s %s %s", function,
		 round % 4 < 2 ? "direct" : "kthread",
		 what + strlen(what) + 1);
	return control("call", buf);
}

static int exchange_paths(const char *a, const char *b)
{
	return do_rename_flags(a, b, RENAME_EXCHANGE);
}

/*
 * Commits, by the driver and by userspace
 */

static int toggle(unsigned int round)
{
	return round % 2 ? uncommit("items", "foo") : commit("items", "foo");
}

static int toggle_by_driver(unsigned int round)
{
	return call(round, "%s " SUBSYS "/items/foo",
		    round % 2 ? "uncommit" : "commit");
}

static int exchange_both(unsigned int round)
{
	return round % 2 ? exchange_paths(PENDING, LIVE) :
			   exchange_paths(LIVE, PENDING);
}

static int make(unsigned int round)
{
	return round % 2 ? do_rmdir(PENDING) : do_mkdir(PENDING);
}

static int write_value(unsigned int round)
{
	return do_write(round % 2 ? LIVE "/value" : PENDING "/value", "x");
}

/* Whichever it is when it is read, it is one of the two. */
static int read_state(unsigned int round)
{
	char buf[64];
	int ret = do_read(round % 2 ? LIVE "/state" : PENDING "/state", buf,
			  sizeof(buf));

	if (ret)
		return ret;
	return strcmp(buf, "foo live\n") && strcmp(buf, "foo not live\n") ?
	       INCONSISTENT : 0;
}

/* How often the name is in a listing, of one system call and of one moment */
static int count_listed(const char *path, const char *name)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
	uint64_t buf[1024];
	long len;

	if (fd == -1)
		return -errno;
	len = syscall(__NR_getdents64, fd, buf, sizeof(buf));
	close(fd);
	for (long pos = 0; pos < len; ) {
		const struct dirent64 *d = (void *)buf + pos;

		pos += d->d_reclen;
		if (!strcmp(d->d_name, name))
			found++;
	}
	return len > 0 ? found : -EIO;
}

/* Items that are exchanged only: each place always has one. */
static int list_both(unsigned int round)
{
	int n = count_listed(round % 2 ? "items/live" : "items/pending", "foo");

	return n == 1 ? 0 : INCONSISTENT;
}

/* One that is there, and that is not in the other place as well */
static int stat_both(unsigned int round)
{
	struct stat st;

	if (stat(round % 2 ? LIVE : PENDING, &st))
		return errno;
	return S_ISDIR(st.st_mode) && st.st_nlink == 2 ? 0 : INCONSISTENT;
}

static int open_both(unsigned int round)
{
	int fd = open(round % 2 ? LIVE "/value" : PENDING "/value", O_RDWR);

	if (fd == -1)
		return errno;
	close(fd);
	return 0;
}

/* Read on where another read ended: what has not been moved is seen once. */
static int list_in_pieces(unsigned int round)
{
	const char *path = round % 2 ? "items/live" : "items/pending";
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), stay = 0;
	struct dirent64 d;
	long len;

	if (fd == -1)
		return errno;
	/* Room for one short name */
	while ((len = syscall(__NR_getdents64, fd, &d, 32)) > 0)
		if (!strcmp(d.d_name, "stay"))
			stay++;
	close(fd);
	return len || stay != 1 ? INCONSISTENT : 0;
}

/* As long as there is a link to it, an item is not exchanged. */
static int link_to_both(unsigned int round)
{
	int ret = do_symlink(round % 2 ? LIVE : PENDING, "plain/a/link");

	if (ret)
		return ret;
	if (!exists("plain/a/link/value"))
		return INCONSISTENT;
	if (!exchange_both(round))
		return MOVED;
	return do_unlink("plain/a/link");
}

/*
 * New names: boxes/foo has either of two
 */

static const char * const names[] = { "foo", LONG_NAME };

static int change_name(unsigned int round)
{
	return round % 2 ? do_rename("boxes/" LONG_NAME, "boxes/foo") :
			   do_rename("boxes/foo", "boxes/" LONG_NAME);
}

/* @2 is the item, whatever its name: to the one that it has not */
static int change_name_by_driver(unsigned int round)
{
	int ret;

	ret = call(round, "rename @2 " SUBSYS "/boxes %s", names[round % 2]);
	if (ret == EEXIST)
		ret = call(round, "rename @2 " SUBSYS "/boxes %s",
			   names[!(round % 2)]);
	return ret;
}

/* Intact ones */
static int read_names(unsigned int round)
{
	static const char * const all[] = {
		"foo", LONG_NAME, "a", "b", "d", "x", "stay", "other",
	};
	char buf[4096], *line, *save;
	int ret = do_read(round % 2 ? "plain/peers" : "plain/a/peers", buf,
			  sizeof(buf));

	if (ret)
		return ret;
	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		size_t i = 0;

		while (i < ARRAY_SIZE(all) && strcmp(line, all[i]))
			i++;
		if (i == ARRAY_SIZE(all))
			return INCONSISTENT;
	}
	return 0;
}

static bool can_change_name(void)
{
	return !change_name(0) || !change_name(1) ||
	       !change_name_by_driver(0) || !change_name_by_driver(1);
}

static int link_to_named(unsigned int round)
{
	char target[PATH_MAX];
	int ret;

	snprintf(target, sizeof(target), "boxes/%s", names[round % 2]);
	ret = do_symlink(target, "plain/a/link");
	if (ret)
		return ret;
	if (!exists("plain/a/link/value"))
		return INCONSISTENT;
	if (can_change_name())
		return MOVED;
	return do_unlink("plain/a/link");
}

/* The link in it leads to the same place all the time. */
static int link_inside_named(unsigned int round)
{
	char path[PATH_MAX];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "boxes/%s", names[round % 2]);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return errno;
	if (symlinkat("plain/b", fd, "link"))
		ret = errno;
	for (int i = 0; !ret && i < 5; i++)
		if (faccessat(fd, "link/value", R_OK, 0))
			ret = INCONSISTENT;
	if (!ret && unlinkat(fd, "link", 0))
		ret = errno;
	close(fd);
	return ret;
}

static int depend_on_named(unsigned int round)
{
	int ret = control("depend", "@2");

	if (ret)
		return ret;
	if (can_change_name())
		return MOVED;
	return control("undepend", "@2");
}

static int write_named(unsigned int round)
{
	return do_write(round % 2 ? "boxes/foo/value" :
			"boxes/" LONG_NAME "/value", "x");
}

static int read_named(unsigned int round)
{
	char buf[64];
	int ret = do_read(round % 2 ? "boxes/foo/state" :
			  "boxes/" LONG_NAME "/state", buf, sizeof(buf));

	if (ret)
		return ret;
	return strcmp(buf, "foo not live\n") &&
	       strcmp(buf, LONG_NAME " not live\n") ? INCONSISTENT : 0;
}

static int make_below_named(unsigned int round)
{
	static __thread int fd = -1;

	if (fd == -1)
		fd = open(round % 4 < 2 ? "boxes/foo" : "boxes/" LONG_NAME,
			  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return errno;
	if (round % 2 ? unlinkat(fd, "x", AT_REMOVEDIR) :
			mkdirat(fd, "x", 0777))
		return errno;
	return 0;
}

/* One system call sees one of the names, and always the same item. */
static int list_named(unsigned int round)
{
	int fd = open("boxes", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
	uint64_t buf[1024];
	long len;

	if (fd == -1)
		return errno;
	len = syscall(__NR_getdents64, fd, buf, sizeof(buf));
	close(fd);
	for (long pos = 0; pos < len; ) {
		const struct dirent64 *d = (void *)buf + pos;

		pos += d->d_reclen;
		if (!strcmp(d->d_name, names[0]) ||
		    !strcmp(d->d_name, names[1]))
			found++;
	}
	return found == 1 ? 0 : INCONSISTENT;
}

static int toggle_new_name(unsigned int round)
{
	switch (round % 4) {
	case 0:
		return do_rename(PENDING, "items/pending/" LONG_NAME);
	case 1:
		return commit("items", LONG_NAME);
	case 2:
		return uncommit("items", LONG_NAME);
	default:
		return do_rename("items/pending/" LONG_NAME, PENDING);
	}
}

/*
 * Moves: an item x, in boxes/a or in boxes/b, which come and go
 */

static int move(unsigned int round)
{
	return round % 2 ? do_rename("boxes/b/x", "boxes/a/x") :
			   do_rename("boxes/a/x", "boxes/b/x");
}

static int move_by_driver(unsigned int round)
{
	const char *from = round % 2 ? "b" : "a", *to = round % 2 ? "a" : "b";

	return call(round, "rename " SUBSYS "/boxes/%s/x " SUBSYS "/boxes/%s x",
		    from, to);
}

static int make_destination(unsigned int round)
{
	const char *path = round % 4 < 2 ? "boxes/a" : "boxes/b";

	return round % 2 ? do_mkdir(path) : do_rmdir(path);
}

static int make_moved(unsigned int round)
{
	switch (round % 4) {
	case 0:
		return do_mkdir("boxes/a/x");
	case 1:
		return do_rmdir("boxes/b/x");
	case 2:
		return do_mkdir("boxes/b/x");
	default:
		return do_rmdir("boxes/a/x");
	}
}

static int write_moved(unsigned int round)
{
	return do_write(round % 2 ? "boxes/a/x/value" : "boxes/b/x/value", "x");
}

/* It is in one place, however often it moves. */
static int list_moved(unsigned int round)
{
	int n = count_listed(round % 2 ? "boxes/a" : "boxes/b", "x");

	if (n < 0)
		return -n;
	return n > 1 ? INCONSISTENT : 0;
}

/* Between a committable group and one that is not */
static int move_and_commit(unsigned int round)
{
	switch (round % 7) {
	case 0:
		return do_rename("boxes/d/x", "items/pending/x");
	case 1:
		return commit("items", "x");
	case 2:
		return uncommit("items", "x");
	case 3:
		return do_rename("items/pending/x", "items2/pending/x");
	case 4:
		/* When it had come there before the driver committed it */
		return uncommit("items2", "x");
	case 5:
		return do_rename("items2/pending/x", "boxes/b/x");
	default:
		return do_rename("boxes/b/x", "boxes/d/x");
	}
}

static int toggle_x_by_driver(unsigned int round)
{
	return call(round, "%s " SUBSYS "/items/x",
		    round % 2 ? "uncommit" : "commit");
}

static int write_x(unsigned int round)
{
	static const char * const paths[] = {
		"boxes/d/x/value", "items/pending/x/value",
		"items/live/x/value", "items2/pending/x/value",
		"boxes/b/x/value",
	};

	return do_write(paths[round % 5], "x");
}

/* No group ever gets below itself. */
static int into_each_other(unsigned int round)
{
	switch (round % 4) {
	case 0:
		return do_rename("boxes/a", "boxes/b/a");
	case 1:
		return do_rename("boxes/b/a", "boxes/a");
	case 2:
		return do_rename("boxes/b", "boxes/a/b");
	default:
		return do_rename("boxes/a/b", "boxes/b");
	}
}

static int into_each_other_by_driver(unsigned int round)
{
	switch (round % 4) {
	case 0:
		return call(round, "rename " SUBSYS "/boxes/a " SUBSYS "/boxes/b a");
	case 1:
		return call(round, "rename " SUBSYS "/boxes/b/a " SUBSYS "/boxes a");
	case 2:
		return call(round, "rename " SUBSYS "/boxes/b " SUBSYS "/boxes/a b");
	default:
		return call(round, "rename " SUBSYS "/boxes/a/b " SUBSYS "/boxes b");
	}
}

static int find_both(unsigned int round)
{
	static const char * const paths[] = {
		"boxes/a/value", "boxes/b/value", "boxes/a/b/value",
		"boxes/b/a/value",
	};

	return task_read(paths[round % 4], NULL);
}

/*
 * Subsystems that come and go
 */

/* There is no success but the right errno */
static int expect(int error, int ret)
{
	return ret == error ? 0 : ret ? ret : INCONSISTENT;
}

static int toggle_second(unsigned int round)
{
	return control(round % 2 ? "register" : "unregister", "1");
}

static int toggle_first(unsigned int round)
{
	return control(round % 2 ? "register" : "unregister", "0");
}

static int use_second(unsigned int round)
{
	switch (round % 4) {
	case 0:
		return do_mkdir(SUBSYS2_DIR "/boxes/x");
	case 1:
		return do_rename(SUBSYS2_DIR "/boxes/x",
				 SUBSYS2_DIR "/boxes/" LONG_NAME);
	case 2:
		return do_rename(SUBSYS2_DIR "/boxes/" LONG_NAME,
				 SUBSYS2_DIR "/items/pending/x");
	default:
		return do_rmdir(SUBSYS2_DIR "/items/pending/x");
	}
}

/* Of whatever there is of it */
static int call_second(unsigned int round)
{
	switch (round % 4) {
	case 0:
		return call(round, "commit " SUBSYS2 "/items/x");
	case 1:
		return call(round, "uncommit " SUBSYS2 "/items/x");
	case 2:
		return call(round, "rename " SUBSYS2 "/boxes/x "
			    SUBSYS2 "/items x");
	default:
		return call(round, "rename " SUBSYS2 "/items/x "
			    SUBSYS2 "/boxes " LONG_NAME);
	}
}

/* What the driver has registered is not renamed, but on the way it is found. */
static int call_groups_of_second(unsigned int round)
{
	int ret;

	if (round % 3 == 0)
		ret = call(round, "commit " SUBSYS2 "/items");
	else if (round % 3 == 1)
		ret = call(round, "rename " SUBSYS2 "/boxes "
			   SUBSYS2 "/others x");
	else
		ret = call(round, "rename " SUBSYS2 "/boxes "
			   SUBSYS2 "/items x");
	return expect(EPERM, ret);
}

/* @0 and @1 are groups of a subsystem that is gone */
static int call_what_is_gone(unsigned int round)
{
	int ret;

	if (round % 2)
		ret = call(round, "commit @0");
	else
		ret = call(round, "rename @0 @1 x");
	return expect(ENOENT, ret);
}

/*
 * The races
 */

FIXTURE(race)
{
	struct baseline base;
};

/**
 * @exchange:	there is a live item and a pending one of the same name
 * @unmounted:	nobody has configfs mounted
 * @gone:	start without subsystems, with references that are left of them
 */
FIXTURE_VARIANT(race)
{
	struct worker workers[MAX_WORKERS];
	bool exchange;
	bool unmounted;
	bool gone;
};

FIXTURE_VARIANT_ADD(race, driver_and_userspace_commit) {
	.workers = {
		{ toggle_by_driver, { EALREADY, ENOENT, EBUSY, ESRCH, EEXIST } },
		{ toggle_by_driver, { EALREADY, ENOENT, EBUSY, ESRCH, EEXIST } },
		{ toggle, { ENOENT, EEXIST, EBUSY } },
		{ make, { ENOENT, EEXIST, EBUSY } },
		{ write_value, { ENOENT, EBUSY } },
	},
};

FIXTURE_VARIANT_ADD(race, driver_commits_and_userspace_exchanges) {
	.workers = {
		{ toggle_by_driver, { EALREADY, ENOENT, EBUSY, ESRCH, EEXIST } },
		{ exchange_both, { ENOENT, EBUSY } },
		{ make, { ENOENT, EEXIST, EBUSY } },
		{ write_value, { ENOENT, EBUSY } },
		{ read_state, { ENOENT } },
	},
	.exchange = true,
};

FIXTURE_VARIANT_ADD(race, exchange_and_attributes) {
	.workers = {
		{ exchange_both },
		{ write_value, { EBUSY } },
		{ write_value, { EBUSY } },
		{ read_state },
		{ read_state },
	},
	.exchange = true,
};

FIXTURE_VARIANT_ADD(race, exchange_and_lookups) {
	.workers = {
		{ exchange_both },
		{ list_both },
		{ list_in_pieces },
		{ stat_both },
		{ open_both },
	},
	.exchange = true,
};

FIXTURE_VARIANT_ADD(race, two_exchange) {
	.workers = {
		{ exchange_both, { EBUSY } },
		{ exchange_both, { EBUSY } },
		{ link_to_both, { EBUSY, ENOENT } },
		{ list_both },
		{ write_value, { EBUSY } },
	},
	.exchange = true,
};

FIXTURE_VARIANT_ADD(race, names_and_their_readers) {
	.workers = {
		{ change_name, { ENOENT } },
		{ change_name_by_driver, { EEXIST } },
		{ read_names },
		{ read_names },
		{ read_named, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, names_and_listings) {
	.workers = {
		{ change_name, { ENOENT } },
		{ change_name_by_driver, { EEXIST } },
		{ list_named },
		{ list_named },
		{ write_named, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, names_and_links) {
	.workers = {
		{ change_name, { ENOENT, EBUSY } },
		{ change_name_by_driver, { EBUSY, EEXIST } },
		{ link_to_named, { ENOENT, EBUSY } },
		{ link_inside_named, { ENOENT } },
		{ read_names },
	},
};

FIXTURE_VARIANT_ADD(race, names_and_dependents) {
	.workers = {
		{ change_name, { ENOENT, EBUSY } },
		{ change_name_by_driver, { EBUSY, EEXIST } },
		{ depend_on_named, { EBUSY } },
		{ read_named, { ENOENT } },
		{ write_named, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, names_and_children) {
	.workers = {
		{ change_name, { ENOENT, EBUSY } },
		{ change_name_by_driver, { EBUSY, EEXIST } },
		{ make_below_named, { ENOENT, EEXIST } },
		{ read_names },
		{ write_named, { ENOENT } },
	},
};

FIXTURE_VARIANT_ADD(race, names_and_commits) {
	.workers = {
		{ toggle_new_name, { ENOENT, EBUSY, EEXIST } },
		{ toggle_by_driver, { EALREADY, ENOENT, EBUSY, ESRCH, EEXIST } },
		{ write_value, { ENOENT, EBUSY } },
		{ read_names },
		{ read_names },
	},
};

FIXTURE_VARIANT_ADD(race, moves_and_destinations_that_go) {
	.workers = {
		{ move, { ENOENT, EBUSY, EEXIST } },
		{ move_by_driver, { ESRCH, ENOENT, EBUSY, EEXIST } },
		{ make_destination, { ENOENT, EEXIST, EBUSY, ENOTEMPTY } },
		{ make_destination, { ENOENT, EEXIST, EBUSY, ENOTEMPTY } },
		{ make_moved, { ENOENT, EEXIST, EBUSY } },
	},
};

FIXTURE_VARIANT_ADD(race, moves_and_lookups) {
	.workers = {
		{ move, { ENOENT } },
		{ move_by_driver, { ESRCH, ENOENT, EEXIST } },
		{ list_moved },
		{ write_moved, { ENOENT } },
		{ read_names },
	},
};

FIXTURE_VARIANT_ADD(race, moves_and_commits) {
	.workers = {
		{ move_and_commit, { ENOENT, EBUSY, EEXIST } },
		{ toggle_x_by_driver, { ESRCH, ENOENT, EBUSY, EALREADY, EPERM } },
		{ write_x, { ENOENT, EBUSY } },
		{ write_x, { ENOENT, EBUSY } },
		{ make_destination, { ENOENT, EEXIST, EBUSY, ENOTEMPTY } },
	},
};

FIXTURE_VARIANT_ADD(race, groups_into_each_other) {
	.workers = {
		{ into_each_other, { ENOENT, EBUSY, EEXIST, EINVAL, ENOTEMPTY } },
		{ into_each_other_by_driver,
		  { ESRCH, ENOENT, EBUSY, EEXIST, EINVAL } },
		{ find_both, { ENOENT } },
		{ make_moved, { ENOENT, EEXIST, EBUSY } },
		{ read_names },
	},
};

FIXTURE_VARIANT_ADD(race, unregistered_subsystem) {
	.workers = {
		{ toggle_second, { EBUSY, EEXIST, ENOENT } },
		{ use_second, { ENOENT, ENODEV, EEXIST, EBUSY } },
		{ use_second, { ENOENT, ENODEV, EEXIST, EBUSY } },
		{ call_second, { ESRCH, ENOENT, EALREADY, EBUSY, EEXIST, EPERM } },
		{ call_groups_of_second, { ESRCH, ENOENT, EEXIST } },
	},
};

FIXTURE_VARIANT_ADD(race, unregistered_subsystem_unmounted) {
	.workers = {
		{ toggle_second, { EBUSY, EEXIST, ENOENT } },
		{ call_groups_of_second, { ESRCH, ENOENT } },
		{ call_groups_of_second, { ESRCH, ENOENT } },
		{ toggle_by_driver },
		{ change_name_by_driver },
	},
	.unmounted = true,
};

FIXTURE_VARIANT_ADD(race, nothing_registered_nor_mounted) {
	.workers = {
		{ toggle_first, { EEXIST, ENOENT } },
		{ toggle_second, { EEXIST, ENOENT } },
		{ call_what_is_gone },
		{ call_what_is_gone },
		{ call_groups_of_second, { ESRCH, ENOENT } },
	},
	.unmounted = true,
	.gone = true,
};

FIXTURE_SETUP(race)
{
	static const char * const dirs[] = {
		"plain/a", "plain/b", PENDING, "items/pending/stay", "boxes/foo",
		"boxes/a", "boxes/b", "boxes/d", "boxes/a/x", "boxes/d/x",
	};

	test_begin(&self->base);
	if (variant->gone) {
		ASSERT_EQ(0, control("keep", "0 " SUBSYS "/items"));
		ASSERT_EQ(0, control("keep", "1 " SUBSYS "/boxes"));
		ASSERT_EQ(0, chdir("/"));
		ASSERT_EQ(0, control("unregister", "0"));
		ASSERT_EQ(0, control("unregister", "1"));
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
			ASSERT_EQ(0, do_mkdir(dirs[i]));
		ASSERT_EQ(0, control("keep", "2 " SUBSYS "/boxes/foo"));
	}
	if (variant->exchange) {
		ASSERT_EQ(0, commit("items", "foo"));
		ASSERT_EQ(0, commit("items", "stay"));
		ASSERT_EQ(0, do_mkdir(PENDING));
		ASSERT_EQ(0, do_mkdir("items/pending/stay"));
	}
	ASSERT_EQ(0, chdir(variant->unmounted ? "/" : SUBSYS_DIR));
	if (variant->unmounted && umount(CONFIGFS_DIR))
		SKIP(return, "configfs is in use: %s", strerror(errno));
}

FIXTURE_TEARDOWN(race)
{
	if (variant->unmounted)
		EXPECT_EQ(0, mount("configfs", CONFIGFS_DIR, "configfs", 0,
				   NULL));
	control("register", "0");
	control("register", "1");
	EXPECT_TRUE(test_end(&self->base));
}

/* Nothing is left that would keep an item from being used as ever. */
static void check_still_works(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, counter("violations"));
	control("register", "0");
	control("register", "1");
	if (!exists(CONFIGFS_DIR "/" SUBSYS))
		return;
	ASSERT_EQ(0, chdir(SUBSYS_DIR));
	control("reset", "1");
	purge();
	EXPECT_EQ(0, do_mkdir(PENDING));
	EXPECT_EQ(0, call(0, "commit " SUBSYS "/items/foo"));
	EXPECT_EQ(0, do_mkdir(PENDING));
	EXPECT_EQ(0, exchange_both(0));
	EXPECT_EQ(0, do_rmdir(PENDING));
	EXPECT_EQ(0, uncommit("items", "foo"));
	EXPECT_EQ(0, do_mkdir("boxes/a"));
	EXPECT_EQ(0, do_rename(PENDING, "boxes/a/x"));
	EXPECT_EQ(0, do_mkdir("boxes/b"));
	EXPECT_EQ(0, move(0));
	EXPECT_EQ(0, do_rmdir("boxes/a"));
}

TEST_F_TIMEOUT(race, fast, 120)
{
	EXPECT_TRUE(race(variant->workers));
	check_still_works(_metadata);
}

/* With callbacks that sleep, others come in between */
TEST_F_TIMEOUT(race, slow, 120)
{
	static const char * const slow[] = {
		"store", "show", "commit", "uncommit", "exchange", "rename",
		"make", "disconnect", "drop", "allow_link", "drop_link",
	};

	for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
		ASSERT_EQ(0, knob(slow[i], 0, 1, false));
	EXPECT_TRUE(race(variant->workers));
	check_still_works(_metadata);
}

/*
 * The module comes and goes, whoever is at work in it
 */

FIXTURE(module)
{
	struct baseline base;
};

FIXTURE_SETUP(module)
{
	test_begin(&self->base);
	ASSERT_EQ(0, chdir("/"));
}

FIXTURE_TEARDOWN(module)
{
	module_load();
	EXPECT_TRUE(test_end(&self->base));
}

static int reload(unsigned int round)
{
	return round % 2 ? module_load() : module_unload();
}

static int make_in_module(unsigned int round)
{
	return round % 2 ? do_rmdir(SUBSYS_DIR "/boxes/x") :
			   do_mkdir(SUBSYS_DIR "/boxes/x");
}

static int rename_in_module(unsigned int round)
{
	return round % 2 ? do_rename(SUBSYS_DIR "/boxes/y", SUBSYS_DIR "/boxes/x") :
			   do_rename(SUBSYS_DIR "/boxes/x", SUBSYS_DIR "/boxes/y");
}

static int rename_by_module(unsigned int round)
{
	return call(round, "rename " SUBSYS "/boxes/x " SUBSYS "/boxes y");
}

static int call_groups_of_module(unsigned int round)
{
	return expect(EPERM, call(round, "rename " SUBSYS "/boxes "
				  SUBSYS "/others x"));
}

TEST_F_TIMEOUT(module, comes_and_goes, 120)
{
	static const struct worker workers[MAX_WORKERS] = {
		/* In use; the former has failed */
		{ reload, { EAGAIN, EEXIST } },
		{ make_in_module, { ENOENT, EINVAL, EEXIST, EBUSY } },
		{ rename_in_module, { ENOENT, EEXIST } },
		{ rename_by_module, { ENOENT, ENODEV, ESRCH, EEXIST } },
		{ call_groups_of_module, { ENOENT, ENODEV, ESRCH, EEXIST } },
	};

	EXPECT_TRUE(race(workers));
	do_rmdir(SUBSYS_DIR "/boxes/x");
	do_rmdir(SUBSYS_DIR "/boxes/y");
	module_load();
	EXPECT_EQ(0, counter("violations"));
}

int main(int argc, char **argv)
{
	test_load();
	return test_harness_run(argc, argv);
}
