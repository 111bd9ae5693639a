// SPDX-License-Identifier: GPL-2.0
/*
 * The driver behind the configfs selftests. It counts and logs all callbacks,
 * checks that configfs calls them only when it may, and can be told to fail or
 * to wait in any of them. It uses no recent features of configfs, so the tests
 * can run on old kernels.
 *
 * Tests control it through /sys/kernel/MODULE:
 *
 * command	Write-only; the commands are listed below.
 * counters	One "NAME VALUE" per line. For each callback: the number of calls,
 *		and the number of threads waiting in it ("held_CALLBACK"). Then
 *		"objects" (number of live items and groups), "store_len" and
 *		"bin_write_len" (length of the last write), and "violations" (see
 *		the kernel log for the details).
 * events	The calls since the last reset, until the page is full:
 *		"+store items/x" when it starts, "-store items/x" when it
 *		returns, or "!store items/x" when it fails.
 * children	The result of the command "children".
 *
 * A PATH is relative to the first subsystem: "items/x", "." for the subsystem
 * itself, "../configfs_test2/items/x" in another one.
 *
 * knob CALLBACK [error=ERRNO] [wait] [slow=MS] [name=NAME] [depend=PATH]
 *      [size=N] [null] [spoil]
 *	Sets how a callback behaves and releases all threads that wait in it.
 *	Without options, it behaves normally again.
 *	error:	fail with this errno
 *	wait:	wait for the next "knob" of this callback
 *	slow:	sleep for some time
 *	name:	affect only objects with this name
 *	depend:	call configfs_depend_item_unlocked(), and return its error; "/" is
 *		the root of configfs
 *	size:	bin_read reports this size, store returns this length
 *	null:	make returns NULL; items of a sink have no uncommit_item()
 *	spoil:	make returns an item that configfs cannot attach, because the
 *		deepest of its (first) default groups has no type
 * await NAME VALUE [MS]
 *	Waits until a counter has reached a value. Fails with ETIMEDOUT after
 *	MS milliseconds, by default 100 s.
 * reset
 *	Resets knobs and counters, drops all dependencies, and unregisters all
 *	groups and subsystems that were registered, unless items exist in them.
 * depend PATH [SUBSYSTEM]
 *	configfs_depend_item(), with the subsystem of the object by default
 * undepend PATH
 *	configfs_undepend_item()
 * commit PATH [work]
 * uncommit PATH [work]
 *	configfs_commit_item() and configfs_uncommit_item(), from a kernel thread
 *	if asked for
 * rename PATH GROUP NAME [work]
 *	configfs_rename_item(); GROUP "-" is NULL
 * is_live PATH
 *	config_item_is_live(): fails with EAGAIN if it is not
 * register PARENT NAME KIND
 *	configfs_register_group(), or configfs_register_subsystem() if PARENT is
 *	"/". KIND is one of core_kinds[].
 * unregister PATH [force] [keep]
 *	Fails with EBUSY if items exist in it, unless forced. With "keep", the
 *	object stays allocated, and registering the name again registers the same
 *	object, whose dependencies are still recorded.
 * unregister_as_subsystem PATH
 *	Calls configfs_unregister_subsystem() for a group. This must do nothing.
 * forget_link PATH
 *	Do not count a link in this object any more: drop_link is not called for
 *	it because its target has been unregistered.
 * register_default PARENT NAME
 *	configfs_register_default_group(); only one such group can exist. It has
 *	one attribute, "name".
 * unregister_default
 *	configfs_unregister_default_group()
 * children PATH
 *	Lists the names in cg_children, in order.
 *
 * CALLBACK is one of callback_names[].
 */
#define pr_fmt(fmt) "configfs_test: " fmt

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
#include <linux/workqueue.h>

#include "core.h"

#define VALUE_MAX	64
#define BLOB_MAX	256
#define PATH_SIZE	512
#define EVENTS_SIZE	(PAGE_SIZE - 1)
#define MAX_DEPTH	24
#define HOLD_TIMEOUT	(60 * HZ)
#define AWAIT_TIMEOUT	(100 * HZ)

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
	CB_COMMIT,
	CB_UNCOMMIT,
	CB_EXCHANGE,
	CB_RENAME,
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
	[CB_COMMIT]	= "commit",
	[CB_UNCOMMIT]	= "uncommit",
	[CB_EXCHANGE]	= "exchange",
	[CB_RENAME]	= "rename",
};

/* Counters besides calls[] and held[] */
enum count {
	OBJECTS,
	VIOLATIONS,
	STORE_LEN,
	BIN_WRITE_LEN,
	NR_COUNTS
};

static const char * const count_names[NR_COUNTS] = {
	[OBJECTS]	= "objects",
	[VIOLATIONS]	= "violations",
	[STORE_LEN]	= "store_len",
	[BIN_WRITE_LEN]	= "bin_write_len",
};

static atomic_t calls[NR_CALLBACKS];
static atomic_t held[NR_CALLBACKS];
static atomic_t counts[NR_COUNTS];
/* Woken when a counter or a knob changes */
static DECLARE_WAIT_QUEUE_HEAD(queue);

/**
 * struct knob - how a callback behaves; see the command "knob"
 * @generation:	incremented by each change; held threads wait for that
 * @size:	-1 if not set
 */
struct knob {
	unsigned int generation;
	int error;
	int slow;
	int size;
	bool wait;
	bool null;
	bool spoil;
	char name[64];
	char depend[128];
};

static struct knob knobs[NR_CALLBACKS] = {
	[0 ... NR_CALLBACKS - 1] = { .size = -1 },
};

static DEFINE_MUTEX(knob_lock);	/* protects knobs */

/**
 * struct node - the state of an object that outlives the object itself
 * @ref:	reference count; each node holds a reference on its parent
 * @parent:	node of the parent, NULL for a subsystem
 * @subsys:	subsystem of the object
 * @running:	number of running callbacks for the object and all below it
 * @active:	those of them that a commit must wait for
 * @links:	number of links in the object and below it
 * @below:	number of items made below the object
 * @live:	committed
 * @committing:	being committed or uncommitted
 * @staged:	items in it are made in pending/ and live in live/
 * @made:	the object was returned by make_item() or make_group()
 * @gone:	disconnected or unregistered: no callback may be called
 * @dropped:	drop_item() was called
 * @closing:	refuse to make items below it; protected by su_mutex
 * @name:	name of the object, with room for another one; objs_lock protects it,
 *		and @parent
 */
struct node {
	struct kref ref;
	struct node *parent;
	struct configfs_subsystem *subsys;
	atomic_t running;
	atomic_t active;
	atomic_t links;
	atomic_t below;
	bool live;
	bool committing;
	bool staged;
	bool made;
	bool gone;
	bool dropped;
	bool closing;
	char name[];
};

