// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rename.c - how an item is renamed, and committed by that.
 *
 * rename(2) gives an item another name, or moves it to another group of the same
 * type, or both, if its driver has rename_item().
 *
 * In a group with pending/ and live/, it also commits an item: from pending/, where
 * userspace has made and configured it, to live/, where the driver has it in service
 * and it is frozen.  On the way back, it uncommits it.  Both directories stand for the
 * group (see attach.c), which stays the parent of the item: only the path of the item
 * changes, and no linkage that its driver sees.
 *
 * RENAME_EXCHANGE does both, to an item in each of them, in one step.
 *
 * Locks, outermost first:
 *
 *	s_vfs_rename_mutex, for two directories
 *	  inodes of the directory and of the new one
 *	    inode of the item, if there are two; or of both that change places
 *	      frag_changes: tried, and waited for only if the item is live
 *	        frag_sem: waits for callbacks
 *	          su_mutex
 *	            configfs_dirent_lock
 *	              rename_lock, d_lock
 *
 * The VFS takes the first three for rename(2), and rename_by_driver() for a driver.
 * They keep the item in its directory, and the new name free.  frag_changes and
 * frag_sem, both held exclusively, keep everything in the item and below it as it is;
 * see state.c.  In this order:
 *
 *  1. what the place alone rules out is refused
 *  2. the item is held still, unless it is in use, and a new directory is kept
 *  3. the op of the group is called, without su_mutex
 *  4. CONFIGFS_FRAG_LIVE changes, or the name and the linkage, with su_mutex held
 *  5. dirent and dentry move, while configfs_dirent_lock is held: whoever removes or
 *     lists something finds either both where they were or both where they will be
 *  6. link counts and times follow, under the inode locks, and frag_outer; the former
 *     name is freed a grace period later
 *
 * Nothing fails after the driver has agreed.  FS_RENAME_DOES_D_MOVE says that the VFS
 * leaves step 5 to us.  The dentry of the item moves, with its d_fsdata and the
 * reference that this has on the dirent; the one that had the name before has neither.
 */

#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/namei.h>

#include <linux/configfs.h>
#include "configfs_internal.h"

static const struct configfs_group_operations *ops_of(struct configfs_dirent *sd)
{
	struct config_item *group = sd->s_element;

	return group->ci_type->ct_group_ops;
}

static void end_move(struct configfs_fragment *frag)
{
	/* Only this makes it non-negative again, and so it takes no lock */
	WRITE_ONCE(frag->frag_users, 0);
	up_write(&frag->frag_sem);
	configfs_end_outer_change(frag);
	configfs_end_exclusive(frag);
}

/*
 * Hold an item still.  It stays where it is, as the inode of its parent is locked.
 *
 * Return:
 * * 0
 * * -EBUSY  - something in it is being changed; it has users, or a binary attribute
 *             that was written is still open; an item that it is below is live, or
 *             is being committed, removed, or moved
 * * -EINTR  - killed while waiting for callbacks
 * * -ENOENT - it has been removed; or its driver has unregistered what it is in, and
 *             left it behind
 */
static int begin_move(struct dentry *dentry, int subclass)
{
	struct configfs_fragment *frag = to_dirent(dentry)->s_frag;
	int ret;

	/* Do not wait for a slow callback only to say that it is in use */
	if (READ_ONCE(frag->frag_users) || atomic_read(&frag->frag_written))
		return -EBUSY;
	/* In a live item, every change fails at once: this wait is short */
	if (to_dirent(dentry->d_parent)->s_type & CONFIGFS_USET_LIVE)
		ret = configfs_begin_exclusive(frag);
	else
		ret = configfs_try_begin_exclusive(frag);
	if (ret)
		return ret;
	ret = down_write_killable_nested(&frag->frag_sem, subclass);
	if (ret)
		goto out_end_exclusive;
	scoped_guard(spinlock, &configfs_dirent_lock) {
		if (!configfs_is_attached(dentry))
			ret = -ENOENT;
		else if (frag->frag_users || atomic_read(&frag->frag_written))
			ret = -EBUSY;
		else
			frag->frag_users = -1;
	}
	if (!ret)
		return 0;
	up_write(&frag->frag_sem);
out_end_exclusive:
	configfs_end_outer_change(frag);
	configfs_end_exclusive(frag);
	return ret;
}

/* Nothing fails from here on.  The dentry of the item moves, and takes its dirent along. */
static void move_dentry(struct dentry *dentry, struct dentry *new_dentry)
{
	struct inode *old_dir = d_inode(dentry->d_parent);
	struct inode *new_dir = d_inode(new_dentry->d_parent);

	scoped_guard(spinlock, &configfs_dirent_lock) {
		list_move_tail(&to_dirent(dentry)->s_sibling,
			       &to_dirent(new_dentry->d_parent)->s_children);
		d_move(dentry, new_dentry);
	}
	if (old_dir != new_dir) {
		drop_nlink(old_dir);
		inc_nlink(new_dir);
	}
	simple_rename_timestamp(old_dir, dentry, new_dir, new_dentry);
}

