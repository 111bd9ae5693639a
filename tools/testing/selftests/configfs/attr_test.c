// SPDX-License-Identifier: GPL-2.0
/*
 * Text and binary attributes: reading, writing, errors, and their inodes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

/* cb_max_size of blob */
#define BLOB_MAX	256

/*
 * A buffer whose first @len bytes are accessible, and nothing after them
 */
static char *edge(size_t len)
{
	long page = sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || munmap(p + page, page))
		ksft_exit_fail_msg("no memory\n");
	memset(p, 'x', page);
	return p + page - len;
}

static int open_for(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd == -1 ? -errno : fd;
}

FIXTURE(attr)
{
	struct baseline base;
	int fd;
	char buf[8192];
};

static void set_up(struct __test_metadata *_metadata, struct baseline *base)
{
	test_begin(base);
	ASSERT_EQ(0, do_mkdir("items/x", NULL));
	ASSERT_EQ(0, do_write("items/x/blob", "0123456789"));
	ASSERT_EQ(0, control("reset", NULL));
}

FIXTURE_SETUP(attr)
{
	set_up(_metadata, &self->base);
	self->fd = open("items/x/value", O_RDWR);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(attr)
{
	TEST_END(&self->base);
}

/*
 * Text
 */

TEST_F(attr, text_is_read_in_parts)
{
	ASSERT_EQ(3, read(self->fd, self->buf, 3));
	ASSERT_EQ(0, memcmp(self->buf, "ini", 3));
	ASSERT_EQ(5, read(self->fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, memcmp(self->buf, "tial\n", 5));
	ASSERT_EQ(0, read(self->fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(2, pread(self->fd, self->buf, 2, 4));
	ASSERT_EQ(0, memcmp(self->buf, "ia", 2));
	ASSERT_EQ(0, pread(self->fd, self->buf, 2, 100));
	ASSERT_EQ(1, lseek(self->fd, 1, SEEK_SET));
	ASSERT_EQ(1, read(self->fd, self->buf, 1));
	ASSERT_EQ('n', self->buf[0]);
	/* All these reads use the buffer that one call of show has filled */
	ASSERT_EQ(1, counter("show"));
}

TEST_F(attr, text_is_written_at_once)
{
	ASSERT_EQ(4, write(self->fd, "text", 4));
	ASSERT_EQ(4, counter("store_len"));
	ASSERT_STREQ("text", value_of("items/x/value"));
	/* The file position does not matter */
	ASSERT_EQ(2, write(self->fd, "ab", 2));
	ASSERT_EQ(3, pwrite(self->fd, "cde", 3, 1000));
	ASSERT_STREQ("cde", value_of("items/x/value"));
	ASSERT_EQ(3, counter("store"));
	ASSERT_EQ(0, close(self->fd));
	ASSERT_EQ(3, counter("store"));
}

TEST_F(attr, text_is_read_anew_after_a_write)
{
	ASSERT_EQ(8, read(self->fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(3, write(self->fd, "new", 3));
	ASSERT_EQ(4, pread(self->fd, self->buf, sizeof(self->buf), 0));
	ASSERT_EQ(0, memcmp(self->buf, "new\n", 4));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	ASSERT_EQ(4, read(self->fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(2, counter("show"));
}

/* A driver gets at most 4095 bytes, whatever the page size */
TEST_F(attr, text_is_cut_at_4095)
{
	memset(self->buf, 'x', sizeof(self->buf));
	ASSERT_EQ(4094, write(self->fd, self->buf, 4094));
	ASSERT_EQ(4094, counter("store_len"));
	ASSERT_EQ(4095, write(self->fd, self->buf, 4095));
	ASSERT_EQ(4095, counter("store_len"));
	ASSERT_EQ(4095, write(self->fd, self->buf, 4096));
	ASSERT_EQ(4095, counter("store_len"));
	ASSERT_EQ(4095, write(self->fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(4095, counter("store_len"));
}

TEST_F(attr, text_store_decides_what_is_written)
{
	ASSERT_EQ(0, knob("store size=3"));
	ASSERT_EQ(3, write(self->fd, "text", 4));
	ASSERT_EQ(3, lseek(self->fd, 0, SEEK_CUR));
	ASSERT_EQ(0, knob("store error=%d", EOVERFLOW));
	ASSERT_EQ(-1, write(self->fd, "other", 5));
	ASSERT_EQ(EOVERFLOW, errno);
	ASSERT_EQ(3, lseek(self->fd, 0, SEEK_CUR));
	ASSERT_EQ(0, release("store"));
	ASSERT_STREQ("text", value_of("items/x/value"));
}

TEST_F(attr, text_show_may_fail)
{
	ASSERT_EQ(0, knob("show error=%d", EOVERFLOW));
	ASSERT_EQ(-1, read(self->fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(EOVERFLOW, errno);
	ASSERT_EQ(0, release("show"));
	ASSERT_EQ(8, read(self->fd, self->buf, sizeof(self->buf)));
}

TEST_F(attr, text_bad_addresses)
{
	char *before = snapshot(0);

	ASSERT_EQ(-1, write(self->fd, edge(0), 4));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_TRUE(unchanged(before, 0));
	ASSERT_EQ(-1, read(self->fd, edge(0), 4));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_CUR));

	/* Only a part of the buffer is accessible */
	ASSERT_EQ(2, read(self->fd, edge(2), 4));
	ASSERT_EQ(2, lseek(self->fd, 0, SEEK_CUR));

	/* EFAULT after a successful write */
	ASSERT_EQ(4, write(self->fd, "good", 4));
	before = snapshot(0);
	ASSERT_EQ(-1, write(self->fd, edge(0), 4));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_TRUE(unchanged(before, 0));
	ASSERT_STREQ("good", value_of("items/x/value"));
}

TEST_F(attr, text_buffer_bad_in_part)
{
	char *before = snapshot(0);

	NEEDS("configfs: fix writes of half a value when a part of the buffer is bad");
	for (int i = 1; i < 8; i++) {
		ASSERT_EQ(-1, write(self->fd, edge(i), 8));
		ASSERT_EQ(EFAULT, errno);
	}
	ASSERT_TRUE(unchanged(before, 0));
	/* What was not stored must not be read either */
	ASSERT_EQ(0, do_write("items/x/value", "good"));
	ASSERT_EQ(5, pread(self->fd, self->buf, sizeof(self->buf), 0));
	ASSERT_EQ(-1, write(self->fd, edge(2), 8));
	ASSERT_EQ(5, pread(self->fd, self->buf, sizeof(self->buf), 0));
	ASSERT_EQ(0, memcmp(self->buf, "good\n", 5));
	/* The bytes after the first 4095 need not be accessible */
	ASSERT_EQ(4095, write(self->fd, edge(4095), 8192));
	ASSERT_EQ(4095, counter("store_len"));
}

/* Common flags of open(2), such as those used by shells, have no effect */
TEST_F(attr, text_flags_of_open)
{
	static const int flags[] = {
		O_TRUNC, O_APPEND, O_CREAT, O_CREAT | O_TRUNC, O_NONBLOCK,
	};
	char *before = snapshot(0);
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		int fd = open("items/x/value", O_WRONLY | flags[i], 0666);

		ASSERT_LE(0, fd);
		ASSERT_TRUE(unchanged(before, 0));
		ASSERT_EQ(1, write(fd, &"abcde"[i], 1));
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ("abcde"[i], value_of("items/x/value")[0]);
		free(before);
		before = snapshot(0);
	}
	ASSERT_EQ(0, truncate("items/x/value", 0));
	ASSERT_TRUE(unchanged(before, 0));
	ASSERT_STREQ("e", value_of("items/x/value"));
	ASSERT_EQ(0, stat("items/x/value", &st));
	ASSERT_EQ(S_IFREG | 0644, st.st_mode);

	ASSERT_EQ(-EEXIST, open_for("items/x/value", O_WRONLY | O_CREAT | O_EXCL));
	ASSERT_EQ(-ENOTDIR, open_for("items/x/value", O_RDONLY | O_DIRECTORY));
	ASSERT_EQ(-EACCES, open_for("items/x/new", O_WRONLY | O_CREAT));
	ASSERT_TRUE(unchanged(before, 0));
}

static int do_open(const char *path, const char *mode)
{
	int fd = open_for(path, mode[0] == 'w' ? O_WRONLY : O_RDONLY);

	return fd < 0 ? -fd : 0;
}

TEST_F(attr, text_permissions)
{
	/* Without show or store, even root cannot read or write them */
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(-EACCES, open_for("items/x/ro", O_WRONLY));
		ASSERT_EQ(-EACCES, open_for("items/x/ro", O_RDWR));
		ASSERT_EQ(-EACCES, open_for("items/x/wo", O_RDONLY));
		ASSERT_EQ(0, do_open("items/x/ro", "r"));
		ASSERT_EQ(0, do_open("items/x/wo", "w"));
		ASSERT_EQ(0, chmod("items/x/ro", 0666));
		ASSERT_EQ(0, chmod("items/x/wo", 0666));
	}
	ASSERT_EQ(-ENOENT, open_for("items/x/hidden", O_RDONLY));

	/* Mode and owner persist while no process has the file open */
	ASSERT_EQ(0, in_child(1000, do_open, "items/x/value", "r"));
	ASSERT_EQ(EACCES, in_child(1000, do_open, "items/x/value", "w"));
	ASSERT_EQ(0, chmod("items/x/value", 0600));
	ASSERT_EQ(EACCES, in_child(1000, do_open, "items/x/value", "r"));
	ASSERT_EQ(0, chown("items/x/value", 1000, 1000));
	ASSERT_EQ(0, in_child(1000, do_open, "items/x/value", "w"));
	ASSERT_EQ(0, in_child(1000, do_open, "items/x/value", "r"));
}

/*
 * Binary
 */

TEST_F(attr, blob_is_written_when_it_is_closed)
{
	int fd, other;

	fd = open("items/x/blob", O_WRONLY);
	ASSERT_EQ(3, write(fd, "abc", 3));
	ASSERT_EQ(2, write(fd, "de", 2));
	ASSERT_STREQ("0123456789", value_of("items/x/blob"));
	/* bin_write is called only on the last close */
	other = dup(fd);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, counter("bin_write"));
	ASSERT_EQ(1, write(other, "f", 1));
	ASSERT_EQ(0, close(other));
	ASSERT_EQ(1, counter("bin_write"));
	ASSERT_STREQ("abcdef", value_of("items/x/blob"));
}

TEST_F(attr, blob_parts_anywhere)
{
	static const char all[] = "a\0\0dE";
	int fd = open("items/x/blob", O_WRONLY);

	ASSERT_EQ(1, pwrite(fd, "d", 1, 3));
	ASSERT_EQ(1, pwrite(fd, "a", 1, 0));
	ASSERT_EQ(1, pwrite(fd, "E", 1, 4));
	ASSERT_EQ(0, close(fd));
	fd = open("items/x/blob", O_RDONLY);
	ASSERT_EQ(5, pread(fd, self->buf, sizeof(self->buf), 0));
	ASSERT_EQ(0, memcmp(all, self->buf, 5));
	ASSERT_EQ(2, pread(fd, self->buf, 2, 3));
	ASSERT_EQ(0, memcmp("dE", self->buf, 2));
	ASSERT_EQ(0, pread(fd, self->buf, 2, 5));
	ASSERT_EQ(0, pread(fd, self->buf, 2, 100));
	/* One call for the size, one for the data */
	ASSERT_EQ(2, counter("bin_read"));
	ASSERT_EQ(-1, lseek(fd, 0, SEEK_SET));
	ASSERT_EQ(ESPIPE, errno);
}

TEST_F(attr, blob_nothing_written_is_nothing)
{
	ASSERT_EQ(0, close(open("items/x/blob", O_WRONLY)));
	ASSERT_EQ(0, close(open("items/x/blob", O_RDWR)));
	ASSERT_EQ(0, close(open("items/x/blob", O_WRONLY | O_TRUNC)));
	ASSERT_EQ(0, counter("bin_write"));
	ASSERT_STREQ("0123456789", value_of("items/x/blob"));
}

TEST_F(attr, blob_either_read_or_written)
{
	int fd = open("items/x/blob", O_RDWR), other = open("items/x/blob", O_RDWR);

	ASSERT_EQ(3, read(fd, self->buf, 3));
	ASSERT_EQ(-1, write(fd, "x", 1));
	ASSERT_EQ(ETXTBSY, errno);
	ASSERT_EQ(7, read(fd, self->buf, sizeof(self->buf)));

	ASSERT_EQ(1, write(other, "x", 1));
	ASSERT_EQ(-1, read(other, self->buf, 1));
	ASSERT_EQ(ETXTBSY, errno);
	ASSERT_EQ(1, write(other, "y", 1));

	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, counter("bin_write"));
	ASSERT_EQ(0, close(other));
	ASSERT_EQ(1, counter("bin_write"));
	ASSERT_STREQ("xy", value_of("items/x/blob"));
}

TEST_F(attr, blob_too_large)
{
	int fd = open("items/x/blob", O_WRONLY);

	ASSERT_EQ(BLOB_MAX, write(fd, self->buf, BLOB_MAX));
	ASSERT_EQ(-1, write(fd, "x", 1));
	ASSERT_EQ(EFBIG, errno);
	ASSERT_EQ(1, pwrite(fd, "x", 1, BLOB_MAX - 1));
	ASSERT_EQ(-1, pwrite(fd, "x", 1, BLOB_MAX));
	ASSERT_EQ(EFBIG, errno);
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(BLOB_MAX, counter("bin_write_len"));

	fd = open("items/x/blob", O_RDONLY);
	ASSERT_EQ(BLOB_MAX, read(fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ('x', self->buf[BLOB_MAX - 1]);
	ASSERT_EQ(0, close(fd));

	/* The driver reports more than cb_max_size */
	ASSERT_EQ(0, knob("bin_read size=%d", BLOB_MAX + 1));
	ASSERT_EQ(EFBIG, do_read("items/x/blob", NULL));
}

TEST_F(attr, blob_the_driver_may_fail)
{
	int fd;

	ASSERT_EQ(0, knob("bin_read error=%d", EOVERFLOW));
	fd = open("items/x/blob", O_RDONLY);
	ASSERT_EQ(-1, read(fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(EOVERFLOW, errno);
	ASSERT_EQ(0, release("bin_read"));
	ASSERT_EQ(10, read(fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, close(fd));

	/* Errors of bin_write cannot be reported to userspace */
	ASSERT_EQ(0, knob("bin_write error=%d", EOVERFLOW));
	ASSERT_EQ(0, do_write("items/x/blob", "x"));
	ASSERT_STREQ("0123456789", value_of("items/x/blob"));
}

TEST_F(attr, blob_bad_addresses)
{
	int fd = open("items/x/blob", O_RDONLY);

	ASSERT_EQ(-1, read(fd, edge(0), 4));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(2, read(fd, edge(2), 4));
	ASSERT_EQ(8, read(fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, memcmp("23456789", self->buf, 8));
}

/* Ways to make write(2) fail */
static int write_fault(int fd, char *buf)
{
	return write(fd, edge(0), 4) == -1 ? errno : 0;
}

static int write_too_large(int fd, char *buf)
{
	return write(fd, buf, BLOB_MAX + 1) == -1 ? errno : 0;
}

FIXTURE(failed_write)
{
	struct baseline base;
	char buf[2 * BLOB_MAX];
};

FIXTURE_VARIANT(failed_write)
{
	int (*fn)(int fd, char *buf);
	int err;
};

FIXTURE_VARIANT_ADD(failed_write, efault) {
	.fn = write_fault,
	.err = EFAULT,
};

FIXTURE_VARIANT_ADD(failed_write, efbig) {
	.fn = write_too_large,
	.err = EFBIG,
};

FIXTURE_SETUP(failed_write)
{
	set_up(_metadata, &self->base);
}

FIXTURE_TEARDOWN(failed_write)
{
	TEST_END(&self->base);
}

#define FAILED_WRITE	"configfs: fix NULL dereference when a write to a binary attribute fails"

TEST_F(failed_write, is_nothing)
{
	int fd = open("items/x/blob", O_WRONLY);

	NEEDS(FAILED_WRITE);
	ASSERT_EQ(variant->err, variant->fn(fd, self->buf));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, counter("bin_write"));
	ASSERT_STREQ("0123456789", value_of("items/x/blob"));
}

TEST_F(failed_write, takes_nothing_from_others)
{
	int fd = open("items/x/blob", O_WRONLY);

	NEEDS(FAILED_WRITE);
	ASSERT_EQ(3, write(fd, "abc", 3));
	ASSERT_EQ(variant->err, variant->fn(fd, self->buf));
	ASSERT_EQ(2, write(fd, "de", 2));
	ASSERT_EQ(variant->err, variant->fn(fd, self->buf));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(5, counter("bin_write_len"));
	ASSERT_STREQ("abcde", value_of("items/x/blob"));
}

TEST_F(failed_write, can_be_tried_again)
{
	int fd = open("items/x/blob", O_WRONLY);

	ASSERT_EQ(variant->err, variant->fn(fd, self->buf));
	ASSERT_EQ(3, write(fd, "abc", 3));
	ASSERT_EQ(0, close(fd));
	ASSERT_STREQ("abc", value_of("items/x/blob"));
}

/* After a failed write, the file can still be read: it is not in write mode */
TEST_F(failed_write, then_a_read)
{
	int fd = open("items/x/blob", O_RDWR);

	NEEDS(FAILED_WRITE);
	ASSERT_EQ(variant->err, variant->fn(fd, self->buf));
	ASSERT_EQ(10, read(fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, memcmp("0123456789", self->buf, 10));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, counter("bin_write"));
}

TEST_F(attr, blob_write_after_a_failed_read)
{
	int fd = open("items/x/blob", O_RDWR);

	NEEDS(FAILED_WRITE);
	ASSERT_EQ(0, knob("bin_read error=%d", EOVERFLOW));
	ASSERT_EQ(-1, read(fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(EOVERFLOW, errno);
	ASSERT_EQ(3, write(fd, "abc", 3));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, release("bin_read"));
	ASSERT_STREQ("abc", value_of("items/x/blob"));
}

TEST_F(attr, blob_written_in_part)
{
	int fd = open("items/x/blob", O_WRONLY);

	NEEDS(FAILED_WRITE);
	ASSERT_EQ(3, write(fd, edge(3), 100));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(3, counter("bin_write_len"));
	ASSERT_STREQ("xxx", value_of("items/x/blob"));
}

/* bin_read first reports a size, but then returns less data */
TEST_F(attr, blob_shrinks_while_it_is_read)
{
	int fd = open("items/x/blob", O_RDONLY);

	NEEDS("configfs: fix information leak in binary attributes that shrink");
	ASSERT_EQ(0, knob("bin_read size=%d", BLOB_MAX));
	ASSERT_EQ(10, read(fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, memcmp("0123456789", self->buf, 10));
	ASSERT_EQ(0, read(fd, self->buf, sizeof(self->buf)));
}

TEST_F(attr, blob_shrinks_to_nothing)
{
	int fd;

	NEEDS("configfs: fix information leak in binary attributes that shrink");
	ASSERT_EQ(0, do_mkdir("items/y", NULL));
	fd = open("items/y/blob", O_RDONLY);
	ASSERT_EQ(0, read(fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, knob("bin_read size=%d", BLOB_MAX));
	ASSERT_EQ(0, read(fd, self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, read(fd, self->buf, sizeof(self->buf)));
}

/*
 * stat(2)
 */

static const char * const attrs[] = { "value", "ro", "wo", "blob" };

TEST_F(attr, status_of_each)
{
	static const struct {
		const char *path;
		mode_t mode;
		off_t size;
	} rows[] = {
		/* -1 is the page size */
		{ "items/x/value",	0644, -1 },
		{ "items/x/ro",		0444, -1 },
		{ "items/x/wo",		0200, -1 },
		{ "items/x/blob",	0644, 0 },
	};
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, lstat(rows[i].path, &st));
		EXPECT_EQ(S_IFREG | rows[i].mode, st.st_mode);
		EXPECT_EQ(rows[i].size ? sysconf(_SC_PAGESIZE) : 0, st.st_size);
		EXPECT_EQ(1, st.st_nlink);
		EXPECT_EQ(0, st.st_uid);
		EXPECT_EQ(0, st.st_gid);
	}
}

#define NUMBERS	"configfs: fix unstable inode numbers of attributes"
#define TIMES	"configfs: fix times of attributes that change with each lookup"

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Let the coarse clock of inode times advance */
static void tick(void)
{
	usleep(20000);
}

/*
 * cp(1) compares inode numbers to check that it opened the file that it had
 * looked up, and tar(1) compares times to check that the file did not change
 * while it was being read.
 */
static void check_stays(struct __test_metadata *_metadata, bool number)
{
	struct stat st[4];
	char buf[512];
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++) {
		const char *path = at("items/x/%s", attrs[i]);

		ASSERT_EQ(0, lstat(path, &st[0]));
		tick();
		ASSERT_EQ(0, lstat(path, &st[1]));
		fd = open(path, attrs[i][0] == 'w' ? O_WRONLY : O_RDONLY);
		ASSERT_EQ(0, fstat(fd, &st[2]));
		tick();
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		ASSERT_EQ(0, fstat(fd, &st[3]));
		ASSERT_EQ(0, close(fd));
		for (int j = 1; j < 4; j++) {
			ASSERT_EQ(st[0].st_mode, st[j].st_mode);
			ASSERT_EQ(st[0].st_size, st[j].st_size);
			if (number) {
				ASSERT_EQ(st[0].st_ino, st[j].st_ino);
				continue;
			}
			ASSERT_TRUE(same_time(&st[0].st_mtim, &st[j].st_mtim));
			ASSERT_TRUE(same_time(&st[0].st_ctim, &st[j].st_ctim));
		}
	}
}

TEST_F(attr, status_number_stays)
{
	NEEDS(NUMBERS);
	check_stays(_metadata, true);
}

TEST_F(attr, status_times_stay)
{
	NEEDS(TIMES);
	check_stays(_metadata, false);
}

/* Inode numbers are unique, and readdir(3) and stat(2) agree */
TEST_F(attr, status_number_is_unique)
{
	ino_t numbers[16];
	struct dirent *d;
	int n = 0;
	DIR *dir;

	NEEDS(NUMBERS);
	/* In the second round, dentries exist already */
	for (int i = 0; i < 2; i++) {
		n = 0;
		dir = opendir("items/x");
		ASSERT_NE(NULL, dir);
		while ((d = readdir(dir))) {
			const char *path = at("items/x/%s", d->d_name);

			ASSERT_LT(n, (int)ARRAY_SIZE(numbers));
			ASSERT_EQ(ino_of(path), d->d_ino) {
				TH_LOG("%s", path);
			}
			for (int j = 0; j < n; j++)
				ASSERT_NE(numbers[j], d->d_ino);
			numbers[n++] = d->d_ino;
		}
		closedir(dir);
	}
	ASSERT_EQ(2 + (int)ARRAY_SIZE(attrs), n);
}

/* chmod(2) changes only mode and ctime; utimensat(2) works */
TEST_F(attr, status_what_is_set_stays)
{
	const struct timespec times[2] = { { 1000, 1 }, { 2000, 2 } };
	struct stat st, now;

	NEEDS(TIMES);
	ASSERT_EQ(0, lstat("items/x/ro", &st));
	tick();
	ASSERT_EQ(0, chmod("items/x/ro", 0600));
	ASSERT_EQ(0, lstat("items/x/ro", &now));
	ASSERT_EQ(S_IFREG | 0600, now.st_mode);
	ASSERT_TRUE(same_time(&st.st_mtim, &now.st_mtim));
	ASSERT_TRUE(same_time(&st.st_atim, &now.st_atim));
	ASSERT_FALSE(same_time(&st.st_ctim, &now.st_ctim));

	ASSERT_EQ(0, utimensat(AT_FDCWD, "items/x/ro", times, 0));
	tick();
	ASSERT_EQ(0, lstat("items/x/ro", &now));
	ASSERT_EQ(S_IFREG | 0600, now.st_mode);
	ASSERT_TRUE(same_time(&times[0], &now.st_atim));
	ASSERT_TRUE(same_time(&times[1], &now.st_mtim));
}

int main(int argc, char **argv)
{
	test_init();
	return test_harness_run(argc, argv);
}
