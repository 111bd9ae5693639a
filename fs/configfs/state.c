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
 * Items that can be renamed have a state, too: so when one is moved, frag_outer
 * changes in one fragment.  In pending/ and live/, it says where they are.
 *
 * What goes on in an item counts in its own fragment, and in all that frag_outer
 * leads to:
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
 * users	links to the item, or to anything in it or below it, and those who depend
 *		on one of these, are counted in frag_users.  They need the path, so the
 *		item cannot be moved; and while it is being moved, frag_users is
 *		negative, and no user comes.  configfs_dirent_lock protects it.
 *		Renaming an item holds both semaphores exclusively, and is a change
 *		of what the item leaves, and of what it enters.
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
 * Semaphores are taken from the innermost fragment outwards.
 *
 * A callback that finds one taken drops all that it holds before it waits for that
 * one, and then tries to get the others.  Otherwise the removal of the inner item
 * would wait for a commit of the outer one, perhaps with a lock held that the driver
 * needs for the commit.
 *
 * A change never waits for another one, nor for a commit: it fails with EBUSY if
 * somebody holds one of the semaphores exclusively, or waits to.  For it has locked
 * inodes, and rmdir(2), which is a change of what the item is in, locks those of the
 * default groups that it dismantles.  The two alone could be told apart, but others
 * lock inodes as well: rename(2) two directories anywhere, before it fails.
 * rmdir(2) only waits for changes in what it removes, as it does for callbacks: these
 * need no inode that it has locked.
 *
 * A rename may have locked that of the item as well.  It waits for changes only if the
 * item is live, because these fail at once.
 */

#include <linux/fs.h>
#include <linux/slab.h>

#include <linux/configfs.h>
#include "configfs_internal.h"

/**
 * configfs_new_fragment - what is going to be removed in one step
 * @outer: the fragment of the directory that it is in, or NULL
 * @flags: CONFIGFS_FRAG_STATE if the item has a state, and CONFIGFS_FRAG_COMMITS if
 *	it can be committed
 *
 * Return: the fragment, with one reference, or NULL when out of memory
 */