static int commit_item(struct dentry *dentry, struct dentry *new_dentry)
{
	struct configfs_dirent *to = to_dirent(new_dentry->d_parent);
	struct configfs_dirent *sd = to_dirent(dentry);
	bool live = to->s_type & CONFIGFS_USET_LIVE;
	int ret;

	if (!live && !ops_of(to)->uncommit_item)
		return -EPERM;
	ret = begin_move(dentry, 0);
	if (ret)
		return ret;
	ret = configfs_call_commit(sd->s_frag, sd->s_element, live);
	if (!ret)
		move_dentry(dentry, new_dentry);
	end_move(sd->s_frag);
	return ret;
}

static int exchange_items(struct dentry *live, struct dentry *pending)
{
	struct configfs_dirent *live_sd = to_dirent(live);
	struct configfs_dirent *pending_sd = to_dirent(pending);
	struct configfs_fragment *live_frag = live_sd->s_frag;
	struct configfs_fragment *pending_frag = pending_sd->s_frag;
	struct config_item *item = live_sd->s_element;
	struct config_group *group = item->ci_group;
	const struct configfs_group_operations *ops =
		group->cg_item.ci_type->ct_group_ops;
	int ret;

	if (!ops->exchange_items)
		return -EPERM;
	ret = begin_move(live, 0);
	if (ret)
		return ret;
	ret = begin_move(pending, SINGLE_DEPTH_NESTING);
	if (ret)
		goto out_end_move;

	WRITE_ONCE(live_frag->frag_committer, current);
	WRITE_ONCE(pending_frag->frag_committer, current);
	ret = configfs_op_result(group, ops->exchange_items,
				 ops->exchange_items(group, item,
						     pending_sd->s_element));
	WRITE_ONCE(live_frag->frag_committer, NULL);
	WRITE_ONCE(pending_frag->frag_committer, NULL);
	if (!ret) {
		scoped_guard(mutex, &group->cg_subsys->su_mutex) {
			configfs_set_live(live_frag, false);
			configfs_set_live(pending_frag, true);
		}
		scoped_guard(spinlock, &configfs_dirent_lock) {
			list_swap(&live_sd->s_sibling, &pending_sd->s_sibling);
			d_exchange(live, pending);
		}
		simple_rename_timestamp(d_inode(pending->d_parent), live,
					d_inode(live->d_parent), pending);
	}
	end_move(pending_frag);
out_end_move:
	end_move(live_frag);
	return ret;
}

static int depth(struct dentry *dir)
{
	int n = 0;

	for (; !IS_ROOT(dir); dir = dir->d_parent)
		n++;
	return n;
}

/*
 * Until the item is there, rmdir(2) of what @dir is in is refused, as if there was a link
 * to @dir.  Otherwise it would wait for the inode of @dir when nothing can fail any more.
 */
static int hold_dir(struct dentry *dir)
{
	guard(spinlock)(&configfs_dirent_lock);
	if (!configfs_is_attached(dir))
		return -ENOENT;
	to_dirent(dir)->s_links++;
	return 0;
}

static void release_dir(struct dentry *dir)
{
	guard(spinlock)(&configfs_dirent_lock);
	to_dirent(dir)->s_links--;
}

/* Begin and end what a move to another directory needs there */
static int begin_move_to(struct dentry *to, struct configfs_fragment *outer)
{
	int ret = configfs_begin_outer_change(outer);

	if (ret)
		return ret;
	ret = hold_dir(to);
	if (ret)
		configfs_end_outer_changes(outer);
	return ret;
}

