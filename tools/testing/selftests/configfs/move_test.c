// SPDX-License-Identifier: GPL-2.0
/*
 * Items that get another name, or go to another group, by rename(2) and by their
 * driver.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

/* @how is "PATH GROUP NAME [work]" */
static int do_driver_rename(const char *how, const char *unused)
{
	return control("rename", how);
}

FIXTURE(move)
{
	struct baseline base;
	struct task tasks[3];
};

FIXTURE_SETUP(move)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("shelf/x", NULL));
	ASSERT_EQ(0, do_mkdir("shelf/x/a/b/t", NULL));
	ASSERT_EQ(0, do_mkdir("shelf/x/parts/p", NULL));
	ASSERT_EQ(0, do_mkdir("shelf/x/shelf/in", NULL));
	ASSERT_EQ(0, do_mkdir("shelf/y", NULL));
	ASSERT_EQ(0, do_mkdir("items/i", NULL));
	ASSERT_EQ(0, do_mkdir("links/k", NULL));
	ASSERT_EQ(0, control("reset", NULL));
}

FIXTURE_TEARDOWN(move)
{
	TEST_END(&self->base);
}

TEST_F_TIMEOUT(move, to_another_name, 300)
{
	ino_t ino = ino_of("shelf/x");

	ASSERT_EQ(0, do_rename("shelf/x", "shelf/n"));
	ASSERT_TRUE(happened("+rename shelf/x"));
	ASSERT_EQ(ENOENT, do_stat("shelf/x", NULL));
	ASSERT_STREQ("blob n ro value wo y", listing_of("shelf"));
	ASSERT_STREQ("n y", children_of("shelf"));
	ASSERT_EQ(ino, ino_of("shelf/n"));
	ASSERT_STREQ("n", value_of("shelf/n/ro"));
	/* A name that does not fit into the item, and a short one again */
	ASSERT_EQ(0, do_rename("shelf/n", "shelf/" LONG_NAME));
	ASSERT_STREQ(LONG_NAME, value_of("shelf/" LONG_NAME "/ro"));
	ASSERT_EQ(0, do_rename("shelf/" LONG_NAME, "shelf/x"));
	ASSERT_STREQ("x", value_of("shelf/x/ro"));
	ASSERT_STREQ("x y", children_of("shelf"));
	ASSERT_EQ(3, counter("rename"));
	/* In pending/, too, and it keeps that name when it is committed */
	ASSERT_EQ(0, do_mkdir("depot/pending/c", NULL));
	ASSERT_EQ(0, do_rename("depot/pending/c", "depot/pending/d"));
	ASSERT_EQ(0, do_rename("depot/pending/d", "depot/live/d"));
	ASSERT_STREQ("d", value_of("depot/live/d/ro"));
	ASSERT_EQ(EBUSY, do_rename("depot/live/d", "depot/live/e"));
}

TEST_F_TIMEOUT(move, to_another_group, 300)
{
	int nlink = nlink_of("shelf"), inner = nlink_of("shelf/x/shelf");

	/* Into an item, with another name, and out again */
	ASSERT_EQ(0, do_rename("shelf/y", "shelf/x/shelf/z"));
	ASSERT_EQ(nlink - 1, nlink_of("shelf"));
	ASSERT_EQ(inner + 1, nlink_of("shelf/x/shelf"));
	ASSERT_STREQ("x", children_of("shelf"));
	ASSERT_STREQ("in z", children_of("shelf/x/shelf"));
	ASSERT_STREQ("z", value_of("shelf/x/shelf/z/ro"));
	/* What freezes the outer one freezes it, and what is below it */
	ASSERT_EQ(0, do_mkdir("shelf/x/shelf/z/a/n", NULL));
	ASSERT_EQ(0, do_live("shelf/x", "1"));
	ASSERT_EQ(EBUSY, do_write("shelf/x/shelf/z/value", "v"));
	ASSERT_EQ(EBUSY, do_mkdir("shelf/x/shelf/z/a/m", NULL));
	ASSERT_EQ(EBUSY, do_rename("shelf/x/shelf/z", "shelf/y"));
	ASSERT_EQ(EBUSY, do_rename("shelf/x/shelf/z", "shelf/x/shelf/zz"));
	ASSERT_EQ(EBUSY, do_rename("shelf/x", "shelf/n"));
	ASSERT_EQ(0, do_live("shelf/x", "0"));
	/* A live one as well: what it is in is not frozen any more */
	ASSERT_EQ(0, do_rename("shelf/x/shelf/z", "shelf/y"));
	ASSERT_EQ(0, do_live("shelf/x", "1"));
	ASSERT_EQ(EBUSY, do_rename("shelf/y", "shelf/x/shelf/y"));
	ASSERT_EQ(0, do_write("shelf/y/value", "v"));
	ASSERT_EQ(0, do_write("shelf/y/a/n/value", "v"));
	ASSERT_EQ(0, do_mkdir("shelf/y/a/m", NULL));
	ASSERT_EQ(nlink, nlink_of("shelf"));
	ASSERT_EQ(0, do_live("shelf/y", "1"));
	ASSERT_TRUE(is_live("shelf/y/a/n"));
	ASSERT_EQ(0, do_live("shelf/x", "0"));
}

