/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How configfs holds an item still: fs/configfs/state.c, commit.c, rename.c and
 * configfs_rmdir(), as a model for spin(1).
 *
 * Work in progress: no run over all states has ended yet.  By hand, for example:
 *
 *	gcc -E -x c "-DPROCESSES='run commit(X); run rmdir(X)'" configfs.pml >m.pml
 *	spin -a m.pml && gcc -O1 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan
 *
 * A and B are items in one directory.  Each has a default group, and X is in one of
 * these.  What is made in X is in its default group, too: Y, for example.  All four are
 * fragments with a state.  With STAGES, A has pending/ and live/, and X is in one of them;
 * with EXCHANGE as well, Y is in the other one.
 *
 * A process does what it is named after again and again, and may end in between.  So if
 * nobody can go on, and somebody has not ended, this is a deadlock.  A step of a lock is
 * one statement, and so is what is done with configfs_dirent_lock held.
 *
 * -DPROCESSES='run ...' says which there are.  -DINNER: there is Y in X.  -DPLAIN: B has
 * no state.  -DKILL: who waits killably may be killed.  -DBROKEN=... is a mistake, and
 * must be found.
 *
 * Left out: early checks that only spare a wait, reference counts, the depth of links,
 * registered groups.  A reader waits for all writers that wait.
 */

#define A	0
#define B	1
#define X	2
#define Y	3
#define NONE	4			/* NULL */
#define PENDING	A			/* A/pending is in place of A/dir, */
#define LIVE	B			/* A/live of B/dir */

#define OK	0
#define FAIL	1			/* EBUSY, ENOENT, or an errno of the driver */
#define EINTR	2

#ifdef EXCHANGE
#define STAGES
#define EXCHANGED true
#else
#define EXCHANGED false
#endif
#ifdef STAGES
#define STAGED	true
#define OUTER(d) A			/* configfs_outer_for() a directory */
#else
#define STAGED	false
#define OUTER(d) (HAS_STATE(d) -> (d) : NONE)
#endif
#ifdef PLAIN
#define HAS_STATE(f) ((f) != B)
#else
#define HAS_STATE(f) true
#endif
#ifdef KILL
#define KILLED	true
#else
#define KILLED	false
#endif
#ifndef BROKEN
#define BROKEN	nothing
#endif

mtype = {				/* what each of these is: where it is used */
	nothing, callback_keeps, moved_away, dead_unchecked, change_waits, inner_first,
	no_changes, no_outer, sem_first, release_early, end_order, killed_late,
	no_dropping, users_unchecked, users_come, written_unchecked, no_new_outer,
	no_hold_dir, two_steps, su_first
}

/* Fragments.  NONE has an entry, from which one gets nowhere. */
byte outer[5] = NONE;			/* frag_outer */
byte users[5];				/* frag_users, if that is not negative */
bool moving[5];				/* whether it is */
byte written[5];			/* frag_written */
bool live[5], dead[5];			/* frag_flags */

/* Directories */
byte in_dir[4], dentry_in[4];		/* whose default group X and Y are in */
byte below[4];				/* how much else is in its default group */
byte busy[4];				/* s_links + s_dependent_count */
bool dropping[5];			/* CONFIGFS_USET_DROPPING */
bool attached[4];
bool gone[4];				/* S_DEAD of the default group */

/* For assertions only */
byte callbacks[4], stores[4];		/* running; those that must not while it is live */
byte changes[5];			/* something in it is being made, removed or moved */
byte paths[5];				/* links and dependencies: who relies on the path */
bool op[5];				/* an op of the item is running */
bool served[5];				/* what the driver has agreed to */

#define ABOVE(a, f)	(a[outer[f]] || a[outer[outer[f]]])
#define FROM(a, f)	(a[f] || ABOVE(a, f))
#define HOLDS(f) \
	(!((stores[f] || changes[f]) && FROM(live, f)) && \
	 !((callbacks[f] || changes[f]) && (FROM(op, f) || dead[f])) && \
	 !(op[f] && (ABOVE(op, f) || ABOVE(live, f) || dead[f])))
