// SPDX-License-Identifier: GPL-2.0
/*
 * configfs_fakenbd.c - sample of a driver that is configured in configfs
 *
 * This pretends to attach disks that servers on the network export.  It shows
 * default groups, symlinks between items, a dependency, and what su_mutex is
 * for.  See Documentation/filesystems/configfs.rst.
 *
 *	fakenbd/
 *		connected		names of the disks that are connected
 *		servers/
 *			SERVER/		made by mkdir(2)
 *				address
 *		disks/
 *			DISK/		made by mkdir(2)
 *				size
 *				connected	1 connects the disk
 *				paths/		symlinks to the servers it is on
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/configfs.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

static struct configfs_subsystem fakenbd_subsys;

/*
 * Servers
 */

struct server {
	struct config_item item;
	struct mutex lock;	/* protects address */
	char address[64];
};

static struct server *to_server(struct config_item *item)
{
	return container_of(item, struct server, item);
}

static ssize_t server_address_show(struct config_item *item, char *page)
{
	struct server *server = to_server(item);

	guard(mutex)(&server->lock);
	return sysfs_emit(page, "%s\n", server->address);
}

static ssize_t server_address_store(struct config_item *item, const char *page,
				    size_t count)
{
	struct server *server = to_server(item);
	size_t len = strcspn(page, "\n");

	if (!len || len >= sizeof(server->address))
		return -EINVAL;

	guard(mutex)(&server->lock);
	strscpy(server->address, page, len + 1);
	return count;
}

CONFIGFS_ATTR(server_, address);

static struct configfs_attribute *server_attrs[] = {
	&server_attr_address,
	NULL
};

static void server_release(struct config_item *item)
{
	kfree(to_server(item));
}

static const struct configfs_item_operations server_ops = {
	.release	= server_release,
};