TEST_F_TIMEOUT(move, is_refused, 300)
{
	static const struct row rows[] = {
		{ do_rename,	"shelf/x", "units/x",			EPERM },
		{ do_rename,	"shelf/x", "depot/pending/x",		EPERM },
		{ do_rename,	"shelf/x", "depot/x",			EPERM },
		{ do_rename,	"shelf/x", "x",				EPERM },
		{ do_rename,	"shelf/x/shelf", "shelf/n",		EPERM },
		{ do_rename,	"shelf/x/a/b/t", "shelf/t",		EPERM },
		{ do_rename,	"shelf/x/value", "shelf/n",		EPERM },
		{ do_rename,	"units/u", "units/n",			EPERM },
		{ do_rename,	"items/i", "items/n",			EPERM },
		{ do_rename,	"shelf/x", "../configfs_test3/x",	EPERM },
		{ do_rename,	"shelf/x", "shelf/y",			EEXIST },
		{ do_rename,	"shelf/x", "shelf/value",		ENOTDIR },
		{ do_rename,	"items/i", "units/u",			EPERM },
		{ do_rename,	"shelf/x", "shelf/x/shelf/x",		EINVAL },
		{ do_exchange,	"shelf/x", "shelf/y",			EPERM },
		{ do_driver_rename, "shelf/x - n", NULL,		EINVAL },
		{ do_driver_rename, "shelf/x shelf/x/shelf n", NULL,	EINVAL },
		{ do_driver_rename, "shelf/x shelf y", NULL,		EEXIST },
		{ do_driver_rename, "shelf/x shelf value", NULL,	EEXIST },
		{ do_driver_rename, "shelf/x shelf a/b", NULL,		EACCES },
		{ do_driver_rename, "shelf/x shelf ..", NULL,		EACCES },
		{ do_driver_rename, "shelf/x units x", NULL,		EPERM },
		{ do_driver_rename, "shelf/x depot x", NULL,		EPERM },
		{ do_driver_rename, "shelf/x/a shelf x2", NULL,		EPERM },
		{ do_driver_rename, "shelf . s", NULL,			EPERM },
		{ do_driver_rename, ". shelf s", NULL,			EINVAL },
		{ do_driver_rename, "items/i items n", NULL,		EPERM },
		{}
	};
	static const struct row frozen[] = {
		{ do_rename,		"shelf/x", "shelf/n",		EBUSY },
		{ do_rename,		"shelf/y", "shelf/x/shelf/y",	EBUSY },
		{ do_driver_rename,	"shelf/x shelf n", NULL,	EBUSY },
		{ do_driver_rename,	"shelf/y shelf/x/shelf y", NULL, EBUSY },
		{ do_driver_rename,	"shelf/x/shelf/in shelf in", NULL, EBUSY },
		{}
	};
	static const struct row used[] = {
		{ do_rename,		"shelf/x", "shelf/n",		EBUSY },
		{ do_rename,		"shelf/x", "shelf/y/shelf/x",	EBUSY },
		{ do_driver_rename,	"shelf/x shelf n", NULL,	EBUSY },
		{}
	};
	static const struct row errors[] = {
		{ do_rename,		"shelf/x", "shelf/n",		EXDEV },
		{ do_driver_rename,	"shelf/x shelf/y/shelf n", NULL, EXDEV },
		{}
	};
	const char *blob;

	ASSERT_EQ(0, do_mkdir("units/u", NULL));
	ASSERT_EQ(0, do_register("/ configfs_test3 shelf", NULL));
	ASSERT_TRUE(rows_refused(rows));
	ASSERT_EQ(0, counter("rename"));
	ASSERT_EQ(0, do_live("shelf/x", "1"));
	ASSERT_TRUE(rows_refused(frozen));
	ASSERT_EQ(0, do_live("shelf/x", "0"));

	ASSERT_EQ(0, do_symlink("shelf/x/shelf/in", "links/k/to"));
	ASSERT_TRUE(rows_refused(used));
	ASSERT_EQ(0, do_unlink("links/k/to", NULL));
	ASSERT_EQ(0, do_depend("shelf/x/a/b/t", NULL));
	ASSERT_TRUE(rows_refused(used));
	ASSERT_EQ(0, do_undepend("shelf/x/a/b/t", NULL));
	blob = at("%d", open("shelf/x/a/blob", O_WRONLY));
	ASSERT_EQ(0, do_write_fd(blob, "x"));
	ASSERT_TRUE(rows_refused(used));
	close(atoi(blob));

	ASSERT_EQ(0, knob("rename error=%d", EXDEV));
	ASSERT_TRUE(rows_refused(errors));
	ASSERT_EQ(0, release("rename"));
	ASSERT_EQ(0, do_rename("shelf/x", "shelf/n"));
}