/**
 * struct obj - an item, group or subsystem of this driver
 * @entry:	entry in objs
 * @kind:	description of the object
 * @node:	state that outlives the object
 * @own:	the subsystem; a group uses only its su_group, and an item only
 *		the cg_item of that
 * @defaults:	the default groups
 * @owner:	the first object in the same allocation
 * @embedded:	for an owner: number of unreleased objects that it embeds
 * @orphaned:	for an owner: it was released before the embedded objects
 * @registered:	registered by the command "register"
 * @kept:	unregistered, but kept to be registered again
 * @dependents:	number of calls to configfs_depend_item()
 * @lock:	protects @value, @blob_len and @blob
 * @value:	value of the text attributes
 * @blob_len:	length of @blob
 * @blob:	value of the binary attribute
 */
struct obj {
	struct list_head entry;
	const struct kind *kind;
	struct node *node;
	struct configfs_subsystem own;
	struct obj *defaults[MAX_DEFAULTS];
	struct obj *owner;
	int embedded;
	bool orphaned;
	bool registered;
	bool kept;
	atomic_t dependents;
	struct mutex lock;	/* see above */
	char value[VALUE_MAX];
	size_t blob_len;
	char blob[BLOB_MAX];
};

static LIST_HEAD(objs);
static DEFINE_SPINLOCK(objs_lock);

static char events[PAGE_SIZE];
static size_t events_len;
static DEFINE_SPINLOCK(events_lock);

#define violation(fmt, ...) do {				\
	atomic_inc(&counts[VIOLATIONS]);			\
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

static const char *stage_of(const struct node *node)
{
	if (!node->made || !node->parent->staged)
		return "";
	return READ_ONCE(node->live) ? "live/" : "pending/";
}

/* The path of an object relative to the first subsystem */
static int node_path(const struct node *node, char *buf, size_t size)
{
	const struct node *up[MAX_DEPTH];
	int n = 0, len = 0;

	for (; node && n < ARRAY_SIZE(up); node = node->parent)
		up[n++] = node;
	n--;
	if (strcmp(up[n]->name, THIS_MODULE->name))
		len = scnprintf(buf, size, "../%s", up[n]->name);
	else if (!n)
		len = scnprintf(buf, size, ".");
	while (n--)
		len += scnprintf(buf + len, size - len, "%s%s%s",
				 len ? "/" : "", stage_of(up[n]), up[n]->name);
	return len;
}

static struct obj *to_obj(struct config_item *item)
{
	return container_of(to_config_group(item), struct obj, own.su_group);
}

static struct config_item *obj_item(struct obj *obj)
{
	return &obj->own.su_group.cg_item;
}

/* Get the node of an item. NULL if it is not an item of this driver. */
static struct node *item_to_node(const struct config_item *item)
{
	struct obj *obj;

	guard(spinlock)(&objs_lock);
	list_for_each_entry(obj, &objs, entry)
		if (obj_item(obj) == item) {
			kref_get(&obj->node->ref);
			return obj->node;
		}
	return NULL;
}

static void obj_put(struct obj *obj)
{
	struct obj *owner = obj->owner;

	config_item_put(obj_item(obj));
	if (owner != obj)
		config_item_put(obj_item(owner));
}

/*
 * Find the newest object with this path and get a reference. A reference to an
 * embedded object does not keep its memory allocated, so get one to the owner,
 * too.
 */
static struct obj *obj_find(const char *path)
{
	static char buf[PATH_SIZE];	/* protected by objs_lock */
	struct obj *obj, *found = NULL;
	bool got = false;

	scoped_guard(spinlock, &objs_lock)
		list_for_each_entry_reverse(obj, &objs, entry) {
			node_path(obj->node, buf, sizeof(buf));
			if (strcmp(buf, path) || obj->owner->orphaned ||
			    !config_item_get_unless_zero(obj_item(obj->owner)))
				continue;
			found = obj;
			got = obj->owner == obj ||
			      config_item_get_unless_zero(obj_item(obj));
			break;
		}
	if (found && !got)
		config_item_put(obj_item(found->owner));
	return got ? found : ERR_PTR(-ENOENT);
}

/*
 * Counting and logging callbacks, and applying the knobs
 */

static void event(char what, enum callback cb, const struct node *node)
{
	guard(spinlock)(&events_lock);
	events_len += scnprintf(events + events_len, EVENTS_SIZE - events_len,
				"%c%s ", what, callback_names[cb]);
	events_len += node_path(node, events + events_len,
				EVENTS_SIZE - events_len);
	events_len += scnprintf(events + events_len, EVENTS_SIZE - events_len,
				"\n");
}

static int depend_unlocked(struct configfs_subsystem *subsys, const char *path)
{
	struct obj *obj;
	int ret;

	if (!strcmp(path, "/"))
		return configfs_depend_item_unlocked(subsys,
					subsys->su_group.cg_item.ci_parent);
	obj = obj_find(path);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ret = configfs_depend_item_unlocked(subsys, obj_item(obj));
	if (!ret)
		atomic_inc(&obj->dependents);
	obj_put(obj);
	return ret;
}

static int wait_until_released(enum callback cb, unsigned int generation)
{
	long ret;

	atomic_inc(&held[cb]);
	wake_up_all(&queue);
	ret = wait_event_killable_timeout(queue, generation !=
					  READ_ONCE(knobs[cb].generation),
					  HOLD_TIMEOUT);
	atomic_dec(&held[cb]);
	wake_up_all(&queue);
	if (!ret)
		violation("%s was held for too long", callback_names[cb]);
	return ret < 0 ? -EINTR : 0;
}

static int callback_begin(enum callback cb, const struct node *node)
{
	struct knob knob;
	int ret = 0;

	atomic_inc(&calls[cb]);
	wake_up_all(&queue);
	event('+', cb, node);
	scoped_guard(mutex, &knob_lock)
		knob = knobs[cb];
	if (knob.name[0] && strcmp(knob.name, node->name))
		return 0;
	if (knob.slow)
		msleep(knob.slow);
	if (knob.wait)
		ret = wait_until_released(cb, knob.generation);
	if (!ret && knob.depend[0])
		ret = depend_unlocked(node->subsys, knob.depend);
	return ret ?: -knob.error;
}

static void callback_end(enum callback cb, const struct node *node, int ret)
{
	event(ret < 0 ? '!' : '-', cb, node);
}

static int knob_size(enum callback cb, int size)
{
	int knob = READ_ONCE(knobs[cb].size);

	return knob >= 0 ? knob : size;
}

/* No callback may be called for an object that is gone, or below one. */
static void check_not_gone(enum callback cb, const struct node *node)
{
	const struct node *up;

	for (up = node; up; up = up->parent)
		if (READ_ONCE(up->gone))
			violation("%s of %s after %s has gone",
				  callback_names[cb], node->name, up->name);
}

/* From here to running_dec(), the object and its ancestors must not go away. */
static void running_inc(enum callback cb, struct node *node)
{
	struct node *up;

	for (up = node; up; up = up->parent)
		atomic_inc(&up->running);
	/* Pairs with check_going(): at least one of the two sees the other */
	smp_mb__after_atomic();
	check_not_gone(cb, node);
}

static void running_dec(enum callback cb, struct node *node)
{
	struct node *up;

	check_not_gone(cb, node);
	for (up = node; up; up = up->parent)
		atomic_dec(&up->running);
}

