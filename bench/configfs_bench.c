// SPDX-License-Identifier: GPL-2.0-only
/*
 * A configfs subsystem to measure: its items and groups do nothing.
 *
 *	items/		mkdir(2) makes an item with two attributes
 *	groups/		mkdir(2) makes a group of the same
 *	units/		mkdir(2) makes a group of the same, with an attribute "live"
 *			that commits it; items can be made in it
 *	depot/		the same without the attribute: they are made in pending/, and
 *			rename(2) to live/ commits them
 *
 * The parameter "default_groups" is how many default groups a new group has.
 * No system call leads to configfs_register_group(): reading the parameter
 * "register_group" registers a group in groups/, unregisters it, and gives the
 * cycles that each of the two took. In the same way, reading "depend" depends on
 * groups/, which comes after all items.
 *
 * The same source is built for the kernels with and without the series. Where
 * configfs does not commit items, writing to "live" does nothing, and depot/ is empty.
 */

#include <linux/configfs.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/timex.h>

static unsigned int default_groups;
module_param(default_groups, uint, 0644);

/* In one allocation, so that little but configfs itself is measured. */
struct bench_group {
	struct config_group group;
	struct config_group defaults[];
};

static ssize_t bench_size_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", 1048576);
}

static ssize_t bench_size_store(struct config_item *item, const char *page,
				size_t count)
{
	return count;
}
CONFIGFS_ATTR(bench_, size);

static ssize_t bench_state_show(struct config_item *item, char *page)
{
	return 0;
}
CONFIGFS_ATTR_RO(bench_, state);

static struct configfs_attribute *bench_attrs[] = {
	&bench_attr_size,
	&bench_attr_state,
	NULL
};

static void bench_item_release(struct config_item *item)
{
	kfree(item);
}

static const struct configfs_item_operations bench_item_ops = {
	.release	= bench_item_release,
};

static const struct config_item_type bench_item_type = {
	.ct_item_ops	= &bench_item_ops,
	.ct_attrs	= bench_attrs,
	.ct_owner	= THIS_MODULE,
};

static void bench_group_release(struct config_item *item)
{
	kfree(container_of(item, struct bench_group, group.cg_item));
}

static const struct configfs_item_operations bench_group_item_ops = {
	.release	= bench_group_release,
};

static const struct config_item_type bench_group_type = {
	.ct_item_ops	= &bench_group_item_ops,
	.ct_attrs	= bench_attrs,
	.ct_owner	= THIS_MODULE,
};

#ifdef CONFIGFS_ATTR_COMMIT
CONFIGFS_ATTR_COMMIT(bench_, live, 0);
#else
static ssize_t bench_live_show(struct config_item *item, char *page)
{
	return 0;
}

static ssize_t bench_live_store(struct config_item *item, const char *page,
				size_t count)
{
	bool live;

	return kstrtobool(page, &live) ?: count;
}
CONFIGFS_ATTR(bench_, live);
#endif

static struct configfs_attribute *bench_unit_attrs[] = {
	&bench_attr_size,
	&bench_attr_state,
	&bench_attr_live,
	NULL
};

/* A default group goes with the group that it is in. */
static const struct config_item_type bench_default_type = {
	.ct_attrs	= bench_attrs,
	.ct_owner	= THIS_MODULE,
};

#ifdef CONFIGFS_ATTR_COMMIT
static int bench_commit(struct config_group *group, struct config_item *item)
{
	return 0;
}

static int bench_exchange(struct config_group *group, struct config_item *live,
			  struct config_item *pending)
{
	return 0;
}
#endif

static struct config_item *bench_make_item(struct config_group *parent,
					   const char *name)
{
	struct config_item *item = kzalloc(sizeof(*item), GFP_KERNEL);

	if (!item)
		return ERR_PTR(-ENOMEM);
	config_item_init_type_name(item, name, &bench_item_type);
	return item;
}

static struct config_group *bench_make_group(struct config_group *parent,
					     const char *name)
{
	unsigned int i, n = READ_ONCE(default_groups);
	struct bench_group *bench;
	int err;

	bench = kzalloc(struct_size(bench, defaults, n), GFP_KERNEL);
	if (!bench)
		return ERR_PTR(-ENOMEM);
	config_group_init_type_name(&bench->group, name, &bench_group_type);

	for (i = 0; i < n; i++) {
		struct config_group *group = &bench->defaults[i];

		config_group_init(group);
		group->cg_item.ci_type = &bench_default_type;
		err = config_item_set_name(&group->cg_item, "default%u", i);
		if (err) {
			kfree(bench);
			return ERR_PTR(err);
		}
		configfs_add_default_group(group, &bench->group);
	}
	return &bench->group;
}

static const struct configfs_group_operations bench_items_ops = {
	.make_item	= bench_make_item,
};