/* The text of a link depends on how deep it is */
TEST_F_TIMEOUT(move, of_links, 300)
{
	static const struct row with_it[] = {
		{ do_rename,	"shelf/x", "shelf/y/shelf/x",	EBUSY },
		{}
	};
	static const struct row deeper[] = {
		{ do_rename,	"shelf/y", "shelf/x/shelf/y",	EBUSY },
		{}
	};

	ASSERT_EQ(0, do_symlink("items/i", "shelf/y/a/link"));
	ASSERT_TRUE(rows_refused(deeper));
	ASSERT_EQ(0, do_rename("shelf/y", "shelf/n"));
	ASSERT_STREQ("i", value_of("shelf/n/a/link/ro"));
	ASSERT_EQ(0, do_register(". other shelf", NULL));
	ASSERT_EQ(0, do_rename("shelf/n", "other/n"));
	ASSERT_STREQ("i", value_of("other/n/a/link/ro"));
	ASSERT_EQ(0, do_unlink("other/n/a/link", NULL));
	ASSERT_EQ(0, do_rename("other/n", "shelf/x/shelf/y"));
	ASSERT_EQ(0, do_unregister("other", NULL));
	/* It counts for what the item is in, and not for what it was in */
	ASSERT_EQ(0, do_symlink("items/i", "shelf/x/shelf/y/a/link"));
	ASSERT_EQ(0, do_mkdir("shelf/y", NULL));
	ASSERT_TRUE(rows_refused(with_it));
	ASSERT_EQ(0, do_mkdir("shelf/z", NULL));
	ASSERT_EQ(0, do_rename("shelf/x/shelf/y", "shelf/z/shelf/y"));
	ASSERT_EQ(0, do_rename("shelf/x", "shelf/y/shelf/x"));
	ASSERT_EQ(EBUSY, do_rename("shelf/z", "shelf/y/shelf/z"));
}

/* A mount below an item that has left stays when the group that it was in goes. */
TEST_F_TIMEOUT(move, takes_mounts_along, 300)
{
	ASSERT_EQ(0, do_rename("shelf/x", "shelf/y/shelf/x"));
	ASSERT_EQ(0, mount("none", "shelf/y/shelf/x/a", "tmpfs", 0, NULL));
	ASSERT_EQ(0, do_mkdir("shelf/y/shelf/x/a/file", NULL));
	ASSERT_EQ(0, do_rename("shelf/y/shelf/x", "shelf/x"));
	ASSERT_EQ(0, do_rmdir("shelf/y", NULL));
	EXPECT_STREQ("file", listing_of("shelf/x/a"));
	EXPECT_EQ(0, umount("shelf/x/a"));
	EXPECT_TRUE(exists("shelf/x/a/b/t"));
}

