// SPDX-License-Identifier: GPL-2.0
/*
 * The driver of api_test and api_race_test: one that commits and renames items
 * by itself.
 *
 * It has groups with each op, and lets a test call the exported functions for
 * any of its items: from a task of the test's, from a kernel thread, or from a
 * callback. Like the other drivers here it counts what configfs calls, checks
 * that configfs keeps its side of the contract, and is steered through sysfs.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/configfs.h>
#include <linux/delay.h>
#include <linux/kobject.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/wait.h>

#define VALUE_MAX	64
#define NAME_SIZE	(NAME_MAX + 1)
#define PATH_SIZE	1024
#define NR_REFS		4
#define NR_PEERS	8
/* Long enough for a test, short enough for the hung task detector */
#define HOLD_TIMEOUT	(20 * HZ)

enum callback {
	CB_MAKE,
	CB_DISCONNECT,
	CB_DROP,
	CB_RELEASE,
	CB_COMMIT,
	CB_UNCOMMIT,
	CB_EXCHANGE,
	CB_RENAME,
	CB_SHOW,
	CB_STORE,
	CB_ALLOW_LINK,
	CB_DROP_LINK,
	NR_CALLBACKS
};

static const char * const callback_names[NR_CALLBACKS] = {
	[CB_MAKE]	= "make",
	[CB_DISCONNECT]	= "disconnect",
	[CB_DROP]	= "drop",
	[CB_RELEASE]	= "release",
	[CB_COMMIT]	= "commit",
	[CB_UNCOMMIT]	= "uncommit",
	[CB_EXCHANGE]	= "exchange",
	[CB_RENAME]	= "rename",
	[CB_SHOW]	= "show",
	[CB_STORE]	= "store",
	[CB_ALLOW_LINK]	= "allow_link",
	[CB_DROP_LINK]	= "drop_link",
};

/**
 * struct knob - how a callback behaves
 * @error:	the errno it returns, 0 for success
 * @delay_ms:	how long it takes
 * @hold:	it does not return before this is cleared
 * @call:	what it calls the next time, as it is written to "call"; see there
 */
struct knob {
	int error;
	int delay_ms;
	bool hold;
	char *call;
};

static struct knob knobs[NR_CALLBACKS];
static DECLARE_WAIT_QUEUE_HEAD(hold_queue);
static atomic_t calls[NR_CALLBACKS];
static atomic_t nr_objects;
static atomic_t nr_violations;
/* What the last call of an exported function has returned */
static int call_result;

struct kind;

/**
 * struct sub - a subsystem
 * @subsys:	for configfs
 * @registered:	protected by register_lock
 * @closing:	nothing is made in it any more; protected by su_mutex
 * @children:	how many items there are, at any depth; protected by su_mutex
 */
struct sub {
	struct configfs_subsystem subsys;
	bool registered;
	bool closing;
	int children;
};

/**
 * struct obj - every group and item of this driver
 * @node:	in all_objs
 * @kind:	what it is
 * @sub:	where it is
 * @parent:	the obj that it is in. Changed by a rename, under all_objs_lock.
 * @defaults:	its default group, if any
 * @group:	what configfs sees; of a plain item only the cg_item in it
 * @running:	attribute callbacks under way, here and below
 * @dependents:	calls of configfs_depend_item() to be undone
 * @made:	by mkdir(2)
 * @live:	committed
 * @gone:	dropped, or about to be
 * @lock:	protects @value
 * @name:	what it should be called. Changed as @parent is.
 * @value:	attribute
 */
struct obj {
	struct list_head node;
	const struct kind *kind;
	struct sub *sub;
	struct obj *parent;
	struct obj *defaults;
	struct config_group group;
	atomic_t running;
	atomic_t dependents;
	bool made;
	bool live;
	bool gone;
	struct mutex lock;	/* of the value */
	char name[NAME_SIZE];
	char value[VALUE_MAX];
};

/**
 * struct kind - what sort of objs there are
 * @type:	for configfs
 * @child:	what mkdir makes in it, if anything
 * @inner:	the kind of the default group "inner" that it has, if any
 */
struct kind {
	struct config_item_type type;
	const struct kind *child;
	const struct kind *inner;
};

static LIST_HEAD(all_objs);
static DEFINE_SPINLOCK(all_objs_lock);

static const struct config_item_type subsys_type = {
	.ct_owner = THIS_MODULE,
};

static struct sub subs[] = {
	{
		.subsys.su_group.cg_item = {
			.ci_namebuf = "configfs_api_test",
			.ci_type = &subsys_type,
		},
	}, {
		.subsys.su_group.cg_item = {
			.ci_namebuf = "configfs_api_test2",
			.ci_type = &subsys_type,
		},
	},
};

#define violation(fmt, ...) do {				\
	atomic_inc(&nr_violations);				\
	pr_err("violation: " fmt "\n", ##__VA_ARGS__);		\
} while (0)

static int run_call(const char *buf);

