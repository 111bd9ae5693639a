// SPDX-License-Identifier: GPL-2.0
/*
 * One worker adds and removes a tree while the others use it in all possible
 * ways. Each worker lists the errors that may occur, and those that must occur
 * as a proof that it has collided with the others.
 *
 * The workers run for a number of rounds, not for a given time. The number is
 * multiplied by CONFIGFS_TEST_ROUNDS.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

#define MKDIR	"configfs: fix NULL dereference in mkdir(2) during configfs_unregister_group()"
#define SOURCE	"configfs: fix use-after-free in symlink(2) when its directory is removed"
#define TARGET	"configfs: fix use-after-free in symlink(2) when its target is removed"
#define GROUPS	"configfs: fix use-after-free of default groups that somebody depends on"
#define LOCKS	"configfs: fix lock inversion in configfs_depend_item_unlocked()"
#define MOUNTS	"configfs: fix leak of mounts below a removed directory"

/* Used like an errno: the tree was removed while a worker was using it */
#define CAUGHT	4100
/* Likewise: nothing happened meanwhile that the worker could have collided with */
#define IDLE	4101

/*
 * The ways to make and to remove a tree
 */

/**
 * struct way - how the tree of a race is added and removed
 * @prepare:	directory to create first, or NULL
 * @parent:	parent directory of the tree
 * @name:	name of the tree
 * @top:	path of the tree
 * @register_as: "register" arguments; NULL to use mkdir(2) and rmdir(2)
 */
static const struct way {
	const char *prepare;
	const char *parent;
	const char *name;
	const char *top;
	const char *register_as;
} by_mkdir = {
	.parent = "trees",
	.name = "X",
	.top = "trees/X",
}, by_mkdir_of_groups = {
	.parent = "groves",
	.name = "X",
	.top = "groves/X",
}, by_mkdir_below = {
	.prepare = "trees/O",
	.parent = "trees/O/a/b",
	.name = "X",
	.top = "trees/O/a/b/X",
}, by_group = {
	.parent = ".",
	.name = "dyn",
	.top = "dyn",
	.register_as = ". dyn tree",
}, by_group_below = {
	.parent = "trees",
	.name = "dyn",
	.top = "trees/dyn",
	.register_as = "trees dyn tree",
}, by_subsystem = {
	.parent = CONFIGFS_DIR,
	.name = "configfs_test3",
	.top = "../configfs_test3",
	.register_as = "/ configfs_test3 tree",
}, *way;

static int make_tree(void)
{
	return way->register_as ? control("register", way->register_as) :
				  do_mkdir(way->top, NULL);
}

static int remove_tree(void)
{
	return way->register_as ? control("unregister", way->top) :
				  do_rmdir(way->top, NULL);
}

/* The number of operations on the tree that have been started */
static unsigned int arrivals;

/*
 * Each operation on the tree calls this first. It waits for the tree to appear,
 * so that most rounds test something, but not forever, because the worker that
 * adds it may already have stopped.
 */
static void arrive(void)
{
	for (int i = 0; i < 100 && !exists(way->top); i++)
		usleep(100);
	__atomic_add_fetch(&arrivals, 1, __ATOMIC_RELAXED);
}

/* Before removing the tree, give some operations on it time to start. */
static int toggle(unsigned int round)
{
	bool there = way->register_as ? exists(way->top) : round % 2;
	unsigned int start = __atomic_load_n(&arrivals, __ATOMIC_RELAXED);
	unsigned int wanted = rand() % 8;

	for (int i = 0; there && i < 50; i++) {
		if (__atomic_load_n(&arrivals, __ATOMIC_RELAXED) - start >= wanted)
			break;
		usleep(100);
	}
	return there ? remove_tree() : make_tree();
}

/* The path of a directory in the tree, a different one in each round */
static const char *dir_of(unsigned int round)
{
	return at("%s%s", way->top, tree_dirs[round % NR_TREE_DIRS].path);
}

/*
 * Looking around
 */

static int nlink_of_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : (int)st.st_nlink;
}

/*
 * Whether the directory has been removed. Other operations may notice this
 * slightly before the link count becomes 0, so wait for that.
 */