#define CHECK	assert(HOLDS(A) && HOLDS(B) && HOLDS(X) && HOLDS(Y))

#define COUNT(a, f, n) atomic { q = outer[f]; a[f] = a[f] + (n); a[q] = a[q] + (n); \
	q = outer[q]; a[q] = a[q] + (n); q = 0 }
#define WHEN(condition, action) if :: (condition) -> action :: else fi

/* Locks */
#define RENAME	0			/* s_vfs_rename_mutex */
#define SU	1			/* su_mutex */
#define TOP	2			/* inode of the directory that A and B are in */
#define ITEM(f)	(3 + (f))		/* inode of an item */
#define DIR(f)	(7 + (f))		/* inode of its default group */
#define DRIVER	11			/* a lock of the driver, which ops take */
bool locked[12];

#define CHG(f)	(f)			/* frag_changes */
#define SEM(f)	(4 + (f))		/* frag_sem */
byte readers[8], waiting[8];
bool writer[8];

#define MAY_READ(s)	(!writer[s] && !waiting[s])
#define MAY_WRITE(s)	(!writer[s] && !readers[s])

inline lock(m) { atomic { !locked[m]; locked[m] = true } }
inline unlock(m) { atomic { assert(locked[m]); locked[m] = false } }
inline up_read(s) { atomic { assert(readers[s]); readers[s]-- } }
inline up_write(s) { atomic { assert(writer[s]); writer[s] = false } }
inline down_read(s, killable)
{
	atomic {
		if
		:: MAY_READ(s) -> readers[s]++; ret = OK
		:: KILLED && killable && !MAY_READ(s) -> ret = EINTR
		fi
	}
}
inline down_write(s)			/* killable */
{
	atomic {
		waiting[s]++;
		if
		:: MAY_WRITE(s) -> writer[s] = true; ret = OK
		:: KILLED && !MAY_WRITE(s) -> ret = EINTR
		fi;
		waiting[s]--
	}
}

#define OUTERMOST(f, end) \
	(outer[f] == (end) -> (f) : \
	 (outer[outer[f]] == (end) -> outer[f] : outer[outer[f]]))

/* One at a time, the outermost first: what is held until then keeps the way there */
inline up_callback(start, but)
{
	if
	:: start != e -> e = OUTERMOST(start, e); WHEN(e != but, up_read(SEM(e)))
	:: else
	fi
}
inline up_callbacks(start, end, but)
{
	atomic { e = end; up_callback(start, but) };
	do
	:: atomic { start != e -> up_callback(start, but) }
	:: start == e -> break
	od;
	e = 0
}
inline put_active(f) { up_callbacks(f, NONE, NONE) }

inline up_change()
{
	if
	:: q != e && BROKEN != inner_first -> e = OUTERMOST(q, e); up_read(CHG(e))
	:: q != e && BROKEN == inner_first -> up_read(CHG(q))
	:: else
	fi
}
inline up_changes(start, end)
{
	atomic { q = start; e = end; up_change() };
	do
	:: atomic { q != e -> WHEN(BROKEN == inner_first, q = outer[q]); up_change() }
	:: q == e -> break
	od;
	q = 0; e = 0
}