/*
 * Objects
 */

static void obj_path(const struct obj *obj, char *buf)
{
	const struct obj *up[16];
	int n = 0, len;

	for (; obj && n < ARRAY_SIZE(up); obj = obj->parent)
		up[n++] = obj;
	len = scnprintf(buf, PATH_SIZE, "%s",
			up[n - 1]->sub->subsys.su_group.cg_item.ci_namebuf);
	while (n--)
		len += scnprintf(buf + len, PATH_SIZE - len, "/%s",
				 up[n]->name);
}

/* Whether @group is one of ours, without looking into it. */
static struct obj *group_to_obj(const struct config_group *group)
{
	struct obj *obj;

	guard(spinlock)(&all_objs_lock);
	list_for_each_entry(obj, &all_objs, node)
		if (&obj->group == group)
			return obj;
	return NULL;
}

static struct obj *item_to_obj(struct config_item *item)
{
	return group_to_obj(to_config_group(item));
}

/* Where the type, and with it the pointer, is known. */
static struct obj *to_obj(struct config_item *item)
{
	return container_of(to_config_group(item), struct obj, group);
}

static bool is_committable(const struct obj *obj)
{
	const struct configfs_group_operations *ops = obj->kind->type.ct_group_ops;

	return ops && ops->commit_item;
}

/* What config_item_is_live() should say */
static bool obj_is_live(const struct obj *obj)
{
	for (; obj; obj = obj->parent)
		if (obj->parent && is_committable(obj->parent) && obj->made)
			return obj->live;
	return false;
}

static bool obj_is_frozen(const struct obj *obj)
{
	for (; obj; obj = obj->parent)
		if (READ_ONCE(obj->live))
			return true;
	return false;
}

static void obj_run(struct obj *obj, int how)
{
	for (; obj; obj = obj->parent)
		atomic_add(how, &obj->running);
}

/* For callbacks in which no rename of the item can come in between */
static void check_obj(enum callback cb, struct obj *obj)
{
	if (strcmp(config_item_name(&obj->group.cg_item), obj->name))
		violation("%s of %s, which is named %s", callback_names[cb],
			  obj->name, config_item_name(&obj->group.cg_item));
	if (config_item_is_live(&obj->group.cg_item) != obj_is_live(obj))
		violation("%s of %s, which %s live", callback_names[cb],
			  obj->name, obj_is_live(obj) ? "is not" : "is");
}

/*
 * Callbacks: count, and do what the knobs say
 */

static int callback_begin(enum callback cb)
{
	struct knob *knob = &knobs[cb];
	char *call;

	atomic_inc(&calls[cb]);
	if (READ_ONCE(knob->delay_ms))
		msleep(READ_ONCE(knob->delay_ms));
	if (!wait_event_timeout(hold_queue, !READ_ONCE(knob->hold),
				HOLD_TIMEOUT))
		violation("%s is held for ever", callback_names[cb]);
	call = xchg(&knob->call, NULL);
	if (call)
		run_call(call);
	kfree(call);
	return -READ_ONCE(knob->error);
}

/*
 * Attributes
 */

static int attr_begin(enum callback cb, struct obj *obj)
{
	obj_run(obj, 1);
	check_obj(cb, obj);
	if (cb == CB_STORE && obj_is_frozen(obj))
		violation("store of the live %s", obj->name);
	return callback_begin(cb);
}

static ssize_t attr_end(enum callback cb, struct obj *obj, ssize_t ret)
{
	check_obj(cb, obj);
	if (cb == CB_STORE && obj_is_frozen(obj))
		violation("%s is live before store is done", obj->name);
	obj_run(obj, -1);
	return ret;
}

static ssize_t obj_value_show(struct config_item *item, char *page)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = attr_begin(CB_SHOW, obj);

	if (!ret) {
		guard(mutex)(&obj->lock);
		ret = sysfs_emit(page, "%s\n", obj->value);
	}
	return attr_end(CB_SHOW, obj, ret);
}

static ssize_t obj_value_store(struct config_item *item, const char *page,
			       size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = attr_begin(CB_STORE, obj);

	if (!ret && len >= VALUE_MAX)
		ret = -EINVAL;
	if (!ret) {
		guard(mutex)(&obj->lock);
		strscpy(obj->value, page);
		strim(obj->value);
		ret = len;
	}
	return attr_end(CB_STORE, obj, ret);
}
CONFIGFS_ATTR(obj_, value);

static ssize_t obj_state_show(struct config_item *item, char *page)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = attr_begin(CB_SHOW, obj);

	if (!ret)
		ret = sysfs_emit(page, "%s %s\n", config_item_name(item),
				 config_item_is_live(item) ? "live" : "not live");
	return attr_end(CB_SHOW, obj, ret);
}
CONFIGFS_ATTR_RO(obj_, state);