static const struct config_item_type server_type = {
	.ct_item_ops	= &server_ops,
	.ct_attrs	= server_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct config_item *servers_make_item(struct config_group *group,
					     const char *name)
{
	struct server *server = kzalloc_obj(*server);

	if (!server)
		return ERR_PTR(-ENOMEM);
	mutex_init(&server->lock);
	config_item_init_type_name(&server->item, name, &server_type);
	return &server->item;
}

static const struct configfs_group_operations servers_group_ops = {
	.make_item	= servers_make_item,
};

static const struct config_item_type servers_type = {
	.ct_group_ops	= &servers_group_ops,
	.ct_owner	= THIS_MODULE,
};

/*
 * Disks
 */

struct disk {
	struct config_group group;
	struct config_group paths;	/* its default group */
	struct mutex lock;		/* protects what follows */
	u64 size;
	unsigned int nr_paths;
	bool connected;
};

static struct disk *to_disk(struct config_item *item)
{
	return container_of(to_config_group(item), struct disk, group);
}

static ssize_t disk_size_show(struct config_item *item, char *page)
{
	struct disk *disk = to_disk(item);

	guard(mutex)(&disk->lock);
	return sysfs_emit(page, "%llu\n", disk->size);
}

static ssize_t disk_size_store(struct config_item *item, const char *page,
			       size_t count)
{
	struct disk *disk = to_disk(item);
	u64 size;
	int ret;

	ret = kstrtou64(page, 0, &size);
	if (ret)
		return ret;

	guard(mutex)(&disk->lock);
	if (disk->connected)
		return -EBUSY;
	disk->size = size;
	return count;
}

CONFIGFS_ATTR(disk_, size);

static ssize_t disk_connected_show(struct config_item *item, char *page)
{
	struct disk *disk = to_disk(item);

	guard(mutex)(&disk->lock);
	return sysfs_emit(page, "%d\n", disk->connected);
}

/* A disk that is connected is in use, so rmdir(2) must not remove it. */
static ssize_t disk_connected_store(struct config_item *item, const char *page,
				    size_t count)
{
	struct disk *disk = to_disk(item);
	bool connect;
	int ret;

	ret = kstrtobool(page, &connect);
	if (ret)
		return ret;

	guard(mutex)(&disk->lock);
	if (connect == disk->connected)
		return count;
	if (connect) {
		if (!disk->size || !disk->nr_paths)
			return -EINVAL;
		ret = configfs_depend_item(&fakenbd_subsys, item);
		if (ret)
			return ret;
	} else {
		configfs_undepend_item(item);
	}
	disk->connected = connect;
	return count;
}

CONFIGFS_ATTR(disk_, connected);

static struct configfs_attribute *disk_attrs[] = {
	&disk_attr_size,
	&disk_attr_connected,
	NULL
};

/* This frees the default group as well: it is embedded. */
static void disk_release(struct config_item *item)
{
	kfree(to_disk(item));
}

static const struct configfs_item_operations disk_ops = {
	.release	= disk_release,
};

static const struct config_item_type disk_type = {
	.ct_item_ops	= &disk_ops,
	.ct_attrs	= disk_attrs,
	.ct_owner	= THIS_MODULE,
};

/* The links in paths/ */
static struct disk *paths_to_disk(struct config_item *item)
{
	return container_of(to_config_group(item), struct disk, paths);
}

static int paths_allow_link(struct config_item *item,
			    struct config_item *target)
{
	struct disk *disk = paths_to_disk(item);

	/* Any directory of configfs can be the target. */
	if (target->ci_type != &server_type)
		return -EINVAL;

	guard(mutex)(&disk->lock);
	if (disk->connected)
		return -EBUSY;
	disk->nr_paths++;
	return 0;
}

/* This cannot refuse: a disk that loses its last path is disconnected. */
static void paths_drop_link(struct config_item *item,
			    struct config_item *target)
{
	struct disk *disk = paths_to_disk(item);

	guard(mutex)(&disk->lock);
	if (--disk->nr_paths || !disk->connected)
		return;
	configfs_undepend_item(&disk->group.cg_item);
	disk->connected = false;
}

static const struct configfs_item_operations paths_ops = {
	.allow_link	= paths_allow_link,
	.drop_link	= paths_drop_link,
};

static const struct config_item_type paths_type = {
	.ct_item_ops	= &paths_ops,
	.ct_owner	= THIS_MODULE,
};

static struct config_group *disks_make_group(struct config_group *group,
					     const char *name)
{
	struct disk *disk = kzalloc_obj(*disk);

	if (!disk)
		return ERR_PTR(-ENOMEM);
	mutex_init(&disk->lock);
	config_group_init_type_name(&disk->group, name, &disk_type);
	config_group_init_type_name(&disk->paths, "paths", &paths_type);
	configfs_add_default_group(&disk->paths, &disk->group);
	return &disk->group;
}

static const struct configfs_group_operations disks_group_ops = {
	.make_group	= disks_make_group,
};

static const struct config_item_type disks_type = {
	.ct_group_ops	= &disks_group_ops,
	.ct_owner	= THIS_MODULE,
};

/*
 * The subsystem
 */

static struct config_group servers, disks;

/* su_mutex keeps the list of children, and what is on it. */
static ssize_t fakenbd_connected_show(struct config_item *item, char *page)
{
	struct config_item *child;
	int len = 0;

	guard(mutex)(&fakenbd_subsys.su_mutex);
	list_for_each_entry(child, &disks.cg_children, ci_entry) {
		struct disk *disk = to_disk(child);

		guard(mutex)(&disk->lock);
		if (disk->connected)
			len += sysfs_emit_at(page, len, "%s\n",
					     config_item_name(child));
	}
	return len;
}

CONFIGFS_ATTR_RO(fakenbd_, connected);

static struct configfs_attribute *fakenbd_attrs[] = {
	&fakenbd_attr_connected,
	NULL
};

static const struct config_item_type fakenbd_type = {
	.ct_attrs	= fakenbd_attrs,
	.ct_owner	= THIS_MODULE,
};

static int __init fakenbd_init(void)
{
	struct config_group *root = &fakenbd_subsys.su_group;

	mutex_init(&fakenbd_subsys.su_mutex);
	config_group_init_type_name(root, "fakenbd", &fakenbd_type);
	config_group_init_type_name(&servers, "servers", &servers_type);
	configfs_add_default_group(&servers, root);
	config_group_init_type_name(&disks, "disks", &disks_type);
	configfs_add_default_group(&disks, root);

	return configfs_register_subsystem(&fakenbd_subsys);
}
module_init(fakenbd_init);

/* No items are left: each of them pins the module. */
static void __exit fakenbd_exit(void)
{
	configfs_unregister_subsystem(&fakenbd_subsys);
}
module_exit(fakenbd_exit);

MODULE_DESCRIPTION("configfs sample: default groups, links and a dependency");
MODULE_LICENSE("GPL");
