/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Library of the configfs selftests: control of the test module, system calls that
 * return an errno, snapshots, threads that wait in a callback, races, and fault
 * injection.
 *
 * The working directory of each test is the first subsystem of the test module.
 * Paths in module commands, such as "items/x" or "../configfs_test2/items/x",
 * are relative to it as well.
 */
#ifndef SELFTESTS_CONFIGFS_LIB_H
#define SELFTESTS_CONFIGFS_LIB_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>

#ifndef TEST_MODULE
#define TEST_MODULE	"configfs_test"
#endif

#define CONFIGFS_DIR	"/sys/kernel/config"
#define SUBSYS_DIR	CONFIGFS_DIR "/" TEST_MODULE
#define SUBSYS2_DIR	SUBSYS_DIR "2"
#define CONTROL_DIR	"/sys/kernel/" TEST_MODULE

/* Too long for the array in struct config_item, so configfs must allocate it */
#define LONG_NAME	"a_name_of_more_than_twenty_characters"

/*
 * The programs
 */

/*
 * Call this first in main(). It sets up a mount namespace with configfs and loads
 * the test module, which is unloaded at exit. If that fails, all tests are skipped.
 */
void test_init(void);
/* For tests that need another module: 0 or an errno */
int module_load(const char *name);
int module_unload(const char *name);

/**
 * struct baseline - what must be the same before and after each test
 * @objects:	number of objects of the test module
 * @refcnt:	reference count of the test module
 * @dirents:	number of configfs_dirents, -1 if unknown
 * @tainted:	/proc/sys/kernel/tainted
 * @lockdep:	1 until lockdep reports something, -1 if it is not available
 */
struct baseline {
	int objects;
	int refcnt;
	int dirents;
	long tainted;
	int lockdep;
};

/*
 * Call these in each FIXTURE_SETUP() and FIXTURE_TEARDOWN(). Teardown fails if
 * the test has leaked anything, or if the module has counted a violation.
 */
void test_begin(struct baseline *base);
bool test_end(const struct baseline *base);
#define TEST_END(base) do {						\
	EXPECT_TRUE(test_end(base));					\
	if (_metadata->exit_code == KSFT_PASS)				\
		_metadata->results->reason[0] = 0;			\
} while (0)

/* Take a baseline in the middle of a test, and compare with it */
void get_baseline(struct baseline *base);
bool settled(const struct baseline *base);

/* Name the patch that a test needs to pass. Call it before anything can fail. */
#define NEEDS(subject)							\
	snprintf(_metadata->results->reason,				\
		 sizeof(_metadata->results->reason), "needs: %s", subject)
/* The same for a test that would crash the kernel; @statement is usually return */
#define NEEDS_OR_CRASHES(statement, subject) do {			\
	const char *__subject = (subject);				\
									\
	NEEDS(__subject);						\
	if (!getenv("CONFIGFS_TEST_CRASH"))				\
		SKIP(statement,						\
		     "would crash a kernel without '%s', see CONFIGFS_TEST_CRASH", \
		     __subject);					\
} while (0)

/*
 * System calls, which return 0 or an errno. All take two arguments, so that
 * they can be used in struct task and struct row.
 */
int do_mkdir(const char *path, const char *unused);
int do_rmdir(const char *path, const char *unused);
int do_symlink(const char *target, const char *path);
int do_unlink(const char *path, const char *unused);
int do_rename(const char *from, const char *to);
int do_exchange(const char *a, const char *b);
int do_write(const char *path, const char *data);
int do_read(const char *path, const char *unused);
int do_stat(const char *path, const char *unused);
int do_chmod(const char *path, const char *mode);
int do_list(const char *path, const char *unused);
/* @fd is the number of an open file, as a string */
int do_write_fd(const char *fd, const char *data);
/* Commands of the test module; @how is "PARENT NAME KIND" */
int do_register(const char *how, const char *unused);
int do_unregister(const char *path, const char *unused);
int do_depend(const char *path, const char *unused);
int do_undepend(const char *path, const char *unused);

bool exists(const char *path);
/* The first line of the file, or strerror() */
const char *value_of(const char *path);
/* "a b c": the sorted names in a directory, without "." and ".." */
const char *listing_of(const char *path);
ino_t ino_of(const char *path);
int nlink_of(const char *path);
/* sprintf() to a buffer that is valid for the next 15 calls in this thread */
const char *at(const char *fmt, ...) __printf(1, 2);

/* Write to the attribute of a unit that commits it */
int do_live(const char *path, const char *value);
int do_power(const char *path, const char *value);
/* The driver commits it; @how is "PATH [work]" */
int do_commit(const char *how, const char *unused);
int do_uncommit(const char *how, const char *unused);
bool is_live(const char *path);
/* Open a file to write to it by do_write_fd() */
const char *opened(const char *path);

/*
 * Control of the test module; test_modules/core.c documents the commands
 */
int control(const char *command, const char *args);
/* "make error=12" */
int knob(const char *fmt, ...) __printf(1, 2);
/* Make @callback wait, for all objects or only for those with this name */
int hold(const char *callback, const char *name);
int release(const char *callback);
int counter(const char *name);
/* Wait until the counter has reached this value: 0 or ETIMEDOUT */
int await(const char *name, int value);
/* Wait until a thread is held in the callback */
int await_held(const char *callback);
/*
 * Whether the counter reaches this value within 200 ms. Use this only to check
 * that something does not happen: on a slow machine, the test may miss a bug,
 * but it never fails without one.
 */
