// SPDX-License-Identifier: GPL-2.0-only
/*
 * A RAM disk that is set up in configfs: a sample of committable groups.
 *
 * An item is configured in pending/, goes live with one rename(2), and is
 * configured anew after another rename has taken it back:
 *
 *	# cd /sys/kernel/config/ramdisk
 *	# mkdir pending/disk1
 *	# echo 64M > pending/disk1/size
 *	# mv pending/disk1 live/		(now there is /dev/ramdisk-disk1)
 *	# echo 32M > live/disk1/size
 *	sh: write error: Device or resource busy
 *	# mv live/disk1 pending/		(now it is gone)
 *	# rmdir pending/disk1
 *
 * The contents belong to the item. They survive being taken back, so that a
 * disk can be filled and then committed again with read_only set. A commit
 * with another size cuts them off, or adds zeroes; rmdir(2) frees them.
 *
 * To give a running disk another configuration in one step, prepare an item of
 * the same name, and let both change places:
 *
 *	# mkdir pending/disk1
 *	# echo 128M > pending/disk1/size
 *	# mv --exchange -T pending/disk1 live/disk1
 *
 * The disk goes on with its contents under the new configuration, and whoever has
 * it open does not notice. The old configuration is in pending/, and can be had
 * back by the same command.
 *
 * What to look at: no attribute checks whether the disk exists, and there is
 * no attribute to switch it on. The driver only says whether an item can go
 * live, in ramdisk_commit_item(), whether it can be taken back, in
 * ramdisk_uncommit_item(), and whether another one can take its place, in
 * ramdisk_exchange_items(). Configfs does the rest.
 */

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/configfs.h>
#include <linux/ctype.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#define RAMDISK_PREFIX		"ramdisk-"
#define RAMDISK_MAX_SIZE	SZ_1G

/**
 * struct ramdisk - an item
 * @item: what configfs knows of it
 * @size: attribute: size in bytes, 0 until it is configured
 * @read_only: attribute: whether the disk refuses writes
 * @broken: attribute, also of a running disk: whether all I/O fails
 * @data: the contents, NULL before the first commit
 * @data_size: size of @data; differs from @size until the next commit
 * @disk: the block device of a live item, else NULL
 * @closing: @disk is being removed; under its open_mutex
 */
struct ramdisk {
	struct config_item item;
	u64 size;
	bool read_only;
	bool broken;
	void *data;
	u64 data_size;
	struct gendisk *disk;
	bool closing;
};

static struct ramdisk *to_ramdisk(struct config_item *item)
{
	return container_of(item, struct ramdisk, item);
}

/* The block device. */

static int ramdisk_open(struct gendisk *disk, blk_mode_t mode)
{
	struct ramdisk *rd = disk->private_data;

	return rd->closing ? -ENXIO : 0;
}

static void ramdisk_submit_bio(struct bio *bio)
{
	struct ramdisk *rd = bio->bi_bdev->bd_disk->private_data;
	void *pos = rd->data + (bio->bi_iter.bi_sector << SECTOR_SHIFT);
	struct bvec_iter iter;
	struct bio_vec bvec;

	if (READ_ONCE(rd->broken)) {
		bio_io_error(bio);
		return;
	}
	bio_for_each_segment(bvec, bio, iter) {
		if (op_is_write(bio_op(bio)))
			memcpy_from_bvec(pos, &bvec);
		else
			memcpy_to_bvec(&bvec, pos);
		pos += bvec.bv_len;
	}
	bio_endio(bio);
}

static const struct block_device_operations ramdisk_fops = {
	.owner		= THIS_MODULE,
	.open		= ramdisk_open,
	.submit_bio	= ramdisk_submit_bio,
};

/*
 * The attributes. For a live item configfs answers a write with EBUSY before
 * it gets here, and none is running while an item goes live or back. So no
 * store needs a lock against that, nor a check: it only parses its value. The
 * one of `broken`, which says that it is not frozen, can run at the same time as
 * I/O.
 */

static ssize_t ramdisk_size_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%llu\n", READ_ONCE(to_ramdisk(item)->size));
}

static ssize_t ramdisk_size_store(struct config_item *item, const char *page,
				  size_t count)
{
	char *end;
	u64 size = memparse(page, &end);

	if (end == page || *skip_spaces(end))
		return -EINVAL;
	WRITE_ONCE(to_ramdisk(item)->size, size);
	return count;
}

