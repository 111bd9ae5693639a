// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * state.c - what keeps an item from changing.
 *
 * A fragment is what is removed in one step: an item, with its attributes and
 * default groups, or a registered group with its.  Each of their dirents, and
 * so each open file, has a reference on it.
 *
 * An item in a group with commit_in_place has a state: its driver has committed
 * it (CONFIGFS_FRAG_LIVE), or not.  A live item is frozen, with everything below
 * it.  To freeze it, nothing below it is visited: the fragment of each item there
 * leads by frag_outer to the next one above that has a state, and so to all of
 * them.
 *
 * Three things go on in an item.  Each counts in its own fragment, and in all that
 * frag_outer leads to:
 *
 * callbacks	hold frag_sem shared: show() and the like, for any part of it.
 *		Removing or committing an item holds it exclusively: no callback
 *		is running then, and none is called.  CONFIGFS_FRAG_DEAD is set
 *		when the item is removed, and no callback follows.
 *
 * changes	hold frag_changes shared: mkdir(2), rmdir(2), symlink(2) and
 *		unlink(2) in it, and a commit of an item below.  Removing an item
 *		that has a state or is below one, or committing it, holds it
 *		exclusively.
 *
 * written	binary attributes that were written and are still open are counted
 *		in frag_written: their data have not reached the driver yet, so
 *		the item cannot be committed.
 *
 * CONFIGFS_FRAG_LIVE changes while both are held exclusively.  So a task that
 * holds either of them shared and finds no live item can rely on that until it
 * releases the semaphore.
 *
 * Locks, outermost first; attach.c has those around them:
 *
 *	inodes of the parent and of the directory
 *	  frag_changes
 *	    inodes of what is dismantled, with those of outer fragments held
 *	    frag_sem
 *	      su_mutex
 *
 * Semaphores are taken from the innermost fragment outwards, and all but the first
 * by trylock.  If one is not free, a callback drops all that it holds before it
 * waits, so that it does not keep a removal of the inner item waiting for a commit
 * of the outer one.
 *
 * A change drops all but the first, frag_changes of the item that it is in.  It
 * holds the inode of a directory in that item, and the removal of the item, which
 * counts as a change of those above, locks that inode.  So the removal must not
 * begin while the change waits for a commit above, which may wait for the removal.
 * A change that comes later fails as soon as it has frag_changes of the item.
 */

#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include <linux/configfs.h>
#include "configfs_internal.h"

enum configfs_use { CONFIGFS_CALLBACK, CONFIGFS_CHANGE };

static struct rw_semaphore *to_sem(struct configfs_fragment *frag,
				   enum configfs_use use)
{
	return use == CONFIGFS_CHANGE ? &frag->frag_changes : &frag->frag_sem;
}

/**
 * configfs_new_fragment - what is going to be removed in one step
 * @outer: the fragment of the directory that it is in, or NULL
 * @commits: whether the item has a state
 *
 * Return: the fragment, with one reference, or NULL when out of memory
 */
struct configfs_fragment *configfs_new_fragment(struct configfs_fragment *outer,
						bool commits)
{
	struct configfs_fragment *p;

	p = kmalloc_obj(struct configfs_fragment);
	if (p) {
		atomic_set(&p->frag_count, 1);
		atomic_set(&p->frag_written, 0);
		init_rwsem(&p->frag_sem);
		init_rwsem(&p->frag_changes);
		if (outer &&
		    !(READ_ONCE(outer->frag_flags) & CONFIGFS_FRAG_COMMITS))
			outer = outer->frag_outer;
		p->frag_outer = get_fragment(outer);
		p->frag_flags = outer ? CONFIGFS_FRAG_INNER : 0;
		if (commits)
			p->frag_flags |= CONFIGFS_FRAG_COMMITS;
		p->frag_time = ktime_get_coarse_real();
	}
	return p;
}

void put_fragment(struct configfs_fragment *frag)
{
	struct configfs_fragment *outer;

	for (; frag && atomic_dec_and_test(&frag->frag_count); frag = outer) {
		outer = frag->frag_outer;
		kfree(frag);
	}
}

static void up_all(struct configfs_fragment *frag,
		   struct configfs_fragment *end, enum configfs_use use)
{
	for (; frag != end; frag = frag->frag_outer)
		up_read(to_sem(frag, use));
}

