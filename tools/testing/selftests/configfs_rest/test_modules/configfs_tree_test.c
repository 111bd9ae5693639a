// SPDX-License-Identifier: GPL-2.0
/*
 * The driver of the configfs selftest of whole subtrees, tree_test.
 *
 * Its subsystem, configfs_tree_test, has a group in which userspace makes trees:
 * groups with default groups, nested and beside each other, in some of which it
 * makes items and further trees. The same tree can be registered as a group, and
 * as a subsystem of its own. The driver counts what configfs calls, checks that
 * each callback comes when it may, and is as slow or as unwilling as a test wants
 * it to be. The tests steer it through /sys/kernel/configfs_tree_test.
 *
 * Nothing here needs more of configfs than what it has always had, so that the
 * same test can be run on kernels of any age.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/configfs.h>
#include <linux/delay.h>
#include <linux/kobject.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/wait.h>

#define VALUE_MAX	64
#define BLOB_MAX	256
#define NAME_SIZE	64
#define PATH_SIZE	512
#define EVENTS_SIZE	(PAGE_SIZE - 64)
#define MAX_DEPTH	24
#define NR_DEFAULTS	3
/* Long enough for a test, short enough for the hung task detector */
#define HOLD_TIMEOUT	(20 * HZ)

enum callback {
	CB_VISIBLE,
	CB_MAKE,
	CB_DISCONNECT,
	CB_DROP,
	CB_RELEASE,
	CB_SHOW,
	CB_STORE,
	CB_BIN_READ,
	CB_BIN_WRITE,
	CB_ALLOW_LINK,
	CB_DROP_LINK,
	NR_CALLBACKS
};

static const char * const callback_names[NR_CALLBACKS] = {
	[CB_VISIBLE]	= "visible",
	[CB_MAKE]	= "make",
	[CB_DISCONNECT]	= "disconnect",
	[CB_DROP]	= "drop",
	[CB_RELEASE]	= "release",
	[CB_SHOW]	= "show",
	[CB_STORE]	= "store",
	[CB_BIN_READ]	= "bin_read",
	[CB_BIN_WRITE]	= "bin_write",
	[CB_ALLOW_LINK]	= "allow_link",
	[CB_DROP_LINK]	= "drop_link",
};

/**
 * struct knob - how a callback behaves
 * @error:	the errno it returns, 0 for success
 * @delay_ms:	how long it takes
 * @hold:	it does not return before this is cleared
 * @name:	all this for objects of this name only, if there is one
 */
struct knob {
	int error;
	int delay_ms;
	bool hold;
	char name[NAME_SIZE];
};

static struct knob knobs[NR_CALLBACKS];
static DECLARE_WAIT_QUEUE_HEAD(hold_queue);
static atomic_t calls[NR_CALLBACKS];
static atomic_t nr_objects;
static atomic_t nr_violations;
static atomic_t nr_late_targets;

/**
 * struct node - what is remembered of an object, for as long as anybody asks
 * @ref:	references; each node has one on its parent
 * @parent:	of the object this one is in
 * @running:	callbacks under way, here and below
 * @links:	that are here and below
 * @below:	how many have been made below; protected by su_mutex
 * @made:	configfs has it from a make_item() or make_group()
 * @gone:	disconnected or unregistered: no callback comes any more
 * @dropped:	drop_item() was called
 * @closing:	nothing is made in it any more; protected by su_mutex
 * @name:	its name
 */
struct node {
	struct kref ref;
	struct node *parent;
	atomic_t running;
	atomic_t links;
	int below;
	bool made;
	bool gone;
	bool dropped;
	bool closing;
	char name[NAME_SIZE];
};

struct kind;

/**
 * struct obj - every group and item of this driver
 * @link:	in all_objs
 * @kind:	what it is
 * @node:	what outlives it
 * @subsys:	where it is
 * @parent:	the item it is in, NULL for a subsystem
 * @defaults:	its default groups
 * @own:	its group is what configfs sees; of a plain item only the cg_item
 *		in that. The rest is for one that is registered as a subsystem.
 * @dependents:	calls of configfs_depend_item() to be undone
 * @lock:	protects @value, @blob and @blob_len
 * @value:	attribute
 * @blob:	binary attribute
 * @blob_len:	its length
 */
struct obj {
	struct list_head link;
	const struct kind *kind;
	struct node *node;
	struct configfs_subsystem *subsys;
	struct config_item *parent;
	struct obj *defaults[NR_DEFAULTS];
	struct configfs_subsystem own;
	atomic_t dependents;
	struct mutex lock;	/* of the attributes' values */
	char value[VALUE_MAX];
	size_t blob_len;
	char blob[BLOB_MAX];
};

