// SPDX-License-Identifier: GPL-2.0
/*
 * The driver of the configfs selftests.
 *
 * It registers two subsystems, configfs_test and configfs_test2, each with a
 * group of every kind, and does nothing but to count what configfs calls, to
 * check that configfs keeps its side of the contract, and to be as slow or as
 * unwilling as a test wants it to be. The tests steer it through
 * /sys/kernel/configfs_test, that is from outside of configfs, so that they can
 * do so while an operation in configfs is under way.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/configfs.h>
#include <linux/delay.h>
#include <linux/kobject.h>
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
#define BLOB_MAX	8192
#define TUNE_MAX	256
#define NAME_SIZE	64
#define PATH_SIZE	512
#define EVENTS_SIZE	(PAGE_SIZE - 64)
#define NR_DEFAULTS	2
#define NR_OLD_NAMES	4
/* Long enough for a test, short enough for the hung task detector */
#define HOLD_TIMEOUT	(60 * HZ)

enum callback {
	CB_MAKE,
	CB_DISCONNECT,
	CB_DROP,
	CB_RELEASE,
	CB_COMMIT,
	CB_UNCOMMIT,
	CB_SHOW,
	CB_STORE,
	CB_BIN_READ,
	CB_BIN_WRITE,
	CB_ALLOW_LINK,
	CB_DROP_LINK,
	CB_EXCHANGE,
	CB_RENAME,
	CB_LIVE_STORE,
	CB_LIVE_BIN_WRITE,
	NR_CALLBACKS
};

static const char * const callback_names[NR_CALLBACKS] = {
	[CB_MAKE]	= "make",
	[CB_DISCONNECT]	= "disconnect",
	[CB_DROP]	= "drop",
	[CB_RELEASE]	= "release",
	[CB_COMMIT]	= "commit",
	[CB_UNCOMMIT]	= "uncommit",
	[CB_SHOW]	= "show",
	[CB_STORE]	= "store",
	[CB_BIN_READ]	= "bin_read",
	[CB_BIN_WRITE]	= "bin_write",
	[CB_ALLOW_LINK]	= "allow_link",
	[CB_DROP_LINK]	= "drop_link",
	[CB_EXCHANGE]	= "exchange",
	[CB_RENAME]	= "rename",
	[CB_LIVE_STORE]	= "live_store",
	[CB_LIVE_BIN_WRITE] = "live_bin_write",
};

/**
 * struct knob - how a callback behaves
 * @error:	the errno it returns, 0 for success
 * @delay_ms:	how long it takes
 * @hold:	it does not return before this is cleared
 */
struct knob {
	int error;
	int delay_ms;
	bool hold;
};

static struct knob knobs[NR_CALLBACKS];
static DECLARE_WAIT_QUEUE_HEAD(hold_queue);
static atomic_t calls[NR_CALLBACKS];
static atomic_t nr_objects;
static atomic_t nr_violations;

struct kind;

/**
 * struct obj - every group and item of this driver
 * @group:	what configfs sees; of a plain item only the cg_item in it
 * @node:	in all_objs
 * @kind:	what it is
 * @subsys:	where it is
 * @parent:	the obj it was made in, or was moved to. Not ci_parent, which
 *		may be one of configfs. Valid while configfs may call us for
 *		this obj; changed under su_mutex and all_objs_lock.
 * @defaults:	its default groups
 * @running:	callbacks under way in this obj and everything below it
 * @dependents:	calls of configfs_depend_item() to be undone
 * @live:	committed
 * @gone:	dropped, or about to be
 * @closing:	nothing is made in it any more; protected by su_mutex
 * @children:	how many have been made in it; protected by su_mutex
 * @lock:	protects @value, @blob, @blob_len, @tune and @tune_len
 * @name:	a copy: that in @group is gone before ->release() is called;
 *		changed as @parent is
 * @old:	names that it has had, the last ones of them: where
 *		config_item_name() was and what it was
 * @nr_old:	how often it has been renamed
 * @value:	attribute
 * @blob:	binary attribute
 * @blob_len:	its length
 * @tune:	attribute, of either sort, that is written while live, too
 * @tune_len:	its length
 */
struct obj {
	struct list_head node;
	const struct kind *kind;
	struct configfs_subsystem *subsys;
	struct obj *parent;
	struct obj *defaults[NR_DEFAULTS];
	struct config_group group;
	atomic_t running;
	atomic_t dependents;
	bool live;
	bool gone;
	bool closing;
	int children;
	struct mutex lock;	/* of the attributes' values */
	char name[NAME_SIZE];
	struct {
		const char *place;
		char copy[NAME_SIZE];
	} old[NR_OLD_NAMES];
	unsigned int nr_old;
	char value[VALUE_MAX];
	size_t blob_len;
	char blob[BLOB_MAX];
	size_t tune_len;
	char tune[TUNE_MAX];
};

/**
 * struct kind - what sort of objs there are
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

static struct configfs_subsystem subsystems[] = {
	{
		.su_group.cg_item = {
			.ci_namebuf = "configfs_test",
			.ci_type = &subsys_type,
		},
	}, {
		.su_group.cg_item = {
			.ci_namebuf = "configfs_test2",
			.ci_type = &subsys_type,
		},
	}, {
		/* Registered on demand */
		.su_group.cg_item = {
			.ci_namebuf = "configfs_test3",
			.ci_type = &subsys_type,
		},
	},
};