/* Return: NULL, or the fragment that we have to wait for, with none held */
static struct configfs_fragment *try_down_all(struct configfs_fragment *frag,
					      enum configfs_use use)
{
	struct configfs_fragment *p;

	for (p = frag; p; p = p->frag_outer)
		if (!down_read_trylock(to_sem(p, use))) {
			up_all(frag, p, use);
			return p;
		}
	return NULL;
}

static int down_one(struct configfs_fragment *frag, bool killable)
{
	if (killable)
		return down_read_killable(&frag->frag_sem);
	down_read(&frag->frag_sem);
	return 0;
}

/*
 * What configfs_get_active() does when frag_sem of @frag, which is held, is not
 * enough.  When this fails, it is not held any more.
 */
int configfs_get_active_outer(struct configfs_fragment *frag, bool killable)
{
	struct configfs_fragment *closed;
	int ret;

	do {
		if (frag->frag_flags & CONFIGFS_FRAG_DEAD) {
			up_read(&frag->frag_sem);
			return -ENOENT;
		}
		closed = try_down_all(frag->frag_outer, CONFIGFS_CALLBACK);
		if (!closed)
			return 0;
		up_read(&frag->frag_sem);
		ret = down_one(closed, killable);
		if (ret)
			break;
		up_read(&closed->frag_sem);
		ret = down_one(frag, killable);
	} while (!ret);
	return ret;
}

/* Whether it, or one that it is below, is live */
bool configfs_is_live_outwards(struct configfs_fragment *frag)
{
	for (; frag; frag = frag->frag_outer)
		if (READ_ONCE(frag->frag_flags) & CONFIGFS_FRAG_LIVE)
			return true;
	return false;
}

void configfs_put_active_outer(struct configfs_fragment *frag)
{
	up_all(frag->frag_outer, NULL, CONFIGFS_CALLBACK);
}

/* Whether a commit may have to wait for changes in it */
static bool has_state(struct configfs_fragment *frag)
{
	return READ_ONCE(frag->frag_flags) &
		(CONFIGFS_FRAG_COMMITS | CONFIGFS_FRAG_INNER);
}

/*
 * Caller holds frag_changes of @frag, and keeps it while we wait: otherwise @frag
 * could be removed meanwhile, and that would wait for the caller's inode.
 */
static int begin_outer_change(struct configfs_fragment *frag)
{
	struct configfs_fragment *closed;

	if (READ_ONCE(frag->frag_flags) & CONFIGFS_FRAG_DEAD)
		return -ENOENT;
	while ((closed = try_down_all(frag->frag_outer, CONFIGFS_CHANGE))) {
		if (down_read_killable_nested(&closed->frag_changes,
					      SINGLE_DEPTH_NESTING))
			return -EINTR;
		up_read(&closed->frag_changes);
	}
	return 0;
}

/**
 * configfs_begin_change - begin to change what is in an item
 * @frag: the fragment of the item
 *
 * Until configfs_end_change(), neither the item nor one that it is below is
 * committed.
 *
 * Context: Process context, may sleep.  The inode of the directory that is going
 * to change is locked.
 *
 * Return:
 * * 0
 * * -EBUSY  - the item, or one that it is below, is live
 * * -EINTR  - killed while waiting for a commit
 * * -ENOENT - the item is being removed
 */
int configfs_begin_change(struct configfs_fragment *frag)
{
	int ret;

	if (!has_state(frag))
		return 0;
	ret = down_read_killable(&frag->frag_changes);
	if (ret)
		return ret;
	ret = begin_outer_change(frag);
	if (ret) {
		up_read(&frag->frag_changes);
	} else if (configfs_is_frozen(frag)) {
		configfs_end_change(frag);
		ret = -EBUSY;
	}
	return ret;
}

void configfs_end_change(struct configfs_fragment *frag)
{
	if (has_state(frag))
		up_all(frag, NULL, CONFIGFS_CHANGE);
}

/**
 * configfs_begin_exclusive - begin to remove or commit an item
 * @frag: the fragment of the item
 *
 * No change of the item is going on when this returns, and none begins until
 * configfs_end_exclusive().  For items that it is below, this is a change of
 * them, until configfs_end_outer_change().
 *
 * Context: Process context, may sleep.
 *
 * Return:
 * * 0
 * * -EBUSY  - an item that it is below is live
 * * -EINTR  - killed while waiting
 * * -ENOENT - it has been removed
 */