/**
 * struct kind - what sort of objects there are
 * @type:	for configfs
 * @child:	what mkdir makes in it, if anything
 * @defaults:	the default groups it comes with
 */
struct kind {
	struct config_item_type type;
	const struct kind *child;
	struct {
		const char *name;
		const struct kind *kind;
	} defaults[NR_DEFAULTS];
};

static LIST_HEAD(all_objs);
static DEFINE_SPINLOCK(all_objs_lock);

static DEFINE_SPINLOCK(event_lock);
static char events[EVENTS_SIZE];
static size_t events_len;

static const struct config_item_type subsys_type = {
	.ct_owner = THIS_MODULE,
};

static struct configfs_subsystem main_subsys = {
	.su_group.cg_item = {
		.ci_namebuf = KBUILD_MODNAME,
		.ci_type = &subsys_type,
	},
};

#define violation(fmt, ...) do {				\
	atomic_inc(&nr_violations);				\
	pr_err("violation: " fmt "\n", ##__VA_ARGS__);		\
} while (0)

/*
 * Objects
 */

static void node_release(struct kref *ref)
{
	kfree(container_of(ref, struct node, ref));
}

static void node_put(struct node *node)
{
	while (node) {
		struct node *parent = node->parent;

		if (!kref_put(&node->ref, node_release))
			return;
		node = parent;
	}
}

static void node_path(const struct node *node, char *buf)
{
	const struct node *up[MAX_DEPTH];
	int n = 0, len = 0;

	for (; node && n < ARRAY_SIZE(up); node = node->parent)
		up[n++] = node;
	while (n--)
		len += scnprintf(buf + len, PATH_SIZE - len, "%s%s",
				 len ? "/" : "", up[n]->name);
}

/* Whether @group is one of ours, without looking into it. */
static struct obj *group_to_obj(const struct config_group *group)
{
	struct obj *obj;

	guard(spinlock)(&all_objs_lock);
	list_for_each_entry(obj, &all_objs, link)
		if (&obj->own.su_group == group)
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
	return container_of(to_config_group(item), struct obj, own.su_group);
}

static struct config_item *obj_item(struct obj *obj)
{
	return &obj->own.su_group.cg_item;
}

/*
 * Callbacks: count, log, and do what the knobs say
 */

static void event(char what, enum callback cb, const struct node *node)
{
	char *path;

	if (READ_ONCE(events_len) >= EVENTS_SIZE - 1)
		return;
	path = kmalloc(PATH_SIZE, GFP_KERNEL);
	if (!path)
		return;
	node_path(node, path);
	scoped_guard(spinlock, &event_lock)
		events_len += scnprintf(events + events_len,
					EVENTS_SIZE - events_len, "%c%s %s\n",
					what, callback_names[cb], path);
	kfree(path);
}

static int callback_begin(enum callback cb, const struct node *node)
{
	struct knob *knob = &knobs[cb];

	atomic_inc(&calls[cb]);
	event('+', cb, node);
	if (knob->name[0] && strcmp(knob->name, node->name))
		return 0;
	if (READ_ONCE(knob->delay_ms))
		msleep(READ_ONCE(knob->delay_ms));
	if (!wait_event_timeout(hold_queue, !READ_ONCE(knob->hold),
				HOLD_TIMEOUT))
		violation("%s is held for ever", callback_names[cb]);
	return -READ_ONCE(knob->error);
}

static void callback_end(enum callback cb, const struct node *node, int ret)
{
	event(ret < 0 ? '!' : '-', cb, node);
}

/* Nothing is called for what has been disconnected, nor for what is in there. */
static void check_not_gone(enum callback cb, const struct node *node)
{
	const struct node *up;

	for (up = node; up; up = up->parent)
		if (READ_ONCE(up->gone))
			violation("%s of %s after the disconnect of %s",
				  callback_names[cb], node->name, up->name);
}

/* Where configfs says that the object is */
static void check_place(enum callback cb, const struct obj *obj,
			struct config_item *item)
{
	const struct config_group *group = item->ci_group;

	if (!item->ci_parent || !group || item->ci_parent != &group->cg_item)
		violation("%s of %s, which is nowhere", callback_names[cb],
			  obj->node->name);
	else if (obj->parent && item->ci_parent != obj->parent)
		violation("%s of %s, which is elsewhere", callback_names[cb],
			  obj->node->name);
	/* Without memory for its name it has none, and gets no directory */
	if (cb == CB_DISCONNECT && !item->ci_dentry &&
	    !*config_item_name(item))
		return;
	if (!config_item_name(item) ||
	    strcmp(config_item_name(item), obj->node->name))
		violation("%s of %s, which has another name",
			  callback_names[cb], obj->node->name);
}