bool comes(const char *name, int value);
/* Whether two events, such as "-store items/x", are in the log in this order */
bool happened_before(const char *first, const char *second);
bool happened(const char *event);
/* "a b c": the names in cg_children, in order */
const char *children_of(const char *group);

/*
 * Trees
 */

/**
 * struct tree_dir - a directory of a tree, see test_modules/kinds.c
 * @path:	path from the top, "" or "/a/b"
 * @listing:	what listing_of() returns
 * @nlink:	link count
 * @groups:	names of the default groups, in order
 * @makes:	what mkdir(2) makes in it
 */
struct tree_dir {
	const char *path;
	const char *listing;
	int nlink;
	const char *groups;
	enum { NOTHING, ITEMS, TREES } makes;
};

#define NR_TREE_DIRS	8
extern const struct tree_dir tree_dirs[NR_TREE_DIRS];
/* Whether a tree is complete and has its initial values; prints what is wrong */
bool tree_is_whole(const char *path);

/*
 * A snapshot is a text that describes everything that userspace can see in the
 * subsystems, to check that a failed operation has changed nothing. The caller
 * must free it.
 */
#define SNAP_NO_CALLS	1	/* ignore the number of calls */
#define SNAP_NO_TIMES	2	/* ignore mtime and ctime */
#define SNAP_NO_INODES	4	/* ignore inode numbers */
char *snapshot(unsigned int flags);
bool unchanged(const char *before, unsigned int flags);

/**
 * struct row - an operation that must fail
 * @fn:		the operation, called with @a and @b
 * @err:	the errno
 */
struct row {
	int (*fn)(const char *a, const char *b);
	const char *a;
	const char *b;
	int err;
};

/* Whether all rows, up to an empty one, fail with their errno and change nothing */
bool rows_refused(const struct row *rows);

/**
 * struct task - a function call in a separate thread
 * @fn:		the function, called with @a and @b
 * @ret:	its return value
 */
struct task {
	pthread_t thread;
	int (*fn)(const char *a, const char *b);
	const char *a;
	const char *b;
	int ret;
};

bool task_start(struct task *task, int (*fn)(const char *a, const char *b),
		const char *a, const char *b);
int task_join(struct task *task);

/*
 * Call @fn, which must block, in a child process, and kill the process while it
 * waits. Returns whether the signal has killed it.
 */
bool killed_while_waiting(int (*fn)(const char *a, const char *b),
			  const char *a, const char *b);
/* Call @fn as user @uid in a child process. Returns its result, -1 if killed */
int in_child(uid_t uid, int (*fn)(const char *a, const char *b),
	     const char *a, const char *b);

/**
 * struct watches - events of some paths
 * @fd:		inotify instance
 * @n:		number of paths
 * @labels:	names of the paths in @text
 * @text:	the events, one per line: "LABEL EVENT... NAME"
 */
struct watches {
	int fd;
	int n;
	const char *labels[8];
	char text[2048];
};

bool watch_init(struct watches *w);
bool watch(struct watches *w, const char *label, const char *path);
const char *watched(struct watches *w);

/*
 * Races
 */

#define MAX_WORKERS	6
#define MAX_ERRORS	8
/*
 * Further values that a worker can return. Programs may define more, from 4100 on.
 */
#define INCONSISTENT	4096	/* observations contradict each other */
#define GONE		4097	/* something in use has gone away */

/**
 * struct worker - a thread of a race
 * @name:	name for messages
 * @fn:		the operation, called with 0, 1, 2, ...; returns 0 or an errno
 * @must:	errnos that must occur, to prove that the workers have collided;
 *		success must occur as well
 * @may:	other errnos that are allowed
 */
struct worker {
	const char *name;
	int (*fn)(unsigned int round);
	int must[MAX_ERRORS];
	int may[MAX_ERRORS];
};

#define WORKER(_fn, ...)	{ .name = #_fn, .fn = _fn, __VA_ARGS__ }
#define MUST(...)		.must = { __VA_ARGS__ }
#define MAY(...)		.may = { __VA_ARGS__ }

/*
 * Run all workers at the same time. Each runs for 200 rounds, multiplied by the
 * environment variable CONFIGFS_TEST_ROUNDS, or for up to 50 times as many,
 * until every result in @must has occurred. Returns false if one has not, or if
 * a worker has returned a result that it does not list.
 */
bool race(const struct worker *workers);

/*
 * Fault injection
 */

/**
 * struct operation - an operation that can be undone
 * @fn:		the operation, called with @a and @b
 * @undo:	the reverse operation
 * @complete:	optional; checks that the operation has done everything if it
 *		succeeds although an allocation failed
 */
struct operation {
	int (*fn)(const char *a, const char *b);
	const char *a;
	const char *b;
	int (*undo)(const char *a, const char *b);
	const char *undo_a;
	const char *undo_b;
	bool (*complete)(const struct operation *op);
};

/* Call this in main() after test_init(). All settings are restored at exit. */
void fail_init(void);
/* Call this in each test. Returns a reason to skip it, or NULL. */
const char *fail_nth_init(void);
/*
 * Repeat the operation, and let each of its allocations fail once. The operation must
 * fail with ENOMEM and change nothing, or succeed and be complete. Returns the number
 * of allocations that are essential, or -1 on error.
 */
int fail_each(const struct operation *op);

#endif /* SELFTESTS_CONFIGFS_LIB_H */