int configfs_begin_exclusive(struct configfs_fragment *frag)
{
	int ret;

	if (!has_state(frag))
		return 0;
	ret = down_write_killable(&frag->frag_changes);
	if (ret)
		return ret;
	ret = begin_outer_change(frag);
	if (!ret && configfs_is_live_outwards(frag->frag_outer)) {
		configfs_end_outer_change(frag);
		ret = -EBUSY;
	}
	if (ret)
		up_write(&frag->frag_changes);
	return ret;
}

/* The item can change again, or has been detached. */
void configfs_end_exclusive(struct configfs_fragment *frag)
{
	if (has_state(frag))
		up_write(&frag->frag_changes);
}

/* Its removal or commit is over for the items that it is below, too. */
void configfs_end_outer_change(struct configfs_fragment *frag)
{
	up_all(frag->frag_outer, NULL, CONFIGFS_CHANGE);
}

/**
 * configfs_begin_write - begin to write a binary attribute
 * @frag: the fragment of the item
 *
 * The data are handed over when the file is closed.  Until
 * configfs_end_write(), nothing that would refuse them is committed.
 *
 * Return:
 * * 0
 * * -EBUSY  - the item, or one that it is below, is live
 * * -EINTR  - killed while waiting for a commit
 * * -ENOENT - the item is being removed
 */
int configfs_begin_write(struct configfs_fragment *frag)
{
	struct configfs_fragment *p;
	int ret = configfs_get_active(frag);

	if (ret)
		return ret;
	if (configfs_is_frozen(frag))
		ret = -EBUSY;
	else
		for (p = frag; p; p = p->frag_outer)
			atomic_inc(&p->frag_written);
	configfs_put_active(frag);
	return ret;
}

void configfs_end_write(struct configfs_fragment *frag)
{
	for (; frag; frag = frag->frag_outer)
		atomic_dec(&frag->frag_written);
}

static bool is_attached(struct config_item *item)
{
	guard(spinlock)(&configfs_dirent_lock);
	return configfs_is_attached(item->ci_dentry);
}

/*
 * Let the driver commit or uncommit an item.  Caller holds both semaphores of
 * its fragment, which is not dead.
 */
int configfs_call_commit(struct configfs_fragment *frag,
			 struct config_item *item, bool live)
{
	struct config_group *group = item->ci_group;
	const struct configfs_group_operations *ops =
		group->cg_item.ci_type->ct_group_ops;
	int (*op)(struct config_group *group, struct config_item *item) =
		live ? ops->commit_item : ops->uncommit_item;
	struct configfs_subsystem *subsys = group->cg_subsys;
	int ret;

	if (!subsys)
		return -ENOENT;
	ret = op ? op(group, item) : -EPERM;
	if (ret > 0) {
		pr_warn_once("%s: %pS returned %d\n",
			     config_item_name(&group->cg_item), op, ret);
		ret = -EINVAL;
	}
	if (!ret) {
		/* For drivers that look at it under su_mutex */
		guard(mutex)(&subsys->su_mutex);
		WRITE_ONCE(frag->frag_flags, live ?
			   frag->frag_flags | CONFIGFS_FRAG_LIVE :
			   frag->frag_flags & ~CONFIGFS_FRAG_LIVE);
	}
	return ret;
}

/**
 * config_item_is_live - whether an item has been committed
 * @item: the item, or anything in it or below it that its driver knows to be there
 *
 * The answer stays true while su_mutex is held; in a callback for @item, or for
 * anything below it; and in the ops that commit it or take it out of service,
 * until they return.
 *
 * Context: Any in which a spinlock can be taken, but for interrupts.
 *
 * Return: whether @item is live, or, if it cannot be committed, the nearest item
 * above it that can; false if there is none, and for what has no directory.
 */
bool config_item_is_live(const struct config_item *item)
{
	struct configfs_fragment *frag;

	guard(spinlock)(&configfs_dirent_lock);
	if (!item->ci_dentry)
		return false;
	frag = to_dirent(item->ci_dentry)->s_frag;
	if (frag && !(READ_ONCE(frag->frag_flags) & CONFIGFS_FRAG_COMMITS))
		frag = frag->frag_outer;
	return frag && READ_ONCE(frag->frag_flags) & CONFIGFS_FRAG_LIVE;
}
EXPORT_SYMBOL(config_item_is_live);