static ssize_t ramdisk_read_only_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", READ_ONCE(to_ramdisk(item)->read_only));
}

static ssize_t ramdisk_read_only_store(struct config_item *item,
				       const char *page, size_t count)
{
	bool read_only;
	int ret = kstrtobool(page, &read_only);

	if (ret)
		return ret;
	WRITE_ONCE(to_ramdisk(item)->read_only, read_only);
	return count;
}

static ssize_t ramdisk_broken_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", READ_ONCE(to_ramdisk(item)->broken));
}

static ssize_t ramdisk_broken_store(struct config_item *item, const char *page,
				    size_t count)
{
	bool broken;
	int ret = kstrtobool(page, &broken);

	if (ret)
		return ret;
	WRITE_ONCE(to_ramdisk(item)->broken, broken);
	return count;
}

/* The name of the block device; an empty line when there is none. */
static ssize_t ramdisk_device_show(struct config_item *item, char *page)
{
	struct ramdisk *rd = to_ramdisk(item);

	return sysfs_emit(page, "%s\n", rd->disk ? rd->disk->disk_name : "");
}

CONFIGFS_ATTR(ramdisk_, size);
CONFIGFS_ATTR(ramdisk_, read_only);
CONFIGFS_ATTR_LIVE(ramdisk_, broken);
CONFIGFS_ATTR_RO(ramdisk_, device);

static struct configfs_attribute *ramdisk_attrs[] = {
	&ramdisk_attr_size,
	&ramdisk_attr_read_only,
	&ramdisk_attr_broken,
	&ramdisk_attr_device,
	NULL,
};

/* A live item cannot be removed, so no disk is left here. */
static void ramdisk_release(struct config_item *item)
{
	struct ramdisk *rd = to_ramdisk(item);

	vfree(rd->data);
	kfree(rd);
}

static const struct configfs_item_operations ramdisk_item_ops = {
	.release	= ramdisk_release,
};

static const struct config_item_type ramdisk_type = {
	.ct_item_ops	= &ramdisk_item_ops,
	.ct_attrs	= ramdisk_attrs,
	.ct_owner	= THIS_MODULE,
};

/* The committable group. */

/* It becomes a part of a name in /dev and in uevents. */
static int ramdisk_check_name(const char *name)
{
	if (sizeof(RAMDISK_PREFIX) + strlen(name) > DISK_NAME_LEN)
		return -ENAMETOOLONG;
	for (; *name; name++)
		if (!isascii(*name) ||
		    !(isalnum(*name) || strchr("-._", *name)))
			return -EINVAL;
	return 0;
}

static struct config_item *ramdisk_make_item(struct config_group *group,
					     const char *name)
{
	struct ramdisk *rd;
	int ret = ramdisk_check_name(name);

	if (ret)
		return ERR_PTR(ret);

	rd = kzalloc_obj(*rd);
	if (!rd)
		return ERR_PTR(-ENOMEM);
	config_item_init_type_name(&rd->item, name, &ramdisk_type);
	return &rd->item;
}

/* Rather fail than have somebody killed for a big disk. */
static void *ramdisk_alloc(u64 size)
{
	return __vmalloc(size, GFP_KERNEL | __GFP_ZERO | __GFP_RETRY_MAYFAIL |
			 __GFP_NOWARN);
}

static int ramdisk_check_size(u64 size)
{
	/* mv(1) takes -EINVAL for something else. */
	if (!size || !IS_ALIGNED(size, SECTOR_SIZE))
		return -ERANGE;
	return size > RAMDISK_MAX_SIZE ? -EFBIG : 0;
}

/*
 * Everything is checked here, once, when the configuration cannot change any
 * more. Until add_disk() succeeds nothing in @rd that userspace could notice
 * is changed; after it nothing fails.
 */
static int ramdisk_commit_item(struct config_group *group,
			       struct config_item *item)
{
	struct queue_limits lim = {
		.features = BLK_FEAT_SYNCHRONOUS | BLK_FEAT_NOWAIT,
	};
	struct ramdisk *rd = to_ramdisk(item);
	void *old_data = rd->data;
	struct gendisk *disk;
	int ret;

	ret = ramdisk_check_size(rd->size);
	if (ret)
		return ret;

	disk = blk_alloc_disk(&lim, NUMA_NO_NODE);
	if (IS_ERR(disk))
		return PTR_ERR(disk);

