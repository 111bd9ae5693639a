// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures what configfs_bench.ko offers, and writes a row of CSV for each
 * operation. In a machine whose time stamp counter counts instructions (vm/run
 * with VM_ACCEL=icount) it gives instructions, and the same number every time.
 *
 * An operation and its opposite take turns, so that the kernel's caches are in
 * the same state each time. The median is the operation alone: before each one
 * the machine has been idle until RCU has freed all that was removed. The mean
 * is that of many in a row, and has their share of what the kernel puts off. Of
 * the two, an interrupt hits one or the other by chance: only the mean of both
 * together, in a row of its own, can be relied on.
 *
 * Renames have no counterpart in a configfs without the series. What is compared with
 * them is the rename of a directory in ramfs, the shortest that there is.
 *
 * With "scale", in a machine with two CPUs and a real clock, it tells how many
 * times as much two CPUs do, each with an item of its own, as one.
 */

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define ROOT		"/sys/kernel/config/bench/"
#define PARAMETERS	"/sys/module/configfs_bench/parameters/"

enum {
	SIBLINGS = 100000,
	WARM_UP = 20,
	ROUNDS = 201,		/* for the median */
	SETTLE = 20000,		/* us; grace periods last some ticks */
	IN_A_ROW = 1500000000,	/* instructions, for the mean: 375 ticks */
	TURNS = 15,		/* of one and of two CPUs */
	TURN = 200,		/* ms */
};

/* What an operation and its opposite took. */
struct took {
	unsigned long forth, back;
};

static const char *kernel;
static unsigned int siblings;
static int dir;

/*
 * Each time another name, as names differ in the hash chain they come into; so
 * does the module when it registers a group.
 */
static struct took mkdir_rmdir(unsigned int round)
{
	unsigned long start, made, removed;
	char name[16];

	snprintf(name, sizeof(name), "new%08u", round);
	start = __rdtsc();
	if (mkdirat(dir, name, 0755))
		err(1, "mkdir %s", name);
	made = __rdtsc();
	if (unlinkat(dir, name, AT_REMOVEDIR))
		err(1, "rmdir %s", name);
	removed = __rdtsc();

	return (struct took){ made - start, removed - made };
}

/* What the module has measured itself */
static struct took read_parameter(const char *path)
{
	struct took took;
	FILE *f = fopen(path, "r");

	if (!f || fscanf(f, "%lu %lu", &took.forth, &took.back) != 2)
		err(1, "%s", path);
	fclose(f);
	return took;
}

static struct took register_unregister(unsigned int round)
{
	(void)round;
	return read_parameter(PARAMETERS "register_group");
}

static struct took depend_undepend(unsigned int round)
{
	(void)round;
	return read_parameter(PARAMETERS "depend");
}

/* What ls does: a directory with a few entries, read to its end */
static struct took open_close(unsigned int round)
{
	unsigned long start, opened;
	char buf[4096];
	int fd;

	(void)round;
	start = __rdtsc();
	fd = open(ROOT, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		err(1, "%s", ROOT);
	while (syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0)
		;
	opened = __rdtsc();
	close(fd);
	return (struct took){ opened - start, __rdtsc() - opened };
}

static int file;

/* The read asks the driver again, because of the write before it. */
static struct took write_read(unsigned int round)
{
	unsigned long start, written;
	char c;

	(void)round;
	start = __rdtsc();
	if (pwrite(file, "1", 1, 0) != 1)
		err(1, "write");
	written = __rdtsc();
	if (pread(file, &c, 1, 0) != 1)
		err(1, "read");
	return (struct took){ written - start, __rdtsc() - written };
}

static struct took commit_uncommit(unsigned int round)
{
	unsigned long start, committed;

	(void)round;
	start = __rdtsc();
	if (pwrite(file, "1", 1, 0) != 1)
		err(1, "commit");
	committed = __rdtsc();
	if (pwrite(file, "0", 1, 0) != 1)
		err(1, "uncommit");
	return (struct took){ committed - start, __rdtsc() - committed };
}

static struct took rename_and_back(unsigned int round)
{
	unsigned long start, renamed;

	(void)round;
	start = __rdtsc();
	if (renameat(dir, "pending/x", dir, "live/x"))
		err(1, "rename");
	renamed = __rdtsc();
	if (renameat(dir, "live/x", dir, "pending/x"))
		err(1, "rename back");
	return (struct took){ renamed - start, __rdtsc() - renamed };
}

static struct took exchange_twice(unsigned int round)
{
	unsigned long start, exchanged;

	(void)round;
	start = __rdtsc();
	if (renameat2(dir, "pending/y", dir, "live/y", RENAME_EXCHANGE))
		err(1, "exchange");
	exchanged = __rdtsc();
	if (renameat2(dir, "live/y", dir, "pending/y", RENAME_EXCHANGE))
		err(1, "exchange back");
	return (struct took){ exchanged - start, __rdtsc() - exchanged };
}

static struct took name_and_back(unsigned int round)
{
	unsigned long start, renamed;