/**
 * configfs_commit_show - show() of an attribute that commits its item
 * @item: the item
 * @page: where to print whether it is live
 *
 * Context: As for show() of &struct configfs_attribute.
 *
 * Return: the length
 */
ssize_t configfs_commit_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", config_item_is_live(item));
}
EXPORT_SYMBOL(configfs_commit_show);

/**
 * configfs_commit - commit or uncommit an item where it is
 * @frag: the fragment of the item, which has a state
 * @item: the item; need not be there any more
 * @live: which of the two
 * @again: what to return if it is that already
 *
 * Context: Process context, may sleep.  Neither an inode of configfs is locked
 * nor is the caller a callback.
 *
 * Return:
 * * 0
 * * @again
 * * what ->commit_item() or ->uncommit_item() returned
 * * -EBUSY  - the item is below a live one, or a binary attribute in it was
 *             written and is still open
 * * -EINTR  - killed while waiting
 * * -EINVAL - the op returned a positive number
 * * -ENOENT - the item is being removed
 * * -EPERM  - there is no such op
 */
int configfs_commit(struct configfs_fragment *frag, struct config_item *item,
		    bool live, int again)
{
	int ret;

	ret = configfs_begin_exclusive(frag);
	if (ret)
		return ret;
	ret = down_write_killable(&frag->frag_sem);
	if (!ret) {
		/* A driver can unregister a group and leave its items behind. */
		if (frag->frag_flags & CONFIGFS_FRAG_DEAD || !is_attached(item))
			ret = -ENOENT;
		else if (live == !!(frag->frag_flags & CONFIGFS_FRAG_LIVE))
			ret = again;
		else if (live && atomic_read(&frag->frag_written))
			ret = -EBUSY;
		else
			ret = configfs_call_commit(frag, item, live);
		up_write(&frag->frag_sem);
	}
	configfs_end_exclusive(frag);
	configfs_end_outer_change(frag);
	return ret;
}

static int commit_by_driver(struct config_item *item, bool live)
{
	struct configfs_fragment *frag = NULL;
	struct dentry *dir;
	int ret = -EINVAL;

	scoped_guard(spinlock, &configfs_dirent_lock) {
		dir = item->ci_dentry;
		if (!configfs_is_attached(dir))
			return -ENOENT;
		/* Not the root, nor a default group, which has that of its item */
		if (!IS_ROOT(dir) &&
		    to_dirent(dir)->s_frag != to_dirent(dir->d_parent)->s_frag)
			frag = get_fragment(to_dirent(dir)->s_frag);
	}
	if (frag && READ_ONCE(frag->frag_flags) & CONFIGFS_FRAG_COMMITS)
		ret = configfs_commit(frag, item, live, -EALREADY);
	put_fragment(frag);
	return ret;
}

/**
 * configfs_commit_item - commit an item, as its driver sees fit
 * @item: the item; the caller keeps it from being freed
 *
 * This does what a write to its commit attribute does, for a driver that hears
 * of something other than that: the firmware has been loaded, the device is
 * there.  Calls ->commit_item().
 *
 * Context: Process context, may sleep.  Kernel threads can call it, and so can a
 * task on its way out.  Neither a callback nor another such op can, nor can those
 * who hold a lock that one of them takes.
 *
 * Return:
 * * 0
 * * what ->commit_item() returned
 * * -EALREADY - it is live
 * * -EBUSY    - it is below a live item, or written binary data are pending
 * * -EINTR    - the current task was killed while waiting
 * * -EINVAL   - its group has no commit_in_place, or the op returned > 0
 * * -ENOENT   - it has no directory (any more, or not yet)
 * * -EPERM    - there is no ->commit_item()
 */
int configfs_commit_item(struct config_item *item)
{
	return commit_by_driver(item, true);
}
EXPORT_SYMBOL(configfs_commit_item);

/**
 * configfs_uncommit_item - take an item out of service, as its driver sees fit
 * @item: the item; the caller keeps it from being freed
 *
 * As configfs_commit_item(), when a device has gone, for example.  Calls
 * ->uncommit_item().
 *
 * Context: As for configfs_commit_item().
 *
 * Return: as for configfs_commit_item(); -EALREADY if it is not live
 */
int configfs_uncommit_item(struct config_item *item)
{
	return commit_by_driver(item, false);
}
EXPORT_SYMBOL(configfs_uncommit_item);
