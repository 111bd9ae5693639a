// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rename.c - how an item is committed by rename(2).
 *
 * Userspace makes an item in pending/ and configures it there.  Renamed to live/, it
 * is committed: its driver takes it into service, and it is frozen.  Renamed back, it
 * is uncommitted.  RENAME_EXCHANGE does both, to an item in each of them, in one step.
 *
 * pending/ and live/ are directories of the group (see attach.c), which stays the
 * parent of the item.  So only the path of the item changes, and no linkage that its
 * driver sees.
 *
 * Locks, outermost first:
 *
 *	s_vfs_rename_mutex
 *	  inodes of pending/ and of live/
 *	    inode of the item, or of both that change places
 *	      frag_changes: tried, and waited for only if the item is live
 *	        frag_sem: waits for callbacks
 *	          su_mutex
 *	            configfs_dirent_lock
 *	              rename_lock, d_lock
 *
 * The VFS takes the first three for rename(2).  They keep the item in its directory,
 * and that name in the other one free.  For a driver, configfs_move_by_driver() does.
 * frag_changes and frag_sem, both held exclusively, keep everything in the item and
 * below it as it is; see state.c.  In this order:
 *
 *  1. what the place alone rules out is refused
 *  2. the item is held still, unless it is in use
 *  3. the op of the group is called, without su_mutex
 *  4. CONFIGFS_FRAG_LIVE changes, with su_mutex held
 *  5. dirent and dentry move, while configfs_dirent_lock is held: whoever removes or
 *     lists something finds either both where they were or both where they will be
 *  6. link counts and times follow, under the inode locks
 *
 * Nothing fails after the driver has agreed.  FS_RENAME_DOES_D_MOVE says that the VFS
 * leaves the fifth to us.  The dentry of the item moves, with its d_fsdata and the
 * reference that this has on the dirent; the one that had the name before has neither.
 */

#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/namei.h>

#include <linux/configfs.h>
#include "configfs_internal.h"

/*
 * What cannot be renamed, whatever state it is in.  There is nothing but items in
 * pending/ and live/.
 */
static int check_place(struct dentry *dentry, struct dentry *new_dentry,
		       bool exchange)
{
	struct configfs_dirent *from = to_dirent(dentry->d_parent);
	struct configfs_dirent *to = to_dirent(new_dentry->d_parent);

	if (!(from->s_type & CONFIGFS_STAGE) ||
	    !(to->s_type & CONFIGFS_STAGE) || from->s_element != to->s_element)
		return -EPERM;
	if (!exchange && d_really_is_positive(new_dentry))
		return -EEXIST;
	if (!exchange && from == to && from->s_type & CONFIGFS_USET_LIVE)
		return -EBUSY;
	/* Not another name as well, nor another name alone */
	if (from == to ||
	    !d_same_name(new_dentry, new_dentry->d_parent, &dentry->d_name))
		return -EPERM;
	return 0;
}

static void end_move(struct configfs_fragment *frag)
{
	scoped_guard(spinlock, &configfs_dirent_lock)
		frag->frag_users = 0;
	up_write(&frag->frag_sem);
	configfs_end_outer_change(frag);
	configfs_end_exclusive(frag);
}

/*
 * Hold an item still.  It stays where it is and is not removed, as its inode and that of
 * its parent are locked.
 *
 * Return:
 * * 0
 * * -EBUSY  - something in it is being changed; it has users, or a binary attribute
 *             that was written is still open; an item that it is below is live, or
 *             is being committed, removed, or moved
 * * -EINTR  - killed while waiting for callbacks
 * * -ENOENT - its driver has unregistered what it is in, and left it behind
 */
static int begin_move(struct dentry *dentry, int subclass)
{
	struct configfs_fragment *frag = to_dirent(dentry)->s_frag;
	int ret;

	/* In a live item, nobody begins a change who would not give up at once */
	if (frag->frag_flags & CONFIGFS_FRAG_LIVE)
		ret = configfs_begin_exclusive(frag);
	else
		ret = configfs_try_begin_exclusive(frag);
	if (ret)
		return ret;
	ret = down_write_killable_nested(&frag->frag_sem, subclass);
	if (ret)
		goto out_end_exclusive;
	scoped_guard(spinlock, &configfs_dirent_lock) {
		if (!configfs_is_attached(dentry)) {
			ret = -ENOENT;
		} else if (frag->frag_users ||
			   atomic_read(&frag->frag_written)) {
			ret = -EBUSY;
		} else {
			frag->frag_users = -1;
			return 0;
		}
	}
	up_write(&frag->frag_sem);
out_end_exclusive:
	configfs_end_outer_change(frag);
	configfs_end_exclusive(frag);
	return ret;
}

