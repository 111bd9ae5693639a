/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver shared by the configfs test modules. Each module consists of core.c
 * and of tables that describe its subsystems.
 */
#ifndef CONFIGFS_TEST_CORE_H
#define CONFIGFS_TEST_CORE_H

#include <linux/configfs.h>

#define MAX_DEFAULTS	8

/**
 * struct kind - describes a kind of item or group
 * @type:	the type for configfs; see core_type()
 * @child:	kind of the items that mkdir(2) makes in it, NULL if none
 * @defaults:	default groups, in this order
 * @separate:	allocate each default group separately, as many drivers do. By
 *		default they are embedded in the item and freed with it, as in
 *		many other drivers.
 */
struct kind {
	struct config_item_type type;
	const struct kind *child;
	struct {
		const char *name;
		const struct kind *kind;
	} defaults[MAX_DEFAULTS];
	bool separate;
};

/**
 * struct named_kind - entry in a table of kinds
 * @name:	name of the subsystem, or the kind's name for the command "register"
 * @kind:	the kind
 */
struct named_kind {
	const char *name;
	const struct kind *kind;
};

extern const struct configfs_item_operations core_item_ops;
extern const struct configfs_item_operations core_link_item_ops;
extern const struct configfs_group_operations core_group_ops;
extern const struct configfs_group_operations core_item_maker_ops;
extern const struct configfs_group_operations core_group_maker_ops;
extern const struct configfs_group_operations core_unit_maker_ops;
extern const struct configfs_group_operations core_oneway_ops;
extern const struct configfs_group_operations core_depot_ops;
extern struct configfs_group_operations core_sink_ops;
extern const struct configfs_group_operations core_shelf_ops;
extern struct configfs_attribute *core_attrs[];
extern struct configfs_bin_attribute *core_bin_attrs[];
extern struct configfs_attribute *core_live_attrs[];
extern struct configfs_attribute *core_power_attrs[];
extern struct configfs_attribute *core_crate_attrs[];
extern struct configfs_attribute *core_twin_attrs[];
extern struct configfs_bin_attribute *core_unit_bin_attrs[];

/* A type with all attributes; the operations decide what else it can do */
#define core_type(_item_ops, _group_ops)		\
	{						\
		.ct_owner	= THIS_MODULE,		\
		.ct_item_ops	= _item_ops,		\
		.ct_group_ops	= _group_ops,		\
		.ct_attrs	= core_attrs,		\
		.ct_bin_attrs	= core_bin_attrs,	\
	}

/*
 * Tables of the module, terminated by an empty entry. The first subsystem must
 * have the name of the module.
 */
extern const struct named_kind core_subsystems[];
extern const struct named_kind core_kinds[];

/* The first subsystem, for other modules */
struct configfs_subsystem *core_subsystem(void);

#endif /* CONFIGFS_TEST_CORE_H */