static bool dies(int fd)
{
	for (int i = 0; i < 10000; i++) {
		if (!nlink_of_fd(fd))
			return true;
		usleep(1000);
	}
	return false;
}

/* List the names with a single system call, to get a consistent view. */
static int list_fd(int fd, char *names, size_t size)
{
	uint64_t buf[512];
	size_t used = 0;
	long len;

	names[0] = 0;
	len = syscall(__NR_getdents64, fd, buf, sizeof(buf));
	if (len == -1)
		return errno;
	for (long pos = 0; pos < len; ) {
		const struct dirent64 *d = (void *)buf + pos;

		pos += d->d_reclen;
		used += snprintf(names + used, size - used, " %s ", d->d_name);
		if (used >= size)
			return E2BIG;
	}
	return 0;
}

/* Whether @names, as returned by list_fd(), contains all words of @wanted */
static bool has_all(const char *names, const char *wanted)
{
	while (*wanted) {
		int len = strcspn(wanted, " ");

		if (!strstr(names, at(" %.*s ", len, wanted)))
			return false;
		wanted += len + (wanted[len] == ' ');
	}
	return true;
}

static int list_at(int dirfd, const char *path, const char *wanted)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;
	char names[1024];

	if (fd == -1)
		return errno;
	ret = list_fd(fd, names, sizeof(names));
	close(fd);
	return ret ?: has_all(names, wanted) ? 0 : INCONSISTENT;
}

/*
 * Check that the tree at @dirfd is complete as soon as anything in it is
 * visible, and until it is removed. Returns ENOENT if nothing is visible, or
 * CAUGHT if the tree was removed during the check.
 */
static int look_at(int dirfd)
{
	int ret;

	if (faccessat(dirfd, "value", F_OK, 0))
		return errno;
	for (int i = 0; i < NR_TREE_DIRS; i++) {
		const struct tree_dir *dir = &tree_dirs[i];

		ret = list_at(dirfd, at(".%s", dir->path), dir->listing);
		if (!ret && faccessat(dirfd, at(".%s/ro", dir->path), F_OK, 0))
			ret = errno;
		if (!ret && faccessat(dirfd, at(".%s/blob", dir->path), F_OK, 0))
			ret = errno;
		if (ret)
			return ret == ENOENT && dies(dirfd) ? CAUGHT :
							      INCONSISTENT;
	}
	return 0;
}

static int look(unsigned int round)
{
	int fd, ret;

	arrive();
	fd = open(way->top, O_DIRECTORY | O_CLOEXEC |
		  (round % 2 ? O_PATH : O_RDONLY));
	if (fd == -1)
		return errno;
	ret = look_at(fd);
	close(fd);
	return ret;
}

/* Use long paths, to look up all directories on the way. */
static int open_deep(unsigned int round)
{
	static const char * const attrs[] = { "value", "ro", "blob" };

	arrive();
	return do_read(at("%s/%s", dir_of(round), attrs[round % 3]), NULL);
}