TEST_F_TIMEOUT(move, by_the_driver, 300)
{
	struct watches w;

	ASSERT_TRUE(watch_init(&w));
	ASSERT_TRUE(watch(&w, "shelf", "shelf"));
	ASSERT_TRUE(watch(&w, "inner", "shelf/x/shelf"));
	ASSERT_EQ(0, do_driver_rename("shelf/y shelf n", NULL));
	EXPECT_STREQ("shelf MOVED_FROM ISDIR y\nshelf MOVED_TO ISDIR n\n",
		     watched(&w));
	ASSERT_EQ(0, do_driver_rename("shelf/n shelf/x/shelf m work", NULL));
	EXPECT_STREQ("shelf MOVED_FROM ISDIR n\ninner MOVED_TO ISDIR m\n",
		     watched(&w));
	ASSERT_EQ(0, do_driver_rename("shelf/x/shelf/m shelf y", NULL));
	ASSERT_EQ(0, do_driver_rename("shelf/y shelf y", NULL));
	ASSERT_STREQ("x y", children_of("shelf"));
	close(w.fd);
	ASSERT_EQ(0, do_mkdir("depot/pending/c", NULL));
	ASSERT_EQ(0, do_driver_rename("depot/pending/c depot d", NULL));
	ASSERT_STREQ("d", listing_of("depot/pending"));

	ASSERT_EQ(0, hold("make", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_mkdir, "shelf/n", NULL));
	ASSERT_EQ(0, await_held("make"));
	ASSERT_TRUE(killed_while_waiting(do_driver_rename, "shelf/y shelf z",
					 NULL));
	ASSERT_EQ(0, release("make"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	ASSERT_EQ(EEXIST, do_driver_rename("shelf/y shelf n", NULL));
}

TEST_F_TIMEOUT(move, waits_and_is_waited_for, 300)
{
	ASSERT_NE(-1, open("shelf/x/ro", O_RDONLY));
	ASSERT_EQ(0, hold("show", "t"));
	ASSERT_TRUE(task_start(&self->tasks[0], do_read, "shelf/x/a/b/t/value",
			       NULL));
	ASSERT_EQ(0, await_held("show"));
	ASSERT_TRUE(killed_while_waiting(do_rename, "shelf/x", "shelf/n"));
	ASSERT_TRUE(killed_while_waiting(do_rename, "shelf/x",
					 "shelf/y/shelf/x"));
	ASSERT_EQ(0, release("show"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));

	ASSERT_EQ(0, hold("rename", NULL));
	ASSERT_TRUE(task_start(&self->tasks[0], do_rename, "shelf/x",
			       "shelf/y/shelf/n"));
	ASSERT_EQ(0, await_held("rename"));
	EXPECT_EQ(EBUSY, do_depend("shelf/x", NULL));
	EXPECT_EQ(0, do_depend("shelf/y", NULL));
	EXPECT_EQ(0, do_undepend("shelf/y", NULL));
	EXPECT_TRUE(killed_while_waiting(do_read, "shelf/x/ro", NULL));
	EXPECT_EQ(EBUSY, do_mkdir("shelf/x/a/b/t/n", NULL));
	/* What it goes to is not committed meanwhile: this waits */
	EXPECT_TRUE(killed_while_waiting(do_live, "shelf/y", "1"));
	ASSERT_EQ(0, release("rename"));
	ASSERT_EQ(0, task_join(&self->tasks[0]));
	ASSERT_EQ(0, do_live("shelf/y", "1"));
	ASSERT_EQ(EBUSY, do_write("shelf/y/shelf/n/a/b/t/value", "x"));
}

/* Nobody removes what an item is going to. */
TEST_F_TIMEOUT(move, holds_where_it_goes, 120)
{
	ASSERT_EQ(0, do_register(". cabinets cabinets", NULL));
	ASSERT_EQ(0, do_mkdir("cabinets/c", NULL));
	for (int error = EIO; error >= 0; error -= EIO) {
		ASSERT_EQ(0, knob("rename wait error=%d", error));
		ASSERT_TRUE(task_start(&self->tasks[0], do_rename, "shelf/y",
				       "cabinets/c/shelf/y"));
		ASSERT_EQ(0, await_held("rename"));
		EXPECT_EQ(EBUSY, do_rmdir("cabinets/c", NULL));
		ASSERT_EQ(0, knob("rename error=%d", error));
		ASSERT_EQ(error, task_join(&self->tasks[0]));
	}
	ASSERT_EQ(0, release("rename"));
	EXPECT_EQ(ENOTEMPTY, do_rmdir("cabinets/c", NULL));
	ASSERT_EQ(0, do_rename("cabinets/c/shelf/y", "shelf/y"));
	EXPECT_EQ(0, do_rmdir("cabinets/c", NULL));
	EXPECT_EQ(ENOENT, do_rename("shelf/y", "cabinets/c/shelf/y"));
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
	ASSERT_EQ(0, do_mkdir("items/i", NULL));
	ASSERT_EQ(0, do_mkdir("shelf/p", NULL));
	ASSERT_EQ(0, do_mkdir("shelf/q", NULL));
	ASSERT_EQ(0, do_register(". cabinets cabinets", NULL));
}

FIXTURE_TEARDOWN(mess)
{
	TEST_END(&self->base);
}

static const char *place(unsigned int n)
{
	static const char * const places[] = {
		"shelf/x", "shelf/p/shelf/x", "shelf/q/shelf/" LONG_NAME,
		"cabinets/c/shelf/x",
	};

	return places[n % ARRAY_SIZE(places)];
}

static int make_and_remove(unsigned int round)
{
	if (round % 3 == 2)
		return round % 2 ? do_mkdir("cabinets/c", NULL) :
				   do_rmdir("cabinets/c", NULL);
	return round % 3 ? do_mkdir(place(round / 3), NULL) :
			   do_rmdir(place(round / 3), NULL);
}

static int move_around(unsigned int round)
{
	return do_rename(place(round), place(round / 5));
}

static int move_by_driver(unsigned int round)
{
	static const char * const hows[] = {
		"shelf/x shelf/p/shelf x", "shelf/p/shelf/x shelf x",
		"shelf/p/shelf/x shelf/q/shelf " LONG_NAME,
		"shelf/q/shelf/" LONG_NAME " shelf x",
	};

	return do_driver_rename(hows[round % ARRAY_SIZE(hows)], NULL);
}

static int commit_something(unsigned int round)
{
	static const char * const paths[] = {
		"shelf/p", "shelf/q", "shelf/x", "shelf/p/shelf/x",
	};

	return do_live(paths[round / 2 % ARRAY_SIZE(paths)],
		       round % 2 ? "0" : "1");
}

static int change_below(unsigned int round)
{
	const char *x = place(round / 4);

	switch (round % 4) {
	case 0:		return do_mkdir(at("%s/a/n", x), NULL);
	case 1:		return do_symlink("items/i", at("%s/a/n/link", x));
	case 2:		return do_unlink(at("%s/a/n/link", x), NULL);
	default:	return do_rmdir(at("%s/a/n", x), NULL);
	}
}

static int use_somewhere(unsigned int round)
{
	const char *x = place(round / 4);

	switch (round % 5) {
	case 0:		return do_write(at("%s/value", x), "initial");
	case 1:		return do_read(at("%s/a/value", x), NULL);
	case 4:		return do_read(at("%s/a/n/value", x), NULL);
	case 2:		return do_write(at("%s/blob", x), "x");
	default:	return do_list(at("%s/shelf", x), NULL);
	}
}

TEST_F_TIMEOUT(mess, of_everything, 600)
{
	static const struct worker workers[MAX_WORKERS] = {
		WORKER(make_and_remove, MUST(EEXIST, ENOENT),
		       MAY(EBUSY, ENOTEMPTY)),
		WORKER(move_around, MUST(EEXIST, ENOENT), MAY(EBUSY)),
		WORKER(move_by_driver, MUST(EEXIST, ENOENT), MAY(EBUSY)),
		WORKER(commit_something, MUST(ENOENT), MAY(EBUSY, EPERM)),
		WORKER(change_below, MUST(ENOENT),
		       MAY(EBUSY, EEXIST, ENOTEMPTY)),
		WORKER(use_somewhere, MUST(ENOENT), MAY(EBUSY)),
	};

	EXPECT_TRUE(race(workers));
}

int main(int argc, char **argv)
{
	test_init();
	return test_harness_run(argc, argv);
}
