// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach.c - how directories come into configfs and leave it.
 *
 * A directory is a dentry, its inode and a configfs_dirent, with one
 * configfs_dirent for each attribute (their dentries come and go with their
 * users) and a directory for each default group.  It passes through these
 * states:
 *
 * private	configfs_attach_dir() builds the directory, with everything in it,
 *		on a dentry called "/", a name that no path walk asks for.  The
 *		dirents of its content are linked to it, but it is not linked to
 *		its parent.  Nobody else can find it, nor looks at its content by
 *		way of ci_dentry, so it needs no lock, and what cannot be
 *		completed is discarded without a trace.
 *
 * attached	It is linked to the parent's s_children, and then d_move() gives
 *		it its name.  Userspace can find it from here on.
 *
 * detached	configfs_detach_dir() has unlinked it, because nothing was in the
 *		way or its driver wants it, and it never comes back.
 *		Then configfs_dismantle_dir() takes it apart: its default groups,
 *		attributes and dentries go.
 *
 * CONFIGFS_DETACHED is set in the first and in the last state, and stands for
 * everything below: what is in a detached directory is not attached either.
 * So one step attaches or detaches a subtree, whatever its size.  A directory
 * is detached by rmdir(2) or by its driver; mkdir(2), symlink(2), opendir(3)
 * and configfs_depend_item() below it see the flag when they link something.
 *
 * The directory of a group whose items are committed by rename(2) has two more in
 * it, pending/ and live/.  These stand for the same item as it does, which is the
 * parent of what is in them, but have neither attributes nor ci_dentry.
 *
 * Locks, outermost first:
 *
 *	the inodes of the parent and of the directory, as the VFS takes them
 *	  the inodes of what is dismantled, one at a time: I_MUTEX_DISMANTLE
 *	    frag_sem of the fragment: callbacks hold it shared
 *	      su_mutex of the subsystem, or configfs_subsystem_mutex
 *	        configfs_dirent_lock
 *	          d_lock
 *
 * frag_changes of fragments comes after the first of these: see state.c.
 *
 * To link or unlink a dirent, hold the inode lock of the directory exclusively,
 * unless it is S_DEAD, and configfs_dirent_lock.  To look at s_children, either
 * of them is enough.  For cursors of open directories, configfs_dirent_lock is.
 * It also protects s_links, s_dependent_count, CONFIGFS_DETACHED and ci_dentry.
 *
 * Memory: a dirent has one reference for being linked, until it is detached and
 * dismantled, one for the d_fsdata of its dentry, one for each link to it, and
 * one for being on configfs_orphans.  The dentry of a directory is persistent
 * from d_make_persistent() to d_make_discardable().  An item has no reference
 * here.  A directory that is attached keeps it: the item is freed after the
 * directory was detached and all callbacks for it have returned.  So whoever has
 * locked the inode of a directory that is not S_DEAD, or holds frag_sem of a
 * fragment that is not dead, can use the item.
 */

#include <linux/fs.h>
#include <linux/slab.h>

#include <linux/configfs.h>
#include "configfs_internal.h"

/*
 * Locked below the directory that is removed, which is I_MUTEX_NORMAL or
 * I_MUTEX_CHILD, and never two of them at a time.
 */
#define I_MUTEX_DISMANTLE	(I_MUTEX_PARENT2 + 1)

/*
 * Directories that were removed by their driver while somebody depended on
 * them.  Linked by s_sibling, protected by configfs_dirent_lock.
 */
LIST_HEAD(configfs_orphans);

struct configfs_dirent *configfs_alloc_dirent(void *element, umode_t mode,
					      int type,
					      struct configfs_fragment *frag)
{
	struct configfs_dirent *sd;

	/* Every member is set: this takes less time than zeroing it before. */
	sd = kmem_cache_alloc(configfs_dir_cachep, GFP_KERNEL);
	if (!sd)
		return ERR_PTR(-ENOMEM);

	atomic_set(&sd->s_count, 1);
	sd->s_dependent_count = 0;
	INIT_LIST_HEAD(&sd->s_sibling);
	INIT_LIST_HEAD(&sd->s_children);
	sd->s_links = 0;
	/* readdir cursors have no inode */
	sd->s_ino = element ? get_next_ino() : 0;
	sd->s_element = element;
	sd->s_type = type;
	sd->s_mode = mode;
	sd->s_dentry = NULL;
	sd->s_iattr = NULL;
	sd->s_frag = get_fragment(frag);
	return sd;
}

