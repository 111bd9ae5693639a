// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * commit.c - the state of items that rename(2) can commit.
 *
 * An item that was made in the pending/ of a committable group has one
 * configfs_state. It is shared by everything below the item: each fragment
 * down there points to it, so that to freeze or to thaw them all is to change
 * one flag, however many they are. A committable group below the item makes
 * items with a state of their own, whose st_outer is this one.
 *
 * Everything below an item is in one of three relations to its rename:
 *
 * - Attribute callbacks hold st_sem shared while they run; rename holds it
 *   exclusively, and thereby waits for them and holds them off.
 *
 * - mkdir(2), rmdir(2), symlink(2), unlink(2) and inner renames are counted in
 *   st_changes from begin to end, and so is the last close(2) of a binary
 *   attribute that was written. They cannot hold st_sem for that long: they
 *   lock inodes on their way, and who has such an inode locked may be waiting
 *   for st_sem behind a rename. So rename does not wait for them, it fails
 *   with -EBUSY.
 *
 * - Links to an item, and dependents on it, are counted in st_pins. They are
 *   not over at some time, so rename fails with -EBUSY as well.
 */

#include <linux/fs.h>
#include <linux/configfs.h>
#include "configfs_internal.h"

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
 * configfs_new_state - make the state of an item in pending/
 * @outer: state that the pending/ directory belongs to, or NULL
 *
 * Return: the state, with one reference, or NULL without memory.
 */
struct configfs_state *configfs_new_state(struct configfs_state *outer)
{
	struct configfs_state *state = kzalloc_obj(*state);

	if (!state)
		return NULL;
	refcount_set(&state->st_count, 1);
	init_rwsem(&state->st_sem);
	state->st_outer = configfs_get_state(outer);
	state->st_top = outer ? outer->st_top : state;
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

/**
 * configfs_is_frozen - is an item, or one that it is below, live?
 * @state: the item's state, or NULL
 *
 * Context: st_sem of @state->st_top held, shared or exclusively.
 * Return: true when one of them is.
 */
bool configfs_is_frozen(struct configfs_state *state)
{
	for (; state; state = state->st_outer)
		if (state->st_live)
			return true;
	return false;
}

/**
 * configfs_begin_change - announce a change of the tree below an item
 * @state: state of what is going to change, or NULL
 *
 * Until configfs_end_change(), neither the item nor one that it is below can
 * be committed or uncommitted.
 *
 * Context: may sleep, waiting for a rename. Inode locks of the change are held,
 * or those of a file that is being written or closed.
 * Return: 0, -EBUSY when the item is frozen, -EINTR when killed while waiting.
 */
int configfs_begin_change(struct configfs_state *state)
{
	struct configfs_state *st;
	int ret = 0;

	if (!state)
		return 0;
	if (down_read_killable(&state->st_top->st_sem))
		return -EINTR;
	if (configfs_is_frozen(state)) {
		ret = -EBUSY;
	} else {
		spin_lock(&configfs_dirent_lock);
		for (st = state; st; st = st->st_outer)
			st->st_changes++;
		spin_unlock(&configfs_dirent_lock);
	}
	up_read(&state->st_top->st_sem);
	return ret;
}

/**
 * configfs_end_change - end what configfs_begin_change() has begun
 * @state: the same
 */
void configfs_end_change(struct configfs_state *state)
{
	if (!state)
		return;
	spin_lock(&configfs_dirent_lock);
	for (; state; state = state->st_outer)
		state->st_changes--;
	spin_unlock(&configfs_dirent_lock);
}

/**
 * configfs_pin - keep an item, and those that it is below, from being renamed
 * @state: state of the new target of a link or of a dependent, or NULL
 *
 * Context: configfs_dirent_lock held. Does not wait: configfs_depend_item_unlocked()
 * comes here from callbacks that a rename waits for.
 * Return: 0, or -EBUSY when one of them is being renamed.
 */
int configfs_pin(struct configfs_state *state)
{
	struct configfs_state *st;

	for (st = state; st; st = st->st_outer)
		if (st->st_renaming)
			return -EBUSY;
	for (st = state; st; st = st->st_outer)
		st->st_pins++;
	return 0;
}

/**
 * configfs_unpin - undo configfs_pin()
 * @state: the same
 *
 * Context: configfs_dirent_lock held.
 */
void configfs_unpin(struct configfs_state *state)
{
	for (; state; state = state->st_outer)
		state->st_pins--;
}

/**
 * configfs_begin_rename - quiesce an item that is going to be renamed
 * @state: the item's state
 *
 * On success no attribute callback of the item or below it runs, nothing
 * below it is being made or removed, nobody links to it or depends on it, and
 * all of this stays so until configfs_end_rename().
 *
 * Context: inode locks of the rename held; may sleep, waiting for callbacks.
 * Return: 0, -EBUSY when it is pinned or changing, -EINTR when killed while
 * waiting.
 */
int configfs_begin_rename(struct configfs_state *state)
{
	bool pinned;
	int ret = 0;

	/* No need to wait, and to hold everybody off, when this is in vain */
	spin_lock(&configfs_dirent_lock);
	pinned = state->st_pins;
	spin_unlock(&configfs_dirent_lock);
	if (pinned)
		return -EBUSY;

	if (down_write_killable(&state->st_top->st_sem))
		return -EINTR;
	spin_lock(&configfs_dirent_lock);
	if (state->st_pins || state->st_changes)
		ret = -EBUSY;
	else
		state->st_renaming = true;
	spin_unlock(&configfs_dirent_lock);
	if (ret)
		up_write(&state->st_top->st_sem);
	return ret;
}

/**
 * configfs_end_rename - end what configfs_begin_rename() has begun
 * @state: the same
 */
void configfs_end_rename(struct configfs_state *state)
{
	spin_lock(&configfs_dirent_lock);
	state->st_renaming = false;
	spin_unlock(&configfs_dirent_lock);
	up_write(&state->st_top->st_sem);
}
