// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * commit.c - the state of items that can be renamed.
 *
 * An item that was made in the pending/ of a committable group, or in a group
 * with ->rename_item(), has one configfs_state. It is shared by everything below
 * the item: each fragment down there points to it, so that to freeze or to thaw
 * them all is to change one flag, however many they are. Another such group below
 * the item makes items with a state of their own, whose st_outer is this one.
 *
 * Whatever keeps a rename from moving an item is counted, under
 * configfs_dirent_lock, in the state of the item and in all outer ones:
 *
 * - attribute callbacks, while they run. Rename waits for them.
 *
 * - mkdir(2), rmdir(2), symlink(2), unlink(2) and inner renames, from begin to
 *   end, and the last close(2) of a binary attribute that was written. They
 *   lock inodes on their way, and who has such an inode locked may be waiting
 *   for the rename. So rename does not wait for them, it fails with -EBUSY.
 *
 * - links to an item, and dependents on it. They are not over at some time, so
 *   rename fails with -EBUSY as well; and links in it, when its depth changes.
 *
 * While a state is st_renaming, the first two wait; links and dependents get
 * -EBUSY once no callback is left. It is a rwsem, in effect, that callbacks hold
 * shared; but an item can be any number of states deep, each of which a rename can
 * want, and rename can move it from one outer state to another.
 */

#include <linux/fs.h>
#include <linux/configfs.h>
#include <linux/lockdep.h>
#include <linux/wait.h>
#include "configfs_internal.h"

/* For the end of a rename, and for the end of the callbacks that one waits for */
static DECLARE_WAIT_QUEUE_HEAD(configfs_rename_wait);

/* Held shared by callbacks, and exclusively by rename: see above. */
#ifdef CONFIG_LOCKDEP
static struct lockdep_map configfs_state_map =
	STATIC_LOCKDEP_MAP_INIT("configfs_state", &configfs_state_map);
#endif

static void configfs_release_group(struct config_item *item)
{
	kfree(to_config_group(item));
}

static const struct configfs_item_operations configfs_pending_or_live_ops = {
	.release	= configfs_release_group,
};

const struct config_item_type configfs_pending_type = {
	.ct_item_ops	= &configfs_pending_or_live_ops,
};

const struct config_item_type configfs_live_type = {
	.ct_item_ops	= &configfs_pending_or_live_ops,
};

static int configfs_add_internal_group(struct config_group *group,
				       const char *name,
				       const struct config_item_type *type)
{
	struct config_group *new_group = kzalloc_obj(*new_group);

	if (!new_group)
		return -ENOMEM;
	config_group_init_type_name(new_group, name, type);
	configfs_add_default_group(new_group, group);
	return 0;
}

/**
 * configfs_add_pending_and_live - complete a committable group
 * @group: a committable group that is being linked
 *
 * Adds pending/ and live/ to its default groups. unlink_group() drops them.
 *
 * Context: su_mutex held (for a subsystem, configfs_subsystem_mutex), may sleep.
 * Return: 0 or -ENOMEM; then one of the two may have been added.
 */
int configfs_add_pending_and_live(struct config_group *group)
{
	int ret;

	ret = configfs_add_internal_group(group, "pending",
					  &configfs_pending_type);
	if (!ret)
		ret = configfs_add_internal_group(group, "live",
						  &configfs_live_type);
	return ret;
}

/**
 * configfs_new_state - make the state of an item that can be renamed
 * @outer: state that the directory belongs to that it is in, or NULL
 *
 * Return: the state, with one reference, or NULL without memory.
 */
struct configfs_state *configfs_new_state(struct configfs_state *outer)
{
	struct configfs_state *state = kzalloc_obj(*state);

	if (!state)
		return NULL;
	refcount_set(&state->st_count, 1);
	state->st_outer = configfs_get_state(outer);
	return state;
}