/* What is read without a lock is as good as long as there is a reference. */
static ssize_t peer_name(struct obj *obj, char *page, ssize_t len)
{
	const char *name = config_item_name(&obj->group.cg_item);
	char copy[NAME_SIZE];

	if (strscpy(copy, name) < 0)
		violation("the name of a peer has no end");
	usleep_range(20, 200);
	if (strcmp(copy, name))
		violation("the name %s has become %s", copy, name);
	return sysfs_emit_at(page, len, "%s\n", copy);
}

/* The names of the items that others have made, wherever they are */
static ssize_t obj_peers_show(struct config_item *item, char *page)
{
	struct obj *obj = to_obj(item), *other, *peers[NR_PEERS];
	ssize_t ret = attr_begin(CB_SHOW, obj);
	int n = 0;

	if (ret)
		return attr_end(CB_SHOW, obj, ret);
	scoped_guard(spinlock, &all_objs_lock)
		list_for_each_entry(other, &all_objs, node)
			if (n < NR_PEERS && other != obj && other->made &&
			    config_item_get_unless_zero(&other->group.cg_item))
				peers[n++] = other;
	for (int i = 0; i < n; i++) {
		ret += peer_name(peers[i], page, ret);
		config_group_put(&peers[i]->group);
	}
	return attr_end(CB_SHOW, obj, ret);
}
CONFIGFS_ATTR_RO(obj_, peers);

static struct configfs_attribute *obj_attrs[] = {
	&obj_attr_value,
	&obj_attr_state,
	&obj_attr_peers,
	NULL
};

/*
 * Links
 */

static int obj_allow_link(struct config_item *src_item,
			  struct config_item *target_item)
{
	struct obj *src = to_obj(src_item), *target = item_to_obj(target_item);
	int ret;

	obj_run(src, 1);
	obj_run(target, 1);
	check_obj(CB_ALLOW_LINK, src);
	ret = callback_begin(CB_ALLOW_LINK);
	if (obj_is_frozen(src))
		violation("allow_link from the live %s", src->name);
	check_obj(CB_ALLOW_LINK, target);
	obj_run(target, -1);
	obj_run(src, -1);
	return ret;
}

static void obj_drop_link(struct config_item *src_item,
			  struct config_item *target_item)
{
	struct obj *src = to_obj(src_item), *target = item_to_obj(target_item);

	obj_run(src, 1);
	obj_run(target, 1);
	callback_begin(CB_DROP_LINK);
	if (obj_is_frozen(src))
		violation("drop_link from the live %s", src->name);
	check_obj(CB_DROP_LINK, target);
	obj_run(target, -1);
	obj_run(src, -1);
}

static void obj_release(struct config_item *item)
{
	struct obj *obj = to_obj(item);

	atomic_inc(&calls[CB_RELEASE]);
	if (atomic_read(&obj->running))
		violation("%s is released with %d callbacks running", obj->name,
			  atomic_read(&obj->running));
	if (atomic_read(&obj->dependents))
		violation("%s is released with %d dependents", obj->name,
			  atomic_read(&obj->dependents));
	scoped_guard(spinlock, &all_objs_lock)
		list_del(&obj->node);
	atomic_dec(&nr_objects);
	kfree(obj);
}

static const struct configfs_item_operations obj_item_ops = {
	.release	= obj_release,
	.allow_link	= obj_allow_link,
	.drop_link	= obj_drop_link,
};

/*
 * Making and removing
 */

static void obj_remove_defaults(struct obj *obj)
{
	scoped_guard(spinlock, &all_objs_lock)
		obj->gone = true;
	if (obj->defaults) {
		obj_remove_defaults(obj->defaults);
		configfs_remove_default_groups(&obj->group);
	}
}

static void obj_put(struct obj *obj)
{
	obj_remove_defaults(obj);
	config_group_put(&obj->group);
}

static struct obj *obj_create(const struct kind *kind, const char *name,
			      struct sub *sub, struct obj *parent)
{
	struct obj *obj, *inner;

	if (strlen(name) >= NAME_SIZE)
		return ERR_PTR(-ENAMETOOLONG);
	obj = kzalloc_obj(*obj);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->kind = kind;
	obj->sub = sub;
	obj->parent = parent;
	mutex_init(&obj->lock);
	strscpy(obj->name, name);
	strscpy(obj->value, "initial");
	config_group_init_type_name(&obj->group, name, &kind->type);
	atomic_inc(&nr_objects);
	scoped_guard(spinlock, &all_objs_lock)
		list_add(&obj->node, &all_objs);
	if (!kind->inner)
		return obj;

	inner = obj_create(kind->inner, "inner", sub, obj);
	if (IS_ERR(inner)) {
		obj_put(obj);
		return inner;
	}
	obj->defaults = inner;
	configfs_add_default_group(&inner->group, &obj->group);
	return obj;
}

static void check_su_mutex(enum callback cb, struct obj *obj)
{
	struct mutex *mutex = &obj->sub->subsys.su_mutex;
	bool held = mutex_is_locked(mutex);

	/* By us, if there is somebody who knows */
	if (IS_ENABLED(CONFIG_LOCKDEP) && debug_locks)
		held = lockdep_is_held(mutex);
	if (!held)
		violation("%s without su_mutex", callback_names[cb]);
}