/* Check the parent and the name that configfs has set. */
static void check_place(enum callback cb, struct obj *obj)
{
	const struct config_item *item = obj_item(obj);
	const struct node *node = obj->node;

	if (!item->ci_parent || !item->ci_group ||
	    item->ci_parent != &item->ci_group->cg_item)
		violation("%s of %s, which has no parent", callback_names[cb],
			  node->name);
	/* The name is missing if it could not be allocated. */
	if (item->ci_name && item->ci_name[0] &&
	    strcmp(item->ci_name, node->name))
		violation("%s of %s, which has another name",
			  callback_names[cb], node->name);
}

/* Nothing is called in an item that is being committed. */
static void check_not_committing(enum callback cb, const struct node *node)
{
	for (; node; node = node->parent)
		if (READ_ONCE(node->committing))
			violation("%s while %s is being committed",
				  callback_names[cb], node->name);
}

/* Nothing changes in a live item. */
static void check_not_frozen(enum callback cb, const struct node *node)
{
	for (; node; node = node->parent)
		if (READ_ONCE(node->live))
			violation("%s while %s is live", callback_names[cb],
				  node->name);
}

static void active_add(enum callback cb, struct node *node, int n)
{
	struct node *up;

	for (up = node; up; up = up->parent)
		atomic_add(n, &up->active);
	/* Pairs with obj_change_live(): at least one of the two sees the other */
	smp_mb__after_atomic();
	check_not_committing(cb, node);
}

static int obj_begin(enum callback cb, struct obj *obj)
{
	running_inc(cb, obj->node);
	active_add(cb, obj->node, 1);
	check_place(cb, obj);
	return callback_begin(cb, obj->node);
}

static ssize_t obj_end(enum callback cb, struct obj *obj, ssize_t ret)
{
	check_place(cb, obj);
	callback_end(cb, obj->node, ret < 0 ? -1 : 0);
	active_add(cb, obj->node, -1);
	running_dec(cb, obj->node);
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

static ssize_t obj_tune_store(struct config_item *item, const char *page,
			      size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = obj_begin(CB_STORE, obj);

	atomic_set(&counts[STORE_LEN], len);
	if (!ret && page[len]) {
		violation("stored data is not null-terminated");
		ret = -EINVAL;
	}
	if (!ret) {
		guard(mutex)(&obj->lock);
		strscpy(obj->value, page);
		strim(obj->value);
		ret = knob_size(CB_STORE, len);
	}
	return obj_end(CB_STORE, obj, ret);
}
CONFIGFS_ATTR_LIVE_WO(obj_, tune);

static ssize_t obj_value_store(struct config_item *item, const char *page,
			       size_t len)
{
	check_not_frozen(CB_STORE, to_obj(item)->node);
	return obj_tune_store(item, page, len);
}
CONFIGFS_ATTR(obj_, value);
CONFIGFS_ATTR_COMMIT(obj_, live, -EPERM);
CONFIGFS_ATTR_COMMIT(obj_, power, 0);

static ssize_t obj_ro_show(struct config_item *item, char *page)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = obj_begin(CB_SHOW, obj);

	if (!ret)
		ret = sysfs_emit(page, "%s\n", obj->node->name);
	return obj_end(CB_SHOW, obj, ret);
}
CONFIGFS_ATTR_RO(obj_, ro);

static ssize_t obj_wo_store(struct config_item *item, const char *page,
			    size_t len)
{
	return obj_value_store(item, page, len);
}
CONFIGFS_ATTR_WO(obj_, wo);

static ssize_t obj_hidden_show(struct config_item *item, char *page)
{
	violation("read of an attribute that is not visible");
	return -EIO;
}
CONFIGFS_ATTR_RO(obj_, hidden);

static ssize_t obj_blob_read(struct config_item *item, void *data, size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = obj_begin(CB_BIN_READ, obj);

	if (!ret) {
		guard(mutex)(&obj->lock);
		if (data) {
			ret = min(len, obj->blob_len);
			memcpy(data, obj->blob, ret);
		} else {
			ret = knob_size(CB_BIN_READ, obj->blob_len);
		}
	}
	return obj_end(CB_BIN_READ, obj, ret);
}

static ssize_t obj_patch_write(struct config_item *item, const void *data,
			       size_t len)
{
	struct obj *obj = to_obj(item);
	ssize_t ret = obj_begin(CB_BIN_WRITE, obj);

	atomic_set(&counts[BIN_WRITE_LEN], len);
	if (len > BLOB_MAX) {
		violation("%zu bytes for an attribute of at most %d", len,
			  BLOB_MAX);
		ret = -EFBIG;
	}
	if (!ret) {
		guard(mutex)(&obj->lock);
		memcpy(obj->blob, data, len);
		obj->blob_len = len;
		ret = len;
	}
	return obj_end(CB_BIN_WRITE, obj, ret);
}
CONFIGFS_BIN_ATTR_LIVE_WO(obj_, patch, NULL, BLOB_MAX);

static ssize_t obj_blob_write(struct config_item *item, const void *data,
			      size_t len)
{
	check_not_frozen(CB_BIN_WRITE, to_obj(item)->node);
	return obj_patch_write(item, data, len);
}
CONFIGFS_BIN_ATTR(obj_, blob, NULL, BLOB_MAX);

static ssize_t obj_hidden_blob_read(struct config_item *item, void *data,
				    size_t len)
{
	violation("read of a binary attribute that is not visible");
	return -EIO;
}
CONFIGFS_BIN_ATTR_RO(obj_, hidden_blob, NULL, BLOB_MAX);

struct configfs_attribute *core_attrs[] = {
	&obj_attr_value,
	&obj_attr_hidden,
	&obj_attr_ro,
	&obj_attr_wo,
	NULL
};

struct configfs_bin_attribute *core_bin_attrs[] = {
	&obj_attr_blob,
	&obj_attr_hidden_blob,
	NULL
};

struct configfs_attribute *core_live_attrs[] = {
	&obj_attr_value,
	&obj_attr_hidden,
	&obj_attr_ro,
	&obj_attr_wo,
	&obj_attr_tune,
	&obj_attr_live,
	NULL
};

struct configfs_attribute *core_crate_attrs[] = {
	&obj_attr_value,
	&obj_attr_hidden,
	&obj_attr_ro,
	&obj_attr_wo,
	&obj_attr_tune,
	NULL
};

static struct configfs_attribute obj_attr_twin = {
	.ca_name	= "live",
	.ca_owner	= THIS_MODULE,
	.ca_mode	= 0444,
	.show		= obj_ro_show,
};

struct configfs_attribute *core_twin_attrs[] = { &obj_attr_twin, NULL };

struct configfs_attribute *core_power_attrs[] = {
	&obj_attr_value,
	&obj_attr_hidden,
	&obj_attr_ro,
	&obj_attr_wo,
	&obj_attr_tune,
	&obj_attr_power,
	NULL
};

struct configfs_bin_attribute *core_unit_bin_attrs[] = {
	&obj_attr_blob,
	&obj_attr_hidden_blob,
	&obj_attr_patch,
	NULL
};