/* The last step of get_active() */
inline check_active(f)
{
	if
	:: ret == OK && p == NONE ->
		WHEN(held != f && held != outer[f] && held != outer[outer[f]] &&
		     BROKEN != moved_away, up_read(SEM(held)));
		WHEN(dead[f] && BROKEN != dead_unchecked, ret = FAIL);
		held = 0
	:: else
	fi
}
/* configfs_get_active(), configfs_get_active_outer(), try_down_all() */
inline get_active(f, killable)
{
	atomic { held = f; down_read(SEM(f), killable); p = outer[f]; check_active(f) };
	do
	:: ret != OK || p == NONE -> break
	:: atomic {
		ret == OK && p != NONE && MAY_READ(SEM(p)) ->
		readers[SEM(p)]++; p = outer[p]; WHEN(p == held, p = outer[p]);
		check_active(f) }
	:: ret == OK && p != NONE && !MAY_READ(SEM(p)) && BROKEN != callback_keeps ->
		up_callbacks(f, p, held);
		up_read(SEM(held));
		atomic {
			held = p; down_read(SEM(held), killable);
			p = (held == f -> outer[f] : f); check_active(f)
		}
	od;
	p = 0;
	WHEN(ret == FAIL, put_active(f))
}

inline try_change(item, start)
{
	if
	:: p != NONE && MAY_READ(CHG(p)) -> readers[CHG(p)]++; p = outer[p]
	:: p != NONE && !MAY_READ(CHG(p)) && BROKEN != change_waits -> ret = FAIL
	:: p == NONE
	fi;
	WHEN(p == NONE && (dead[item] || FROM(live, start)), ret = FAIL)
}
inline begin_changes(item, start)
{
	atomic { p = start; ret = OK; try_change(item, start) };
	do
	:: ret != OK || p == NONE -> break
	:: atomic { ret == OK && p != NONE -> try_change(item, start) }
	od;
	WHEN(ret != OK, up_changes(start, p));
	p = 0
}

#define EXCLUSIVE(f) (HAS_STATE(f) && BROKEN != no_changes)

inline begin_exclusive(f, try)		/* and configfs_try_begin_exclusive() */
{
	if
	:: !EXCLUSIVE(f) -> ret = OK
	:: EXCLUSIVE(f) && !(try) -> down_write(CHG(f))
	:: atomic {
		EXCLUSIVE(f) && (try) ->
		ret = (MAY_WRITE(CHG(f)) && !waiting[CHG(f)] -> OK : FAIL);
		WHEN(ret == OK, writer[CHG(f)] = true) }
	fi;
	if
	:: ret == OK && BROKEN != no_outer ->
		begin_changes(f, outer[f]);
		WHEN(ret != OK && EXCLUSIVE(f), up_write(CHG(f)))
	:: else
	fi
}
inline end_exclusive(f)
{
	atomic { assert(served[f] == live[f]); WHEN(EXCLUSIVE(f), up_write(CHG(f))) }
}
inline end_outer_change(f) { WHEN(BROKEN != no_outer, up_changes(outer[f], NONE)) }
inline end_both(f, reverse)
{
	WHEN(reverse, end_exclusive(f));
	end_outer_change(f);
	WHEN(!(reverse), end_exclusive(f))
}

/* Take both semaphores.  @reverse: how they are released in case of failure */
inline hold(f, try, reverse)
{
	WHEN(BROKEN == sem_first, down_write(SEM(f)));
	begin_exclusive(f, try);
	if
	:: ret == OK && BROKEN != sem_first ->
		WHEN(BROKEN == su_first, lock(SU));
		down_write(SEM(f));
		WHEN(BROKEN == su_first, unlock(SU));
		WHEN(ret != OK, end_both(f, reverse))
	:: else
	fi
}

/* An op of the driver, which may take su_mutex.  Not NONE: it is also about g */
inline call_op(f, g)
{
	atomic { op[f] = true; op[g] = g != NONE; CHECK };
	atomic { !locked[SU] && !locked[DRIVER]; op[f] = false; op[g] = false; if :: ret = OK :: ret = FAIL fi }
}
inline set_live(f)			/* su_mutex is held */
{
	atomic {
		live[f] = served[f]; CHECK;
		assert(!callbacks[f] && !changes[f] && !FROM(op, f) && !ABOVE(live, f))
	}
}
inline call_commit(f)			/* to the other state */
{
	call_op(f, NONE);
	if
	:: ret == OK ->
		atomic { served[f] = !live[f]; WHEN(BROKEN == release_early, up_write(SEM(f))) };
		if
		:: atomic { BROKEN != killed_late && !locked[SU] -> set_live(f) }
		:: BROKEN == killed_late -> ret = EINTR
		fi;
		WHEN(BROKEN == release_early, down_write(SEM(f)))
	:: else
	fi
}