	(void)round;
	start = __rdtsc();
	if (renameat(dir, "pending/y", dir, "pending/z"))
		err(1, "rename");
	renamed = __rdtsc();
	if (renameat(dir, "pending/z", dir, "pending/y"))
		err(1, "rename back");
	return (struct took){ renamed - start, __rdtsc() - renamed };
}

static int compare(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return (x > y) - (x < y);
}

static void print_row(const char *operation, const char *variant, unsigned long *all,
		      unsigned long mean)
{
	qsort(all, ROUNDS, sizeof(*all), compare);
	printf("%s,%s,%u,%s,%lu,%lu\n", operation, variant, siblings, kernel,
	       all[ROUNDS / 2], mean);
	fflush(stdout);
}

static void measure(const char *forth, const char *back, const char *both,
		    const char *variant,
		    struct took (*once)(unsigned int round))
{
	static unsigned long all_forth[ROUNDS], all_back[ROUNDS], all_both[ROUNDS];
	unsigned long sum_forth = 0, sum_back = 0, start;
	unsigned int n;

	for (int i = -WARM_UP; i < ROUNDS; i++) {
		struct took took;

		usleep(SETTLE);
		took = once(i + WARM_UP);
		if (i < 0)
			continue;
		all_forth[i] = took.forth;
		all_back[i] = took.back;
		all_both[i] = took.forth + took.back;
	}

	start = __rdtsc();
	for (n = 0; __rdtsc() - start < IN_A_ROW; n++) {
		struct took took = once(n);

		sum_forth += took.forth;
		sum_back += took.back;
	}

	print_row(forth, variant, all_forth, sum_forth / n);
	print_row(back, variant, all_back, sum_back / n);
	print_row(both, variant, all_both, (sum_forth + sum_back) / n);
}

static void enter(const char *path)
{
	if (dir)
		close(dir);
	dir = open(path, O_PATH | O_DIRECTORY);
	if (dir < 0)
		err(1, "%s", path);
}

static void set_default_groups(unsigned int n)
{
	FILE *f = fopen(PARAMETERS "default_groups", "w");

	if (!f || fprintf(f, "%u", n) < 0 || fclose(f))
		err(1, PARAMETERS "default_groups");
}

static void make_siblings(unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		char name[20];

		snprintf(name, sizeof(name), "sibling%08u", i);
		if (mkdirat(dir, name, 0755))
			err(1, "mkdir %s", name);
	}
}

static void open_file(const char *name)
{
	if (file)
		close(file);
	file = openat(dir, name, O_RDWR);
	if (file < 0)
		err(1, "%s", name);
}

/* These do not depend on how many siblings there are. */
static void measure_files(void)
{
	static const unsigned int below[] = { 0, 100, 10000 };

	enter(ROOT "items");
	if (mkdirat(dir, "item", 0755))
		err(1, "mkdir item");
	open_file("item/size");
	measure("write", "read", "write+read", "item", write_read);

	enter(ROOT "units");
	if (mkdirat(dir, "unit", 0755))
		err(1, "mkdir unit");
	open_file("unit/size");
	measure("write", "read", "write+read", "unit", write_read);

	enter(ROOT "units/unit");
	open_file("live");
	for (int i = 0; i < 3; i++) {
		char variant[20];

		make_siblings(i ? below[i - 1] : 0, below[i]);
		snprintf(variant, sizeof(variant), "unit with %u", below[i]);
		measure("commit", "uncommit", "commit+uncommit", variant,
			commit_uncommit);
	}
}

static void mount_and_enter(const char *type, const char *path)
{
	/* cgroup v1, without a controller: the file system with kernfs's rename */
	const char *options = strcmp(type, "cgroup") ? NULL : "none,name=bench";

	if ((mkdir(path, 0755) && errno != EEXIST) ||
	    mount("none", path, type, 0, options))
		err(1, "mount %s", type);
	enter(path);
	if (mkdirat(dir, "pending", 0755) || mkdirat(dir, "live", 0755))
		err(1, "mkdir");
}