/* Whether this is entry @n of a table that ends with NULL */
static bool is_entry(void *table, int n, const void *entry)
{
	void **p = table;

	while (n-- > 0 && *p)
		p++;
	return *p == entry;
}

/* Count the calls for one attribute only, to get one per directory. */
static bool obj_is_visible(struct config_item *item,
			   struct configfs_attribute *attr, int n)
{
	struct obj *obj = to_obj(item);

	if (!is_entry(obj->kind->type.ct_attrs, n, attr))
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
	struct obj *obj = to_obj(item);

	if (!is_entry(obj->kind->type.ct_bin_attrs, n, attr))
		violation("is_bin_visible of attribute %d of %s", n,
			  obj->node->name);
	return attr != &obj_attr_hidden_blob;
}

/*
 * Links. Neither end of a link may go away before the link does, nor during a
 * callback.
 */

static void count_link(const char *what, struct node *node, int how)
{
	for (; node; node = node->parent)
		if (atomic_add_return(how, &node->links) < 0)
			violation("%s without a link in %s", what, node->name);
}

static int obj_link(enum callback cb, struct config_item *item,
		    struct config_item *target_item, int how)
{
	struct node *target = item_to_node(target_item);
	struct obj *obj = to_obj(item);
	int ret;

	if (target)
		running_inc(cb, target);
	check_not_frozen(cb, obj->node);
	ret = obj_begin(cb, obj);
	if (!ret)
		count_link(callback_names[cb], obj->node, how);
	obj_end(cb, obj, ret);
	if (target) {
		running_dec(cb, target);
		node_put(target);
	}
	return ret;
}

static int obj_allow_link(struct config_item *item, struct config_item *target)
{
	return obj_link(CB_ALLOW_LINK, item, target, 1);
}

static void obj_drop_link(struct config_item *item, struct config_item *target)
{
	obj_link(CB_DROP_LINK, item, target, -1);
}

/*
 * Making and removing
 */

static void obj_release(struct config_item *item)
{
	struct obj *obj = to_obj(item), *owner = obj->owner;
	struct node *node = obj->node;
	bool last;

	callback_begin(CB_RELEASE, node);
	if (node->made && !node->dropped)
		violation("%s is released but was not dropped", node->name);
	if (atomic_read(&node->running))
		violation("%s is released with %d callbacks running",
			  node->name, atomic_read(&node->running));
	if (atomic_read(&obj->dependents))
		violation("%s is released with %d dependents", node->name,
			  atomic_read(&obj->dependents));
	if (item->ci_parent || item->ci_group)
		violation("%s is released while it has a parent", node->name);
	scoped_guard(spinlock, &objs_lock) {
		list_del(&obj->entry);
		if (obj == owner)
			owner->orphaned = true;
		else
			owner->embedded--;
		last = owner->orphaned && !owner->embedded;
		if (obj == owner && !last)
			violation("%s is freed while a group in it is in use",
				  node->name);
	}
	atomic_dec(&counts[OBJECTS]);
	node_put(node);
	if (last)
		kfree(owner);
	wake_up_all(&queue);
}

/* The deepest default groups go first. */
static void obj_remove_defaults(struct obj *obj)
{
	for (int i = 0; i < MAX_DEFAULTS && obj->defaults[i]; i++)
		obj_remove_defaults(obj->defaults[i]);
	configfs_remove_default_groups(&obj->own.su_group);
	/* Undo "spoil": an item without a type is never released. */
	obj_item(obj)->ci_type = &obj->kind->type;
}

static void obj_destroy(struct obj *obj)
{
	obj_remove_defaults(obj);
	config_item_put(obj_item(obj));
}

static int count_embedded(const struct kind *kind)
{
	int n = 1;

	for (int i = 0; i < MAX_DEFAULTS && kind->defaults[i].kind; i++)
		if (!kind->separate)
			n += count_embedded(kind->defaults[i].kind);
	return n;
}

static struct obj *obj_alloc(const struct kind *kind, struct obj **rest)
{
	struct obj *obj = kzalloc_objs(*obj, count_embedded(kind));

	if (!obj)
		return NULL;
	obj->owner = obj;
	*rest = obj + 1;
	return obj;
}

/*
 * Initialize an object and its default groups, which are taken from @rest, the
 * unused part of the allocation. After a failure the caller must destroy the
 * object, unless it has no node.
 */
static int obj_init(struct obj *obj, const struct kind *kind, const char *name,
		    struct configfs_subsystem *subsys, struct node *parent,
		    struct obj **rest)
{
	struct node *node = kzalloc_flex(*node, name, NAME_MAX + 1);

	if (!node)
		return -ENOMEM;
	kref_init(&node->ref);
	strcpy(node->name, name);
	node->subsys = subsys ?: &obj->own;
	node->parent = parent;
	if (parent)
		kref_get(&parent->ref);
	node->staged = kind->type.ct_group_ops == &core_depot_ops ||
		       kind->type.ct_group_ops == &core_sink_ops;
	obj->node = node;
	obj->kind = kind;
	if (obj != obj->owner)
		obj->owner->embedded++;
	mutex_init(&obj->own.su_mutex);
	mutex_init(&obj->lock);
	strscpy(obj->value, "initial");
	config_group_init_type_name(&obj->own.su_group, name, &kind->type);
	atomic_inc(&counts[OBJECTS]);
	scoped_guard(spinlock, &objs_lock)
		list_add_tail(&obj->entry, &objs);

	for (int i = 0; i < MAX_DEFAULTS && kind->defaults[i].kind; i++) {
		const struct kind *child_kind = kind->defaults[i].kind;
		struct obj *child = *rest, *child_rest;
		int ret;

		if (kind->separate) {
			child = obj_alloc(child_kind, &child_rest);
			if (!child)
				return -ENOMEM;
			rest = &child_rest;
		} else {
			child->owner = obj->owner;
			(*rest)++;
		}
		ret = obj_init(child, child_kind, kind->defaults[i].name,
			       node->subsys, node, rest);
		if (child->node) {
			obj->defaults[i] = child;
			configfs_add_default_group(&child->own.su_group,
						   &obj->own.su_group);
		} else if (kind->separate) {
			kfree(child);
		}
		if (ret)
			return ret;
	}
	return 0;
}

/* The object is a subsystem of its own if @subsys is NULL. */
static struct obj *obj_create(const struct kind *kind, const char *name,
			      struct configfs_subsystem *subsys,
			      struct node *parent)
{
	struct obj *rest, *obj = obj_alloc(kind, &rest);
	int ret;

	if (!obj)
		return ERR_PTR(-ENOMEM);
	ret = obj_init(obj, kind, name, subsys, parent, &rest);
	if (ret) {
		if (obj->node)
			obj_destroy(obj);
		else
			kfree(obj);
		return ERR_PTR(ret);
	}
	return obj;
}