proctype commit(byte f)			/* configfs_commit() */
{
	byte p, q, e, ret;
	do
	:: break
	:: true ->
		hold(f, false, BROKEN == end_order);
		if
		:: ret == OK ->
			WHEN(!dead[f] && (live[f] || !written[f] || BROKEN == written_unchecked),
			     call_commit(f));
			up_write(SEM(f));
			end_both(f, BROKEN == end_order)
		:: else
		fi;
		ret = 0
	od
}

/* configfs_check_detach() */
#define IN_THE_WAY(f) (busy[f] || below[f] || \
	(attached[X] && in_dir[X] == f) || (attached[Y] && in_dir[Y] == f))

proctype rmdir(byte f)			/* do_rmdir(), configfs_rmdir() */
{
	byte p, q, e, ret, dir;
	do
	:: break
	:: atomic { attached[f] -> dir = (f <= B -> TOP : DIR(in_dir[f])); lock(dir) };
		if
		:: !attached[f] || (f > B && dir != DIR(in_dir[f])) || (STAGED && dir == DIR(LIVE))
		:: else ->
			lock(ITEM(f));
			hold(f, false, true);
			if
			:: ret == OK ->
				if
				:: atomic { live[f] ->	/* uncommit_for_removal() */
					ret = (IN_THE_WAY(f) -> FAIL : OK); dropping[f] = ret == OK };
					WHEN(ret == OK, call_commit(f));
					WHEN(ret != OK, dropping[f] = false)
				:: else
				fi;
				atomic {		/* configfs_detach_dir() */
					if
					:: ret == OK && IN_THE_WAY(f) -> assert(!dropping[f]); ret = FAIL
					:: ret == OK && !IN_THE_WAY(f) ->
						attached[f] = false; dead[f] = true;
						changes[outer[f]]++; CHECK
					:: else
					fi
				};
				up_write(SEM(f));
				end_exclusive(f);
				if
				:: ret == OK ->		/* configfs_dismantle_dir(), drop_item() */
					atomic { !locked[DIR(f)] -> gone[f] = true };
					atomic { !locked[SU] -> changes[outer[f]]-- }
				:: else
				fi;
				end_outer_change(f)
			:: else
			fi
		fi;
		atomic { locked[ITEM(f)] = false; unlock(dir); ret = 0; dir = 0 }
	od
}

inline begin_move(f)
{
	hold(f, !(STAGED && in_dir[f] == LIVE), false);
	if
	:: ret == OK ->
		atomic {
			ret = ((users[f] && BROKEN != users_unchecked) || written[f] -> FAIL : OK);
			moving[f] = ret == OK
		};
		WHEN(ret != OK, up_write(SEM(f)); end_both(f, false))
	:: else
	fi
}
inline end_move(f)
{
	atomic { assert(!STAGED || live[f] == (in_dir[f] == LIVE)); moving[f] = false };
	up_write(SEM(f));
	end_both(f, false)
}
inline move_dentry(f, d)
{
	atomic {
		assert(attached[d] && !paths[f] && !callbacks[f] && !changes[f]);
		assert(outer[Y] != f || (!paths[Y] && !callbacks[Y] && !changes[Y]));
		in_dir[f] = d; WHEN(BROKEN != two_steps, dentry_in[f] = d)
	};
	WHEN(BROKEN == two_steps, dentry_in[f] = d)
}

