// SPDX-License-Identifier: GPL-2.0
/*
 * The subsystems of the module configfs_test:
 *
 * configfs_test/items/		for items; links are not allowed
 * configfs_test/links/		for items; links are allowed
 * configfs_test/trees/		for trees with embedded default groups
 * configfs_test/groves/	for trees with separate default groups
 * configfs_test/units/		for units, which are committed in place
 * configfs_test/depot/		for crates, which are committed by rename(2)
 * configfs_test/shelf/		for boxes, which can be renamed and moved
 * configfs_test/empty/		neither mkdir(2) nor symlink(2) is allowed
 * configfs_test2/items/	for items
 *
 * A tree can hold items, and has these default groups:
 *
 * a		holds items
 * a/b		holds trees
 * a/b/c	holds items
 * a/b2		holds nothing
 * d		holds trees
 * e		holds nothing, not even links
 * e/f		holds items
 *
 * Items and trees, with their default groups, have these attributes:
 *
 * value	read and write, initially "initial"
 * ro		the name of the item
 * wo		sets value
 * blob		binary, at most 256 bytes, initially empty
 * hidden, hidden_blob	not visible
 *
 * A unit can hold items, and has the same and these attributes:
 *
 * tune		sets value, also while the unit is live
 * patch	binary, sets blob, also while the unit is live
 * live		commits the unit; fails with EPERM if it is that already
 *
 * and these default groups:
 *
 * a		as in a tree
 * parts	holds units, which are committed for themselves by "power" instead of
 *		"live"; that succeeds if they are that already
 *
 * A crate is a unit without the attribute "live", and has one more default group:
 *
 * depot	holds crates
 *
 * A box is a unit with one more default group:
 *
 * shelf	holds boxes, and is of the same type as that in configfs_test
 */
#include <linux/module.h>

#include "core.h"

static const struct kind item = {
	.type = core_type(&core_link_item_ops, &core_group_ops),
};

static const struct kind items = {
	.type = core_type(&core_link_item_ops, &core_item_maker_ops),
	.child = &item,
};

static const struct kind tree;
static const struct kind trees = {
	.type = core_type(&core_link_item_ops, &core_group_maker_ops),
	.child = &tree,
};

static const struct kind tree_a_b = {
	.type = core_type(&core_link_item_ops, &core_group_maker_ops),
	.child = &tree,
	.defaults = { { "c", &items } },
};

static const struct kind tree_a = {
	.type = core_type(&core_link_item_ops, &core_item_maker_ops),
	.child = &item,
	.defaults = { { "b", &tree_a_b }, { "b2", &item } },
};

static const struct kind tree_e = {
	.type = core_type(&core_item_ops, &core_group_ops),
	.defaults = { { "f", &items } },
};

#define TREE_DEFAULTS { { "a", &tree_a }, { "d", &trees }, { "e", &tree_e } }

static const struct kind tree = {
	.type = core_type(&core_link_item_ops, &core_item_maker_ops),
	.child = &item,
	.defaults = TREE_DEFAULTS,
};

static const struct kind grove = {
	.type = core_type(&core_link_item_ops, &core_item_maker_ops),
	.child = &item,
	.defaults = TREE_DEFAULTS,
	.separate = true,
};

/* The type of a unit, or of what is like one, with these attributes */
#define unit_type(_attrs)				\
	{						\
		.ct_owner	= THIS_MODULE,		\
		.ct_item_ops	= &core_link_item_ops,	\
		.ct_group_ops	= &core_item_maker_ops,	\
		.ct_attrs	= _attrs,		\
		.ct_bin_attrs	= core_unit_bin_attrs,	\
	}

/* A unit in a unit, with the attribute "power" */
static const struct kind part = {
	.type = unit_type(core_power_attrs),
	.child = &item,
	.defaults = { { "a", &tree_a } },
};

static const struct kind parts = {
	.type = core_type(&core_link_item_ops, &core_unit_maker_ops),
	.child = &part,
};

static const struct kind unit = {
	.type = unit_type(core_live_attrs),
	.child = &item,
	.defaults = { { "a", &tree_a }, { "parts", &parts } },
};

static const struct kind depot;

static const struct kind crate = {
	.type = unit_type(core_crate_attrs),
	.child = &item,
	.defaults = {
		{ "a", &tree_a }, { "parts", &parts }, { "depot", &depot },
	},
};

static const struct kind depot = {
	.type = core_type(&core_link_item_ops, &core_depot_ops),
	.child = &crate,
};

static const struct kind shelf;

static const struct kind box = {
	.type = unit_type(core_live_attrs),
	.child = &item,
	.defaults = {
		{ "a", &tree_a }, { "parts", &parts }, { "shelf", &shelf },
	},
};