static void check_su_mutex(enum callback cb, const struct node *node)
{
	struct mutex *mutex = &node->subsys->su_mutex;
	bool locked = mutex_is_locked(mutex);

	/* lockdep knows whether this thread holds it. */
	if (IS_ENABLED(CONFIG_LOCKDEP) && debug_locks)
		locked = lockdep_is_held(mutex);
	if (!locked)
		violation("%s without su_mutex", callback_names[cb]);
}

static bool node_is_closing(const struct node *node)
{
	for (; node; node = node->parent)
		if (node->closing)
			return true;
	return false;
}

static struct obj *obj_make(struct config_group *group, const char *name)
{
	struct obj *parent = to_obj(&group->cg_item), *obj, *deep;
	struct node *node = parent->node, *up;
	int ret;

	check_su_mutex(CB_MAKE, node);
	check_not_frozen(CB_MAKE, node);
	if (group->cg_subsys != node->subsys)
		violation("make in another subsystem");
	ret = obj_begin(CB_MAKE, parent);
	if (!ret && node_is_closing(node))
		ret = -ENODEV;
	if (!ret && READ_ONCE(knobs[CB_MAKE].null)) {
		obj_end(CB_MAKE, parent, -ENOMEM);
		return NULL;
	}
	obj = ret ? ERR_PTR(ret) : obj_create(parent->kind->child, name,
					      node->subsys, node);
	if (!IS_ERR(obj)) {
		obj->node->made = true;
		for (up = node; up; up = up->parent)
			atomic_inc(&up->below);
		for (deep = obj; deep->defaults[0]; deep = deep->defaults[0])
			;
		if (READ_ONCE(knobs[CB_MAKE].spoil))
			obj_item(deep)->ci_type = NULL;
	}
	obj_end(CB_MAKE, parent, PTR_ERR_OR_ZERO(obj));
	return obj;
}

static struct config_item *obj_make_item(struct config_group *group,
					 const char *name)
{
	struct obj *obj = obj_make(group, name);

	return IS_ERR_OR_NULL(obj) ? ERR_CAST(obj) : obj_item(obj);
}

static struct config_group *obj_make_group(struct config_group *group,
					   const char *name)
{
	struct obj *obj = obj_make(group, name);

	return IS_ERR_OR_NULL(obj) ? ERR_CAST(obj) : &obj->own.su_group;
}

static int obj_dependents(const struct obj *obj)
{
	int n = atomic_read(&obj->dependents);

	for (int i = 0; i < MAX_DEFAULTS && obj->defaults[i]; i++)
		n += obj_dependents(obj->defaults[i]);
	return n;
}

/* An object that goes away must not be in use. */
static void check_going(const char *what, struct obj *obj)
{
	struct node *node = obj->node;

	/* Pairs with the barrier in running_inc() */
	smp_mb();
	if (atomic_read(&node->running))
		violation("%s of %s with %d callbacks running", what,
			  node->name, atomic_read(&node->running));
	if (atomic_read(&node->below))
		violation("%s of %s with %d items below", what, node->name,
			  atomic_read(&node->below));
	if (atomic_read(&node->links))
		violation("%s of %s with %d links in it", what, node->name,
			  atomic_read(&node->links));
	if (obj_dependents(obj) && !obj->kept)
		violation("%s of %s with %d dependents", what, node->name,
			  obj_dependents(obj));
}

static void check_leaving(enum callback cb, struct config_group *group,
			  struct obj *obj)
{
	struct node *parent = to_obj(&group->cg_item)->node;

	if (obj->node->parent != parent || !obj->node->made ||
	    obj->node->dropped)
		violation("%s of %s, not in this group", callback_names[cb],
			  obj->node->name);
	check_su_mutex(cb, obj->node);
	check_not_frozen(cb, obj->node);
	check_not_committing(cb, obj->node);
	check_not_gone(cb, parent);
	check_going(callback_names[cb], obj);
}

static void obj_disconnect_notify(struct config_group *group,
				  struct config_item *item)
{
	struct obj *obj = to_obj(item);

	if (obj->node->gone)
		violation("disconnect of %s twice", obj->node->name);
	check_place(CB_DISCONNECT, obj);
	WRITE_ONCE(obj->node->gone, true);
	check_leaving(CB_DISCONNECT, group, obj);
	callback_begin(CB_DISCONNECT, obj->node);
	check_leaving(CB_DISCONNECT, group, obj);
	callback_end(CB_DISCONNECT, obj->node, 0);
}

static void obj_drop_item(struct config_group *group, struct config_item *item)
{
	struct obj *obj = to_obj(item);
	struct node *node = obj->node, *up;

	kref_get(&node->ref);
	if (!node->gone)
		violation("drop of %s, which is not disconnected", node->name);
	if (item->ci_parent || item->ci_group || !list_empty(&item->ci_entry))
		violation("drop of %s, which has a parent", node->name);
	check_leaving(CB_DROP, group, obj);
	callback_begin(CB_DROP, node);
	check_leaving(CB_DROP, group, obj);
	for (up = node->parent; up; up = up->parent)
		atomic_dec(&up->below);
	node->dropped = true;
	callback_end(CB_DROP, node, 0);
	obj_destroy(obj);
	node_put(node);
}

static void begin_change_live(enum callback cb, struct config_group *group,
			      struct config_item *item, bool live)
{
	struct mutex *mutex = &group->cg_subsys->su_mutex;
	struct obj *obj = to_obj(item);
	struct node *node = obj->node;

	if (node->parent != to_obj(&group->cg_item)->node)
		violation("%s of %s, not in this group", callback_names[cb],
			  node->name);
	if (IS_ENABLED(CONFIG_LOCKDEP) && debug_locks && lockdep_is_held(mutex))
		violation("%s of %s with su_mutex", callback_names[cb],
			  node->name);
	if (node->live == live || node->committing)
		violation("%s of %s twice", callback_names[cb], node->name);
	check_not_gone(cb, node);
	check_not_frozen(cb, node->parent);
	check_not_committing(cb, node);
	check_place(cb, obj);
	WRITE_ONCE(node->committing, true);
	/* Pairs with active_add() */
	smp_mb();
	if (atomic_read(&node->active))
		violation("%s of %s with %d callbacks running",
			  callback_names[cb], node->name,
			  atomic_read(&node->active));
}

static void end_change_live(enum callback cb, struct config_item *item,
			    bool live, int ret)
{
	struct obj *obj = to_obj(item);
	struct node *node = obj->node;

	if (atomic_read(&node->active) || config_item_is_live(item) == live)
		violation("%s of %s disturbed", callback_names[cb], node->name);
	check_place(cb, obj);
	if (!ret)
		WRITE_ONCE(node->live, live);
	WRITE_ONCE(node->committing, false);
}

static int obj_change_live(enum callback cb, struct config_group *group,
			   struct config_item *item, bool live)
{
	struct node *node = to_obj(item)->node;
	int ret;

	begin_change_live(cb, group, item, live);
	ret = callback_begin(cb, node);
	callback_end(cb, node, ret ? -1 : 0);
	end_change_live(cb, item, live, ret);
	return ret;
}

static int obj_commit_item(struct config_group *group, struct config_item *item)
{
	return obj_change_live(CB_COMMIT, group, item, true);
}