static struct obj *obj_make(struct config_group *group, const char *name)
{
	struct obj *parent = group_to_obj(group), *obj;
	int ret;

	if (!parent) {
		violation("make in a group of configfs");
		return ERR_PTR(-EINVAL);
	}
	check_su_mutex(CB_MAKE, parent);
	check_obj(CB_MAKE, parent);
	obj_run(parent, 1);
	if (obj_is_frozen(parent))
		violation("make in the live %s", parent->name);
	ret = callback_begin(CB_MAKE);
	if (!ret && parent->sub->closing)
		ret = -ENODEV;
	obj = ret ? ERR_PTR(ret) : obj_create(parent->kind->child, name,
					      parent->sub, parent);
	if (!IS_ERR(obj)) {
		obj->made = true;
		parent->sub->children++;
	}
	obj_run(parent, -1);
	return obj;
}

static struct config_item *obj_make_item(struct config_group *group,
					 const char *name)
{
	struct obj *obj = obj_make(group, name);

	return IS_ERR(obj) ? ERR_CAST(obj) : &obj->group.cg_item;
}

static struct config_group *obj_make_group(struct config_group *group,
					   const char *name)
{
	struct obj *obj = obj_make(group, name);

	return IS_ERR(obj) ? ERR_CAST(obj) : &obj->group;
}

static bool check_child(enum callback cb, struct config_group *group,
			struct config_item *item)
{
	struct obj *parent = group_to_obj(group), *obj = item_to_obj(item);

	if (!parent || !obj || obj->parent != parent) {
		violation("%s of an item that is not the group's",
			  callback_names[cb]);
		return false;
	}
	check_su_mutex(cb, obj);
	return true;
}

static void obj_disconnect_notify(struct config_group *group,
				  struct config_item *item)
{
	if (!check_child(CB_DISCONNECT, group, item))
		return;
	check_obj(CB_DISCONNECT, to_obj(item));
	callback_begin(CB_DISCONNECT);
}

static void obj_drop_item(struct config_group *group, struct config_item *item)
{
	struct obj *obj = to_obj(item);

	if (!check_child(CB_DROP, group, item))
		return;
	if (obj_is_frozen(obj))
		violation("drop of the live %s", obj->name);
	callback_begin(CB_DROP);
	obj->sub->children--;
	obj_put(obj);
}

/*
 * Renames
 */

/* Nothing of the item is running, and it still is where it was. */
static bool check_rename(enum callback cb, struct config_group *group,
			 struct config_item *item, bool live)
{
	struct obj *obj = to_obj(item);
	struct config_item *dir = item->ci_parent;

	if (!check_child(cb, group, item))
		return false;
	check_obj(cb, obj);
	if (dir != &item->ci_group->cg_item)
		violation("%s of %s, which is in two groups",
			  callback_names[cb], obj->name);
	if (is_committable(obj->parent)) {
		if (strcmp(config_item_name(dir), live ? "live" : "pending"))
			violation("%s of %s, which is in %s",
				  callback_names[cb], obj->name,
				  config_item_name(dir));
		dir = dir->ci_parent;
	}
	if (dir != &group->cg_item)
		violation("%s of %s, which is not below its group",
			  callback_names[cb], obj->name);
	if (obj->live != live)
		violation("%s of %s twice", callback_names[cb], obj->name);
	return true;
}

static void check_quiet(enum callback cb, struct obj *obj)
{
	if (atomic_read(&obj->running))
		violation("%s of %s with %d callbacks running",
			  callback_names[cb], obj->name,
			  atomic_read(&obj->running));
}

static int obj_transit(struct config_group *group, struct config_item *item,
		       enum callback cb)
{
	bool committing = cb == CB_COMMIT;
	struct obj *obj = to_obj(item);
	int ret;

	if (!check_rename(cb, group, item, !committing))
		return -EINVAL;
	check_quiet(cb, obj);
	ret = callback_begin(cb);
	check_quiet(cb, obj);
	if (!ret)
		WRITE_ONCE(obj->live, committing);
	return ret;
}

static int obj_commit_item(struct config_group *group, struct config_item *item)
{
	return obj_transit(group, item, CB_COMMIT);
}

static int obj_uncommit_item(struct config_group *group,
			     struct config_item *item)
{
	return obj_transit(group, item, CB_UNCOMMIT);
}

static int obj_exchange_items(struct config_group *group,
			      struct config_item *live_item,
			      struct config_item *pending_item)
{
	struct obj *live = to_obj(live_item), *pending = to_obj(pending_item);
	int ret;