static const struct config_item_type bench_unit_type = {
	.ct_item_ops	= &bench_group_item_ops,
	.ct_group_ops	= &bench_items_ops,
	.ct_attrs	= bench_unit_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct config_group *bench_new_group(const char *name,
					    const struct config_item_type *type)
{
	struct bench_group *bench = kzalloc(sizeof(*bench), GFP_KERNEL);

	if (!bench)
		return ERR_PTR(-ENOMEM);
	config_group_init_type_name(&bench->group, name, type);
	return &bench->group;
}

static struct config_group *bench_make_unit(struct config_group *parent,
					    const char *name)
{
	return bench_new_group(name, &bench_unit_type);
}

static const struct configfs_group_operations bench_units_ops = {
	.make_group		= bench_make_unit,
#ifdef CONFIGFS_ATTR_COMMIT
	.commit_item		= bench_commit,
	.uncommit_item		= bench_commit,
	.commit_in_place	= true,
#endif
};

static const struct config_item_type bench_units_type = {
	.ct_group_ops	= &bench_units_ops,
	.ct_owner	= THIS_MODULE,
};

static const struct config_item_type bench_crate_type = {
	.ct_item_ops	= &bench_group_item_ops,
	.ct_group_ops	= &bench_items_ops,
	.ct_attrs	= bench_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct config_group *bench_make_crate(struct config_group *parent,
					     const char *name)
{
	return bench_new_group(name, &bench_crate_type);
}

#ifdef CONFIGFS_ATTR_COMMIT
static int bench_rename(struct config_group *group, struct config_item *item,
			struct config_group *new_group, const char *new_name)
{
	return 0;
}
#endif

static const struct configfs_group_operations bench_depot_ops = {
	.make_group		= bench_make_crate,
#ifdef CONFIGFS_ATTR_COMMIT
	.commit_item		= bench_commit,
	.uncommit_item		= bench_commit,
	.exchange_items		= bench_exchange,
	.rename_item		= bench_rename,
#endif
};

static const struct config_item_type bench_depot_type = {
	.ct_group_ops	= &bench_depot_ops,
	.ct_owner	= THIS_MODULE,
};

static const struct config_item_type bench_items_type = {
	.ct_group_ops	= &bench_items_ops,
	.ct_owner	= THIS_MODULE,
};

static const struct configfs_group_operations bench_groups_ops = {
	.make_group	= bench_make_group,
};

static const struct config_item_type bench_groups_type = {
	.ct_group_ops	= &bench_groups_ops,
	.ct_owner	= THIS_MODULE,
};

static const struct config_item_type bench_subsys_type = {
	.ct_owner	= THIS_MODULE,
};

static struct config_group bench_items, bench_groups, bench_units, bench_depot;
static struct configfs_subsystem bench_subsys;

static int bench_register_group(char *buffer, const struct kernel_param *kp)
{
	static unsigned int round;
	struct config_group *group;
	cycles_t start, registered, end;
	char name[16];
	int err;

	snprintf(name, sizeof(name), "new%08u", round++);
	group = bench_make_group(&bench_groups, name);
	if (IS_ERR(group))
		return PTR_ERR(group);

	start = get_cycles();
	err = configfs_register_group(&bench_groups, group);
	registered = get_cycles();
	if (!err)
		configfs_unregister_group(group);
	end = get_cycles();

	config_group_put(group);
	return err ?: sysfs_emit(buffer, "%llu %llu\n", registered - start,
				 end - registered);
}

static const struct kernel_param_ops bench_register_ops = {
	.get	= bench_register_group,
};
module_param_cb(register_group, &bench_register_ops, NULL, 0400);

static int bench_depend(char *buffer, const struct kernel_param *kp)
{
	cycles_t start, depends, end;
	int err;

	start = get_cycles();
	err = configfs_depend_item(&bench_subsys, &bench_groups.cg_item);
	depends = get_cycles();
	if (!err)
		configfs_undepend_item(&bench_groups.cg_item);
	end = get_cycles();
	return err ?: sysfs_emit(buffer, "%llu %llu\n", depends - start,
				 end - depends);
}

static const struct kernel_param_ops bench_depend_ops = {
	.get	= bench_depend,
};
module_param_cb(depend, &bench_depend_ops, NULL, 0400);

static int __init bench_init(void)
{
	struct config_group *root = &bench_subsys.su_group;

	mutex_init(&bench_subsys.su_mutex);
	config_group_init_type_name(root, "bench", &bench_subsys_type);
	config_group_init_type_name(&bench_items, "items", &bench_items_type);
	configfs_add_default_group(&bench_items, root);
	config_group_init_type_name(&bench_groups, "groups",
				    &bench_groups_type);
	configfs_add_default_group(&bench_groups, root);
	config_group_init_type_name(&bench_units, "units", &bench_units_type);
	configfs_add_default_group(&bench_units, root);
	config_group_init_type_name(&bench_depot, "depot", &bench_depot_type);
	configfs_add_default_group(&bench_depot, root);

	return configfs_register_subsystem(&bench_subsys);
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	configfs_unregister_subsystem(&bench_subsys);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("configfs: items and groups to measure");
MODULE_LICENSE("GPL");