/* A callback that must be over before the object is disconnected */
static int obj_begin(enum callback cb, struct obj *obj)
{
	struct node *up;

	for (up = obj->node; up; up = up->parent)
		atomic_inc(&up->running);
	/* Either we see that it is gone, or who makes it so sees us */
	smp_mb__after_atomic();
	check_not_gone(cb, obj->node);
	check_place(cb, obj, obj_item(obj));
	return callback_begin(cb, obj->node);
}

static ssize_t obj_end(enum callback cb, struct obj *obj, ssize_t ret)
{
	struct node *up;

	check_not_gone(cb, obj->node);
	check_place(cb, obj, obj_item(obj));
	callback_end(cb, obj->node, ret < 0 ? -1 : 0);
	for (up = obj->node; up; up = up->parent)
		atomic_dec(&up->running);
	return ret;
}

/*
 * Attributes
 */

static ssize_t obj_value_show(struct config_item *item, char *page)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = obj_begin(CB_SHOW, obj);

	if (!ret) {
		guard(mutex)(&obj->lock);
		ret = sysfs_emit(page, "%s\n", obj->value);
	}
	return obj_end(CB_SHOW, obj, ret);
}

static ssize_t obj_value_store(struct config_item *item, const char *page,
			       size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = obj_begin(CB_STORE, obj);

	if (!ret && len >= VALUE_MAX)
		ret = -EINVAL;
	if (!ret) {
		guard(mutex)(&obj->lock);
		strscpy(obj->value, page);
		strim(obj->value);
		ret = len;
	}
	return obj_end(CB_STORE, obj, ret);
}
CONFIGFS_ATTR(obj_, value);

static ssize_t obj_ro_show(struct config_item *item, char *page)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = obj_begin(CB_SHOW, obj);

	if (!ret)
		ret = sysfs_emit(page, "%s\n", obj->node->name);
	return obj_end(CB_SHOW, obj, ret);
}
CONFIGFS_ATTR_RO(obj_, ro);

static ssize_t obj_hidden_show(struct config_item *item, char *page)
{
	violation("somebody reads what is not visible");
	return -EIO;
}
CONFIGFS_ATTR_RO(obj_, hidden);

static ssize_t obj_blob_read(struct config_item *item, void *data, size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = obj_begin(CB_BIN_READ, obj);

	if (!ret) {
		guard(mutex)(&obj->lock);
		ret = obj->blob_len;
		if (data) {
			ret = min(len, obj->blob_len);
			memcpy(data, obj->blob, ret);
		}
	}
	return obj_end(CB_BIN_READ, obj, ret);
}

static ssize_t obj_blob_write(struct config_item *item, const void *data,
			      size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = obj_begin(CB_BIN_WRITE, obj);

	if (!ret && len > BLOB_MAX)
		ret = -EFBIG;
	if (!ret) {
		guard(mutex)(&obj->lock);
		memcpy(obj->blob, data, len);
		obj->blob_len = len;
		ret = len;
	}
	return obj_end(CB_BIN_WRITE, obj, ret);
}
CONFIGFS_BIN_ATTR(obj_, blob, NULL, BLOB_MAX);

static ssize_t obj_hidden_blob_read(struct config_item *item, void *data,
				    size_t len)
{
	violation("somebody reads what is not visible");
	return -EIO;
}
CONFIGFS_BIN_ATTR_RO(obj_, hidden_blob, NULL, BLOB_MAX);

static struct configfs_attribute *obj_attrs[] = {
	&obj_attr_value,
	&obj_attr_hidden,
	&obj_attr_ro,
	NULL
};

static struct configfs_bin_attribute *obj_bin_attrs[] = {
	&obj_attr_blob,
	&obj_attr_hidden_blob,
	NULL
};

/* Once in each directory, which so can be caught in the middle of being made */
static bool obj_is_visible(struct config_item *item,
			   struct configfs_attribute *attr, int n)
{
	struct obj *obj = to_obj(item);

	if (n >= ARRAY_SIZE(obj_attrs) - 1 || obj_attrs[n] != attr)
		violation("is_visible of attribute %d of %s", n,
			  obj->node->name);
	if (attr == &obj_attr_value) {
		obj_begin(CB_VISIBLE, obj);
		obj_end(CB_VISIBLE, obj, 0);
	}
	return attr != &obj_attr_hidden;
}