	if (!check_rename(CB_EXCHANGE, group, live_item, true) ||
	    !check_rename(CB_EXCHANGE, group, pending_item, false))
		return -EINVAL;
	if (strcmp(live->name, pending->name))
		violation("exchange of %s and %s", live->name, pending->name);
	check_quiet(CB_EXCHANGE, live);
	check_quiet(CB_EXCHANGE, pending);
	ret = callback_begin(CB_EXCHANGE);
	check_quiet(CB_EXCHANGE, live);
	check_quiet(CB_EXCHANGE, pending);
	if (!ret) {
		WRITE_ONCE(live->live, false);
		WRITE_ONCE(pending->live, true);
	}
	return ret;
}

static int obj_rename_item(struct config_group *group, struct config_item *item,
			   struct config_group *new_group, const char *new_name)
{
	struct obj *obj = to_obj(item), *new_parent = group_to_obj(new_group);
	int ret;

	if (!check_rename(CB_RENAME, group, item, false))
		return -EINVAL;
	if (!new_parent || new_parent->sub != obj->sub) {
		violation("rename to a group that is not ours");
		return -EINVAL;
	}
	if (new_parent == obj->parent && !strcmp(new_name, obj->name))
		violation("rename of %s to itself", obj->name);
	check_quiet(CB_RENAME, obj);
	ret = callback_begin(CB_RENAME);
	check_quiet(CB_RENAME, obj);
	if (strcmp(config_item_name(item), obj->name))
		violation("%s has its new name before it is renamed",
			  obj->name);
	if (!ret && obj->sub->closing)
		violation("rename in a subsystem that is gone");
	if (!ret) {
		guard(spinlock)(&all_objs_lock);
		obj->parent = new_parent;
		strscpy(obj->name, new_name);
	}
	return ret;
}

/* The same, but not the same: no item can be moved from the one to the other. */
static int obj_other_rename_item(struct config_group *group,
				 struct config_item *item,
				 struct config_group *new_group,
				 const char *new_name)
{
	return obj_rename_item(group, item, new_group, new_name);
}

#define MAKE_ITEM_OPS					\
	.make_item		= obj_make_item,	\
	.disconnect_notify	= obj_disconnect_notify,\
	.drop_item		= obj_drop_item

#define MAKE_GROUP_OPS					\
	.make_group		= obj_make_group,	\
	.disconnect_notify	= obj_disconnect_notify,\
	.drop_item		= obj_drop_item

#define RENAME_OPS					\
	.commit_item		= obj_commit_item,	\
	.uncommit_item		= obj_uncommit_item,	\
	.exchange_items		= obj_exchange_items,	\
	.rename_item		= obj_rename_item

static const struct configfs_group_operations item_committer_ops = {
	MAKE_ITEM_OPS,
	RENAME_OPS,
};

static const struct configfs_group_operations group_committer_ops = {
	MAKE_GROUP_OPS,
	RENAME_OPS,
};

static const struct configfs_group_operations renamer_ops = {
	MAKE_GROUP_OPS,
	.rename_item		= obj_rename_item,
};

static const struct configfs_group_operations other_renamer_ops = {
	MAKE_GROUP_OPS,
	.rename_item		= obj_other_rename_item,
};

static const struct configfs_group_operations item_maker_ops = {
	MAKE_ITEM_OPS,
};

static const struct configfs_group_operations group_maker_ops = {
	MAKE_GROUP_OPS,
};

/* Not const: see "oneway" */
static struct configfs_group_operations oneway_ops = {
	MAKE_ITEM_OPS,
	.commit_item		= obj_commit_item,
};

/*
 * The kinds
 */

#define KIND_TYPE(_ops)						\
	{							\
		.ct_owner	= THIS_MODULE,			\
		.ct_item_ops	= &obj_item_ops,		\
		.ct_group_ops	= _ops,				\
		.ct_attrs	= obj_attrs,			\
	}

static const struct kind leaf = {
	.type = KIND_TYPE(NULL),
};

static const struct kind item_committer = {
	.type = KIND_TYPE(&item_committer_ops),
	.child = &leaf,
};

/* Groups in groups in groups, each of which can be renamed */
static const struct kind box = {
	.type = KIND_TYPE(&renamer_ops),
	.child = &box,
};

static const struct kind other_box = {
	.type = KIND_TYPE(&other_renamer_ops),
	.child = &other_box,
};

/* The same, but not to be renamed */
static const struct kind tree = {
	.type = KIND_TYPE(&group_maker_ops),
	.child = &tree,
};

static const struct kind tree_committer = {
	.type = KIND_TYPE(&group_committer_ops),
	.child = &tree,
};

/* A group that has a committable group as a default group */
static const struct kind nest = {
	.type = KIND_TYPE(NULL),
	.inner = &item_committer,
};

static const struct kind nest_committer = {
	.type = KIND_TYPE(&group_committer_ops),
	.child = &nest,
};

static const struct kind oneway_committer = {
	.type = KIND_TYPE(&oneway_ops),
	.child = &leaf,
};

static const struct kind leaf_maker = {
	.type = KIND_TYPE(&item_maker_ops),
	.child = &leaf,
};