/* Another name, or another group, or both */
static int rename_item(struct dentry *dentry, struct dentry *new_dentry)
{
	struct dentry *from = dentry->d_parent, *to = new_dentry->d_parent;
	struct config_group *new_group = to_config_group(to_item(to));
	struct config_item *item = to_item(dentry);
	struct configfs_fragment *frag = to_dirent(dentry)->s_frag, *outer;
	const struct configfs_group_operations *ops = ops_of(to_dirent(from));
	struct config_group *group = item->ci_group;
	char *name, *former;
	int ret;

	if (READ_ONCE(frag->frag_flags) & CONFIGFS_FRAG_LIVE)
		return -EBUSY;
	if (!ops->rename_item)
		return -EPERM;
	name = kstrndup(new_dentry->d_name.name, new_dentry->d_name.len,
			GFP_KERNEL);
	if (!name)
		return -ENOMEM;
	ret = begin_move(dentry, 0);
	if (ret)
		goto out_free;
	/* The text of a link begins with one "../" for each directory that it is in */
	if (frag->frag_flags & CONFIGFS_FRAG_LIVE ||
	    (frag->frag_links && depth(from) != depth(to)))
		ret = -EBUSY;
	if (ret)
		goto out_end_move;
	outer = configfs_outer_for(to_dirent(to)->s_frag);
	ret = from == to ? 0 : begin_move_to(to, outer);
	if (ret)
		goto out_end_move;

	WRITE_ONCE(frag->frag_committer, current);
	ret = configfs_op_result(group, ops->rename_item,
				 ops->rename_item(group, item, new_group, name));
	WRITE_ONCE(frag->frag_committer, NULL);
	if (ret)
		goto out_end_move_to;
	scoped_guard(mutex, &group->cg_subsys->su_mutex) {
		former = item->ci_name;
		/* Pairs with config_item_name() */
		smp_store_release(&item->ci_name, name);
		name = NULL;
		if (new_group != group) {
			item->ci_parent = &new_group->cg_item;
			item->ci_group = config_group_get(new_group);
			list_move_tail(&item->ci_entry,
				       &new_group->cg_children);
			config_group_put(group);
		}
	}
	move_dentry(dentry, new_dentry);
	if (from != to) {
		release_dir(to);
		configfs_set_outer(frag, outer);
	}
	if (former != item->ci_namebuf)
		kfree_rcu_mightsleep(former);
	goto out_end_move;

out_end_move_to:
	if (from != to) {
		release_dir(to);
		configfs_end_outer_changes(outer);
	}
out_end_move:
	end_move(frag);
out_free:
	kfree(name);
	return ret;
}

/* Caller has locked what the VFS locks for rename(2). */
static int do_rename(struct dentry *dentry, struct dentry *new_dentry,
		     bool exchange)
{
	struct configfs_dirent *sd = to_dirent(dentry);
	struct configfs_dirent *from = to_dirent(dentry->d_parent);
	struct configfs_dirent *to = to_dirent(new_dentry->d_parent);
	struct config_item *group = from->s_element, *new_group = to->s_element;
	bool staged = (from->s_type | to->s_type) & CONFIGFS_STAGE;
	bool commit;

	/* Only items, and only into groups that know them */
	if (!(sd->s_type & CONFIGFS_DIR) ||
	    sd->s_type & CONFIGFS_USET_DEFAULT ||
	    !(from->s_type & to->s_type & CONFIGFS_USET_DIR) ||
	    (group != new_group &&
	     (group->ci_type != new_group->ci_type ||
	      to_config_group(group)->cg_subsys !=
	      to_config_group(new_group)->cg_subsys)))
		return -EPERM;
	/* What is committed like this stays in its group */
	if (staged && (group != new_group || !(from->s_type & CONFIGFS_STAGE) ||
		       !(to->s_type & CONFIGFS_STAGE)))
		return -EPERM;
	commit = staged && from != to &&
		 d_same_name(new_dentry, new_dentry->d_parent, &dentry->d_name);
	if (exchange) {
		if (!commit)
			return -EPERM;
		if (to->s_type & CONFIGFS_USET_LIVE)
			return exchange_items(new_dentry, dentry);
		return exchange_items(dentry, new_dentry);
	}
	if (d_really_is_positive(new_dentry))
		return -EEXIST;
	if (commit)
		return commit_item(dentry, new_dentry);
	/* Not both at once */
	if (staged && from != to)
		return -EPERM;
	return rename_item(dentry, new_dentry);
}

int configfs_rename(struct mnt_idmap *idmap, struct inode *old_dir,
		    struct dentry *old_dentry, struct inode *new_dir,
		    struct dentry *new_dentry, unsigned int flags)
{
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	return do_rename(old_dentry, new_dentry, flags & RENAME_EXCHANGE);
}

static int lock_killable(struct dentry *dentry, int subclass)
{
	return down_write_killable_nested(&d_inode(dentry)->i_rwsem, subclass);
}

/* In the order of the VFS: what the other one is below comes first */
static int lock_dirs(struct dentry *from, struct dentry *to)
{
	int ret;

	if (d_ancestor(to, from))
		swap(from, to);
	ret = lock_killable(from, I_MUTEX_PARENT);
	if (ret || from == to)
		return ret;
	ret = lock_killable(to, I_MUTEX_PARENT2);
	if (ret)
		inode_unlock(d_inode(from));
	return ret;
}

/*
 * Caller holds s_vfs_rename_mutex: the item stays in @from as long as it exists, and
 * @to where it is.
 */
static int lock_and_rename(struct dentry *dentry, struct dentry *from,
			   struct dentry *to, const char *name)
{
	struct name_snapshot old_name;
	struct dentry *new_dentry;
	int ret;