static bool obj_is_bin_visible(struct config_item *item,
			       struct configfs_bin_attribute *attr, int n)
{
	if (n >= ARRAY_SIZE(obj_bin_attrs) - 1 || obj_bin_attrs[n] != attr)
		violation("is_bin_visible of attribute %d", n);
	return attr != &obj_attr_hidden_blob;
}

/*
 * Links
 */

/* The item of a link's source does not leave before the link does. */
static int obj_link(enum callback cb, struct config_item *src_item,
		    struct config_item *target_item, int how)
{
	struct obj *src = to_obj(src_item);
	struct obj *target = item_to_obj(target_item);
	const struct node *up;
	int ret;

	if (!target)
		violation("%s with a target that is not ours",
			  callback_names[cb]);
	/*
	 * configfs holds a reference on the target, but who is on the way to
	 * make a link does not keep it from being removed.
	 */
	for (up = target ? target->node : NULL; up; up = up->parent)
		if (READ_ONCE(up->gone))
			atomic_inc(&nr_late_targets);

	ret = obj_begin(cb, src);
	if (!ret)
		for (struct node *n = src->node; n; n = n->parent)
			if (atomic_add_return(how, &n->links) < 0)
				violation("%s without a link in %s",
					  callback_names[cb], n->name);
	return obj_end(cb, src, ret);
}

static int obj_allow_link(struct config_item *src_item,
			  struct config_item *target_item)
{
	return obj_link(CB_ALLOW_LINK, src_item, target_item, 1);
}

static void obj_drop_link(struct config_item *src_item,
			  struct config_item *target_item)
{
	obj_link(CB_DROP_LINK, src_item, target_item, -1);
}