/* The default groups of each subsystem */
static const struct {
	const char *name;
	const struct kind *kind;
} top_groups[] = {
	{ "items",	&item_committer },
	{ "items2",	&item_committer },
	{ "trees",	&tree_committer },
	{ "nests",	&nest_committer },
	{ "oneway",	&oneway_committer },
	{ "boxes",	&box },
	{ "others",	&other_box },
	{ "plain",	&leaf_maker },
};

/*
 * References, dependents and calls
 */

/* Of what a test keeps, whatever becomes of it; protected by refs_lock */
static struct obj *refs[NR_REFS];
static DEFINE_SPINLOCK(refs_lock);

/*
 * The obj of a path, the last made one if there are two, or @N for one that is
 * kept; with a reference.
 */
static struct obj *obj_find(const char *name)
{
	char *path __free(kfree) = NULL;
	struct obj *obj;

	if (name[0] == '@') {
		guard(spinlock)(&refs_lock);
		obj = name[1] >= '0' && name[1] < '0' + NR_REFS ?
		      refs[name[1] - '0'] : NULL;
		if (!obj)
			return ERR_PTR(-ESRCH);
		config_group_get(&obj->group);
		return obj;
	}

	path = kmalloc(PATH_SIZE, GFP_KERNEL);
	if (!path)
		return ERR_PTR(-ENOMEM);
	guard(spinlock)(&all_objs_lock);
	list_for_each_entry(obj, &all_objs, node) {
		/* What is not gone has all its parents */
		if (obj->gone)
			continue;
		obj_path(obj, path);
		if (!strcmp(path, name) &&
		    config_item_get_unless_zero(&obj->group.cg_item))
			return obj;
	}
	/* Not what an exported function returns */
	return ERR_PTR(-ESRCH);
}

static void keep_ref(int n, struct obj *obj)
{
	struct obj *old;

	scoped_guard(spinlock, &refs_lock) {
		old = refs[n];
		refs[n] = obj;
	}
	if (old)
		config_group_put(&old->group);
}

static bool obj_undepend(struct obj *obj)
{
	if (!atomic_add_unless(&obj->dependents, -1, 0))
		return false;
	configfs_undepend_item(&obj->group.cg_item);
	return true;
}

static int depend_on(const char *path)
{
	struct obj *obj = obj_find(path);
	int ret;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ret = configfs_depend_item(&obj->sub->subsys, &obj->group.cg_item);
	if (!ret)
		atomic_inc(&obj->dependents);
	config_group_put(&obj->group);
	return ret;
}

static int undepend_on(const char *path)
{
	struct obj *obj = obj_find(path);
	int ret;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ret = obj_undepend(obj) ? 0 : -EINVAL;
	config_group_put(&obj->group);
	return ret;
}

static void undepend_all(void)
{
	struct obj *obj, *found;

	do {
		found = NULL;
		scoped_guard(spinlock, &all_objs_lock)
			list_for_each_entry(obj, &all_objs, node)
				if (atomic_read(&obj->dependents) &&
				    config_item_get_unless_zero(&obj->group.cg_item)) {
					found = obj;
					break;
				}
		if (found) {
			obj_undepend(found);
			config_group_put(&found->group);
		}
	} while (found);
}

/**
 * struct call - a call of an exported function
 * @function:	which
 * @item:	of what
 * @new_group:	of configfs_rename_item(), else NULL
 * @new_name:	the same
 * @ret:	what it returned
 * @done:	it has
 */
struct call {
	const char *function;
	struct obj *item;
	struct obj *new_group;
	const char *new_name;
	int ret;
	struct completion done;
};

static int do_call(const struct call *call)
{
	struct config_item *item = &call->item->group.cg_item;

	might_sleep();
	if (!strcmp(call->function, "commit"))
		return configfs_commit_item(item);
	if (!strcmp(call->function, "uncommit"))
		return configfs_uncommit_item(item);
	if (!strcmp(call->function, "rename") && call->new_group)
		return configfs_rename_item(item, &call->new_group->group,
					    call->new_name);
	if (!strcmp(call->function, "is_live")) {
		guard(mutex)(&call->item->sub->subsys.su_mutex);
		return config_item_is_live(item);
	}
	return -ENOTTY;
}

static int call_in_kthread(void *arg)
{
	struct call *call = arg;

	call->ret = do_call(call);
	complete(&call->done);
	return 0;
}

static int start_call(struct call *call, bool in_kthread)
{
	struct task_struct *task;

	if (!in_kthread)
		return do_call(call);
	init_completion(&call->done);
	task = kthread_create(call_in_kthread, call, "configfs_api_test");
	if (IS_ERR(task))
		return PTR_ERR(task);
	get_task_struct(task);
	wake_up_process(task);
	wait_for_completion(&call->done);
	/* Until it has left the code of this module */
	kthread_stop_put(task);
	return call->ret;
}

/*
 * FUNCTION direct|kthread ITEM [NEW_GROUP NEW_NAME], with one space in between:
 * the name may be anything, or nothing at all.
 */