void configfs_put_state(struct configfs_state *state)
{
	while (state && refcount_dec_and_test(&state->st_count)) {
		struct configfs_state *outer = state->st_outer;

		kfree(state);
		state = outer;
	}
}

static bool is_frozen(struct configfs_state *state)
{
	for (; state; state = state->st_outer)
		if (state->st_live)
			return true;
	return false;
}

static bool is_renaming(struct configfs_state *state)
{
	for (; state; state = state->st_outer)
		if (state->st_renaming)
			return true;
	return false;
}

/**
 * configfs_count_use - count a use of an item, and of those that it is below
 * @state: state of the item, or NULL
 * @use: what kind of use
 * @n: how many begin, or, when negative, end
 *
 * Context: configfs_dirent_lock held.
 */
void configfs_count_use(struct configfs_state *state, enum configfs_use use,
			int n)
{
	for (; state; state = state->st_outer)
		state->st_uses[use] += n;
}

/**
 * configfs_pin - count a link to an item or a dependent on it
 * @state: state of the item, or NULL
 *
 * Until configfs_count_use() takes it back, neither the item nor one that it is
 * below can be renamed.
 *
 * Context: configfs_dirent_lock held. Does not wait: configfs_depend_item_unlocked()
 * comes here from callbacks that a rename waits for. As long as it waits, it is
 * the rename that will fail.
 * Return: 0, or -EBUSY when one of them is being renamed.
 */
int configfs_pin(struct configfs_state *state)
{
	struct configfs_state *st;

	for (st = state; st; st = st->st_outer)
		if (st->st_renaming && !st->st_uses[CONFIGFS_CALLBACK])
			return -EBUSY;
	configfs_count_use(state, CONFIGFS_PIN, 1);
	return 0;
}

/* False when it has to wait for a rename */
static bool try_begin_use(struct configfs_state *state, enum configfs_use use,
			  bool change, int *error)
{
	guard(spinlock)(&configfs_dirent_lock);

	if (is_renaming(state))
		return false;
	*error = change && is_frozen(state) ? -EBUSY : 0;
	if (!*error)
		configfs_count_use(state, use, 1);
	return true;
}

/**
 * configfs_begin_use - announce an attribute callback, or a change of the tree
 *	below an item
 * @state: state of what is going to be used or changed, or NULL
 * @use: CONFIGFS_CALLBACK or CONFIGFS_CHANGE
 * @change: whether it may not be when the item is frozen
 *
 * Until configfs_end_use(), neither the item nor one that it is below is renamed:
 * a rename waits for a callback, and fails when there is a change.
 *
 * Context: may sleep, waiting for a rename. For a change, inode locks are held,
 * or the mutex of a file that is being closed.
 * Return: 0, -EBUSY when the item is frozen, -EINTR when a change is killed
 * while waiting.
 */
int configfs_begin_use(struct configfs_state *state, enum configfs_use use,
		       bool change)
{
	int error = 0;

	/* For lockdep a callback is one, be it of something that has a state or not. */
	rwsem_acquire_read(&configfs_state_map, 0, 0, _RET_IP_);
	if (state && use == CONFIGFS_CALLBACK)
		wait_event(configfs_rename_wait,
			   try_begin_use(state, use, change, &error));
	else if (state &&
		 wait_event_killable(configfs_rename_wait,
				     try_begin_use(state, use, change, &error)))
		error = -EINTR;
	/* No rename waits for a change, and it may end in another task. */
	if (error || use == CONFIGFS_CHANGE)
		rwsem_release(&configfs_state_map, _RET_IP_);
	return error;
}

/**
 * configfs_end_use - end what configfs_begin_use() has begun
 * @state: the same
 * @use: the same
 */
void configfs_end_use(struct configfs_state *state, enum configfs_use use)
{
	bool wake = false;

	if (state) {
		spin_lock(&configfs_dirent_lock);
		configfs_count_use(state, use, -1);
		wake = is_renaming(state);
		spin_unlock(&configfs_dirent_lock);
	}
	if (wake)
		wake_up_all(&configfs_rename_wait);
	if (use == CONFIGFS_CALLBACK)
		rwsem_release(&configfs_state_map, _RET_IP_);
}