static void obj_release(struct config_item *item)
{
	struct obj *obj = to_obj(item);
	struct node *node = obj->node;

	atomic_inc(&calls[CB_RELEASE]);
	event('+', CB_RELEASE, node);
	if (node->made && !node->dropped)
		violation("%s is released and not dropped", node->name);
	if (atomic_read(&node->running))
		violation("%s is released with %d callbacks running",
			  node->name, atomic_read(&node->running));
	if (atomic_read(&obj->dependents))
		violation("%s is released with %d dependents", node->name,
			  atomic_read(&obj->dependents));
	if (item->ci_parent || item->ci_group)
		violation("%s is released and still linked", node->name);
	scoped_guard(spinlock, &all_objs_lock)
		list_del(&obj->link);
	atomic_dec(&nr_objects);
	node_put(node);
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

/* Drop the default groups, deepest first. */
static void obj_remove_defaults(struct obj *obj)
{
	for (int i = 0; i < NR_DEFAULTS && obj->defaults[i]; i++)
		obj_remove_defaults(obj->defaults[i]);
	configfs_remove_default_groups(&obj->own.su_group);
	/* One without a type would never be released */
	obj_item(obj)->ci_type = &obj->kind->type;
}

static void obj_put(struct obj *obj)
{
	obj_remove_defaults(obj);
	config_item_put(obj_item(obj));
}

/* In the subsystem @subsys, or, if that is NULL, as one. */
static struct obj *obj_create(const struct kind *kind, const char *name,
			      struct configfs_subsystem *subsys,
			      struct node *parent_node,
			      struct config_item *parent)
{
	struct node *node;
	struct obj *obj;

	if (strlen(name) >= NAME_SIZE)
		return ERR_PTR(-ENAMETOOLONG);
	obj = kzalloc_obj(*obj);
	node = kzalloc_obj(*node);
	if (!obj || !node) {
		kfree(obj);
		kfree(node);
		return ERR_PTR(-ENOMEM);
	}
	kref_init(&node->ref);
	strscpy(node->name, name);
	node->parent = parent_node;
	if (parent_node)
		kref_get(&parent_node->ref);
	obj->node = node;
	obj->kind = kind;
	obj->subsys = subsys ?: &obj->own;
	obj->parent = parent;
	mutex_init(&obj->own.su_mutex);
	mutex_init(&obj->lock);
	strscpy(obj->value, "initial");
	config_group_init_type_name(&obj->own.su_group, name, &kind->type);
	atomic_inc(&nr_objects);
	scoped_guard(spinlock, &all_objs_lock)
		list_add_tail(&obj->link, &all_objs);

	for (int i = 0; i < NR_DEFAULTS && kind->defaults[i].kind; i++) {
		struct obj *d = obj_create(kind->defaults[i].kind,
					   kind->defaults[i].name, obj->subsys,
					   node, obj_item(obj));

		if (IS_ERR(d)) {
			obj_put(obj);
			return d;
		}
		obj->defaults[i] = d;
		configfs_add_default_group(&d->own.su_group,
					   &obj->own.su_group);
	}
	return obj;
}

static void check_su_mutex(enum callback cb, struct obj *obj)
{
	struct mutex *mutex = &obj->subsys->su_mutex;
	bool held = mutex_is_locked(mutex);

	/* By us, if there is somebody who knows */
	if (IS_ENABLED(CONFIG_LOCKDEP) && debug_locks)
		held = lockdep_is_held(mutex);
	if (!held)
		violation("%s without su_mutex", callback_names[cb]);
}

static bool node_is_closing(const struct node *node)
{
	for (; node; node = node->parent)
		if (node->closing)
			return true;
	return false;
}

/* A tree named "bad" has a default group, the deepest, that configfs refuses. */
static void obj_spoil(struct obj *obj)
{
	while (obj->defaults[0])
		obj = obj->defaults[0];
	obj_item(obj)->ci_type = NULL;
}

static struct obj *obj_make(struct config_group *group, const char *name)
{
	struct obj *parent = group_to_obj(group), *obj;
	struct node *up;
	int ret;

	if (!parent) {
		violation("make in a group that is not ours");
		return ERR_PTR(-EINVAL);
	}
	check_su_mutex(CB_MAKE, parent);
	if (group->cg_subsys != parent->subsys)
		violation("make in another subsystem");
	ret = obj_begin(CB_MAKE, parent);
	if (!ret && node_is_closing(parent->node))
		ret = -ENODEV;
	obj = ret ? ERR_PTR(ret) : obj_create(parent->kind->child, name,
					      parent->subsys, parent->node,
					      obj_item(parent));
	if (!IS_ERR(obj)) {
		obj->node->made = true;
		for (up = parent->node; up; up = up->parent)
			up->below++;
		if (!strcmp(name, "bad"))
			obj_spoil(obj);
	}
	obj_end(CB_MAKE, parent, PTR_ERR_OR_ZERO(obj));
	return obj;
}

static struct config_item *obj_make_item(struct config_group *group,
					 const char *name)
{
	struct obj *obj = obj_make(group, name);

	return IS_ERR(obj) ? ERR_CAST(obj) : obj_item(obj);
}

static struct config_group *obj_make_group(struct config_group *group,
					   const char *name)
{
	struct obj *obj = obj_make(group, name);

	return IS_ERR(obj) ? ERR_CAST(obj) : &obj->own.su_group;
}

static int obj_dependents(struct obj *obj)
{
	int n = atomic_read(&obj->dependents);

	for (int i = 0; i < NR_DEFAULTS && obj->defaults[i]; i++)
		n += obj_dependents(obj->defaults[i]);
	return n;
}

static void obj_forget_dependents(struct obj *obj)
{
	atomic_set(&obj->dependents, 0);
	for (int i = 0; i < NR_DEFAULTS && obj->defaults[i]; i++)
		obj_forget_dependents(obj->defaults[i]);
}

/* What goes takes nothing with it that is in use or somebody else's. */
static void check_alone(const char *what, struct obj *obj)
{
	struct node *node = obj->node;

	if (atomic_read(&node->running))
		violation("%s of %s with %d callbacks running", what,
			  node->name, atomic_read(&node->running));
	if (node->below)
		violation("%s of %s before that of %d below", what, node->name,
			  node->below);
	if (atomic_read(&node->links))
		violation("%s of %s with %d links in it", what, node->name,
			  atomic_read(&node->links));
	if (obj_dependents(obj)) {
		violation("%s of %s with %d dependents", what, node->name,
			  obj_dependents(obj));
		obj_forget_dependents(obj);
	}
}

/* The object that leaves, if it is one that may. */
static struct obj *obj_leave(enum callback cb, struct config_group *group,
			     struct config_item *item)
{
	struct obj *parent = group_to_obj(group), *obj = item_to_obj(item);

	if (!parent || !obj || obj->parent != &group->cg_item) {
		violation("%s of an item that is not the group's",
			  callback_names[cb]);
		return NULL;
	}
	check_su_mutex(cb, obj);
	check_not_gone(cb, parent->node);
	if (!obj->node->made || obj->node->dropped)
		violation("%s of %s, which is not there", callback_names[cb],
			  obj->node->name);
	return obj;
}

static void obj_disconnect_notify(struct config_group *group,
				  struct config_item *item)
{
	struct obj *obj = obj_leave(CB_DISCONNECT, group, item);
	struct node *node;

	if (!obj)
		return;
	node = obj->node;
	check_place(CB_DISCONNECT, obj, item);
	if (node->gone)
		violation("disconnect of %s twice", node->name);
	WRITE_ONCE(node->gone, true);
	/* Pairs with that of obj_begin() */
	smp_mb();
	check_alone("disconnect", obj);
	callback_begin(CB_DISCONNECT, node);
	check_alone("end of disconnect", obj);
	callback_end(CB_DISCONNECT, node, 0);
}

static void obj_drop_item(struct config_group *group, struct config_item *item)
{
	struct obj *obj = obj_leave(CB_DROP, group, item);
	struct node *node, *up;

	if (!obj)
		return;
	node = obj->node;
	kref_get(&node->ref);
	if (!node->gone)
		violation("drop of %s, which is not disconnected", node->name);
	if (item->ci_parent || item->ci_group || !list_empty(&item->ci_entry))
		violation("drop of %s, which is linked", node->name);
	check_alone("drop", obj);
	callback_begin(CB_DROP, node);
	check_alone("end of drop", obj);
	for (up = node->parent; up; up = up->parent)
		up->below--;
	node->dropped = true;
	callback_end(CB_DROP, node, 0);
	obj_put(obj);
	node_put(node);
}

#define VISIBLE_OPS							\
	.is_visible		= obj_is_visible,			\
	.is_bin_visible		= obj_is_bin_visible

static const struct configfs_group_operations no_maker_ops = {
	VISIBLE_OPS,
};

static const struct configfs_group_operations item_maker_ops = {
	.make_item		= obj_make_item,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	VISIBLE_OPS,
};

static const struct configfs_group_operations group_maker_ops = {
	.make_group		= obj_make_group,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	VISIBLE_OPS,
};

/*
 * Dependents
 */

/* Find an object by its path, and get a reference. */
static struct obj *obj_find(const char *buf)
{
	char *path __free(kfree) = kmalloc(PATH_SIZE, GFP_KERNEL);
	size_t len = strcspn(buf, "\n");
	struct obj *obj;

	if (!path)
		return ERR_PTR(-ENOMEM);
	guard(spinlock)(&all_objs_lock);
	list_for_each_entry(obj, &all_objs, link) {
		node_path(obj->node, path);
		if (strlen(path) == len && !memcmp(path, buf, len) &&
		    config_item_get_unless_zero(obj_item(obj)))
			return obj;
	}
	return ERR_PTR(-ENOENT);
}

static bool obj_undepend(struct obj *obj)
{
	if (!atomic_add_unless(&obj->dependents, -1, 0))
		return false;
	configfs_undepend_item(obj_item(obj));
	return true;
}

static void undepend_all(void)
{
	struct obj *obj, *found;

	do {
		found = NULL;
		scoped_guard(spinlock, &all_objs_lock)
			list_for_each_entry(obj, &all_objs, link)
				if (atomic_read(&obj->dependents) &&
				    config_item_get_unless_zero(obj_item(obj))) {
					found = obj;
					break;
				}
		if (found) {
			obj_undepend(found);
			config_item_put(obj_item(found));
		}
	} while (found);
}

/*
 * The kinds
 */

#define KIND_TYPE(_ops)						\
	{							\
		.ct_owner	= THIS_MODULE,			\
		.ct_item_ops	= &obj_item_ops,		\
		.ct_group_ops	= _ops,				\
		.ct_attrs	= obj_attrs,			\
		.ct_bin_attrs	= obj_bin_attrs,		\
	}

/* A plain item, or a group in which nothing is made */
static const struct kind leaf = {
	.type = KIND_TYPE(&no_maker_ops),
};

static const struct kind leaf_maker = {
	.type = KIND_TYPE(&item_maker_ops),
	.child = &leaf,
};

static const struct kind tree;

static const struct kind tree_maker = {
	.type = KIND_TYPE(&group_maker_ops),
	.child = &tree,
};

static const struct kind tree_a_b = {
	.type = KIND_TYPE(&group_maker_ops),
	.child = &tree,
	.defaults = { { "c", &leaf_maker } },
};

static const struct kind tree_a = {
	.type = KIND_TYPE(&item_maker_ops),
	.child = &leaf,
	.defaults = { { "b", &tree_a_b }, { "b2", &leaf } },
};

static const struct kind tree_e = {
	.type = KIND_TYPE(&no_maker_ops),
	.defaults = { { "f", &leaf_maker } },
};

/* a/b/c, a/b2, d and e/f; trees are made in a/b and in d, items in the others */
static const struct kind tree = {
	.type = KIND_TYPE(&item_maker_ops),
	.child = &leaf,
	.defaults = { { "a", &tree_a }, { "d", &tree_maker }, { "e", &tree_e } },
};

/* The default groups of the subsystem */
static const struct {
	const char *name;
	const struct kind *kind;
} top_groups[] = {
	{ "trees",	&tree_maker },
	{ "items",	&leaf_maker },
};

static struct obj *top_objs[ARRAY_SIZE(top_groups)];
static struct node *main_node;

/*
 * What comes and goes while the module is there
 */

static DEFINE_MUTEX(dyn_lock);
static struct obj *dyn;
static struct config_item *dyn_parent;
static struct obj *third;

/* Nothing is made in @obj any more, unless something is there already. */
static int obj_close(struct obj *obj)
{
	guard(mutex)(&obj->subsys->su_mutex);
	if (obj->node->below)
		return -EBUSY;
	obj->node->closing = true;
	return 0;
}

/* It has been unregistered. */
static void obj_gone(struct obj *obj)
{
	WRITE_ONCE(obj->node->gone, true);
	/* Pairs with that of obj_begin() */
	smp_mb();
	check_alone("unregistering", obj);
	obj_put(obj);
}

/* @path is that of the parent: in the subsystem, or "." */
static int dyn_register(const char *path, const char *name)
{
	char *full __free(kfree) = kasprintf(GFP_KERNEL, "%s/%s", KBUILD_MODNAME,
					     path);
	struct config_item *parent = &main_subsys.su_group.cg_item;
	struct node *parent_node = main_node;
	struct obj *obj;
	int ret;

	if (!full)
		return -ENOMEM;
	guard(mutex)(&dyn_lock);
	if (dyn)
		return -EALREADY;
	if (strcmp(path, ".")) {
		obj = obj_find(full);
		if (IS_ERR(obj))
			return PTR_ERR(obj);
		parent = obj_item(obj);
		parent_node = obj->node;
	} else {
		config_item_get(parent);
	}
	obj = obj_create(&tree, name, &main_subsys, parent_node, parent);
	ret = PTR_ERR_OR_ZERO(obj);
	if (!ret) {
		ret = configfs_register_group(to_config_group(parent),
					      &obj->own.su_group);
		if (ret)
			obj_put(obj);
	}
	if (ret) {
		config_item_put(parent);
	} else {
		dyn = obj;
		dyn_parent = parent;
	}
	return ret;
}

/* Unregistering is for empty groups only, which is for the driver to ensure. */
static int dyn_unregister(void)
{
	int ret;

	guard(mutex)(&dyn_lock);
	if (!dyn)
		return -ENOENT;
	ret = obj_close(dyn);
	if (ret)
		return ret;
	configfs_unregister_group(&dyn->own.su_group);
	obj_gone(dyn);
	dyn = NULL;
	config_item_put(dyn_parent);
	return 0;
}

static int third_register(const char *name)
{
	struct obj *obj;
	int ret;

	guard(mutex)(&dyn_lock);
	if (third)
		return -EALREADY;
	obj = obj_create(&tree, name, NULL, NULL, NULL);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ret = configfs_register_subsystem(&obj->own);
	if (ret)
		obj_put(obj);
	else
		third = obj;
	return ret;
}

static int third_unregister(void)
{
	int ret;

	guard(mutex)(&dyn_lock);
	if (!third)
		return -ENOENT;
	ret = obj_close(third);
	if (ret)
		return ret;
	configfs_unregister_subsystem(&third->own);
	obj_gone(third);
	third = NULL;
	return 0;
}

/*
 * The files in /sys/kernel/configfs_tree_test
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

/* CALLBACK ERRNO DELAY HOLD [NAME] */
CONTROL_WO(knob)
{
	char name[16], object[NAME_SIZE] = "";
	int error, delay, hold, cb;

	if (sscanf(buf, "%15s %d %d %d %63s", name, &error, &delay, &hold,
		   object) < 4)
		return -EINVAL;
	cb = match_string(callback_names, NR_CALLBACKS, name);
	if (cb < 0)
		return cb;
	strscpy(knobs[cb].name, object);
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
	len += sysfs_emit_at(buf, len, "objects %d\n",
			     atomic_read(&nr_objects));
	len += sysfs_emit_at(buf, len, "late_targets %d\n",
			     atomic_read(&nr_late_targets));
	len += sysfs_emit_at(buf, len, "violations %d\n",
			     atomic_read(&nr_violations));
	return len;
}

/* What was called since the last reset, in order, as long as it fits */
CONTROL_RO(events)
{
	guard(spinlock)(&event_lock);
	memcpy(buf, events, events_len);
	return events_len;
}

CONTROL_WO(reset)
{
	undepend_all();
	for (int i = 0; i < NR_CALLBACKS; i++) {
		WRITE_ONCE(knobs[i].error, 0);
		WRITE_ONCE(knobs[i].delay_ms, 0);
		WRITE_ONCE(knobs[i].hold, false);
		knobs[i].name[0] = 0;
		atomic_set(&calls[i], 0);
	}
	wake_up_all(&hold_queue);
	atomic_set(&nr_late_targets, 0);
	atomic_set(&nr_violations, 0);
	guard(spinlock)(&event_lock);
	events_len = 0;
	return len;
}

CONTROL_WO(depend)
{
	struct obj *obj = obj_find(buf);
	int ret;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ret = configfs_depend_item(obj->subsys, obj_item(obj));
	if (!ret)
		atomic_inc(&obj->dependents);
	config_item_put(obj_item(obj));
	return ret ?: len;
}

CONTROL_WO(undepend)
{
	struct obj *obj = obj_find(buf);
	bool done;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	done = obj_undepend(obj);
	config_item_put(obj_item(obj));
	return done ? len : -EINVAL;
}

/* 0, or PARENT NAME: a group of the subsystem, or ".", and a new name */
CONTROL_WO(dyn)
{
	char parent[NAME_SIZE], name[NAME_SIZE];
	int ret;

	if (sscanf(buf, "%63s %63s", parent, name) == 2)
		ret = dyn_register(parent, name);
	else if (sysfs_streq(buf, "0"))
		ret = dyn_unregister();
	else
		ret = -EINVAL;
	return ret ?: len;
}

/* 0, or NAME of the new subsystem */
CONTROL_WO(third)
{
	char name[NAME_SIZE];
	int ret;

	if (sscanf(buf, "%63s", name) != 1)
		ret = -EINVAL;
	else if (strcmp(name, "0"))
		ret = third_register(name);
	else
		ret = third_unregister();
	return ret ?: len;
}

static struct attribute *control_file_attrs[] = {
	&knob_attr.attr,
	&counters_attr.attr,
	&events_attr.attr,
	&reset_attr.attr,
	&depend_attr.attr,
	&undepend_attr.attr,
	&dyn_attr.attr,
	&third_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(control_file);

static struct kobject *control_kobj;

/*
 * Loading and unloading
 */

static void main_empty(void)
{
	for (int i = 0; i < ARRAY_SIZE(top_objs) && top_objs[i]; i++)
		obj_remove_defaults(top_objs[i]);
	configfs_remove_default_groups(&main_subsys.su_group);
	node_put(main_node);
}

static int main_register(void)
{
	int ret;

	config_group_init(&main_subsys.su_group);
	mutex_init(&main_subsys.su_mutex);
	main_node = kzalloc_obj(*main_node);
	if (!main_node)
		return -ENOMEM;
	kref_init(&main_node->ref);
	strscpy(main_node->name, KBUILD_MODNAME);
	for (int i = 0; i < ARRAY_SIZE(top_groups); i++) {
		struct obj *obj = obj_create(top_groups[i].kind,
					     top_groups[i].name, &main_subsys,
					     main_node,
					     &main_subsys.su_group.cg_item);

		if (IS_ERR(obj)) {
			main_empty();
			return PTR_ERR(obj);
		}
		top_objs[i] = obj;
		configfs_add_default_group(&obj->own.su_group,
					   &main_subsys.su_group);
	}
	ret = configfs_register_subsystem(&main_subsys);
	if (ret)
		main_empty();
	return ret;
}

static void main_unregister(void)
{
	configfs_unregister_subsystem(&main_subsys);
	WRITE_ONCE(main_node->gone, true);
	/* Pairs with that of obj_begin() */
	smp_mb();
	for (int i = 0; i < ARRAY_SIZE(top_objs); i++)
		check_alone("unregistering", top_objs[i]);
	main_empty();
}

static int __init configfs_tree_test_init(void)
{
	int ret;

	ret = main_register();
	if (ret)
		return ret;

	ret = -ENOMEM;
	control_kobj = kobject_create_and_add(KBUILD_MODNAME, kernel_kobj);
	if (!control_kobj)
		goto err_main;
	ret = sysfs_create_groups(control_kobj, control_file_groups);
	if (ret)
		goto err_kobj;
	return 0;

err_kobj:
	kobject_put(control_kobj);
err_main:
	main_unregister();
	return ret;
}

static void __exit configfs_tree_test_exit(void)
{
	sysfs_remove_groups(control_kobj, control_file_groups);
	kobject_put(control_kobj);
	third_unregister();
	dyn_unregister();
	main_unregister();
	if (atomic_read(&nr_objects))
		violation("%d objects are left", atomic_read(&nr_objects));
}

module_init(configfs_tree_test_init);
module_exit(configfs_tree_test_exit);
MODULE_DESCRIPTION("Driver of the configfs selftest of whole subtrees");
MODULE_LICENSE("GPL");