static int run_call(const char *buf)
{
	char *args __free(kfree) = kstrdup(buf, GFP_KERNEL), *next = args;
	const char *context, *item, *new_group;
	struct call call = {};
	int ret;

	if (!args)
		return -ENOMEM;
	call.function = strsep(&next, " ");
	context = strsep(&next, " ");
	item = strsep(&next, " ");
	new_group = strsep(&next, " ");
	call.new_name = next;
	if (!item || (new_group && !next))
		return -ENOTTY;

	call.item = obj_find(item);
	if (IS_ERR(call.item))
		return PTR_ERR(call.item);
	if (new_group) {
		call.new_group = obj_find(new_group);
		if (IS_ERR(call.new_group)) {
			config_group_put(&call.item->group);
			return PTR_ERR(call.new_group);
		}
	}
	ret = start_call(&call, !strcmp(context, "kthread"));
	WRITE_ONCE(call_result, ret);
	if (call.new_group)
		config_group_put(&call.new_group->group);
	config_group_put(&call.item->group);
	return ret;
}

/*
 * Subsystems
 */

static DEFINE_MUTEX(register_lock);

static void subsystem_empty(struct sub *sub)
{
	struct config_group *group;

	list_for_each_entry(group, &sub->subsys.su_group.default_groups,
			    group_entry)
		obj_remove_defaults(container_of(group, struct obj, group));
	configfs_remove_default_groups(&sub->subsys.su_group);
}

static int subsystem_register(struct sub *sub)
{
	int ret;

	guard(mutex)(&register_lock);
	if (sub->registered)
		return -EEXIST;
	config_group_init(&sub->subsys.su_group);
	for (int i = 0; i < ARRAY_SIZE(top_groups); i++) {
		struct obj *obj = obj_create(top_groups[i].kind,
					     top_groups[i].name, sub, NULL);

		if (IS_ERR(obj)) {
			subsystem_empty(sub);
			return PTR_ERR(obj);
		}
		configfs_add_default_group(&obj->group, &sub->subsys.su_group);
	}
	scoped_guard(mutex, &sub->subsys.su_mutex)
		sub->closing = false;
	ret = configfs_register_subsystem(&sub->subsys);
	if (ret)
		subsystem_empty(sub);
	else
		sub->registered = true;
	return ret;
}

/* Only when it is empty, which is for the driver to ensure. */
static int subsystem_unregister(struct sub *sub)
{
	guard(mutex)(&register_lock);
	if (!sub->registered)
		return -ENOENT;
	scoped_guard(mutex, &sub->subsys.su_mutex) {
		if (sub->children)
			return -EBUSY;
		sub->closing = true;
	}
	configfs_unregister_subsystem(&sub->subsys);
	subsystem_empty(sub);
	sub->registered = false;
	return 0;
}

/*
 * The files in /sys/kernel/configfs_api_test
 */

#define CONTROL_WO(_name)						\
	static ssize_t _name##_store(struct kobject *kobj,		\
				     struct kobj_attribute *attr,	\
				     const char *buf, size_t len);	\
	static struct kobj_attribute _name##_attr = __ATTR_WO(_name);	\
	static ssize_t _name##_store(struct kobject *kobj,		\
				     struct kobj_attribute *attr,	\
				     const char *buf, size_t len)

#define CONTROL_RO(_name)						\
	static ssize_t _name##_show(struct kobject *kobj,		\
				    struct kobj_attribute *attr,	\
				    char *buf);				\
	static struct kobj_attribute _name##_attr = __ATTR_RO(_name);	\
	static ssize_t _name##_show(struct kobject *kobj,		\
				    struct kobj_attribute *attr, char *buf)

/* CALLBACK ERRNO DELAY HOLD */
CONTROL_WO(knob)
{
	char name[16];
	int error, delay, hold, cb;

	if (sscanf(buf, "%15s %d %d %d", name, &error, &delay, &hold) != 4)
		return -EINVAL;
	cb = match_string(callback_names, NR_CALLBACKS, name);
	if (cb < 0)
		return cb;
	WRITE_ONCE(knobs[cb].error, error);
	WRITE_ONCE(knobs[cb].delay_ms, delay);
	WRITE_ONCE(knobs[cb].hold, hold);
	wake_up_all(&hold_queue);
	return len;
}

CONTROL_RO(counters)
{
	int len = 0;

	for (int i = 0; i < NR_CALLBACKS; i++)
		len += sysfs_emit_at(buf, len, "%s %d\n", callback_names[i],
				     atomic_read(&calls[i]));
	len += sysfs_emit_at(buf, len, "result %d\n", READ_ONCE(call_result));
	len += sysfs_emit_at(buf, len, "objects %d\n",
			     atomic_read(&nr_objects));
	len += sysfs_emit_at(buf, len, "violations %d\n",
			     atomic_read(&nr_violations));
	return len;
}