static int move_item(struct dentry *dentry, struct dentry *new_dentry)
{
	struct inode *old_dir = d_inode(dentry->d_parent);
	struct inode *new_dir = d_inode(new_dentry->d_parent);
	struct configfs_dirent *to = to_dirent(new_dentry->d_parent);
	struct configfs_dirent *sd = to_dirent(dentry);
	struct config_item *item = sd->s_element;
	bool live = to->s_type & CONFIGFS_USET_LIVE;
	int ret;

	if (!live && !item->ci_group->cg_item.ci_type->ct_group_ops->uncommit_item)
		return -EPERM;
	ret = begin_move(dentry, 0);
	if (ret)
		return ret;
	ret = configfs_call_commit(sd->s_frag, item, live);
	if (!ret) {
		scoped_guard(spinlock, &configfs_dirent_lock) {
			list_move_tail(&sd->s_sibling, &to->s_children);
			d_move(dentry, new_dentry);
		}
		drop_nlink(old_dir);
		inc_nlink(new_dir);
		simple_rename_timestamp(old_dir, dentry, new_dir, new_dentry);
	}
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

int configfs_rename(struct mnt_idmap *idmap, struct inode *old_dir,
		    struct dentry *old_dentry, struct inode *new_dir,
		    struct dentry *new_dentry, unsigned int flags)
{
	int ret;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	ret = check_place(old_dentry, new_dentry, flags & RENAME_EXCHANGE);
	if (ret)
		return ret;
	if (!(flags & RENAME_EXCHANGE))
		return move_item(old_dentry, new_dentry);
	if (to_dirent(new_dentry->d_parent)->s_type & CONFIGFS_USET_LIVE)
		return exchange_items(new_dentry, old_dentry);
	return exchange_items(old_dentry, new_dentry);
}

/* live/ for pending/, and pending/ for live/, with a reference; NULL if it has gone */
static struct dentry *get_other_stage(struct dentry *stage)
{
	struct configfs_dirent *sd;

	guard(spinlock)(&configfs_dirent_lock);
	list_for_each_entry(sd, &to_dirent(stage->d_parent)->s_children,
			    s_sibling)
		if (sd->s_type & CONFIGFS_STAGE && sd->s_dentry != stage)
			return dget(sd->s_dentry);
	return NULL;
}

/* Caller holds s_vfs_rename_mutex: the item stays in @from as long as it exists. */
static int lock_and_move(struct dentry *dentry, struct dentry *from,
			 struct dentry *to)
{
	struct dentry *new_dentry;
	int ret = -EINTR;

	if (down_write_killable_nested(&d_inode(from)->i_rwsem, I_MUTEX_PARENT))
		return ret;
	if (down_write_killable_nested(&d_inode(to)->i_rwsem, I_MUTEX_PARENT2))
		goto out_unlock_from;
	if (down_write_killable_nested(&d_inode(dentry)->i_rwsem, I_MUTEX_CHILD))
		goto out_unlock_to;

	new_dentry = lookup_noperm(&QSTR_LEN(dentry->d_name.name,
					     dentry->d_name.len), to);
	ret = PTR_ERR_OR_ZERO(new_dentry);
	if (ret)
		goto out_unlock;
	ret = check_place(dentry, new_dentry, false) ?:
	      move_item(dentry, new_dentry);
	if (!ret)
		fsnotify_move(d_inode(from), d_inode(to), &dentry->d_name, true,
			      NULL, dentry);
	dput(new_dentry);
out_unlock:
	inode_unlock(d_inode(dentry));
out_unlock_to:
	inode_unlock(d_inode(to));
out_unlock_from:
	inode_unlock(d_inode(from));
	return ret;
}

/*
 * The same as rename(2), for configfs_commit_item() and configfs_uncommit_item().  It
 * needs nothing of the current task but to know whether that has been killed.
 */
int configfs_move_by_driver(struct config_item *item, bool live)
{
	struct dentry *dentry, *to;
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
	ret = -EALREADY;
	if (live == !!(to_dirent(dentry->d_parent)->s_type &
		       CONFIGFS_USET_LIVE))
		goto out_unlock;
	ret = -ENOENT;
	to = get_other_stage(dentry->d_parent);
	if (to)
		ret = lock_and_move(dentry, dentry->d_parent, to);
	dput(to);
out_unlock:
	mutex_unlock(&sb->s_vfs_rename_mutex);
out_dput:
	dput(dentry);
	deactivate_super(sb);
	return ret;
}
