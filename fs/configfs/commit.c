// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * commit.c - how an item is committed where it is.
 *
 * The driver takes an item into service as userspace has configured it, and out of
 * service again.  Userspace asks for that by a write to the commit attribute of the
 * item, or by rmdir(2), or the driver itself does.  In this order:
 *
 *  1. frag_changes and then frag_sem of the item are taken exclusively: nothing
 *     is made or removed in the item from here on, and no callback runs
 *  2. whatever is in the way is found
 *  3. the op of the group is called, without su_mutex
 *  4. CONFIGFS_FRAG_LIVE is changed, with su_mutex held
 *
 * Nothing fails after the driver has agreed.  No inode is locked, unless the caller
 * is rmdir(2), and other items can be committed meanwhile.  See state.c for what
 * is held still.
 */

#include <linux/fs.h>

#include <linux/configfs.h>
#include "configfs_internal.h"

static bool is_attached(struct config_item *item)
{
	guard(spinlock)(&configfs_dirent_lock);
	return configfs_is_attached(item->ci_dentry);
}

/*
 * Whether we are in an op that commits the item.  A driver may open a path from
 * userspace there, such as that of a disk, which leads back to the item.  This
 * needs no lock: nobody else sets frag_committer to us.
 */
bool configfs_commits_now(struct configfs_fragment *frag)
{
	/* Somebody else may be moving the item into another one */
	guard(spinlock)(&configfs_dirent_lock);
	for (; frag; frag = frag->frag_outer)
		if (READ_ONCE(frag->frag_committer) == current)
			return true;
	return false;
}

/* A positive result is a bug in the driver, which has not done what it was asked. */
int configfs_op_result(struct config_group *group, void *op, int ret)
{
	if (ret <= 0)
		return ret;
	pr_warn_once("%s: %pS returned %d\n", config_item_name(&group->cg_item),
		     op, ret);
	return -EINVAL;
}

/* Caller holds su_mutex as well, for drivers that look at it there. */
void configfs_set_live(struct configfs_fragment *frag, bool live)
{
	WRITE_ONCE(frag->frag_flags,
		   live ? frag->frag_flags | CONFIGFS_FRAG_LIVE :
			  frag->frag_flags & ~CONFIGFS_FRAG_LIVE);
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
	WRITE_ONCE(frag->frag_committer, current);
	ret = op ? configfs_op_result(group, op, op(group, item)) : -EPERM;
	WRITE_ONCE(frag->frag_committer, NULL);
	if (!ret) {
		guard(mutex)(&subsys->su_mutex);
		configfs_set_live(frag, live);
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
	while (frag && !(READ_ONCE(frag->frag_flags) & CONFIGFS_FRAG_COMMITS))
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
	return sprintf(page, "%d\n", config_item_is_live(item));
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
 * * -EBUSY  - the item is below one that is live or being committed, or a binary
 *             attribute in it was written and is still open
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
	/* In this order: the item stays in the outer ones until it can change again */
	configfs_end_outer_change(frag);
	configfs_end_exclusive(frag);
	return ret;
}

static int commit_by_driver(struct config_item *item, bool live)
{
	struct configfs_fragment *frag = NULL;
	bool staged = false;
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
		staged = to_dirent(dir->d_parent)->s_type & CONFIGFS_STAGE;
	}
	if (frag && staged)
		ret = configfs_commit_by_rename(item, live);
	else if (frag && READ_ONCE(frag->frag_flags) & CONFIGFS_FRAG_COMMITS)
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
 * there.  Calls ->commit_item().  Those who watch the attribute by inotify(7) are
 * not told.
 *
 * Unless its group has commit_in_place, the item is moved from pending/ to live/, as by
 * rename(2), whatever permissions and mounts say.  This fails with -EBUSY where
 * rename(2) does, and with -EEXIST if live/ has an item of this name.  It waits for
 * other renames, so no operation of any group may wait for work that does this.
 *
 * Context: Process context, may sleep.  Kernel threads can call it, and so can a
 * task on its way out.  Neither a callback nor another such op can, nor can those
 * who hold a lock that one of them takes, nor work that one of them waits for.
 *
 * Return:
 * * 0
 * * what ->commit_item() returned
 * * -EALREADY - it is live
 * * -EBUSY    - it is below an item that is live or being committed
 * * -EBUSY    - written binary data are pending
 * * -EEXIST   - see above
 * * -EINTR    - the current task was killed while waiting
 * * -EINVAL   - it cannot be committed, or the op returned > 0
 * * -ENOENT   - it has no directory (any more, or not yet)
 * * -ENOMEM
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