/* Another directory, or another name only */
inline rename_item(f)
{
	atomic { former = outer[f]; new = OUTER(to); WHEN(live[f], ret = FAIL) };
	if
	:: ret == OK && from != to ->	/* begin_move_to() */
		if
		:: BROKEN != no_new_outer -> begin_changes(new, new)
		:: BROKEN == no_new_outer -> readers[CHG(new)]++
		fi;
		if
		:: ret == OK && BROKEN != no_hold_dir ->
			atomic { ret = (attached[to] -> OK : FAIL); WHEN(ret == OK, busy[to]++) };
			WHEN(ret != OK, up_changes(new, NONE))
		:: else
		fi
	:: else
	fi;
	if
	:: ret == OK ->
		atomic { changes[former]++; changes[new]++ };
		call_op(f, NONE);
		WHEN(ret == OK, !locked[SU]; move_dentry(f, to));
		atomic {
			changes[former]--; changes[new]--;
			WHEN(from != to && BROKEN != no_hold_dir, busy[to]--)
		};
		WHEN(ret == OK, outer[f] = new; new = former);
		WHEN(from != to, up_changes(new, NONE))
	:: else
	fi
}

proctype rename()			/* vfs_rename() or rename_by_driver(), do_rename() */
{
	byte p, q, e, ret, from, to, new, former, l, r;
	do
	:: break
	:: true ->
		if
		:: atomic { lock(RENAME); from = in_dir[X]; to = 1 - from };
			lock(DIR(from)); lock(DIR(to))
		:: atomic { from = in_dir[X]; to = from; lock(DIR(from)) }
		fi;
		l = (EXCHANGED && from != to && from == PENDING -> Y : X); r = X + Y - l;
		if
		:: gone[from] || gone[to] || !attached[X] || in_dir[X] != from -> ret = FAIL
		:: else ->
			WHEN(from != to, lock(ITEM(X)));
			WHEN(from != to && EXCHANGED, lock(ITEM(Y)));
			begin_move(l)
		fi;
		if
		:: ret == OK ->
			if
			:: from == to || !STAGED -> rename_item(l)
#ifdef EXCHANGE
			:: from != to ->		/* exchange_items() */
				begin_move(r);
				if
				:: ret == OK ->
					call_op(l, r);
					if
					:: ret == OK ->
						atomic {
							!locked[SU]; served[l] = false; served[r] = true;
							set_live(l); set_live(r)
						};
						atomic { move_dentry(l, in_dir[r]); move_dentry(r, LIVE) }
					:: else
					fi;
					end_move(r)
				:: else
				fi
#else
			:: from != to && STAGED ->	/* commit_item() */
				call_commit(l);
				WHEN(ret == OK, move_dentry(l, to))
#endif
			fi;
			end_move(l)
		:: else
		fi;
		atomic {
			WHEN(from != to, locked[ITEM(X)] = false; locked[ITEM(Y)] = false;
			     unlock(DIR(to)); unlock(RENAME));
			unlock(DIR(from)); from = 0; to = 0; new = 0; former = 0; ret = 0; l = 0; r = 0
		}
	od
}

proctype rename_else()			/* another rename(2), which locks two directories, and fails */
{
	byte d;
	do
	:: break
	:: lock(RENAME);
		if :: d = A :: d = B fi;
		if
		:: lock(DIR(d)); lock(DIR(X))
		:: in_dir[X] != d -> lock(DIR(X)); lock(DIR(d))
		fi;
		atomic { unlock(DIR(d)); unlock(DIR(X)); unlock(RENAME); d = 0 }
	od
}

/* kill_fragment(), with a lock held that the commit of an outer item needs */
proctype unregister(byte f)
{
	byte ret;
	lock(DRIVER);
	do :: down_write(SEM(f)); WHEN(ret == OK, break) od;
	atomic { dead[f] = true; assert(HOLDS(f)) };
	up_write(SEM(f));
	unlock(DRIVER)
}

/* Somebody who relies on the path of f */
inline add_user(f, n) { atomic { busy[f] = busy[f] + (n); paths[f] = paths[f] + (n); COUNT(users, f, n) } }