static const struct kind shelf = {
	.type = core_type(&core_link_item_ops, &core_shelf_ops),
	.child = &box,
};

/* It cannot be renamed itself */
static const struct kind cabinet = {
	.type = core_type(&core_link_item_ops, &core_group_ops),
	.defaults = { { "shelf", &shelf } },
};

static const struct kind cabinets = {
	.type = core_type(&core_item_ops, &core_group_maker_ops),
	.child = &cabinet,
};

/* Without ->exchange_items(), and ->uncommit_item() if the test says so */
static const struct kind sink = {
	.type = core_type(&core_item_ops, &core_sink_ops),
	.child = &crate,
};

/* Its items have the attribute "live", but are committed by rename(2) */
static const struct kind misfit_depot = {
	.type = core_type(&core_item_ops, &core_depot_ops),
	.child = &unit,
};

/* Has the attribute "live", and would get the directory */
static const struct kind twins = {
	.type = {
		.ct_owner	= THIS_MODULE,
		.ct_item_ops	= &core_item_ops,
		.ct_group_ops	= &core_depot_ops,
		.ct_attrs	= core_twin_attrs,
	},
	.child = &crate,
};

/* Without ->uncommit_item() */
static const struct kind oneway = {
	.type = core_type(&core_item_ops, &core_oneway_ops),
	.child = &unit,
};

/* Its items have the attribute "live", but cannot be committed */
static const struct kind misfits = {
	.type = core_type(&core_item_ops, &core_group_maker_ops),
	.child = &unit,
};

static const struct kind top_units = {
	.type = {
		.ct_owner	= THIS_MODULE,
		.ct_item_ops	= &core_item_ops,
		.ct_group_ops	= &core_unit_maker_ops,
	},
	.child = &unit,
};

static const struct kind top_depot = {
	.type = {
		.ct_owner	= THIS_MODULE,
		.ct_item_ops	= &core_link_item_ops,
		.ct_group_ops	= &core_depot_ops,
	},
	.child = &crate,
};

static const struct kind top_items = {
	.type = {
		.ct_owner	= THIS_MODULE,
		.ct_item_ops	= &core_item_ops,
		.ct_group_ops	= &core_item_maker_ops,
	},
	.child = &item,
};

static const struct kind top_links = {
	.type = {
		.ct_owner	= THIS_MODULE,
		.ct_item_ops	= &core_link_item_ops,
		.ct_group_ops	= &core_item_maker_ops,
	},
	.child = &item,
};

static const struct kind top_trees = {
	.type = {
		.ct_owner	= THIS_MODULE,
		.ct_item_ops	= &core_item_ops,
		.ct_group_ops	= &core_group_maker_ops,
	},
	.child = &tree,
};

static const struct kind top_groves = {
	.type = {
		.ct_owner	= THIS_MODULE,
		.ct_item_ops	= &core_item_ops,
		.ct_group_ops	= &core_group_maker_ops,
	},
	.child = &grove,
};

static const struct kind nothing = {
	.type = {
		.ct_owner	= THIS_MODULE,
		.ct_item_ops	= &core_item_ops,
	},
};

static const struct kind subsystem = {
	.type = {
		.ct_owner	= THIS_MODULE,
		.ct_item_ops	= &core_item_ops,
	},
	.defaults = {
		{ "items", &top_items }, { "links", &top_links },
		{ "trees", &top_trees }, { "groves", &top_groves },
		{ "units", &top_units }, { "depot", &top_depot },
		{ "shelf", &shelf },
		{ "empty", &nothing },
	},
};

static const struct kind subsystem2 = {
	.type = {
		.ct_owner	= THIS_MODULE,
		.ct_item_ops	= &core_item_ops,
	},
	.defaults = { { "items", &top_items } },
};

const struct named_kind core_subsystems[] = {
	{ "configfs_test", &subsystem },
	{ "configfs_test2", &subsystem2 },
	{}
};

const struct named_kind core_kinds[] = {
	{ "item", &item },
	{ "items", &items },
	{ "tree", &tree },
	{ "grove", &grove },
	{ "unit", &unit },
	{ "oneway", &oneway },
	{ "misfits", &misfits },
	{ "crate", &crate },
	{ "depot", &depot },
	{ "sink", &sink },
	{ "shelf", &shelf },
	{ "cabinets", &cabinets },
	{ "misfit_depot", &misfit_depot },
	{ "twins", &twins },
	{}
};

/* Used by the module configfs_test_other */
EXPORT_SYMBOL_GPL(core_subsystem);

MODULE_DESCRIPTION("Driver of the configfs selftests");
MODULE_LICENSE("GPL");
