// SPDX-License-Identifier: GPL-2.0
/*
 * A group in the subsystem of another module, configfs_test, in which mkdir(2)
 * makes items of this one.
 */
#include <linux/configfs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "core.h"

static ssize_t other_name_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%s\n", config_item_name(item));
}
CONFIGFS_ATTR_RO(other_, name);

static struct configfs_attribute *other_attrs[] = { &other_attr_name, NULL };

static void other_release(struct config_item *item)
{
	kfree(item);
}

static const struct configfs_item_operations other_item_ops = {
	.release	= other_release,
};

static const struct config_item_type other_type = {
	.ct_owner	= THIS_MODULE,
	.ct_item_ops	= &other_item_ops,
	.ct_attrs	= other_attrs,
};

static struct config_item *others_make_item(struct config_group *group,
					    const char *name)
{
	struct config_item *item = kzalloc_obj(*item);

	if (!item)
		return ERR_PTR(-ENOMEM);
	config_item_init_type_name(item, name, &other_type);
	return item;
}

static const struct configfs_group_operations others_group_ops = {
	.make_item	= others_make_item,
};

static const struct config_item_type others_type = {
	.ct_owner	= THIS_MODULE,
	.ct_group_ops	= &others_group_ops,
};

static struct config_group others;

static int __init configfs_test_other_init(void)
{
	config_group_init_type_name(&others, "others", &others_type);
	return configfs_register_group(&core_subsystem()->su_group, &others);
}

static void __exit configfs_test_other_exit(void)
{
	configfs_unregister_group(&others);
}

module_init(configfs_test_other_init);
module_exit(configfs_test_other_exit);
MODULE_DESCRIPTION("Items of another module for the configfs selftests");
MODULE_LICENSE("GPL");