static int obj_uncommit_item(struct config_group *group,
			     struct config_item *item)
{
	return obj_change_live(CB_UNCOMMIT, group, item, false);
}

static void count_up(struct node *node, int below, int links)
{
	for (; node; node = node->parent) {
		atomic_add(below, &node->below);
		atomic_add(links, &node->links);
	}
}

static int obj_rename_item(struct config_group *group, struct config_item *item,
			   struct config_group *new_group, const char *new_name)
{
	struct node *parent = to_obj(&new_group->cg_item)->node, *former;
	struct node *node = to_obj(item)->node;
	int ret, below, links;

	check_not_gone(CB_RENAME, parent);
	check_not_frozen(CB_RENAME, parent);
	check_not_committing(CB_RENAME, parent);
	if (group->cg_item.ci_type != new_group->cg_item.ci_type)
		violation("rename to a group of another type");
	begin_change_live(CB_RENAME, group, item, !node->live);
	ret = callback_begin(CB_RENAME, node);
	if (!ret && node_is_closing(parent))
		ret = -ENODEV;
	callback_end(CB_RENAME, node, ret ? -1 : 0);
	end_change_live(CB_RENAME, item, !node->live, -1);
	if (ret)
		return ret;

	below = atomic_read(&node->below) + 1;
	links = atomic_read(&node->links);
	count_up(parent, below, links);
	kref_get(&parent->ref);
	scoped_guard(spinlock, &objs_lock) {
		former = node->parent;
		node->parent = parent;
		strscpy(node->name, new_name, NAME_MAX + 1);
	}
	count_up(former, -below, -links);
	node_put(former);
	return 0;
}

static int obj_exchange_items(struct config_group *group,
			      struct config_item *live,
			      struct config_item *pending)
{
	struct node *node = to_obj(live)->node;
	int ret;

	begin_change_live(CB_EXCHANGE, group, live, false);
	begin_change_live(CB_EXCHANGE, group, pending, true);
	ret = callback_begin(CB_EXCHANGE, node);
	callback_end(CB_EXCHANGE, node, ret ? -1 : 0);
	end_change_live(CB_EXCHANGE, pending, true, ret);
	end_change_live(CB_EXCHANGE, live, false, ret);
	return ret;
}

const struct configfs_item_operations core_item_ops = {
	.release		= obj_release,
};

const struct configfs_item_operations core_link_item_ops = {
	.release		= obj_release,
	.allow_link		= obj_allow_link,
	.drop_link		= obj_drop_link,
};

const struct configfs_group_operations core_group_ops = {
	.is_visible		= obj_is_visible,
	.is_bin_visible		= obj_is_bin_visible,
};

const struct configfs_group_operations core_item_maker_ops = {
	.make_item		= obj_make_item,
	.disconnect_notify	= obj_disconnect_notify,
	.drop_item		= obj_drop_item,
	.is_visible		= obj_is_visible,
	.is_bin_visible		= obj_is_bin_visible,
};

/* What all groups have in which mkdir(2) makes groups */
#define GROUP_MAKER_OPS					\
	.make_group		= obj_make_group,	\
	.disconnect_notify	= obj_disconnect_notify,\
	.drop_item		= obj_drop_item,	\
	.is_visible		= obj_is_visible,	\
	.is_bin_visible		= obj_is_bin_visible
const struct configfs_group_operations core_group_maker_ops = {
	GROUP_MAKER_OPS,
};

const struct configfs_group_operations core_unit_maker_ops = {
	GROUP_MAKER_OPS,
	.commit_item		= obj_commit_item,
	.uncommit_item		= obj_uncommit_item,
	.commit_in_place	= true,
};

const struct configfs_group_operations core_depot_ops = {
	GROUP_MAKER_OPS,
	.commit_item		= obj_commit_item,
	.uncommit_item		= obj_uncommit_item,
	.exchange_items		= obj_exchange_items,
	.rename_item		= obj_rename_item,
};

const struct configfs_group_operations core_shelf_ops = {
	GROUP_MAKER_OPS,
	.commit_item		= obj_commit_item,
	.uncommit_item		= obj_uncommit_item,
	.commit_in_place	= true,
	.rename_item		= obj_rename_item,
};

/* Items can be uncommitted unless "knob uncommit null" */
struct configfs_group_operations core_sink_ops = {
	GROUP_MAKER_OPS,
	.commit_item		= obj_commit_item,
	.uncommit_item		= obj_uncommit_item,
};

const struct configfs_group_operations core_oneway_ops = {
	GROUP_MAKER_OPS,
	.commit_item		= obj_commit_item,
	.commit_in_place	= true,
};

/*
 * Registration
 */

/* Serializes registration and unregistration */
static DEFINE_MUTEX(register_lock);
static struct config_group *default_group;

static ssize_t default_name_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%s\n", config_item_name(item));
}
CONFIGFS_ATTR_RO(default_, name);

static struct configfs_attribute *default_attrs[] = { &default_attr_name, NULL };

static const struct config_item_type default_type = {
	.ct_owner	= THIS_MODULE,
	.ct_attrs	= default_attrs,
};

static struct obj *find_kept(const struct node *parent, const char *name)
{
	struct obj *obj;

	guard(spinlock)(&objs_lock);
	list_for_each_entry(obj, &objs, entry)
		if (obj->kept && obj->node->parent == parent &&
		    !strcmp(obj->node->name, name))
			return obj;
	return NULL;
}

/* Register a subsystem if @parent is NULL. */
static struct obj *register_obj(struct obj *parent, const struct kind *kind,
				const char *name)
{
	struct obj *obj = parent ? find_kept(parent->node, name) : NULL;
	int ret;

	if (!obj)
		obj = obj_create(kind, name, parent ? parent->node->subsys : NULL,
				 parent ? parent->node : NULL);
	if (IS_ERR(obj))
		return obj;
	obj->node->closing = false;
	WRITE_ONCE(obj->node->gone, false);
	if (parent)
		ret = configfs_register_group(&parent->own.su_group,
					      &obj->own.su_group);
	else
		ret = configfs_register_subsystem(&obj->own);
	if (ret) {
		WRITE_ONCE(obj->node->gone, true);
		obj_destroy(obj);
		return ERR_PTR(ret);
	}
	obj->kept = false;
	return obj;
}

static void unregister_obj(struct obj *obj)
{
	if (obj->node->parent)
		configfs_unregister_group(&obj->own.su_group);
	else
		configfs_unregister_subsystem(&obj->own);
	WRITE_ONCE(obj->node->gone, true);
	check_going("unregistering", obj);
	if (!obj->kept)
		obj_destroy(obj);
}

/* A driver must not unregister a group with items in it, so prevent new ones. */
static int obj_close(struct obj *obj)
{
	guard(mutex)(&obj->node->subsys->su_mutex);
	if (atomic_read(&obj->node->below))
		return -EBUSY;
	obj->node->closing = true;
	return 0;
}

static void unregister_default(void)
{
	if (default_group)
		configfs_unregister_default_group(default_group);
	default_group = NULL;
}