	if (dentry == to || d_ancestor(dentry, to))
		return -EINVAL;
	ret = lock_dirs(from, to);
	if (ret)
		return ret;
	ret = lock_killable(dentry, I_MUTEX_CHILD);
	if (ret)
		goto out_unlock_dirs;
	spin_lock(&configfs_dirent_lock);
	ret = configfs_is_attached(dentry) ? 0 : -ENOENT;
	spin_unlock(&configfs_dirent_lock);
	if (ret)
		goto out_unlock_item;
	take_dentry_name_snapshot(&old_name, dentry);
	new_dentry = lookup_noperm(name ? &QSTR(name) : &old_name.name, to);
	ret = PTR_ERR_OR_ZERO(new_dentry);
	if (ret)
		goto out_release_name;
	if (new_dentry != dentry) {
		ret = do_rename(dentry, new_dentry, false);
		if (!ret)
			fsnotify_move(d_inode(from), d_inode(to),
				      &old_name.name, true, NULL, dentry);
	}
	dput(new_dentry);
out_release_name:
	release_dentry_name_snapshot(&old_name);
out_unlock_item:
	inode_unlock(d_inode(dentry));
out_unlock_dirs:
	inode_unlock(d_inode(from));
	if (from != to)
		inode_unlock(d_inode(to));
	return ret;
}

/*
 * The same as rename(2), for a driver.  It needs nothing of the current task but to know
 * whether that has been killed.  Without @new_group, it is a commit, to live/ if @live.
 */
static int rename_by_driver(struct config_item *item,
			    struct config_group *new_group, const char *new_name,
			    bool live)
{
	struct dentry *dentry, *from, *to;
	struct super_block *sb;
	int ret;

	scoped_guard(spinlock, &configfs_dirent_lock) {
		dentry = item->ci_dentry;
		if (!configfs_is_attached(dentry))
			return -ENOENT;
		dget(dentry);
		/* Active until the subsystem is unregistered */
		sb = dentry->d_sb;
		atomic_inc(&sb->s_active);
	}
	ret = mutex_lock_killable(&sb->s_vfs_rename_mutex);
	if (ret)
		goto out_dput;
	from = dget(dentry->d_parent);
	ret = -EALREADY;
	if (!new_group &&
	    live == !!(to_dirent(from)->s_type & CONFIGFS_USET_LIVE))
		goto out_unlock;
	if (!new_group)
		to = try_lookup_noperm(&QSTR(live ? "live" : "pending"),
				       from->d_parent);
	else if (to_item(from) == &new_group->cg_item)
		to = dget(from);	/* perhaps pending/ */
	else
		to = configfs_get_dir(new_group);
	ret = -ENOENT;
	if (!IS_ERR_OR_NULL(to)) {
		if (d_really_is_positive(to))
			ret = lock_and_rename(dentry, from, to, new_name);
		dput(to);
	}
out_unlock:
	mutex_unlock(&sb->s_vfs_rename_mutex);
	dput(from);
out_dput:
	dput(dentry);
	deactivate_super(sb);
	return ret;
}

int configfs_commit_by_rename(struct config_item *item, bool live)
{
	return rename_by_driver(item, NULL, NULL, live);
}

/**
 * configfs_rename_item - give an item another name, or move it to another group
 * @item: the item; the caller keeps it from being freed
 * @new_group: the group that it is going to be in, perhaps that which it is in; the
 *	caller keeps it from being freed as well
 * @new_name: the name that it is going to have, perhaps that which it has
 *
 * This does what rename(2) does, for a driver that hears of another name in some
 * other way, and calls ->rename_item(), too.  The new group has the type of the one
 * that @item is in, and the same subsystem; it has pending/ and live/ only if it is the
 * same.  This fails with -EBUSY where rename(2) does.
 *
 * Context: As for configfs_commit_item().
 *
 * Return:
 * * 0
 * * what ->rename_item() returned
 * * -EACCES       - the name cannot be one, "." for example
 * * -EBUSY        - @item or one of the groups is in use, or is frozen
 * * -EEXIST       - @new_group has something of that name
 * * -EINTR        - the current task was killed while waiting
 * * -EINVAL       - there is no @new_group or no @new_name, or the op returned > 0
 * * -EINVAL       - @new_group is in @item
 * * -ENAMETOOLONG - the name is longer than NAME_MAX
 * * -ENOENT       - @item or @new_group has no directory (any more, or not yet)
 * * -ENOMEM
 * * -EPERM        - there is no ->rename_item(), or @new_group is none for @item
 * * -EPERM        - @item was not made by mkdir(2)
 */
int configfs_rename_item(struct config_item *item,
			 struct config_group *new_group, const char *new_name)
{
	if (!new_group || !new_name)
		return -EINVAL;
	return rename_by_driver(item, new_group, new_name, false);
}
EXPORT_SYMBOL(configfs_rename_item);