static bool __in_use(struct configfs_state *state, struct configfs_state *other,
		     enum configfs_use use)
{
	return state->st_uses[use] || (other && other->st_uses[use]);
}

static bool in_use(struct configfs_state *state, struct configfs_state *other,
		   enum configfs_use use)
{
	guard(spinlock)(&configfs_dirent_lock);
	return __in_use(state, other, use);
}

static void set_renaming(struct configfs_state *state,
			 struct configfs_state *other, bool renaming)
{
	state->st_renaming = renaming;
	if (other)
		other->st_renaming = renaming;
}

/**
 * configfs_begin_rename - quiesce an item that is going to be renamed
 * @state: the item's state
 * @other: that of the item that it changes places with, or NULL
 *
 * On success no attribute callback of the item or below it runs, nothing
 * below it is being made or removed, nobody links to it or depends on it, and
 * all of this stays so until configfs_end_rename().
 *
 * Context: inode locks of the rename held; may sleep, waiting for callbacks.
 * Return: 0, -EBUSY when it is pinned or changing, -EINTR when killed while
 * waiting.
 */
int configfs_begin_rename(struct configfs_state *state,
			  struct configfs_state *other)
{
	int ret = 0;

	scoped_guard(spinlock, &configfs_dirent_lock) {
		if (__in_use(state, other, CONFIGFS_PIN) ||
		    __in_use(state, other, CONFIGFS_CHANGE))
			return -EBUSY;
		set_renaming(state, other, true);
	}

	rwsem_acquire(&configfs_state_map, 0, 0, _RET_IP_);
	if (wait_event_killable(configfs_rename_wait,
				!in_use(state, other, CONFIGFS_CALLBACK)))
		ret = -EINTR;
	/* One of the callbacks may have made somebody depend on it. */
	else if (in_use(state, other, CONFIGFS_PIN))
		ret = -EBUSY;
	if (ret)
		configfs_end_rename(state, other);
	return ret;
}

/**
 * configfs_end_rename - end what configfs_begin_rename() has begun
 * @state: the same
 * @other: the same
 */
void configfs_end_rename(struct configfs_state *state,
			 struct configfs_state *other)
{
	spin_lock(&configfs_dirent_lock);
	set_renaming(state, other, false);
	spin_unlock(&configfs_dirent_lock);
	wake_up_all(&configfs_rename_wait);
	rwsem_release(&configfs_state_map, _RET_IP_);
}

#ifdef CONFIG_LOCKDEP
/**
 * configfs_in_callback - would a rename wait for its own task?
 * @subsys: the subsystem, or NULL
 * @dentry: the item's directory
 * @dir: the directory that it is in
 * @other_dir: that of the group that it shall be moved to, or NULL
 *
 * Attribute callbacks, of whatever subsystem, those with su_mutex held,
 * allow_link() and drop_link() are recognized by what is locked around them.
 *
 * Context: configfs_dirent_lock held, so that @subsys stays.
 * Return: true when the current task is in one of them.
 */
bool configfs_in_callback(struct configfs_subsystem *subsys,
			  struct dentry *dentry, struct dentry *dir,
			  struct dentry *other_dir)
{
	return lock_is_held(&configfs_state_map) == LOCK_STATE_HELD ||
	       (subsys &&
		lockdep_is_held(&subsys->su_mutex) == LOCK_STATE_HELD) ||
	       lockdep_is_held(&d_inode(dentry)->i_rwsem) == LOCK_STATE_HELD ||
	       lockdep_is_held(&d_inode(dir)->i_rwsem) == LOCK_STATE_HELD ||
	       (other_dir &&
		lockdep_is_held(&d_inode(other_dir)->i_rwsem) == LOCK_STATE_HELD);
}
#endif