/*
 * Whether a path leads to @dir from the root.  It does not if @dir is NULL, as
 * ci_dentry of an item without a directory is.  Caller holds
 * configfs_dirent_lock, and something keeps @dir.
 */
bool configfs_is_attached(struct dentry *dir)
{
	for (; dir && !IS_ROOT(dir); dir = dir->d_parent)
		if (to_dirent(dir)->s_type & CONFIGFS_DETACHED)
			return false;
	return dir;
}

/* The attached directory of a group, with a reference, or NULL */
struct dentry *configfs_get_dir(struct config_group *group)
{
	guard(spinlock)(&configfs_dirent_lock);
	return configfs_is_attached(group->cg_item.ci_dentry) ?
		dget(group->cg_item.ci_dentry) : NULL;
}

/*
 * configfs_lookup() looks for attributes only.  s_children is partitioned so
 * that it can stop early: they come before everything that is pinned.  Cursors
 * are in between.
 */
static void link_dirent(struct configfs_dirent *dir_sd,
			struct configfs_dirent *sd)
{
	if (sd->s_type & CONFIGFS_PINNED)
		list_add_tail(&sd->s_sibling, &dir_sd->s_children);
	else
		list_add(&sd->s_sibling, &dir_sd->s_children);
}

/*
 * Caller holds configfs_dirent_lock, and has locked the inode of @dir unless
 * @sd is a cursor.
 *
 * Return: 0, or -ENOENT when @dir has been detached.
 */
int configfs_link_dirent(struct dentry *dir, struct configfs_dirent *sd)
{
	if (!configfs_is_attached(dir))
		return -ENOENT;
	link_dirent(to_dirent(dir), sd);
	return 0;
}

/* Whether rename(2) commits it, and no attribute does */
static bool in_stage(struct configfs_dirent *sd)
{
	return to_dirent(sd->s_dentry->d_parent)->s_type & CONFIGFS_STAGE;
}

static int add_attr(struct configfs_dirent *dir_sd,
		    struct configfs_attribute *attr, int type)
{
	umode_t mode = (attr->ca_mode & S_IALLUGO) | S_IFREG;
	struct configfs_dirent *sd;

	/* What is in the item, which is detached now, is committed with it */
	if (attr->ca_commit &&
	    (!(dir_sd->s_type & CONFIGFS_DETACHED &&
	       dir_sd->s_frag->frag_flags & CONFIGFS_FRAG_COMMITS) ||
	     in_stage(dir_sd))) {
		pr_warn_once("%s: cannot be committed, but has the attribute %s\n",
			     config_item_name(dir_sd->s_element),
			     attr->ca_name);
		return -EINVAL;
	}
	sd = configfs_alloc_dirent(attr, mode, type, dir_sd->s_frag);
	if (IS_ERR(sd))
		return PTR_ERR(sd);
	link_dirent(dir_sd, sd);
	return 0;
}

static int add_attrs(struct configfs_dirent *dir_sd, struct config_item *item)
{
	const struct config_item_type *t = item->ci_type;
	const struct configfs_group_operations *ops;
	struct configfs_bin_attribute *bin_attr;
	struct configfs_attribute *attr;
	int error, i;

	if (!t)
		return -EINVAL;

	ops = t->ct_group_ops;

	for (i = 0; t->ct_attrs && (attr = t->ct_attrs[i]); i++) {
		if (ops && ops->is_visible && !ops->is_visible(item, attr, i))
			continue;
		error = add_attr(dir_sd, attr, CONFIGFS_ITEM_ATTR);
		if (error)
			return error;
	}
	for (i = 0; t->ct_bin_attrs && (bin_attr = t->ct_bin_attrs[i]); i++) {
		if (ops && ops->is_bin_visible &&
		    !ops->is_bin_visible(item, bin_attr, i))
			continue;
		error = add_attr(dir_sd, &bin_attr->cb_attr,
				 CONFIGFS_ITEM_BIN_ATTR);
		if (error)
			return error;
	}
	return 0;
}

