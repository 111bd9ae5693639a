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

/* The attribute's value, without a newline, or what is wrong with it */
const char *value_of(const char *path);
bool exists(const char *path);
/* Whether readdir(3) tells of it as well: -1 when that disagrees with stat(2) */
int listed(const char *path);

/* The test module */
int control(const char *file, const char *data);
int knob(const char *callback, int error, int delay_ms, bool hold);
int hold(const char *callback);
int release(const char *callback);
int counter(const char *name);
bool wait_counter(const char *name, int value);
bool happened_before(const char *first, const char *second);

/* Snapshots: everything that can be seen of both subsystems */
#define SNAP_CALLS	1	/* with what was called to commit or uncommit */
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

/* Run @fn in a process of its own; -1 when that dies, else what it returns */
int in_child(int (*fn)(void *arg), void *arg);
int as_user(uid_t uid, int (*fn)(void *arg), void *arg);

/* Let the nth allocation of this thread fail, and see whether it has */
bool fail_nth_set_up(void);
void fail_nth_set(int nth);
int fail_nth_failed(void);

/* Mount configfs and load the module, or skip everything */
void test_load(void);
int module_load(void);
int module_unload(void);

#endif /* SELFTESTS_CONFIGFS_COMMON_H */