#define violation(fmt, ...) do {				\
	atomic_inc(&nr_violations);				\
	pr_err("violation: " fmt "\n", ##__VA_ARGS__);		\
} while (0)

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
			up[n - 1]->subsys->su_group.cg_item.ci_namebuf);
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

static bool obj_is_frozen(const struct obj *obj)
{
	for (; obj; obj = obj->parent)
		if (READ_ONCE(obj->live))
			return true;
	return false;
}

static bool obj_is_default(const struct obj *obj)
{
	for (int i = 0; obj->parent && i < NR_DEFAULTS; i++)
		if (obj->parent->defaults[i] == obj)
			return true;
	return false;
}

/* What config_item_is_live() has to say */
static bool obj_is_live(const struct obj *obj)
{
	for (; obj->parent; obj = obj->parent)
		if (obj->parent->kind->type.ct_group_ops &&
		    obj->parent->kind->type.ct_group_ops->commit_item &&
		    !obj_is_default(obj))
			return READ_ONCE(obj->live);
	return false;
}

static void check_is_live(enum callback cb, const struct obj *obj)
{
	if (config_item_is_live(&obj->group.cg_item) != obj_is_live(obj))
		violation("%s of %s, and config_item_is_live() is wrong",
			  callback_names[cb], obj->name);
}

static void obj_run(struct obj *obj, int how)
{
	for (; obj; obj = obj->parent)
		atomic_add(how, &obj->running);
}

/*
 * Callbacks: count, log, and do what the knobs say
 */

static void event(char what, enum callback cb, const struct obj *obj)
{
	char *path __free(kfree) = kmalloc(PATH_SIZE, GFP_KERNEL);

	if (!path)
		return;
	obj_path(obj, path);
	guard(spinlock)(&event_lock);
	events_len += scnprintf(events + events_len, EVENTS_SIZE - events_len,
				"%c%s %s\n", what, callback_names[cb], path);
}

static int callback_begin(enum callback cb, const struct obj *obj)
{
	struct knob *knob = &knobs[cb];

	atomic_inc(&calls[cb]);
	event('+', cb, obj);
	if (READ_ONCE(knob->delay_ms))
		msleep(READ_ONCE(knob->delay_ms));
	if (!wait_event_timeout(hold_queue, !READ_ONCE(knob->hold),
				HOLD_TIMEOUT))
		violation("%s is held for ever", callback_names[cb]);
	return -READ_ONCE(knob->error);
}

static int callback_end(enum callback cb, const struct obj *obj, int ret)
{
	event(ret < 0 ? '!' : '-', cb, obj);
	return ret;
}

/*
 * Attributes
 */

static int attr_begin(enum callback cb, struct obj *obj)
{
	obj_run(obj, 1);
	if ((cb == CB_STORE || cb == CB_BIN_WRITE) && obj_is_frozen(obj))
		violation("%s of the live %s", callback_names[cb], obj->name);
	check_is_live(cb, obj);
	return callback_begin(cb, obj);
}

static ssize_t attr_end(enum callback cb, struct obj *obj, ssize_t ret)
{
	if ((cb == CB_STORE || cb == CB_BIN_WRITE) && obj_is_frozen(obj))
		violation("%s is live before %s is done", obj->name,
			  callback_names[cb]);
	check_is_live(cb, obj);
	callback_end(cb, obj, ret < 0 ? -1 : 0);
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

static ssize_t obj_ro_show(struct config_item *item, char *page)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = attr_begin(CB_SHOW, obj);

	if (!ret)
		ret = sysfs_emit(page, "%s\n", obj->live ? "live" : "pending");
	return attr_end(CB_SHOW, obj, ret);
}
CONFIGFS_ATTR_RO(obj_, ro);

static ssize_t obj_blob_read(struct config_item *item, void *data, size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = attr_begin(CB_BIN_READ, obj);

	if (!ret) {
		guard(mutex)(&obj->lock);
		ret = obj->blob_len;
		if (data) {
			ret = min(len, obj->blob_len);
			memcpy(data, obj->blob, ret);
		}
	}
	return attr_end(CB_BIN_READ, obj, ret);
}

static ssize_t obj_blob_write(struct config_item *item, const void *data,
			      size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = attr_begin(CB_BIN_WRITE, obj);

	if (!ret && len > BLOB_MAX)
		ret = -EFBIG;
	if (!ret) {
		guard(mutex)(&obj->lock);
		memcpy(obj->blob, data, len);
		obj->blob_len = len;
		ret = len;
	}
	return attr_end(CB_BIN_WRITE, obj, ret);
}
CONFIGFS_BIN_ATTR(obj_, blob, NULL, BLOB_MAX);

/*
 * Attributes of the groups with ->exchange_items() or ->rename_item(), and of
 * what is in them: the name, the state, and what is written while live
 */

static ssize_t obj_name_show(struct config_item *item, char *page)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = attr_begin(CB_SHOW, obj);

	if (!ret)
		ret = sysfs_emit(page, "%s\n", config_item_name(item));
	return attr_end(CB_SHOW, obj, ret);
}
CONFIGFS_ATTR_RO(obj_, name);

static ssize_t obj_state_show(struct config_item *item, char *page)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = attr_begin(CB_SHOW, obj);

	if (!ret)
		ret = sysfs_emit(page, "%s\n", config_item_is_live(item) ?
						"live" : "pending");
	return attr_end(CB_SHOW, obj, ret);
}
CONFIGFS_ATTR_RO(obj_, state);