static int list(unsigned int round)
{
	char names[1024];
	int fd, ret;

	arrive();
	fd = open(dir_of(round), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return errno;
	ret = list_fd(fd, names, sizeof(names));
	if (!ret && !has_all(names, tree_dirs[round % NR_TREE_DIRS].listing))
		ret = INCONSISTENT;
	if (ret == ENOENT)
		ret = dies(fd) ? CAUGHT : INCONSISTENT;
	close(fd);
	return ret;
}

/* The listing of the parent must contain the tree at most once. */
static int list_parent(unsigned int round)
{
	int fd = open(way->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;
	const char *name = at(" %s ", way->name), *found;
	char names[4096];

	if (fd == -1)
		return errno;
	ret = list_fd(fd, names, sizeof(names));
	close(fd);
	if (ret)
		return ret;
	found = strstr(names, name);
	if (found && strstr(found + 1, name))
		return INCONSISTENT;
	return found ? look(round) : ENOENT;
}

/* List a directory with a tiny buffer and seek, to keep a cursor in it. */
static int walk(unsigned int round)
{
	uint64_t buf[6];
	int fd, ret = 0;
	long len = 1;

	arrive();
	fd = open(dir_of(round), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return errno;
	for (int i = 0; i < 12 && !ret && len > 0; i++) {
		len = syscall(__NR_getdents64, fd, buf, sizeof(buf));
		if (len == -1)
			ret = errno;
		if (i % 4 == 3 && lseek(fd, 2, SEEK_SET) == -1)
			ret = errno;
	}
	close(fd);
	return ret;
}

static int see_event(unsigned int round)
{
	struct pollfd pollfd = { .events = POLLIN };
	struct watches w;
	int ret = 0;

	if (!watch_init(&w))
		return errno;
	if (!watch(&w, "parent", way->parent))
		ret = errno;
	__atomic_add_fetch(&arrivals, 1, __ATOMIC_RELAXED);
	pollfd.fd = w.fd;
	if (!ret && poll(&pollfd, 1, 10000) == 1)
		watched(&w);
	if (!ret && !strcmp(w.text, at("parent CREATE ISDIR %s\n", way->name)))
		ret = look(round);
	close(w.fd);
	return ret == ENOENT ? 0 : ret;
}

/*
 * Creating and removing things in the tree
 */

static int make_below(unsigned int round)
{
	static const char * const places[] = {
		"/a/b/c/n", "/a/b/n", "/d/n", "/e/f/n", "/a/n", "/n",
	};
	const char *place = at("%s%s", way->top, places[round / 2 % 6]);

	arrive();
	return round % 2 ? do_rmdir(place, NULL) : do_mkdir(place, NULL);
}

static int make_deep_below(unsigned int round)
{
	arrive();
	switch (round % 4) {
	case 0:
		return do_mkdir(at("%s/d/t", way->top), NULL);
	case 1:
		return do_mkdir(at("%s/d/t/a/b/c/n", way->top), NULL);
	case 2:
		return do_rmdir(at("%s/d/t/a/b/c/n", way->top), NULL);
	default:
		return do_rmdir(at("%s/d/t", way->top), NULL);
	}
}

/* All workers use the same path, so that they collide. */
static int make_one(unsigned int round)
{
	const char *place = at("%s/a/b/c/n", way->top);

	arrive();
	return round % 2 ? do_rmdir(place, NULL) : do_mkdir(place, NULL);
}

/* Links are not allowed in the default group "e", so skip it. */
static int link_inside(unsigned int round)
{
	static const char * const places[] = { "", "/a", "/a/b/c", "/d", "/e/f" };
	const char *link = at("%s%s/link", way->top, places[round / 2 % 5]);

	arrive();
	return round % 2 ? do_unlink(link, NULL) : do_symlink("items/t", link);
}

/* The target of a link must not be removed before the link. */
static int link_to(unsigned int round)
{
	int ret;

	arrive();
	ret = do_symlink(dir_of(round), "links/l/link");
	if (ret)
		return ret;
	for (int i = 0; i < 3; i++)
		if (do_stat("links/l/link/value", NULL) || !remove_tree())
			return GONE;
	return do_unlink("links/l/link", NULL);
}

/* Likewise, nothing may be removed while there is a dependency on it. */
static int depend(unsigned int round)
{
	const char *dir = dir_of(round);
	int ret;

	arrive();
	ret = control("depend", dir);
	if (ret)
		return ret;
	for (int i = 0; i < 3; i++)
		if (do_stat(at("%s/value", dir), NULL) || !remove_tree())
			return GONE;
	return control("undepend", dir);
}

static int depend_in_callback(unsigned int round, const char *attr)
{
	int ret;

	arrive();
	ret = do_write(attr, "x");
	if (ret)
		return ret;
	for (int i = 0; i < 3; i++)
		if (do_stat(at("%s/e/f/value", way->top), NULL) ||
		    !remove_tree())
			return GONE;
	return control("undepend", at("%s/e/f", way->top));
}

/* FIXTURE_SETUP() sets the knob. Each worker has its own "caller" item. */
static int depend_from_callback(unsigned int round)
{
	return depend_in_callback(round, "items/caller/value");
}

static int depend_from_elsewhere(unsigned int round)
{
	return depend_in_callback(round, "../configfs_test2/items/caller/value");
}

/*
 * Attributes and processes
 */

static int use_attrs(unsigned int round)
{
	const char *dir = dir_of(round / 4);

	arrive();
	switch (round % 4) {
	case 0:
		return do_read(at("%s/value", dir), NULL);
	case 1:
		return do_write(at("%s/value", dir), "x");
	case 2:
		return do_read(at("%s/blob", dir), NULL);
	default:
		return do_write(at("%s/blob", dir), "x");
	}
}

/* Keep using an open file while the tree may be removed. */
static int keep_open(unsigned int round)
{
	int fd, ret = 0;
	char c;

	arrive();
	fd = open(at("%s/value", dir_of(round)), O_RDWR | O_CLOEXEC);
	if (fd == -1)
		return errno;
	for (unsigned int i = 0; i < round % 20 && !ret; i++)
		if (pread(fd, &c, 1, 0) == -1 || write(fd, "x", 1) == -1)
			ret = errno;
	if (ret == ENOENT)
		ret = dies(fd) ? CAUGHT : INCONSISTENT;
	close(fd);
	return ret;
}

/* Use a default group as the working directory of this thread alone. */
static int live_inside(unsigned int round)
{
	static __thread bool unshared;
	int times = 1 + rand() % 10;
	int home;
	int ret = 0;

	if (!unshared && unshare(CLONE_FS))
		return errno;
	unshared = true;
	home = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	arrive();
	if (chdir(at("%s/a/b/c", way->top))) {
		ret = errno;
		close(home);
		return ret;
	}
	for (int i = 0; i < times && !ret; i++) {
		ret = do_mkdir("inside", NULL);
		if (!ret || ret == EEXIST)
			ret = do_rmdir("inside", NULL);
		if (ret == ENOENT && !nlink_of("."))
			ret = CAUGHT;
		else if (ret == ENOENT)
			ret = 0;
	}
	/* Don't check getcwd(3): nlink becomes 0 just before unhashing */
	if (ret == CAUGHT && (do_read("value", NULL) != ENOENT ||
			      do_read("../c/value", NULL) != ENOENT))
		ret = INCONSISTENT;
	if (fchdir(home))
		ret = errno;
	close(home);
	return ret;
}

/* Sometimes call @fn in a process that is killed at a random moment. */
static int die_doing(int (*fn)(unsigned int round), unsigned int round)
{
	int status;
	pid_t pid;

	if (round % 16)
		return fn(round);
	pid = fork();
	if (pid == -1)
		return errno;
	if (!pid)
		for (unsigned int i = 0; ; i++)
			fn(i);
	usleep(rand() % 5000);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		return INCONSISTENT;
	return 0;
}

static int die_toggling(unsigned int round)
{
	return die_doing(toggle, round);
}

static int die_using_attrs(unsigned int round)
{
	return die_doing(use_attrs, round);
}

/*
 * Mounts
 */

/* Give the calling thread a mount namespace of its own, on its first call. */
static int own_mounts(void)
{
	static __thread bool done;

	if (!done && (unshare(CLONE_FS | CLONE_NEWNS) ||
		      mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)))
		return errno;
	done = true;
	return 0;
}

static bool has_mount(const char *path)
{
	char line[4096];
	FILE *f = fopen("/proc/thread-self/mountinfo", "re");
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found = found || strstr(line, path);
	if (f)
		fclose(f);
	return found;
}

/*
 * Removing the tree must also detach mounts in it. A new tree of the same name
 * may have replaced it, which makes umount(2) fail with EINVAL.
 */
static int mount_below(unsigned int round)
{
	bool attr = round / NR_TREE_DIRS % 2;
	const char *place = attr ? at("%s/ro", dir_of(round)) : dir_of(round);
	int ret = own_mounts();

	if (ret)
		return ret;
	arrive();
	if (mount(attr ? "/proc/version" : "/proc", place, NULL, MS_BIND, NULL))
		return errno;
	if (round % 3 == 0)
		sched_yield();
	if (!umount(place))
		return 0;
	if (errno != ENOENT && errno != EINVAL)
		return errno;
	for (int i = 0; i < 10000 && has_mount(at("/%s", way->top)); i++)
		usleep(1000);
	return has_mount(at("/%s", way->top)) ? INCONSISTENT : CAUGHT;
}

/* The tree must look the same in a second mount of configfs. */
static int mount_and_look(unsigned int round)
{
	int ret = own_mounts(), fd;

	if (ret)
		return ret;
	if (mount("none", "/sys/fs", "configfs", 0, NULL))
		return errno;
	arrive();
	fd = open(at("/sys/fs/%s", way->name), O_PATH | O_DIRECTORY);
	ret = fd == -1 ? errno : look_at(fd);
	close(fd);
	return umount("/sys/fs") ? errno : ret;
}

/*
 * The races
 */

FIXTURE(race)
{
	struct baseline base;
};

/**
 * @way:	how the tree is added and removed
 * @needs:	patch without which the test fails, or NULL
 * @crashes:	the kernel may crash without the patch
 * @workers:	argument of race()
 */
FIXTURE_VARIANT(race)
{
	const struct way *way;
	const char *needs;
	bool crashes;
	struct worker workers[MAX_WORKERS];
};

FIXTURE_VARIANT_ADD(race, lookups) {
	.way = &by_mkdir,
	.workers = {
		WORKER(toggle),
		WORKER(look, MUST(CAUGHT), MAY(ENOENT)),
		WORKER(look, MUST(CAUGHT), MAY(ENOENT)),
		WORKER(open_deep, MUST(ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, lookups_below) {
	.way = &by_mkdir_below,
	.workers = {
		WORKER(toggle),
		WORKER(look, MUST(CAUGHT), MAY(ENOENT)),
		WORKER(list_parent, MAY(ENOENT, CAUGHT)),
		WORKER(open_deep, MUST(ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, listings) {
	.way = &by_mkdir,
	.workers = {
		WORKER(toggle),
		WORKER(list, MUST(ENOENT), MAY(CAUGHT)),
		WORKER(list_parent, MUST(ENOENT), MAY(CAUGHT)),
		WORKER(walk, MUST(ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, events) {
	.way = &by_mkdir,
	.workers = {
		WORKER(toggle),
		WORKER(see_event, MAY(CAUGHT)),
		WORKER(see_event, MAY(CAUGHT)),
	},
};

FIXTURE_VARIANT_ADD(race, same_name) {
	.way = &by_mkdir,
	.workers = {
		WORKER(toggle, MUST(EEXIST, ENOENT)),
		WORKER(toggle, MUST(EEXIST, ENOENT)),
		WORKER(toggle, MUST(EEXIST, ENOENT)),
		WORKER(look, MAY(ENOENT, CAUGHT)),
	},
};

FIXTURE_VARIANT_ADD(race, same_name_below) {
	.way = &by_mkdir,
	.workers = {
		WORKER(toggle, MUST(ENOTEMPTY, EEXIST)),
		WORKER(make_one, MUST(EEXIST, ENOENT)),
		WORKER(make_one, MUST(EEXIST, ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, mkdir_and_rmdir_below) {
	.way = &by_mkdir,
	.workers = {
		WORKER(toggle, MUST(ENOTEMPTY, EEXIST)),
		WORKER(make_below, MUST(ENOENT), MAY(EEXIST)),
		WORKER(make_below, MUST(ENOENT), MAY(EEXIST)),
		WORKER(make_deep_below, MUST(ENOENT), MAY(EEXIST, ENOTEMPTY)),
	},
};

FIXTURE_VARIANT_ADD(race, links_inside) {
	.way = &by_mkdir,
	.needs = SOURCE,
	.crashes = true,
	.workers = {
		WORKER(toggle, MUST(ENOTEMPTY, EEXIST)),
		WORKER(link_inside, MUST(ENOENT), MAY(EEXIST)),
		WORKER(link_inside, MUST(ENOENT), MAY(EEXIST)),
	},
};

FIXTURE_VARIANT_ADD(race, links_to_it) {
	.way = &by_mkdir,
	.needs = TARGET,
	.crashes = true,
	.workers = {
		WORKER(toggle, MUST(EBUSY, EEXIST)),
		WORKER(link_to, MUST(ENOENT)),
		WORKER(look, MAY(ENOENT, CAUGHT)),
	},
};

FIXTURE_VARIANT_ADD(race, links_to_it_of_groups) {
	.way = &by_mkdir_of_groups,
	.needs = TARGET,
	.crashes = true,
	.workers = {
		WORKER(toggle, MUST(EBUSY, EEXIST)),
		WORKER(link_to, MUST(ENOENT)),
		WORKER(use_attrs, MUST(ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, dependents) {
	.way = &by_mkdir,
	.needs = GROUPS,
	.crashes = true,
	.workers = {
		WORKER(toggle, MUST(EBUSY, EEXIST)),
		WORKER(depend, MUST(ENOENT)),
		WORKER(depend, MUST(ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, dependents_in_callbacks) {
	.way = &by_mkdir,
	.needs = LOCKS,
	.crashes = true,
	.workers = {
		WORKER(toggle, MUST(EBUSY, EEXIST)),
		WORKER(depend, MUST(ENOENT)),
		WORKER(depend_from_callback, MUST(ENOENT)),
		WORKER(depend_from_elsewhere, MUST(ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, attributes) {
	.way = &by_mkdir,
	.workers = {
		WORKER(toggle),
		WORKER(use_attrs, MUST(ENOENT)),
		WORKER(use_attrs, MUST(ENOENT)),
		WORKER(keep_open, MUST(CAUGHT), MAY(ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, process_inside) {
	.way = &by_mkdir,
	.workers = {
		WORKER(toggle, MUST(ENOTEMPTY, EEXIST)),
		WORKER(live_inside, MUST(CAUGHT), MAY(ENOENT)),
		WORKER(live_inside, MUST(CAUGHT), MAY(ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, killed_processes) {
	.way = &by_mkdir,
	.workers = {
		WORKER(die_toggling, MAY(ENOENT, EEXIST, ENOTEMPTY)),
		WORKER(die_toggling, MAY(ENOENT, EEXIST, ENOTEMPTY)),
		WORKER(die_using_attrs, MAY(ENOENT)),
		WORKER(look, MAY(ENOENT, CAUGHT)),
		WORKER(make_below, MAY(ENOENT, EEXIST)),
	},
};

FIXTURE_VARIANT_ADD(race, mounts_below) {
	.way = &by_mkdir,
	.needs = MOUNTS,
	.workers = {
		WORKER(toggle),
		WORKER(mount_below, MUST(CAUGHT), MAY(ENOENT)),
		WORKER(mount_below, MUST(CAUGHT), MAY(ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, register_group_and_lookups) {
	.way = &by_group,
	.needs = MKDIR,
	.workers = {
		WORKER(toggle),
		WORKER(look, MUST(CAUGHT), MAY(ENOENT)),
		WORKER(list, MUST(ENOENT), MAY(CAUGHT)),
		WORKER(list_parent, MAY(ENOENT, CAUGHT)),
		WORKER(use_attrs, MUST(ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, register_group_and_mkdir_in_it) {
	.way = &by_group_below,
	.needs = MKDIR,
	.crashes = true,
	.workers = {
		WORKER(toggle, MUST(EBUSY)),
		WORKER(make_below, MUST(ENOENT), MAY(ENODEV, EEXIST)),
		WORKER(make_deep_below, MUST(ENOENT),
		       MAY(ENODEV, EEXIST, ENOTEMPTY)),
		WORKER(live_inside, MUST(CAUGHT), MAY(ENOENT, ENODEV)),
	},
};

FIXTURE_VARIANT_ADD(race, register_subsystem_and_lookups) {
	.way = &by_subsystem,
	.workers = {
		WORKER(toggle),
		WORKER(look, MUST(CAUGHT), MAY(ENOENT)),
		WORKER(list_parent, MAY(ENOENT, CAUGHT)),
		WORKER(mount_and_look, MUST(ENOENT), MAY(CAUGHT)),
		WORKER(use_attrs, MUST(ENOENT)),
	},
};

FIXTURE_VARIANT_ADD(race, register_subsystem_and_mkdir_in_it) {
	.way = &by_subsystem,
	.workers = {
		WORKER(toggle, MUST(EBUSY)),
		WORKER(make_below, MUST(ENOENT), MAY(ENODEV, EEXIST)),
		WORKER(make_deep_below, MUST(ENOENT),
		       MAY(ENODEV, EEXIST, ENOTEMPTY)),
		WORKER(mount_and_look, MAY(ENOENT, CAUGHT)),
	},
};

FIXTURE_SETUP(race)
{
	test_begin(&self->base);
	way = variant->way;
	ASSERT_EQ(0, do_mkdir("trees/O", NULL));
	ASSERT_EQ(0, do_mkdir("links/l", NULL));
	ASSERT_EQ(0, do_mkdir("items/t", NULL));
	ASSERT_EQ(0, do_mkdir("items/caller", NULL));
	ASSERT_EQ(0, do_mkdir("../configfs_test2/items/caller", NULL));
	ASSERT_EQ(0, knob("store name=caller depend=%s/e/f", way->top));
}

FIXTURE_TEARDOWN(race)
{
	TEST_END(&self->base);
}

/* After the race, the tree must still work as usual. */
static void check_still_works(struct __test_metadata *_metadata)
{
	struct baseline base;

	EXPECT_EQ(0, counter("violations"));
	test_begin(&base);
	if (way->prepare)
		ASSERT_EQ(0, do_mkdir(way->prepare, NULL));
	EXPECT_EQ(0, make_tree());
	EXPECT_TRUE(tree_is_whole(way->top));
	EXPECT_EQ(0, remove_tree());
}

#define CHECK_NEEDS() do {				\
	if (variant->crashes)				\
		NEEDS_OR_CRASHES(return, variant->needs);	\
	else if (variant->needs)			\
		NEEDS(variant->needs);			\
} while (0)

TEST_F_TIMEOUT(race, fast, 600)
{
	CHECK_NEEDS();
	EXPECT_TRUE(race(variant->workers));
	check_still_works(_metadata);
}

/* Slow callbacks widen the race windows. */
TEST_F_TIMEOUT(race, slow, 600)
{
	static const char * const callbacks[] = {
		"visible name=c", "make", "disconnect", "show", "bin_write",
		"allow_link",
	};

	CHECK_NEEDS();
	for (size_t i = 0; i < ARRAY_SIZE(callbacks); i++)
		ASSERT_EQ(0, knob("%s slow=1", callbacks[i]));
	EXPECT_TRUE(race(variant->workers));
	check_still_works(_metadata);
}

/*
 * mkdir(2) that fails when most of the tree has been made: nobody may ever see
 * anything of it. Success of an observer means that is_visible() was called for a
 * part of the tree while it looked, so that there was something to see.
 */

FIXTURE(half)
{
	struct baseline base;
};

FIXTURE_SETUP(half)
{
	test_begin(&self->base);
	ASSERT_EQ(0, do_mkdir("links/l", NULL));
	ASSERT_EQ(0, knob("make spoil"));
	ASSERT_EQ(0, knob("visible name=b slow=1"));
}

FIXTURE_TEARDOWN(half)
{
	TEST_END(&self->base);
}

static int make_half(unsigned int round)
{
	int ret = do_mkdir("trees/X", NULL);

	return ret == EINVAL ? 0 : ret ?: INCONSISTENT;
}

static int find_nothing(unsigned int round)
{
	static const char * const parts[] = { "", "/a", "/a/b", "/a/value" };
	int calls = counter("visible");

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (do_stat(at("trees/X%s", parts[i]), NULL) != ENOENT)
			return INCONSISTENT;
	return counter("visible") == calls ? IDLE : 0;
}

static int list_nothing(unsigned int round)
{
	int calls = counter("visible");
	int fd = open("trees", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;
	char names[1024];

	if (fd == -1)
		return errno;
	ret = list_fd(fd, names, sizeof(names));
	close(fd);
	if (ret || strstr(names, " X "))
		return ret ?: INCONSISTENT;
	return counter("visible") == calls ? IDLE : 0;
}

static int link_to_nothing(unsigned int round)
{
	int calls = counter("visible");
	int ret = do_symlink(round % 2 ? "trees/X/a" : "trees/X", "links/l/link");

	if (ret != ENOENT)
		return ret ?: INCONSISTENT;
	return counter("visible") == calls ? IDLE : 0;
}

TEST_F_TIMEOUT(half, is_never_seen, 600)
{
	static const struct worker workers[MAX_WORKERS] = {
		WORKER(make_half),
		WORKER(find_nothing, MAY(IDLE)),
		WORKER(find_nothing, MAY(IDLE)),
		WORKER(list_nothing, MAY(IDLE)),
		WORKER(link_to_nothing, MAY(IDLE)),
	};
	char *before = snapshot(SNAP_NO_CALLS);

	EXPECT_TRUE(race(workers));
	/* Not even mtime of the parent has changed */
	EXPECT_TRUE(unchanged(before, SNAP_NO_CALLS));
	free(before);
}

/*
 * Load and unload the module, and mount and unmount configfs. If the module
 * finds violations while it is unloaded, only the kernel log shows them.
 */

FIXTURE(module)
{
	struct baseline base;
	int log;
};

FIXTURE_SETUP(module)
{
	test_begin(&self->base);
	self->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->log);
	ASSERT_LE(0, lseek(self->log, 0, SEEK_END));
	ASSERT_EQ(0, chdir("/"));
}

FIXTURE_TEARDOWN(module)
{
	module_load(TEST_MODULE);
	TEST_END(&self->base);
}

static int violations_in_log(int fd)
{
	char buf[8192];
	ssize_t len;
	int n = 0;

	while ((len = read(fd, buf, sizeof(buf) - 1)) > 0 || errno == EPIPE) {
		buf[len > 0 ? len : 0] = 0;
		errno = 0;
		if (strstr(buf, TEST_MODULE ": violation")) {
			ksft_print_msg("%s", buf);
			n++;
		}
	}
	return n;
}

static int reload(unsigned int round)
{
	return round % 2 ? module_load(TEST_MODULE) :
			   module_unload(TEST_MODULE);
}

static int make_in_module(unsigned int round)
{
	return round % 2 ? do_rmdir(SUBSYS_DIR "/trees/X", NULL) :
			   do_mkdir(SUBSYS_DIR "/trees/X", NULL);
}

static int use_module(unsigned int round)
{
	switch (round % 4) {
	case 0:
		return do_read(SUBSYS_DIR "/trees/X/value", NULL);
	case 1:
		return do_write(SUBSYS2_DIR "/items/value", "x");
	case 2:
		return list_at(AT_FDCWD, SUBSYS_DIR, "items links trees");
	default:
		return list_at(AT_FDCWD, CONFIGFS_DIR, "");
	}
}

static int register_in_module(unsigned int round)
{
	return round % 2 ? control("unregister", "../configfs_test3") :
			   control("register", "/ configfs_test3 tree");
}

static int mount_and_use(unsigned int round)
{
	int ret = own_mounts();

	if (ret)
		return ret;
	if (mount("none", "/sys/fs", "configfs", 0, NULL))
		return errno;
	ret = list_at(AT_FDCWD, "/sys/fs/" TEST_MODULE, "items links trees");
	return umount("/sys/fs") ? errno : ret;
}

TEST_F_TIMEOUT(module, comes_and_goes, 600)
{
	static const struct worker workers[MAX_WORKERS] = {
		/* EAGAIN: in use; EEXIST: the preceding unload failed */
		WORKER(reload, MUST(EAGAIN, EEXIST)),
		WORKER(make_in_module, MUST(ENOENT), MAY(EINVAL, EEXIST)),
		WORKER(use_module, MUST(ENOENT), MAY(ENODEV)),
		WORKER(register_in_module, MUST(ENOENT), MAY(ENODEV, EEXIST)),
		WORKER(mount_and_use, MUST(ENOENT)),
	};

	EXPECT_TRUE(race(workers));
	do_rmdir(SUBSYS_DIR "/trees/X", NULL);
	EXPECT_EQ(0, violations_in_log(self->log));
}

int main(int argc, char **argv)
{
	test_init();
	return test_harness_run(argc, argv);
}