static void set_dentry(struct config_item *item, struct dentry *dentry)
{
	guard(spinlock)(&configfs_dirent_lock);
	item->ci_dentry = dentry;
}

/* The directory never was attached: free it, with everything in it. */
static void discard_dir(struct dentry *dir)
{
	struct configfs_dirent *dir_sd = to_dirent(dir), *sd, *next;

	list_for_each_entry_safe(sd, next, &dir_sd->s_children, s_sibling) {
		list_del_init(&sd->s_sibling);
		if (sd->s_type & CONFIGFS_DIR)
			discard_dir(sd->s_dentry);
		else
			configfs_put(sd);
	}
	set_dentry(to_item(dir), NULL);
	d_drop(dir);
	d_make_discardable(dir);
	configfs_put(dir_sd);
}

static int add_default_groups(struct dentry *dir, struct config_group *group);

/*
 * Make @dir, which nobody can find, a complete directory.  It is persistent
 * then, and the caller links or discards it.
 */
static int build_dir(struct dentry *dir, struct config_item *item, int type,
		     struct configfs_fragment *frag)
{
	const umode_t mode = S_IFDIR | 0755;
	struct configfs_dirent *sd;
	struct inode *inode;
	int error;

	if (!dir)
		return -ENOMEM;
	sd = configfs_alloc_dirent(item, mode, CONFIGFS_DIR | type, frag);
	if (IS_ERR(sd))
		return PTR_ERR(sd);
	inode = configfs_new_inode(mode, sd, dir->d_sb);
	if (!inode) {
		configfs_put(sd);
		return -ENOMEM;
	}
	inode->i_op = &configfs_dir_inode_operations;
	inode->i_fop = &configfs_dir_operations;
	/* directory inodes start off with i_nlink == 2 (for "." entry) */
	inc_nlink(inode);
	sd->s_dentry = dir;
	dir->d_fsdata = configfs_get(sd);
	d_make_persistent(dir, inode);
	if (type & CONFIGFS_STAGE)
		return 0;
	set_dentry(item, dir);

	error = add_attrs(sd, item);
	if (!error && (type & CONFIGFS_USET_DIR))
		error = add_default_groups(dir, to_config_group(item));
	if (error)
		discard_dir(dir);
	return error;
}

/* Make a directory in @dir that comes and goes with it. */
static int add_default_dir(struct dentry *dir, const char *name,
			   struct config_item *item, int type)
{
	struct dentry *child = d_alloc_name(dir, name);
	struct configfs_dirent *sd = to_dirent(dir);
	int error;

	error = build_dir(child, item, type, sd->s_frag);
	if (!error) {
		link_dirent(sd, to_dirent(child));
		inc_nlink(d_inode(dir));
	}
	dput(child);
	return error;
}

/* The directories of a group whose items are committed by rename(2) */
static int add_stages(struct dentry *dir, struct config_item *item)
{
	const int type = CONFIGFS_USET_DIR | CONFIGFS_USET_DEFAULT;
	struct configfs_dirent *sd;

	list_for_each_entry(sd, &to_dirent(dir)->s_children, s_sibling)
		if (!strcmp(configfs_get_name(sd), "pending") ||
		    !strcmp(configfs_get_name(sd), "live")) {
			pr_warn_once("%s: pending/ and live/ are not the only ones of that name\n",
				     config_item_name(item));
			return -EEXIST;
		}
	return add_default_dir(dir, "pending", item,
			       type | CONFIGFS_USET_PENDING) ?:
	       add_default_dir(dir, "live", item, type | CONFIGFS_USET_LIVE);
}

static int add_default_groups(struct dentry *dir, struct config_group *group)
{
	struct config_group *new_group;
	int error;

	list_for_each_entry(new_group, &group->default_groups, group_entry) {
		error = configfs_check_name(&new_group->cg_item);
		if (error)
			return error;
		error = add_default_dir(dir, new_group->cg_item.ci_name,
					&new_group->cg_item,
					CONFIGFS_USET_DIR |
					CONFIGFS_USET_DEFAULT);
		if (error)
			return error;
	}
	return configfs_has_stages(group->cg_item.ci_type) ?
		add_stages(dir, &group->cg_item) : 0;
}