/* Reading and writing: no data is a question for the length */
static ssize_t tune_read(struct config_item *item, enum callback cb, void *data,
			 size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = attr_begin(cb, obj);

	if (!ret) {
		guard(mutex)(&obj->lock);
		ret = obj->tune_len;
		if (data) {
			ret = min(len, obj->tune_len);
			memcpy(data, obj->tune, ret);
		}
	}
	return attr_end(cb, obj, ret);
}

static ssize_t tune_write(struct config_item *item, enum callback cb,
			  const void *data, size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = attr_begin(cb, obj);

	if (!ret && len > TUNE_MAX)
		ret = -EFBIG;
	if (!ret) {
		guard(mutex)(&obj->lock);
		memcpy(obj->tune, data, len);
		obj->tune_len = len;
		ret = len;
	}
	return attr_end(cb, obj, ret);
}

static ssize_t obj_tune_show(struct config_item *item, char *page)
{
	return tune_read(item, CB_SHOW, page, PAGE_SIZE);
}

static ssize_t obj_tune_store(struct config_item *item, const char *page,
			      size_t len)
{
	return tune_write(item, CB_LIVE_STORE, page, len);
}
CONFIGFS_ATTR_LIVE(obj_, tune);

static ssize_t obj_poke_store(struct config_item *item, const char *page,
			      size_t len)
{
	return tune_write(item, CB_LIVE_STORE, page, len);
}
CONFIGFS_ATTR_LIVE_WO(obj_, poke);

static ssize_t obj_tune_blob_read(struct config_item *item, void *data,
				  size_t len)
{
	return tune_read(item, CB_BIN_READ, data, len);
}

static ssize_t obj_tune_blob_write(struct config_item *item, const void *data,
				   size_t len)
{
	return tune_write(item, CB_LIVE_BIN_WRITE, data, len);
}
CONFIGFS_BIN_ATTR_LIVE(obj_, tune_blob, NULL, TUNE_MAX);

static ssize_t obj_poke_blob_write(struct config_item *item, const void *data,
				   size_t len)
{
	return tune_write(item, CB_LIVE_BIN_WRITE, data, len);
}
CONFIGFS_BIN_ATTR_LIVE_WO(obj_, poke_blob, NULL, TUNE_MAX);

/*
 * Links
 */

static void check_link(enum callback cb, struct obj *src)
{
	if (obj_is_frozen(src))
		violation("%s from the live %s", callback_names[cb], src->name);
}

static int obj_allow_link(struct config_item *src_item,
			  struct config_item *target_item)
{
	struct obj *src = to_obj(src_item);
	struct obj *target = item_to_obj(target_item);
	int ret;

	obj_run(src, 1);
	obj_run(target, 1);
	check_link(CB_ALLOW_LINK, src);
	ret = callback_begin(CB_ALLOW_LINK, src);
	check_link(CB_ALLOW_LINK, src);
	callback_end(CB_ALLOW_LINK, src, ret);
	obj_run(target, -1);
	obj_run(src, -1);
	return ret;
}

static void obj_drop_link(struct config_item *src_item,
			  struct config_item *target_item)
{
	struct obj *src = to_obj(src_item);
	struct obj *target = item_to_obj(target_item);

	obj_run(src, 1);
	obj_run(target, 1);
	check_link(CB_DROP_LINK, src);
	callback_begin(CB_DROP_LINK, src);
	callback_end(CB_DROP_LINK, src, 0);
	obj_run(target, -1);
	obj_run(src, -1);
}