static void reset_all(void)
{
	undepend_all();
	for (int i = 0; i < NR_REFS; i++)
		keep_ref(i, NULL);
	for (int i = 0; i < NR_CALLBACKS; i++) {
		WRITE_ONCE(knobs[i].error, 0);
		WRITE_ONCE(knobs[i].delay_ms, 0);
		WRITE_ONCE(knobs[i].hold, false);
		kfree(xchg(&knobs[i].call, NULL));
		atomic_set(&calls[i], 0);
	}
	WRITE_ONCE(call_result, 0);
	wake_up_all(&hold_queue);
}

CONTROL_WO(reset)
{
	reset_all();
	atomic_set(&nr_violations, 0);
	return len;
}

/*
 * Whether uncommit_item is absent where it can be: 1 or 0. Without it nothing
 * could ever clean up behind a test.
 */
CONTROL_WO(oneway)
{
	bool on;
	int ret = kstrtobool(buf, &on);

	if (ret)
		return ret;
	WRITE_ONCE(oneway_ops.uncommit_item, on ? NULL : obj_uncommit_item);
	return len;
}

CONTROL_WO(depend)
{
	return depend_on(buf) ?: len;
}

CONTROL_WO(undepend)
{
	return undepend_on(buf) ?: len;
}

/* N PATH: keep a reference, as @N */
CONTROL_WO(keep)
{
	struct obj *obj;

	if (buf[0] < '0' || buf[0] >= '0' + NR_REFS || buf[1] != ' ')
		return -EINVAL;
	obj = obj_find(buf + 2);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	keep_ref(buf[0] - '0', obj);
	return len;
}

/* Which function is called, how, and for what: see run_call() */
CONTROL_WO(call)
{
	int ret = run_call(buf);

	return ret < 0 ? ret : len;
}

/* CALLBACK CALL: the next time, the callback does what is said of "call" */
CONTROL_WO(call_in)
{
	const char *call = strchr(buf, ' ');
	char name[16], *copy;
	int cb;

	if (!call || sscanf(buf, "%15s", name) != 1)
		return -EINVAL;
	cb = match_string(callback_names, NR_CALLBACKS, name);
	if (cb < 0)
		return cb;
	copy = kstrdup(call + 1, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	kfree(xchg(&knobs[cb].call, copy));
	return len;
}

static int which_sub(const char *buf, struct sub **sub)
{
	unsigned int n;
	int ret = kstrtouint(buf, 0, &n);

	if (ret)
		return ret;
	if (n >= ARRAY_SIZE(subs))
		return -EINVAL;
	*sub = &subs[n];
	return 0;
}

/* The number of a subsystem */
CONTROL_WO(register)
{
	struct sub *sub;

	return which_sub(buf, &sub) ?: subsystem_register(sub) ?: len;
}

CONTROL_WO(unregister)
{
	struct sub *sub;

	return which_sub(buf, &sub) ?: subsystem_unregister(sub) ?: len;
}

static struct attribute *control_file_attrs[] = {
	&knob_attr.attr,
	&counters_attr.attr,
	&reset_attr.attr,
	&oneway_attr.attr,
	&depend_attr.attr,
	&undepend_attr.attr,
	&keep_attr.attr,
	&call_attr.attr,
	&call_in_attr.attr,
	&register_attr.attr,
	&unregister_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(control_file);

static struct kobject *control_kobj;

/*
 * Loading and unloading
 */

static int __init configfs_api_test_init(void)
{
	int ret;

	/* Once: whoever has a reference may lock it, registered or not. */
	for (int i = 0; i < ARRAY_SIZE(subs); i++)
		mutex_init(&subs[i].subsys.su_mutex);
	ret = subsystem_register(&subs[0]);
	if (ret)
		return ret;
	ret = subsystem_register(&subs[1]);
	if (ret)
		goto err_first;

	ret = -ENOMEM;
	control_kobj = kobject_create_and_add("configfs_api_test", kernel_kobj);
	if (!control_kobj)
		goto err_second;
	ret = sysfs_create_groups(control_kobj, control_file_groups);
	if (ret)
		goto err_kobj;
	return 0;

err_kobj:
	kobject_put(control_kobj);
err_second:
	subsystem_unregister(&subs[1]);
err_first:
	subsystem_unregister(&subs[0]);
	return ret;
}

static void __exit configfs_api_test_exit(void)
{
	sysfs_remove_groups(control_kobj, control_file_groups);
	kobject_put(control_kobj);
	reset_all();
	for (int i = 0; i < ARRAY_SIZE(subs); i++)
		if (subs[i].registered && subsystem_unregister(&subs[i]))
			violation("subsystem %d is not empty", i);
	if (atomic_read(&nr_objects))
		violation("%d objects are left", atomic_read(&nr_objects));
}

module_init(configfs_api_test_init);
module_exit(configfs_api_test_exit);
MODULE_DESCRIPTION("Driver of the configfs selftests of the exported functions");
MODULE_LICENSE("GPL");