static int obj_undepend(struct obj *obj)
{
	if (!atomic_add_unless(&obj->dependents, -1, 0))
		return -ENOENT;
	configfs_undepend_item(obj_item(obj));
	return 0;
}

static bool has_dependents(const struct obj *obj)
{
	return atomic_read(&obj->dependents);
}

static bool can_be_unregistered(const struct obj *obj)
{
	return obj->registered && !atomic_read(&obj->node->below);
}

static bool is_kept(const struct obj *obj)
{
	return obj->kept;
}

static struct obj *newest(bool (*is_one)(const struct obj *obj))
{
	struct obj *obj;

	guard(spinlock)(&objs_lock);
	list_for_each_entry_reverse(obj, &objs, entry)
		if (is_one(obj))
			return obj;
	return NULL;
}

static void undo_all(void)
{
	struct obj *obj;

	while ((obj = newest(has_dependents)))
		obj_undepend(obj);
	guard(mutex)(&register_lock);
	unregister_default();
	while ((obj = newest(can_be_unregistered))) {
		obj->registered = false;
		unregister_obj(obj);
	}
	while ((obj = newest(is_kept))) {
		obj->kept = false;
		obj_destroy(obj);
	}
}

/*
 * Commands
 */

#define MAX_WORDS	8

static int set_knob(struct knob *knob, char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = 0;
	else
		value = "";
	if (!strcmp(word, "wait"))
		knob->wait = true;
	else if (!strcmp(word, "null"))
		knob->null = true;
	else if (!strcmp(word, "spoil"))
		knob->spoil = true;
	else if (!strcmp(word, "name"))
		strscpy(knob->name, value);
	else if (!strcmp(word, "depend"))
		strscpy(knob->depend, value);
	else if (!strcmp(word, "error"))
		return kstrtoint(value, 0, &knob->error);
	else if (!strcmp(word, "slow"))
		return kstrtoint(value, 0, &knob->slow);
	else if (!strcmp(word, "size"))
		return kstrtoint(value, 0, &knob->size);
	else
		return -EINVAL;
	return 0;
}

static void set_sink_ops(void)
{
	WRITE_ONCE(core_sink_ops.uncommit_item,
		   knobs[CB_UNCOMMIT].null ? NULL : obj_uncommit_item);
}

static int do_knob(char **words)
{
	int cb = match_string(callback_names, NR_CALLBACKS, words[0]);
	struct knob new = { .size = -1 };
	int ret = cb < 0 ? cb : 0;

	while (!ret && *++words)
		ret = set_knob(&new, *words);
	if (ret)
		return ret;
	scoped_guard(mutex, &knob_lock) {
		new.generation = knobs[cb].generation + 1;
		knobs[cb] = new;
		set_sink_ops();
	}
	wake_up_all(&queue);
	return 0;
}

static atomic_t *find_counter(const char *name)
{
	bool is_held = !strncmp(name, "held_", 5);
	int i = match_string(count_names, NR_COUNTS, name);

	if (i >= 0)
		return &counts[i];
	i = match_string(callback_names, NR_CALLBACKS, name + 5 * is_held);
	if (i < 0)
		return NULL;
	return is_held ? &held[i] : &calls[i];
}

static int do_await(char **words)
{
	atomic_t *counter = find_counter(words[0]);
	int value, ms;
	long ret;

	if (!counter || kstrtoint(words[1], 0, &value) ||
	    kstrtoint(words[2] ?: "100000", 0, &ms))
		return -EINVAL;
	ret = wait_event_interruptible_timeout(queue,
					       atomic_read(counter) >= value,
					       msecs_to_jiffies(ms));
	return ret > 0 ? 0 : ret ?: -ETIMEDOUT;
}

static int do_reset(char **words)
{
	scoped_guard(mutex, &knob_lock) {
		for (int i = 0; i < NR_CALLBACKS; i++)
			knobs[i] = (struct knob) {
				.size = -1,
				.generation = knobs[i].generation + 1,
			};
		set_sink_ops();
	}
	wake_up_all(&queue);
	undo_all();
	for (int i = 0; i < NR_CALLBACKS; i++)
		atomic_set(&calls[i], 0);
	for (int i = 0; i < NR_COUNTS; i++)
		if (i != OBJECTS)
			atomic_set(&counts[i], 0);
	guard(spinlock)(&events_lock);
	events_len = 0;
	return 0;
}

static int do_depend(char **words)
{
	struct obj *obj = obj_find(words[0]), *subsys = NULL;
	int ret;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (words[1])
		subsys = obj_find(words[1]);
	if (IS_ERR(subsys)) {
		obj_put(obj);
		return PTR_ERR(subsys);
	}
	ret = configfs_depend_item(subsys ? &subsys->own : obj->node->subsys,
				   obj_item(obj));
	if (!ret)
		atomic_inc(&obj->dependents);
	if (subsys)
		obj_put(subsys);
	obj_put(obj);
	return ret;
}

static int do_undepend(char **words)
{
	struct obj *obj = obj_find(words[0]);
	int ret;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ret = obj_undepend(obj);
	obj_put(obj);
	return ret;
}

/* What a driver does to one of its items by itself: without @name, commits it or not */
struct driver_work {
	struct work_struct work;
	struct config_item *item;
	bool live;
	struct config_group *group;
	const char *name;
	int ret;
};

static void driver_fn(struct work_struct *work)
{
	struct driver_work *w = container_of(work, struct driver_work, work);

	if (w->name)
		w->ret = configfs_rename_item(w->item, w->group, w->name);
	else if (w->live)
		w->ret = configfs_commit_item(w->item);
	else
		w->ret = configfs_uncommit_item(w->item);
}

/* In a kernel thread if @how is not NULL */
static int driver_does(struct driver_work *w, const char *how)
{
	INIT_WORK_ONSTACK(&w->work, driver_fn);
	if (how) {
		schedule_work(&w->work);
		flush_work(&w->work);
	} else {
		driver_fn(&w->work);
	}
	destroy_work_on_stack(&w->work);
	return w->ret;
}

static int commit_obj(const char *path, const char *how, bool live)
{
	struct obj *obj = obj_find(path);
	struct driver_work w = { .live = live };
	int ret;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	w.item = obj_item(obj);
	ret = driver_does(&w, how);
	obj_put(obj);
	return ret;
}

static int do_commit(char **words)
{
	return commit_obj(words[0], words[1], true);
}

static int do_uncommit(char **words)
{
	return commit_obj(words[0], words[1], false);
}

static int do_rename(char **words)
{
	struct obj *obj = obj_find(words[0]), *group = NULL;
	struct driver_work w = { .name = words[2] };
	int ret;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (strcmp(words[1], "-"))
		group = obj_find(words[1]);
	if (IS_ERR(group)) {
		obj_put(obj);
		return PTR_ERR(group);
	}
	w.item = obj_item(obj);
	w.group = group ? &group->own.su_group : NULL;
	ret = driver_does(&w, words[3]);
	if (group)
		obj_put(group);
	obj_put(obj);
	return ret;
}