struct configfs_fragment *configfs_new_fragment(struct configfs_fragment *outer,
						unsigned int flags)
{
	struct configfs_fragment *p;

	p = kmalloc_obj(struct configfs_fragment);
	if (p) {
		atomic_set(&p->frag_count, 1);
		atomic_set(&p->frag_written, 0);
		init_rwsem(&p->frag_sem);
		outer = configfs_outer_for(outer);
		p->frag_outer = get_fragment(outer);
		p->frag_committer = NULL;
		p->frag_users = 0;
		p->frag_links = 0;
		p->frag_flags = outer ? flags | CONFIGFS_FRAG_INNER : flags;
		if (p->frag_flags)
			init_rwsem(&p->frag_changes);
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

/* The last one before @end; what is held until then keeps the way there */
static struct configfs_fragment *outermost(struct configfs_fragment *frag,
					   struct configfs_fragment *end)
{
	while (frag->frag_outer != end)
		frag = frag->frag_outer;
	return frag;
}

static void up_callbacks(struct configfs_fragment *frag,
			 struct configfs_fragment *end,
			 struct configfs_fragment *but)
{
	while (frag != end) {
		end = outermost(frag, end);
		if (end != but)
			up_read(&end->frag_sem);
	}
}

static void up_changes(struct configfs_fragment *frag,
		       struct configfs_fragment *end)
{
	while (frag != end) {
		end = outermost(frag, end);
		up_read(&end->frag_changes);
	}
}

/*
 * Return: NULL, or the fragment that we have to wait for: only @held is held then.
 * It comes with a reference, unless it is @frag, which the caller has one on.
 */
static struct configfs_fragment *try_down_all(struct configfs_fragment *frag,
					      struct configfs_fragment *held)
{
	struct configfs_fragment *p;

	for (p = frag; p; p = p->frag_outer)
		if (p != held && !down_read_trylock(&p->frag_sem)) {
			if (p != frag)
				get_fragment(p);
			up_callbacks(frag, p, held);
			return p;
		}
	return NULL;
}

/*
 * What configfs_get_active() does when frag_sem of @frag, which is held, is not
 * enough.  When this fails, it is not held any more.
 */
int configfs_get_active_outer(struct configfs_fragment *frag, bool killable)
{
	struct configfs_fragment *held = frag, *closed, *p;

	while ((closed = try_down_all(frag, held))) {
		up_read(&held->frag_sem);
		if (held != frag)
			put_fragment(held);
		held = closed;
		if (!killable)
			down_read(&held->frag_sem);
		else if (down_read_killable(&held->frag_sem))
			goto out_put;
	}
	/* What we waited for may be one that the item has been moved out of */
	for (p = frag; p && p != held; p = p->frag_outer)
		;
	if (!p)
		up_read(&held->frag_sem);
	if (held != frag)
		put_fragment(held);
	if (!(frag->frag_flags & CONFIGFS_FRAG_DEAD))
		return 0;
	up_callbacks(frag, NULL, NULL);
	return -ENOENT;

out_put:
	if (held != frag)
		put_fragment(held);
	return -EINTR;
}

/*
 * Whether it, or one that it is below, is live.  Caller has an active reference on
 * it, or has begun to change it.
 */
static bool is_frozen(struct configfs_fragment *frag)
{
	for (; frag; frag = frag->frag_outer)
		if (READ_ONCE(frag->frag_flags) & CONFIGFS_FRAG_LIVE)
			return true;
	return false;
}

/* What configfs_get_active_to_write() does, likewise */
int configfs_get_active_outer_to_write(struct configfs_fragment *frag, bool live)
{
	int ret = configfs_get_active_outer(frag, true);

	if (!ret && !live && is_frozen(frag)) {
		configfs_put_active(frag);
		ret = -EBUSY;
	}
	return ret;
}

void configfs_put_active_outer(struct configfs_fragment *frag)
{
	up_callbacks(frag->frag_outer, NULL, NULL);
}

/* Whether a commit may have to wait for changes in it */
static bool has_state(struct configfs_fragment *frag)
{
	return READ_ONCE(frag->frag_flags) &
		(CONFIGFS_FRAG_STATE | CONFIGFS_FRAG_INNER);
}

/* Begin a change of @frag in @first, and in those that lead from it outwards. */
static int begin_changes(struct configfs_fragment *frag,
			 struct configfs_fragment *first)
{
	struct configfs_fragment *p;

	for (p = first; p; p = p->frag_outer)
		if (!down_read_trylock(&p->frag_changes))
			goto out_up;
	if (!(READ_ONCE(frag->frag_flags) & CONFIGFS_FRAG_DEAD) &&
	    !is_frozen(first))
		return 0;
out_up:
	up_changes(first, p);
	return READ_ONCE(frag->frag_flags) & CONFIGFS_FRAG_DEAD ? -ENOENT : -EBUSY;
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
 * * -EBUSY  - the item, or one that it is below, is live, or is being committed or
 *             removed
 * * -ENOENT - the item has been removed
 */
int configfs_begin_change(struct configfs_fragment *frag)
{
	return has_state(frag) ? begin_changes(frag, frag) : 0;
}

void configfs_end_change(struct configfs_fragment *frag)
{
	if (has_state(frag))
		up_changes(frag, NULL);
}

/* Caller holds frag_changes of @frag exclusively; when this fails, not any more. */
static int begin_outer_changes(struct configfs_fragment *frag)
{
	int ret = begin_changes(frag, frag->frag_outer);

	if (ret)
		up_write(&frag->frag_changes);
	return ret;
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
 * * -EBUSY  - an item that it is below is live, or is being committed or removed
 * * -EINTR  - killed while waiting
 * * -ENOENT - it has been removed
 */
int configfs_begin_exclusive(struct configfs_fragment *frag)
{
	int ret;

	if (!has_state(frag))
		return 0;
	ret = down_write_killable(&frag->frag_changes);
	return ret ?: begin_outer_changes(frag);
}

/* The same, but fails with -EBUSY if something in the item is being changed. */
int configfs_try_begin_exclusive(struct configfs_fragment *frag)
{
	return down_write_trylock(&frag->frag_changes) ?
		begin_outer_changes(frag) : -EBUSY;
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
	up_changes(frag->frag_outer, NULL);
}

/**
 * configfs_begin_write - begin to write a binary attribute
 * @frag: the fragment of the item
 * @live: whether it can be written while the item is live
 *
 * The data are handed over when the file is closed.  Unless @live, nothing that
 * would refuse them is committed until configfs_end_write().
 *
 * Return:
 * * 0
 * * -EBUSY  - the item, or one that it is below, is live
 * * -EINTR  - killed while waiting for a commit
 * * -ENOENT - the item is being removed
 */
int configfs_begin_write(struct configfs_fragment *frag, bool live)
{
	struct configfs_fragment *p;
	int ret = configfs_get_active_to_write(frag, live);

	if (ret)
		return ret;
	for (p = live ? NULL : frag; p; p = p->frag_outer)
		atomic_inc(&p->frag_written);
	configfs_put_active(frag);
	return 0;
}

void configfs_end_write(struct configfs_fragment *frag)
{
	/* Not to be moved between two of them */
	guard(spinlock)(&configfs_dirent_lock);
	for (; frag; frag = frag->frag_outer)
		atomic_dec(&frag->frag_written);
}

/* Links that are in an item or below it.  Caller holds configfs_dirent_lock. */
void configfs_count_link(struct configfs_fragment *frag, int n)
{
	for (; frag; frag = frag->frag_outer)
		frag->frag_links += n;
}

/* Begin a change of what an item is going to be moved into: configfs_outer_for() that */
int configfs_begin_outer_change(struct configfs_fragment *outer)
{
	return outer ? begin_changes(outer, outer) : 0;
}

void configfs_end_outer_changes(struct configfs_fragment *outer)
{
	up_changes(outer, NULL);
}

/*
 * An item has been moved.  The change of the former outer fragment ends, that of the
 * new one goes on.  Caller holds both semaphores of @frag, exclusively.  So whoever
 * holds one of them shared, or configfs_dirent_lock, can go by frag_outer.
 */
void configfs_set_outer(struct configfs_fragment *frag,
			struct configfs_fragment *outer)
{
	struct configfs_fragment *former = frag->frag_outer;

	get_fragment(outer);
	scoped_guard(spinlock, &configfs_dirent_lock) {
		configfs_count_link(former, -frag->frag_links);
		configfs_count_link(outer, frag->frag_links);
		frag->frag_outer = outer;
		WRITE_ONCE(frag->frag_flags, outer ?
			   frag->frag_flags | CONFIGFS_FRAG_INNER :
			   frag->frag_flags & ~CONFIGFS_FRAG_INNER);
	}
	up_changes(former, NULL);
	put_fragment(former);
}

/*
 * Count a link to an item, or somebody who depends on it.  Until this is taken back,
 * neither the item nor one that it is below is moved.  Caller holds
 * configfs_dirent_lock.
 *
 * Return: 0, or -EBUSY if one of them is being moved
 */
int configfs_add_user(struct configfs_fragment *frag)
{
	struct configfs_fragment *p;

	for (p = frag; p; p = p->frag_outer)
		if (READ_ONCE(p->frag_users) < 0)
			return -EBUSY;
	for (p = frag; p; p = p->frag_outer)
		p->frag_users++;
	return 0;
}

void configfs_remove_user(struct configfs_fragment *frag)
{
	for (; frag; frag = frag->frag_outer)
		frag->frag_users--;
}