/**
 * configfs_attach_dir - make the directory of an item
 * @dentry: the negative dentry that has its name
 * @item: the item
 * @type: CONFIGFS_USET_DIR for a group, CONFIGFS_USET_DEFAULT for one that is
 *	registered
 *
 * Context: Process context, may sleep.  The inode of the parent is locked
 * exclusively.  Calls ->is_visible() and ->is_bin_visible().
 *
 * Return: the dentry of the directory, which takes the place of @dentry, with a
 * reference for the caller, or an error pointer:
 * * -EEXIST - two entries would have the same name
 * * -EINVAL - the item or a default group has no type
 * * -ENOENT - the parent has been detached
 * * -ENOMEM
 */
struct dentry *configfs_attach_dir(struct dentry *dentry,
				   struct config_item *item, int type)
{
	static const struct qstr private_name = QSTR_INIT("/", 1);
	struct dentry *parent = dentry->d_parent, *dir;
	const struct config_item_type *parent_type = to_item(parent)->ci_type;
	struct inode *inode = d_inode(parent);
	struct configfs_fragment *frag;
	unsigned int flags = 0;
	int error;

	if (parent_type && parent_type->ct_group_ops &&
	    parent_type->ct_group_ops->rename_item)
		flags = CONFIGFS_FRAG_STATE;
	if (to_dirent(parent)->s_type & CONFIGFS_STAGE)
		flags = CONFIGFS_FRAG_STATE | CONFIGFS_FRAG_COMMITS;
	else if (parent_type && parent_type->ct_group_ops &&
		 parent_type->ct_group_ops->commit_in_place)
		flags = CONFIGFS_FRAG_STATE | CONFIGFS_FRAG_COMMITS;
	frag = configfs_new_fragment(to_dirent(parent)->s_frag, flags);
	if (!frag)
		return ERR_PTR(-ENOMEM);
	dir = d_alloc(parent, &private_name);
	error = build_dir(dir, item, type | CONFIGFS_DETACHED, frag);
	put_fragment(frag);
	if (error)
		goto out_dput;

	spin_lock(&configfs_dirent_lock);
	error = configfs_link_dirent(parent, to_dirent(dir));
	if (!error)
		to_dirent(dir)->s_type &= ~CONFIGFS_DETACHED;
	spin_unlock(&configfs_dirent_lock);
	if (error) {
		discard_dir(dir);
		goto out_dput;
	}
	inc_nlink(inode);
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
	d_move(dir, dentry);
	return dir;

out_dput:
	dput(dir);
	return ERR_PTR(error);
}

/**
 * configfs_check_detach - what is in the way of removing a directory
 * @dir_sd: the directory
 *
 * Context: The caller holds configfs_dirent_lock.
 *
 * Return:
 * * 0          - nothing
 * * -EBUSY     - a link leads to it or to a default group in it, or somebody
 *                depends on one of them
 * * -ENOTEMPTY - it, or a default group in it, has items or links in it
 */
int configfs_check_detach(struct configfs_dirent *dir_sd)
{
	struct configfs_dirent *sd;
	int ret;

	if (dir_sd->s_links || dir_sd->s_dependent_count)
		return -EBUSY;

	list_for_each_entry(sd, &dir_sd->s_children, s_sibling) {
		if (sd->s_type & CONFIGFS_USET_DEFAULT) {
			ret = configfs_check_detach(sd);
			if (ret)
				return ret;
		} else if (sd->s_type & CONFIGFS_PINNED) {
			return -ENOTEMPTY;
		}
	}
	return 0;
}

/*
 * The item has no directory any more.  Those who depend on it still need the
 * dirent: configfs_undepend_item() puts it.  Caller holds configfs_dirent_lock,
 * and has unlinked @sd.
 */
static void forget_dir(struct configfs_dirent *sd)
{
	struct config_item *item = sd->s_element;

	item->ci_dentry = NULL;
	if (sd->s_dependent_count)
		list_add_tail(&configfs_get(sd)->s_sibling, &configfs_orphans);
}

/**
 * configfs_detach_dir - take a directory off, with everything in it
 * @dir: the directory
 * @force: whatever is in the way
 *
 * From here on nobody finds it, and nothing is added below it.
 * configfs_dismantle_dir() comes next.
 *
 * Context: The inodes of @dir and of its parent are locked exclusively.
 *
 * Return: as configfs_check_detach(); if not 0 and not @force, nothing has
 * happened.
 */