	if (rd->size != rd->data_size) {
		rd->data = ramdisk_alloc(rd->size);
		ret = -ENOMEM;
		if (!rd->data)
			goto err;
		if (old_data)
			memcpy(rd->data, old_data, min(rd->size, rd->data_size));
	}

	snprintf(disk->disk_name, DISK_NAME_LEN, RAMDISK_PREFIX "%s",
		 config_item_name(item));
	disk->fops = &ramdisk_fops;
	disk->private_data = rd;
	disk->flags = GENHD_FL_NO_PART;
	set_capacity(disk, rd->size >> SECTOR_SHIFT);
	set_disk_ro(disk, rd->read_only);
	rd->closing = false;
	ret = add_disk(disk);
	if (ret)
		goto err;

	if (rd->data != old_data)
		vfree(old_data);
	rd->data_size = rd->size;
	rd->disk = disk;
	return 0;

err:
	put_disk(disk);
	if (rd->data != old_data)
		vfree(rd->data);
	rd->data = old_data;
	return ret;
}

/*
 * A disk that somebody has open stays. The block layer calls ->open() with
 * open_mutex held: whoever comes after the check finds the disk closing.
 */
static int ramdisk_uncommit_item(struct config_group *group,
				 struct config_item *item)
{
	struct ramdisk *rd = to_ramdisk(item);

	scoped_guard(mutex, &rd->disk->open_mutex) {
		if (disk_openers(rd->disk))
			return -EBUSY;
		rd->closing = true;
	}
	del_gendisk(rd->disk);
	put_disk(rd->disk);
	rd->disk = NULL;
	return 0;
}

/*
 * The disk runs on with the configuration of @pending. So do its contents, and
 * those that @pending may have from an earlier time go to @live. Who has the
 * disk open can have it grow or become writable, but not the reverse.
 */
static int ramdisk_exchange_items(struct config_group *group,
				  struct config_item *live,
				  struct config_item *pending)
{
	struct ramdisk *old = to_ramdisk(live), *new = to_ramdisk(pending);
	struct gendisk *disk = old->disk;
	unsigned int memflags;
	void *data = NULL;
	int ret;

	ret = ramdisk_check_size(new->size);
	if (ret)
		return ret;
	if (new->size != old->size) {
		data = ramdisk_alloc(new->size);
		if (!data)
			return -ENOMEM;
	}

	/* Nobody opens the disk meanwhile, ... */
	guard(mutex)(&disk->open_mutex);
	if (disk_openers(disk) &&
	    (new->size < old->size || (new->read_only && !old->read_only))) {
		vfree(data);
		return -EBUSY;
	}

	/* ... and nobody reads or writes it. */
	memflags = blk_mq_freeze_queue(disk->queue);
	if (data) {
		memcpy(data, old->data, min(new->size, old->size));
		vfree(old->data);
		old->data = data;
		old->data_size = new->size;
	}
	swap(old->data, new->data);
	swap(old->data_size, new->data_size);
	new->closing = false;
	new->disk = disk;
	old->disk = NULL;
	disk->private_data = new;
	blk_mq_unfreeze_queue(disk->queue, memflags);

	set_capacity_and_notify(disk, new->size >> SECTOR_SHIFT);
	set_disk_ro(disk, new->read_only);
	return 0;
}

static const struct configfs_group_operations ramdisk_group_ops = {
	.make_item	= ramdisk_make_item,
	.commit_item	= ramdisk_commit_item,
	.uncommit_item	= ramdisk_uncommit_item,
	.exchange_items	= ramdisk_exchange_items,
};

static const struct config_item_type ramdisk_group_type = {
	.ct_group_ops	= &ramdisk_group_ops,
	.ct_owner	= THIS_MODULE,
};

static struct configfs_subsystem ramdisk_subsys = {
	.su_group.cg_item = {
		.ci_namebuf	= "ramdisk",
		.ci_type	= &ramdisk_group_type,
	},
	.su_mutex = __MUTEX_INITIALIZER(ramdisk_subsys.su_mutex),
};

static int __init ramdisk_init(void)
{
	config_group_init(&ramdisk_subsys.su_group);
	return configfs_register_subsystem(&ramdisk_subsys);
}
module_init(ramdisk_init);

/* Every item holds a reference of the module, so there are none left. */
static void __exit ramdisk_exit(void)
{
	configfs_unregister_subsystem(&ramdisk_subsys);
}
module_exit(ramdisk_exit);

MODULE_DESCRIPTION("Sample of a committable group in configfs: a RAM disk");
MODULE_LICENSE("GPL");
