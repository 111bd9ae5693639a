/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the configfs selftests have in common: the test module and its knobs,
 * system calls that return an errno, and comparing before and after.
 */
#ifndef SELFTESTS_CONFIGFS_COMMON_H
#define SELFTESTS_CONFIGFS_COMMON_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The driver; a test may have one of its own, with the same files to steer it */
#ifndef TEST_MODULE
#define TEST_MODULE	"configfs_test"
#endif

#define CONFIGFS_DIR	"/sys/kernel/config"
/* The working directory of every test: paths are relative to the subsystem */
#define SUBSYS_DIR	CONFIGFS_DIR "/" TEST_MODULE
#define CONTROL_DIR	"/sys/kernel/" TEST_MODULE

/* Longer than what fits into a config_item, so that it is allocated */
#define LONG_NAME	"a_name_of_more_than_twenty_characters"

/* System calls: 0 or the errno */
int do_rename(const char *from, const char *to);
int do_rename_flags(const char *from, const char *to, unsigned int flags);
int do_mkdir(const char *path);
int do_rmdir(const char *path);
int do_symlink(const char *target, const char *path);
int do_unlink(const char *path);
int do_write(const char *path, const char *data);
int do_write_fd(int fd, const char *data);
int do_read(const char *path, char *buf, size_t size);
int commit(const char *group, const char *name);
int uncommit(const char *group, const char *name);
int exchange(const char *group, const char *name, bool live_first);
/* All directories of @path, what follows the last slash is none */
int make_path(const char *path);

/* The attribute's value, without a newline, or what is wrong with it */
const char *value_of(const char *path);
bool exists(const char *path);
/* Whether readdir(3) tells of it as well: -1 when that disagrees with stat(2) */
int listed(const char *path);

/**
 * struct row - one operation
 * @op:		which
 * @path:	on what
 * @to:		new name, or target of the link
 * @flags:	of renameat2(2)
 * @err:	what it must fail with
 */
struct row {
	enum {
		END,
		RENAME,
		EXCHANGE,	/* in both orders, which makes no difference */
		MKDIR,
		RMDIR,
		SYMLINK,
		UNLINK,
		WRITE,
		COMMIT,
		DEPEND,
	} op;
	const char *path;
	const char *to;
	unsigned int flags;
	int err;
};

int do_row(const struct row *row);
/*
 * All of them must fail and change nothing. Tells of the first that does not,
 * or, unless they are compared one by one, that one of them does not.
 */
bool rows_refused(const struct row *rows, const char *before, bool one_by_one);

/**
 * struct watch - inotify watches and what they have seen
 * @fd:		of inotify
 * @buf:	events that have been read
 * @len:	of @buf
 * @pos:	of the next one of them
 */
struct watch {
	int fd;
	uint64_t buf[512];
	ssize_t len;
	ssize_t pos;
};

bool watch_start(struct watch *watch);
/* Everything but accesses; the watch descriptor */
int watch_add(struct watch *watch, const char *path);
const struct inotify_event *watch_next(struct watch *watch);
/* A move of @name as rename(2) tells of it; watches are -1 for who sees none */
bool watch_sees_move(struct watch *watch, int from, const char *name, int to,
		     const char *new_name, int item);
bool watch_sees_nothing(struct watch *watch);

/* The test module */
int control(const char *file, const char *data);
int knob(const char *callback, int error, int delay_ms, bool hold);
int hold(const char *callback);
int release(const char *callback);
int counter(const char *name);
bool wait_counter(const char *name, int value);
bool happened_before(const char *first, const char *second);
/* Does config_group_find_item() find it in @dir, a directory of the subsystem? */
int linked(const char *dir, const char *name);

/* Snapshots: everything that can be seen of both subsystems */
#define SNAP_CALLS	1	/* with what was called to rename */
#define SNAP_TREE	2	/* only what there is: no times, no calls */
char *snapshot(unsigned int flags);
bool unchanged(const char *before, unsigned int flags);

/**
 * struct baseline - what a test leaves behind must be what it found
 * @objects:	of the test module
 * @refcnt:	of the test module
 * @dirents:	of configfs, -1 if unknown
 */
struct baseline {
	int objects;
	int refcnt;
	int dirents;
};

void test_begin(struct baseline *base);
bool test_end(const struct baseline *base);
bool settled(const struct baseline *base);
void get_baseline(struct baseline *base);
void purge(void);

/**
 * struct task - a call in a thread of its own
 * @fn:		the call, with @a and @b
 * @ret:	what it returned
 * @tid:	of the thread, 0 until it runs
 * @done:	whether it has returned
 */
struct task {
	pthread_t thread;
	int (*fn)(const char *a, const char *b);
	const char *a;
	const char *b;
	int ret;
	pid_t tid;
	bool done;
};

bool task_start(struct task *task, int (*fn)(const char *a, const char *b),
		const char *a, const char *b);
bool task_waits(struct task *task);
int task_join(struct task *task);
bool process_waits(pid_t pid);

/* For tasks: one argument is enough, and so is a value that is not looked at */
int task_mkdir(const char *path, const char *unused);
int task_rmdir(const char *path, const char *unused);
int task_unlink(const char *path, const char *unused);
int task_read(const char *path, const char *unused);
int task_exchange(const char *group, const char *name);
/* For a file that is open; its number as a string */
int task_write_fd(const char *fd, const char *data);
/* What is killed while it waits has changed nothing, and is gone at once */
bool killed_while_waiting(int (*fn)(const char *a, const char *b),
			  const char *a, const char *b);

/* Run @fn in a process of its own; -1 when that dies, else what it returns */
int in_child(int (*fn)(void *arg), void *arg);
int as_user(uid_t uid, int (*fn)(void *arg), void *arg);

/* Let the nth allocation of this thread fail, and see whether it has */
bool fail_nth_set_up(void);
void fail_nth_set(int nth);
int fail_nth_failed(void);

/**
 * struct operation - what can be done and undone
 * @fn:		the operation, with @a and @b
 * @undo:	its reverse
 */
struct operation {
	int (*fn)(const char *a, const char *b);
	const char *a;
	const char *b;
	int (*undo)(const char *a, const char *b);
	const char *undo_a;
	const char *undo_b;
};

int undo(const struct operation *op);
int fail_each(const struct operation *op, const struct baseline *base);

#define MAX_WORKERS	5
#define MAX_ERRORS	6
/*
 * No errnos: what was seen contradicts itself, what must stay has gone, what
 * must not move has moved.
 */
#define INCONSISTENT	4096
#define GONE		4097
#define MOVED		4098

/**
 * struct worker - one thread of a race
 * @fn:		an operation; 0 or an errno. Called with 0, 1, 2, ...
 * @errors:	those that are no surprise
 */
struct worker {
	int (*fn)(unsigned int round);
	int errors[MAX_ERRORS];
};

bool race(const struct worker *workers);

#define MAX_WATCHES	8

/**
 * struct watches - what inotify(7) tells of some directories
 * @fd:		of inotify
 * @n:		how many directories there are
 * @labels:	how each is called in @text
 * @text:	what has happened, one event a line
 */
struct watches {
	int fd;
	int n;
	const char *labels[MAX_WATCHES];
	char text[2048];
};

bool watch_init(struct watches *w);
bool watch(struct watches *w, const char *label, const char *path);
const char *watched(struct watches *w);

/* Mount configfs and load the module, or skip everything */
void test_load(void);
int module_load(void);
int module_unload(void);

#endif /* SELFTESTS_CONFIGFS_COMMON_H */