int configfs_detach_dir(struct dentry *dir, bool force)
{
	struct configfs_dirent *sd = to_dirent(dir);
	int ret;

	guard(spinlock)(&configfs_dirent_lock);
	ret = configfs_check_detach(sd);
	if (!ret || force) {
		sd->s_type |= CONFIGFS_DETACHED;
		list_del_init(&sd->s_sibling);
		forget_dir(sd);
	}
	return ret;
}

/* Caller holds configfs_dirent_lock. */
static struct configfs_dirent *first_part(struct configfs_dirent *dir_sd)
{
	struct configfs_dirent *sd;

	list_for_each_entry(sd, &dir_sd->s_children, s_sibling)
		if (sd->s_type & (CONFIGFS_NOT_PINNED | CONFIGFS_USET_DEFAULT))
			return sd;
	return NULL;
}

/*
 * The dentry of an attribute may be on its way out, with an inode as long as it
 * can come back: whoever kills it counts again under d_lock.  That of a directory
 * is persistent.  Caller holds configfs_dirent_lock.
 */
static struct dentry *get_dentry(struct configfs_dirent *sd)
{
	struct dentry *dentry = sd->s_dentry;

	if (!dentry)
		return NULL;
	guard(spinlock)(&dentry->d_lock);
	return d_really_is_positive(dentry) ? dget_dlock(dentry) : NULL;
}

/*
 * Attributes and default groups go; items and links, which only a driver can
 * have left behind, stay.  Nothing is added to @dir or looked up in it: its
 * inode is locked, or S_DEAD.
 */
static void dismantle(struct dentry *dir)
{
	struct configfs_dirent *dir_sd = to_dirent(dir), *sd;
	struct dentry *dentry;
	struct inode *inode;

	spin_lock(&configfs_dirent_lock);
	while ((sd = first_part(dir_sd))) {
		list_del_init(&sd->s_sibling);
		if (sd->s_type & CONFIGFS_DIR)
			forget_dir(sd);
		dentry = get_dentry(sd);
		if (!dentry) {
			configfs_put(sd);
			continue;
		}
		spin_unlock(&configfs_dirent_lock);

		inode = d_inode(dentry);
		/* Waits for mkdir(2) and symlink(2) in a default group */
		inode_lock_nested(inode, I_MUTEX_DISMANTLE);
		if (sd->s_type & CONFIGFS_DIR)
			inode->i_flags |= S_DEAD;
		clear_nlink(inode);
		inode_set_ctime_current(inode);
		inode_unlock(inode);

		if (sd->s_type & CONFIGFS_DIR) {
			/* A registered group has a fragment of its own. */
			if (sd->s_frag != dir_sd->s_frag)
				kill_fragment(sd->s_frag);
			dismantle(dentry);
			d_make_discardable(dentry);
		}
		/* The innermost first: while we wait, a path walk still gets there */
		d_invalidate(dentry);
		dput(dentry);
		configfs_put(sd);
		spin_lock(&configfs_dirent_lock);
	}
	spin_unlock(&configfs_dirent_lock);
}

/**
 * configfs_dismantle_dir - take a detached directory apart
 * @dir: the directory, which configfs_detach_dir() has detached
 *
 * When this returns, no system call uses its item or those of its default groups
 * any more.
 *
 * Context: Process context, may sleep.  The inodes of @dir and of its parent are
 * locked exclusively.  Waits for system calls in its default groups.
 */
void configfs_dismantle_dir(struct dentry *dir)
{
	struct inode *parent = d_inode(dir->d_parent), *inode = d_inode(dir);
	struct configfs_dirent *sd = to_dirent(dir);
	struct timespec64 now;

	dismantle(dir);
	clear_nlink(inode);
	inode->i_flags |= S_DEAD;
	drop_nlink(parent);
	now = inode_set_ctime_current(inode);
	inode_set_ctime_to_ts(parent, now);
	inode_set_mtime_to_ts(parent, now);
	/* Detaches the mounts on it and below, too */
	d_invalidate(dir);
	d_make_discardable(dir);
	configfs_put(sd);
}