proctype depend(byte f)			/* configfs_depend_item(), configfs_undepend_item() */
{
	byte q;
	do
	:: break
	:: atomic {
		attached[f] && (!FROM(dropping, f) || BROKEN == no_dropping) &&
		(!FROM(moving, f) || BROKEN == users_come) ->
		assert(in_dir[X] == dentry_in[X]); add_user(f, 1) };
		add_user(f, -1)
	od
}

proctype symlink(byte s, f)		/* configfs_symlink() in s to f, or configfs_unlink() */
{
	byte p, q, e, ret, held, at;
	bool linked;
	do
	:: break
	:: atomic { !gone[s]; lock(DIR(s)) };
		if :: gone[s] -> ret = FAIL :: else -> begin_changes(s, s) fi;
		if
		:: ret == OK ->
			atomic { changes[s]++; assert(HOLDS(s)) };
			get_active(f, true);
			if
			:: ret == OK ->
				atomic { callbacks[f]++; assert(HOLDS(f)); at = dentry_in[X];	/* link_body() */
					WHEN(linked, below[s]--) };
				atomic { callbacks[f]--; assert(at == dentry_in[X] && !FROM(moving, f)); at = 0;
					WHEN(!linked, add_user(f, 1); below[s]++) };
				put_active(f);
				atomic { WHEN(linked, add_user(f, -1)); linked = !linked }
			:: else
			fi;
			changes[s]--;
			up_changes(s, NONE)
		:: else
		fi;
		atomic { unlock(DIR(s)); ret = 0 }
	od
}

proctype change(byte f)			/* configfs_mkdir() in f, or rmdir(2) of what that made */
{
	byte p, q, e, ret;
	bool made;
	do
	:: break
	:: lock(DIR(f));
		if :: gone[f] -> ret = FAIL :: else -> begin_changes(f, f) fi;
		if
		:: ret == OK ->
			atomic { lock(SU); changes[f]++; assert(HOLDS(f)) };	/* make_item() */
			atomic {
				unlock(SU); changes[f]--; assert(attached[f]);
				below[f] = (made -> below[f] - 1 : below[f] + 1); made = !made
			};
			up_changes(f, NONE)
		:: else
		fi;
		atomic { unlock(DIR(f)); ret = 0 }
	od
}

/* show(), or store(); or with @binary, write(2) of binary data, and close(2) */
proctype callback(byte f; bool binary)
{
	byte p, q, e, ret, held, store;
	do
	:: break
	:: true ->
		if :: !binary -> store = 0 :: store = 1 fi;
		get_active(f, true);
		WHEN(ret == OK && store && FROM(live, f), put_active(f); ret = FAIL);
		if
		:: ret == OK && binary ->
			COUNT(written, f, 1);
			put_active(f);
			get_active(f, false);
			store = 2
		:: else
		fi;
		if
		:: ret == OK ->
			atomic { callbacks[f]++; stores[f] = stores[f] + (store > 0); assert(HOLDS(f)) };
			atomic { !locked[SU]; callbacks[f]--; stores[f] = stores[f] - (store > 0) };
			put_active(f)
		:: else
		fi;
		atomic { WHEN(store == 2, COUNT(written, f, -1)); ret = 0; store = 0 }
	od
}

init {
	atomic {
		outer[X] = A;
		attached[A] = true; attached[B] = true; attached[X] = true;
#ifdef INNER
		attached[Y] = true; outer[Y] = X; in_dir[Y] = X;
#endif
#ifdef EXCHANGE
		attached[Y] = true; outer[Y] = A; in_dir[Y] = LIVE; live[Y] = true; dentry_in[Y] = LIVE;
#endif
		if :: live[A] = true :: skip fi;
		if :: !STAGED -> live[X] = true :: skip fi;
		served[A] = live[A]; served[B] = live[B]; served[X] = live[X]; served[Y] = live[Y];
		PROCESSES
	}
}