/* @where: what to rename in, but for tmpfs */
static void measure_renames(const char *where)
{
	static const unsigned int below[] = { 0, 100, 10000 };
	char path[80];

	mount_and_enter("tmpfs", siblings ? "/tmp/among" : "/tmp/alone");
	if (mkdirat(dir, "pending/x", 0755))
		err(1, "mkdir x");
	measure("rename", "back", "rename+back", "tmpfs", rename_and_back);
	if (!siblings) {
		mount_and_enter("cgroup", "/tmp/cgroup");
		if (mkdirat(dir, "pending/y", 0755))
			err(1, "mkdir y");
		measure("name", "name back", "name+back", "cgroup", name_and_back);
	}

	enter(where);
	if (!siblings && (mkdirat(dir, "pending/x", 0755) ||
			  mkdirat(dir, "pending/y", 0755) ||
			  renameat(dir, "pending/y", dir, "live/y") ||
			  mkdirat(dir, "pending/y", 0755)))
		err(1, "x and y");
	if (siblings) {
		snprintf(path, sizeof(path), "%s/pending", where);
		enter(path);
		make_siblings(0, SIBLINGS);
		enter(where);
	}
	measure("exchange", "again", "exchange+again", "items", exchange_twice);
	measure("name", "name back", "name+back", "items", name_and_back);
	for (int i = 0; i < (siblings ? 1 : 3); i++) {
		char variant[20];

		snprintf(path, sizeof(path), "%s/pending/x", where);
		enter(path);
		if (!siblings)
			make_siblings(i ? below[i - 1] : 0, below[i]);
		enter(where);
		snprintf(variant, sizeof(variant), "item with %u",
			 siblings ? below[2] : below[i]);
		measure("rename", "back", "rename+back", variant,
			rename_and_back);
	}
}

static void measure_all(void)
{
	static const unsigned int default_groups[] = { 0, 8, 64 };

	enter(ROOT "items");
	if (siblings)
		make_siblings(0, SIBLINGS);
	measure("mkdir", "rmdir", "mkdir+rmdir", "item", mkdir_rmdir);

	enter(ROOT "groups");
	set_default_groups(0);
	if (siblings)
		make_siblings(0, SIBLINGS);
	for (int i = 0; i < 3; i++) {
		char variant[20];

		set_default_groups(default_groups[i]);
		snprintf(variant, sizeof(variant), "group of %u",
			 default_groups[i]);
		measure("mkdir", "rmdir", "mkdir+rmdir", variant, mkdir_rmdir);
		measure("register", "unregister", "register+unregister",
			variant, register_unregister);
	}
	measure("depend", "undepend", "depend+undepend", "default group",
		depend_undepend);
	measure("open and read", "close", "open+read+close", "directory",
		open_close);
}

static long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How often @cpus CPUs write and read an attribute, each that of its own item */
static unsigned long in_a_turn(int cpus, volatile unsigned long *counts)
{
	unsigned long sum = 0;
	long start = milliseconds() + 20;

	for (int cpu = 0; cpu < cpus; cpu++) {
		cpu_set_t set;
		char name[20];
		pid_t child = fork();

		if (child < 0)
			err(1, "fork");
		if (child)
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			err(1, "cannot run on CPU %d", cpu);
		snprintf(name, sizeof(name), "cpu%d/size", cpu);
		open_file(name);
		counts[cpu] = 0;
		while (milliseconds() < start)
			;
		for (; milliseconds() < start + TURN; counts[cpu] += 10)
			for (int i = 0; i < 10; i++)
				write_read(0);
		_exit(0);
	}
	for (int cpu = 0; cpu < cpus; cpu++) {
		int status;

		if (wait(&status) < 0 || status)
			errx(1, "a child has failed");
	}
	for (int cpu = 0; cpu < cpus; cpu++)
		sum += counts[cpu];
	return sum;
}

static void measure_scale(const char *group)
{
	volatile unsigned long *counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static unsigned long one[TURNS], two[TURNS];

	if (counts == MAP_FAILED)
		err(1, "mmap");
	enter(group);
	if (mkdirat(dir, "cpu0", 0755) || mkdirat(dir, "cpu1", 0755))
		err(1, "mkdir");
	for (int i = 0; i < TURNS; i++) {
		one[i] = in_a_turn(1, counts);
		two[i] = in_a_turn(2, counts);
	}
	qsort(one, TURNS, sizeof(*one), compare);
	qsort(two, TURNS, sizeof(*two), compare);
	printf("%s,%s,%lu,%lu,%.3f\n", kernel, group + sizeof(ROOT) - 1,
	       one[TURNS / 2], two[TURNS / 2], (double)two[TURNS / 2] / one[TURNS / 2]);
}

int main(int argc, char **argv)
{
	const char *where = ROOT "depot";

	if (argc == 3 && !strcmp(argv[1], "scale")) {
		kernel = argv[2];
		measure_scale(ROOT "items");
		measure_scale(ROOT "units");
		return 0;
	}
	if (argc != 2)
		errx(1, "usage: %s [scale] NAME-OF-THE-KERNEL", argv[0]);
	kernel = argv[1];

	if (access(ROOT "depot/pending", F_OK))
		mount_and_enter("ramfs", where = "/mnt");
	measure_all();
	measure_files();
	measure_renames(where);
	siblings = SIBLINGS;
	measure_all();
	measure_renames(where);
	return 0;
}