static int do_is_live(char **words)
{
	struct obj *obj = obj_find(words[0]);
	int ret;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ret = config_item_is_live(obj_item(obj)) ? 0 : -EAGAIN;
	obj_put(obj);
	return ret;
}

static int do_register(char **words)
{
	bool is_subsys = !strcmp(words[0], "/");
	struct obj *parent = NULL, *obj;
	const struct named_kind *k;

	for (k = core_kinds; k->name && strcmp(k->name, words[2]); k++)
		;
	if (!k->name)
		return -EINVAL;
	guard(mutex)(&register_lock);
	if (!is_subsys)
		parent = obj_find(words[0]);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	obj = register_obj(parent, k->kind, words[1]);
	if (parent)
		obj_put(parent);
	if (!IS_ERR(obj))
		obj->registered = true;
	return PTR_ERR_OR_ZERO(obj);
}

static int do_unregister(char **words)
{
	bool force = false, keep = false;
	struct obj *obj;
	int ret;

	for (char **word = words + 1; *word; word++) {
		force |= !strcmp(*word, "force");
		keep |= !strcmp(*word, "keep");
	}
	guard(mutex)(&register_lock);
	obj = obj_find(words[0]);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ret = !obj->registered ? -EINVAL : force ? 0 : obj_close(obj);
	obj_put(obj);
	if (ret)
		return ret;
	obj->registered = false;
	obj->kept = keep;
	unregister_obj(obj);
	return 0;
}

static int do_unregister_as_subsystem(char **words)
{
	struct obj *obj;

	guard(mutex)(&register_lock);
	obj = obj_find(words[0]);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (obj->node->parent)
		configfs_unregister_subsystem(&obj->own);
	obj_put(obj);
	return 0;
}

static int do_forget_link(char **words)
{
	struct obj *obj = obj_find(words[0]);

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	count_link("forget_link", obj->node, -1);
	obj_put(obj);
	return 0;
}

static int do_register_default(char **words)
{
	struct config_group *group;
	struct obj *parent;

	guard(mutex)(&register_lock);
	if (default_group)
		return -EALREADY;
	parent = obj_find(words[0]);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	group = configfs_register_default_group(&parent->own.su_group, words[1],
						&default_type);
	obj_put(parent);
	if (!IS_ERR(group))
		default_group = group;
	return PTR_ERR_OR_ZERO(group);
}

static int do_unregister_default(char **words)
{
	guard(mutex)(&register_lock);
	if (!default_group)
		return -ENOENT;
	unregister_default();
	return 0;
}

static char children[PATH_SIZE];

static int do_children(char **words)
{
	struct config_item *item, *found;
	struct config_group *group;
	struct obj *obj;
	int len = 0;

	obj = obj_find(words[0]);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	group = &obj->own.su_group;
	children[0] = 0;
	scoped_guard(mutex, &obj->node->subsys->su_mutex)
		list_for_each_entry(item, &group->cg_children, ci_entry) {
			const char *name = config_item_name(item) ?: "";

			len += scnprintf(children + len, PATH_SIZE - len, "%s%s",
					 len ? " " : "", name);
			found = config_group_find_item(group, name);
			if (found != item)
				violation("%s cannot be found", name);
			config_item_put(found);
		}
	obj_put(obj);
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(char **words);
	int nr_words;	/* minimum */
} commands[] = {
	{ "knob",		do_knob,		1 },
	{ "await",		do_await,		2 },
	{ "reset",		do_reset,		0 },
	{ "depend",		do_depend,		1 },
	{ "undepend",		do_undepend,		1 },
	{ "commit",		do_commit,		1 },
	{ "uncommit",		do_uncommit,		1 },
	{ "rename",		do_rename,		3 },
	{ "is_live",		do_is_live,		1 },
	{ "register",		do_register,		3 },
	{ "unregister",		do_unregister,		1 },
	{ "unregister_as_subsystem", do_unregister_as_subsystem, 1 },
	{ "forget_link",	do_forget_link,		1 },
	{ "register_default",	do_register_default,	2 },
	{ "unregister_default",	do_unregister_default,	0 },
	{ "children",		do_children,		1 },
};

static ssize_t command_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t len)
{
	char *text __free(kfree) = kstrdup(buf, GFP_KERNEL), *next;
	char *words[MAX_WORDS + 1] = {};
	int n = 0, ret = -EINVAL;

	if (!text)
		return -ENOMEM;
	next = strim(text);
	while (next && n < MAX_WORDS)
		words[n++] = strsep(&next, " ");
	for (int i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, words[0]) &&
		    n > commands[i].nr_words)
			ret = commands[i].fn(words + 1);
	return ret ?: len;
}

static struct kobj_attribute command_attr = __ATTR_WO(command);

static ssize_t counters_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	int i, len = 0;

	for (i = 0; i < NR_CALLBACKS; i++)
		len += sysfs_emit_at(buf, len, "%s %d\nheld_%s %d\n",
				     callback_names[i], atomic_read(&calls[i]),
				     callback_names[i], atomic_read(&held[i]));
	for (i = 0; i < NR_COUNTS; i++)
		len += sysfs_emit_at(buf, len, "%s %d\n", count_names[i],
				     atomic_read(&counts[i]));
	return len;
}

static struct kobj_attribute counters_attr = __ATTR_RO(counters);

static ssize_t events_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	guard(spinlock)(&events_lock);
	memcpy(buf, events, events_len);
	return events_len;
}

static struct kobj_attribute events_attr = __ATTR_RO(events);

static ssize_t children_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%s\n", children);
}

static struct kobj_attribute children_attr = __ATTR_RO(children);

static struct attribute *control_attrs[] = {
	&command_attr.attr,
	&counters_attr.attr,
	&events_attr.attr,
	&children_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(control);

static struct kobject *control_kobj;

/*
 * The module
 */

static struct obj *subsystems[4];

struct configfs_subsystem *core_subsystem(void)
{
	return &subsystems[0]->own;
}

static void core_exit(void)
{
	if (control_kobj) {
		sysfs_remove_groups(control_kobj, control_groups);
		kobject_put(control_kobj);
	}
	undo_all();
	for (int i = 0; i < ARRAY_SIZE(subsystems) && subsystems[i]; i++)
		unregister_obj(subsystems[i]);
	if (atomic_read(&counts[OBJECTS]))
		violation("%d objects are left", atomic_read(&counts[OBJECTS]));
}
module_exit(core_exit);

static int __init core_init(void)
{
	int ret = 0;

	for (int i = 0; core_subsystems[i].name && !ret; i++) {
		struct obj *obj = register_obj(NULL, core_subsystems[i].kind,
					       core_subsystems[i].name);

		if (IS_ERR(obj))
			ret = PTR_ERR(obj);
		else
			subsystems[i] = obj;
	}
	if (!ret) {
		control_kobj = kobject_create_and_add(THIS_MODULE->name,
						      kernel_kobj);
		ret = control_kobj ? sysfs_create_groups(control_kobj,
							 control_groups) :
				     -ENOMEM;
	}
	if (ret)
		core_exit();
	return ret;
}
module_init(core_init);