static void obj_release(struct config_item *item)
{
	struct obj *obj = to_obj(item);

	/* Without the path: the parents may be gone */
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

/*
 * Drop the default groups, deepest first. Their names stay, but from now on no
 * parent is certain.
 */
static void obj_remove_defaults(struct obj *obj)
{
	scoped_guard(spinlock, &all_objs_lock)
		obj->gone = true;
	for (int i = 0; i < NR_DEFAULTS && obj->defaults[i]; i++)
		obj_remove_defaults(obj->defaults[i]);
	/*
	 * A driver that has added no default groups does not call this,
	 * whether the group is committable or not.
	 */
	if (obj->defaults[0])
		configfs_remove_default_groups(&obj->group);
}

static void obj_put(struct obj *obj)
{
	obj_remove_defaults(obj);
	config_group_put(&obj->group);
}

static struct obj *obj_create(const struct kind *kind, const char *name,
			      struct configfs_subsystem *subsys,
			      struct obj *parent)
{
	struct obj *obj;

	if (strlen(name) >= NAME_SIZE)
		return ERR_PTR(-ENAMETOOLONG);
	obj = kzalloc_obj(*obj);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->kind = kind;
	obj->subsys = subsys;
	obj->parent = parent;
	mutex_init(&obj->lock);
	strscpy(obj->name, name);
	strscpy(obj->value, "initial");
	config_group_init_type_name(&obj->group, name, &kind->type);
	atomic_inc(&nr_objects);
	scoped_guard(spinlock, &all_objs_lock)
		list_add_tail(&obj->node, &all_objs);

	for (int i = 0; i < NR_DEFAULTS && kind->defaults[i].kind; i++) {
		struct obj *d = obj_create(kind->defaults[i].kind,
					   kind->defaults[i].name, subsys, obj);

		if (IS_ERR(d)) {
			obj_put(obj);
			return d;
		}
		obj->defaults[i] = d;
		configfs_add_default_group(&d->group, &obj->group);
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

static struct obj *obj_make(struct config_group *group, const char *name)
{
	struct obj *parent = group_to_obj(group), *obj;
	int ret;

	if (!parent) {
		violation("make in a group of configfs");
		return ERR_PTR(-EINVAL);
	}
	check_su_mutex(CB_MAKE, parent);
	obj_run(parent, 1);
	if (obj_is_frozen(parent))
		violation("make in the live %s", parent->name);
	ret = callback_begin(CB_MAKE, parent);
	if (!ret && parent->closing)
		ret = -ENODEV;
	obj = ret ? ERR_PTR(ret) : obj_create(parent->kind->child, name,
					      parent->subsys, parent);
	if (!IS_ERR(obj))
		parent->children++;
	callback_end(CB_MAKE, parent, PTR_ERR_OR_ZERO(obj));
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

/* Whoever has read a name goes on using it: it stays what it was */
static void check_old_names(const struct obj *obj)
{
	for (int i = 0; i < min(obj->nr_old, NR_OLD_NAMES); i++)
		if (strcmp(obj->old[i].place, obj->old[i].copy))
			violation("%s was named %s, which has become %s",
				  obj->name, obj->old[i].copy,
				  obj->old[i].place);
}

static void obj_leave(enum callback cb, struct config_group *group,
		      struct config_item *item)
{
	struct obj *parent = group_to_obj(group), *obj = item_to_obj(item);

	if (!parent || !obj || obj->parent != parent) {
		violation("%s of an item that is not the group's",
			  callback_names[cb]);
		return;
	}
	check_su_mutex(cb, obj);
	if (obj_is_frozen(obj))
		violation("%s of the live %s", callback_names[cb], obj->name);
	check_old_names(obj);
	callback_begin(cb, obj);
	callback_end(cb, obj, 0);
}

static void obj_disconnect_notify(struct config_group *group,
				  struct config_item *item)
{
	obj_leave(CB_DISCONNECT, group, item);
}

static void obj_drop_item(struct config_group *group, struct config_item *item)
{
	obj_leave(CB_DROP, group, item);
	to_obj(item)->parent->children--;
	obj_put(to_obj(item));
}

/*
 * Commit and uncommit
 */

static int obj_transit(struct config_group *group, struct config_item *item,
		       enum callback cb)
{
	bool committing = cb == CB_COMMIT;
	const char *from = committing ? "pending" : "live";
	struct obj *parent = group_to_obj(group), *obj = item_to_obj(item);
	int ret;

	if (!parent || !obj || obj->parent != parent) {
		violation("%s with a group or item that is not ours",
			  callback_names[cb]);
		return -EINVAL;
	}
	check_su_mutex(cb, obj);
	if (!item->ci_parent || item->ci_parent != &item->ci_group->cg_item ||
	    strcmp(config_item_name(item->ci_parent), from))
		violation("%s of %s, which is not in %s", callback_names[cb],
			  obj->name, from);
	if (item->ci_parent && item->ci_parent->ci_parent != &group->cg_item)
		violation("%s is not two below its group", obj->name);
	if (strcmp(config_item_name(item), obj->name))
		violation("%s is named %s", obj->name, config_item_name(item));
	if (obj->live == committing)
		violation("%s of %s twice", callback_names[cb], obj->name);
	if (atomic_read(&obj->running))
		violation("%s of %s with %d callbacks running",
			  callback_names[cb], obj->name,
			  atomic_read(&obj->running));

	check_is_live(cb, obj);

	ret = callback_begin(cb, obj);

	if (atomic_read(&obj->running))
		violation("%s of %s, and %d callbacks have begun",
			  callback_names[cb], obj->name,
			  atomic_read(&obj->running));
	if (!ret)
		WRITE_ONCE(obj->live, committing);
	return callback_end(cb, obj, ret);
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

/*
 * Exchanges and renames
 */

/* Where in @parent it makes items: itself, pending/ or live/. su_mutex held. */
static struct config_group *obj_dir(struct obj *parent, const char *name)
{
	struct config_group *group;

	if (!strcmp(name, "."))
		return &parent->group;
	list_for_each_entry(group, &parent->group.default_groups, group_entry)
		if (!strcmp(config_item_name(&group->cg_item), name))
			return group;
	return NULL;
}

static bool obj_is_committable(const struct obj *obj)
{
	return obj->kind->type.ct_group_ops->commit_item;
}

/* Before a rename, and while it is under way: the item is there, and quiet */
static void check_stays(enum callback cb, struct obj *obj, const char *dir_name)
{
	struct config_group *dir = obj_dir(obj->parent, dir_name);
	struct config_item *item = &obj->group.cg_item, *found;

	check_su_mutex(cb, obj);
	if (!dir || item->ci_group != dir || item->ci_parent != &dir->cg_item) {
		violation("%s of %s, which is not in %s", callback_names[cb],
			  obj->name, dir_name);
		return;
	}
	if (strcmp(config_item_name(item), obj->name))
		violation("%s is named %s", obj->name, config_item_name(item));
	found = config_group_find_item(dir, obj->name);
	if (found != item)
		violation("%s is not found in %s", obj->name, dir_name);
	config_item_put(found);
	if (atomic_read(&obj->running))
		violation("%s of %s with %d callbacks running",
			  callback_names[cb], obj->name,
			  atomic_read(&obj->running));
	check_is_live(cb, obj);
}

static int obj_exchange_items(struct config_group *group,
			      struct config_item *live_item,
			      struct config_item *pending_item)
{
	struct obj *parent = group_to_obj(group);
	struct obj *live = item_to_obj(live_item);
	struct obj *pending = item_to_obj(pending_item);
	int ret;

	if (!parent || !live || !pending || live->parent != parent ||
	    pending->parent != parent) {
		violation("exchange with a group or item that is not ours");
		return -EINVAL;
	}
	if (!live->live || pending->live || strcmp(live->name, pending->name))
		violation("exchange of %s and %s", live->name, pending->name);
	if (obj_is_frozen(parent))
		violation("exchange in the live %s", parent->name);
	check_stays(CB_EXCHANGE, live, "live");
	check_stays(CB_EXCHANGE, pending, "pending");
	ret = callback_begin(CB_EXCHANGE, live);
	check_stays(CB_EXCHANGE, live, "live");
	check_stays(CB_EXCHANGE, pending, "pending");
	if (!ret) {
		WRITE_ONCE(live->live, false);
		WRITE_ONCE(pending->live, true);
	}
	return callback_end(CB_EXCHANGE, live, ret);
}

/* The names that it has had must never change, nor be gone. */
static void obj_new_name(struct obj *obj, const char *name)
{
	int i = obj->nr_old++ % NR_OLD_NAMES;

	obj->old[i].place = config_item_name(&obj->group.cg_item);
	strscpy(obj->old[i].copy, obj->old[i].place);
	strscpy(obj->name, name);
}

static int obj_rename_item(struct config_group *group, struct config_item *item,
			   struct config_group *new_group, const char *new_name)
{
	struct obj *parent = group_to_obj(group), *obj = item_to_obj(item);
	struct obj *new_parent = group_to_obj(new_group);
	struct config_group *dir;
	struct config_item *other;
	const char *from;
	int ret;

	if (!parent || !obj || !new_parent || obj->parent != parent) {
		violation("rename with a group or item that is not ours");
		return -EINVAL;
	}
	if (parent == new_parent && !strcmp(obj->name, new_name))
		violation("rename of %s to itself", obj->name);
	if (parent->subsys != new_parent->subsys ||
	    parent->kind->type.ct_group_ops->rename_item !=
	    new_parent->kind->type.ct_group_ops->rename_item)
		violation("rename of %s to a group of another kind", obj->name);
	if (obj_is_frozen(obj) || obj_is_frozen(new_parent))
		violation("rename of the live %s", obj->name);
	dir = obj_dir(new_parent, obj_is_committable(new_parent) ? "pending" :
								   ".");
	other = dir ? config_group_find_item(dir, new_name) : NULL;
	if (!dir || other)
		violation("rename of %s to %s, which is there", obj->name,
			  new_name);
	config_item_put(other);

	from = obj_is_committable(parent) ? "pending" : ".";
	check_stays(CB_RENAME, obj, from);
	check_old_names(obj);
	ret = callback_begin(CB_RENAME, obj);
	check_stays(CB_RENAME, obj, from);
	if (!ret && strlen(new_name) >= NAME_SIZE)
		ret = -ENAMETOOLONG;
	if (!ret && new_parent->closing)
		ret = -ENODEV;
	if (!ret) {
		parent->children--;
		new_parent->children++;
		guard(spinlock)(&all_objs_lock);
		obj_new_name(obj, new_name);
		obj->parent = new_parent;
	}
	return callback_end(CB_RENAME, obj, ret);
}

/* The same for another kind: to configfs that is not the same op */
static int obj_other_rename_item(struct config_group *group,
				 struct config_item *item,
				 struct config_group *new_group,
				 const char *new_name)
{
	return obj_rename_item(group, item, new_group, new_name);
}

static const struct configfs_group_operations item_maker_ops = {
	.make_item		= obj_make_item,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
};

static const struct configfs_group_operations group_maker_ops = {
	.make_group		= obj_make_group,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
};

static const struct configfs_group_operations item_committer_ops = {
	.make_item		= obj_make_item,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	.commit_item		= obj_commit_item,
	.uncommit_item		= obj_uncommit_item,
};

static const struct configfs_group_operations group_committer_ops = {
	.make_group		= obj_make_group,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	.commit_item		= obj_commit_item,
	.uncommit_item		= obj_uncommit_item,
};

static const struct configfs_group_operations item_exchanger_ops = {
	.make_item		= obj_make_item,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	.commit_item		= obj_commit_item,
	.uncommit_item		= obj_uncommit_item,
	.exchange_items		= obj_exchange_items,
};

static const struct configfs_group_operations group_exchanger_ops = {
	.make_group		= obj_make_group,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	.commit_item		= obj_commit_item,
	.uncommit_item		= obj_uncommit_item,
	.exchange_items		= obj_exchange_items,
};

static const struct configfs_group_operations item_renamer_ops = {
	.make_item		= obj_make_item,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	.rename_item		= obj_rename_item,
};

static const struct configfs_group_operations group_renamer_ops = {
	.make_group		= obj_make_group,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	.rename_item		= obj_rename_item,
};

static const struct configfs_group_operations other_renamer_ops = {
	.make_group		= obj_make_group,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	.rename_item		= obj_other_rename_item,
};

static const struct configfs_group_operations renaming_committer_ops = {
	.make_group		= obj_make_group,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	.commit_item		= obj_commit_item,
	.uncommit_item		= obj_uncommit_item,
	.exchange_items		= obj_exchange_items,
	.rename_item		= obj_rename_item,
};

/*
 * Not const: without ->uncommit_item() nothing could ever clean up behind a
 * test, so that "oneway" in sysfs gives and takes it.
 */
static struct configfs_group_operations oneway_ops = {
	.make_item		= obj_make_item,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	.commit_item		= obj_commit_item,
};

/*
 * Dependents
 */

/* Find an obj by its path, and get a reference. */
static struct obj *obj_find(const char *buf)
{
	char *path __free(kfree) = kmalloc(PATH_SIZE, GFP_KERNEL);
	size_t len = strcspn(buf, "\n");
	struct obj *obj;

	if (!path)
		return ERR_PTR(-ENOMEM);
	guard(spinlock)(&all_objs_lock);
	list_for_each_entry(obj, &all_objs, node) {
		/* What is not gone has all its parents */
		if (obj->gone)
			continue;
		obj_path(obj, path);
		if (strlen(path) == len && !memcmp(path, buf, len) &&
		    config_item_get_unless_zero(&obj->group.cg_item))
			return obj;
	}
	return ERR_PTR(-ENOENT);
}

static bool obj_undepend(struct obj *obj)
{
	if (!atomic_add_unless(&obj->dependents, -1, 0))
		return false;
	configfs_undepend_item(&obj->group.cg_item);
	return true;
}

/*
 * Depend on what @buf names. With a @caller from one of its callbacks, without
 * one from outside of configfs.
 */
static ssize_t depend_on(struct configfs_subsystem *caller, const char *buf,
			 size_t len)
{
	struct obj *obj = obj_find(buf);
	int ret;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (caller)
		ret = configfs_depend_item_unlocked(caller,
						    &obj->group.cg_item);
	else
		ret = configfs_depend_item(obj->subsys, &obj->group.cg_item);
	if (!ret)
		atomic_inc(&obj->dependents);
	config_group_put(&obj->group);
	return ret ?: len;
}

static ssize_t undepend_on(const char *buf, size_t len)
{
	struct obj *obj = obj_find(buf);
	bool done;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	done = obj_undepend(obj);
	config_group_put(&obj->group);
	return done ? len : -EINVAL;
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

/* Depending on something from within a callback, of the item itself even */
static ssize_t obj_depend_store(struct config_item *item, const char *page,
				size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = attr_begin(CB_STORE, obj);

	if (!ret)
		ret = depend_on(obj->subsys, page, len);
	return attr_end(CB_STORE, obj, ret);
}
CONFIGFS_ATTR_WO(obj_, depend);

static struct configfs_attribute *obj_attrs[] = {
	&obj_attr_value,
	&obj_attr_ro,
	&obj_attr_depend,
	NULL
};

static struct configfs_bin_attribute *obj_bin_attrs[] = {
	&obj_attr_blob,
	NULL
};

static struct configfs_attribute *more_attrs[] = {
	&obj_attr_value,
	&obj_attr_depend,
	&obj_attr_name,
	&obj_attr_state,
	&obj_attr_tune,
	&obj_attr_poke,
	NULL
};

static struct configfs_bin_attribute *more_bin_attrs[] = {
	&obj_attr_blob,
	&obj_attr_tune_blob,
	&obj_attr_poke_blob,
	NULL
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
		.ct_bin_attrs	= obj_bin_attrs,		\
	}

/* A plain item */
static const struct kind leaf = {
	.type = KIND_TYPE(NULL),
};

/* A group with default groups at two levels: one/two */
static const struct kind branch_one = {
	.type = KIND_TYPE(NULL),
	.defaults = { { "two", &leaf } },
};

static const struct kind branch = {
	.type = KIND_TYPE(NULL),
	.defaults = { { "one", &branch_one } },
};

/* A group in which userspace makes groups, in which it makes groups, ... */
static const struct kind tree = {
	.type = KIND_TYPE(&group_maker_ops),
	.child = &tree,
};

static const struct kind item_committer = {
	.type = KIND_TYPE(&item_committer_ops),
	.child = &leaf,
};

/* A group that has a committable group as a default group */
static const struct kind nest = {
	.type = KIND_TYPE(NULL),
	.defaults = { { "inner", &item_committer } },
};

/* A committable group that userspace makes, with a default group of ours */
static const struct kind pool = {
	.type = KIND_TYPE(&item_committer_ops),
	.child = &leaf,
	.defaults = { { "extra", &leaf } },
};

static const struct kind branch_committer = {
	.type = KIND_TYPE(&group_committer_ops),
	.child = &branch,
};

static const struct kind tree_committer = {
	.type = KIND_TYPE(&group_committer_ops),
	.child = &tree,
};

static const struct kind nest_committer = {
	.type = KIND_TYPE(&group_committer_ops),
	.child = &nest,
};

static const struct kind oneway_committer = {
	.type = KIND_TYPE(&oneway_ops),
	.child = &leaf,
};

static const struct kind pool_maker = {
	.type = KIND_TYPE(&group_maker_ops),
	.child = &pool,
};

static const struct kind leaf_maker = {
	.type = KIND_TYPE(&item_maker_ops),
	.child = &leaf,
};

/*
 * The kinds with ->exchange_items() or ->rename_item(), and what is in them
 */

#define MORE_TYPE(_ops)						\
	{							\
		.ct_owner	= THIS_MODULE,			\
		.ct_item_ops	= &obj_item_ops,		\
		.ct_group_ops	= _ops,				\
		.ct_attrs	= more_attrs,			\
		.ct_bin_attrs	= more_bin_attrs,		\
	}

static const struct kind more_leaf = {
	.type = MORE_TYPE(NULL),
};

/* A group with a default group, in which userspace makes such groups */
static const struct kind more_tree = {
	.type = MORE_TYPE(&group_maker_ops),
	.child = &more_tree,
	.defaults = { { "one", &more_leaf } },
};

static const struct kind item_exchanger = {
	.type = MORE_TYPE(&item_exchanger_ops),
	.child = &more_leaf,
};

static const struct kind tree_exchanger = {
	.type = MORE_TYPE(&group_exchanger_ops),
	.child = &more_tree,
};

static const struct kind exchanger_nest = {
	.type = MORE_TYPE(NULL),
	.defaults = { { "inner", &item_exchanger } },
};

static const struct kind nest_exchanger = {
	.type = MORE_TYPE(&group_exchanger_ops),
	.child = &exchanger_nest,
};

/*
 * What userspace makes in these can be renamed, and moved between them: groups
 * with two default groups, in which the same can be made, in "inner" as pending
 */
static const struct kind renamer;

static const struct kind default_renamer = {
	.type = MORE_TYPE(&group_renamer_ops),
	.child = &renamer,
};

static const struct kind renaming_committer = {
	.type = MORE_TYPE(&renaming_committer_ops),
	.child = &renamer,
};

static const struct kind renamer = {
	.type = MORE_TYPE(&group_renamer_ops),
	.child = &renamer,
	.defaults = {
		{ "sub", &default_renamer },
		{ "inner", &renaming_committer },
	},
};

/* The same for items */
static const struct kind item_renamer = {
	.type = MORE_TYPE(&item_renamer_ops),
	.child = &more_leaf,
};

/* and, with an op that is not the same, for groups */
static const struct kind other_renamer = {
	.type = MORE_TYPE(&other_renamer_ops),
	.child = &more_tree,
};

static const struct top_group {
	const char *name;
	const struct kind *kind;
} more_groups[] = {
	{ "swaps",	&item_exchanger },
	{ "moves",	&default_renamer },
	{ "pendmoves",	&renaming_committer },
	/* Up to here those of both subsystems */
	{ "treeswaps",	&tree_exchanger },
	{ "nestswaps",	&nest_exchanger },
	{ "itemmoves",	&item_renamer },
	{ "othermoves",	&other_renamer },
};

#define NR_MORE_SECOND	3

/* The default groups of all subsystems */
static const struct top_group top_groups[] = {
	{ "items",	&item_committer },
	{ "groups",	&branch_committer },
	{ "makers",	&tree_committer },
	{ "oneway",	&oneway_committer },
	{ "nested",	&nest_committer },
	{ "pools",	&pool_maker },
	{ "plain",	&leaf_maker },
	{ "control",	&leaf },
};

/*
 * A group that comes and goes while the subsystem is there
 */

static DEFINE_MUTEX(dyn_lock);
static struct obj *dyn;

static int dyn_register(const struct kind *kind)
{
	struct configfs_subsystem *subsys = &subsystems[0];
	struct obj *obj;
	int ret;

	guard(mutex)(&dyn_lock);
	if (dyn)
		return -EEXIST;
	obj = obj_create(kind, "dyn", subsys, NULL);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ret = configfs_register_group(&subsys->su_group, &obj->group);
	if (ret)
		obj_put(obj);
	else
		dyn = obj;
	return ret;
}

/* Unregistering is for empty groups only, which is for the driver to ensure. */
static int dyn_unregister(void)
{
	guard(mutex)(&dyn_lock);
	if (!dyn)
		return -ENOENT;
	scoped_guard(mutex, &dyn->subsys->su_mutex) {
		if (dyn->children)
			return -EBUSY;
		dyn->closing = true;
	}
	configfs_unregister_group(&dyn->group);
	obj_put(dyn);
	dyn = NULL;
	return 0;
}

/*
 * Subsystems
 */

static void subsystem_empty(struct configfs_subsystem *subsys)
{
	struct config_group *group;

	list_for_each_entry(group, &subsys->su_group.default_groups, group_entry)
		obj_remove_defaults(container_of(group, struct obj, group));
	configfs_remove_default_groups(&subsys->su_group);
}

static int subsystem_fill(struct configfs_subsystem *subsys,
			  const struct top_group *groups, int n)
{
	for (int i = 0; i < n; i++) {
		struct obj *obj = obj_create(groups[i].kind, groups[i].name,
					     subsys, NULL);

		if (IS_ERR(obj))
			return PTR_ERR(obj);
		configfs_add_default_group(&obj->group, &subsys->su_group);
	}
	return 0;
}

static int subsystem_add(struct configfs_subsystem *subsys)
{
	int ret;

	config_group_init(&subsys->su_group);
	mutex_init(&subsys->su_mutex);
	ret = subsystem_fill(subsys, top_groups, ARRAY_SIZE(top_groups));
	/* None for the one on demand: it is registered often */
	if (!ret && subsys == &subsystems[0])
		ret = subsystem_fill(subsys, more_groups,
				     ARRAY_SIZE(more_groups));
	if (!ret && subsys == &subsystems[1])
		ret = subsystem_fill(subsys, more_groups, NR_MORE_SECOND);
	if (!ret)
		ret = configfs_register_subsystem(subsys);
	if (ret)
		subsystem_empty(subsys);
	return ret;
}

static void subsystem_remove(struct configfs_subsystem *subsys)
{
	configfs_unregister_subsystem(subsys);
	subsystem_empty(subsys);
}

static bool third_registered;

static int third_register(void)
{
	int ret = -EEXIST;

	guard(mutex)(&dyn_lock);
	if (!third_registered)
		ret = subsystem_add(&subsystems[2]);
	if (!ret)
		third_registered = true;
	return ret;
}

/* Like dyn, but that nobody makes anything in it */
static int third_unregister(void)
{
	guard(mutex)(&dyn_lock);
	if (!third_registered)
		return -ENOENT;
	subsystem_remove(&subsystems[2]);
	third_registered = false;
	return 0;
}

/*
 * The files in /sys/kernel/configfs_test
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
	len += sysfs_emit_at(buf, len, "objects %d\n",
			     atomic_read(&nr_objects));
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
		atomic_set(&calls[i], 0);
	}
	wake_up_all(&hold_queue);
	atomic_set(&nr_violations, 0);
	guard(spinlock)(&event_lock);
	events_len = 0;
	return len;
}

/* Whether uncommit_item is absent where it can be: 1 or 0 */
CONTROL_WO(oneway)
{
	bool on;
	int ret = kstrtobool(buf, &on);

	if (ret)
		return ret;
	WRITE_ONCE(oneway_ops.uncommit_item, on ? NULL : obj_uncommit_item);
	return len;
}

/* GROUP DIRECTORY NAME: what is linked there, by that name? */
CONTROL_WO(find)
{
	char path[PATH_SIZE / 2], dir_name[16], name[NAME_SIZE];
	struct config_item *found, *item;
	struct config_group *dir;
	struct obj *parent;

	if (sscanf(buf, "%255s %15s %63s", path, dir_name, name) != 3)
		return -EINVAL;
	parent = obj_find(path);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	scoped_guard(mutex, &parent->subsys->su_mutex) {
		dir = obj_dir(parent, dir_name);
		found = dir ? config_group_find_item(dir, name) : NULL;
		if (dir)
			list_for_each_entry(item, &dir->cg_children, ci_entry)
				if (item->ci_group != dir ||
				    item->ci_parent != &dir->cg_item)
					violation("%s is not in %s",
						  config_item_name(item), path);
	}
	if (found && strcmp(config_item_name(found), name))
		violation("%s is found as %s", config_item_name(found), name);
	config_item_put(found);
	config_group_put(&parent->group);
	return found ? len : -ENOENT;
}

CONTROL_WO(depend)
{
	return depend_on(NULL, buf, len);
}

CONTROL_WO(undepend)
{
	return undepend_on(buf, len);
}

/* 0: not registered, 1: committable, 2: not committable */
CONTROL_WO(dyn)
{
	int what, ret = kstrtoint(buf, 0, &what);

	if (ret)
		return ret;
	switch (what) {
	case 0:
		ret = dyn_unregister();
		break;
	case 1:
		ret = dyn_register(&tree_committer);
		break;
	case 2:
		ret = dyn_register(&tree);
		break;
	default:
		ret = -EINVAL;
	}
	return ret ?: len;
}

/* 1 or 0: the third subsystem is registered or not */
CONTROL_WO(third)
{
	bool on;
	int ret = kstrtobool(buf, &on);

	if (!ret)
		ret = on ? third_register() : third_unregister();
	return ret ?: len;
}

static struct attribute *control_file_attrs[] = {
	&knob_attr.attr,
	&counters_attr.attr,
	&events_attr.attr,
	&reset_attr.attr,
	&oneway_attr.attr,
	&find_attr.attr,
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

static int __init configfs_test_init(void)
{
	int ret;

	ret = subsystem_add(&subsystems[0]);
	if (ret)
		return ret;
	ret = subsystem_add(&subsystems[1]);
	if (ret)
		goto err_first;

	ret = -ENOMEM;
	control_kobj = kobject_create_and_add("configfs_test", kernel_kobj);
	if (!control_kobj)
		goto err_second;
	ret = sysfs_create_groups(control_kobj, control_file_groups);
	if (ret)
		goto err_kobj;
	return 0;

err_kobj:
	kobject_put(control_kobj);
err_second:
	subsystem_remove(&subsystems[1]);
err_first:
	subsystem_remove(&subsystems[0]);
	return ret;
}

static void __exit configfs_test_exit(void)
{
	sysfs_remove_groups(control_kobj, control_file_groups);
	kobject_put(control_kobj);
	third_unregister();
	dyn_unregister();
	subsystem_remove(&subsystems[1]);
	subsystem_remove(&subsystems[0]);
	if (atomic_read(&nr_objects))
		violation("%d objects are left", atomic_read(&nr_objects));
}

module_init(configfs_test_init);
module_exit(configfs_test_exit);
MODULE_DESCRIPTION("Driver of the configfs selftests");
MODULE_LICENSE("GPL");
